"""Draw decision boundaries in the plane, with lines that cross them and the normals there."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.patheffects import withStroke

from pipeline.figures.style import drawing, save
from pipeline.store import reading

CLASSES = ("C6", "C5", "C3", "C4", "C0", "C1", "C2")
# Length of a normal, as a share of the panel's width.
ARROW = 0.08
# Of the leading class, where lines are drawn.
LEVELS = [0.9, 0.99]


def draw(*, plane: str, outputs: Sequence[str], style: str) -> None:
    """Above: the network's classes and decision level. Below: those of the nearest point, and the Delaunay boundary."""
    with reading(plane) as file:
        stored = {name: file.read(name) for name in file.names()}
    x, y = stored["x"], stored["y"]
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(2, 1, figsize=(width, 2.5 * height), sharex=True)
        levels = " and ".join(map(str, LEVELS))
        titles = {
            "network": f"network (colours), softmax {levels} (lines)",
            "voronoi": "nearest training point (colours), Delaunay weights (line)",
        }
        for axes, (name, title) in zip(panels, titles.items(), strict=True):
            classes = stored[f"{name}/class"]
            colours = ListedColormap(CLASSES)
            look: dict[str, Any] = {"cmap": colours, "vmin": -0.5, "vmax": len(CLASSES) - 0.5, "rasterized": True}
            axes.pcolormesh(x, y, classes, alpha=0.35, linewidth=0, label="_class", **look)
            first, second = stored["train/x"].T
            axes.scatter(
                first, second, c=stored["train/label"], s=6, linewidths=0, label="_class of training points", **look
            )
            _lines(axes, stored, name, ARROW * (x[-1] - x[0]))
            axes.set_title(title)
            axes.set(aspect="equal", ylabel="second coordinate", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        panels[0].contour(x, y, stored["network/level"], LEVELS, colors="k", linewidths=0.4).set(label="_softmax")
        panels[1].add_collection(
            LineCollection(stored["delaunay/boundary"].tolist(), colors="k", linewidths=0.7, label="_boundary")
        )
        count = f"single training, n = {len(stored['train/x'])} points (dots); {len(stored['lines/ends'])} lines"
        panels[1].set_xlabel(f"first coordinate\n{count}")
        save(figure, outputs)


def _lines(axes: Axes, stored: Mapping[str, np.ndarray], name: str, arrow: float) -> None:
    ends = stored["lines/ends"]
    axes.add_collection(LineCollection(ends.tolist(), colors="k", linewidths=0.6, linestyles="--", label="_line"))
    (x, y), (across, up) = stored[f"lines/{name}/point"].T, arrow * stored[f"lines/{name}/normal"].T
    axes.quiver(x, y, across, up, angles="xy", scale_units="xy", scale=1, width=0.007, zorder=4, label="_normal")
    axes.scatter(x, y, s=7, color="k", linewidths=0, zorder=5, label="_crossing")
    # Beside the start, where labels have more room than at the boundary.
    along = np.diff(ends, axis=1)[:, 0]
    places = ends[:, 0] - 0.5 * arrow * along / np.linalg.norm(along, axis=1, keepdims=True)
    for (left, bottom), angle in zip(places.tolist(), stored[f"lines/{name}/skewness"], strict=True):
        text = axes.text(left, bottom, f"{angle:.0f}°", size=7, ha="center", va="center", zorder=6)
        text.set_path_effects([withStroke(linewidth=1.5, foreground="w")])


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(plane=snakemake.input.plane, outputs=snakemake.output, **run.settings)
