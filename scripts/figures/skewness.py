"""Draw the angles at which lines cross decision boundaries, their nulls, and what they hang together with."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.panels import centre_line, estimated
from pipeline.figures.style import ADVERSARIAL, NATURAL, drawing, save, with_interval
from pipeline.store import reading

KINDS = {"natural": ("natural – natural", NATURAL), "adversarial": ("natural – adversarial", ADVERSARIAL)}
BINS = np.linspace(0, 90, 46)


def draw(*, boundary: str, outputs: Sequence[str], style: str) -> None:
    """Above: histograms with means and nulls. Below: skewness against the distance to the nearest boundary."""
    with reading(boundary) as file:
        groups = {kind: file.read_group(kind) for kind in KINDS}
        null = {key: float(file.read(f"null/skewness/{key}")) for key in ("mean", "low", "high")}
        level = 100 * float(file.read("confidence"))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (above, below) = plt.subplots(2, 1, figsize=(width, 2.3 * height))
        for kind, (text, colour) in KINDS.items():
            group = groups[kind]
            n = int(group["summary/skewness/n"])
            if n == 0:
                for axes in (above, below):
                    axes.plot([], [], color=colour, label=f"{text}: n = 0, no such line")
                continue
            mean, low, high = (float(group[f"summary/skewness/{key}"]) for key in ("mean", "mean_low", "mean_high"))
            label = f"{text}, n = {n}\nmean {estimated(mean, low, high, 1)}°"
            known = np.isfinite(group["skewness"])
            above.hist(
                group["skewness"][known], BINS.tolist(), weights=np.full(n, 1 / n), color=colour, alpha=0.5, label=label
            )
            centre_line(above, mean, low, high, colour, f"mean, {text}")
            mean, low, high = (float(group[f"summary/other/{key}"]) for key in ("mean", "mean_low", "mean_high"))
            other = f"to another line's boundary: {estimated(mean, low, high, 1)}°"
            above.axvline(mean, color=colour, linestyle=":", label=other)
            ranks = (
                f"{text}: ρ = {_correlation(group, 'nearest')},\nwith the line's length {_correlation(group, 'length')}"
            )
            below.scatter(group["nearest"], group["skewness"], s=7, color=colour, alpha=0.6, linewidths=0, label=ranks)
        random = f"random direction: {null['mean']:.1f}° ({level:g} %: {null['low']:.1f}° to {null['high']:.1f}°)"
        above.axvline(null["mean"], color="k", linestyle="--", linewidth=0.8, label=random)
        above.set(xlabel="angle between line and normal (degrees)", ylabel="share of lines per bin", xlim=(0, 90))
        above.set_xticks(range(0, 91, 15))
        above.legend(loc="lower left", bbox_to_anchor=(-0.15, 1.0))
        below.set(
            xlabel="distance to the nearest boundary (pixel range = 1)",
            ylabel="angle between line\nand normal (degrees)",
            ylim=(0, 90),
        )
        below.set_yticks(range(0, 91, 15))
        below.set_xlim(left=0)
        below.legend(loc="lower left", bbox_to_anchor=(-0.15, 1.0))
        save(figure, outputs)


def _correlation(group: Mapping[str, np.ndarray], name: str) -> str:
    value, low, high = (float(group[f"correlation/{name}/{key}"]) for key in ("value", "low", "high"))
    return with_interval(value, low, high)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(boundary=snakemake.input.boundary, outputs=snakemake.output, **run.settings)
