"""Distributions of the largest logit and of the logit gap, and how robustness goes with the gap (Seguin, section 4.1).

Logits come as [..., class], of networks trained from several seeds on images that these share; intervals are those of
`crossed`, for other images and other seeds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from neighborhoods.statistics.crossed import IMAGES, Crossed, crossed
from neighborhoods.statistics.intervals import clopper_pearson


def max_logit(logits: ArrayLike) -> NDArray[np.float64]:
    """Largest logit [...] of logits [..., class]."""
    return np.asarray(logits).max(-1).astype(float)


def logit_gap(logits: ArrayLike) -> NDArray[np.float64]:
    """Largest less second largest logit [...] of logits [..., class].

    Raises:
        ValueError: fewer than two classes.
    """
    z = np.asarray(logits)
    if z.shape[-1] < 2:
        raise ValueError(f"a logit gap needs at least two classes, found {z.shape[-1]}")
    top = np.partition(z, -2, axis=-1)[..., -2:].astype(float)
    return top[..., 1] - top[..., 0]


def skewness(values: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fisher's moment coefficient m3 / m2^1.5 along the last axis, and each value's influence on it [..., n].

    The influence function of standardised z is z^3 - 3 z - g - 3/2 g (z^2 - 1) for a skewness g. Both are nan where
    values do not differ.
    """
    x = np.asarray(values, float)
    centred = x - x.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = centred / np.sqrt((centred**2).mean(-1, keepdims=True))
    skew = (z**3).mean(-1, keepdims=True)
    return skew[..., 0], z**3 - 3 * z - skew - 1.5 * skew * (z**2 - 1)


@dataclass(frozen=True)
class Moments:
    """What a distribution over images is described by; each averaged over seeds, with trailing axes [...].

    Attributes:
        mean, skewness: of the distribution over images. log_mean: ln of the mean, nan unless it is positive.
        above: share of values above a threshold.
    """

    mean: Crossed
    log_mean: Crossed
    skewness: Crossed
    above: Crossed

    def __sub__(self, other: "Moments") -> "Moments":
        """Differences, which keep what both share (`Crossed`)."""
        return Moments(**{name: one - getattr(other, name) for name, one in vars(self).items()})

    def __getitem__(self, place: int) -> "Moments":
        """At a place of the first trailing axis, e.g. one epoch."""
        return Moments(**{name: one[place] for name, one in vars(self).items()})


def moments(values: ArrayLike, kind: str, threshold: float, images: str = IMAGES) -> Moments:
    """Moments of values [seed, ..., image] of trainings of one kind, e.g. at several epochs.

    Args:
        kind: "standard" or "adversarial": trainings of one kind and number are the same wherever they occur.
        threshold: of the share `above`. images: name of the set of images; another set has another name.

    Raises:
        ValueError: as for `crossed`.
    """
    x = np.asarray(values, float)
    skew, influence = skewness(x)
    centre = x.mean(-1, keepdims=True)
    positive = np.where(centre > 0, centre, np.nan)
    members = of_kind(kind, len(x))
    parts = (x, np.log(positive) + x / positive - 1, skew[..., None] + influence)
    mean, log_mean, skewed = (crossed(np.moveaxis(part, -1, 1), members, images) for part in parts)
    return Moments(mean, log_mean, skewed, crossed(np.moveaxis(x > threshold, -1, 1), members, images, share=True))


def of_kind(kind: str, seeds: int) -> list[tuple[tuple[str, int]]]:
    """The one network behind each of so many rows, for `crossed`."""
    return [((kind, seed),) for seed in range(seeds)]


def shares(values: ArrayLike, edges: ArrayLike) -> NDArray[np.float64]:
    """Shares [..., bin] of values [..., n] in bins between edges [bin + 1]; the last bin holds its upper edge.

    Values beyond the edges are in no bin, and count in the whole.
    """
    place = _places(values, edges)
    bins, size = len(np.asarray(edges)) - 1, place.shape[-1]
    counts = np.apply_along_axis(np.bincount, 1, place.reshape(-1, size), minlength=bins + 1)[:, :bins]
    return counts.reshape(*place.shape[:-1], bins) / size


def _places(values: ArrayLike, edges: ArrayLike) -> NDArray[np.intp]:
    """Bin of each value; the number of bins for those in none, as for nan."""
    x, limits = np.asarray(values, float), np.asarray(edges, float)
    bins = len(limits) - 1
    place = np.searchsorted(limits, x, side="right") - 1
    place[x == limits[-1]] = bins - 1
    return np.where((place < 0) | (place >= bins), bins, place)


