"""Statistics that decide whether formulas hold as their source prints them; as in `evidence`.

A formula that fails where its correction passes the same test is "not reproducible as printed": both are needed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.evidence.verdicts import (
    NOT_AS_PRINTED,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Finding,
    bonferroni,
    equivalence,
    signed,
    within,
    within_factor,
)
from neighborhoods.persistence.concentration import gaussian_annulus_bound
from neighborhoods.statistics.intervals import clopper_pearson, normal

Cell = Mapping[str, Any]

# Half widths of annuli in units of sigma; from 3.4 on the corrected bound says something.
WIDTHS = np.arange(1.0, 16.0, 0.5)


def wider_norms(cells: Sequence[Cell], dimension: int, confidence: float, comparisons: int = 1) -> Finding | None:
    """ln of the Gaussian's standard deviation of norms over the ball's is positive."""
    parts = [[f"{dimension}/{law}/{part}" for part in ("deviation", "deviation_error")] for law in ("gaussian", "ball")]
    if parts[0][0] not in cells[0]:
        return None
    (wide, wide_error), (narrow, narrow_error) = ([float(cells[0][name]) for name in names] for names in parts)
    half = _quantile(confidence, comparisons) * np.hypot(wide_error / wide, narrow_error / narrow)
    apart = float(np.log(wide / narrow))
    return signed(apart, apart - half, apart + half, len(cells[0][f"{dimension}/gaussian/norm"]), 1.0)


def printed_norm(
    cells: Sequence[Cell], dimension: int, published: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The mean norm of a Gaussian whose printed standard deviation is r sqrt(n), where r / sqrt(n) is meant.

    Norms grow in proportion to sigma, so those of the printed one are the measured ones times n. Measured is the mean
    norm with the corrected sigma.
    """
    name = f"{dimension}/gaussian"
    if f"{name}/mean" not in cells[0]:
        return None
    centre, error = float(cells[0][f"{name}/mean"]), float(cells[0][f"{name}/mean_error"])
    half = _quantile(confidence, comparisons) * error
    low, high = centre - half, centre + half
    printed, corrected = (
        equivalence(np.log(scale * low / published), np.log(scale * high / published), np.log(factor))
        for scale in (dimension, 1)
    )
    answer = NOT_AS_PRINTED if (printed, corrected) == (NOT_REPRODUCED, REPRODUCED) else printed
    limits = within_factor(published / dimension, factor)
    return Finding(centre, low, high, len(cells[0][f"{name}/norm"]), answer, *limits)


