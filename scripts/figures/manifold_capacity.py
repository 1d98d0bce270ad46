"""Draw the mean-field capacity of manifolds against the simulated one (Seguin, figure A.8)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.manifolds import bars_of, looks_of
from pipeline.figures.style import drawing, save
from pipeline.results.manifolds import read_networks
from pipeline.store import StoreError, reading

KIND = "adversarial"


def draw(*, manifolds: Sequence[str], names: Sequence[str], outputs: Sequence[str], style: str) -> None:
    """A point for each layer of each network, with intervals on both axes; on the line both are equal.

    Args:
        manifolds: measures of networks with simulated capacities. names: of these networks.
    """
    networks = read_networks(manifolds, [f"{KIND}/capacity", f"{KIND}/simulated"])
    with reading(manifolds[0]) as file:
        count = file.read(f"{KIND}/manifolds/radius").shape[1]
        trials = file.read(f"{KIND}/simulated/features").shape[1]
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, axes = plt.subplots(figsize=(width, 1.35 * height))
        look: dict[str, Any] = {"linestyle": "none", "markersize": 3, "capsize": 1, "elinewidth": 0.5}
        shown: list[np.ndarray] = []
        for (name, (colour, marker)), network in zip(looks_of(names).items(), networks, strict=True):
            theory, simulated = network[f"{KIND}/capacity"], network[f"{KIND}/simulated"]
            known = np.isfinite(theory.value) & np.isfinite(simulated.value)
            shown += [theory.value[known], simulated.value[known]]
            x, y = simulated.value[known], theory.value[known]
            bars = bars_of(theory)[:, known], bars_of(simulated)[:, known]
            axes.errorbar(x, y, *bars, color=colour, marker=marker, label=f"{name}, {len(x)} layers", **look)
        if not any(map(len, shown)):
            raise StoreError(f"{manifolds[0]}: expected layers with both capacities, found none")
        values = np.concatenate(shown)
        ends = np.array([values.min() / 1.3, values.max() * 1.3])
        axes.plot(ends, ends, color="k", linewidth=0.6)
        axes.set(xlim=ends, ylim=ends, xlabel="simulated capacity", ylabel="mean-field capacity")
        axes.set_aspect("equal")
        axes.locator_params(nbins=5)
        title = (
            f"bars: intervals over n = {count} manifolds (up)\nand n = {trials} projections and dichotomies (across)"
        )
        axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, title=title)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(manifolds=snakemake.input.manifolds, outputs=snakemake.output, **run.settings)
