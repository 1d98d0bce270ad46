"""Draw class frequencies under growing noise around a natural and an adversarial image (Bell, figures 9, 11)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figure import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import StoreError, reading

# Classes that never reach this share are drawn but not named.
NAMED_FROM = 0.1


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
    reached = int(groups["adversarial"]["frequency"][rows[0], 0].argmax())
    colours = {true_class: NATURAL, reached: ADVERSARIAL}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, height * 1.25))
        grid = figure.add_gridspec(2, 2, height_ratios=[6, 1])
        for column, name in enumerate(("natural", "adversarial")):
            values = {key: array[row[name]] for key, array in groups[name].items()}
            axes = figure.add_subplot(grid[0, column])
            _curves(axes, sigma, values, classes, colours)
            axes.set_title(f"{name} ({classes[[true_class, reached][column]]})", color=[NATURAL, ADVERSARIAL][column])
            axes.tick_params(labelleft=column == 0)
            _examples(figure.add_subplot(grid[1, column]), values["examples"], shown)
        figure.axes[0].set_ylabel(f"class frequency ({samples} samples)")
        figure.supxlabel("σ of the noise (pixel range = 1)", fontsize=plt.rcParams["axes.labelsize"])
        save(figure, outputs)


def _curves(
    axes: Axes, sigma: np.ndarray, values: Mapping[str, np.ndarray], classes: Sequence[str], colours: Mapping[int, str]
) -> None:
    for number, name in enumerate(classes):
        colour = colours.get(number, OTHER)
        front = 2 if number in colours else 1
        share = values["frequency"][:, number]
        axes.plot(sigma, share, color=colour, zorder=front, linewidth=None if front == 2 else 0.7)
        axes.fill_between(
            sigma,
            values["low"][:, number],
            values["high"][:, number],
            color=colour,
            alpha=0.25,
            linewidth=0,
            zorder=front,
        )
        if share.max() >= NAMED_FROM:
            # At its peak for a class that rises and falls, else where the curve leaves the axes.
            peak = int(share.argmax())
            place = peak if 0.05 * len(sigma) < peak < 0.95 * len(sigma) else len(sigma) - 1
            size = plt.rcParams["xtick.labelsize"]
            axes.annotate(name, (sigma[place], share[place]), (0, 1), "data", "offset points", color=colour, size=size)
    axes.set(xlim=(0, sigma[-1]), ylim=(0, 1.05))


def _examples(axes: Axes, images: np.ndarray, sigmas: np.ndarray) -> None:
    strip = np.concatenate([np.pad(image, ((0, 0), (0, 0), (0, 2)), constant_values=1) for image in images], axis=2)
    axes.imshow(np.clip(strip, 0, 1).transpose(1, 2, 0).squeeze(), vmin=0, vmax=1, interpolation="nearest")
    side = images.shape[-1] + 2
    ticks = (np.arange(len(images)) + 0.5) * side - 1
    axes.set_xticks(ticks, [f"{value:.1f}" for value in sigmas])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        draw(stability=snakemake.input.stability, outputs=snakemake.output, **run.settings)
