"""Draw the training images that helped and harmed predictions most, by their shares in the margin."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.style import drawing, save
from pipeline.store import StoreError, reading

HELPFUL, HARMFUL = "C3", "C4"


def draw(*, importance: str, outputs: Sequence[str], style: str) -> None:
    """A row for each query: the query, its most helpful and its most harmful training images, with classes and shares.

    Raises:
        StoreError: the queries are no images.
    """
    with reading(importance) as file:
        groups = {name: file.read_group(name) for name in ("shown", "helpful", "harmful")}
        names = [str(name) for name in file.read("classes")]
        images = groups["shown"]["x"]
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise StoreError(f"{importance}: expected images of 1 or 3 colours to draw, found shape {images.shape}")
        _, queries, trained = file.read("share").shape
    rows, count = groups["helpful"]["label"].shape
    with drawing(style):
        width = 2 * plt.rcParams["figure.figsize"][0]
        columns = 1 + 2 * count
        figure, grid = plt.subplots(rows, columns, figsize=(width, 1.35 * width / columns * rows + 0.4), squeeze=False)
        small = plt.rcParams["legend.fontsize"]
        for row in range(rows):
            found, follower, label = (names[groups["shown"][key][row]] for key in ("predicted", "next", "label"))
            _image(grid[row, 0], images[row])
            text = f"{label}, seen as {found}\nover {follower}: {groups['shown']['margin'][row]:.2f}"
            grid[row, 0].set_title(text, fontsize=small)
            for name, colour, first in (("helpful", HELPFUL, 1), ("harmful", HARMFUL, 1 + count)):
                for i in range(count):
                    axes = grid[row, first + i]
                    _image(axes, groups[name]["x"][row, i])
                    share = groups[name]["share"][row, i]
                    axes.set_title(f"{names[groups[name]['label'][row, i]]}\n{share:+.3f}", fontsize=small)
                    axes.spines[:].set(visible=True, color=colour, linewidth=1.5)
        for first, text, colour in ((1, "raise the margin most", HELPFUL), (1 + count, "lower it most", HARMFUL)):
            grid[-1, first + (count - 1) // 2].set_xlabel(text, color=colour)
        grid[-1, 0].set_xlabel("query")
        text = f"shares in the margin (logit) by the path kernel of a single training on n = {trained} images; "
        figure.supxlabel(f"{text}{rows} of {queries} queries", fontsize=small)
        save(figure, outputs)


def _image(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image.transpose(1, 2, 0).squeeze(), vmin=0, vmax=1, interpolation="nearest", label=PICTURE)
    axes.set(xticks=[], yticks=[])


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(importance=snakemake.input.importance, outputs=snakemake.output, **run.settings)
