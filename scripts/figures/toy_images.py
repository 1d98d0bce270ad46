"""Draw the toy problem's classes, their mirror images and the weight vectors in each dimension (Tanay, figure 3)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.style import EXACT, drawing, save
from pipeline.store import reading

CLASSES = ("I", "J")


def draw(*, toy: str, outputs: Sequence[str], style: str) -> None:
    """One block of strips a dimension: an image of I and of J, and what takes them across each boundary."""
    with reading(toy) as file, drawing(style):
        dimensions = file.read("dimension").tolist()
        width, small = plt.rcParams["figure.figsize"][0], plt.rcParams["xtick.labelsize"]
        figure, panels = plt.subplots(
            3 * len(dimensions), 3, figsize=(width, 0.55 * 3 * len(dimensions)), squeeze=False
        )
        for block, dimension in enumerate(dimensions):
            image, weight, mirror = (file.read(f"{dimension}/{name}") for name in ("image", "weight", "mirror"))
            theta, distance = file.read(f"{dimension}/theta"), file.read(f"{dimension}/d_adv")
            rows = panels[3 * block : 3 * block + 3]
            for row, name in enumerate(CLASSES):
                _strip(rows[row, 0], image[row], (0, 1), "gray")
                rows[row, 0].set_title(f"{dimension} pixels, class {name}", size=small)
            rows[2, 0].set_axis_off()
            rows[2, 0].text(0.5, 0.5, "weights: red +, blue −", size=small, ha="center", va="center")
            for tilted in range(len(theta)):
                column = tilted + 1
                for row in range(len(CLASSES)):
                    _strip(rows[row, column], mirror[tilted, row], (0, 1), "gray")
                note = f"mirror, θ = {theta[tilted]:.0f}°"
                rows[0, column].set_title(note, size=small)
                rows[1, column].set_title(f"$d_{{adv}}$ = {distance[tilted]:.3f}", size=small)
                bound = float(np.abs(weight).max())
                _strip(rows[2, column], weight[tilted], (-bound, bound), "RdBu_r")
                rows[2, column].set_title("weight vector", size=small)
        figure.supxlabel(f"distances: root mean square, pixel range = 1; {EXACT}", size=small)
        save(figure, outputs)


def _strip(axes: plt.Axes, values: np.ndarray, limits: tuple[float, float], colours: str) -> None:
    axes.imshow(
        values[None],
        vmin=limits[0],
        vmax=limits[1],
        cmap=colours,
        aspect="auto",
        interpolation="nearest",
        label=PICTURE,
    )
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.4, color="0.6")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(toy=snakemake.input.toy, outputs=snakemake.output, **run.settings)
