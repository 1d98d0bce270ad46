"""Draw class frequencies under growing noise around a natural and an adversarial image (Bell, figures 9, 11)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.frequencies import frequency_panel, read_sweep, settle_names
from pipeline.figures.panels import shortened
from pipeline.figures.style import ADVERSARIAL, NATURAL, drawing, save

# Characters of a group and a class that find room above a panel.
ONE_LINE = 19


def draw(*, stability: str, outputs: Sequence[str], style: str, target: int) -> None:
    """Draw the first successful adversarial image of a target (any for -1) and the natural image it came from."""
    sweep = read_sweep(stability)
    adversarial = sweep.row("adversarial", target)
    origin = sweep.groups["adversarial"]["index"][adversarial]
    natural = int(np.flatnonzero(sweep.groups["natural"]["index"] == origin)[0])
    rows = {"natural": (natural, NATURAL), "adversarial": (adversarial, ADVERSARIAL)}
    own = {name: sweep.own_class(name, row) for name, (row, _) in rows.items()}
    colours = {own[name]: colour for name, (_, colour) in rows.items()}
    shown = {name: shortened(sweep.classes[number]) for name, number in own.items()}
    separator = " " if all(len(name + text) <= ONE_LINE for name, text in shown.items()) else "\n"
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, height * 1.25))
        grid = figure.add_gridspec(2, 2, height_ratios=[6, 1])
        for column, (name, (row, colour)) in enumerate(rows.items()):
            axes = frequency_panel(figure, (grid[0, column], grid[1, column]), sweep, name, row, colours)
            axes.set_title(f"{name}{separator}({shown[name]})", color=colour)
            axes.tick_params(labelleft=column == 0)
        figure.axes[0].set_ylabel("class frequency")
        text = f"σ of the noise (pixel range = 1)\nn = {sweep.samples:,} samples a point"
        figure.supxlabel(text, fontsize=plt.rcParams["axes.labelsize"])
        settle_names(figure)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(stability=snakemake.input.stability, outputs=snakemake.output, **run.settings)
