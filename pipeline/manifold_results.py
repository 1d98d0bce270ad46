"""What the analysis of manifolds over layers stores, and how figures read it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neighborhoods.manifold_layers import ANALYSED, LayerAnalysis
from pipeline.store import Reader, StoreError, Writer, reading

KINDS = {
    "uniform": "images uniform in the l-infinity ball around each exemplar",
    "adversarial": "PGD examples around each exemplar, from random starts",
    "class": "images of each class",
}
QUANTITIES = {
    "capacity": "capacity",
    "radius": "radius over the centre's length",
    "dimension": "dimension",
    "center_correlation": "mean absolute correlation of centres",
}
LIMITS = ("value", "low", "high")
EACH = {
    "capacity": "capacity",
    "radius": "radius over the centre's length",
    "dimension": "dimension",
    "capacity_error": "standard error of the capacity over Gaussian vectors",
    "radius_error": "standard error of the radius over Gaussian vectors",
    "dimension_error": "standard error of the dimension over Gaussian vectors",
}


@dataclass(frozen=True)
class Layers:
    """Estimates over the layers of a network.

    Attributes:
        names: of the layers, without what wraps the network. status: "ok" or why there are none [layer].
        value, low, high: [layer], nan where there are none.
    """

    names: list[str]
    status: list[str]
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def put_kind(file: Writer, kind: str, layers: Sequence[LayerAnalysis], manifolds: int) -> None:
    """Store the analyses of one kind of manifolds, layer by layer; nan where a layer has none."""
    about = f"of {KINDS[kind]}"
    file.put(f"{kind}/status", [layer.status for layer in layers], "ok, or why there is no analysis", ("layer",))
    file.put(f"{kind}/manifolds_analysed", manifolds, "number of manifolds", ())
    for name, text in QUANTITIES.items():
        for key in LIMITS:
            values = [math.nan if (it := layer.geometry) is None else getattr(getattr(it, name), key) for layer in layers]
            file.put(f"{kind}/{name}/{key}", values, f"{key} of the {text} {about}", ("layer",))
        counts = [0 if (it := layer.geometry) is None else getattr(it, name).n for layer in layers]
        file.put(f"{kind}/{name}/n", counts, f"manifolds behind the {text}", ("layer",))
    none = np.full(manifolds, math.nan)
    for name, text in EACH.items():
        rows = [none if (it := layer.geometry) is None else getattr(it.manifolds, name).cpu().numpy() for layer in layers]
        file.put(f"{kind}/manifolds/{name}", np.stack(rows), f"{text} of each manifold", ("layer", "manifold"))
    rows = [none if (it := layer.geometry) is None else it.center_correlations.numpy() for layer in layers]
    text = "mean absolute correlation of each centre with the others"
    file.put(f"{kind}/manifolds/center_correlation", np.stack(rows), text, ("layer", "manifold"))
    for name, text in (
        ("removed", "rank of the structure that centres share, which is removed"),
        ("residual_correlation", "mean absolute correlation of centres without it"),
    ):
        found = [math.nan if (it := layer.geometry) is None else getattr(it, name) for layer in layers]
        file.put(f"{kind}/{name}", found, text, ("layer",))
    ball = [layer.ball for layer in layers]
    file.put(f"{kind}/ball", ball, "capacity of balls of the mean radius and dimension, exact integral", ("layer",))
    text = "capacity of points at the margin R sqrt(D) of the mean radius and dimension"
    file.put(f"{kind}/point", [layer.point for layer in layers], text, ("layer",))


def put_simulated(file: Writer, kind: str, layers: Sequence[LayerAnalysis], trials: int) -> None:
    """Store simulated capacities of one kind of manifolds; nan where a layer has none."""
    for key in LIMITS:
        values = [math.nan if (it := layer.simulated) is None else getattr(it, key) for layer in layers]
        file.put(f"{kind}/simulated/{key}", values, f"{key} of the simulated capacity", ("layer",))
    rows = [np.zeros(trials, int) if (it := layer.simulated) is None else it.features for layer in layers]
    text = "least number of features that separate each trial's dichotomy, 0 for none"
    file.put(f"{kind}/simulated/features", np.stack(rows), text, ("layer", "trial"))


def read_layers(file: Reader, group: str) -> Layers:
    """An estimate over layers, e.g. "adversarial/capacity"."""
    names = [str(name).removeprefix("network.") for name in file.read("layers", ("layer",))]
    status = [str(text) for text in file.read(f"{group.split('/')[0]}/status", ("layer",))]
    return Layers(names, status, *(file.read(f"{group}/{key}", ("layer",)) for key in LIMITS))


def read_networks(paths: Sequence[str], groups: Sequence[str]) -> list[dict[str, Layers]]:
    """Estimates of several networks of the same layers.

    Raises:
        StoreError: a part is missing, or networks differ in their layers.
    """
    found = []
    for path in paths:
        with reading(path) as file:
            found.append({group: read_layers(file, group) for group in groups})
    names: list[Any] = [one.names for network in found for one in network.values()]
    if any(name != names[0] for name in names):
        raise StoreError(f"expected networks of the same layers, found {' and '.join(str(name) for name in names[:2])}")
    return found


def unanalysed(estimates: Sequence[Layers]) -> list[bool]:
    """Layers that no network has an estimate of."""
    return [all(one.status[place] != ANALYSED for one in estimates) for place in range(len(estimates[0].names))]