def bin_edges(values: ArrayLike, bins: int) -> NDArray[np.float64]:
    """Edges [bins + 1] of bins of equal width over all values, from 0 where none is negative."""
    x = np.asarray(values, float)
    low, high = float(min(x.min(), 0.0)), float(x.max())
    return np.linspace(low, high if high > low else low + 1.0, bins + 1)


def quantile_edges(values: ArrayLike, bins: int) -> NDArray[np.float64]:
    """Edges of bins with equally many values each [bins + 1]; fewer where values repeat, one bin where none differs."""
    edges = np.unique(np.quantile(np.asarray(values, float), np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else edges[0] + np.arange(2.0)


def peak_at_zero(gap: ArrayLike, kind: str, edges: ArrayLike) -> Crossed:
    """Share of gaps [seed, image] in the first bin less that in the fullest other one, averaged over seeds.

    Positive where the distribution has its mode at zero. The fullest other bin is chosen from the same values, which
    makes the difference too small rather than too large.

    Args:
        edges: of equal bins from 0 on [bin + 1].

    Raises:
        ValueError: as for `crossed`; the first edge is not 0, or there are fewer than two bins.
    """
    x, limits = np.asarray(gap, float), np.asarray(edges, float)
    if limits[0] != 0 or len(limits) < 3:
        raise ValueError(f"expected two bins or more from 0 on, found edges {limits[:3]}")
    fullest = shares(x, limits)[:, 1:].argmax(1)[:, None] + 1
    place = _places(x, limits)
    return crossed((place == 0) * 1.0 - (place == fullest), of_kind(kind, len(x)))


@dataclass(frozen=True)
class AccuracyByGap:
    """Adversarial accuracy of images by their natural logit gap.

    Attributes:
        gap: mean gap of the images of all seeds in each bin [bin].
        n, share, low, high: images of each seed in each bin, share that survives, its binomial interval [seed, bin];
            nan in empty bins.
        mean, deviation: of the shares over the seeds with images in a bin [bin]; the deviation needs two of them.
        trend: probability that a surviving image has a larger gap than one that does not (ties count half), averaged
            over seeds; 0.5 without a relation.
    """

    gap: NDArray[np.float64]
    n: NDArray[np.int64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    trend: Crossed


def accuracy_by_gap(
    gap: ArrayLike, survives: ArrayLike, kind: str, edges: ArrayLike, confidence: float = 0.95
) -> AccuracyByGap:
    """How often images survive an attack, by their logit gap (Seguin, figure 2B).

    Args:
        gap: natural logit gaps [seed, image]. survives: whether the attack leaves the image right; natural mistakes do
            not survive [seed, image]. edges: of bins [bin + 1].

    Raises:
        ValueError: shapes that differ, or as for `crossed`.
    """
    x, hits = np.asarray(gap, float), np.asarray(survives, bool)
    if x.shape != hits.shape:
        raise ValueError(f"expected a gap and an outcome for each image, found {x.shape} and {hits.shape}")
    size = x.shape[1]
    counts = np.rint(shares(x, edges) * size).astype(np.int64)
    # Broken images are moved out of all bins.
    right = np.rint(shares(np.where(hits, x, np.nan), edges) * size).astype(np.int64)
    known = counts > 0
    limits = clopper_pearson(right, np.maximum(counts, 1), confidence)
    share, low, high = (np.where(known, part, np.nan) for part in (right / np.maximum(counts, 1), *limits))
    seeds = known.sum(0)
    mean = np.where(seeds > 0, np.nansum(share, 0) / np.maximum(seeds, 1), np.nan)
    squares = np.nansum((share - mean) ** 2, 0)
    deviation = np.where(seeds > 1, np.sqrt(squares / np.maximum(seeds - 1, 1)), np.nan)
    areas = np.stack([_area(*row) for row in zip(x, hits, strict=True)])
    trend = crossed(areas, of_kind(kind, len(x)))
    middle = stats.binned_statistic(x.ravel(), x.ravel(), "mean", np.asarray(edges, float)).statistic
    return AccuracyByGap(middle, counts, share, low, high, mean, deviation, trend)


def _area(gap: NDArray[np.float64], survives: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mann and Whitney's probability plus each image's influence on it, by placements (DeLong et al. 1988): [image]."""
    n, k = len(gap), int(survives.sum())
    if k in (0, n):
        return np.full(n, np.nan)
    # Rank among all less rank among its own kind counts the others below.
    below = stats.rankdata(gap)
    own = np.empty(n)
    for group in (survives, ~survives):
        own[group] = stats.rankdata(gap[group])
    placement = np.where(survives, (below - own) / (n - k), 1 - (below - own) / k)
    area = placement[survives].mean()
    return area + (placement - area) * np.where(survives, n / k, n / (n - k))
