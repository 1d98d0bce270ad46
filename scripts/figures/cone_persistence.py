"""Draw persistence inside and outside orthants against their number of faces (Bell, figure 8)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import Reader, reading

# Measurements of one k lie side by side, each side of the boundary around its own share of k.
SPREAD = 0.05

# Bell expects adversarial examples inside cones and natural ones outside.
SIDES = {"inside": (ADVERSARIAL, "o", "-", 0.94), "outside": (NATURAL, "s", "--", 1.06)}


def draw(*, cones: str, outputs: Sequence[str], style: str) -> None:
    """Closed form as lines, each measurement with its interval; what is never crossed stands at the top."""
    with reading(cones) as file, drawing(style):
        figure, axes = plt.subplots()
        found = [file.read(f"{name}/sigma")[file.read(f"{name}/status") == "ok"] for name in SIDES]
        top = 4 * np.concatenate([*found, [1]]).max()
        for name in SIDES:
            _side(axes, file, name, top)
        faces = file.read("faces")
        axes.axhline(1, color=OTHER, linestyle=":", linewidth=0.8, zorder=0, label="_distance")
        small = plt.rcParams["legend.fontsize"]
        place: dict[str, Any] = {"textcoords": "offset points", "xytext": (0, 2), "ha": "right"}
        axes.annotate("distance from each face", (faces.max(), 1), size=small, color="0.4", **place)
        axes.set(xscale="log", yscale="log", xlabel="faces k of the orthant", ylabel="persistence σ* (distance = 1)")
        axes.set(xlim=(faces.min() * 0.8, faces.max() * 1.25), ylim=(None, top * 1.15))
        axes.set_xticks(faces, [str(k) for k in faces])
        ticks = [tick for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32) if axes.get_ylim()[0] <= tick < top / 1.5]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        gamma, confidence = float(file.read("gamma")), float(file.read("confidence"))
        repeats = file.read("inside/sigma").shape[1]
        title = f"γ = {gamma:g}, {int(file.read('dimension'))} dimensions; lines: closed form\n"
        title += f"dots: n = {repeats} measurements of ≤ {int(file.read('samples')):,} samples, "
        title += f"{100 * confidence:g} % intervals"
        figure.legend(title=title, loc="outside upper center", ncols=2)
        save(figure, outputs)


def _side(axes: Axes, file: Reader, name: str, top: float) -> None:
    colour, marker, line, center = SIDES[name]
    faces, curve, theory = file.read("faces"), file.read("curve/faces"), file.read(f"curve/{name}")
    finite = np.isfinite(theory)
    axes.plot(curve[finite], theory[finite], line, color=colour, linewidth=0.8, zorder=1, label=f"_{name}, closed form")
    sigma, low, high = (file.read(f"{name}/{part}") for part in ("sigma", "low", "high"))
    found = file.read(f"{name}/status") == "ok"
    at = faces[:, None] * (center + np.linspace(-SPREAD, SPREAD, sigma.shape[1]))
    shown = low < top
    bars: dict[str, Any] = {"color": colour, "linewidth": 0.5, "alpha": 0.5, "zorder": 2, "label": f"_{name}, interval"}
    axes.vlines(at[shown], low[shown], np.minimum(high[shown], top), **bars)
    dots: dict[str, Any] = {"markersize": 1.5, "linestyle": "none", "zorder": 3, "label": f"_{name}, measured"}
    axes.plot(at[found], sigma[found], marker, color=colour, **dots)
    axes.plot([], [], line, marker=marker, color=colour, markersize=3, linewidth=0.8, label=name)
    never = np.isinf(file.read(f"theory_{name}"))
    if never.any():
        above = (file.read(f"{name}/status") == "censored_high")[never]
        marks = faces[never] * center
        look: dict[str, Any] = {"markersize": 5, "fillstyle": "none", "clip_on": False, "label": f"_{name}, infinite"}
        axes.plot(marks, np.full(len(marks), top), "^", color=colour, **look)
        limit = float(file.read("sigma_max"))
        note = f"{name}: σ* = ∞ ({above.sum()} of {above.size} measured: above {limit:g})"
        place: dict[str, Any] = {"textcoords": "offset points", "xytext": (0, 9), "ha": "right"}
        axes.annotate(note, (faces.max(), top), size=plt.rcParams["legend.fontsize"], color=colour, **place)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(cones=snakemake.input.cones, outputs=snakemake.output, **run.settings)
