"""Formulas of Bell's sections 30.4 and 31 that do not hold as printed, with their errors and those of the corrections.

Errors of a formula are arrays by name: `{reading}/printed`, and `{reading}/corrected` of what the library does instead.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize
from torch import Tensor, from_numpy, ones_like

from neighborhoods.boundary.spectra import flattened, numerical_rank, singular_values
from neighborhoods.cones.wedges import nearest_in_cone, unit_normals

# Rounds after which points projected in turn have settled, for faces at 30 degrees or more to each other.
SETTLED = 300

Errors = dict[str, NDArray[np.float64]]


def project_in_turn(x: Tensor, normals: ArrayLike, rounds: int = 1) -> Tensor:
    """Points [B, n] projected in turn onto the half-spaces that they violate (Bell, after definition 30.10).

    In general not the nearest points of {V x >= 0}: one round can leave a half-space again, and many rounds end at
    another point (errata, Part III).

    Args:
        x: points [B, n].
        normals: inward normals V of unit length [k, n], in the order of the projections.
        rounds: the first goes through the half-spaces that x violates, each further one through all.

    Returns:
        Points [B, n].

    Raises:
        ValueError: normals that are not of unit length.
    """
    v = from_numpy(unit_normals(normals)).to(x)
    asked = x @ v.T < 0
    for _ in range(rounds):
        for normal, own in zip(v, asked.T, strict=True):
            beyond = (x @ normal).clamp(max=0) * own
            x = x - beyond[:, None] * normal
        asked = ones_like(asked)
    return x


def distance_from_nearest(x: Tensor, points: Tensor, normals: ArrayLike) -> NDArray[np.float64]:
    """||p - p*|| / ||x||, p* the nearest points of {V x >= 0} to x by SciPy's solver, of points p and x [B, n]: [B].

    Raises:
        ValueError: normals that are not of unit length.
    """
    v, own = unit_normals(normals), x.double().numpy()
    nearest = np.stack([row + v.T @ optimize.nnls(v.T, -row)[0] for row in own])
    return np.asarray(np.linalg.norm(points.double().numpy() - nearest, axis=1) / np.linalg.norm(own, axis=1))


def projection_errors(x: Tensor, normals: ArrayLike) -> Errors:
    """`distance_from_nearest` [B] of points x [B, n] projected in turn (`once`, `settled`) and by `nearest_in_cone`.

    Raises:
        ValueError: normals that are not of unit length.
    """
    found = {f"{name}/printed": project_in_turn(x, normals, rounds) for name, rounds in _ROUNDS.items()}
    found |= {f"{name}/corrected": nearest_in_cone(x, normals) for name in _ROUNDS}
    return {name: distance_from_nearest(x, points, normals) for name, points in found.items()}


_ROUNDS = {"once": 1, "settled": SETTLED}


def flat_errors(samples: Tensor) -> Errors:
    """|Frobenius norm of a sample [m, n] with equal singular values over its own - 1|, each without an axis.

    |Sigma|_2, the value printed of each (Bell, section 31, "Flat SVD"), is read as the largest (`spectral`) and as the
    root of the sum of squares (`euclidean`).

    Raises:
        ValueError: as `flattened` and `singular_values`.
    """
    values = singular_values(samples, centred=False)
    rank, own = numerical_rank(values, samples.dtype), float(values.norm())
    norms = {"spectral/printed": math.sqrt(rank) * float(values[0]), "euclidean/printed": math.sqrt(rank) * own}
    flat = float(flattened(samples).double().norm())
    norms |= {"spectral/corrected": flat, "euclidean/corrected": flat}
    return {name: np.abs(np.asarray(norm) / own - 1) for name, norm in norms.items()}
