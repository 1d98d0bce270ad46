"""Lines across the boundary of wedges, with the persistence of their points (Bell, definition 30.9 and figure 12).

Given x_1, the other coordinates of a Gaussian point are independent, so the measure of both shapes with an axis is one
integral over x_1, exact for any number of faces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special

from neighborhoods.cones.closed_forms import FARTHEST, ROUNDING, SCAN_FACTOR, SURELY, face_number
from neighborhoods.cones.wedges import nearest_in_sector, nearest_in_wedge, sector_normals, wedge_normals

Shape = Literal["wedge", "sector"]
Line = Literal["centreline", "parallel"]

NORMALS = {"wedge": wedge_normals, "sector": sector_normals}
NEAREST = {"wedge": nearest_in_wedge, "sector": nearest_in_sector}

# Gauss-Legendre over TAIL standard deviations of x_1 to both sides: errors below 1e-13 for angles up to 80 degrees.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(128)
TAIL = 8.0

HALVINGS = 36


@dataclass(frozen=True)
class Crossing:
    """Points of a line across the boundary of a wedge, each [points].

    Attributes:
        t: coordinate x_1.
        inside: whether the point lies in the closed wedge.
        distance: to the boundary.
        share: of noisy points that lie inside, for one standard deviation of noise.
        sigma: persistence: where the share that keeps the class first falls below gamma; inf if it never does.
        faces: number of faces of the orthant in which a point at this distance has this persistence.
    """

    t: NDArray[np.float64]
    inside: NDArray[np.bool_]
    distance: NDArray[np.float64]
    share: NDArray[np.float64]
    sigma: NDArray[np.float64]
    faces: NDArray[np.float64]


def opening_angle(shape: Shape, opening: float) -> float:
    """Theta of faces that meet at an angle of `opening` in the plane of x_1 and x_i, all in radians.

    Raises:
        ValueError: an opening that the shape cannot have: outside (0, pi), or (0, pi/2) for a sector.
    """
    widest = math.pi if shape == "wedge" else math.pi / 2
    if not 0 < opening < widest:
        raise ValueError(f"expected the opening of a {shape} in (0, {widest:.4g}), found {opening:g}")
    return math.pi / 2 - opening if shape == "wedge" else opening


def centreline(shape: Shape, angles: Sequence[float], t: ArrayLike, dimension: int) -> NDArray[np.float64]:
    """Points x_1 = t, x_i = t tan(phi_(i-1)), else 0, of definition 30.9: [points, dimension].

    phi = theta / 2 halves the angle of the sector as printed; definition 30.8's wedge needs theta / 2 + pi / 4 (errata,
    Part III).

    Args:
        shape: "sector" or "wedge".
        angles: Theta, in radians, as its normals take them.
        t: coordinates x_1 [points]; the line enters the shape at 0.
        dimension: of the space, more than angles.

    Raises:
        ValueError: angles out of range, or more than dimensions allow.
    """
    NORMALS[shape](angles, dimension)
    first = np.atleast_1d(np.asarray(t, float))
    halves = np.asarray(angles, float) / 2 + (math.pi / 4 if shape == "wedge" else 0)
    points = np.zeros((len(first), dimension))
    points[:, 0] = first
    points[:, 1 : len(halves) + 1] = first[:, None] * np.tan(halves)
    return points


def parallel_line(t: ArrayLike, epsilon: float, dimension: int) -> NDArray[np.float64]:
    """Points x_1 = t, all other x_i = epsilon, of definition 30.9's parallel crossing: [points, dimension]."""
    first = np.atleast_1d(np.asarray(t, float))
    points = np.full((len(first), dimension), float(epsilon))
    points[:, 0] = first
    return points


def parallel_start(shape: Shape, angles: Sequence[float], epsilon: float) -> float:
    """Where the parallel line enters the shape: x_1 = 0 of the wedge, the largest epsilon / tan(theta) of the sector.

    Raises:
        ValueError: an epsilon that is not positive.
    """
    if not epsilon > 0:
        raise ValueError(f"expected an epsilon above 0, found {epsilon:g}")
    return 0.0 if shape == "wedge" else float(epsilon / np.tan(min(angles)))


def axis_share(shape: Shape, points: ArrayLike, angles: Sequence[float], sigma: ArrayLike) -> NDArray[np.float64]:
    """Gaussian measure of definition 30.8's wedge or of the sector around points, as an integral over x_1.

    Args:
        shape: "wedge" or "sector".
        points: centres [B, n].
        angles: Theta, in radians.
        sigma: standard deviation of each point's noise [B], positive and finite.

    Returns:
        Shares [B] in [0, 1].

    Raises:
        ValueError: angles out of range, shapes that do not match, or a sigma that is not positive and finite.
    """
    x, s = np.asarray(points, float), np.asarray(sigma, float)
    if x.ndim != 2 or s.shape != x.shape[:1] or not (np.isfinite(s) & (s > 0)).all():
        raise ValueError(f"expected a positive sigma for each point, found shapes {x.shape} and {s.shape}")
    NORMALS[shape](angles, x.shape[1])
    slopes = np.tan(np.asarray(angles, float))
    # Equal coordinates with equal angles, as all of a crossing's are, need one integrand.
    table, counts = np.unique(np.vstack([slopes, x[:, 1 : len(slopes) + 1]]), axis=1, return_counts=True)
    slopes, others = table[0], table[1:] / s[:, None]
    first = x[:, :1] / s[:, None]
    low = np.clip(-first, -TAIL, TAIL)
    z = low + (TAIL - low) * (NODES + 1) / 2
    density = WEIGHTS * (TAIL - low) / 2 * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    bound, others = (first + z)[:, :, None] * slopes, others[:, None]
    each = special.ndtr(others - bound) if shape == "wedge" else special.ndtr(bound - others) - special.ndtr(-others)
    return np.clip((density * (each**counts).prod(2)).sum(1), 0, 1)


