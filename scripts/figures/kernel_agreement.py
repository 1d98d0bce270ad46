"""Draw the kernel machine's outputs against the network's, and what separates them (Bell, figures 20 and 23)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import CLASSES, drawing, save
from pipeline.store import Reader, reading

INSIDE, OUTSIDE = ("C3", "o"), ("C5", "^")


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """Agreement and residuals; the data and the decision boundary too where they have two dimensions."""
    with reading(kernel) as file, drawing(style):
        planar = "x_train" in file
        width, height = plt.rcParams["figure.figsize"]
        figure, axes = plt.subplots(2 + planar, 1, figsize=(width, height * (1.5 + 0.75 * planar)))
        if planar:
            _data(axes[0], file)
        _agreement(axes[-2], axes[-1], file)
        save(figure, outputs)


def _data(axes: Axes, file: Reader) -> None:
    x, y, names = file.read("x_train"), file.read("y_train"), file.read("classes")
    for number, name in enumerate(names):
        points = x[y == number]
        label = f"class {name}, n = {len(points)}"
        axes.scatter(points[:, 0], points[:, 1], s=1.5, color=CLASSES[number % 2], alpha=0.5, linewidths=0, label=label)
    if "map/class" in file:
        lines, of = (file.read("map/x"), file.read("map/y")), file.read("map/class")
        between = [number + 0.5 for number in range(len(names) - 1)]
        axes.contour(*lines, of, levels=between, colors="k", linewidths=0.8).set(label="_decision boundary")
        axes.plot([], [], color="k", linewidth=0.8, label="decision boundary")
    queries = file.read("x")
    axes.scatter(
        queries[:, 0], queries[:, 1], s=8, color="k", marker="x", linewidths=0.7, label=f"queries, n = {len(queries)}"
    )
    axes.set(xlabel="first coordinate", ylabel="second coordinate")
    axes.legend(markerscale=1.5, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, handletextpad=0.1)


def _agreement(axes: Axes, below: Axes, file: Reader) -> None:
    network, prediction = file.read("network"), file.read("prediction")
    inside, tolerance = file.read("in_training_set"), float(file.read("tolerance"))
    span = [min(network.min(), prediction.min()), max(network.max(), prediction.max())]
    axes.plot(span, span, color="0.7", linewidth=0.8, zorder=0, label="_equal")
    gap = np.maximum(np.abs(prediction - network), np.finfo(float).eps)
    for rows, (colour, marker), name in ((inside, INSIDE, "training points"), (~inside, OUTSIDE, "test points")):
        label = f"{name}, n = {rows.sum()}"
        style: dict[str, Any] = {"s": 9, "color": colour, "marker": marker, "alpha": 0.7, "linewidths": 0}
        axes.scatter(network[rows].ravel(), prediction[rows].ravel(), label=label, **style)
        below.scatter(network[rows].ravel(), gap[rows].ravel(), label=f"_{label}", **style)
    axes.set(ylabel="kernel machine (logit)")
    axes.tick_params(labelbottom=False)
    title = f"single training, {network.shape[1]} outputs a point;\nlargest |difference| {gap.max():.1e} logit"
    axes.legend(loc="lower center", bbox_to_anchor=(0.43, 1.0), ncols=2, handletextpad=0.1, title=title)
    below.axhline(tolerance, color="0.4", linestyle="--", linewidth=0.8, label="_tolerance")
    below.annotate("tolerance", (1, tolerance), (0, 2), ("axes fraction", "data"), "offset points", ha="right", size=7)
    below.set(yscale="log", xlabel="network output (logit)", ylabel="|difference| (logit)", ylim=(None, tolerance * 20))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
