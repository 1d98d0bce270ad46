"""Statistics that decide Seguin's claims about manifolds over layers, on arrays of stored results; as in `evidence`.

A cell holds one network. All networks see the same exemplars in the same order, so that changes from layer to layer and
differences of networks are paired by exemplar; intervals are over exemplars, for the networks at hand. Capacities
average harmonically: what is paired is the inverse capacity, which rises where the capacity falls. "Early" layers are
the input and those up to the middle one, "late" ones the middle one and those behind, the logits left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neighborhoods.evidence.verdicts import (
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Finding,
    above,
    bonferroni,
    equivalence,
    signed,
    within,
)
from neighborhoods.manifolds.layers import ANALYSED
from neighborhoods.manifolds.mean_field import center_correlation
from neighborhoods.statistics.intervals import Estimate, rank_correlation, student, summarize

Cell = Mapping[str, Any]
KIND = "adversarial"


def layer_trend(
    cells: Sequence[Cell],
    of: str,
    part: str,
    expects: float,
    confidence: float,
    comparisons: int = 1,
    kind: str = KIND,
) -> Finding | None:
    """The sign of the slope of a quantity over a part of the layers, a layer being one step (least squares).

    Args:
        of: "inverse_capacity", "radius" or "dimension". part: "early", "late" or "last": the last step alone.
        kind: of manifolds.
    """
    rows = _part(_quantity(cells[0], of, kind), _analysed(cells[:1], kind), part)
    if rows is None:
        return None
    steps = np.arange(len(rows)) - (len(rows) - 1) / 2
    found = _mean(steps / np.sum(steps**2) @ rows, bonferroni(confidence, comparisons))
    return signed(found.value, found.low, found.high, found.n, expects)


def layer_difference(
    cells: Sequence[Cell],
    of: str,
    part: str,
    expects: float,
    confidence: float,
    comparisons: int = 1,
    kind: str = KIND,
) -> Finding | None:
    """The sign of the difference of two networks, first less second, on the mean over a part of the layers.

    The input is left out: it shows an attack, but nothing of what a network makes of it.

    Args:
        of, part, kind: as for `layer_trend`.
    """
    first, second = (_quantity(cell, of, kind) for cell in cells)
    rows = _part(first - second, _analysed(cells, kind), part)
    if rows is None:
        return None
    found = _mean(rows[1 if part == "early" else 0 :].mean(0), bonferroni(confidence, comparisons))
    return signed(found.value, found.low, found.high, found.n, expects)


def layers_alike(
    cells: Sequence[Cell],
    of: str,
    margin: float,
    confidence: float,
    comparisons: int = 1,
    kind: str = KIND,
) -> Finding | None:
    """Two networks differ by at most a share `margin` of their mean in every layer, the input and the logits left out.

    Reported is the layer of the largest difference, relative to the mean of both; intervals hold for all layers at once
    (Bonferroni).

    Args:
        of: "dimension" or "center_correlation".
    """
    first, second = (_quantity(cell, of, kind) for cell in cells)
    places = _analysed(cells, kind)[1:]
    if not len(places):
        return None
    level = bonferroni(confidence, comparisons * len(places))
    # Pairs of centres share manifolds, which the jackknife knows of.
    estimate = center_correlation if of == "center_correlation" else _mean
    found = [estimate(first[place] - second[place], level) for place in places]
    sizes = [float(first[place].mean() + second[place].mean()) / 2 for place in places]
    shares = [
        (one.value / size, one.low / size, one.high / size, one.n) for one, size in zip(found, sizes, strict=True)
    ]
    verdicts = [equivalence(low, high, margin) for _, low, high, _ in shares]
    if NOT_REPRODUCED in verdicts:
        answer = NOT_REPRODUCED
    else:
        answer = REPRODUCED if set(verdicts) == {REPRODUCED} else UNDECIDED
    return Finding(*max(shares, key=lambda share: abs(share[0])), answer, *within(0.0, margin))


def capacity_tracks(
    cells: Sequence[Cell], least: float, confidence: float, comparisons: int = 1, kind: str = KIND
) -> Finding | None:
    """The rank correlation of mean-field and simulated capacities over layers and networks is above `least`.

    Layers of a network are no independent cases: the interval is the jackknife's over networks.
    """
    theory, simulated, network = _capacities(cells, kind)
    names = np.unique(network)
    found = rank_correlation(theory, simulated)
    without = np.array([rank_correlation(theory[network != one], simulated[network != one]).value for one in names])
    if len(names) < 2 or not np.isfinite([found.value, *without]).all():
        return None
    error = np.sqrt((len(names) - 1) * np.var(without))
    half = float(student(bonferroni(confidence, comparisons), len(names) - 1) * error)
    return above(found.value, max(found.value - half, -1.0), min(found.value + half, 1.0), found.n, least)


def capacity_over_simulated(
    cells: Sequence[Cell],
    confidence: float,
    comparisons: int = 1,
    expects: float = 0.0,
    margin: float = 0.0,
    kind: str = KIND,
) -> Finding | None:
    """The geometric mean of mean-field over simulated capacity lies on one side of 1, or within a factor of it.

    Layers of a network are no independent cases: the interval of the mean logarithm is over networks.

    Args:
        expects: sign of the logarithm that is claimed; 0 for none. margin: its largest size, where no sign is claimed.
    """
    theory, simulated, network = _capacities(cells, kind)
    if len(np.unique(network)) < 2:
        return None
    found = summarize(np.log(theory / simulated), network, bonferroni(confidence, comparisons))
    if expects:
        answer = signed(found.mean, found.mean_low, found.mean_high, found.n, expects).verdict
    else:
        answer = equivalence(found.mean_low, found.mean_high, margin)
    value, low, high = (float(np.exp(limit)) for limit in (found.mean, found.mean_low, found.mean_high))
    least, most = (np.exp(-margin), np.exp(margin)) if not expects else (1.0, np.inf) if expects > 0 else (-np.inf, 1.0)
    return Finding(value, low, high, found.n, answer, float(least), float(most))


STATISTICS = (layer_trend, layer_difference, layers_alike, capacity_tracks, capacity_over_simulated)


def _quantity(cell: Cell, of: str, kind: str) -> NDArray[np.float64]:
    """Values of each manifold [layer, manifold]."""
    if of == "inverse_capacity":
        return 1 / np.asarray(cell[f"{kind}/manifolds/capacity"], float)
    return np.asarray(cell[f"{kind}/manifolds/{of}"], float)


def _analysed(cells: Sequence[Cell], kind: str) -> NDArray[np.intp]:
    """Layers that all networks have numbers of, the input first, without the logits.

    Raises:
        ValueError: networks of other layers or exemplars.
    """
    for name in ("layers", "index"):
        if any(not np.array_equal(cell[name], cells[0][name]) for cell in cells):
            raise ValueError(f"expected networks of the same layers on the same exemplars, found others in {name!r}")
    known = np.all([np.asarray(cell[f"{kind}/status"]) == ANALYSED for cell in cells], axis=0)
    return np.flatnonzero(known & ~np.asarray(cells[0]["is_logits"], bool))


def _part(values: NDArray[np.float64], places: NDArray[np.intp], part: str) -> NDArray[np.float64] | None:
    """Rows of a part of the layers; None where there are fewer than two."""
    middle = len(places) // 2
    chosen = {"early": places[: middle + 1], "late": places[middle:], "last": places[-2:]}[part]
    # One step from the input is no step behind a layer.
    return values[chosen] if len(chosen) > 1 and len(places) > 2 else None


def _capacities(cells: Sequence[Cell], kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Mean-field and simulated capacities of layers that have both, and the place of their network [pairs]."""
    theory = [np.asarray(cell[f"{kind}/capacity/value"], float) for cell in cells]
    simulated = [
        np.asarray(cell[f"{kind}/simulated/value"], float)
        if f"{kind}/simulated/value" in cell
        else np.full(len(own), np.nan)
        for cell, own in zip(cells, theory, strict=True)
    ]
    network = np.repeat(np.arange(len(cells)), [len(own) for own in theory])
    pairs = np.concatenate(theory), np.concatenate(simulated)
    known = np.isfinite(pairs[0]) & np.isfinite(pairs[1])
    return pairs[0][known], pairs[1][known], network[known]


def _mean(values: NDArray[np.float64], confidence: float) -> Estimate:
    found = summarize(values, None, confidence)
    return Estimate(found.mean, found.mean_low, found.mean_high, found.n)
