"""Intervals and summaries that every reported number carries."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import special

BOOTSTRAP_REPLICATES = 2000


def clopper_pearson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact two-sided interval of a binomial proportion (Clopper and Pearson 1934).

    Args:
        successes, trials: numbers of any equal or broadcastable shape, 0 <= successes <= trials; effective ones need
            not be whole.
        confidence: level in (0, 1); each side gets half of what is left.

    Returns:
        Lower and upper limits, of the broadcast shape.

    Raises:
        ValueError: counts or level out of range.
    """
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), found {confidence}")
    if np.any((k < 0) | (k > n) | (n < 1)):
        raise ValueError("counts must satisfy 0 <= successes <= trials and trials >= 1")
    alpha = 1 - confidence
    # betaincinv needs positive parameters; the limits at 0 and n are known.
    low = np.where(k > 0, special.betaincinv(np.where(k > 0, k, 1), n - k + 1, alpha / 2), 0.0)
    high = np.where(k < n, special.betaincinv(k + 1, np.where(k < n, n - k, 1), 1 - alpha / 2), 1.0)
    return low, high


def student(confidence: float, freedom: ArrayLike) -> NDArray[np.float64]:
    """Half the width of Student's two-sided interval in standard errors, of the shape of the degrees of freedom.

    `scipy.stats` has the same number, but its import takes half a second of most jobs' few.
    """
    return special.stdtrit(np.asarray(freedom, float), (1 + confidence) / 2)


def normal(confidence: float) -> float:
    """Half the width of the normal two-sided interval in standard errors."""
    return float(special.ndtri((1 + confidence) / 2))


def interval_text(value: float, low: float, high: float) -> str:
    """A number and its interval as they are read: 0.423 [0.381, 0.465]."""
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and the number of values behind it; nan where there is none."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{interval_text(self.value, self.low, self.high)}, n = {self.n}"


