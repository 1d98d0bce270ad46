"""Normals of decision boundaries, the angles at which lines cross them, and where they begin to turn (Bell, Part III).

The angle of incidence is that between a line and the normal, 0 for an orthogonal crossing: definition 30.1 contradicts
itself (errata, Part III). Skewness is that angle's size.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.boundary.points import (
    BoundaryPoints,
    LineCrossing,
    cross,
    descend,
    logits_in_batches,
    margin_gradients,
    margins,
)
from neighborhoods.networks.inference import Classifier


@dataclass(frozen=True)
class Skewness:
    """Angles at which lines first cross a boundary.

    Attributes:
        crossing: where. normal: unit normals there [n, ...], from the first class into the second; nan where the class
            never changes or the margin is flat. angle: between line and normal in degrees, 0 to 90 [n], float64.
    """

    crossing: LineCrossing
    normal: Tensor
    angle: Tensor


@dataclass(frozen=True)
class SampledNormals:
    """Normals fitted to samples.

    Attributes:
        normal: unit normals [n, ...], from the first class of each pair into the second; nan for points not found.
        error: angle in degrees that the scatter of the margins about the fitted plane leaves between the normal and
            what infinitely many samples would give, root mean square [n], float64.
    """

    normal: Tensor
    error: Tensor


@dataclass(frozen=True)
class Turning:
    """How far normals turn at growing distance from points of a boundary.

    Attributes:
        angle: between the normal at a point and at one near it, in degrees [n, radii, walks], float64; nan where the
            pair of classes meets no more.
        median: over the walks that were found [n, radii]. found: share of them [n, radii].
        curvature: tan(angle) / r of the median, one over units of the images [n, radii]: that of the sphere whose
            normals turn as much; 0 where nothing turns.
    """

    angle: Tensor
    median: Tensor
    found: Tensor
    curvature: Tensor


def margin_normals(model: Classifier, points: BoundaryPoints, *, batch_size: int = 4096) -> Tensor:
    """Unit normals [n, ...] by the gradient of the margin, from the first class of each pair into the second.

    nan for points that were not found, and where the gradient is zero.
    """
    place = torch.nan_to_num(points.point)
    first, second = points.pair.clamp_min(0).unbind(1)
    gradient = margin_gradients(model, place, second, first, batch_size=batch_size)[1]
    gradient[~points.found] = math.nan
    return unit(gradient)


def sampled_normals(
    model: Classifier, points: BoundaryPoints, radius: float, samples: int, *, seed: int = 0, batch_size: int = 4096
) -> SampledNormals:
    """Normals by least squares on the margins of samples around each point; no gradient is needed.

    The margin between the pair at x + radius z, z ~ N(0, I), is fitted by a plane in z (Bell, section 31, fits the
    projected samples; margins use every sample, also far from the boundary). The fit estimates the gradient of the
    margin's mean over the noise (Stein 1981), exactly where the margin is linear. All points share the samples, which
    come as z and -z, so that even orders of the margin cancel.

    Args:
        points: n points of the boundary, of images [...]. radius: standard deviation of a sample's coordinates, in
            units of the images. samples: even, at least 4 for each dimension.

    Raises:
        ValueError: fewer samples, or a radius that is not positive.
    """
    shape = points.point.shape[1:]
    dimension = math.prod(shape)
    if samples < 4 * dimension or samples % 2 or not radius > 0:
        raise ValueError(
            f"expected an even number of at least {4 * dimension} samples for {dimension} dimensions and a positive "
            f"radius, found {samples} and {radius:g}"
        )
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(samples // 2, dimension, generator=generator, dtype=torch.float64)
    z = half.to(points.point)
    # With both signs of each sample the constant term is free, and the fit is that of half the differences.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(half.T @ half))
    fit = (inverse @ half.T).to(points.point)
    result = torch.full_like(points.point.flatten(1), math.nan)
    variance = result.new_full((len(result),), math.nan, dtype=torch.float64)
    for rows in points.found.nonzero()[:, 0].split(max(1, batch_size // samples)):
        place = points.point[rows].flatten(1)[:, None]
        first, second = points.pair[rows].repeat_interleave(len(z), 0).unbind(1)
        ahead, behind = (
            margins(
                logits_in_batches(model, (place + sign * radius * z).reshape(-1, *shape), batch_size), second, first
            )
            for sign in (1, -1)
        )
        observed = ((ahead - behind) / 2).reshape(len(rows), len(z))
        result[rows] = observed @ fit.T
        residual = (observed - result[rows] @ z.T).double()
        variance[rows] = residual.square().sum(1) / (len(z) - dimension)
    spread = (variance * inverse.trace().to(variance)).sqrt()
    error = torch.rad2deg(torch.atan2(spread, result.double().norm(dim=1)))
    return SampledNormals(unit(result.reshape(points.point.shape)), error)


def skewness(model: Classifier, start: Tensor, end: Tensor, *, batch_size: int = 4096) -> Skewness:
    """Angle between each line and the normal of the boundary where it first changes class.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd.
        start, end: images [n, ...], floating point.

    Raises:
        ValueError: as for `cross`.
    """
    crossing = cross(model, start, end, batch_size=batch_size)
    normal = margin_normals(model, crossing, batch_size=batch_size)
    return Skewness(crossing, normal, degrees_between(end - start, normal))


def turning(
    model: Classifier,
    points: BoundaryPoints,
    radii: Tensor,
    walks: int,
    *,
    seed: int = 0,
    batch_size: int = 4096,
) -> Turning:
    """Angles between the normal at each point and those at the boundary around it.

    From each point `walks` steps of each length are taken in random directions of the tangent plane, the same for all
    lengths; `descend` leads back to the boundary of the same pair. On a sphere of radius R the angle is atan(r / R).

    Args:
        radii: lengths of the steps, in units of the images, positive [radii].
        walks: steps of each length.

    Raises:
        ValueError: radii that are not positive, or no walks.
    """
    if radii.ndim != 1 or not bool((radii > 0).all()) or walks < 1:
        raise ValueError(f"expected positive radii and at least one walk, found {radii.tolist()} and {walks}")
    normal = margin_normals(model, points, batch_size=batch_size).flatten(1)
    usable = torch.isfinite(normal).all(1).nonzero()[:, 0]
    n, shape = len(normal), points.point.shape[1:]
    angle = torch.full((n, len(radii), walks), math.nan, dtype=torch.float64, device=normal.device)
    generator = torch.Generator().manual_seed(seed)
    each = len(radii) * walks
    for rows in usable.split(max(1, batch_size // each)):
        own = normal[rows, None]
        direction = torch.randn(len(rows), walks, normal.shape[1], generator=generator, dtype=torch.float64).to(normal)
        direction = direction - (direction * own).sum(2, keepdim=True) * own
        direction = direction / direction.norm(dim=2, keepdim=True)
        offset = (radii.to(normal)[:, None, None] * direction[:, None]).flatten(1, 2)
        place = (points.point[rows].flatten(1)[:, None] + offset).reshape(-1, *shape)
        landed = descend(model, place, points.pair[rows].repeat_interleave(each, 0), batch_size=batch_size)
        turned = margin_normals(model, landed, batch_size=batch_size)
        between = degrees_between(turned, normal[rows].repeat_interleave(each, 0))
        angle[rows] = between.reshape(len(rows), len(radii), walks)
    found = torch.isfinite(angle)
    # Of an even number PyTorch takes the lower of the two in the middle, which mirrored is the upper one.
    median = (torch.nanmedian(angle, 2).values - torch.nanmedian(-angle, 2).values) / 2
    return Turning(angle, median, found.double().mean(2), torch.deg2rad(median).tan() / radii.to(angle))


def turning_radius(radii: Tensor, angle: Tensor, threshold: float) -> Tensor:
    """Radius [n] at which angles [n, radii] first reach a threshold, interpolated in ln(radius).

    inf where none does; the first radius where it already does; nan where no angle is known. Single nan angles are
    passed over.
    """
    reached = angle >= threshold
    first = reached.int().argmax(1)
    logs = radii.double().log()
    before = (first - 1).clamp_min(0)
    low, high = (angle.gather(1, place[:, None])[:, 0] for place in (before, first))
    share = ((threshold - low) / (high - low)).nan_to_num(1.0).clamp(0, 1)
    share = torch.where(first == 0, 1.0, share)
    place = (logs[before] + share * (logs[first] - logs[before])).exp()
    unknown = torch.where(torch.isnan(angle).all(1), math.nan, math.inf)
    return torch.where(reached.any(1), place, unknown)


def degrees_between(first: Tensor, second: Tensor) -> Tensor:
    """Angles between lines along vectors [n, ...], 0 to 90 degrees, float64 [n]; nan where a vector is zero or nan."""
    one, two = (unit(vectors.double()).flatten(1) for vectors in (first, second))
    cosine = (one * two).sum(1)
    # Exact for small angles too, where the arc cosine loses half of the digits.
    sine = (one - cosine[:, None] * two).norm(dim=1)
    return torch.rad2deg(torch.atan2(sine, cosine.abs()))


def energy_share(vectors: Tensor, directions: Tensor) -> Tensor:
    """Share of the squared length of vectors [n, ...] that lies in the span of orthonormal directions [m, dimension].

    Returns:
        Shares [n], float64; m / dimension on the mean for vectors of random directions.
    """
    flat = unit(vectors.double()).flatten(1)
    return (flat @ directions.double().T).square().sum(1)


def unit(vectors: Tensor) -> Tensor:
    """Vectors [n, ...] of length one along the given ones; nan for zero vectors."""
    length = vectors.flatten(1).norm(dim=1).reshape(-1, *[1] * (vectors.ndim - 1))
    return torch.where(length > 0, vectors / length, math.nan)
