"""Draw the kernel of single points with every training point, in the distribution and out of it (Bell, figure 21)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from pipeline.figures.style import OTHER, drawing, save, with_interval
from pipeline.store import reading


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """A panel for each point: where the training points lie in the plane, or else values by class."""
    with reading(kernel) as file:
        points, groups, values = (file.read(f"shown/{name}") for name in ("x", "group", "values"))
        labels, classes = file.read("y_train"), file.read("classes")
        train = file.read("x_train") if "x_train" in file else None
        other = str(groups[-1])
        area = [float(file.read(f"auroc/sum/{other}/{key}")) for key in ("value", "low", "high")]
        sizes = [int(file.read(f"auroc/sum/{other}/{key}")) for key in ("n_natural", "n_adversarial")]
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        across = len(values) // 2
        figure, axes = plt.subplots(2, across, figsize=(width, 1.55 * height), sharex=True, sharey=True, squeeze=False)
        limits = float(values.min()), float(np.quantile(values, 0.999))
        places = [axes[i % across, i // across] for i in range(len(values))]
        shown = None
        for number, place in enumerate(places):
            if train is not None:
                shown = place.scatter(
                    *train.T, c=values[number], s=2, linewidths=0, cmap="viridis", vmin=limits[0], vmax=limits[1],
                    label="_kernel value",
                )  # fmt: skip
                star: dict[str, Any] = {
                    "marker": "*",
                    "color": "w",
                    "markeredgecolor": "k",
                    "linestyle": "none",
                    "label": "_point",
                }
                place.plot(*points[number], markersize=8, **star)
            else:
                _by_class(place, values[number], labels, classes)
            place.set_title(f"{groups[number]}, sum {values[number].sum():.1e}")
        if train is not None:
            axes[-1, 0].set(xlabel="first coordinate", ylabel="second coordinate")
        else:
            axes[-1, 0].set(xlabel="class of the training point", ylabel="kernel value")
        if shown is not None:
            bar = figure.colorbar(shown, ax=axes, location="bottom", aspect=40)
            bar.set_label("kernel value k (squared logits per squared weight)")
            bar.formatter = ScalarFormatter(useMathText=True)
        text = f"P(sum {other} < sum natural) = {with_interval(area[0], area[1], area[2])}"
        text += f"\nn = {sizes[0]} natural, {sizes[1]} {other}"
        figure.suptitle(text, fontsize=plt.rcParams["legend.fontsize"])
        save(figure, outputs)


def _by_class(axes: Axes, values: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> None:
    for number in range(len(classes)):
        part = np.sort(values[labels == number])
        axes.plot(
            number + np.linspace(-0.4, 0.4, len(part)),
            part,
            color=OTHER,
            linewidth=1,
            label=f"_class {classes[number]}",
        )
    axes.set_xticks(range(len(classes)), classes)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
