"""Draw a histogram of the distortion of successful adversarial images, with its mean (Bell, figure 3)."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.panels import BINS, centre_line, counted, estimated
from pipeline.figures.style import ADVERSARIAL, drawing, save
from pipeline.store import StoreError, reading


def draw(*, attack: str, outputs: Sequence[str], style: str, published: float | None = None) -> None:
    """Draw the histogram; a line marks the mean, a band its interval, a dashed line the published mean if given."""
    with reading(attack) as file:
        success, distortion = file.read("success"), file.read("distortion")
        if not success.any():
            raise StoreError(f"{attack}: no attack succeeded, so there is no distortion to draw")
        mean, low, high = (float(file.read(f"summary/{key}")) for key in ("mean", "mean_low", "mean_high"))
        n, clusters = int(file.read("summary/n")), int(file.read("summary/clusters"))
    with drawing(style):
        figure, axes = plt.subplots()
        label = f"successes, {counted(n, clusters)}, of {len(success)} attacked\nmean {estimated(mean, low, high, 4)}"
        bars: dict[str, Any] = {"color": ADVERSARIAL, "alpha": 0.5, "label": label}
        axes.hist(distortion[success], min(BINS, math.isqrt(n) + 1), weights=np.full(n, 1 / n), **bars)
        centre_line(axes, mean, low, high, ADVERSARIAL, "mean")
        if published is not None:
            axes.axvline(published, color="k", linestyle="--", linewidth=1, label=f"published mean {published:g}")
        axes.set(xlabel="distortion: RMS change of a pixel (pixel range = 1)", ylabel="share of images per bin")
        axes.locator_params(axis="x", nbins=6)
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), handlelength=1.5)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(attack=snakemake.input.attack, outputs=snakemake.output, **run.settings)
