"""Draw digits and their mirror images across the boundaries of linear classifiers (Tanay, figure 2)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import drawing, save
from pipeline.figures.tilting import digit, nearest, power
from pipeline.store import reading


def draw(*, tilting: str, outputs: Sequence[str], style: str, alphas: Sequence[float]) -> None:
    """A row for each digit: the digit, then perturbation and mirror image for each lambda.

    A perturbation is the weight vector times a number; all of one lambda share a scale.
    """
    with reading(tilting) as file, drawing(style):
        places = nearest(file, alphas)
        image, mirror = file.read("digits/image"), file.read("digits/mirror")
        alpha, theta, distance = (file.read(name) for name in ("alpha", "theta", "d_adv"))
        columns = 1 + 2 * len(places)
        width = plt.rcParams["figure.figsize"][0]
        small = plt.rcParams["xtick.labelsize"]
        size = (width, width / columns * len(image) + 0.9)
        figure, panels = plt.subplots(len(image), columns, figsize=size, squeeze=False)
        for row, original in enumerate(image):
            digit(panels[row, 0], original, tilting)
            for column, place in enumerate(places):
                change = mirror[place] - image
                digit(panels[row, 1 + 2 * column], change[row], tilting, float(np.abs(change).max()))
                digit(panels[row, 2 + 2 * column], mirror[place, row], tilting)
        panels[0, 0].set_title("digit", size=small)
        for column, place in enumerate(places):
            bound = float(np.abs(mirror[place] - image).max())
            note = f"λ = {power(alpha[place])}\nθ = {theta[place]:.0f}°\nchange,\n± {bound:.2f}"
            panels[0, 1 + 2 * column].set_title(note, size=small)
            panels[0, 2 + 2 * column].set_title(f"$d_{{adv}}$ =\n{distance[place]:.2f}\nmirror\nimage", size=small)
        text = f"single machines, each trained on n = {int(file.read('train/n'))} images (pixel range = 1)"
        figure.supxlabel(text, size=small)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(tilting=snakemake.input.tilting, outputs=snakemake.output, **run.settings)
