"""Statistics that decide Seguin's claims about accuracies and students, on the arrays of stored results.

As in `evidence`. Networks of one study share test images and seeds: a student of seed s learns from the teacher of seed
s. Every comparison is therefore paired over both, and its interval holds for other seeds and other images
(`seed_accuracies`); n counts images. One seed gives no interval and decides nothing, nor do networks that never differ.
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
    bonferroni,
    equivalence,
    signed,
    within,
)
from neighborhoods.statistics.intervals import Estimate, clopper_pearson, normal, student, summarize
from neighborhoods.statistics.seed_accuracies import mean_over_seeds, right, share_over_seeds

Cell = Mapping[str, Any]

PUBLISHED_SEEDS, PUBLISHED_IMAGES = 3, 10000


def accuracy_near(
    cells: Sequence[Cell],
    of: str,
    published: float,
    deviation: float,
    points: float,
    confidence: float,
    comparisons: int = 1,
) -> Finding:
    """A published accuracy in %: the deviation of the measured one lies within `points` percentage points.

    The published mean over three seeds has the standard deviation `deviation`, and a binomial error of 10,000 images.
    The interval reported is that of the measured accuracy.

    Args:
        cells: robustness of one network. of: "natural" or "adversarial".
    """
    level = bonferroni(confidence, comparisons)
    found = share_over_seeds(_right(cells[0], of), level)
    share = published / 100
    seeds = float(student(level, PUBLISHED_SEEDS - 1)) * deviation / 100 / np.sqrt(PUBLISHED_SEEDS)
    images = normal(level) * np.sqrt(share * (1 - share) / PUBLISHED_IMAGES)
    apart = [
        found.value - share + sign * np.sqrt(limit**2 + seeds**2 + images**2)
        for sign, limit in ((-1, found.value - found.low), (1, found.high - found.value))
    ]
    answer = equivalence(100 * apart[0], 100 * apart[1], points)
    return _percent(found, answer, published, points)


def accuracy_difference(
    cells: Sequence[Cell], of: str, expects: float, confidence: float, comparisons: int = 1
) -> Finding:
    """The sign of the difference of two networks' accuracies, in percentage points, first less second."""
    first, second = _paired(cells, of)
    found = mean_over_seeds(first - second, bonferroni(confidence, comparisons))
    return signed(100 * found.value, 100 * found.low, 100 * found.high, found.n, expects)


def difference_near(
    cells: Sequence[Cell], of: str, published: float, points: float, confidence: float, comparisons: int = 1
) -> Finding:
    """A published difference of two networks' accuracies, in percentage points, to a tolerance of `points`."""
    first, second = _paired(cells, of)
    found = mean_over_seeds(first - second, bonferroni(confidence, comparisons))
    answer = equivalence(100 * found.low - published, 100 * found.high - published, points)
    return _percent(found, answer, published, points)


def no_robustness(cells: Sequence[Cell], points: float, confidence: float, comparisons: int = 1) -> Finding:
    """Adversarial accuracy is 0 to a tolerance of `points` percentage points: its whole interval lies below."""
    found = share_over_seeds(_right(cells[0], "adversarial"), bonferroni(confidence, comparisons))
    return _percent(found, equivalence(100 * found.low, 100 * found.high, points), 0.0, points)


def accuracy_trend(
    cells: Sequence[Cell], of: str, expects: float, confidence: float, comparisons: int = 1, least: int = 3
) -> Finding | None:
    """The sign of the slope of accuracy over the order of networks, in percentage points a step (least squares).

    Fewer than `least` networks give no answer.
    """
    if len(cells) < least:
        return None
    right = _paired(cells, of)
    steps = np.arange(len(right)) - (len(right) - 1) / 2
    found = mean_over_seeds(np.tensordot(steps / np.sum(steps**2), right, 1), bonferroni(confidence, comparisons))
    return signed(100 * found.value, 100 * found.low, 100 * found.high, found.n, expects)


