"""Statistics that decide the claims of the Note, on the arrays of stored results; as in `evidence`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from neighborhoods.evidence.verdicts import (
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Finding,
    above,
    bonferroni,
    proportion,
)
from neighborhoods.statistics.intervals import Estimate, rank_correlation, student

Cell = Mapping[str, Any]

# Values that differ by less, relative to the largest, differ by rounding of float32.
ROUNDING = 1e-6
REPLICATES = 2000


def ranks(first: ArrayLike, second: ArrayLike, confidence: float) -> Estimate | None:
    """Spearman's correlation of two columns [n] with its interval, over the rows where both are finite.

    None for fewer than four rows, and for a column that does not vary beyond rounding.
    """
    x, y = np.asarray(first, float), np.asarray(second, float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 4 or any(np.ptp(values) <= ROUNDING * np.abs(values).max() for values in (x, y)):
        return None
    return rank_correlation(x, y, confidence)


def separable(cells: Sequence[Cell], share: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """The head puts more than a share of the training images on their own side, by its linear map of the features."""
    if "clusters/classified/n" not in cells[0]:
        return None
    n = int(cells[0]["clusters/classified/n"])
    return proportion(round(float(cells[0]["clusters/classified/value"]) * n), n, share, confidence, comparisons)


def steepest(cells: Sequence[Cell], share: float, confidence: float, comparisons: int = 1) -> Finding:
    """The shortest step along the gradient raises the loss more than the worst random one, for a share of images."""
    along, random = (np.asarray(cells[0][f"flatness/{name}/increase"])[0] for name in ("gradient", "random"))
    return proportion(int((along > random).sum()), len(along), share, confidence, comparisons)


def kept(
    cells: Sequence[Cell], along: str, epsilon: float, share: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """More than a share of images keep their class after a step, along the "gradient" or in all "random" directions."""
    place = np.flatnonzero(np.isclose(cells[0]["flatness/epsilon"], epsilon))
    if not len(place):
        return None
    stays = np.asarray(cells[0][f"flatness/{along}/kept"])[place[0]]
    return proportion(int(stays.sum()), len(stays), share, confidence, comparisons)


def flat(
    cells: Sequence[Cell],
    along: str,
    epsilon: float,
    nats: float,
    share: float,
    confidence: float,
    comparisons: int = 1,
) -> Finding | None:
    """The loss rises by at most `nats` for more than a share of images; as `kept`."""
    place = np.flatnonzero(np.isclose(cells[0]["flatness/epsilon"], epsilon))
    if not len(place):
        return None
    rise = np.asarray(cells[0][f"flatness/{along}/increase"])[place[0]]
    return proportion(int((rise <= nats).sum()), len(rise), share, confidence, comparisons)


def rank_above(
    cells: Sequence[Cell], first: str, second: str, least: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Spearman's correlation of two columns over the images is above `least`."""
    level = bonferroni(confidence, comparisons)
    found = ranks(cells[0][f"natural/{first}"], cells[0][f"natural/{second}"], level)
    return None if found is None else above(found.value, found.low, found.high, found.n, least)


def governed(cells: Sequence[Cell], share: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """The features make more than a share of the variance of the margin's gradient over images.

    ln of the gradient's norm is ln ||L_i - L_j|| + ln ||J^T v||: the share is the covariance of the second term with
    the sum over the variance of the sum. Bootstrap over images, percentiles. None where the gradient does not vary.
    """
    head, features = (np.log(np.asarray(cells[0][f"natural/{name}"])) for name in ("head_norm", "feature_gain"))
    total = head + features
    if len(total) < 4 or np.ptp(total) <= ROUNDING:
        return None
    rows = np.random.default_rng(0).integers(0, len(total), (REPLICATES, len(total)))
    tail = (1 - confidence) / (2 * comparisons)
    low, high = np.quantile(_explained(features[rows], total[rows]), [tail, 1 - tail])
    return above(float(_explained(features[None], total[None])[0]), float(low), float(high), len(total), share)


def head_relates(cells: Sequence[Cell], least: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """||L_i - L_j|| goes with the separation of the clusters i and j: the size of Spearman's correlation over pairs.

    Reproduced where the interval lies beyond +-`least`, not reproduced where it lies within. Pairs that share a class
    depend on each other: the error is the jackknife's over classes, and Student's law has their number less one degrees
    of freedom. Ten classes are too few for an interval within +-0.2, forty are not. None for fewer than five classes
    with points.
    """
    if "clusters/separation" not in cells[0]:
        return None
    norm, apart = (np.asarray(cells[0][name], float) for name in ("head/pair_norm", "clusters/separation"))
    there = np.flatnonzero(np.isfinite(np.diag(apart)))
    if len(there) < 5:
        return None
    rho = _over_pairs(norm, apart, there)
    left_out = np.array([_over_pairs(norm, apart, np.delete(there, place)) for place in range(len(there))])
    count = len(there)
    error = np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2))
    half = float(student(bonferroni(confidence, comparisons), count - 1) * error)
    low, high = max(rho - half, -1.0), min(rho + half, 1.0)
    answer = UNDECIDED
    if low > least or high < -least:
        answer = REPRODUCED
    elif -least <= low and high <= least:
        answer = NOT_REPRODUCED
    return Finding(
        rho, low, high, count * (count - 1) // 2, answer, *((least, np.inf) if rho > 0 else (-np.inf, -least))
    )


def _explained(part: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance with the total over its variance, of each row."""
    centred = total - total.mean(1, keepdims=True)
    return (part * centred).sum(1) / (centred**2).sum(1)


def _over_pairs(first: NDArray[np.float64], second: NDArray[np.float64], classes: NDArray[np.intp]) -> float:
    one, two = np.triu_indices(len(classes), 1)
    pairs = classes[one], classes[two]
    return float(stats.spearmanr(first[pairs], second[pairs]).statistic)


STATISTICS = (separable, steepest, kept, flat, rank_above, governed, head_relates)
