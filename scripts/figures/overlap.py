"""Draw the average overlap of class rankings between networks (Seguin, figures 3D and B.6)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.logits import draw_overlap, read_crossed
from pipeline.figures.style import drawing, save
from pipeline.store import reading


def draw(*, answers: str, outputs: Sequence[str], style: str) -> None:
    """AO@k over k by kind of pair; the title says from where on adversarial pairs overlap more than standard ones."""
    with reading(answers) as file, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, axes = plt.subplots(figsize=(width, 1.25 * height))
        draw_overlap(axes, file)
        found = read_crossed(file, "overlap/same/mixed")
        title = f"n = {found['n']} test images, {found['networks']} networks; bars: intervals over images\n"
        title += "and seeds, bands: deviation over pairs; dashed: exchanged in class"
        k, low, high = (float(file.read(f"overlap/same/crossing/{key}")) for key in ("value", "low", "high"))
        if np.isfinite(k):
            axes.axvline(k, color="k", linewidth=0.6, linestyle=":")
            title += f"\nadversarial above standard from k = {k:.1f} [{low:.0f}, {high:.0f}]"
        axes.legend(title=title, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=3)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(answers=snakemake.input.answers, outputs=snakemake.output, **run.settings)
