"""Draw images of one class that two ways of training agree or differ on, by confidence (Seguin, figure B.2)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.logits import images_of, show
from pipeline.figures.panels import shortened
from pipeline.figures.style import drawing, save
from pipeline.store import reading

# As in a plane: adversarial confidence to the right, standard confidence upward.
QUADRANTS = (("standard_high", "both_high"), ("both_low", "adversarial_high"))
TITLES = {
    "standard_high": "standard sure,\nadversarial unsure",
    "both_high": "standard and\nadversarial sure",
    "both_low": "standard and\nadversarial unsure",
    "adversarial_high": "adversarial sure,\nstandard unsure",
}
COLUMNS, MOST_ROWS = 3, 3


def draw(*, images: str, outputs: Sequence[str], style: str) -> None:
    """Four quadrants of images; below each image its mean ranks over seeds, adversarial and standard."""
    with reading(images) as file:
        pictures = {name: images_of(file, f"corners/{name}") for name in TITLES}
        index = {name: file.read(f"corners/{name}/index") for name in TITLES}
        ranks = {name: file.read(f"ranks/mean/{name}") for name in ("adversarial", "standard")}
        seeds = len(file.read("ranks/standard"))
        chosen = int(file.read("shown_class"))
        count = int((file.read("label") == chosen).sum())
        name = shortened(str(file.read("classes")[chosen]))
    rows = min(MOST_ROWS, -(-max(map(len, index.values())) // COLUMNS))
    with drawing(style):
        width = plt.rcParams["figure.figsize"][0]
        # Beside the images, lines of text above each quadrant and above all.
        figure = plt.figure(figsize=(width, width * (0.38 + 0.36 * rows)))
        parts = np.asarray(figure.subfigures(2, 2, wspace=0.04))
        for row, quadrants in enumerate(QUADRANTS):
            for column, quadrant in enumerate(quadrants):
                panels = parts[row, column].subplots(rows, COLUMNS, squeeze=False).flat
                parts[row, column].suptitle(TITLES[quadrant], fontsize=8)
                for place, axes in enumerate(panels):
                    if place >= len(index[quadrant]):
                        axes.set_axis_off()
                        continue
                    show(axes, pictures[quadrant][place])
                    both = [ranks[kind][index[quadrant][place]] for kind in ("adversarial", "standard")]
                    axes.set_xlabel(", ".join(_short(rank) for rank in both), fontsize=7, labelpad=1)
        text = f"class {name}: single images of n = {count}; ranks of\n"
        text += f"confidence, adversarial and standard, means of {seeds} seeds"
        figure.suptitle(text, fontsize=plt.rcParams["legend.fontsize"])
        save(figure, outputs)


def _short(rank: float) -> str:
    return np.format_float_positional(rank, 2, min_digits=2, trim="k").removeprefix("0") if rank < 1 else "1.0"


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(images=snakemake.input.images, outputs=snakemake.output, **run.settings)
