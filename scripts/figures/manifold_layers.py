"""Draw capacity, radius, dimension and centre correlation of manifolds over layers (Seguin, figure 5)."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.manifolds import bars_of, looks_of
from pipeline.figures.style import drawing, save
from pipeline.results.manifolds import Layers, read_networks, unanalysed
from pipeline.store import reading

QUANTITIES = {
    "capacity": "A  capacity",
    "radius": "B  radius over\ncentre's length",
    "dimension": "C  dimension",
    "center_correlation": "D  centre correlation",
}
TITLES = {"uniform": "uniform in the ball", "adversarial": "PGD examples", "class": "classes"}

# Between the first and the last network of a layer, so that their bars are told apart.
WIDTH = 0.4
# Of a band that says why a layer has no numbers, and letters of a line in it.
EMPTY = "0.93"
LETTERS = 26


def draw(
    *, manifolds: Sequence[str], names: Sequence[str], kinds: Sequence[str], outputs: Sequence[str], style: str
) -> None:
    """A column of panels for each kind of manifolds, a line for each network; bars are intervals over manifolds.

    Args:
        manifolds: measures of networks of the same layers. names: of these networks.
        kinds: keys of `TITLES`.
    """
    groups = [f"{kind}/{quantity}" for kind in kinds for quantity in QUANTITIES]
    networks = read_networks(manifolds, groups)
    with reading(manifolds[0]) as file:
        counts = {kind: file.read(f"{kind}/manifolds/radius").shape[1] for kind in kinds}
    looks = looks_of(names)
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        size = (width * max(1, len(kinds) / 2), 3.0 * height)
        figure, panels = plt.subplots(
            len(QUANTITIES), len(kinds), figsize=size, sharex=True, sharey="row", squeeze=False
        )
        for column, kind in zip(panels.T, kinds, strict=True):
            for axes, quantity in zip(column, QUANTITIES, strict=True):
                group = f"{kind}/{quantity}"
                _lines(axes, [network[group] for network in networks], names, looks)
            column[0].set_title(f"{TITLES[kind]},\nn = {counts[kind]} manifolds")
            column[-1].set_xlabel("layer or block")
        for axes, label in zip(panels[:, 0], QUANTITIES.values(), strict=True):
            axes.set_ylabel(label)
        for axes in panels[0]:
            # What points have.
            axes.set_ylim(0, 2)
        for axes in panels[1:].flat:
            axes.set_ylim(0, None)
        handles = panels[0, 0].get_legend_handles_labels()
        title = "bars: intervals over manifolds"
        figure.legend(*handles, loc="outside upper center", ncols=3, title=title)
        save(figure, outputs)


def _lines(axes: Axes, networks: Sequence[Layers], names: Sequence[str], looks: Mapping[str, tuple[str, str]]) -> None:
    layers = networks[0].names
    places, small = np.arange(len(layers)), plt.rcParams["legend.fontsize"]
    apart = np.linspace(-WIDTH / 2, WIDTH / 2, len(names)) if len(names) > 1 else [0.0]
    look: dict[str, Any] = {"markersize": 3, "capsize": 1.2, "linewidth": 0.9, "elinewidth": 0.7}
    for network, name, shift in zip(networks, names, apart, strict=True):
        colour, marker = looks[name]
        axes.errorbar(places + shift, network.value, bars_of(network), color=colour, marker=marker, label=name, **look)
    for place in np.flatnonzero(unanalysed(networks)).tolist():
        axes.axvspan(place - 0.5, place + 0.5, color=EMPTY, linewidth=0, label="_not analysed")
        # A status ends with what was found.
        reason = textwrap.fill(networks[0].status[place].rpartition("found ")[2], LETTERS)
        where = axes.get_xaxis_transform()
        axes.text(place, 0.5, reason, rotation=90, ha="center", va="center", size=small, transform=where)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_xticks(places, layers, rotation=60, ha="right", rotation_mode="anchor")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(manifolds=snakemake.input.manifolds, outputs=snakemake.output, **run.settings)
