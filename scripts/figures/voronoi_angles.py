"""Draw the angles at which lines cross the boundary of the nearest training image and that of a network."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.panels import centre_line, estimated
from pipeline.figures.style import drawing, save
from pipeline.store import reading

GROUPS = {
    "neighbours": "training images, Gabriel neighbours",
    "others": "training images, no Gabriel neighbours",
    "natural": "test images of different classes",
    "adversarial": "natural to adversarial image",
}
SIDES = {"voronoi": ("nearest image", "C3"), "network": ("network", "C4")}
EDGES = np.linspace(0, 90, 31).tolist()
# Between a panel and its title for each row of the legend, in sizes of its text.
ROW = 1.3


def draw(*, voronoi: str, outputs: Sequence[str], style: str) -> None:
    """A panel for each group: histograms in degrees, with means and their intervals."""
    with reading(voronoi) as file:
        groups = {name: file.read_group(name) for name in GROUPS}
        gabriel = file.read_group("gabriel")
        random = float(file.read("null/skewness/mean"))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(len(GROUPS), 1, figsize=(width, 2.8 * height), sharex=True)
        for axes, (name, text) in zip(panels, GROUPS.items(), strict=True):
            for side, (label, colour) in SIDES.items():
                _histogram(axes, groups[name], side, label, colour)
            axes.axvline(random, color="k", linewidth=0.8, linestyle=":", label="_random direction")
            notes = [_correlation(groups[name])] if np.isfinite(groups[name]["correlation/value"]) else []
            if name == "neighbours":
                notes = [f"{_share(gabriel)} of {int(gabriel['n'])} random pairs are such"]
            for note in notes:
                axes.plot([], [], " ", label=note)
            axes.set_title(
                text,
                loc="left",
                fontweight="bold",
                pad=(0.7 + ROW * (len(SIDES) + len(notes))) * plt.rcParams["legend.fontsize"],
            )
            axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.97), labelspacing=0.1, handlelength=1.2)
            axes.set_ylabel("share per bin")
        panels[-1].set(xlabel="angle to the normal of the boundary (degrees)", xlim=(0, 90))
        panels[-1].set_xticks(range(0, 91, 15))
        save(figure, outputs)


def _histogram(axes: Axes, group: Mapping[str, np.ndarray], side: str, label: str, colour: str) -> None:
    angles = group[f"{side}/skewness"]
    crossed = angles[np.isfinite(angles)]
    mean, low, high = (float(group[f"summary/{side}/{key}"]) for key in ("mean", "mean_low", "mean_high"))
    count = f"{len(crossed)}" if len(crossed) == len(angles) else f"{len(crossed)} of {len(angles)}"
    text = f"{label}: mean {estimated(mean, low, high, 1)}, n = {count}"
    weights = np.full(len(crossed), 1 / max(len(angles), 1))
    axes.hist(crossed, EDGES, weights=weights, color=colour, alpha=0.6, label=text)
    if len(crossed):
        centre_line(axes, mean, low, high, colour, f"mean, {label}")


def _correlation(group: Mapping[str, np.ndarray]) -> str:
    rho, low, high = (float(group[f"correlation/{key}"]) for key in ("value", "low", "high"))
    return f"rank correlation {estimated(rho, low, high)}"


def _share(estimate: Mapping[str, np.ndarray]) -> str:
    value, low, high = (100 * float(estimate[key]) for key in ("value", "low", "high"))
    return f"{estimated(value, low, high, 0)} %"


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(voronoi=snakemake.input.voronoi, outputs=snakemake.output, **run.settings)
