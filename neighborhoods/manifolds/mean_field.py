"""Replica mean-field analysis of manifolds: capacity, radius, dimension and centre correlation (MFTMA).

Chung, Lee and Sompolinsky (PRX 8, 031003, 2018); Cohen, Chung, Lee and Sompolinsky (Nat. Commun. 11:746, 2020); Seguin,
appendix A.4. A manifold is a cloud of points s = (s_1, ..., s_D, 1): coordinates about its centre in units of the
centre's length, and the centre's own coordinate. For a Gaussian vector T = (t, t_0) let

    v = argmin ||v - T||^2 over v . s <= -kappa for all points s,    s~ = (T - v) / sum of the multipliers,

which is the anchor point, a mean of the points that touch v's hyperplane; where v = T it is the point of largest T . s.
Then capacity = 1 / <[T . s~ + kappa]_+^2 / ||s~||^2>. Conventions are those of the published code: manifolds are taken
about the mean of all points, without the structure that centres share; the radius is the root mean square of
||s~ - <s~>|| over the centre's coordinate (which is 1); the dimension is D <t . s~ / (||t|| ||s~||)>^2, the centre's
coordinate left out, where D counts points, or features if they are fewer. Anything in float64.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neighborhoods.cones.nonnegative import nonnegative_minimum
from neighborhoods.manifolds.centers import TOLERANCE, UnsuitedManifoldsError, shared_directions
from neighborhoods.statistics.intervals import Estimate, student, summarize

# Relative to the centre's distance: anchor points nearer to the centre than this have no direction.
SMALLEST = 1e-12


@dataclass(frozen=True)
class AnchorGeometry:
    """What the anchor points of each of P manifolds say, with standard errors over the Gaussian vectors.

    Vectors are spread more evenly than independent ones, so that the errors, which take them as independent, are upper
    bounds (Owen 1997).

    Attributes:
        capacity, radius, dimension: of each manifold [P]. Radii are in units of the centre's length.
        capacity_error, radius_error, dimension_error: their standard errors [P].
        vectors: Gaussian vectors of each manifold.
    """

    capacity: Tensor
    radius: Tensor
    dimension: Tensor
    capacity_error: Tensor
    radius_error: Tensor
    dimension_error: Tensor
    vectors: int


@dataclass(frozen=True)
class ManifoldGeometry:
    """Means over manifolds, and each manifold.

    Intervals are Student's over manifolds. Each manifold has Gaussian vectors of its own, so that their sampling error
    is in the intervals as well; `manifolds` holds it by itself.

    Attributes:
        capacity: harmonic mean, its interval that of the mean inverse. radius, dimension: means.
        center_correlation: mean absolute correlation of pairs of centres before structure is removed, its interval by
            the jackknife over manifolds.
        manifolds: each by itself. center_correlations: mean absolute correlation of each centre with the others [P].
        removed: rank of the structure that centres share, removed from all points.
        residual_correlation: of the centres without it.
    """

    capacity: Estimate
    radius: Estimate
    dimension: Estimate
    center_correlation: Estimate
    manifolds: AnchorGeometry
    center_correlations: Tensor
    removed: int
    residual_correlation: float

    def __repr__(self) -> str:
        shown = ("capacity", "radius", "dimension", "center_correlation")
        return f"ManifoldGeometry({'; '.join(f'{name} {getattr(self, name)}' for name in shown)})"


def mftma(
    points: Tensor | Sequence[Tensor],
    kappa: float = 0.0,
    n_t: int = 200,
    seed: int = 0,
    *,
    confidence: float = 0.95,
    tolerance: float = TOLERANCE,
) -> ManifoldGeometry:
    """Replica mean-field analysis of manifolds given by points.

    Manifolds of one point each are points: their capacity is that of points (2 at kappa = 0), radius and dimension are
    0. A point given twice counts twice in its manifold's centre.

    Args:
        points: [manifolds, features, samples], or a list of [features, samples] with numbers of samples of their own.
        kappa: margin, at least 0, in units of the centre's length.
        n_t: Gaussian vectors of a manifold; they form a Latin hypercube.
        seed: of the vectors. confidence: level of the intervals.
        tolerance: of the search for what centres share, see `shared_directions`.

    Raises:
        UnsuitedManifoldsError: no more features than points of a manifold, fewer than three manifolds, or a centre that
            is the mean of all or lies in what centres share.
        ValueError: shapes that do not fit, numbers that are not finite, a negative kappa, or fewer than two vectors.
    """
    clouds = _checked(points)
    _check_sampling(kappa, n_t)
    device = clouds[0].device
    # Rotations do not count, and coordinates about the centre span no more dimensions than there are points.
    centers = torch.stack([cloud.double().mean(1) for cloud in clouds], 1)
    counts = torch.tensor([cloud.shape[1] for cloud in clouds], device=device)
    shared = shared_directions(centers.cpu(), tolerance)
    basis = shared.basis.to(device)
    apart = centers - (centers @ counts.double())[:, None] / counts.sum()
    lengths = (apart - basis @ (basis.T @ apart)).norm(dim=0)
    if bool((lengths <= SMALLEST * max(float(cloud.abs().max()) for cloud in clouds)).any()):
        raise UnsuitedManifoldsError(
            f"expected centres apart from their mean and from the {basis.shape[1]} directions that all share, found "
            f"manifold {int(lengths.argmin())} with its centre among them"
        )
    most = int(counts.max())
    gram = centers.new_zeros(len(clouds), most, most)
    for i, cloud in enumerate(clouds):
        about = (cloud.double() - centers[:, i : i + 1]) / lengths[i]
        inside = basis.T @ about
        gram[i, : counts[i], : counts[i]] = about.T @ about - inside.T @ inside
    coordinates = _roots(gram)
    vectors = gaussian_vectors(len(clouds), n_t, most + 1, seed, device)
    present = torch.arange(most, device=device) < counts[:, None]
    vectors[:, :, :-1] *= present[:, None]
    anchors = anchor_points(coordinates, vectors, kappa, present)
    each = anchor_geometry(vectors, anchors, kappa, counts)
    inverse = summarize((1 / each.capacity).cpu().numpy(), None, confidence)
    capacity = Estimate(1 / inverse.mean, 1 / inverse.mean_high, _inverse(inverse.mean_low), len(clouds))
    return ManifoldGeometry(
        capacity,
        _mean(each.radius, confidence),
        _mean(each.dimension, confidence),
        center_correlation(shared.correlation.numpy(), confidence),
        each,
        shared.correlation,
        basis.shape[1],
        shared.residual,
    )


def ball_geometry(radius: float, dimension: int, kappa: float = 0.0, n_t: int = 5000, seed: int = 0) -> AnchorGeometry:
    """Anchor points of an L2 ball, whose support function is known, averaged as those of sampled manifolds are.

    Args:
        radius: R, in units of the centre's length, at least 0. dimension: D. kappa, n_t, seed: as for `mftma`.

    Returns:
        Geometry of one manifold: tensors [1].

    Raises:
        ValueError: a radius or kappa that is negative, no dimension, or fewer than two vectors.
    """
    if not (math.isfinite(radius) and radius >= 0) or dimension < 1:
        raise ValueError(
            f"expected a radius of at least 0 and a dimension of at least 1, found {radius} and {dimension}"
        )
    _check_sampling(kappa, n_t)
    vectors = gaussian_vectors(1, n_t, dimension + 1, seed)
    anchors = ball_anchor_points(radius, vectors, kappa)
    return anchor_geometry(vectors, anchors, kappa, torch.tensor([dimension]))


def gaussian_vectors(
    manifolds: int, count: int, dimension: int, seed: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """Standard normal vectors [manifolds, count, dimension], float64, drawn on the CPU.

    Each vector by itself is standard normal. Those of a manifold form a Latin hypercube (McKay et al. 1979): each
    coordinate has one value in each of `count` equally likely intervals, so that means of sums of functions of single
    coordinates, such as ||T||^2, vary little. Manifolds are independent.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(manifolds, count, dimension, generator=generator).argsort(dim=1).argsort(dim=1)
    within = torch.rand(manifolds, count, dimension, generator=generator, dtype=torch.float64)
    share = (order + within) / count
    return torch.special.ndtri(share.clamp(min=torch.finfo(share.dtype).tiny)).to(device)