def axis_persistence(shape: Shape, points: ArrayLike, angles: Sequence[float], gamma: float) -> NDArray[np.float64]:
    """Persistence of points for the classifier whose classes are a wedge or sector and its complement.

    The first crossing counts, as in `cones.wedge_persistence`: the share is followed upward in steps of SCAN_FACTOR up
    to FARTHEST times the point's largest distance from a face.

    Args:
        shape: "wedge" or "sector".
        points: [B, n].
        angles: Theta, in radians.
        gamma: share that must keep the class, in (0, 1).

    Returns:
        sigma* [B]; inf where the share never falls below gamma, 0 on the boundary where every share is below.

    Raises:
        ValueError: gamma out of range, or as `axis_share`.
    """
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must lie in (0, 1), found {gamma}")
    x = np.asarray(points, float)
    distances = x @ NORMALS[shape](angles, x.shape[1]).T
    inside = (distances >= 0).all(1)

    def keeps(which: NDArray[np.intp], sigma: NDArray[np.float64]) -> NDArray[np.bool_]:
        share = axis_share(shape, x[which], angles, sigma)
        return np.where(inside[which], share, 1 - share) >= gamma

    # Inside, the faces that a point does not touch are out of reach at first; outside, the farthest violated face alone
    # keeps the share above gamma up to its own crossing, and for ever where gamma is at most 1/2.
    clear = np.where(distances > 0, distances, math.inf).min(1)
    level = special.ndtri(gamma)
    below = np.where(inside, np.where(np.isfinite(clear), clear, 1) / SURELY, -distances.min(1) / max(level, ROUNDING))
    above = below * SCAN_FACTOR
    end = FARTHEST * np.abs(distances).max(1)
    result = np.full(len(x), math.inf)
    touching = np.flatnonzero(inside & (distances == 0).any(1))
    result[touching[~keeps(touching, below[touching])]] = 0
    rows = np.flatnonzero((result > 0) & (inside | (level > 0)))
    crossed = np.zeros(len(x), bool)
    while len(rows):
        kept = keeps(rows, above[rows])
        crossed[rows[~kept]] = True
        rows = rows[kept]
        below[rows], above[rows] = above[rows], above[rows] * SCAN_FACTOR
        rows = rows[below[rows] < end[rows]]
    found = np.flatnonzero(crossed)
    for _ in range(HALVINGS):
        middle = np.sqrt(below[found] * above[found])
        kept = keeps(found, middle)
        below[found] = np.where(kept, middle, below[found])
        above[found] = np.where(kept, above[found], middle)
    result[found] = below[found]
    return result


def cross(
    shape: Shape,
    line: Line,
    opening: float,
    faces: int,
    offsets: ArrayLike,
    gamma: float,
    noise: float = 1.0,
    epsilon: float = 1.0,
) -> Crossing:
    """Follow a line across the boundary, in as many dimensions as the faces need; further ones change nothing.

    Args:
        shape: "wedge" or "sector", of equal angles.
        line: "centreline" or "parallel".
        opening: angle between the two faces in the plane of x_1 and x_i, in radians.
        faces: k, at least two: k - 1 angles.
        offsets: of x_1 from where the line enters the shape [points]; negative before it, not zero.
        gamma: share that must keep the class, in (0, 1).
        noise: standard deviation of the noise whose share inside is given.
        epsilon: the parallel line's distance from the axis in each coordinate.

    Raises:
        ValueError: an opening that the shape cannot have, fewer than two faces, a point on the boundary, or as
            `axis_persistence`.
    """
    if faces < 2:
        raise ValueError(f"expected at least two faces, found {faces}")
    angles = [opening_angle(shape, opening)] * (faces - 1)
    start = parallel_start(shape, angles, epsilon) if line == "parallel" else 0.0
    t = start + np.asarray(offsets, float)
    points = parallel_line(t, epsilon, faces) if line == "parallel" else centreline(shape, angles, t, faces)
    signed = (points @ NORMALS[shape](angles, faces).T).min(1)
    inside = signed >= 0
    nearest = NEAREST[shape](torch.from_numpy(points), angles).numpy()
    distance = np.where(inside, signed, np.linalg.norm(points - nearest, axis=1))
    share = axis_share(shape, points, angles, np.full(len(points), noise))
    sigma = axis_persistence(shape, points, angles, gamma)
    return Crossing(t, inside, distance, share, sigma, face_number(distance, sigma, gamma))


def side_ratio(values: ArrayLike, inside: ArrayLike) -> NDArray[np.float64]:
    """Values of points inside over those of their mirror images across the crossing.

    Args:
        values: along a line, at offsets that are symmetric about its crossing [..., 2 steps].
        inside: whether each point lies inside; same shape.

    Returns:
        Ratios by growing offset [..., steps]; nan where a pair does not lie on the two sides.

    Raises:
        ValueError: shapes that differ, or an odd number of points.
    """
    v, i = np.asarray(values, float), np.asarray(inside, bool)
    if v.shape != i.shape or v.shape[-1] % 2:
        raise ValueError(f"expected as many points before a crossing as beyond it, found {v.shape} and {i.shape}")
    steps = v.shape[-1] // 2
    before, beyond = (slice(steps - 1, None, -1), slice(steps, None))
    pairs = i[..., beyond] & ~i[..., before]
    # Where persistence is infinite on both sides there is no ratio.
    with np.errstate(invalid="ignore"):
        return np.where(pairs, v[..., beyond] / v[..., before], math.nan)
