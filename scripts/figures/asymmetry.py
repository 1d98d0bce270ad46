"""Draw persistence against distance to the boundary, and face numbers on both sides of it, with the half-space null."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import ADVERSARIAL, NATURAL, drawing, save, with_interval
from pipeline.store import reading

GROUPS = ("natural", "adversarial", "near", "far")
NAMES = ("natural\nimages", "adversarial\nimages", "natural\nside", "adversarial\nside")
COLOURS = (NATURAL, ADVERSARIAL, NATURAL, ADVERSARIAL)
MARKERS = ("o", "o", "^", "^")


def draw(*, asymmetry: str, outputs: Sequence[str], style: str) -> None:
    """Left: each point, with the line of one face. Right: mean face numbers with intervals."""
    with reading(asymmetry) as file:
        groups = {name: file.read_group(name) for name in GROUPS}
        summaries = {name: file.read_group(f"summary/{name}") for name in (*GROUPS, "sides", "matched")}
        null = float(file.read("null_slope"))
        gamma = float(file.read("gamma"))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (left, right) = plt.subplots(2, 1, figsize=(width, 2 * height))
        reach = [np.inf, 0.0]
        for name, text, colour, marker in zip(GROUPS, NAMES, COLOURS, MARKERS, strict=True):
            d, s = groups[name]["distance"], groups[name]["sigma"]
            fill = colour if marker == "o" else "none"
            label = f"{text.replace(chr(10), ' ')}, n = {len(d)}"
            left.scatter(d, s, s=7, marker=marker, facecolors=fill, edgecolors=colour, linewidths=0.5, label=label)
            reach = [min(reach[0], d.min()), max(reach[1], d.max())]
        left.plot(reach, [null * value for value in reach], color="k", linewidth=0.8, label="flat boundary")
        left.set(
            xscale="log",
            yscale="log",
            xlabel="distance to the boundary (pixel range = 1)",
            ylabel="persistence σ* (pixel range = 1)",
        )
        left.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2, handletextpad=0.2, columnspacing=0.6)
        for place, (name, text, colour) in enumerate(zip(GROUPS, NAMES, COLOURS, strict=True)):
            mean, low, high = (float(np.exp(summaries[name][key])) for key in ("mean", "mean_low", "mean_high"))
            look: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 4, "capsize": 2, "label": f"_{text}"}
            right.errorbar(place, mean, [[mean - low], [high - mean]], **look)
        right.axhline(1, color="k", linewidth=0.8)
        right.set(ylabel=f"face number k, γ = {gamma:g}\n(geometric mean)", xlim=(-0.5, 3.5), ylim=(0, None))
        counts = [int(summaries[name]["n"]) for name in GROUPS]
        right.set_xticks(range(4), [f"{text}\nn = {n}" for text, n in zip(NAMES, counts, strict=True)])
        notes = ["adversarial over natural, pair by pair:"]
        for name, text in (("matched", "at equal distance"), ("sides", "the two sides")):
            mean, low, high = (float(np.exp(summaries[name][key])) for key in ("mean", "mean_low", "mean_high"))
            n = int(summaries[name]["n"])
            notes.append(f"{text}, n = {n}: × {with_interval(mean, low, high)}" if n else f"{text}: no pairs")
        right.set_title("\n".join(notes), fontsize=plt.rcParams["legend.fontsize"])
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(asymmetry=snakemake.input.asymmetry, outputs=snakemake.output, **run.settings)
