"""What a kernel says about places: angles, neighbours, how much it varies, and how far it is from another kernel."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import stats
from torch import Tensor

from neighborhoods.statistics.intervals import Estimate

REPLICATES = 2000


def cosines(values: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """k(x, x') / sqrt(k(x, x) k(x', x')): the cosine of the angle in feature space, where lengths do not count.

    Args:
        values: k(x, x') [Q, N]. first: k(x, x) [Q]. second: k(x', x') [N].
    """
    return values / (first[:, None] * second).clamp(min=torch.finfo(values.dtype).tiny).sqrt()


def squared_distances(values: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Squared distances in feature space, k(x, x) + k(x', x') - 2 k(x, x') [Q, N]; arguments as for `cosines`."""
    return first[:, None] + second - 2 * values


def nearest(distances: Tensor, k: int) -> Tensor:
    """Places of the k smallest distances of each row [Q, k], nearest first; [Q, N] are given.

    Raises:
        ValueError: k is not in 1..N.
    """
    if not 1 <= k <= distances.shape[1]:
        raise ValueError(f"expected 1 to {distances.shape[1]} neighbours, found {k}")
    return distances.argsort(dim=1, stable=True)[:, :k]


def common(first: Tensor, second: Tensor) -> Tensor:
    """Share of the neighbours in one list [Q, k] that the other [Q, k] holds too, whatever their order [Q]."""
    return (first[:, :, None] == second[:, None]).any(2).double().mean(1)


def differences(values: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """How far rows of two kernels are apart: ||k - r|| / ||k|| and Pearson's correlation over the columns.

    Args:
        values: k [Q, N]. reference: r [Q, N].

    Returns:
        Relative differences [Q] and correlations [Q].
    """
    relative = (values - reference).norm(dim=1) / values.norm(dim=1)
    first, second = (part - part.mean(1, keepdim=True) for part in (values, reference))
    return relative, (first * second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))


def class_means(values: Tensor, y: Tensor, predicted: Tensor) -> Tensor:
    """Mean of each row over the columns of its class [Q]: values [Q, N], classes y of columns [N], of rows [Q]."""
    own = (predicted[:, None] == y).to(values)
    return (values * own).sum(1) / own.sum(1)


def variation(values: ArrayLike, confidence: float = 0.95, seed: int = 0) -> Estimate:
    """Standard deviation over mean of values [n], with a bias-corrected (BCa) bootstrap interval.

    Of k(x, x + d) at one d it is 0 for a stationary kernel.

    Raises:
        ValueError: fewer than three values, or not finite.
    """
    x = np.asarray(values, float)
    if x.ndim != 1 or len(x) < 3 or not np.isfinite(x).all():
        raise ValueError(f"expected at least three finite values, found {x.shape}")

    def ratio(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        return sample.std(axis, ddof=1) / np.abs(sample.mean(axis))

    value = float(ratio(x))
    if not value > 1e-12:
        return Estimate(value, value, value, len(x))
    found = stats.bootstrap(
        (x,), ratio, n_resamples=REPLICATES, confidence_level=confidence, rng=np.random.default_rng(seed)
    ).confidence_interval
    return Estimate(value, float(found.low), float(found.high), len(x))


def places(x: Tensor, count: int, margin: float = 0.5) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """A square grid over points of the plane [N, 2] and some room around: its lines, and its places [count^2, 2].

    Places run through the first coordinate fastest. The margin is a share of the points' range.
    """
    low, high = x.amin(0), x.amax(0)
    room = margin * (high - low)
    columns, rows = (torch.linspace(*ends, count).to(x) for ends in zip(low - room, high + room, strict=True))
    return (columns, rows), torch.cartesian_prod(rows, columns).flip(1)
