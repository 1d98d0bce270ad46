"""Draw histograms of the persistence of natural and adversarial images (Bell, figures 10 and 14 to 16)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figure import ADVERSARIAL, NATURAL, drawing, save, with_interval
from pipeline.store import reading

BINS = 30


def draw(*, persistence: str, outputs: Sequence[str], style: str) -> None:
    """Overlay both histograms; lines mark the medians, bands their intervals."""
    with reading(persistence) as file:
        groups = {name: file.read_group(name) for name in ("natural", "adversarial")}
    top = max(np.quantile(group["sigma"], 0.99) for group in groups.values()) * 1.05
    edges = np.linspace(0, top, BINS + 1)
    with drawing(style):
        figure, axes = plt.subplots()
        for (name, group), colour in zip(groups.items(), (NATURAL, ADVERSARIAL), strict=True):
            median, low, high = (float(group[f"summary/{key}"]) for key in ("median", "median_low", "median_high"))
            n, clusters = int(group["summary/n"]), int(group["summary/clusters"])
            count = f"n = {n}" if n == clusters else f"n = {n} ({clusters} origins)"
            label = f"{name}, {count}\nmedian {with_interval(median, low, high)}"
            axes.hist(
                np.minimum(group["sigma"], top),
                edges.tolist(),
                weights=np.full(n, 1 / n),
                color=colour,
                alpha=0.5,
                label=label,
            )
            axes.axvspan(low, high, color=colour, alpha=0.25, linewidth=0)
            axes.axvline(median, color=colour)
        axes.set(xlabel="persistence σ* (pixel range = 1)", ylabel="share of images per bin", xlim=(0, top))
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, handlelength=1, columnspacing=1)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        draw(persistence=snakemake.input.persistence, outputs=snakemake.output, **run.settings)
