"""Draw how much an FGSM step changes the logit gap: by the analytic model and measured (Seguin, figure C.3)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from pipeline.figures.manifolds import looks_of
from pipeline.figures.panels import decades
from pipeline.figures.style import EXACT, drawing, save, with_interval
from pipeline.store import Reader, StoreError, reading

SURFACES = {
    "as printed": "printed/surface/equation_10_relative",
    "printed logits, all of equation 10": "printed/surface/equation_10_complete_relative",
    "as derived": "derived/surface/equation_10_complete_relative",
}
NONE = "0.85"

# Shares of the values that the scale of colours ends at: near poles of the logits changes grow without limit.
SHOWN = (0.005, 0.97)
CURVE = 100


def draw(*, model: str, responses: Sequence[str], names: Sequence[str], outputs: Sequence[str], style: str) -> None:
    """Colours are |change| / gap on one logarithmic scale, grey without solution; below, measured on networks."""
    with reading(model) as file:
        beta, epsilon, error = (file.read(name) for name in ("beta", "epsilon", "error"))
        surfaces = {title: np.abs(file.read(name)) for title, name in SURFACES.items()}
    found = np.concatenate([surface[np.isfinite(surface) & (surface > 0)] for surface in surfaces.values()])
    if not len(found):
        raise StoreError(f"{model}: no logits of the model are allowed at any β, so there is nothing to draw")
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, 3.2 * height if responses else 2.2 * height))
        parts = figure.subfigures(1 + bool(responses), 1, squeeze=False, height_ratios=(2.2, 1)[: 1 + bool(responses)])
        above = parts[0, 0]
        panels = above.subplots(len(SURFACES), 1, sharex=True)
        look: dict[str, Any] = {"cmap": "viridis", "rasterized": True, "norm": LogNorm(*np.quantile(found, SHOWN))}
        for axes, (title, surface) in zip(panels, surfaces.items(), strict=True):
            axes.set_facecolor(NONE)
            picture = axes.pcolormesh(beta, beta, surface.T, label="_|Δgap| / gap", **look)
            axes.set(title=title, xlim=(0, beta[-1]), ylim=(0, beta[-1]))
        above.supylabel("β of misclassified (nat)", size=plt.rcParams["axes.labelsize"])
        panels[-1].set_xlabel("β of correctly classified (nat)")
        label = f"|Δgap| / gap, ε = {epsilon:g}, {100 * error:g} % errors; {EXACT}"
        decades(above.colorbar(picture, ax=panels, label=label, extend="both", aspect=40).ax.yaxis)
        if responses:
            axes = parts[1, 0].subplots()
            for path, (name, (colour, marker)) in zip(responses, looks_of(names).items(), strict=True):
                with reading(path) as file:
                    _measured(axes, file, name, colour, marker)
                    step = float(file.read("epsilon"))
            axes.axhline(0, color="k", linewidth=0.5)
            axes.set(xlabel="gap before the step (nat)", ylabel="change of the gap (nat)")
            title = f"measured, ε = {step:g}; lines: a + b gap + c gap²;\n"
            title += "|change| as a power of the gap: exponent [interval]"
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), title=title)
        save(figure, outputs)


def _measured(axes: Axes, file: Reader, name: str, colour: str, marker: str) -> None:
    gap, change = file.read("gap"), file.read("change/finite")
    a, b, c = file.read("dependence/finite/parabola/value")
    axes.scatter(
        gap, change, s=3, marker=marker, color=colour, alpha=0.25, linewidths=0, rasterized=True, label=f"_{name}"
    )
    at = np.linspace(gap.min(), gap.max(), CURVE)
    group = "dependence/finite/power"
    value, low, high = (float(file.read(f"{group}/{key}")[1]) for key in ("value", "low", "high"))
    label = f"{name}, n = {len(gap)}: exponent {with_interval(value, low, high)}"
    axes.plot(at, a + b * at + c * at**2, color=colour, linewidth=1.0, label=label)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(
            model=snakemake.input.model,
            responses=snakemake.input.responses,
            outputs=snakemake.output,
            **run.settings,
        )
