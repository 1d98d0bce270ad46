"""Geometry of orthants and wedges: faces, random positions, and classifiers made of them (Bell, section 30.4)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


def unit_normals(normals: ArrayLike) -> NDArray[np.float64]:
    """Normals [faces, dimensions] in double precision.

    Raises:
        ValueError: not a matrix of finite numbers, or rows that are not of unit length.
    """
    v = np.asarray(normals, float)
    if v.ndim != 2 or len(v) == 0 or not np.allclose(np.linalg.norm(v, axis=1), 1, atol=1e-6):
        raise ValueError(f"expected unit normals [faces, dimensions], found shape {v.shape}")
    return v


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
