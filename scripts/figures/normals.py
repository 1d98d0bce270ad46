"""Draw angles among normals found in several ways, how normals turn, and their share in principal directions."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from pipeline.figures.style import ADVERSARIAL, NATURAL, drawing, save
from pipeline.store import reading

KINDS = {"natural": ("natural – natural", NATURAL), "adversarial": ("natural – adversarial", ADVERSARIAL)}
APART = 0.16

Group = Mapping[str, NDArray[np.float64]]


def draw(*, boundary: str, outputs: Sequence[str], style: str) -> None:
    """Above: mean angles to the gradient's normal, and of line to nearest boundary. Middle: turning. Below: shares."""
    with reading(boundary) as file:
        groups = {kind: file.read_group(kind) for kind in KINDS}
        names = [str(name) for name in file.read("directions")]
        radii, threshold = file.read("radii"), float(file.read("threshold"))
        null, count = float(file.read("null/energy")), int(file.read("principal_directions"))
        difference = {key: float(file.read(f"difference/energy_normal/{key}")) for key in ("mean", "low", "high")}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (above, middle, below) = plt.subplots(3, 1, figsize=(width, 3.3 * height), height_ratios=(1.25, 1, 1))
        _angles(above, groups, names)
        _turning(middle, groups, radii, threshold)
        _shares(below, groups, null, count, difference)
        save(figure, outputs)


def _angles(axes: Axes, groups: Mapping[str, Group], names: Sequence[str]) -> None:
    first, line, nearest = 0, len(names) - 2, len(names) - 1
    pairs = [(first, other) for other in range(1, len(names))] + [(line, nearest)]
    for shift, (kind, (text, colour)) in zip((-APART, APART), KINDS.items(), strict=True):
        summary = {key: groups[kind][f"summary/angle/{key}"] for key in ("mean", "mean_low", "mean_high", "n")}
        n = int(summary["n"][first, line])
        label = f"{text}, n = {n}"
        mean, low, high = (
            np.array([summary[key][pair] for pair in pairs]) for key in ("mean", "mean_low", "mean_high")
        )
        places = np.arange(len(pairs)) + shift
        axes.errorbar(
            mean, places, xerr=[mean - low, high - mean], color=colour, fmt="o", markersize=4, capsize=2, label=label
        )
    axes.set_yticks(range(len(pairs)), [_pair(names[one], names[two]) for one, two in pairs])
    axes.set(xlabel="mean angle (degrees)", xlim=(0, 90), ylim=(len(pairs) - 0.5, -0.5))
    axes.set_xticks(range(0, 91, 15))
    axes.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=2, handletextpad=0.3, columnspacing=0.8)


def _pair(one: str, two: str) -> str:
    return f"{one} –\n{two.replace(', ', ',' + chr(10))}"


def _turning(axes: Axes, groups: Mapping[str, Group], radii: NDArray[np.float64], threshold: float) -> None:
    for kind, (text, colour) in KINDS.items():
        group = groups[kind]
        median, low, high = (group[f"summary/turning/{key}"] for key in ("median", "median_low", "median_high"))
        n = int(group["summary/turning_radius/n"])
        label = f"{text}, n = {n}"
        if n:
            radius = [float(group[f"summary/turning_radius/{key}"]) for key in ("median", "median_low", "median_high")]
            label += f": {threshold:g}° at {radius[0]:.2f} [{radius[1]:.2f}, {radius[2]:.2f}]"
        axes.plot(radii, median, color=colour, marker="o", markersize=3, label=label)
        axes.fill_between(radii, low, high, color=colour, alpha=0.25, linewidth=0, label=f"_{text}")
    axes.axhline(threshold, color="k", linewidth=0.6, linestyle=":", label="_threshold")
    axes.set(
        xscale="log", xlabel="way along the boundary (pixel range = 1)", ylabel="turn of the normal\n(degrees, median)"
    )
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", bbox_to_anchor=(1.02, 1.0), handlelength=1.2)


def _shares(axes: Axes, groups: Mapping[str, Group], null: float, count: int, difference: Mapping[str, float]) -> None:
    bars = [
        ("normals of\ncrossings", "energy_normal", "natural"),
        ("normals of\ncrossings", "energy_normal", "adversarial"),
        ("difference\nof images", "energy_line", "natural"),
        ("attack\ndirection", "energy_line", "adversarial"),
    ]
    ticks = []
    for place, (text, name, kind) in enumerate(bars):
        summary = {key: float(groups[kind][f"summary/{name}/{key}"]) for key in ("mean", "mean_low", "mean_high", "n")}
        mean, low, high, n = summary.values()
        look: dict[str, Any] = {
            "color": KINDS[kind][1],
            "fmt": "o",
            "markersize": 4,
            "capsize": 2,
            "label": f"_{KINDS[kind][0]}",
        }
        axes.errorbar(place, mean, [[mean - low], [high - mean]], **look)
        ticks.append(f"{text}\nn = {n:.0f}")
    axes.axhline(null, color="k", linewidth=0.8, linestyle="--", label="_random")
    axes.annotate(
        f"random: {null:.3f}", (3.55, null), textcoords="offset points", xytext=(0, 3), ha="right",
        size=plt.rcParams["legend.fontsize"],
    )  # fmt: skip
    axes.set_xticks(range(len(bars)), ticks)
    axes.set(ylabel=f"share of squared length in {count}\nprincipal directions", xlim=(-0.6, 3.6), ylim=(0, 1))
    mean, low, high = difference.values()
    title = "difference of normals: "
    title += f"{mean:.3f} [{low:.3f}, {high:.3f}]" if np.isfinite(low) else "not measured"
    axes.set_title(title, fontsize=plt.rcParams["legend.fontsize"])


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(boundary=snakemake.input.boundary, outputs=snakemake.output, **run.settings)
