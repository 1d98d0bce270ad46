"""Draw norms of Gaussian samples and of points uniform in a ball (Bell, figure 19)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import drawing, save
from pipeline.store import Reader, reading

LAWS = {"gaussian": ("C3", "-", "Gaussian"), "ball": ("C4", "--", "ball")}


def draw(*, norms: str, outputs: Sequence[str], style: str) -> None:
    """A row for each dimension: both laws, and the ball's by itself on a finer scale; exact densities as lines."""
    with reading(norms) as file, drawing(style):
        dimensions, points = file.read("dimensions"), file.read("points")
        width, height = plt.rcParams["figure.figsize"]
        size = (width, 0.8 * height * len(dimensions))
        shape: dict[str, Any] = {"sharey": "row", "squeeze": False, "width_ratios": (2.5, 1)}
        figure, panels = plt.subplots(len(dimensions), 2, figsize=size, **shape)
        for (left, right), n, count in zip(panels, dimensions.tolist(), points.tolist(), strict=True):
            for name in LAWS:
                _law(left, file, f"{n}/{name}", name)
            _law(right, file, f"{n}/ball", "ball")
            left.set(yscale="log", ylabel="density (1 / norm)")
            left.set_title(f"{n:,} dimensions, n = {count:,} of each")
            handles, labels = left.get_legend_handles_labels()
            left.add_artist(left.legend(handles[:1], labels[:1], loc="upper left", handlelength=1.5))
            left.legend(handles[1:], labels[1:], loc="upper right", handlelength=1.5)
            start, radius = float(file.read(f"{n}/ball/edges")[0]), float(file.read("radius"))
            right.set_title("ball")
            right.set_xticks([start, radius], [f"{start:.5g}", f"{radius:g}"])
            for text, side in zip(right.get_xticklabels(), ("left", "right"), strict=True):
                text.set_horizontalalignment(side)
        figure.supxlabel("norm (unit of a coordinate)", size=plt.rcParams["axes.labelsize"])
        save(figure, outputs)


def _law(axes: Axes, file: Reader, group: str, name: str) -> None:
    colour, line, label = LAWS[name]
    steps = file.read(f"{group}/density"), file.read(f"{group}/edges")
    axes.stairs(*steps, fill=True, color=colour, alpha=0.4, label=f"_{label}, sampled")
    spread = np.format_float_positional(float(file.read(f"{group}/deviation")), precision=2, fractional=False)
    curve = [file.read(f"{group}/theory/{part}") for part in ("norm", "density")]
    axes.plot(*curve, line, color=colour, label=f"{label}\n± {spread}")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(norms=snakemake.input.norms, outputs=snakemake.output, **run.settings)
