"""Intervals of statistics over images that several trainings share.

Images and trainings (seeds) are crossed: every network sees every image. An interval for other images and other seeds
holds the variance between images plus that between the trainings of each kind, with Satterthwaite's degrees of freedom
and Student's law. What images and seeds make together is in both parts, so that the sum errs on the wide side (Cameron,
Gelbach and Miller 2011 subtract it once, which can leave nothing of few clusters).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neighborhoods.statistics.intervals import clopper_pearson, student

# The factor that images are levels of, unless another set of images is named.
IMAGES = "image"


@dataclass(frozen=True)
class CrossedEstimate:
    """Numbers with their intervals, all fields [...] but the counts.

    Attributes:
        value, standard_error, low, high: nan limits where a kind has too few trainings for any.
        freedom: Satterthwaite's degrees of freedom.
        n: images. networks: trainings.
    """

    value: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    freedom: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int
    networks: int


@dataclass(frozen=True)
class Crossed:
    """Statistics [...] as sums of what each level of some factors adds: differences of them keep what they share.

    Attributes:
        value: [...].
        parts: by factor, deviations [levels, ...] whose sum of squares is the variance that the factor adds.
        freedom: by factor, degrees of freedom of that variance.
        images: names of the factors that are sets of images.
        share: whether the statistics are shares of the images; none and all have Clopper and Pearson's interval.
    """

    value: NDArray[np.float64]
    parts: Mapping[str, NDArray[np.float64]]
    freedom: Mapping[str, int]
    images: frozenset[str]
    share: bool = False

    def __sub__(self, other: "Crossed") -> "Crossed":
        """The difference: factors of one name count as the same levels in both."""
        parts = dict(self.parts)
        for name, part in other.parts.items():
            parts[name] = parts[name] - part if name in parts else -part
        return Crossed(self.value - other.value, parts, {**other.freedom, **self.freedom}, self.images | other.images)

    def __getitem__(self, place: Any) -> "Crossed":
        """Some of the statistics, by an index of the axes of `value`."""
        index = place if isinstance(place, tuple) else (place,)
        parts = {name: part[(slice(None), *index)] for name, part in self.parts.items()}
        return Crossed(self.value[place], parts, self.freedom, self.images, self.share)

    def estimate(self, confidence: float = 0.95, least: float = -np.inf, most: float = np.inf) -> CrossedEstimate:
        """The statistics with their intervals, cut at the least and the most that they can be."""
        variances = {name: (part**2).sum(0) for name, part in self.parts.items()}
        total = np.asarray(sum(variances.values()), float)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = sum(variance**2 / self.freedom[name] for name, variance in variances.items())
            freedom = np.where(total > 0, total**2 / spread, np.nan)
        # Values that never differ say nothing of their spread.
        error = np.where(total > 0, np.sqrt(total), np.nan)
        half = error * student(confidence, freedom)
        n = sum(self.freedom[name] + 1 for name in self.images)
        networks = sum(count + 1 for name, count in self.freedom.items() if name not in self.images)
        if self.share:
            least, most = 0.0, 1.0
        low, high = (np.clip(self.value + sign * half, least, most) for sign in (-1, 1))
        if self.share:
            # Of none and of all: the images count once, however many networks agree on them.
            same = np.isnan(error) & np.isin(self.value, (0, 1))
            exact = clopper_pearson(np.where(same, self.value * n, 0), n, confidence)
            low, high = (np.where(same, one, other) for one, other in zip(exact, (low, high), strict=True))
        return CrossedEstimate(self.value, error, freedom, low, high, n, networks)


def crossed(
    values: ArrayLike, networks: Sequence[Sequence[tuple[str, int]]], images: str = IMAGES, share: bool = False
) -> Crossed:
    """Mean over rows and images of values [rows, N, ...], each row of one network or of a pair.

    Statistics other than means come as their value in each row plus each image's influence on it, which has mean zero.
    Between trainings variances are jackknifed, those of each kind by themselves: rows with a network are left out.

    Args:
        networks: of each row, kind and number of every network behind it, as (("adversarial", 0), ("standard", 2)).
        images: name of the factor of images. share: whether values are hits, so that means are shares of the images.

    Raises:
        ValueError: no rows, networks of another number of rows, or fewer than two images.
    """
    x = np.asarray(values, float)
    if x.ndim < 2 or len(x) == 0 or len(x) != len(networks) or x.shape[1] < 2:
        raise ValueError(f"expected rows of two images or more, networks for each, found {x.shape}, {len(networks)}")
    by_image, count = x.mean(0), x.shape[1]
    value = by_image.mean(0)
    parts = {images: (by_image - value) / np.sqrt(count * (count - 1))}
    parts |= jackknifed(x.mean(1), networks)
    freedom = {name: len(part) - 1 for name, part in parts.items()}
    return Crossed(value, parts, freedom, frozenset((images,)), share)


def jackknifed(
    rows: NDArray[np.float64], networks: Sequence[Sequence[tuple[str, int]]]
) -> dict[str, NDArray[np.float64]]:
    """Deviations [trainings, ...] of each kind for the mean of rows [rows, ...]; nan where none can be left out."""
    parts = {}
    for kind in sorted({kind for row in networks for kind, _ in row}):
        numbers = sorted({number for row in networks for name, number in row if name == kind})
        without = [[(kind, number) not in row for row in networks] for number in numbers]
        left = np.stack([_mean(rows[np.array(kept)]) for kept in without])
        count = len(numbers)
        parts[kind] = -np.sqrt((count - 1) / count) * (left - left.mean(0))
    return parts


def _mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows.mean(0) if len(rows) else np.full(rows.shape[1:], np.nan)
