"""Draw a small CNN's distance to the boundary and test error against its weight penalty."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import NATURAL, OTHER, drawing, save
from pipeline.store import reading


def draw(*, decay: str, outputs: Sequence[str], style: str) -> None:
    """Means with Student intervals above, errors with Clopper-Pearson intervals below; one place for each strength."""
    with reading(decay) as file, drawing(style):
        strength = file.read("strength")
        place = np.arange(len(strength))
        mean, low, high = (
            np.array([float(file.read(f"summary/{k}/{name}")) for k in place])
            for name in ("mean", "mean_low", "mean_high")
        )
        counts = [int(file.read(f"summary/{k}/n")) for k in place]
        error, least, most = (100 * file.read(f"test/{name}") for name in ("error", "low", "high"))
        figure, (top, bottom) = plt.subplots(2, 1, sharex=True)
        top.errorbar(place, mean, [mean - low, high - mean], fmt="o", color=NATURAL, markersize=3)
        top.set(ylabel="distance to boundary\n(pixel range = 1)", ylim=(0, None))
        n = " to ".join(f"{count}" for count in sorted({min(counts), max(counts)}))
        top.set_title(f"n = {n} test images; {100 * file.attribute('confidence'):g} % intervals")
        bottom.errorbar(place, error, [error - least, most - error], fmt="s", color=OTHER, markersize=3)
        bottom.set(xlabel="weight penalty λ", ylabel="test error (%)", ylim=(0, None))
        bottom.set_xticks(place, [f"{value:g}" for value in strength])
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(decay=snakemake.input.decay, outputs=snakemake.output, **run.settings)
