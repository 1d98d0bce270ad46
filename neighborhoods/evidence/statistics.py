"""Statistics that decide published claims, on the arrays of stored results.

Each takes the results of one or several cells as mappings from names to arrays, and returns a finding, or None where
the results do not hold what the claim is about. `comparisons` is the number of parts of a sentence that are decided at
once: intervals hold for all of them together (Bonferroni).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neighborhoods.evidence import boundary as boundary_evidence
from neighborhoods.evidence import kernel as kernel_evidence
from neighborhoods.evidence import logit_model as logit_model_evidence
from neighborhoods.evidence import logits as logit_evidence
from neighborhoods.evidence import manifolds as manifold_evidence
from neighborhoods.evidence import persistence as persistence_evidence
from neighborhoods.evidence import photos as photo_evidence
from neighborhoods.evidence import printed as printed_evidence
from neighborhoods.evidence import sensitivity as sensitivity_evidence
from neighborhoods.evidence import students as student_evidence
from neighborhoods.evidence import tilting as tilting_evidence
from neighborhoods.evidence.verdicts import (
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
from neighborhoods.images import recounted
from neighborhoods.statistics.intervals import (
    clopper_pearson,
    clustered_difference,
    difference,
    normal,
    stored_summary,
    student,
)

Cell = Mapping[str, Any]
REPLICATES = 20000


def accuracy(
    cells: Sequence[Cell], published: float, published_n: int, points: float, confidence: float, comparisons: int = 1
) -> Finding:
    """A published test accuracy in %: the difference to the measured one lies within `points` percentage points.

    Both accuracies carry binomial errors, of the measured and of the published number of test images. The interval
    reported is that of the measured accuracy.
    """
    share, n = float(cells[0]["test_accuracy"]), int(cells[0]["test_images"])
    reported = published / 100
    error = np.sqrt(share * (1 - share) / n + reported * (1 - reported) / published_n)
    level = bonferroni(confidence, comparisons)
    half = normal(level) * error
    apart = share - reported
    low, high = clopper_pearson(round(share * n), n, level)
    answer = equivalence(100 * (apart - half), 100 * (apart + half), points)
    return Finding(100 * share, 100 * float(low), 100 * float(high), n, answer, *within(published, points))


def mean(
    cells: Sequence[Cell],
    group: str,
    published: float,
    published_n: int,
    factor: float,
    confidence: float,
    comparisons: int = 1,
    counted: int | None = None,
) -> Finding | None:
    """A published mean of a positive quantity: the measured one is at most `factor` times larger or smaller.

    A distortion for which the source counts another number of values, `counted`, than the images have is converted.
    None where the results hold no such mean, e.g. of an attack that never succeeded, or equal values give no interval.

    The published mean has no interval: it is given the measured spread, relative to the mean, over `published_n`
    values. The test is on ln(measured / published); the interval reported is the measured mean's own.
    """
    if f"{group}/mean" not in cells[0]:
        return None
    summary = stored_summary(cells[0], group)
    if not summary.standard_error > 0:
        return None
    if counted is not None:
        published = recounted(published, counted, math.prod(cells[0]["x"].shape[1:]))
    relative = summary.standard_error / summary.mean
    spread = relative**2 * summary.n / published_n
    level = bonferroni(confidence, comparisons)
    apart = float(np.log(summary.mean / published))
    reach = float(student(level, summary.clusters - 1)) * math.sqrt(relative**2 + spread)
    answer = equivalence(apart - reach, apart + reach, math.log(factor))
    limits = within_factor(published, factor)
    return Finding(summary.mean, *summary.mean_limits(level), summary.n, answer, *limits)


def mean_difference(
    cells: Sequence[Cell], groups: Sequence[str], expects: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The sign of the difference of two means (Welch), of two groups of one cell or of one group each of two cells."""
    places = zip(cells if len(cells) == 2 else [cells[0]] * 2, groups, strict=True)
    first, second = (stored_summary(cell, group) for cell, group in places)
    found = difference(first, second, bonferroni(confidence, comparisons))
    return _known(signed(found.mean, found.low, found.high, first.n + second.n, expects))


