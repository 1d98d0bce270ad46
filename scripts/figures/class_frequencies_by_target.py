"""Draw class frequencies under growing noise around all adversarial images made from one image (Bell, figure 13)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from pipeline.figures.frequencies import frequency_panel, read_sweep, settle_names
from pipeline.figures.panels import shortened
from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import StoreError

ACROSS = 3

# Grey classes that never reach this share are not named: small panels have room for few names.
NAMED_FROM = 0.15


def draw(*, stability: str, outputs: Sequence[str], style: str) -> None:
    """Draw a panel for each successful attack on the first image that has any, in the order of the classes reached."""
    sweep = read_sweep(stability, ["adversarial"])
    group = sweep.groups["adversarial"]
    if len(group["index"]) == 0:
        raise StoreError(f"{stability}: holds no successful adversarial image to draw")
    rows = np.flatnonzero(group["index"] == group["index"][0])
    goals = {int(row): sweep.own_class("adversarial", int(row)) for row in rows}
    label, classes = int(group["label"][0]), [shortened(name) for name in sweep.classes]
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        across = min(ACROSS, len(goals))
        lines = -(-len(goals) // across)
        size = (width * (1 if across == 1 else 2), height * (0.25 + 0.82 * lines))
        figure = plt.figure(figsize=size)
        grid = figure.add_gridspec(2 * lines, across, height_ratios=[4.2, 1] * lines, wspace=0.08)
        first = None
        for number, (row, goal) in enumerate(sorted(goals.items(), key=lambda item: item[1])):
            line, column = divmod(number, across)
            places = grid[2 * line, column], grid[2 * line + 1, column]
            colours = {label: NATURAL, goal: ADVERSARIAL}
            axes = frequency_panel(figure, places, sweep, "adversarial", row, colours, NAMED_FROM, first)
            first = first or axes
            axes.set_title(f"{classes[label]} → {classes[goal]}", color=ADVERSARIAL, pad=3)
            axes.tick_params(labelleft=column == 0)
        large: dict[str, Any] = {"size": plt.rcParams["axes.labelsize"]}
        figure.supylabel(f"class frequency (n = {sweep.samples:,} samples a point)", **large)
        figure.supxlabel("σ of the noise (pixel range = 1)", **large)
        names = {f"class {classes[label]} of the natural image": NATURAL, "class of the adversarial image": ADVERSARIAL}
        keys = [Line2D([], [], color=colour, label=name) for name, colour in names.items()]
        keys.append(Line2D([], [], color=OTHER, linewidth=0.7, label="other classes"))
        figure.legend(handles=keys, loc="outside upper center", ncols=3 if across > 1 else 1)
        settle_names(figure)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(stability=snakemake.input.stability, outputs=snakemake.output, **run.settings)
