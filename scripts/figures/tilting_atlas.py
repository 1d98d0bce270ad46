"""Draw angles of every pair of classes over lambda, the best lambda marked (after Tanay, figure 6)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import drawing, save
from pipeline.store import StoreError, reading


def draw(*, tilting: Sequence[str], outputs: Sequence[str], style: str, pairs: Sequence[str]) -> None:
    """A row for each pair, the angle as its colour, a mark at the first lambda of the smallest test error."""
    rows: list[np.ndarray] = []
    marks: list[float] = []
    trained: list[int] = []
    alpha = np.zeros(0)
    for path in tilting:
        with reading(path) as file:
            if rows and not np.array_equal(alpha, file.read("alpha")):
                raise StoreError(f"{path}: expected the same values of alpha in every pair")
            alpha = file.read("alpha")
            rows.append(file.read("theta"))
            trained.append(int(file.read("train/n")))
            marks.append(alpha[int(file.read("test/best"))])
    with drawing(style):
        width = plt.rcParams["figure.figsize"][0]
        figure, axes = plt.subplots(figsize=(width, 1.2 + 0.125 * len(pairs)))
        half = (alpha[-1] - alpha[0]) / (len(alpha) - 1) / 2
        extent = (alpha[0] - half, alpha[-1] + half, len(pairs) - 0.5, -0.5)
        picture = axes.imshow(np.stack(rows), extent=extent, aspect="auto", cmap="viridis", vmin=0, vmax=90)
        place = np.arange(len(pairs))
        axes.plot(marks, place, "o", color="white", markeredgecolor="black", markersize=3, markeredgewidth=0.5)
        axes.set_yticks(place, pairs)
        title = f"single machines, n = {min(trained):,} to {max(trained):,} images;\ndots: smallest test error"
        axes.set(xlabel="α = log$_{10}$ λ", ylabel="pair of classes", title=title)
        figure.colorbar(picture, location="bottom", label="angle θ (degrees)", aspect=40)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(tilting=snakemake.input.tilting, outputs=snakemake.output, **run.settings)
