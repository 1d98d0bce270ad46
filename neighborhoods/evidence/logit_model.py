"""Statistics that decide the claims of Seguin's appendix C, on the arrays of stored results; as in `evidence`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.evidence.verdicts import (
    NOT_AS_PRINTED,
    NOT_REPRODUCED,
    REPRODUCED,
    Finding,
    above,
    bonferroni,
    equivalence,
    signed,
    within,
)
from neighborhoods.logits.gap_dependence import gap_dependence
from neighborhoods.statistics.intervals import summarize_finite

Cell = Mapping[str, Any]


def gap_shrinks(
    cells: Sequence[Cell], share: float, confidence: float, comparisons: int = 1, step: str = "finite"
) -> Finding:
    """More than a share of the gaps of correctly classified images get smaller under the step."""
    found = gap_dependence(*_gaps(cells[0], step), bonferroni(confidence, comparisons)).shrinks
    return above(found.value, found.low, found.high, found.n, share)


def gap_curvature(
    cells: Sequence[Cell], expects: float, confidence: float, comparisons: int = 1, step: str = "finite"
) -> Finding:
    """The sign of c in change = a + b gap + c gap^2, with an HC3 interval."""
    fit = gap_dependence(*_gaps(cells[0], step), bonferroni(confidence, comparisons)).parabola
    return signed(float(fit.value[2]), float(fit.low[2]), float(fit.high[2]), fit.n, expects)


def gap_exponent(
    cells: Sequence[Cell],
    published: float,
    tolerance: float,
    confidence: float,
    comparisons: int = 1,
    step: str = "finite",
) -> Finding | None:
    """The exponent of |change| as a power of the gap lies within `tolerance` of the published: 2 for a square."""
    fit = gap_dependence(*_gaps(cells[0], step), bonferroni(confidence, comparisons)).power
    if fit is None:
        return None
    value, low, high = (float(limits[1]) for limits in (fit.value, fit.low, fit.high))
    answer = equivalence(low - published, high - published, tolerance)
    return Finding(value, low, high, fit.n, answer, *within(published, tolerance))


def response_cosine(
    cells: Sequence[Cell], prediction: str, least: float, confidence: float, comparisons: int = 1
) -> Finding:
    """The mean cosine of predicted and measured changes of the logits is above `least`."""
    found = summarize_finite(cells[0][f"prediction/{prediction}/cosine"], None, bonferroni(confidence, comparisons))
    return above(found.mean, found.mean_low, found.mean_high, found.n, least)


def stationary_logits(
    cells: Sequence[Cell], root: str, side: str, tolerance: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The printed logits are a stationary point of equation 3: its gradient at them is below `tolerance` at every beta.

    Where it is not, but that at the derived logits is wherever these are real, the formula does not hold as printed.
    Numbers are computed, so that the interval is the range over beta.
    """
    printed, derived = (
        np.asarray(cells[0][f"{version}/{root}/{side}/cubic_gradient_table"], float)
        for version in ("printed", "derived")
    )
    printed, derived = printed[np.isfinite(printed)], derived[np.isfinite(derived)]
    if not len(printed):
        return None
    right = len(derived) > 0 and bool((derived < tolerance).all())
    wrong = NOT_AS_PRINTED if right else NOT_REPRODUCED
    answer = REPRODUCED if (printed < tolerance).all() else wrong
    return Finding(
        float(np.median(printed)), float(printed.min()), float(printed.max()), len(printed), answer, most=tolerance
    )


def stationary_everywhere(
    cells: Sequence[Cell], root: str, side: str, tolerance: float, confidence: float, comparisons: int = 1
) -> Finding:
    """Printed or derived logits are allowed and stationary for equation 3 at every beta of the grid.

    Measured is the largest beta at which one is, from the smallest; nan where there is none. Nothing is sampled.
    """
    cell, beta = cells[0], np.asarray(cells[0]["beta"], float)
    there = np.zeros(len(beta), bool)
    for version in ("printed", "derived"):
        kept, gradient = (
            np.asarray(cell[f"{version}/{root}/{side}/{name}"], float) for name in ("kept", "cubic_gradient")
        )
        there |= (kept > 0) & (gradient < tolerance)
    low, high = (float(beta[there].min()), float(beta[there].max())) if there.any() else (np.nan, np.nan)
    answer = REPRODUCED if there.all() else NOT_REPRODUCED
    return Finding(high, low, high, len(beta), answer, least=float(beta.max()))


def positive_above(cells: Sequence[Cell], beta: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """The printed g exceeds the printed psi (root +) for every larger largest logit than `beta`, on the grid of beta.

    Measured is the smallest difference there.
    """
    above_it = np.asarray(cells[0]["beta"], float) > beta
    g, psi = (np.asarray(cells[0][f"printed/plus/wrong/{name}"], float)[above_it] for name in ("g", "psi"))
    apart = (g - psi)[np.isfinite(g - psi)]
    if not len(apart):
        return None
    answer = REPRODUCED if (apart > 0).all() else NOT_REPRODUCED
    return Finding(float(apart.min()), float(apart.min()), float(apart.max()), len(apart), answer, least=0.0)


def positive_from(
    cells: Sequence[Cell], published: float, margin: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The printed g and psi (root +) change places at the published largest logit, to a margin.

    Measured is the largest beta at which they do, which results hold interpolated between points of the grid; which of
    them is larger beyond, `positive_above` says. Nothing is sampled, so that limits say the same.
    """
    beta = np.asarray(cells[0]["beta"], float)
    places = np.asarray(cells[0]["printed/g_above_psi"], float).ravel()
    places = places[(places > beta.min()) & (places < beta.max())]
    if not len(places):
        return None
    value = float(places.max())
    answer = equivalence(value - published, value - published, margin)
    return Finding(value, value, value, len(beta), answer, *within(published, margin))


def _gaps(cell: Cell, step: str) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(cell["gap"], float), np.asarray(cell[f"change/{step}"], float)


STATISTICS = (
    gap_shrinks,
    gap_curvature,
    gap_exponent,
    response_cosine,
    stationary_logits,
    stationary_everywhere,
    positive_above,
    positive_from,
)
