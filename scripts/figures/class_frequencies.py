"""Draw class frequencies under growing noise around a natural and an adversarial image (Bell, figures 9, 11)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figure import ADVERSARIAL, NATURAL, drawing, save
from pipeline.panels import frequency_curves, image_strip, reached
from pipeline.store import StoreError, reading


def draw(*, stability: str, outputs: Sequence[str], style: str, target: int) -> None:
    """Draw the first successful adversarial image of a target (any for -1) and the natural image it came from."""
    with reading(stability) as file:
        groups = {name: file.read_group(name) for name in ("natural", "adversarial")}
        sigma, shown = file.read("sigma"), file.read("example_sigma")
        classes = [str(name) for name in file.read("classes")]
        samples = int(file.read("samples"))
    rows = np.flatnonzero((groups["adversarial"]["target"] == target) | (target == -1))
    if len(rows) == 0:
        raise StoreError(f"{stability}: holds no successful adversarial image with target {target}")
    row = {"adversarial": rows[0]}
    origin = groups["adversarial"]["index"][rows[0]]
    row["natural"] = np.flatnonzero(groups["natural"]["index"] == origin)[0]
    true_class = int(groups["natural"]["label"][row["natural"]])
    wrong_class = reached(groups["adversarial"]["target"][rows[0]], groups["adversarial"]["frequency"][rows[0]])
    colours = {true_class: NATURAL, wrong_class: ADVERSARIAL}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, height * 1.25))
        grid = figure.add_gridspec(2, 2, height_ratios=[6, 1])
        for column, name in enumerate(("natural", "adversarial")):
            values = {key: array[row[name]] for key, array in groups[name].items()}
            axes = figure.add_subplot(grid[0, column])
            frequency_curves(axes, sigma, values, classes, colours)
            axes.set_title(
                f"{name} ({classes[[true_class, wrong_class][column]]})", color=[NATURAL, ADVERSARIAL][column]
            )
            axes.tick_params(labelleft=column == 0)
            image_strip(figure.add_subplot(grid[1, column]), values["examples"], shown)
        figure.axes[0].set_ylabel(f"class frequency ({samples} samples)")
        figure.supxlabel("σ of the noise (pixel range = 1)", fontsize=plt.rcParams["axes.labelsize"])
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        draw(stability=snakemake.input.stability, outputs=snakemake.output, **run.settings)