def share(hits: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Share of hits [n] with the interval of `clopper_pearson`; nan of none."""
    successes = np.asarray(hits, bool)
    n = len(successes)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, n)
    low, high = clopper_pearson(successes.sum(), n, confidence)
    return Estimate(float(successes.mean()), float(low), float(high), n)


@dataclass(frozen=True)
class Summary:
    """Mean and median of a sample, each with its uncertainty.

    Attributes:
        n: values. clusters: independent groups among them.
        mean, standard_error: the standard error is robust to dependence within clusters.
        mean_low, mean_high: Student interval of the mean, clusters less one degrees of freedom.
        median, median_low, median_high: percentile bootstrap over clusters.
    """

    n: int
    clusters: int
    mean: float
    standard_error: float
    mean_low: float
    mean_high: float
    median: float
    median_low: float
    median_high: float

    def mean_limits(self, confidence: float) -> tuple[float, float]:
        """Student's interval of the mean at any level, as `mean_low` and `mean_high` have it at that of `summarize`."""
        # One cluster has no error, which is nan, and no degrees of freedom.
        half = self.standard_error * float(student(confidence, max(self.clusters - 1, 1)))
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        mean = interval_text(self.mean, self.mean_low, self.mean_high)
        median = interval_text(self.median, self.median_low, self.median_high)
        clusters = f" in {self.clusters} clusters" if self.clusters < self.n else ""
        return f"mean {mean}, median {median}, n = {self.n}{clusters}"


# Of no values at all.
NO_VALUES = Summary(0, 0, *[float("nan")] * 7)


def stored_summary(arrays: Mapping[str, Any], group: str) -> Summary:
    """The summary whose fields are the arrays below a group, by their names."""
    return Summary(**{field.name: np.asarray(arrays[f"{group}/{field.name}"]).item() for field in fields(Summary)})


def summarize(values: ArrayLike, clusters: ArrayLike | None = None, confidence: float = 0.95, seed: int = 0) -> Summary:
    """Summarize values that may be dependent within clusters.

    Nine adversarial images made from one digit are not nine independent images: with `clusters` naming
    the digit, the standard error of the mean is the cluster-robust one (Liang and Zeger 1986), with the
    factor G / (G - 1) for G clusters.

    Args:
        values: finite numbers [n].
        clusters: a label for each value [n]; every value its own cluster when left out.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        ValueError: no values, not finite, or lengths that differ.
    """
    x = np.asarray(values, float)
    labels = np.arange(len(x)) if clusters is None else np.asarray(clusters)
    if x.ndim != 1 or len(x) == 0 or len(labels) != len(x):
        raise ValueError(f"expected at least one value and a cluster for each, found {x.shape} and {labels.shape}")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite")
    groups, index = np.unique(labels, return_inverse=True)
    count = len(groups)
    mean = float(x.mean())
    median = float(np.median(x))
    if count == 1:
        nan = float("nan")
        return Summary(len(x), 1, mean, nan, nan, nan, median, nan, nan)
    residual_sums = np.bincount(index, x - mean, minlength=count)
    error = float(np.sqrt(count / (count - 1) * np.sum(residual_sums**2)) / len(x))
    half = error * float(student(confidence, count - 1))
    medians = _bootstrap_medians(x, index, count, np.random.default_rng(seed))
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return Summary(len(x), count, mean, error, mean - half, mean + half, median, float(low), float(high))


@dataclass(frozen=True)
class Difference:
    """Difference of two means with its Welch interval."""

    mean: float
    standard_error: float
    low: float
    high: float

    def __str__(self) -> str:
        return interval_text(self.mean, self.low, self.high)


def difference(first: Summary, second: Summary, confidence: float = 0.95) -> Difference:
    """Mean of the first sample less that of the second (Welch 1947), clusters less one degrees of freedom each.

    The samples count as independent; `clustered_difference` is for those that are not. Where they share images, their
    means are correlated and the interval is off by that: for natural and adversarial persistence of the same images it
    was between 8 % too narrow (IGSM, whose fixed epsilon takes images near a boundary deeper into the other class) and
    7 % too wide (L-BFGS).
    """
    mean = first.mean - second.mean
    parts = [(sample.standard_error**2, sample.clusters - 1) for sample in (first, second)]
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        nan = float("nan")
        return Difference(mean, nan, nan, nan)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = float(student(confidence, freedom)) * variance**0.5
    return Difference(mean, variance**0.5, mean - half, mean + half)


def clustered_difference(
    first: ArrayLike,
    second: ArrayLike,
    first_clusters: ArrayLike,
    second_clusters: ArrayLike,
    confidence: float = 0.95,
) -> Difference:
    """Mean of the first values less that of the second, of samples that may share clusters, e.g. images.

    The standard error is robust to dependence within a cluster, in one sample and between both (Liang and Zeger 1986,
    with the factor G / (G - 1) for G clusters): of one value of each image on both sides it is that of the paired
    t-test. Student's interval has one degree of freedom less than the sample of fewer clusters has clusters, and is
    nan where that is none or the error is 0.

    Args:
        first, second: finite numbers [n], [m], at least one each.
        first_clusters, second_clusters: a label for each of them.
        confidence: level of the interval.

    Raises:
        ValueError: no values, not finite, or lengths that differ.
    """
    values = [np.asarray(each, float) for each in (first, second)]
    labels = [np.asarray(each) for each in (first_clusters, second_clusters)]
    for x, own in zip(values, labels, strict=True):
        if x.ndim != 1 or len(x) == 0 or own.shape != x.shape:
            raise ValueError(f"expected at least one value and a cluster for each, found {x.shape} and {own.shape}")
        if not np.isfinite(x).all():
            raise ValueError("values must be finite")
    groups, index = np.unique(np.concatenate(labels), return_inverse=True)
    means, count = [float(x.mean()) for x in values], len(groups)
    freedom = min(len(np.unique(own)) for own in labels) - 1
    shares = [(x - mean) / len(x) for x, mean in zip(values, means, strict=True)]
    sums = np.bincount(index, np.concatenate([shares[0], -shares[1]]), minlength=count)
    variance = count / (count - 1) * float(np.sum(sums**2)) if freedom > 0 else 0.0
    apart = means[0] - means[1]
    # Equal differences leave an error of rounding.
    if not variance > (1e-12 * max(map(abs, means))) ** 2:
        return Difference(apart, *[float("nan")] * 3)
    half = float(student(confidence, freedom)) * variance**0.5
    return Difference(apart, variance**0.5, apart - half, apart + half)


@dataclass(frozen=True)
class Ratio:
    """Ratio of two means with its interval.

    Attributes:
        value: ratio. low, high: limits; nan where a sample has one cluster.
        log_error: standard error of ln value.
        clusters: independent groups in both samples together.
    """

    value: float
    low: float
    high: float
    log_error: float
    clusters: int

    def __str__(self) -> str:
        return f"{interval_text(self.value, self.low, self.high)}, {self.clusters} clusters"


def ratio(
    numerator: ArrayLike,
    denominator: ArrayLike,
    numerator_clusters: ArrayLike | None = None,
    denominator_clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of the means of two samples of positive quantities, which may share clusters.

    By the delta method on ln: each cluster contributes the sum of its residuals, relative to the mean, of the numerator
    less that of the denominator, so that images in both samples count as one. Each sum carries the factor
    sqrt(G / (G - 1)) of its own sample with G clusters, as in `summarize`; Student's law has the smaller G less one
    degrees of freedom.

    Args:
        numerator, denominator: finite numbers [n], [m] with positive means.
        numerator_clusters, denominator_clusters: a label for each value, equal labels in both mean one cluster; every
            value its own where both are left out.
        confidence: level of the interval.

    Raises:
        ValueError: an empty sample, values that are not finite, a mean that is not positive, labels of one side only,
            or lengths that differ.
    """
    samples = [np.asarray(values, float) for values in (numerator, denominator)]
    if (numerator_clusters is None) != (denominator_clusters is None):
        raise ValueError("expected clusters of both samples or of none, found those of one")
    if numerator_clusters is None or denominator_clusters is None:
        first, second = (np.arange(values.size) for values in samples)
        labels = [first, first.size + second]
    else:
        labels = [np.asarray(numerator_clusters), np.asarray(denominator_clusters)]
    for values, names in zip(samples, labels, strict=True):
        if values.ndim != 1 or len(values) == 0 or values.shape != names.shape:
            raise ValueError(f"expected at least one value and a cluster for each, found {values.shape}, {names.shape}")
        if not (np.isfinite(values).all() and values.mean() > 0):
            raise ValueError("expected finite values with a positive mean on both sides of a ratio")
    groups, index = np.unique(np.concatenate(labels), return_inverse=True)
    value = float(samples[0].mean() / samples[1].mean())
    least = min(len(np.unique(names)) for names in labels)
    if least == 1:
        nan = float("nan")
        return Ratio(value, nan, nan, nan, len(groups))
    apart = np.zeros(len(groups))
    for sign, values, places in zip((1, -1), samples, np.split(index, [len(samples[0])]), strict=True):
        own = len(np.unique(places))
        relative = (values / values.mean() - 1) / len(values)
        apart += sign * np.sqrt(own / (own - 1)) * np.bincount(places, relative, minlength=len(groups))
    error = float(np.sqrt(np.sum(apart**2)))
    reach = np.exp(error * float(student(confidence, least - 1)))
    return Ratio(value, value / float(reach), value * float(reach), error, len(groups))


def rank_correlation(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Spearman's rank correlation; its interval by Fisher's z with the standard error of Bonett and Wright (2000).

    That error is sqrt((1 + r^2 / 2) / (n - 3)). Pairs are independent; the n pairs of which both values are finite
    count. nan where one side is constant or n < 4.

    Args:
        x, y: numbers, one pair each [pairs]. confidence: level of the interval.

    Raises:
        ValueError: lengths that differ.
    """
    a, b = np.asarray(x, float), np.asarray(y, float)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"expected two samples of equally many values, found shapes {a.shape} and {b.shape}")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    n = len(a)
    if n < 4 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Estimate(math.nan, math.nan, math.nan, n)
    value = float(np.corrcoef(scipy.stats.rankdata(a), scipy.stats.rankdata(b))[0, 1])
    return Estimate(value, *rank_limits(value, n, confidence), n)


def rank_limits(value: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of Spearman's rank correlation of n pairs, n at least 4, as `rank_correlation` has it."""
    # A perfect correlation has no finite z, and its interval the width zero.
    centre = np.arctanh(value) if abs(value) < 1 else np.copysign(np.inf, value)
    half = normal(confidence) * np.sqrt((1 + value**2 / 2) / (n - 3))
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))


