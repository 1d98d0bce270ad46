"""What the analysis of manifolds over layers stores, and how figures read it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.results.shared import put_summaries
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
CENTERS = {
    "removed": "rank of the structure that centres share, which is removed",
    "residual_correlation": "mean absolute correlation of centres without it",
}
PREDICTED = {
    "ball": "capacity of balls of the mean radius and dimension, exact integral",
    "point": "capacity of points at the margin kappa + R sqrt(D) of the mean radius and dimension",
}
NONE = {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0}


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


def put_kind(file: Writer, kind: str, layers: Sequence[Any], manifolds: int) -> None:
    """Store each layer's `LayerAnalysis` of one kind of manifolds; nan where the theory says nothing."""
    about = f"of {KINDS[kind]}"
    geometries = [layer.geometry for layer in layers]
    none = np.full(manifolds, math.nan)
    file.put(f"{kind}/status", [layer.status for layer in layers], "ok, or why there is no analysis", ("layer",))
    for name, text in QUANTITIES.items():
        found = [NONE if geometry is None else asdict(getattr(geometry, name)) for geometry in geometries]
        put_summaries(file, f"{kind}/{name}", found, f"the {text} {about}", "1", ("layer",))
    for name, text in EACH.items():
        rows = [
            none if geometry is None else getattr(geometry.manifolds, name).cpu().numpy() for geometry in geometries
        ]
        file.put(f"{kind}/manifolds/{name}", np.stack(rows), f"{text} of each manifold", ("layer", "manifold"))
    rows = [none if geometry is None else geometry.center_correlations.cpu().numpy() for geometry in geometries]
    text = "mean absolute correlation of each centre with the others"
    file.put(f"{kind}/manifolds/center_correlation", np.stack(rows), text, ("layer", "manifold"))
    for name, text in CENTERS.items():
        values = [math.nan if geometry is None else getattr(geometry, name) for geometry in geometries]
        file.put(f"{kind}/{name}", values, text, ("layer",))
    for name, text in PREDICTED.items():
        file.put(f"{kind}/{name}", [getattr(layer, name) for layer in layers], text, ("layer",))


def put_simulated(file: Writer, kind: str, layers: Sequence[Any], trials: int) -> None:
    """Store simulated capacities of one kind of manifolds; nan where a layer has none."""
    found = [layer.simulated for layer in layers]
    for key in LIMITS:
        values = [math.nan if one is None else getattr(one, key) for one in found]
        file.put(f"{kind}/simulated/{key}", values, f"{key} of the simulated capacity", ("layer",))
    rows = [np.zeros(trials, int) if one is None else one.features for one in found]
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
    return [all(np.isnan(one.value[place]) for one in estimates) for place in range(len(estimates[0].names))]
