"""Draw histograms of the persistence of natural and adversarial images (Bell, figures 10 and 14 to 16)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.panels import persistence_bars, read_persistence
from pipeline.figures.style import drawing, save
from pipeline.store import reading


def draw(*, persistence: str, outputs: Sequence[str], style: str) -> None:
    """Overlay both histograms; lines mark the medians, bands their intervals."""
    with reading(persistence) as file:
        groups = read_persistence(file)
    with drawing(style):
        figure, axes = plt.subplots()
        persistence_bars(axes, groups)
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, handlelength=1, columnspacing=1)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(persistence=snakemake.input.persistence, outputs=snakemake.output, **run.settings)