def anchor_points(points: Tensor, vectors: Tensor, kappa: float = 0.0, present: Tensor | None = None) -> Tensor:
    """Anchor points s~ of clouds of points (Chung et al. 2018, section III), exact up to rounding.

    The multipliers minimise ||T - sum_i lam_i s_i||^2 / 2 - kappa sum_i lam_i over lam >= 0: one programme for each
    vector, all programmes of a manifold with the same Gram matrix.

    Args:
        points: about their centre in units of its length [P, M, D], float64.
        vectors: T, the centre's coordinate last [P, n, D + 1].
        kappa: margin.
        present: which points there are [P, M]; all when None.

    Returns:
        [P, n, D + 1], the last coordinate 1.
    """
    # Points of a manifold that has fewer than others must not touch.
    here = torch.ones_like(points[:, :, 0], dtype=torch.bool) if present is None else present
    reach = (vectors[:, :, :-1] @ points.mT + vectors[:, :, -1:]).masked_fill(~here[:, None], -torch.inf)
    linear = torch.where(here[:, None], reach + kappa, -1)
    multipliers = nonnegative_minimum(points @ points.mT + 1, linear)
    total = multipliers.sum(2, keepdim=True)
    farthest = torch.zeros_like(reach).scatter_(2, reach.argmax(2, keepdim=True), 1)
    weights = torch.where(total > 0, multipliers / torch.where(total > 0, total, 1), farthest)
    anchors = weights @ points
    return torch.cat([anchors, torch.ones_like(total)], 2)