def column_difference(
    cells: Sequence[Cell], column: str, expects: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The sign of the difference of two cells' means of a column, clustered by the `index` of the image in both.

    None where a column that is no share does not vary, or an attack never succeeded.
    """
    works = [np.asarray(cell["success"], bool) for cell in cells]
    rows = [np.ones_like(kept) if column in ("success", "queries") else kept for kept in works]
    if len(cells) != 2 or not all(kept.any() for kept in rows):
        return None
    values = [np.asarray(cell[column], float)[kept] for cell, kept in zip(cells, rows, strict=True)]
    images = [np.asarray(cell["index"])[kept] for cell, kept in zip(cells, rows, strict=True)]
    level = bonferroni(confidence, comparisons)
    found = clustered_difference(values[0], values[1], images[0], images[1], level)
    low, high = found.low, found.high
    if column == "success" and not low <= high:
        # The difference is the same everywhere: the shares' own exact limits, over images, hold together at half of
        # the error each.
        counts = [len(np.unique(each)) for each in images]
        limits = [
            clopper_pearson(float(each.mean()) * count, count, (1 + level) / 2)
            for each, count in zip(values, counts, strict=True)
        ]
        low, high = (float(limits[0][side] - limits[1][1 - side]) for side in (0, 1))
    return None if np.isnan(low) else signed(found.mean, low, high, sum(map(len, values)), expects)


def rank_trend(
    cells: Sequence[Cell], group: str, expects: float, confidence: float, comparisons: int = 1, least: int = 3
) -> Finding | None:
    """The sign of Kendall's tau between the order of the cells and the means of a group.

    The interval holds for these networks: it carries the error of each mean, by drawing all from normal laws, and not
    what other networks would add. n counts the networks; fewer than `least` give no answer.
    """
    if len(cells) < least:
        return None
    summaries = [stored_summary(cell, group) for cell in cells]
    centre = np.array([summary.mean for summary in summaries])
    error = np.array([summary.standard_error for summary in summaries])
    draws = np.random.default_rng(0).normal(centre, error, (REPLICATES, len(cells)))
    tail = (1 - confidence) / (2 * comparisons)
    low, high = np.quantile(_kendall(draws), [tail, 1 - tail])
    return _known(signed(float(_kendall(centre[None])[0]), float(low), float(high), len(cells), expects))


def contrast(
    cells: Sequence[Cell], group: str, expects: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The sign of a mean with its clustered error, e.g. of differences of logarithms of face numbers."""
    summary = stored_summary(cells[0], group)
    limits = summary.mean_limits(bonferroni(confidence, comparisons))
    return _known(signed(summary.mean, *limits, summary.n, expects))


def small_mean(
    cells: Sequence[Cell], group: str, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """A mean of logarithms is within ln(factor) of 0."""
    summary = stored_summary(cells[0], group)
    low, high = summary.mean_limits(bonferroni(confidence, comparisons))
    margin = math.log(factor)
    return _known(Finding(summary.mean, low, high, summary.n, equivalence(low, high, margin), *within(0.0, margin)))


def small_difference(
    cells: Sequence[Cell], groups: Sequence[str], factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Two means of logarithms differ by at most ln(factor) (Welch)."""
    first, second = (stored_summary(cells[0], group) for group in groups)
    found = difference(first, second, bonferroni(confidence, comparisons))
    margin = math.log(factor)
    answer = equivalence(found.low, found.high, margin)
    return _known(Finding(found.mean, found.low, found.high, first.n + second.n, answer, *within(0.0, margin)))


def mean_between(
    cells: Sequence[Cell],
    group: str,
    confidence: float,
    comparisons: int = 1,
    least: float = -np.inf,
    most: float = np.inf,
) -> Finding | None:
    """A mean lies from `least` to `most`: its whole interval does, or none of it."""
    summary = stored_summary(cells[0], group)
    low, high = summary.mean_limits(bonferroni(confidence, comparisons))
    answer = UNDECIDED
    if least <= low and high <= most:
        answer = REPRODUCED
    elif high < least or low > most:
        answer = NOT_REPRODUCED
    return _known(Finding(summary.mean, low, high, summary.n, answer, least, most))


def attack_survival(
    cells: Sequence[Cell], published: float, points: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The share in % of attacked images that an attack leaves right is within so many points of the published."""
    survives = ~np.asarray(cells[0]["success"], bool)
    if not len(survives):
        return None
    low, high = clopper_pearson(int(survives.sum()), len(survives), bonferroni(confidence, comparisons))
    answer = equivalence(100 * float(low) - published, 100 * float(high) - published, points)
    found = (100 * float(survives.mean()), 100 * float(low), 100 * float(high))
    return Finding(*found, len(survives), answer, *within(published, points))


def interpolated_robustness(
    cells: Sequence[Cell], points: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Some network between start and end of training withstands attacks more often than the trained one.

    Compared are those whose accuracy is at most `points` percentage points below the trained network's. Measured is
    the largest paired difference of accuracies under attack; intervals hold for all of them at once, over images, for
    the trainings at hand.
    """
    right, share = (np.asarray(cells[0][name], float) for name in ("robust/right", "test_correct/share"))
    accuracy = share.mean(0)
    between = 1 + np.flatnonzero(accuracy[1:-1] >= accuracy[-1] - points / 100)
    if not len(between):
        return None
    gains = (right[:, between] - right[:, -1:]).mean(0)
    n = gains.shape[1]
    level = bonferroni(confidence, comparisons * len(between))
    half = float(student(level, n - 1)) * gains.std(1, ddof=1) / np.sqrt(n)
    centre = gains.mean(1)
    return signed(float(centre.max()), float((centre - half).max()), float((centre + half).max()), n, 1.0)


STATISTICS: dict[str, Callable[..., Finding | None]] = {
    function.__name__: function
    for function in (
        accuracy,
        mean,
        mean_difference,
        column_difference,
        rank_trend,
        contrast,
        small_mean,
        small_difference,
        *kernel_evidence.STATISTICS,
        mean_between,
        attack_survival,
        interpolated_robustness,
        *photo_evidence.STATISTICS,
        *persistence_evidence.STATISTICS,
        *printed_evidence.STATISTICS,
        *boundary_evidence.STATISTICS,
        *sensitivity_evidence.STATISTICS,
        *logit_evidence.STATISTICS,
        *logit_model_evidence.STATISTICS,
        *manifold_evidence.STATISTICS,
        *student_evidence.STATISTICS,
        *tilting_evidence.STATISTICS,
    )
}


def _known(found: Finding) -> Finding | None:
    """A finding that has an interval: of no value, of one cluster, or of values that never differ there is none."""
    return None if math.isnan(found.low) else found


def _kendall(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kendall's tau of each row with the order of its columns."""
    first, second = np.triu_indices(values.shape[1], 1)
    return np.sign(values[:, second] - values[:, first]).mean(1)
