"""Draw how perturbations of one length grow from layer to layer, against the signal's own norm (the Note)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.panels import decades
from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import reading

GROUPS = {
    "adversarial": (ADVERSARIAL, "o", "adversarial"),
    "gradient": ("C4", "^", "loss gradient"),
    "natural": (NATURAL, "D", "toward another image"),
    "random": (OTHER, "s", "random"),
}


def draw(*, factors: str, outputs: Sequence[str], style: str) -> None:
    """Geometric means over images with intervals; every kind of perturbation has the adversarial one's length."""
    with reading(factors) as file:
        stages = [str(name) for name in file.read("growth/stage")]
        groups = {name: file.read_group(f"growth/{name}/log") for name in GROUPS}
        length = float(file.read("growth/length_median"))
    places = np.arange(len(stages))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, axes = plt.subplots(figsize=(width, 1.25 * height))
        for name, (colour, marker, text) in GROUPS.items():
            middle, low, high = (np.exp(groups[name][part]) for part in ("mean", "mean_low", "mean_high"))
            axes.plot(places, middle, color=colour, marker=marker, markersize=3, label=text)
            axes.fill_between(places, low, high, color=colour, alpha=0.25, linewidth=0, label=f"_{text}")
        axes.axhline(1, color="k", linewidth=0.6)
        axes.set(yscale="log", ylabel="growth of the perturbation\nover the signal's", xlabel="layer or block")
        decades(axes.yaxis)
        axes.set_xticks(
            places, [name.removeprefix("network.") for name in stages], rotation=60, ha="right", rotation_mode="anchor"
        )
        n = int(groups["adversarial"]["n"].max())
        title = f"n = {n} images, median length {length:.2g} (pixel range = 1)"
        axes.legend(title=title, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(factors=snakemake.input.factors, outputs=snakemake.output, **run.settings)
