"""Draw how robust networks trained in several ways are, and skewness against attack size (Bell, sections 25 and 26)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.manifolds import TEACHERS, looks_of
from pipeline.figures.style import drawing, save, with_interval
from pipeline.store import reading

MEASURES = {
    "attack_size": "smallest attack, L2",
    "distance": "distance to boundary, L2",
    "persistence": "persistence σ*",
    "skewness": "skewness (degrees)",
}
AGAINST = ("attack_size", "distance", "persistence")


def draw(*, zoo: str, outputs: Sequence[str], style: str) -> None:
    """Top: mean skewness against the other means. Below: paired differences to the reference."""
    with reading(zoo) as file:
        names = [str(name) for name in file.read("networks")]
        reference = names[int(file.read("reference"))]
        networks = {name: file.read_group(name) for name in names}
        images = len(file.read("index"))
        over = {key: float(value) for key, value in file.read_group("correlation").items()}
    others = [name for name in names if name != reference]
    looks = {reference: TEACHERS["standard"], **looks_of(others)}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, 2.75 * height))
        grid = figure.add_gridspec(2, 1, height_ratios=(1.1, 1))
        above, below = (figure.add_subfigure(part) for part in (grid[0], grid[1]))
        panels = above.subplots(1, 3, sharey=True)
        for axes, key in zip(panels, AGAINST, strict=True):
            for name, group in networks.items():
                found = {part: float(group[f"correlation/{part}"]) for part in ("value", "low", "high")}
                _point(axes, group, key, looks[name], f"{name} {_interval(found)}")
            axes.set_xlabel(MEASURES[key].replace(" ", "\n", 1))
        panels[0].set_ylabel(MEASURES["skewness"])
        handles, labels = panels[0].get_legend_handles_labels()
        title = "rank correlation of skewness with smallest attack, over images"
        title += f"\n(of the means, over networks: {_interval(over)})"
        place: dict[str, Any] = {"loc": "outside upper center", "ncols": 2, "columnspacing": 1, "handletextpad": 0.2}
        above.legend(handles, labels, title=title, **place)
        for axes, key in zip(below.subplots(2, 2, sharey=True).flat, MEASURES, strict=True):
            _differences(axes, {name: networks[name] for name in others}, key, looks)
        text = f"paired difference to {reference}, n = {images} images\n(pixel range = 1; skewness in degrees)"
        below.supxlabel(text, fontsize=plt.rcParams["axes.labelsize"])
        save(figure, outputs)


def _interval(found: Mapping[str, float]) -> str:
    return with_interval(found["value"], found["low"], found["high"])


def _point(axes: Axes, group: Mapping[str, np.ndarray], key: str, look: tuple[str, str], name: str) -> None:
    ends = []
    for measure in (key, "skewness"):
        mean, low, high = (float(group[f"summary/{measure}/{part}"]) for part in ("mean", "mean_low", "mean_high"))
        ends.append((mean, [[mean - low], [high - mean]]))
    (x, x_bar), (y, y_bar) = ends
    colour, marker = look
    axes.errorbar(x, y, y_bar, x_bar, fmt=marker, color=colour, markersize=3, elinewidth=0.8, label=name)


def _differences(
    axes: Axes, networks: Mapping[str, Mapping[str, np.ndarray]], key: str, looks: Mapping[str, tuple[str, str]]
) -> None:
    axes.axvline(0, color="k", linewidth=0.6)
    for place, (name, group) in enumerate(networks.items()):
        mean, low, high = (float(group[f"difference/{key}/{part}"]) for part in ("mean", "mean_low", "mean_high"))
        colour, marker = looks[name]
        bar = [[mean - low], [high - mean]]
        axes.errorbar(mean, place, None, bar, fmt=marker, color=colour, markersize=3, capsize=1.5, label=f"_{name}")
    axes.set_yticks(range(len(networks)), networks)
    axes.set(ylim=(len(networks) - 0.5, -0.5))
    axes.set_title(MEASURES[key].split(",")[0], fontsize=plt.rcParams["legend.fontsize"])
    axes.locator_params(axis="x", nbins=3)
    axes.xaxis.set_major_formatter("{x:g}")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(zoo=snakemake.input.zoo, outputs=snakemake.output, **run.settings)
