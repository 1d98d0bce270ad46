"""Geometry of orthants and wedges: faces, nearest points, classifiers made of them (Bell, section 30.4).

A wedge is {V x >= 0} for inward unit normals V. Two families have an axis x_1 and angles theta_i: definition 30.8,
{x_1 >= 0, x_i >= x_1 tan(theta_i)}, and the sector {0 <= x_i <= x_1 tan(theta_i)}, which the centreline of definition
30.9 belongs to (errata, Part III). Cones here are closed.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neighborhoods.cones.nonnegative import nonnegative_minimum


def unit_normals(normals: ArrayLike) -> NDArray[np.float64]:
    """Normals [faces, dimensions] in double precision.

    Raises:
        ValueError: not a matrix of finite numbers, or rows that are not of unit length.
    """
    v = np.asarray(normals, float)
    if v.ndim != 2 or len(v) == 0 or not np.allclose(np.linalg.norm(v, axis=1), 1, atol=1e-6):
        raise ValueError(f"expected unit normals [faces, dimensions], found shape {v.shape}")
    return v


def random_normals(faces: int, dimension: int, cosines: ArrayLike = 0.0, seed: int = 0) -> NDArray[np.float64]:
    """Unit normals in a random position with given angles between them: [faces, dimension].

    Args:
        faces: number of normals, at most `dimension`.
        dimension: of the space.
        cosines: of the angles between normals; one number for all pairs, or a symmetric matrix [faces, faces].
        seed: of the position, a uniformly random one.

    Raises:
        ValueError: more faces than dimensions, or no such vectors exist: the matrix of products is not positive
            semidefinite, as for one cosine below -1 / (faces - 1).
    """
    if not 1 <= faces <= dimension:
        raise ValueError(f"expected 1 to {dimension} faces in {dimension} dimensions, found {faces}")
    products = np.array(np.broadcast_to(np.asarray(cosines, float), (faces, faces)))
    np.fill_diagonal(products, 1)
    values, vectors = np.linalg.eigh(products)
    if not np.array_equal(products, products.T) or values[0] < -1e-9:
        raise ValueError("no vectors have these angles: their matrix of products must be positive semidefinite")
    gaussian = np.random.default_rng(seed).standard_normal((dimension, faces))
    q, r = np.linalg.qr(gaussian)
    # With the signs of R's diagonal, Q has the uniform distribution (Mezzadri 2007).
    frame = (q * np.sign(np.diag(r))).T
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    normals = root @ frame
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def wedge_normals(angles: Sequence[float], dimension: int) -> NDArray[np.float64]:
    """Inward unit normals of the wedge {x_1 > 0, x_i > x_1 tan(theta_(i-1))} (Bell, definition 30.8).

    The first is e_1, the others are e_i cos(theta_(i-1)) - e_1 sin(theta_(i-1)): [k, dimension].

    Args:
        angles: Theta, in radians, one less than faces, each in (-pi/2, pi/2).
        dimension: of the space, at least the number of faces.

    Raises:
        ValueError: angles out of range, or more faces than dimensions.
    """
    theta = np.asarray(angles, float)
    if theta.ndim != 1 or not (np.abs(theta) < math.pi / 2).all():
        raise ValueError("expected angles in (-pi/2, pi/2)")
    if len(theta) >= dimension:
        raise ValueError(f"{len(theta)} angles need at least {len(theta) + 1} dimensions, found {dimension}")
    normals = np.eye(len(theta) + 1, dimension)
    normals[1:] *= np.cos(theta)[:, None]
    normals[1:, 0] = -np.sin(theta)
    return normals


def sector_normals(angles: Sequence[float], dimension: int) -> NDArray[np.float64]:
    """Inward unit normals of the sector {0 <= x_i <= x_1 tan(theta_(i-1))}, which imply x_1 >= 0.

    First e_i for each angle, then e_1 sin(theta_(i-1)) - e_i cos(theta_(i-1)): [2 (k - 1), dimension] for k - 1 angles.

    Args:
        angles: Theta, in radians, at least one, each in (0, pi/2).
        dimension: of the space, at least k.

    Raises:
        ValueError: angles out of range or none, or more than dimensions allow.
    """
    upper = -wedge_normals(angles, dimension)[1:]
    if not len(upper) or not (np.asarray(angles) > 0).all():
        raise ValueError("expected at least one angle, each in (0, pi/2)")
    return np.concatenate([np.eye(len(upper) + 1, dimension)[1:], upper])


class Wedge:
    """Classifier whose class 1 is a wedge {V x > 0} and whose class 0 is the rest.

    Its logits are -m and m, where m is the least of V x: inside, the distance to the boundary. On a face they tie.
    """

    def __init__(self, normals: ArrayLike) -> None:
        """Take inward normals V of unit length [k, n].

        Raises:
            ValueError: not a matrix of finite numbers, or rows that are not of unit length.
        """
        self.normals = torch.from_numpy(unit_normals(normals))

    def __call__(self, x: Tensor) -> Tensor:
        """Logits [B, 2] of points [B, ...] with n values each.

        Raises:
            ValueError: points with another number of values.
        """
        flat = x.flatten(1)
        if flat.shape[1] != self.normals.shape[1]:
            raise ValueError(f"expected points of {self.normals.shape[1]} values, found shape {tuple(x.shape)}")
        margin = (flat @ self.normals.to(flat).T).amin(1)
        return torch.stack([-margin, margin], 1)


def contains(x: Tensor, normals: ArrayLike) -> Tensor:
    """Whether points [B, n] lie in the closed cone {V x >= 0}, for unit normals V [k, n]: [B] of bool.

    Raises:
        ValueError: normals that are not of unit length, or points with another number of values.
    """
    return (_distances(x, normals) >= 0).all(1)


def faces_met(x: Tensor, normals: ArrayLike) -> Tensor:
    """Which faces of {V x >= 0} points [B, n] lie on, for unit normals V [k, n]: [B, k] of bool.

    For nearest points of a cone these are the active faces. A distance within the rounding of the point's length, 1e4
    units in the last place, counts as zero.

    Raises:
        ValueError: as `contains`.
    """
    tolerance = 1e4 * torch.finfo(x.dtype).eps
    return _distances(x, normals).abs() <= tolerance * x.norm(dim=1, keepdim=True)


def nearest_in_orthant(x: Tensor, faces: int) -> Tensor:
    """Nearest points of {x_1 >= 0, ..., x_k >= 0} to points [B, n] (Bell, lemma 30.11): [B, n].

    Raises:
        ValueError: points that are not a matrix, or with fewer coordinates than faces.
    """
    _check_points(x, faces)
    return torch.cat([x[:, :faces].clamp(min=0), x[:, faces:]], 1)


def nearest_in_wedge(x: Tensor, angles: Sequence[float]) -> Tensor:
    """Nearest points of definition 30.8's wedge {x_1 >= 0, x_i >= x_1 tan(theta_(i-1))}, exact up to rounding.

    Args:
        x: points [B, n].
        angles: Theta, in radians, one less than faces, each in (-pi/2, pi/2).

    Returns:
        Points [B, n].

    Raises:
        ValueError: angles out of range, points that are not a matrix, or with fewer coordinates than faces.
    """
    slopes = _slopes(angles, -math.pi / 2).to(x)
    _check_points(x, len(slopes) + 1)
    others = x[:, 1 : len(slopes) + 1]
    t = _nearest_axis(x[:, 0], others, slopes, active_below=slopes < 0)
    return torch.cat([t, torch.maximum(others, t * slopes), x[:, len(slopes) + 1 :]], 1)


def nearest_in_sector(x: Tensor, angles: Sequence[float]) -> Tensor:
    """Nearest points of the sector {x_1 >= 0, 0 <= x_i <= x_1 tan(theta_(i-1))}, exact up to rounding.

    Args:
        x: points [B, n].
        angles: Theta, in radians, each in (0, pi/2).

    Returns:
        Points [B, n].

    Raises:
        ValueError: angles out of range, points that are not a matrix, or with no more coordinates than angles.
    """
    slopes = _slopes(angles, 0).to(x)
    _check_points(x, len(slopes) + 1)
    others = x[:, 1 : len(slopes) + 1]
    t = _nearest_axis(x[:, 0], others, slopes, active_below=torch.ones_like(slopes, dtype=torch.bool))
    return torch.cat([t, torch.minimum(others.clamp(min=0), t * slopes), x[:, len(slopes) + 1 :]], 1)


def nearest_in_cone(x: Tensor, normals: ArrayLike) -> Tensor:
    """Nearest points of any cone {V x >= 0}: x + V^T lam, lam >= 0 with the least ||V^T lam + x|| (errata, Part III).

    Non-negative least squares (`nonnegative`), for all points at once: each has its own set of faces.

    Args:
        x: points [B, n].
        normals: inward normals V of unit length [k, n], in any number and position.

    Returns:
        Points [B, n]; their error is rounding times the condition number of the active faces' V V^T.

    Raises:
        ValueError: normals that are not of unit length, or points with another number of values.
        RuntimeError: the active sets did not settle.
    """
    points = x.double()
    distances = _distances(points, normals)
    v = torch.from_numpy(unit_normals(normals)).to(points)
    return (points + nonnegative_minimum((v @ v.T)[None], -distances[None])[0] @ v).to(x.dtype)


def _nearest_axis(first: Tensor, others: Tensor, slopes: Tensor, active_below: Tensor) -> Tensor:
    """The coordinate x_1 = t of nearest points [B, 1]: the root of an increasing piecewise linear function, at least 0.

    With the other coordinates at their best for t, half the derivative of the squared distance is
    t - x_1 + sum over active i of s_i (s_i t - x_i); i is active on one side of the break point t = x_i / s_i.
    """
    flat = slopes == 0
    breaks = torch.where(flat, math.inf, others / torch.where(flat, 1, slopes))
    squares, products = (slopes**2).expand_as(others), slopes * others
    order = breaks.argsort(1)
    turned = torch.where(active_below, -1, 1).to(others).expand_as(others)
    slope = 1 + squares[:, active_below].sum(1, keepdim=True) + (turned * squares).gather(1, order).cumsum(1)
    level = first[:, None] + products[:, active_below].sum(1, keepdim=True)
    level = level + (turned * products).gather(1, order).cumsum(1)
    passed = (slope * breaks.gather(1, order) < level).sum(1, keepdim=True)
    active = (order.argsort(1) < passed) ^ active_below
    # The sums once more over the active ones alone, since the running ones can cancel.
    level = first[:, None] + (products * active).sum(1, keepdim=True)
    return (level / (1 + (squares * active).sum(1, keepdim=True))).clamp(min=0)


def _distances(x: Tensor, normals: ArrayLike) -> Tensor:
    v = torch.from_numpy(unit_normals(normals)).to(x)
    if x.ndim != 2 or x.shape[1] != v.shape[1]:
        raise ValueError(f"expected points [points, {v.shape[1]}], found shape {tuple(x.shape)}")
    return x @ v.T


def _slopes(angles: Sequence[float], least: float) -> Tensor:
    theta = np.asarray(angles, float)
    if theta.ndim != 1 or not ((theta > least) & (theta < math.pi / 2)).all():
        raise ValueError(f"expected angles in ({least:.4g}, pi/2), found {np.array2string(theta, threshold=5)}")
    return torch.from_numpy(np.tan(theta))


def _check_points(x: Tensor, least: int) -> None:
    if x.ndim != 2 or x.shape[1] < least:
        raise ValueError(f"expected points [points, values] of at least {least} values, found shape {tuple(x.shape)}")
