"""How well persistence tells adversarial images from natural ones, with intervals that know what belongs together.

Scores are persistence: the smaller, the more adversarial. Only their order matters, so that values at the end of the
range searched (censored ones) count as ties with one another, and may be infinite.

Several adversarial images made from one digit are not independent, nor is a digit and what was made from it: a cluster
is one original, named by the same label in both groups.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from neighborhoods.statistics.intervals import clopper_pearson, interval_text

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Auroc:
    """Area under the receiver operating characteristic, P(adversarial < natural) + P(equal) / 2.

    Attributes:
        value: the area; 1/2 for a detector that knows nothing, below it where adversarial images outlast natural ones.
        standard_error: 0 where the groups do not overlap or all values are equal, NaN where a group is one cluster.
        low, high: interval of the confidence asked for, within [0, 1].
        n_natural, n_adversarial: images. clusters: independent originals among all of them.
    """

    value: float
    standard_error: float
    low: float
    high: float
    n_natural: int
    n_adversarial: int
    clusters: int

    def __str__(self) -> str:
        counts = f"n = {self.n_natural} natural, {self.n_adversarial} adversarial"
        return f"{interval_text(self.value, self.low, self.high)}, {counts}"


@dataclass(frozen=True)
class DetectionRate:
    """Share of adversarial images found by a threshold that few natural images fall below.

    Attributes:
        value: share of adversarial images with a persistence below `threshold`.
        low, high: interval for the share below the natural images' true quantile.
        threshold: in the unit of the scores; -inf where there are too few natural images to set one.
        false_positive_rate: share of the given natural images below `threshold`.
        n_natural, n_adversarial: images. clusters: independent originals among all of them.
    """

    value: float
    low: float
    high: float
    threshold: float
    false_positive_rate: float
    n_natural: int
    n_adversarial: int
    clusters: int

    def __str__(self) -> str:
        counts = f"n = {self.n_natural} natural, {self.n_adversarial} adversarial"
        return f"{interval_text(self.value, self.low, self.high)} below {self.threshold:.3g}, {counts}"


@dataclass(frozen=True)
class _Groups:
    """Scores of both groups and the number of each one's cluster, out of `clusters` in all."""

    natural: Array
    adversarial: Array
    natural_index: NDArray[np.intp]
    adversarial_index: NDArray[np.intp]
    clusters: int


