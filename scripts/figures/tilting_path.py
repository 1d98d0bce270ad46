"""Draw the tilting plane, mirror images, distance and errors over lambda (Tanay, figure 6)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import OTHER, drawing, save
from pipeline.figures.tilting import digit, nearest, plane, power, reach_of
from pipeline.store import Reader, reading

DISTANCE = "C3"


def draw(*, tilting: str, outputs: Sequence[str], style: str, alphas: Sequence[float]) -> None:
    """A column for each lambda shown; below, all of them: adversarial distance and errors with intervals."""
    with reading(tilting) as file, drawing(style):
        places, reach = nearest(file, alphas), reach_of(file)
        mirror, label = (file.read(f"digits/{name}") for name in ("mirror", "label"))
        rows = [int(np.flatnonzero(label == side)[0]) for side in (-1, 1)]
        width = plt.rcParams["figure.figsize"][0]
        figure = plt.figure(figsize=(width, 1.4 * width))
        grid = figure.add_gridspec(4, len(places), height_ratios=(1, 0.8, 0.8, 2))
        small = plt.rcParams["xtick.labelsize"]
        alpha, theta = file.read("alpha"), file.read("theta")
        for column, place in enumerate(places):
            axes = figure.add_subplot(grid[0, column])
            plane(axes, file, place, reach, size=1.2)
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"λ = {power(alpha[place])}\nθ = {theta[place]:.0f}°", size=small)
            for line, row in enumerate(rows):
                digit(figure.add_subplot(grid[1 + line, column]), mirror[place, row], tilting)
        _curves(figure, grid[3, :], file, alpha[places])
        save(figure, outputs)


def _curves(figure: plt.Figure, cell: plt.SubplotSpec, file: Reader, shown: np.ndarray) -> None:
    axes = figure.add_subplot(cell)
    alpha, error = file.read("alpha"), file.read("test/error")
    for split, line in (("test", "-"), ("train", ":")):
        n = int(file.read(f"{split}/n"))
        axes.plot(alpha, 100 * file.read(f"{split}/error"), line, color=OTHER, label=f"{split} error, n = {n}")
        axes.fill_between(
            alpha,
            100 * file.read(f"{split}/low"),
            100 * file.read(f"{split}/high"),
            color=OTHER,
            alpha=0.15,
            linewidth=0,
            label=f"_{split} error",
        )
    axes.set(xlabel="α = log$_{10}$ λ", ylabel="error (%)", ylim=(0, None))
    best = int(file.read("test/best"))
    axes.plot(alpha[best], 100 * error[best], "v", color=OTHER, markersize=5, label="best")
    for value in shown:
        axes.axvline(value, color="0.85", linewidth=0.8, zorder=0, label="_shown above")
    other = axes.twinx()
    other.spines["right"].set(visible=True, color=DISTANCE)
    other.plot(alpha, file.read("d_adv"), color=DISTANCE, label="_$d_{adv}$")
    other.set_ylabel("$d_{adv}$ (pixel range = 1)", color=DISTANCE)
    other.tick_params(colors=DISTANCE)
    other.set_ylim(0, None)
    level = 100 * file.attribute("confidence")
    handles, names = axes.get_legend_handles_labels()
    title = f"bands: {level:g} % intervals; above, n = {len(file.read('plane/label'))} of the images in training"
    figure.legend(handles, names, loc="outside lower center", ncols=3, title=title)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(tilting=snakemake.input.tilting, outputs=snakemake.output, **run.settings)
