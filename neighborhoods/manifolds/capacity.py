"""Capacities that the mean-field analysis is checked by: closed forms for points and balls, and simulation.

Chung, Lee and Sompolinsky (PRX 8, 031003, 2018); Seguin, appendix A.4. A capacity is the largest number of manifolds a
feature at which most dichotomies of them are linearly separable.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, linalg, optimize, special, stats
from torch import Tensor

from neighborhoods.manifolds.centers import UnsuitedManifoldsError

# Hulls nearer to the origin than this, relative to the points' size, contain it.
RESIDUAL = 1e-7

# Of non-negative least squares, for each point.
ITERATIONS = 10


def point_capacity(kappa: float = 0.0) -> float:
    """Capacity of points: 1 / integral of Dt (t + kappa)^2 over t > -kappa, 2 at kappa = 0 (Gardner 1988).

    Args:
        kappa: margin, in units of the points' length.
    """
    return 1 / _second_moment(kappa)


def ball_capacity(radius: float, dimension: float, kappa: float = 0.0) -> float:
    """Capacity of L2 balls, by quadrature over ||t||, which has the law chi_D (Chung et al. 2018).

    With x = ||t|| the vector's contribution is (R x + t_0 + kappa)^2 / (1 + R^2) where the ball's surface touches, that
    is for -R x < t_0 + kappa < x / R, and x^2 + (t_0 + kappa)^2 where the whole ball does.

    Args:
        radius: R, in units of the centre's length. dimension: D > 0, not necessarily whole. kappa: margin.

    Raises:
        ValueError: a radius or kappa that is negative, or a dimension that is not positive.
    """
    _check_ball(radius, dimension, kappa)
    if radius == 0:
        return point_capacity(kappa)

    def contribution(x: float) -> float:
        surface = _second_moment(radius * x + kappa, radius * x + x / radius) / (1 + radius**2)
        whole = _second_moment(kappa) - _second_moment(kappa, x / radius)
        return float(surface + whole + x**2 * special.ndtr(kappa - x / radius))

    law = stats.chi(dimension)
    low, high = law.ppf(1e-14), law.isf(1e-14)
    total, _ = integrate.quad(
        lambda x: contribution(x) * law.pdf(x),
        low,
        high,
        points=law.ppf([0.01, 0.5, 0.99]),
        epsabs=0,
        epsrel=1e-9,
        limit=500,
    )
    return 1 / total


def large_dimension_ball_capacity(radius: float, dimension: float) -> float:
    """Capacity of balls as Seguin prints it: an approximation for many dimensions and a small radius.

    1 / integral of Dt_0 (R sqrt(D) - t_0)^2 / (R^2 + 1) over t_0 < R sqrt(D). It replaces ||t|| by sqrt(D) and lets no
    ball touch as a whole: 8 % above `ball_capacity` at R = 2, D = 2, and 16 % at R = 5, D = 2.

    Raises:
        ValueError: a radius that is negative, or a dimension that is not positive.
    """
    _check_ball(radius, dimension, 0)
    return (1 + radius**2) / _second_moment(radius * math.sqrt(dimension))


@dataclass(frozen=True)
class SimulatedCapacity:
    """Capacity by dichotomies of randomly projected manifolds.

    Attributes:
        value: manifolds over the number of features at which half of the dichotomies are separable.
        low, high: exact interval, from order statistics of `features`.
        features: the least number at which each trial's dichotomy is separable [trials]; one more than there are where
            none separates it.
    """

    value: float
    low: float
    high: float
    features: NDArray[np.int64]


def simulated_capacity(
    points: Tensor | Sequence[Tensor], trials: int = 50, seed: int = 0, confidence: float = 0.95
) -> SimulatedCapacity:
    """Capacity found by bisection on the number of random projected features.

    Each trial draws labels of manifolds, as many +1 as -1 (within one), and a Gaussian projection of the features. Its
    first n rows are the projection to n features, so that a dichotomy that is separable stays so with more of them, and
    its least number of features is found exactly. Hyperplanes have a bias, which counts as no feature and makes the
    capacity of few manifolds larger: by about one part in n. The share of separable dichotomies is linear
    between whole numbers of features; the capacity is the number of manifolds over the place where it is one half.

    Args:
        points: [manifolds, features, samples], or a list of [features, samples], as for `mftma`.
        trials: independent dichotomies and projections.
        seed: of both. confidence: level of the interval, for which six trials or more are needed at 95 %.

    Raises:
        ValueError: fewer than two manifolds or trials, shapes that do not fit, or numbers that are not finite.
        UnsuitedManifoldsError: all features leave half of the dichotomies or more without a hyperplane.
    """
    clouds = [np.asarray(cloud.cpu(), float) for cloud in points]
    unfit = any(cloud.ndim != 2 or 0 in cloud.shape or len(cloud) != len(clouds[0]) for cloud in clouds)
    if len(clouds) < 2 or unfit or trials < 2:
        raise ValueError(
            f"expected at least 2 manifolds of points [features, samples] with equally many features and at least 2 "
            f"trials, found shapes {sorted({cloud.shape for cloud in clouds})} and {trials}"
        )
    for i, cloud in enumerate(clouds):
        if not np.isfinite(cloud).all():
            raise ValueError(f"expected finite points, found some of manifold {i} that are not")
    owner = np.repeat(np.arange(len(clouds)), [cloud.shape[1] for cloud in clouds])
    x = np.concatenate(clouds, 1).T
    # A bias makes the mean irrelevant; the rest is turned into as few features as hold it.
    x = x - x.mean(0)
    if x.shape[0] < x.shape[1]:
        x = linalg.qr(x.T, mode="r")[0][: len(x)].T
    generator = np.random.default_rng(seed)
    least = np.array([_least_features(x, owner, generator) for _ in range(trials)])
    ordered = np.sort(least)
    unseparated = int((ordered > x.shape[1]).sum())
    if 2 * unseparated >= trials:
        raise UnsuitedManifoldsError(
            f"expected manifolds most of whose dichotomies are separable, found {unseparated} of {trials} that "
            f"{x.shape[1]} features leave not"
        )
    tail = int(stats.binom.ppf((1 - confidence) / 2, trials, 0.5)) - 1
    few, many = (ordered[tail] - 1, ordered[-1 - tail]) if tail >= 0 else (0, np.inf)
    many = many if many <= x.shape[1] else np.inf
    count = len(clouds)
    return SimulatedCapacity(count / _middle(ordered), count / many, count / few if few > 0 else math.inf, least)


def separable(x: NDArray[np.float64], y: NDArray[np.float64]) -> bool:
    """Whether a hyperplane with a bias has all points of label +1 strictly on one side and those of -1 on the other.

    With rows z = y (x, 1), a hyperplane exists if and only if no weights a >= 0 of sum 1 have sum_i a_i z_i = 0
    (Gordan). Non-negative least squares for both equations (SciPy's Lawson and Hanson) leave the residual
    d / sqrt(1 + d^2), d being the distance of the origin from the convex hull of the rows.

    Args:
        x: points [n, features]. y: labels, -1 and +1 [n].
    """
    rows = y[:, None] * np.column_stack([x / max(np.abs(x).max(), 1e-300), np.ones(len(x))])
    equations = np.vstack([rows.T, np.ones(len(rows))])
    goal = np.zeros(len(equations))
    goal[-1] = 1
    _, residual = optimize.nnls(equations, goal, maxiter=ITERATIONS * len(rows))
    return bool(residual > RESIDUAL)


def _least_features(x: NDArray[np.float64], owner: NDArray[np.intp], generator: np.random.Generator) -> int:
    """Least number of random projected features at which a random dichotomy of manifolds is separable, or one more."""
    manifolds = int(owner[-1]) + 1
    labels = generator.permutation(np.where(np.arange(manifolds) < manifolds // 2, 1.0, -1.0))[owner]
    # Without features nothing is separable.
    low, high = 0, min(manifolds, x.shape[1])
    projected = x @ generator.standard_normal((x.shape[1], high))
    while not separable(projected, labels):
        if high == x.shape[1]:
            return high + 1
        low, high = high, min(2 * high, x.shape[1])
        projected = np.hstack([projected, x @ generator.standard_normal((x.shape[1], high - low))])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if separable(projected[:, :middle], labels) else (middle, high)
    return high


def _middle(ordered: NDArray[np.int64]) -> float:
    """Where the share of values at most n, linear between whole n, is one half."""
    places = np.arange(ordered[0] - 1, ordered[-1] + 1)
    shares = np.searchsorted(ordered, places, side="right") / len(ordered)
    level = places[shares == 0.5]
    return float(level.mean()) if len(level) else float(np.interp(0.5, shares, places))


def _second_moment(upper: float, width: float = math.inf) -> float:
    """Integral of Dt (upper - t)^2 over upper - width < t < upper, Dt the standard normal measure."""
    bottom = upper - width
    whole = float(special.ndtr(upper) - special.ndtr(bottom))
    # The term of the lower limit vanishes at infinity.
    last = (upper + width) * _density(bottom) if math.isfinite(bottom) else 0.0
    return (1 + upper**2) * whole + upper * _density(upper) - last


def _density(t: float) -> float:
    return math.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


def _check_ball(radius: float, dimension: float, kappa: float) -> None:
    if not (math.isfinite(radius) and radius >= 0 and dimension > 0 and math.isfinite(kappa) and kappa >= 0):
        raise ValueError(
            f"expected a radius and a kappa of at least 0 and a dimension above 0, found {radius}, {kappa} and "
            f"{dimension}"
        )
