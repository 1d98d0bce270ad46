"""Statistics that decide the claims of Bell's Part II, on the arrays of stored results; as in `evidence`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.evidence.verdicts import (
    NOT_AS_PRINTED,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Finding,
    above,
    beside,
    bonferroni,
    proportion,
)
from neighborhoods.path_kernel.kernel_geometry import variation
from neighborhoods.persistence.detection import auroc
from neighborhoods.statistics.intervals import clopper_pearson, stored_summary

Cell = Mapping[str, Any]


def share_agreeing(
    cells: Sequence[Cell], tolerance: float, share: float, confidence: float, comparisons: int = 1
) -> Finding:
    """More than a share of the queries have kernel and network agree in every output; Clopper-Pearson.

    Agreement is a difference of at most `tolerance` in units of the standard deviation of the network's outputs.
    """
    network = np.asarray(cells[0]["network"])
    gap = np.abs(np.asarray(cells[0]["prediction"]) - network).max(1)
    agree = gap <= tolerance * network.std()
    return proportion(int(agree.sum()), len(agree), share, confidence, comparisons)


def differing_nearest(
    cells: Sequence[Cell], by: str, share: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The nearest training point in kernel space is another than in pixel space for more than a share of the queries.

    `by` is "kernel" (distance in feature space) or "value" (largest kernel value).
    """
    if f"neighbours/{by}" not in cells[0]:
        return None
    first, second = (np.asarray(cells[0][f"neighbours/{name}"])[:, 0] for name in (by, "pixel"))
    return proportion(int((first != second).sum()), len(first), share, confidence, comparisons)


def separated(
    cells: Sequence[Cell], score: str, group: str, confidence: float, comparisons: int = 1, expects: float = 1.0
) -> Finding | None:
    """The sign of AUROC - 1/2: natural points score higher than a group's. Measured is the AUROC."""
    found = _auroc(cells[0], score, group, confidence, comparisons)
    if found is None:
        return None
    area, low, high, n = found
    return beside(area, low, high, n, 0.5, expects)


def overlapping(
    cells: Sequence[Cell], score: str, group: str, perfect: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """A score tells natural points, which score higher, from a group, but not perfectly.

    Reproduced where the AUROC's interval lies between 1/2 and `perfect`; not reproduced where it lies above, or below
    1/2, where the score is higher for the group.
    """
    found = _auroc(cells[0], score, group, confidence, comparisons)
    if found is None:
        return None
    area, low, high, n = found
    answer = UNDECIDED
    if low > 0.5 and high < perfect:
        answer = REPRODUCED
    elif high < 0.5 or low > perfect:
        answer = NOT_REPRODUCED
    return Finding(area, low, high, n, answer, 0.5, perfect)


def varies(
    cells: Sequence[Cell], distance: float, at_least: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """k(x, x + d) changes with x: standard deviation / mean at one distance is above `at_least`."""
    place = np.flatnonzero(np.isclose(cells[0]["distance"], distance))
    if not len(place):
        return None
    values = np.asarray(cells[0][f"shifted/{place[0]}/values"])
    found = variation(values, bonferroni(confidence, comparisons))
    return above(found.value, found.low, found.high, found.n, at_least)


def mean_above(
    cells: Sequence[Cell], group: str, at_least: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """A mean of stored values lies above a number: the whole of its Student interval does."""
    if f"{group}/mean" not in cells[0]:
        return None
    summary = stored_summary(cells[0], group)
    if not summary.standard_error >= 0:
        return None
    limits = summary.mean_limits(bonferroni(confidence, comparisons))
    return above(summary.mean, *limits, summary.n, at_least)


def turning(
    cells: Sequence[Cell], case: str, constant: bool, share: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """At most (constant), or more than, a share of the training points have coefficients that change sign."""
    name = f"signs/{case}"
    if f"{name}/n" not in cells[0]:
        return None
    n = int(cells[0][f"{name}/n"])
    count = round(float(cells[0][f"{name}/value"]) * n)
    low, high = (float(limit) for limit in clopper_pearson(count, n, bonferroni(confidence, comparisons)))
    return beside(count / n, low, high, n, share, -1.0 if constant else 1.0)


def residuals_within(
    cells: Sequence[Cell],
    rule: str,
    nodes: int,
    tolerance: float,
    share: float,
    confidence: float,
    comparisons: int = 1,
) -> Finding | None:
    """Kernel machine and network differ by at most `tolerance` for more than a share of the queries; Clopper-Pearson.

    The integral over each step is taken by one rule with so many nodes. None where this rule was not tried.
    """
    rules, counts = np.asarray(cells[0]["rule"]).astype(str), np.asarray(cells[0]["nodes"])
    place = np.flatnonzero((rules == rule) & (counts == nodes))
    if not len(place):
        return None
    near = np.asarray(cells[0]["residual"])[place[0]] <= tolerance
    return proportion(int(near.sum()), len(near), share, confidence, comparisons)


def exact_everywhere(
    cells: Sequence[Cell], tolerance: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The integral's residual is at most `tolerance` for every query.

    As for a linear network, whose kernel does not change along a step. Limits are the range over queries.
    """
    residual = np.asarray(cells[0]["residual"], float)
    most = float(residual.max())
    answer = REPRODUCED if most <= tolerance else NOT_REPRODUCED
    return Finding(most, float(residual.min()), most, len(residual), answer, most=tolerance)


def constant_coefficients(
    cells: Sequence[Cell], case: str, corrected: str, tolerance: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Coefficients of a training stay as they are at its start, to a share `tolerance` of the largest.

    Where those of `case` do not, but those of `corrected` do, it does not hold as printed. Measured is the largest
    change over all steps and training points; limits say the same, since nothing is sampled.
    """
    names = [f"signs/{each}/drift" for each in (case, corrected)]
    if not all(name in cells[0] for name in names):
        return None
    drift = [float(cells[0][name]) for name in names]
    wrong = NOT_AS_PRINTED if drift[1] <= tolerance else NOT_REPRODUCED
    answer = REPRODUCED if drift[0] <= tolerance else wrong
    return Finding(drift[0], drift[0], drift[0], int(cells[0][f"signs/{case}/n"]), answer, most=tolerance)


STATISTICS = (
    share_agreeing,
    differing_nearest,
    separated,
    overlapping,
    varies,
    mean_above,
    turning,
    residuals_within,
    exact_everywhere,
    constant_coefficients,
)


def _auroc(
    cell: Cell, score: str, group: str, confidence: float, comparisons: int
) -> tuple[float, float, float, int] | None:
    groups, origin, values = (np.asarray(cell[name]) for name in ("group", "origin", f"score/{score}"))
    natural, other = groups == "natural", groups == group
    if not other.any():
        return None
    level = bonferroni(confidence, comparisons)
    found = auroc(values[natural], values[other], origin[natural], origin[other], confidence=level)
    return found.value, found.low, found.high, found.n_natural + found.n_adversarial
