"""Draw how kernel sums and the Gaussian process's variance tell other points from natural ones."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.panels import KERNEL_GROUPS
from pipeline.figures.style import drawing, save
from pipeline.store import reading

NAMES = {
    "sum": "kernel sum",
    "cosine": "mean cosine",
    "variance": "GP variance",
    "relative_variance": "GP variance / prior",
}


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """ROC curves of four scores against natural points, and their areas with intervals below."""
    with reading(kernel) as file:
        others = [str(name) for name in file.read("groups") if name != "natural"]
        curves = {
            (score, other): [file.read(f"roc/{score}/{other}/{key}") for key in ("false", "true")]
            for score in NAMES
            for other in others
        }
        areas = {key: file.read_group("auroc/" + "/".join(key)) for key in curves}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, 2.5 * height))
        panels = figure.add_gridspec(3, 2, height_ratios=[1, 1, 0.95])
        for number, (score, name) in enumerate(NAMES.items()):
            axes = figure.add_subplot(panels[number // 2, number % 2])
            axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, label="_chance")
            for other in others:
                colour, _, line = KERNEL_GROUPS[other]
                axes.plot(*curves[score, other], line, color=colour, label=f"_{other}")
            axes.set(title=name, aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.tick_params(labelbottom=number > 1, labelleft=number % 2 == 0)
            axes.set(
                xlabel="share of natural flagged" if number > 1 else "",
                ylabel="" if number % 2 else "share of others flagged",
            )
        axes = figure.add_subplot(panels[2, :])
        for place, other in enumerate(others):
            shift = 0.15 * (place - (len(others) - 1) / 2)
            first = areas["sum", other]
            colour, marker, line = KERNEL_GROUPS[other]
            label = f"{other}, n = {int(first['n_adversarial'])}"
            for number, score in enumerate(NAMES):
                value, low, high = (float(areas[score, other][key]) for key in ("value", "low", "high"))
                axes.errorbar(
                    number + shift, value, [[value - low], [high - value]], color=colour, marker=marker,
                    linestyle=line, markersize=3, capsize=2, label=label if number == 0 else f"_{label}",
                )  # fmt: skip
        axes.axhline(0.5, color="0.7", linewidth=0.8)
        axes.set(ylabel="AUROC", ylim=(-0.04, 1.05), xlim=(-0.5, len(NAMES) - 0.5))
        axes.set_xticks(range(len(NAMES)), [name.replace(" / ", "\n/ ") for name in NAMES.values()])
        natural = int(areas["sum", others[0]]["n_natural"])
        axes.legend(
            title=f"against natural points, n = {natural}", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2,
        )  # fmt: skip
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
