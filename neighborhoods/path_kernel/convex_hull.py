"""Distance to the convex hull of a class, which Bell (section 16) calls a geometric gold standard of classification."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.spatial import ConvexHull
from torch import Tensor

# From here on hulls have too many faces for their vertices to be listed.
LISTED_UP_TO = 3
CHECK_EVERY = 10


@dataclass(frozen=True)
class HullDistance:
    """Euclidean distances to a convex hull [Q]: that of the nearest point found, and a lower limit by a separating
    hyperplane. Both in the unit of the points."""

    distance: Tensor
    lower: Tensor


def hull_distance(points: Tensor, x: Tensor, tolerance: float = 1e-3, steps: int = 2000) -> HullDistance:
    """Project onto the convex hull of points: min ||points^T a - x|| over a >= 0, sum a = 1.

    Accelerated projected gradient with restarts (O'Donoghue and Candes 2015), for all x at once. With p the point found
    and r = x - p, every point q of the hull has <r, x - q> >= ||r||^2 - g, g = max_i <r, points_i - p>, and so the
    true distance is at least ||r|| - g / ||r||.

    Args:
        points: [N, ...]. x: [Q, ...], flattened from the second axis on.
        tolerance: stop when upper and lower limit are this close for all x, in the unit of the points.
        steps: at most; where they do not suffice the limits stay further apart.

    Raises:
        ValueError: no points, shapes that do not fit, or a tolerance that is not positive.
    """
    if len(points) == 0 or points.shape[1:] != x.shape[1:] or not tolerance > 0 or steps < 1:
        raise ValueError(
            f"expected points [N, ...] and x [Q, ...] of equal shape, tolerance > 0 and steps >= 1, found "
            f"{tuple(points.shape)}, {tuple(x.shape)}, {tolerance} and {steps}"
        )
    corners = _corners(points.flatten(1).double())
    centre = corners.mean(0)
    corners, x = corners - centre, x.flatten(1).double() - centre
    inner, linear, square = corners @ corners.T, x @ corners.T, x.square().sum(1)
    rate = 1 / max(float(torch.linalg.eigvalsh(inner)[-1]), 1e-300)
    a = torch.full((len(x), len(corners)), 1 / len(corners)).to(x)
    ahead, momentum = a, x.new_ones(len(x), 1)
    for step in range(steps):
        if step % CHECK_EVERY == 0:
            found = _limits(a, inner, linear, square)
            if bool((found.distance - found.lower <= tolerance).all()):
                return found
        after = _onto_simplex(ahead - rate * (ahead @ inner - linear))
        turned = ((ahead - after) * (after - a)).sum(1, keepdim=True) > 0
        momentum = torch.where(turned, 1.0, momentum)
        grown = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
        ahead = after + torch.where(turned, 0.0, (momentum - 1) / grown) * (after - a)
        a, momentum = after, grown
    return _limits(a, inner, linear, square)


def class_distances(x: Tensor, y: Tensor, points: Tensor, predicted: Tensor, tolerance: float) -> HullDistance:
    """Distances of points [Q, ...] to the hulls of the training points x [N, ...] of their predicted classes [Q].

    Not a number where a class has no training points. Errors as for `hull_distance`.
    """
    distance = torch.full((len(points),), torch.nan, dtype=torch.float64)
    lower = distance.clone()
    for label in predicted.unique().tolist():
        at, of = predicted == label, y == label
        if bool(of.any()):
            found = hull_distance(x[of], points[at], tolerance)
            distance[at], lower[at] = found.distance, found.lower
    return HullDistance(distance, lower)


def _corners(points: Tensor) -> Tensor:
    if not 2 <= points.shape[1] <= LISTED_UP_TO or len(points) <= points.shape[1] + 1:
        return points
    if int(torch.linalg.matrix_rank(points - points.mean(0))) < points.shape[1]:
        return points
    return points[ConvexHull(points.cpu().numpy()).vertices]


def _limits(a: Tensor, inner: Tensor, linear: Tensor, square: Tensor) -> HullDistance:
    products = a @ inner
    distance = (square - 2 * (a * linear).sum(1) + (a * products).sum(1)).clamp(min=0).sqrt()
    # <x - p, points_i - p> for every corner.
    along = linear - products
    gap = (along.amax(1) - (a * along).sum(1)).clamp(min=0)
    lower = (distance - gap / distance.clamp(min=1e-300)).clamp(min=0)
    return HullDistance(distance, lower)


def _onto_simplex(v: Tensor) -> Tensor:
    """Nearest points with a >= 0 and sum a = 1, row by row (Held et al. 1974)."""
    ordered = v.sort(1, descending=True).values
    excess = (ordered.cumsum(1) - 1) / torch.arange(1, v.shape[1] + 1).to(v)
    kept = (ordered > excess).sum(1, keepdim=True)
    return (v - excess.gather(1, kept - 1)).clamp(min=0)