def ball_anchor_points(radius: float, vectors: Tensor, kappa: float = 0.0) -> Tensor:
    """Anchor points of a ball about the centre (Chung et al. 2018): along t, up to the ball's surface.

    The whole ball touches the hyperplane where t_0 + kappa > ||t|| / R; its anchor point is t / (t_0 + kappa) there.

    Args:
        radius: R. vectors: T [P, n, D + 1]. kappa: margin.

    Returns:
        [P, n, D + 1], the last coordinate 1.
    """
    t, along_center = vectors[:, :, :-1], vectors[:, :, -1:] + kappa
    length = t.norm(dim=2, keepdim=True)
    inside = along_center * radius > length
    scale = torch.where(inside, 1 / along_center, radius / length)
    return torch.cat([scale * t, torch.ones_like(length)], 2)


def anchor_geometry(vectors: Tensor, anchors: Tensor, kappa: float, dimensions: Tensor) -> AnchorGeometry:
    """Capacity, radius and dimension from anchor points (Chung et al. 2018, equations 16, 17, 28 and 29).

    In the conventions of the module.

    Args:
        vectors, anchors: T and s~ [P, n, D + 1], the centre's coordinate last.
        kappa: margin.
        dimensions: D of each manifold [P]; coordinates beyond are zero.
    """
    count = vectors.shape[1]
    gap = ((vectors * anchors).sum(2) + kappa).clamp(min=0)
    lift = gap.square() / anchors.square().sum(2)
    across = anchors[:, :, :-1] / anchors[:, :, -1:]
    spread = (across - across.mean(1, keepdim=True)).square().sum(2)
    along = (_unit(vectors[:, :, :-1]) * _unit(anchors[:, :, :-1])).sum(2)
    inverse, square, cosine = lift.mean(1), spread.mean(1), along.mean(1)
    errors = [values.std(1) / math.sqrt(count) for values in (lift, spread, along)]
    size = dimensions.to(cosine)
    radius = square.sqrt()
    return AnchorGeometry(
        capacity=1 / inverse,
        radius=radius,
        dimension=size * cosine.square(),
        capacity_error=errors[0] / inverse.square(),
        radius_error=errors[1] / (2 * torch.where(radius > 0, radius, torch.inf)),
        dimension_error=2 * size * cosine.abs() * errors[2],
        vectors=count,
    )


def center_correlation(rows: NDArray[np.float64], confidence: float = 0.95) -> Estimate:
    """Mean over pairs of centres, with the jackknife's interval over manifolds, whose pairs go with them.

    Args:
        rows: mean over its pairs of each manifold [P], P at least 3; or its difference between two networks.
    """
    count, mean = len(rows), float(rows.mean())
    without = (count * mean - 2 * rows) / (count - 2)
    error = math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum()))
    half = error * float(student(confidence, count - 1))
    return Estimate(mean, mean - half, mean + half, count)


def _checked(points: Tensor | Sequence[Tensor]) -> list[Tensor]:
    clouds = list(points)
    shapes = [tuple(cloud.shape) for cloud in clouds]
    if not clouds or any(len(shape) != 2 or shape[0] != shapes[0][0] or shape[1] < 1 for shape in shapes):
        raise ValueError(
            f"expected manifolds of points [features, samples] with equally many features and at least one sample, "
            f"found shapes {sorted(set(shapes))}"
        )
    most = max(shape[1] for shape in shapes)
    if shapes[0][0] <= most:
        raise UnsuitedManifoldsError(
            f"expected more features than points of a manifold, since the theory keeps the centre's direction apart "
            f"from theirs, found {shapes[0][0]} features and {most} points"
        )
    if len(clouds) < 3:
        raise UnsuitedManifoldsError(
            f"expected at least 3 manifolds, since the theory is about their separation, found {len(clouds)}"
        )
    for i, cloud in enumerate(clouds):
        if not bool(torch.isfinite(cloud).all()):
            raise ValueError(f"expected finite points, found some of manifold {i} that are not")
    return clouds


def _check_sampling(kappa: float, n_t: int) -> None:
    if not (math.isfinite(kappa) and kappa >= 0) or n_t < 2:
        raise ValueError(f"expected kappa of at least 0 and at least 2 Gaussian vectors, found {kappa} and {n_t}")


def _roots(gram: Tensor) -> Tensor:
    """Points [P, M, M] with given inner products: symmetric roots, which do not depend on the order of rotations."""
    values, frame = torch.linalg.eigh(gram)
    return (frame * values.clamp(min=0).sqrt()[:, None]) @ frame.mT


def _unit(x: Tensor) -> Tensor:
    length = x.norm(dim=2, keepdim=True)
    return torch.where(length > SMALLEST, x / torch.where(length > SMALLEST, length, 1), 0)


def _inverse(value: float) -> float:
    return 1 / value if value > 0 else math.inf


def _mean(values: Tensor, confidence: float) -> Estimate:
    found = summarize(values.cpu().numpy(), None, confidence)
    return Estimate(found.mean, found.mean_low, found.mean_high, found.n)
