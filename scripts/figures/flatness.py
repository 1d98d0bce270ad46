"""Draw how the loss rises and predictions stay after steps along the loss gradient and in random directions (Note)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.style import ADVERSARIAL, OTHER, drawing, save
from pipeline.store import reading

GROUPS = {
    "gradient": (ADVERSARIAL, "o", "along the loss gradient"),
    "random": (OTHER, "s", "worst of the random directions"),
}


def draw(*, factors: str, outputs: Sequence[str], style: str) -> None:
    """Above, the median increase of the loss; below, the share of images whose class stays; both with intervals."""
    with reading(factors) as file:
        epsilon = file.read("flatness/epsilon")
        directions = int(file.read("flatness/directions"))
        groups = {name: file.read_group(f"flatness/{name}") for name in GROUPS}
    n = int(groups["gradient"]["rise/n"].max())
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (above, below) = plt.subplots(2, 1, figsize=(width, 1.7 * height), sharex=True)
        for name, (colour, marker, text) in GROUPS.items():
            for axes, part in ((above, "rise/median"), (below, "share")):
                middle, low, high = (groups[name][f"{part}{suffix}"] for suffix in ("", "_low", "_high"))
                line = {"color": colour, "marker": marker, "markersize": 3.5, "label": text}
                axes.errorbar(epsilon, middle, [middle - low, high - middle], capsize=2, **line)
        above.set(yscale="log", ylabel="median increase\nof the loss (nat)")
        title = f"n = {n} images, {directions} random directions each"
        above.legend(title=title, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
        below.set(xscale="log", ylim=(-0.03, 1.03), xlabel="length of the step ε (L2, pixel range = 1)")
        below.set_ylabel("share of images that\nkeep their class")
        below.set_xticks(epsilon, [f"{value:g}" for value in epsilon])
        below.minorticks_off()
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(factors=snakemake.input.factors, outputs=snakemake.output, **run.settings)