def share_kept(
    cells: Sequence[Cell], published: float, tolerance: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The first network's adversarial accuracy as a share of the second's is the published one, to a tolerance."""
    found = _ratio(cells[0], cells[1], bonferroni(confidence, comparisons))
    if found is None:
        return None
    answer = equivalence(found.low - published, found.high - published, tolerance)
    return Finding(found.value, found.low, found.high, found.n, answer, *within(published, tolerance))


def last_of_best(
    cells: Sequence[Cell], confidence: float, comparisons: int = 1, least: float = 0.0, most: float = np.inf
) -> Finding | None:
    """The last network keeps from `least` to `most` of the adversarial accuracy of the best one before it.

    The best is the one measured to be best, which makes its share somewhat too small. None for a single network, or
    where none before the last is robust.
    """
    if len(cells) < 2:
        return None
    best = max(cells[:-1], key=lambda cell: float(_right(cell, "adversarial").mean()))
    found = _ratio(cells[-1], best, bonferroni(confidence, comparisons))
    if found is None:
        return None
    inside, outside = least <= found.low and found.high <= most, found.high < least or found.low > most
    answer = REPRODUCED if inside else NOT_REPRODUCED if outside else UNDECIDED
    return Finding(found.value, found.low, found.high, found.n, answer, least, most)


def ends_lower(cells: Sequence[Cell], of: str, confidence: float, comparisons: int = 1) -> Finding | None:
    """A loss at the end of training is lower for the first half of the cells than for the second, in pairs of seeds.

    Measured is the mean of the differences of logarithms, first less second; Student's interval over seeds, n of them.

    Args:
        cells: students of each seed in the one way, then of the same seeds in the other. of: "l1" or "kl".
    """
    if len(cells) < 4 or len(cells) % 2:
        return None
    last = np.log([float(np.asarray(cell[f"history/{of}"])[-1]) for cell in cells])
    first, second = last.reshape(2, -1)
    found = summarize(first - second, confidence=bonferroni(confidence, comparisons))
    return signed(found.mean, found.mean_low, found.mean_high, found.n, -1.0)


def train_error_near(
    cells: Sequence[Cell], published: float, deviation: float, points: float, confidence: float, comparisons: int = 1
) -> Finding:
    """A published share in % of train images that the teacher's averaged logits get wrong, within `points`.

    Args:
        cells: target logits of each seed's teacher, of the same train images.
    """
    level = bonferroni(confidence, comparisons)
    wrong = [np.asarray(cell["logits"]).argmax(1) != np.asarray(cell["label"]) for cell in cells]
    found = share_over_seeds(np.array(wrong), level)
    spread = float(student(level, PUBLISHED_SEEDS - 1)) * deviation / 100 / np.sqrt(PUBLISHED_SEEDS)
    low, high = (
        found.value - published / 100 + sign * np.hypot(limit, spread)
        for sign, limit in ((-1, found.value - found.low), (1, found.high - found.value))
    )
    answer = equivalence(100 * low, 100 * high, points)
    return _percent(found, answer, published, points)


def checks_agree(
    cells: Sequence[Cell], other: str, points: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Another attack breaks at most `points` percent of the images that APGD leaves right, of those both were tried on.

    Clopper and Pearson's interval. Measured is that share in % of all images tried; None where they were not.
    """
    if f"check/{other}/correct" not in cells[0]:
        return None
    kept, left = (np.asarray(cells[0][f"check/{name}/correct"], bool) for name in ("apgd", other))
    broken = kept & ~left
    low, high = clopper_pearson(int(broken.sum()), len(broken), bonferroni(confidence, comparisons))
    answer = equivalence(100 * float(low), 100 * float(high), points)
    return Finding(100 * float(broken.mean()), 100 * float(low), 100 * float(high), len(broken), answer, most=points)


STATISTICS = (
    checks_agree,
    accuracy_near,
    accuracy_difference,
    difference_near,
    no_robustness,
    accuracy_trend,
    share_kept,
    last_of_best,
    ends_lower,
    train_error_near,
)


def _right(cell: Cell, of: str) -> NDArray[np.float64]:
    return right(cell["broken_by"], of)


def _paired(cells: Sequence[Cell], of: str) -> NDArray[np.float64]:
    """`_right` of several networks [networks, seeds, images]; ValueError where they were tried on other images."""
    index = [np.asarray(cell["index"]) for cell in cells]
    right = [_right(cell, of) for cell in cells]
    if any(not np.array_equal(one, index[0]) for one in index) or len({one.shape for one in right}) > 1:
        shapes = ", ".join(str(one.shape) for one in right)
        raise ValueError(f"expected networks of the same seeds, tried on the same images, found {shapes}")
    return np.array(right)


def _ratio(part: Cell, whole: Cell, level: float) -> Estimate | None:
    """Adversarial accuracy of one network over another's, both from the same seeds and images.

    By the delta method on the ratio itself. Where the first is right about no image, that leaves no width, and its own
    upper limit counts. None where the second is not robust at all.
    """
    first, second = _paired([part, whole], "adversarial")
    if not second.any():
        return None
    ratio = first.mean() / second.mean()
    found = mean_over_seeds((first - ratio * second) / second.mean(), level)
    if not first.any():
        alone = share_over_seeds(first, level)
        return Estimate(0.0, alone.low / float(second.mean()), alone.high / float(second.mean()), alone.n)
    return Estimate(float(ratio), float(ratio) + found.low, float(ratio) + found.high, found.n)


def _percent(found: Estimate, answer: str, published: float, points: float) -> Finding:
    return Finding(100 * found.value, 100 * found.low, 100 * found.high, found.n, answer, *within(published, points))
