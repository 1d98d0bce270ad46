"""How lines between images meet decision boundaries (Bell, sections 36, 38 and 39): what is measured, and its nulls.

Skewness is the angle between a line and the normal where the line first changes class. Random directions are nearly
orthogonal to any normal in many dimensions, so that an angle says something only beside theirs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import integrate, special
from torch import Tensor

from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.boundary.normals import Skewness, degrees_between, sampled_normals, skewness
from neighborhoods.boundary.points import logits_in_batches
from neighborhoods.networks.inference import Classifier
from neighborhoods.statistics.intervals import (
    Difference,
    Estimate,
    Summary,
    difference,
    rank_correlation,
    summarize_columns,
)

# Columns of lines that are summarized, correlated with skewness, and compared between kinds of lines.
SUMMARIZED = (
    *("level", "skewness", "other", "length", "distance", "nearest", "energy_normal", "energy_line"),
    *("angle", "fit_error", "turning", "turning_found", "curvature", "turning_radius"),
)
CORRELATED = ("nearest", "distance", "length")
COMPARED = ("skewness", "level", "energy_normal", "energy_line")

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Incidence:
    """Lines and the boundaries they first cross.

    Attributes:
        lines: crossings, normals and angles.
        direction: end less start [n, ...]. length: of the lines [n], float64, in units of the images.
        distance: from the start to the crossing [n], float64; nan where the class never changes.
        nearest: from the start to the nearest boundary found [n], float64; inf where none is.
        to_nearest: from the start to that boundary's point [n, ...].
        other: angle in degrees between each line and the normal of another one's crossing [n], float64; nan for
            the last of an odd number of lines.
        couple: the lines of one number lend each other their normals [n], int64.
    """

    lines: Skewness
    direction: Tensor
    length: Tensor
    distance: Tensor
    nearest: Tensor
    to_nearest: Tensor
    other: Tensor
    couple: Tensor


def incidence(model: Classifier, start: Tensor, end: Tensor, *, batch_size: int = 4096) -> Incidence:
    """Measure lines from `start` to `end` where they first change class.

    Single precision is enough: on FC200-200-10 and digits angles differ from those of double precision by less than
    1e-6 degrees, at half the time.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd.
        start, end: images [n, ...], floating point.

    Raises:
        ValueError: as for `cross` and `boundary_distance`.
    """
    found = skewness(model, start, end, batch_size=batch_size)
    direction = end - start
    length = direction.double().flatten(1).norm(dim=1)
    near = boundary_distance(model, start)
    place = torch.arange(len(start), device=start.device)
    # Couples, so that each crossing counts in one cluster alone.
    partner = place ^ 1
    alone = partner >= len(place)
    other = degrees_between(direction, found.normal[torch.where(alone, place, partner)])
    return Incidence(
        lines=found,
        direction=direction,
        length=length,
        distance=found.crossing.t * length,
        nearest=near.distance,
        to_nearest=near.point - start,
        other=torch.where(alone, math.nan, other),
        couple=place // 2,
    )


@dataclass(frozen=True)
class NormalAngles:
    """Angles between directions that all may stand for the normal at a crossing.

    Attributes:
        angle: in degrees [n, directions, directions], float64, in the order of `direction_names`; nan where one is not
            known. error: of each fitted normal, as for `SampledNormals` [n, radii].
    """

    angle: Tensor
    error: Tensor


def compare_normals(
    model: Classifier,
    measured: Incidence,
    count: int,
    radii: Sequence[float],
    samples_per_dimension: int,
    *,
    seed: int = 0,
    batch_size: int = 4096,
) -> NormalAngles:
    """Angles among normals by gradient and by least squares, lines, and ways to the nearest boundary (section 31, 36).

    A line from a natural to an adversarial image is the attack's direction. The way to the nearest boundary starts from
    the natural image and need not end on the boundary that the line crosses.

    Args:
        count: the first lines. radii, samples_per_dimension: of the samples of least squares, for each radius; a
            radius in units of the images is the standard deviation of a coordinate.

    Raises:
        ValueError: as for `sampled_normals`.
    """
    points = measured.lines.crossing.at(slice(count))
    samples = samples_per_dimension * measured.direction[0].numel()
    samples += samples % 2
    fits = [sampled_normals(model, points, radius, samples, seed=seed, batch_size=batch_size) for radius in radii]
    directions = [
        measured.lines.normal[:count],
        *(fit.normal for fit in fits),
        measured.direction[:count],
        measured.to_nearest[:count],
    ]
    pairs = [torch.stack([degrees_between(one, two) for two in directions], 1) for one in directions]
    return NormalAngles(torch.stack(pairs, 1), torch.stack([fit.error for fit in fits], 1))


def direction_names(radii: Sequence[float]) -> list[str]:
    """Names of what `compare_normals` compares."""
    return ["gradient", *(f"least squares, radius {radius:g}" for radius in radii), "line", "nearest boundary"]


def probabilities_along(
    model: Classifier, start: Tensor, end: Tensor, t: Tensor, *, batch_size: int = 4096
) -> tuple[Tensor, Tensor]:
    """Softmax probabilities of all classes along lines (section 32.1), and the images there (32.2).

    Args:
        start, end: images [n, ...]. t: shares of the way [points].

    Returns:
        Probabilities [n, points, classes], float64, and images [n, points, ...].
    """
    share = t.to(start.device, torch.float64).reshape(-1, *[1] * (start.ndim - 1))
    images = ((1 - share) * start[:, None].double() + share * end[:, None].double()).to(start.dtype)
    logits = logits_in_batches(model, images.flatten(0, 1), batch_size).double()
    return logits.softmax(1).unflatten(0, images.shape[:2]), images


@dataclass(frozen=True)
class RandomAngle:
    """Angle between a fixed line and a random direction, 0 to 90 degrees: its mean and a central range."""

    mean: float
    low: float
    high: float


def random_angle(dimension: int, coverage: float = 0.95) -> RandomAngle:
    """Law of the angle between a fixed line and one of uniform direction: cos^2 ~ Beta(1/2, (dimension - 1)/2).

    Raises:
        ValueError: fewer than two dimensions, or coverage outside (0, 1).
    """
    if dimension < 2 or not 0 < coverage < 1:
        raise ValueError(f"expected at least 2 dimensions and a coverage in (0, 1), found {dimension} and {coverage}")
    a, b = 0.5, (dimension - 1) / 2
    # What is missing to a right angle exceeds s where cos^2 exceeds sin(s)^2; it is of the order dimension^(-1/2).
    end = min(math.pi / 2, 40 / math.sqrt(dimension))
    missing, _ = integrate.quad(lambda s: special.betaincc(a, b, math.sin(s) ** 2), 0, end)
    tail = (1 - coverage) / 2
    low, high = (math.degrees(math.acos(math.sqrt(special.betaincinv(a, b, share)))) for share in (1 - tail, tail))
    return RandomAngle(90 - math.degrees(missing), low, high)


def summarize_lines(
    lines: Columns, largest: float, confidence: float = 0.95, seed: int = 0
) -> dict[str, dict[str, NDArray[Any]]]:
    """Fields of `summarize_columns` of each of SUMMARIZED, over lines of one kind.

    Angles to other lines' normals are clustered by couples. Radii at which normals turn count as `largest` where they
    are infinite; how many do is the field `censored_high`.

    Args:
        lines: columns by name, each [n, ...], also of no lines.
    """
    columns = dict(lines)
    columns["turning_radius"] = np.minimum(lines["turning_radius"], largest)
    clusters = {"other": lines["couple"]}
    found = {name: summarize_columns(columns[name], clusters.get(name), confidence, seed) for name in SUMMARIZED}
    found["turning_radius"]["censored_high"] = np.isinf(lines["turning_radius"]).sum()
    return found


def correlate_lines(lines: Columns, confidence: float = 0.95) -> dict[str, Estimate]:
    """Rank correlations of skewness with each of CORRELATED, over lines of one kind [n] with both values finite."""
    return {name: rank_correlation(lines["skewness"], lines[name], confidence) for name in CORRELATED}


def compare_lines(
    first: Mapping[str, Columns], second: Mapping[str, Columns], confidence: float = 0.95
) -> dict[str, Difference]:
    """Differences of means of each of COMPARED between two kinds of lines that share no image.

    Args:
        first, second: fields of a summary by column, each a scalar, as `summarize_lines` gives them.
    """
    one, two = (
        {name: Summary(**{key: value.item() for key, value in kind[name].items()}) for name in COMPARED}
        for kind in (first, second)
    )
    return {name: difference(one[name], two[name], confidence) for name in COMPARED}
