"""Draw the kernel of two points with every place of the plane, and how k(x, x + d) spreads over x."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import OTHER, drawing, save, with_interval
from pipeline.store import reading


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """Above: maps with the training points. Below: k(x, x + d) over its mean, which a stationary kernel keeps at 1."""
    with reading(kernel) as file:
        x, y, seen, centres = (file.read(name) for name in ("x", "y", "kernel", "centre"))
        distances, train = file.read("distance"), file.read("x_train")
        values = [file.read(f"shifted/{i}/values") for i in range(len(distances))]
        spreads = [file.read_group(f"shifted/{i}/variation") for i in range(len(distances))]
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, 1.75 * height))
        panels = figure.add_gridspec(2, 2)
        maps = []
        for number in range(2):
            axes = figure.add_subplot(panels[0, number])
            limits = {"vmin": seen[:2].min(), "vmax": seen[:2].max()}
            shown = axes.pcolormesh(x, y, seen[number], cmap="viridis", rasterized=True, label="_kernel", **limits)
            some = train[:: max(1, len(train) // 300)]
            axes.scatter(some[:, 0], some[:, 1], s=0.4, color="w", alpha=0.6, linewidths=0, label="_training points")
            star: dict[str, Any] = {
                "marker": "*",
                "color": "w",
                "markeredgecolor": "k",
                "linestyle": "none",
                "label": "_★",
            }
            axes.plot(*centres[number], markersize=9, **star)
            axes.set(aspect="equal", xlabel="first coordinate", ylabel="" if number else "second coordinate")
            axes.tick_params(labelleft=number == 0)
            maps.append(axes)
        bar = figure.colorbar(shown, ax=maps, location="top", aspect=40)
        bar.set_label("k(★, x) (squared logits per squared weight)")
        axes = figure.add_subplot(panels[1, :])
        generator = np.random.default_rng(0)
        for number, (part, spread) in enumerate(zip(values, spreads, strict=True)):
            across = number + generator.uniform(-0.25, 0.25, len(part))
            axes.scatter(
                across,
                part / part.mean(),
                s=2,
                color=OTHER,
                alpha=0.5,
                linewidths=0,
                label=f"_|d| = {distances[number]:g}",
            )
            centre, low, high = (float(spread[key]) for key in ("value", "low", "high"))
            text = with_interval(centre, low, high).replace(" ", "\n")
            axes.annotate(text.replace(",\n", ", "), (number, 1), (0, 3), ("data", "axes fraction"), "offset points",
                          ha="center", size=7)  # fmt: skip
        axes.axhline(1, color="k", linewidth=0.8)
        axes.set_xticks(range(len(distances)), [f"{d:g}" for d in distances])
        axes.set(xlabel=f"distance |d|, n = {len(values[0])} places x each", ylabel="k(x, x + d) / mean over x")
        axes.set_title("standard deviation / mean over x, by |d|", pad=22)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