def annulus(
    cells: Sequence[Cell], dimension: int, sigma: float, margin: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Gaussian points of standard deviation `sigma` lie as close to their sphere as a bound without sigma says.

    Measured is the least excess of the share within an annulus over the printed bound (Bell, equation 8: 1 - 2
    exp(-epsilon^2 / 16)), over widths epsilon; it may fall short by `margin`. With epsilon / sigma the bound is right.
    Norms are proportional to sigma, so that those stored serve for any. Clopper and Pearson's limits hold for all
    widths at once.
    """
    name = f"{dimension}/gaussian/norm"
    if name not in cells[0]:
        return None
    norm = np.asarray(cells[0][name], float) / float(cells[0][f"{dimension}/sigma"])
    widths = WIDTHS[math.sqrt(dimension) > WIDTHS]
    count = (np.abs(norm - math.sqrt(dimension)) <= widths[:, None]).sum(1)
    share = count / len(norm)
    low, high = np.array(
        [clopper_pearson(int(hits), len(norm), bonferroni(confidence, comparisons * len(widths))) for hits in count]
    ).T
    printed, corrected = (gaussian_annulus_bound(sigma * widths, scale) for scale in (1.0, sigma))
    place = int((share - printed).argmin())
    excess, least, most = (float(values[place] - printed[place]) for values in (share, low, high))
    fails = bool((high < printed).any())
    # A bound cannot be surpassed by more than errors of sampling; equality is no failure.
    holds = not bool((high < corrected).any())
    wrong = NOT_AS_PRINTED if holds else NOT_REPRODUCED
    answer = wrong if fails else REPRODUCED if (low >= printed - margin).all() else UNDECIDED
    return Finding(excess, least, most, len(norm), answer, least=-margin)


def constant_start(cells: Sequence[Cell], tolerance: float, confidence: float, comparisons: int = 1) -> Finding:
    """A kernel machine with one constant for the start of training gives the network's outputs, to a tolerance.

    With each query's own output before training it does (Bell, remark 2 and equation 15, errata). Measured is the
    largest error of the printed one, with the mean start for the constant, in standard deviations of the outputs;
    what is stored is exact, so that the limits are the range over queries.
    """
    network, start, prediction = (np.asarray(cells[0][name], float) for name in ("network", "start", "prediction"))
    constant = prediction - start + start.mean(0)
    printed, corrected = (np.abs(values - network).max(1) / network.std() for values in (constant, prediction))
    wrong = NOT_AS_PRINTED if corrected.max() <= tolerance else NOT_REPRODUCED
    answer = REPRODUCED if printed.max() <= tolerance else wrong
    return Finding(
        float(printed.max()), float(printed.min()), float(printed.max()), len(network), answer, most=tolerance
    )


def weak_penalty(cells: Sequence[Cell], strength: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """A penalty printed as strength * ||w||_2 / N, N the number of weights, can make the error that the source prints.

    Whatever minimises the loss with it has a loss at most strength * ||w||_2 / N above that of weights w: the first
    network's, which is trained (nearly) without. Measured are points of test accuracy, the first network less the
    second, trained with the penalty that is meant; the printed one could not have made the second's loss where that is
    larger by more.
    """
    weights = [np.asarray(cells[0][name], float) for name in cells[0] if name.endswith(".weight")]
    if not weights:
        return None
    room = strength * math.sqrt(sum(float((part**2).sum()) for part in weights)) / sum(part.size for part in weights)
    loss = [float(np.asarray(cell["history/loss"])[-1]) for cell in cells]
    share = [float(cell["test_accuracy"]) for cell in cells]
    n = [int(cell["test_images"]) for cell in cells]
    half = _quantile(confidence, comparisons) * math.sqrt(
        sum(part * (1 - part) / count for part, count in zip(share, n, strict=True))
    )
    apart = share[0] - share[1]
    lower = signed(apart, apart - half, apart + half, sum(n), 1.0)
    possible = loss[1] - loss[0] <= room
    answer = lower.verdict if possible or lower.verdict != REPRODUCED else NOT_AS_PRINTED
    return Finding(100 * apart, 100 * lower.low, 100 * lower.high, sum(n), answer, least=0.0)


def ball_formula(cells: Sequence[Cell], points: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """The printed capacity of balls is the mean field's over sampled vectors, to `points` percent.

    Where it is not, but the exact integral is, it does not hold as printed. Measured is the printed one's deviation in
    % where it is largest, with the sampling error; all radii and dimensions are decided at once.
    """
    printed, exact, sampled, error = (
        np.asarray(cells[0][f"balls/{name}"], float).ravel()
        for name in ("printed", "exact", "sampled", "sampled_error")
    )
    half = _quantile(confidence, comparisons * len(sampled)) * error / sampled
    deviations = [100 * (values / sampled - 1) for values in (printed, exact)]
    verdicts = [
        [equivalence(each - 100 * reach, each + 100 * reach, points) for each, reach in zip(apart, half, strict=True)]
        for apart in deviations
    ]
    fails = NOT_REPRODUCED in verdicts[0]
    corrected = set(verdicts[1]) == {REPRODUCED}
    if fails:
        answer = NOT_AS_PRINTED if corrected else NOT_REPRODUCED
    else:
        answer = REPRODUCED if set(verdicts[0]) == {REPRODUCED} else UNDECIDED
    place = int(np.abs(deviations[0]).argmax())
    value, reach = float(deviations[0][place]), 100 * float(half[place])
    return Finding(value, value - reach, value + reach, len(sampled), answer, *within(0.0, points))


def capacity_of_points(
    cells: Sequence[Cell], by: str, published: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The capacity of random points is within a factor of the known one; n counts vectors or trials.

    `by` is "sampled" (the mean field over sampled vectors, with their error) or "simulated" (dichotomies, with the
    exact interval of the place where half of them are separable, at the level of the stored interval).
    """
    if by not in ("sampled", "simulated"):
        raise ValueError(f"expected sampled or simulated capacities, found {by!r}")
    if by == "simulated":
        value, low, high = (float(cells[0][f"points/simulated/{name}"]) for name in ("value", "low", "high"))
        n = len(np.asarray(cells[0]["points/simulated/features"]))
    else:
        value, error = float(cells[0]["points/sampled"]), float(cells[0]["points/sampled_error"])
        half = _quantile(confidence, comparisons) * error
        low, high, n = value - half, value + half, int(cells[0]["vectors"])
    if not np.isfinite([low, high]).all():
        return None
    answer = equivalence(np.log(low / published), np.log(high / published), float(np.log(factor)))
    return Finding(value, low, high, n, answer, *within_factor(published, factor))


def gap_formula(cells: Sequence[Cell], points: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """The printed change of the gap (Seguin, equation 10) is the complete one, to `points` percent.

    It lacks -2 (N - 2) / (N - 1) error Omega (g - psi)^2. Measured is the largest deviation in % over the plane of
    both largest logits; the correction passes where this term, from the stored g and psi, makes up the difference.
    """
    cell = cells[0]
    change, complete = (np.asarray(cell[f"printed/surface/equation_10{ending}"], float) for ending in ("", "_complete"))
    known = np.isfinite(change) & np.isfinite(complete) & (complete != 0)
    if not known.any():
        return None
    g, psi = (np.asarray(cell[f"printed/plus/wrong/{name}"], float) for name in ("g", "psi"))
    classes = int(cell["classes"])
    term = -2 * (classes - 2) / (classes - 1) * float(cell["error"]) * float(cell["epsilon"]) * (g - psi) ** 2
    made_up = np.allclose((change + term[None])[known], complete[known], rtol=1e-6)
    apart = 100 * np.abs(change[known] / complete[known] - 1)
    wrong = NOT_AS_PRINTED if made_up else NOT_REPRODUCED
    answer = REPRODUCED if apart.max() <= points else wrong
    return Finding(float(apart.max()), float(apart.min()), float(apart.max()), int(known.sum()), answer, most=points)


def error_as_printed(
    cells: Sequence[Cell], group: str, tolerance: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The stored errors of a printed formula are all at most a tolerance.

    Where they are not, but all of its correction are, it does not hold as printed. Measured is the largest; errors are
    computed, so that the limits are their range.
    """
    printed, corrected = (np.asarray(cells[0][f"{group}/{part}"], float).ravel() for part in ("printed", "corrected"))
    if not len(printed) or not np.isfinite(printed).all():
        return None
    wrong = NOT_AS_PRINTED if len(corrected) and (corrected <= tolerance).all() else NOT_REPRODUCED
    answer = REPRODUCED if (printed <= tolerance).all() else wrong
    least, most = float(printed.min()), float(printed.max())
    return Finding(most, least, most, len(printed), answer, most=tolerance)


def skewed_share(cells: Sequence[Cell], points: float, confidence: float, comparisons: int = 1) -> Finding:
    """The printed share of noisy points that stay in a wedge is the counted one, to `points` percentage points.

    Where it is not, but the corrected one is, it does not hold as printed. Measured is the counted share in %, with
    Clopper and Pearson's interval.
    """
    kept, n, *shares = (float(cells[0][f"skewed/{name}"]) for name in ("kept", "points", "printed", "corrected"))
    low, high = (
        100 * float(limit) for limit in clopper_pearson(int(kept), int(n), bonferroni(confidence, comparisons))
    )
    printed, corrected = (equivalence(low - 100 * share, high - 100 * share, points) for share in shares)
    answer = NOT_AS_PRINTED if (printed, corrected) == (NOT_REPRODUCED, REPRODUCED) else printed
    return Finding(100 * kept / n, low, high, int(n), answer, *within(100 * shares[0], points))


STATISTICS = (
    wider_norms,
    printed_norm,
    annulus,
    constant_start,
    weak_penalty,
    ball_formula,
    capacity_of_points,
    gap_formula,
    error_as_printed,
    skewed_share,
)


def _quantile(confidence: float, comparisons: int) -> float:
    return normal(bonferroni(confidence, comparisons))
