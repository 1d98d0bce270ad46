"""Draw singular values of samples projected onto orthants and skewed wedges, and of normals (Bell, section 31)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import OTHER, drawing, save, with_interval
from pipeline.store import Reader, reading

PANEL_HEIGHT = 2.0


def draw(*, wedges: str, outputs: Sequence[str], style: str) -> None:
    """Rows: orthant and wedge. Left: spectra from the least value on, dropped ones as dots. Right: the normals'."""
    with reading(wedges) as file, drawing(style):
        titles = {"orthant": "orthant", "wedge": f"wedge, θ = {float(file.read('skew')):g}°"}
        size = (plt.rcParams["figure.figsize"][0], PANEL_HEIGHT * len(titles) + 0.6)
        figure, panels = plt.subplots(len(titles), 2, sharex="col", sharey="row", figsize=size)
        for (points, normals), (name, title) in zip(panels, titles.items(), strict=True):
            _points(points, file, name)
            _normals(normals, file, name)
            points.set(title=f"{title}: points", ylabel="principal std. dev. (σ = 1)", ylim=(0, None))
            normals.set(title="normals")
        panels[-1, 0].set(xscale="log", xlabel="value, from the least")
        panels[-1, 1].set(xscale="log", xlabel="value, from the largest")
        figure.suptitle(_note(file), fontsize=plt.rcParams["legend.fontsize"])
        save(figure, outputs)


def _colours(count: int) -> list[tuple[float, ...]]:
    return [plt.get_cmap("viridis")(place) for place in np.linspace(0, 0.9, count)]


def _points(axes: Axes, file: Reader, name: str) -> None:
    faces, values, counts = (file.read(part) for part in ("faces", f"{name}/values", f"{name}/count"))
    for k, row, count, colour in zip(faces, values[:, ::-1], counts[:, 0], _colours(len(faces)), strict=True):
        place = np.arange(1, len(row) + 1)
        axes.plot(place[count:], row[count:], color=colour, linewidth=0.8, zorder=1, label=f"_k = {k}: kept")
        label = f"k = {k}: {count}"
        axes.plot(place[:count], row[:count], "o", color=colour, markersize=2.5, label=label, zorder=2)
    axes.axhline(
        file.read(f"{name}/threshold")[0, 0], color=OTHER, linestyle=":", linewidth=0.8, zorder=0, label="_threshold"
    )
    axes.legend(title="dropped", loc="upper left", handletextpad=0, borderaxespad=0, labelspacing=0.2)


def _normals(axes: Axes, file: Reader, name: str) -> None:
    faces, values, ranks = (file.read(part) for part in ("faces", f"{name}/normals", f"{name}/normals_rank"))
    # Drawn is the first sample.
    ranks = ranks[:, 0]
    for k, row, rank, colour in zip(faces, values, ranks, _colours(len(faces)), strict=True):
        place = np.arange(1, len(row) + 1)
        axes.plot(place, row, color=colour, linewidth=0.8, marker="o", markersize=2, label=f"k = {k}: {rank}")
    axes.legend(title="rank", loc="upper right", handlelength=0.8, handletextpad=0.3, borderaxespad=0, labelspacing=0.2)


def _note(file: Reader) -> str:
    """Sizes of the dropped values of the largest orthant, before and after the correction."""
    k, lines = file.read("faces")[-1], []
    for part, text in (("relative", "dropped / rest"), ("corrected", "population")):
        mean, low, high = (float(file.read(f"orthant/{part}_{key}")[-1]) for key in ("mean", "mean_low", "mean_high"))
        lines.append(f"{text}: {with_interval(mean, low, high, 3)} (orthant, k = {k})")
    scale = f"n = {int(file.read('samples')):,} points in {int(file.read('dimension'))} dimensions"
    level = f"intervals: {100 * float(file.read('confidence')):g} %, over {int(file.read('repeats'))} such samples"
    return "\n".join([scale, level, *lines])


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(wedges=snakemake.input.wedges, outputs=snakemake.output, **run.settings)