def summarize_finite(
    values: ArrayLike, clusters: ArrayLike | None = None, confidence: float = 0.95, seed: int = 0
) -> Summary:
    """`summarize` of the finite ones of values [n]; `NO_VALUES` where there is none.

    Args:
        clusters: a label for each value, finite or not [n].
    """
    x = np.asarray(values, float)
    finite = np.isfinite(x)
    if not finite.any():
        return NO_VALUES
    return summarize(x[finite], None if clusters is None else np.asarray(clusters)[finite], confidence, seed)


def summarize_columns(
    values: ArrayLike, clusters: ArrayLike | None = None, confidence: float = 0.95, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """Fields of `summarize`, each [...], of the finite values [n, ...] in each column; nan for columns of none.

    Args:
        clusters: a label for each row [n].
    """
    x = np.asarray(values, float)
    columns = x.reshape(len(x), math.prod(x.shape[1:])).T
    found = [summarize_finite(column, clusters, confidence, seed) for column in columns]
    return {name: np.array([getattr(one, name) for one in found]).reshape(x.shape[1:]) for name in vars(NO_VALUES)}


def _bootstrap_medians(
    x: NDArray[np.float64], index: NDArray[np.intp], count: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Medians over resampled clusters, as weighted medians of the sorted values: [replicates]."""
    order = np.argsort(x, kind="stable")
    weights = generator.multinomial(count, np.full(count, 1 / count), size=BOOTSTRAP_REPLICATES)
    cumulative = np.cumsum(weights[:, index[order]], axis=1)
    half = cumulative[:, -1:] / 2
    lower = x[order][np.argmax(cumulative >= half, axis=1)]
    upper = x[order][np.argmax(cumulative > half, axis=1)]
    return (lower + upper) / 2
