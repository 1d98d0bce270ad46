"""Draw class frequencies under growing noise around all adversarial images made from one image (Bell, figure 13)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from pipeline.figure import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.panels import frequency_curves, image_strip, reached
from pipeline.store import StoreError, reading

ACROSS = 3

# Grey classes that never reach this share are not named: small panels have room for few names.
NAMED_FROM = 0.15


def draw(*, stability: str, outputs: Sequence[str], style: str) -> None:
    """Draw a panel for each successful attack on the first image that has any, in the order of the classes reached."""
    with reading(stability) as file:
        group = {key: file.read(f"adversarial/{key}") for key in ("index", "label", "target", "examples")}
        curves = {key: file.read(f"adversarial/{key}") for key in ("frequency", "low", "high")}
        sigma, shown = file.read("sigma"), file.read("example_sigma")
        classes = [str(name) for name in file.read("classes")]
        samples = int(file.read("samples"))
    if len(group["index"]) == 0:
        raise StoreError(f"{stability}: holds no successful adversarial image to draw")
    goals = {
        row: reached(group["target"][row], curves["frequency"][row])
        for row in np.flatnonzero(group["index"] == group["index"][0])
    }
    label = int(group["label"][0])
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
            axes = figure.add_subplot(grid[2 * line, column], sharex=first, sharey=first)
            first = first or axes
            values = {key: array[row] for key, array in curves.items()}
            colours = {label: NATURAL, goal: ADVERSARIAL}
            # The title and the legend name the coloured ones.
            others = [number for number in range(len(classes)) if number not in colours]
            frequency_curves(axes, sigma, values, classes, colours, others, NAMED_FROM)
            axes.set_title(f"{classes[label]} → {classes[goal]}", color=ADVERSARIAL, pad=3)
            axes.tick_params(labelleft=column == 0)
            image_strip(figure.add_subplot(grid[2 * line + 1, column]), group["examples"][row], shown)
        large: dict[str, Any] = {"size": plt.rcParams["axes.labelsize"]}
        figure.supylabel(f"class frequency ({samples} samples)", **large)
        figure.supxlabel("σ of the noise (pixel range = 1)", **large)
        names = {f"class {classes[label]} of the natural image": NATURAL, "class of the adversarial image": ADVERSARIAL}
        keys = [Line2D([], [], color=colour, label=name) for name, colour in names.items()]
        keys.append(Line2D([], [], color=OTHER, linewidth=0.7, label="other classes"))
        figure.legend(handles=keys, loc="outside upper center", ncols=3 if across > 1 else 1)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        draw(stability=snakemake.input.stability, outputs=snakemake.output, **run.settings)