def auroc(
    natural: ArrayLike,
    adversarial: ArrayLike,
    natural_clusters: ArrayLike | None = None,
    adversarial_clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Auroc:
    """Area under the ROC curve of persistence as a detector: the Mann-Whitney statistic over all pairs.

    Ties count one half, those of two censored values too. The standard error is that of DeLong et al. 1988 where every
    image is a cluster of its own, and that of Obuchowski 1997 where images share an original, within
    a group or across both. The interval is a Student interval of log(A / (1 - A)), with the degrees of freedom of Welch
    1947 for the two groups' parts, clusters less one each.

    No interval ends nearer to 0 or 1 than tail^(1 / k), for k pairs of images that share no original: with that chance
    k independent pairs are all in order (Clopper and Pearson 1934, no failures). It is the interval's inner end where
    the groups do not overlap, and if they share no original, no bound for all distributions is better. Where the
    standard error vanishes without that, as when all values are equal, or is not known, Hoeffding's 1963 inequality for
    k pairs gives the interval.

    Args:
        natural, adversarial: persistence [n_natural], [n_adversarial], or any score that is smaller for adversarial
            images; infinite values allowed.
        natural_clusters, adversarial_clusters: a label for each image, the same for the same original in both groups;
            every image its own cluster when left out.
        confidence: level of the interval, in (0, 1).

    Raises:
        ValueError: an empty group, NaN, lengths that differ, or a level out of range.
    """
    groups = _grouped(natural, adversarial, natural_clusters, adversarial_clusters, confidence)
    own, other = _shares_in_order(groups)
    value = float(own.mean())
    error, freedom = _standard_error(groups, own - value, other - value)
    low, high = _limits(value, error, freedom, _independent_pairs(groups), (1 - confidence) / 2)
    return Auroc(value, error, low, high, len(groups.natural), len(groups.adversarial), groups.clusters)


def roc_curve(natural: ArrayLike, adversarial: ArrayLike) -> tuple[Array, Array]:
    """Shares of natural and of adversarial images that score at most each threshold, for every value that occurs.

    Returns:
        False positive rates and true positive rates, both from 0 to 1; the trapezoidal area below is `auroc`.

    Raises:
        ValueError: an empty group or NaN.
    """
    groups = _grouped(natural, adversarial, None, None, 0.95)
    thresholds = np.unique(np.concatenate([groups.natural, groups.adversarial]))
    rates = [
        np.concatenate([[0.0], np.searchsorted(np.sort(group), thresholds, "right") / len(group)])
        for group in (groups.natural, groups.adversarial)
    ]
    return rates[0], rates[1]


def detection_rate(
    natural: ArrayLike,
    adversarial: ArrayLike,
    false_positive_rate: float = 0.05,
    natural_clusters: ArrayLike | None = None,
    adversarial_clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> DetectionRate:
    """Share of adversarial images whose persistence is below a threshold that spares most natural images.

    The threshold is the r-th smallest natural value, r = floor(false_positive_rate (n_natural + 1)): a further natural
    image falls below it with a chance of at most `false_positive_rate`, whatever the distribution. With fewer than
    1 / false_positive_rate - 1 natural images there is none, and nothing is detected.

    The interval is for the share of adversarial images below the natural images' true quantile, mostly a little larger.
    It adds two uncertainties by the square-and-add rule (Newcombe 1998; Zou and Donner 2008): that of the share at this
    threshold, by Clopper and Pearson, and that of the quantile, by the shares below the order statistics that hold it
    with the given confidence. In both the number of images is divided by the design effect of their clusters (Korn and
    Graubard 1998). That a digit and images made from it go together is left out: where they go up and down together
    the interval is too wide, not too narrow.

    Args:
        natural, adversarial, natural_clusters, adversarial_clusters, confidence: as for `auroc`.
        false_positive_rate: share of natural images that may fall below the threshold, in (0, 1).

    Raises:
        ValueError: as for `auroc`, or a rate out of range.
    """
    if not 0 < false_positive_rate < 1:
        raise ValueError(f"false_positive_rate must lie in (0, 1), found {false_positive_rate}")
    groups = _grouped(natural, adversarial, natural_clusters, adversarial_clusters, confidence)
    ordered = np.sort(groups.natural)
    m, n = len(ordered), len(groups.adversarial)

    def share_below(rank: int) -> float:
        """Share of adversarial images below the natural value of this rank, counted from 1."""
        return float(rank > m) if not 1 <= rank <= m else float(np.mean(groups.adversarial < ordered[rank - 1]))

    # The guard against rounding makes 0.05 of 20 images one image.
    rank = math.floor(false_positive_rate * (m + 1) + 1e-9)
    threshold = float(ordered[rank - 1]) if rank else -math.inf
    value = share_below(rank)
    tail = (1 - confidence) / 2
    size = _effective(groups.adversarial < threshold, groups.adversarial_index)
    # Effective numbers of images need not be whole (Korn and Graubard 1998).
    low, high = (float(limit) for limit in clopper_pearson(value * size, size, confidence))
    # A binomial number of independent natural images lies below the true quantile.
    size = max(round(_effective(groups.natural <= threshold, groups.natural_index)), 1)
    fewest, most = stats.binom.ppf([tail, 1 - tail], size, false_positive_rate)
    below = min(share_below(math.floor(fewest / size * m + 1e-9)), value)
    above = max(share_below(math.ceil((most + 1) / size * m - 1e-9)), value)
    low = max(value - math.hypot(value - low, value - below), 0.0)
    high = min(value + math.hypot(high - value, above - value), 1.0)
    measured = float(np.mean(groups.natural < threshold))
    return DetectionRate(value, low, high, threshold, measured, m, n, groups.clusters)


def _grouped(
    natural: ArrayLike,
    adversarial: ArrayLike,
    natural_clusters: ArrayLike | None,
    adversarial_clusters: ArrayLike | None,
    confidence: float,
) -> _Groups:
    """Checked arguments, clusters numbered from 0 through both groups."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), found {confidence}")
    scores, labels = [], []
    named = {"natural": (natural, natural_clusters), "adversarial": (adversarial, adversarial_clusters)}
    for name, (values, clusters) in named.items():
        x = np.asarray(values, float)
        if x.ndim != 1 or len(x) == 0 or np.isnan(x).any():
            raise ValueError(f"expected at least one {name} value [n] and no NaN, found shape {x.shape}")
        label = None if clusters is None else np.asarray(clusters)
        if label is not None and label.shape != x.shape:
            raise ValueError(f"expected a cluster for each {name} value {x.shape}, found {label.shape}")
        scores.append(x)
        labels.append(label)
    given = [label for label in labels if label is not None]
    names, numbers = np.unique(np.concatenate(given), return_inverse=True) if given else (np.empty(0), np.empty(0, int))
    count = len(names)
    index = []
    for x, label in zip(scores, labels, strict=True):
        if label is None:
            index.append(np.arange(count, count + len(x)))
            count += len(x)
        else:
            index.append(numbers[: len(x)])
            numbers = numbers[len(x) :]
    return _Groups(scores[0], scores[1], index[0], index[1], count)


def _shares_in_order(groups: _Groups) -> tuple[Array, Array]:
    """For each natural image the share of adversarial ones below it, for each adversarial one that of natural ones
    above it; ties count half (DeLong et al. 1988, V10 and V01)."""
    shares = []
    for own, other in ((groups.natural, groups.adversarial), (groups.adversarial, groups.natural)):
        ordered = np.sort(other)
        below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
        shares.append(below / (2 * len(other)))
    return shares[0], 1 - shares[1]


def _standard_error(groups: _Groups, natural: Array, adversarial: Array) -> tuple[float, float]:
    """Obuchowski's standard error from the deviations of `_shares_in_order`, and its degrees of freedom."""
    sums, parts = [], []
    for deviation, index in ((natural, groups.natural_index), (adversarial, groups.adversarial_index)):
        count = len(np.unique(index))
        if count == 1:
            return math.nan, math.nan
        total = np.bincount(index, deviation, minlength=groups.clusters) / len(deviation)
        sums.append(total)
        parts.append((count / (count - 1) * float(np.sum(total**2)), count - 1))
    shared = 2 * groups.clusters / (groups.clusters - 1) * float(np.sum(sums[0] * sums[1]))
    alone = sum(part for part, _ in parts)
    variance = alone + shared
    # Sums that cancel leave their rounding.
    if variance <= 1e-14:
        return 0.0, math.nan
    return math.sqrt(variance), alone**2 / sum(part**2 / degrees for part, degrees in parts)


def _independent_pairs(groups: _Groups) -> int:
    """Most pairs of a natural and an adversarial image in which no original occurs twice."""
    natural, adversarial = np.unique(groups.natural_index), np.unique(groups.adversarial_index)
    return min(len(natural), len(adversarial), groups.clusters // 2)


def _limits(value: float, error: float, freedom: float, pairs: int, tail: float) -> tuple[float, float]:
    """Interval of the area."""
    if pairs == 0:
        return 0.0, 1.0
    nearest = tail ** (1 / pairs)
    if value in (0.0, 1.0):
        return (nearest, 1.0) if value else (0.0, 1 - nearest)
    if not error > 0:
        half = math.sqrt(-math.log(tail) / (2 * pairs))
        return max(value - half, 0.0), min(value + half, 1.0)
    half = float(stats.t.ppf(1 - tail, freedom)) * error / (value * (1 - value))
    logit = math.log(value / (1 - value))
    return min(float(special.expit(logit - half)), nearest), max(float(special.expit(logit + half)), 1 - nearest)


def _effective(hits: NDArray[np.bool_], index: NDArray[np.intp]) -> float:
    """Number of independent images that would know their share of hits as well as these, in clusters, do.

    Between 1 and all of them. Where the hits cannot tell, because all are equal, the number of clusters of equal size
    that weigh as much, (sum of sizes)^2 / sum of squared sizes.
    """
    n = len(hits)
    sizes = np.unique(index, return_counts=True)[1]
    share = float(hits.mean())
    sums = np.bincount(index, hits - share)
    if len(sizes) in (1, n) or not np.any(np.abs(sums) > 1e-9):
        return n**2 / float(np.sum(sizes**2))
    return float(np.clip(share * (1 - share) * n**2 / np.sum(sums**2), 1, n))
