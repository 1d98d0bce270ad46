"""Correlations of manifolds' centres, and the low-rank structure that causes them (Cohen et al. 2020, methods).

The theory of manifold capacity assumes centres in random directions. Centres of real manifolds share directions; those
are found as the subspace outside of which the centres correlate least, and removed from all points.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

# Ranks tried: up to this many beyond the principal components that stay below this share of the centres' variance.
VARIANCE = 0.95
BEYOND = 10

# The search ends where the residual correlation rose this often in a row, from this rank on (as in the published code).
RISES = 3
LEAST_RANK_TO_STOP = 5

# Starts of the search for each rank.
STARTS = 4

# Of the squared correlations' sum, relative to it.
TOLERANCE = 1e-9
ITERATIONS = 1000


class UnsuitedManifoldsError(ValueError):
    """Points that the theory of manifold capacity says nothing about."""


@dataclass(frozen=True)
class SharedDirections:
    """The structure that centres have in common.

    Attributes:
        basis: orthonormal columns that span it [features, rank].
        correlation: mean absolute correlation of each centre [P] with the others, centres less their mean.
        residual: mean absolute correlation of pairs once the structure is removed.
        tried: that mean for ranks 1, 2, ... [ranks].
    """

    basis: Tensor
    correlation: Tensor
    residual: float
    tried: Tensor


def shared_directions(centers: Tensor, tolerance: float = TOLERANCE) -> SharedDirections:
    """Subspace whose removal leaves centres least correlated.

    For each rank k the subspace V minimises the sum over pairs of squared correlations of (1 - V V^T)(c - mean c); k is
    the one with the smallest mean absolute correlation, from 1 on. There are many local minima: the search for rank k
    starts several times at the subspace of rank k - 1 and one more direction, the one that the rest of the centres has
    most in common or a random combination of centres. As in the published code the end counts at which the centre that
    loses the largest share of its length loses least: lower ends may take a centre away, and its manifold's size is in
    units of what is left.

    Args:
        centers: [features, P], float64.
        tolerance: relative change of the sum of squared correlations at which a search ends.

    Raises:
        ValueError: fewer than three centres. UnsuitedManifoldsError: one is the mean of all.
    """
    count = centers.shape[1]
    if count < 3:
        raise ValueError(
            f"expected at least 3 manifolds, since directions of 2 centres or fewer say nothing, found {count}"
        )
    apart = centers - centers.mean(1, keepdim=True)
    if bool((apart == 0).all(0).any()):
        raise UnsuitedManifoldsError("expected centres that differ from their mean, found one that is the mean")
    frame, sizes, _ = torch.linalg.svd(apart, full_matrices=False)
    used = sizes > 1e-12 * sizes[0]
    frame, sizes = frame[:, used], sizes[used]
    x = apart.T @ frame
    below = int((sizes.square().cumsum(0) / sizes.square().sum() < VARIANCE).sum())
    highest = min(below + BEYOND, x.shape[1] - 1)
    subspaces = [x.new_zeros(x.shape[1], 0)]
    correlations = [_correlation(x, subspaces[0])]
    tried: list[float] = []
    for rank in range(1, highest + 1):
        with _one_thread():
            subspaces.append(_least_correlated(x, subspaces[-1], tolerance))
        correlations.append(_correlation(x, subspaces[-1]))
        tried.append(float(correlations[-1].mean()))
        last = tried[-RISES - 1 :]
        if rank >= LEAST_RANK_TO_STOP and len(last) > RISES and all(np.diff(last) > 0):
            break
    best = int(np.argmin(tried)) + 1 if tried else 0
    residual = float(correlations[best].mean())
    return SharedDirections(frame @ subspaces[best], correlations[0], residual, torch.tensor(tried))


def _rest(x: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Rows x [P, N] without a subspace, of unit length, and their lengths [P, 1]."""
    rest = x - (x @ basis) @ basis.T
    length = rest.norm(dim=1, keepdim=True)
    return rest / length, length


def _correlation(x: Tensor, basis: Tensor) -> Tensor:
    """Mean absolute cosine of each row with the others, without a subspace [P]."""
    unit, _ = _rest(x, basis)
    return ((unit @ unit.T).abs().sum(1) - 1) / (len(x) - 1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products of small matrices in one thread of torch.

    SciPy's steps between them have threads of their own: where both keep theirs spinning, two cores take ten times as
    long as one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _least_correlated(x: Tensor, start: Tensor, tolerance: float) -> Tensor:
    """Basis [N, k + 1] of the subspace without which rows x have the least squared cosines, from a start [N, k]."""
    unit, _ = _rest(x, start)
    common = torch.linalg.eigh(unit.T @ unit).eigenvectors[:, -1:]
    random = torch.randn(STARTS - 1, len(x), generator=torch.Generator().manual_seed(start.shape[1]), dtype=x.dtype) @ x
    shape = (x.shape[1], start.shape[1] + 1)

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        # The value hangs on the span of the columns alone: no constraint is needed.
        basis, triangle = torch.linalg.qr(torch.from_numpy(point).view(shape))
        unit, length = _rest(x, basis)
        shared = unit.T @ unit
        slope = 2 * unit @ shared
        slope = (slope - (slope * unit).sum(1, keepdim=True) * unit) / length
        by_basis = -(x.T @ (slope @ basis) + slope.T @ (x @ basis))
        by_basis -= basis @ (basis.T @ by_basis)
        by_columns = torch.linalg.solve_triangular(triangle, by_basis.T, upper=True).T
        return float(shared.square().sum() / 2), by_columns.numpy().ravel()

    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "ftol": tolerance, "gtol": 1e-7}
    ends = []
    for direction in torch.cat([common.T, random]):
        columns = torch.linalg.qr(torch.cat([direction[:, None], start], 1)).Q.numpy()
        found = optimize.minimize(objective, columns.ravel(), jac=True, method="L-BFGS-B", options=options)
        ends.append(torch.linalg.qr(torch.from_numpy(found.x).view(shape)).Q)
    return max(ends, key=lambda basis: float((_rest(x, basis)[1][:, 0] / x.norm(dim=1)).min()))
