"""Draw logit gaps of test images by way of training, and adversarial accuracy by gap (Seguin, figures 2 and B.5)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.logits import TRAINING, as_text, read_crossed
from pipeline.figures.style import drawing, save
from pipeline.store import Reader, reading


def draw(*, distributions: str, outputs: Sequence[str], style: str) -> None:
    """Above, gaps of both; below, the share of images in each bin of gaps that survive the attack.

    Bins hold equally many images; bars are binomial, bands the deviation over seeds.
    """
    with reading(distributions) as file, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (above, below) = plt.subplots(2, 1, figsize=(width, 1.85 * height), sharex=True)
        _gaps(above, file)
        _accuracy(below, file)
        save(figure, outputs)


def _gaps(axes: Axes, file: Reader) -> None:
    edges, threshold = file.read("edges/gap"), float(file.read("threshold"))
    epochs = file.read("epochs", ("epoch",)).tolist()
    for training, colour in TRAINING.items():
        epoch = int(file.read(f"teacher_epoch/{training}"))
        place = epochs.index(epoch)
        group = f"{training}/test/gap"
        heights = file.read(f"{group}/histogram")[place]
        parts = {name: read_crossed(file, f"{group}/{name}") for name in ("mean", "skewness", "above")}
        mean, skew, large = (as_text(part, place) for part in parts.values())
        numbers = f"n = {parts['mean']['n']} images, {parts['mean']['networks']} seeds"
        text = f"{training}, epoch {epoch}, {numbers}\nmean {mean}, skew {skew},\n> {threshold:g}: {large}"
        axes.stairs(heights, edges, fill=True, color=colour, alpha=0.5, label=text)
    axes.axvline(threshold, color="k", linewidth=0.6, linestyle=":", label="_threshold")
    axes.set(xlim=(0, edges[-1]), ylabel="share of test images per bin")
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), borderpad=0.1)


def _accuracy(axes: Axes, file: Reader) -> None:
    for training, colour in TRAINING.items():
        found = file.read_group(f"by_gap/{training}")
        gap, mean, spread = found["gap"], found["mean"], np.nan_to_num(found["deviation"])
        trend = read_crossed(file, f"by_gap/{training}/trend")
        text = f"{training}, n = {found['n'].sum(1)[0]} images, {len(found['n'])} seeds"
        known = np.isfinite(trend["value"])
        text += f"\nsurvivor's gap larger: P = {as_text(trend)}" if known else "\nno survivor of some seed"
        axes.plot(gap, mean, color=colour, label=text)
        axes.fill_between(
            gap,
            mean - spread,
            mean + spread,
            color=colour,
            alpha=0.25,
            linewidth=0,
            label=f"_{training}, deviation over seeds",
        )
        bars: dict[str, Any] = {"fmt": "o", "color": colour, "markersize": 2, "elinewidth": 0.5, "capsize": 1}
        shift = 0.01 * axes.get_xlim()[1]
        for seed, (share, low, high) in enumerate(zip(found["share"], found["low"], found["high"], strict=True)):
            x = gap + shift * (seed - (len(found["n"]) - 1) / 2)
            axes.errorbar(x, share, [share - low, high - share], label=f"_{training}, seed {seed}", **bars)
    axes.set(ylim=(-0.03, 1.03), ylabel="adversarial accuracy", xlabel="natural logit gap")
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), borderpad=0.1)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(distributions=snakemake.input.distributions, outputs=snakemake.output, **run.settings)
