"""Norms of noise in many dimensions: Gaussian samples and points uniform in a ball (Bell, section 10)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats

# Normals drawn at once. Fixed, because the order of draws decides the bytes.
BLOCK_VALUES = 1 << 24


def gaussian_norms(dimension: int, points: int, sigma: float, seed: int = 0) -> NDArray[np.float64]:
    """Norms of points drawn from N(0, sigma^2 I), every coordinate of every point sampled.

    Args:
        dimension: of the space, n.
        points: how many.
        sigma: standard deviation of a coordinate, positive.
        seed: of the draws, which are made on the CPU.

    Returns:
        Norms [points], in units of sigma's.

    Raises:
        ValueError: an argument is not positive.
    """
    _check(dimension=dimension, points=points, sigma=sigma)
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, BLOCK_VALUES // dimension)
    squares = []
    for start in range(0, points, rows):
        z = torch.randn(min(rows, points - start), dimension, generator=generator).numpy()
        # In double precision: 196,608 squares added in single precision lose digits that the spread needs.
        squares.append(np.einsum("ij,ij->i", z, z, dtype=np.float64))
    return sigma * np.sqrt(np.concatenate(squares))


def ball_norms(dimension: int, points: int, radius: float, seed: int = 0) -> NDArray[np.float64]:
    """Norms of points uniform in a ball: radius * U^(1/n), the exact radial law, U uniform in (0, 1).

    A uniform point is that radius times a uniform direction; the direction does not enter the norm and is not drawn.

    Args:
        dimension: of the space, n.
        points: how many.
        radius: of the ball, positive.
        seed: of the draws.

    Returns:
        Norms [points], in units of the radius's.

    Raises:
        ValueError: an argument is not positive.
    """
    _check(dimension=dimension, points=points, radius=radius)
    return radius * np.random.default_rng(seed).random(points) ** (1 / dimension)


def gaussian_norm_law(dimension: int, sigma: float) -> stats.distributions.rv_frozen:
    """Distribution of the norm of N(0, sigma^2 I) in n dimensions: sigma times chi with n degrees of freedom.

    Raises:
        ValueError: an argument is not positive.
    """
    _check(dimension=dimension, sigma=sigma)
    return stats.chi(dimension, scale=sigma)


def ball_norm_law(dimension: int, radius: float) -> stats.distributions.rv_frozen:
    """Distribution of the norm of a uniform point of a ball in n dimensions: P[norm <= t] = (t / radius)^n.

    That is radius times Beta(n, 1), with mean radius n / (n + 1).

    Raises:
        ValueError: an argument is not positive.
    """
    _check(dimension=dimension, radius=radius)
    return stats.beta(dimension, 1, scale=radius)


def gaussian_annulus_bound(epsilon: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Least share of N(0, sigma^2 I) with a norm within epsilon of sigma sqrt(n): 1 - 2 exp(-(epsilon / sigma)^2 / 16).

    Bell, equation 8, with epsilon / sigma in place of epsilon as the errata (Part I) correct it; for epsilon below
    sigma sqrt(n). Where the exponential is large the bound is negative and says nothing.

    Args:
        epsilon: half width of the annulus, not negative; broadcast with sigma.
        sigma: standard deviation of a coordinate, positive, in the same units.

    Raises:
        ValueError: epsilon negative or sigma not positive.
    """
    e, s = np.asarray(epsilon, float), np.asarray(sigma, float)
    if not (e >= 0).all() or not (s > 0).all():
        raise ValueError("expected epsilon of at least 0 and sigma above 0")
    return 1 - 2 * np.exp(-((e / s) ** 2) / 16)


def ball_shell_bound(delta: ArrayLike, dimension: ArrayLike, radius: ArrayLike) -> NDArray[np.float64]:
    """Least share of a ball within delta of its surface: 1 - exp(-delta n / radius) (Bell, equation 9).

    Args:
        delta: depth of the shell, from 0 to the radius; broadcast with the others.
        dimension: of the space, n, positive.
        radius: of the ball, positive, in units of delta's.

    Raises:
        ValueError: an argument is out of range.
    """
    d, n, r = np.broadcast_arrays(np.asarray(delta, float), np.asarray(dimension, float), np.asarray(radius, float))
    if not (n > 0).all() or not (r > 0).all() or not ((d >= 0) & (d <= r)).all():
        raise ValueError("expected a positive dimension and radius, and delta from 0 to the radius")
    return 1 - np.exp(-d * n / r)


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation (divisor N - 1) of a sample, each with its standard error, in the values' units."""

    mean: float
    mean_error: float
    deviation: float
    deviation_error: float


def moments(values: ArrayLike) -> Moments:
    """Mean and standard deviation of independent values.

    The error of the standard deviation s is sqrt((m4 - m2^2) / N) / (2 s) by the delta method. The fourth moment m4
    enters since norms in a ball are far from normal: their law is close to an exponential one.

    Args:
        values: finite numbers [N], at least two.

    Raises:
        ValueError: fewer than two values, not finite, or all equal.
    """
    x = np.asarray(values, float)
    if x.ndim != 1 or len(x) < 2 or not np.isfinite(x).all() or np.ptp(x) == 0:
        raise ValueError("expected at least two finite values that are not all equal")
    mean, deviation = float(x.mean()), float(x.std(ddof=1))
    second, fourth = (float(np.mean((x - mean) ** power)) for power in (2, 4))
    error = math.sqrt((fourth - second**2) / len(x)) / (2 * deviation)
    return Moments(mean, deviation / math.sqrt(len(x)), deviation, error)


def _check(**arguments: float) -> None:
    for name, value in arguments.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be positive and finite, found {value}")
