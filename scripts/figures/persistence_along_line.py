"""Draw persistence along the line from a natural to an adversarial image (Bell, figures 12 and 18)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.panels import shortened
from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import StoreError, reading

MARKERS = ("o", "s", "^", "D", "v")
ABOVE: dict[str, Any] = {"marker": "^", "fillstyle": "none", "markersize": 4, "linestyle": "", "zorder": 3}


def draw(*, interpolation: str, outputs: Sequence[str], style: str, pair: int, gammas: Sequence[float] = ()) -> None:
    """Draw one pair: a curve with its interval for each gamma; colours and names of classes change along the line."""
    with reading(interpolation) as file:
        t, measured, label = file.read("t"), file.read("gamma"), file.read("label")
        classes = [shortened(str(name)) for name in file.read("classes")]
        curves = {name: file.read(name) for name in ("sigma", "low", "high")}
        found = file.read("status") != "censored_high"
        samples = int(file.read("samples"))
    if pair >= len(label):
        raise StoreError(f"{interpolation}: holds {len(label)} pairs, there is no pair {pair}")
    if missing := sorted(set(gammas) - set(measured)):
        raise StoreError(f"{interpolation}: holds gamma {list(measured)}, not {missing[0]:g}")
    path = label[pair]
    colours = [NATURAL if c == path[0] else ADVERSARIAL if c == path[-1] else OTHER for c in path]
    changes = np.flatnonzero(np.diff(path)) + 1
    with drawing(style):
        figure, axes = plt.subplots()
        shown = [number for number, gamma in enumerate(measured) if not gammas or gamma in gammas]
        # Where the search came to its end without a change of class, a curve lies above the axes, and says so.
        within = found[pair][:, shown]
        top = 1.15 * curves["sigma"][pair][:, shown][within].max() if within.any() and not within.all() else None
        beyond = f"above {curves['sigma'][pair].max():g}"
        for number in shown:
            gamma = measured[number]
            sigma, low, high = (curves[name][pair, :, number] for name in ("sigma", "low", "high"))
            name = f"_γ = {gamma:g}"
            axes.plot(t, sigma, color="0.6", linewidth=0.8, zorder=1, label=name)
            bars = np.stack([sigma - low, np.where(np.isfinite(high), high, sigma) - sigma])
            for i, colour in enumerate(colours):
                shape = MARKERS[number % len(MARKERS)]
                bar = bars[:, i : i + 1]
                look: dict[str, Any] = {"color": colour, "marker": shape, "markersize": 3, "elinewidth": 0.8}
                if top and not found[pair, i, number]:
                    # At a share of the axes: the place is no number, and the CSV beside the figure has none.
                    place_above = axes.get_xaxis_transform()
                    axes.plot(t[i], 0.97, color=colour, label=f"_{beyond}", transform=place_above, **ABOVE)
                else:
                    axes.errorbar(t[i], sigma[i], bar, label=name, zorder=2, **look)
            axes.plot([], [], color="0.4", marker=shape, markersize=3, label=f"γ = {gamma:g}")
        edges = [0, *changes, len(t)]
        # Right ends of the names on each line above the axes.
        ends: list[float] = []
        size = plt.rcParams["font.size"]
        character = 0.65 * size / 72 / plt.rcParams["figure.figsize"][0] * (t[-1] - t[0])
        for first, last in pairwise(edges):
            if first:
                axes.axvline(
                    (t[first - 1] + t[first]) / 2, color="0.6", linestyle=":", linewidth=0.8, label="_change of class"
                )
            middle = (t[first] + t[last - 1]) / 2
            place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            reach = (len(classes[path[first]]) + 1) * character / 2
            line = next((i for i, end in enumerate(ends) if end <= middle - reach), len(ends))
            ends[line : line + 1] = [middle + reach]
            position = (middle, 1.0), (0, 1.3 * size * line)
            axes.annotate(classes[path[first]], *position, textcoords="offset points", color=colours[first], **place)
        axes.set(xlabel="position between natural (0) and adversarial (1)", ylabel="persistence σ* (pixel range = 1)")
        axes.set_ylim(0, top)
        if top:
            axes.plot([], [], color="0.4", label=beyond, **ABOVE)
        axes.legend(title=f"n = {samples:,} samples a point")
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(interpolation=snakemake.input.interpolation, outputs=snakemake.output, **run.settings)
