"""Draw the mean-field loss over both largest logits, as printed beside as derived (Seguin, figure C.2)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from pipeline.figures.panels import decades
from pipeline.figures.style import EXACT, drawing, save
from pipeline.store import StoreError, reading

VERSIONS = ("printed", "derived")
NONE = "0.85"

# Shares of the values that the scale of colours ends at: near poles losses grow without limit.
SHOWN = (0.005, 0.99)


def draw(*, model: str, outputs: Sequence[str], style: str) -> None:
    """Colours are losses on one logarithmic scale; grey where no real logits meet the condition on β."""
    with reading(model) as file:
        beta, error, classes = file.read("beta"), float(file.read("error")), int(file.read("classes"))
        surfaces = {name: file.read(f"{name}/surface/loss") for name in VERSIONS}
        allowed = {name: 100 * float(file.read(f"{name}/surface/allowed")) for name in VERSIONS}
    found = np.concatenate([surface[np.isfinite(surface)] for surface in surfaces.values()])
    if not len(found):
        raise StoreError(f"{model}: no logits of the model are allowed at any β, so there is nothing to draw")
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(2, 1, figsize=(width, 2.1 * height), sharex=True)
        look: dict[str, Any] = {"cmap": "viridis", "rasterized": True, "norm": LogNorm(*np.quantile(found, SHOWN))}
        for axes, (name, surface) in zip(panels, surfaces.items(), strict=True):
            axes.set_facecolor(NONE)
            picture = axes.pcolormesh(beta, beta, surface.T, label="_mean loss", **look)
            text = f"as {name}: {allowed[name]:.0f} % of the plane is allowed"
            axes.set(title=text, ylabel="β of misclassified (nat)", xlim=(0, beta[-1]), ylim=(0, beta[-1]))
        panels[1].set_xlabel("β of correctly classified (nat)")
        label = f"mean loss (nat), {100 * error:g} % errors, {classes} classes;\n{EXACT}"
        bar = figure.colorbar(picture, ax=panels, label=label, location="bottom", aspect=30, extend="both")
        decades(bar.ax.xaxis)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(model=snakemake.input.model, outputs=snakemake.output, **run.settings)
