"""Means over two things that vary at once: trainings from several seeds, each tried on the same images."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from neighborhoods.statistics import Estimate, clopper_pearson


def crossed_mean(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Mean of values [seeds, images] that holds for other seeds and for other images (two crossed random effects).

    The variance is that of the seeds' means over the number of seeds, plus that of the images' means over the number of
    images. What is left to single values counts in both, once too often (its share is the smaller the more seeds and
    images there are), so that the interval is rather too wide. Student's law has Satterthwaite's degrees of freedom
    (Satterthwaite 1946). Two networks that share seeds and images are compared by giving their differences.

    Args:
        values: finite numbers, [seeds, images]. confidence: level of the interval.

    Returns:
        Mean with its limits, nan for fewer than two seeds or images; n counts the values.

    Raises:
        ValueError: not two axes, no values, or values that are not finite.
    """
    x = np.asarray(values, float)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"expected finite values [seeds, images], found shape {x.shape}")
    mean = float(x.mean())
    if min(x.shape) < 2:
        return Estimate(mean, math.nan, math.nan, x.size)
    parts = [x.mean(1 - axis).var(ddof=1) / x.shape[axis] for axis in (0, 1)]
    variance = sum(parts)
    if not variance > 0:
        return Estimate(mean, mean, mean, x.size)
    freedom = variance**2 / sum(part**2 / (count - 1) for part, count in zip(parts, x.shape, strict=True))
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * variance**0.5)
    return Estimate(mean, mean - half, mean + half, x.size)


def crossed_share(hits: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Share of hits [seeds, images], with an interval that does not vanish where all or none are hits.

    It is `crossed_mean`'s, widened to Clopper and Pearson's for the images alone, as if all seeds were one.

    Raises:
        ValueError: as for `crossed_mean`.
    """
    found = crossed_mean(hits, confidence)
    images = np.shape(hits)[1]
    low, high = (float(limit) for limit in clopper_pearson(found.value * images, images, confidence))
    if math.isnan(found.low):
        return found
    return Estimate(found.value, max(min(found.low, low), 0.0), min(max(found.high, high), 1.0), found.n)
