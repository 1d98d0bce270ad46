"""Accuracies of networks from several seeds that were tried on the same images, for other seeds and other images.

The variance of a mean is that between seeds plus that between images (`crossed`). Intervals over seeds alone can be far
too narrow where few seeds agree by chance; those over images alone say nothing of another training.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neighborhoods.statistics.crossed import crossed
from neighborhoods.statistics.intervals import Estimate, clopper_pearson

# Values of `broken_by`: wrong without an attack, and right under all of them.
MISTAKE, SURVIVED = -1, 0


def right(broken_by: ArrayLike, of: str) -> NDArray[np.float64]:
    """1 where a network is right about an image, without an attack or under all of them, else 0.

    Args:
        broken_by: attack that broke the image [seeds, images], 0 for none and -1 where none was needed.
        of: "natural" or "adversarial".

    Returns:
        [seeds, images].

    Raises:
        ValueError: another accuracy.
    """
    if of not in ("natural", "adversarial"):
        raise ValueError(f"expected natural or adversarial accuracy, found {of!r}")
    broken = np.asarray(broken_by)
    return (broken != MISTAKE if of == "natural" else broken == SURVIVED).astype(float)


def mean_over_seeds(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Mean of values [seeds, images]; n counts images. Limits are nan for one seed, and for values that never differ.

    Differences of two networks of the same seeds on the same images make a paired comparison.

    Raises:
        ValueError: no seeds, or fewer than two images.
    """
    x = np.asarray(values, float)
    found = crossed(x, [(("seed", seed),) for seed in range(len(x))]).estimate(confidence)
    return Estimate(float(found.value), float(found.low), float(found.high), found.n)


def share_over_seeds(hits: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Share of hits [seeds, images], with an interval where all or none are hits too; n counts images.

    The interval of `mean_over_seeds`, widened to Clopper and Pearson's for the images alone, as if all seeds were one.

    Raises:
        ValueError: as for `mean_over_seeds`.
    """
    x: NDArray[Any] = np.asarray(hits, float)
    found = mean_over_seeds(x, confidence)
    if len(x) < 2:
        return found
    images = x.shape[1]
    limits = clopper_pearson(found.value * images, images, confidence)
    # nan where nothing differs, which leaves the other interval.
    low, high = np.fmin(found.low, limits[0]), np.fmax(found.high, limits[1])
    return Estimate(found.value, max(float(low), 0.0), min(float(high), 1.0), found.n)
