"""Singular values of samples of points, and which of them fall below the rest (Bell, section 31).

Samples that were projected onto a face lose spread along its normal: Bell reads the number of faces off the dropped
singular values. What a finite sample alone does to a spectrum is the law of Marchenko and Pastur (1967).

Samples are tensors [m, n] of floating point numbers, m of either sign of n; singular values are in descending order.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import integrate
from torch import Tensor

# Quantile of the Tracy-Widom law of order 1 at .999, by which the least value of noise alone stays above its edge.
TRACY_WIDOM = 3.27

# The step below the rest is at least so many times as large as any step within the lower half of the rest.
GAP = 3.0

# Of the integral for the median: errors of 1e-7.
ANGLES = 4001


def singular_values(samples: Tensor, centred: bool = True) -> Tensor:
    """Singular values of a sample [m, n] in descending order: [min(m, n)], float64.

    They are roots of the eigenvalues of the smaller of X X^T and X^T X: values below 3e-4 (single precision) or 1e-8
    (double) of the largest are rounding. Columns that are zero throughout cost nothing and give exact zeros.

    Args:
        samples: [m, n].
        centred: whether the mean is subtracted; without it, a mean that is not zero takes one large singular value.

    Raises:
        ValueError: not a matrix of finite floating point numbers, or fewer than two samples.
    """
    x = _matrix(samples)
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"expected finite samples, found {int((~torch.isfinite(x)).any(1).sum())} that are not")
    if centred:
        x = x - x.mean(0)
    least = min(x.shape)
    used = (x.amin(0) < 0) | (x.amax(0) > 0)
    x = x if bool(used.all()) else x[:, used]
    x = x.T if x.shape[0] < x.shape[1] else x
    # NumPy notices that the product is symmetric and does half of the work.
    gram = x.T @ x if x.is_cuda else torch.from_numpy(x.numpy().T @ x.numpy())
    values = torch.linalg.eigvalsh(gram.double()).clamp(min=0).sqrt().flip(0).cpu()
    return torch.cat([values, values.new_zeros(least)])[:least]


def numerical_rank(values: Tensor, dtype: torch.dtype) -> int:
    """How many of `singular_values`' results are not rounding, for samples of a dtype.

    The rank of projected points' differences from the points is the number of faces (Bell, section 31).

    Args:
        values: singular values of one sample [k], not negative. dtype: of the sample, which sets the rounding.
    """
    return int((values > math.sqrt(torch.finfo(dtype).eps) * values.max()).sum())


def without_direction(samples: Tensor, direction: Tensor) -> Tensor:
    """Samples [m, n] less their part along one direction, such as the image they surround (errata on equation 107).

    Args:
        samples: [m, n].
        direction: n values of any shape and length.

    Raises:
        ValueError: another number of values, or a direction of length zero.
    """
    x = _matrix(samples)
    v = direction.reshape(-1).to(x)
    if len(v) != x.shape[1] or not float(v.norm()) > 0:
        raise ValueError(f"expected a direction of {x.shape[1]} values, not all zero, found {len(v)}")
    v = v / v.norm()
    return x - (x @ v)[:, None] * v


def gaussian_sample(samples: int, dimension: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Points from N(0, I), drawn on the CPU: [samples, dimension]."""
    return torch.randn(samples, dimension, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def flattened(samples: Tensor) -> Tensor:
    """The sample [m, n] with all its singular values made equal: Bell's "Flat SVD" of a Gaussian sample.

    U Sigma V^T becomes U V^T ||Sigma||_F / sqrt(rank), which keeps the Frobenius norm (errata, Part III). A sample that
    is centred later needs centring first: taking the mean away from a flat sample drops the value along it.

    Raises:
        ValueError: not a matrix, fewer than two samples, or all zero.
    """
    x = _matrix(samples)
    wide = x.shape[0] < x.shape[1]
    tall = (x.T if wide else x).double()
    squares, vectors = torch.linalg.eigh(tall.T @ tall)
    # Of the Gram matrix; a root below 1e-7 of the largest is rounding.
    kept = squares > 1e-14 * squares[-1]
    if not float(squares[-1]) > 0:
        raise ValueError("expected samples that are not all zero")
    level = torch.sqrt(squares[kept].mean())
    basis = vectors[:, kept]
    flat = tall @ (basis * (level / squares[kept].sqrt())) @ basis.T
    return (flat.T if wide else flat).to(x.dtype)


def _matrix(samples: Tensor) -> Tensor:
    if samples.ndim != 2 or len(samples) < 2 or not samples.is_floating_point():
        found = f"{samples.dtype} of shape {tuple(samples.shape)}"
        raise ValueError(f"expected two or more samples [samples, values] of floating point numbers, found {found}")
    return samples.detach()


@dataclass(frozen=True)
class Dropped:
    """Singular values below the rest of a spectrum.

    Attributes:
        count: how many; 0 where there are none.
        bulk: level of the rest in the population, in units of the values: their root mean square for white noise.
        threshold: what the rest reaches down to, at most once in 1000 samples of white noise.
    """

    count: int
    bulk: float
    threshold: float


def dropped_values(values: ArrayLike, ratio: float) -> Dropped:
    """Count the singular values at the low end that lie below the bulk of the rest, across a gap.

    Of all counts k up to half of the values, the largest counts for which both hold; where none does, 0:

    1. Gap: ln(s_(k+1) / s_k), values ascending, is at least GAP times the largest such step in the lower half of the
       rest, so that the foot of a spectrum that falls off smoothly is not taken for dropped values.
    2. Edge: s_k lies below, and the rest not below, what white noise of the rest's level reaches down to: the lower
       edge of Marchenko and Pastur's law less the .999 quantile of the least eigenvalue's fluctuation (Tracy-Widom,
       with the centre and scale of Johnstone 2001). The level is the rest's median over that of the law.

    Args:
        values: singular values [r] in any order, without those that the sample's rank makes zero.
        ratio: dimensions per sample, n / m (m - 1 if centred); a smaller one for a sample that was flattened before
            it was projected, whose rest spreads less.

    Raises:
        ValueError: fewer than four values, values that are negative or not finite, or a ratio that is not positive.
    """
    s = np.sort(np.asarray(values, float).ravel())
    if len(s) < 4 or not np.isfinite(s).all() or s[0] < 0 or not 0 < ratio < math.inf:
        found = f"{len(s)} and {ratio}"
        raise ValueError(f"expected four or more finite singular values and a positive ratio, found {found}")
    steps = np.diff(np.log(np.maximum(s, np.finfo(float).tiny)))
    counts = np.arange(1, len(s) // 2 + 1)
    inner = np.array([steps[k : (k + len(s)) // 2].max(initial=0) for k in counts])
    for count in (*counts[steps[counts - 1] >= GAP * inner][::-1].tolist(), 0):
        rest = s[count:]
        # Of n dimensions the rest has n - count.
        own = ratio * len(rest) / len(s)
        bulk = float(np.median(rest)) / math.sqrt(_median(own))
        threshold = bulk * math.sqrt(_least(own, len(rest)))
        if count and s[count - 1] < threshold <= s[count]:
            break
    return Dropped(count, bulk, threshold)


def population_below(eigenvalue: ArrayLike, ratio: float) -> NDArray[np.float64]:
    """Population variance of a dropped direction from its sample eigenvalue, both in units of the bulk's variance.

    In the spiked covariance model a variance l below 1 - sqrt(ratio) shows as the eigenvalue l (1 + ratio / (l - 1))
    (Baik and Silverstein 2006): smaller, the more dimensions a sample has. This is the inverse.

    Args:
        eigenvalue: squares of dropped singular values over that of the bulk's level; any shape.
        ratio: dimensions per sample n / m of the rest, in (0, 1).

    Returns:
        Variances of the same shape, nan for eigenvalues that are not below the bulk's edge (1 - sqrt(ratio))^2.

    Raises:
        ValueError: a ratio outside (0, 1) or negative eigenvalues.
    """
    sample = np.asarray(eigenvalue, float)
    if not 0 < ratio < 1 or not (sample >= 0).all():
        raise ValueError(f"expected a ratio in (0, 1) and eigenvalues of at least 0, found a ratio of {ratio}")
    half = (1 + sample - ratio) / 2
    below = sample <= (1 - math.sqrt(ratio)) ** 2
    # The smaller root of l^2 - (1 + eigenvalue - ratio) l + eigenvalue = 0, without cancellation.
    root = np.sqrt(np.where(below, half**2 - sample, 0).clip(min=0))
    return np.where(below, sample / (half + root), math.nan)


@dataclass(frozen=True)
class Spectrum:
    """Spread of a sample along its principal axes.

    Attributes:
        values: singular values over sqrt(m), or sqrt(m - 1) if centred: standard deviations, descending [rank].
        dropped: those below the rest, in the same unit.
        relative: root mean square of the dropped values over the level of the rest; nan where none dropped.
        corrected: the same in the population, as the spiked covariance model has it.
    """

    values: NDArray[np.float64]
    dropped: Dropped
    relative: float
    corrected: float


def spectrum(samples: Tensor, centred: bool = True) -> Spectrum:
    """Principal standard deviations of a sample [m, n], with those that dropped below the rest.

    Raises:
        ValueError: as `singular_values`, or a rank below four.
    """
    freedom, dimension = len(samples) - centred, samples.shape[-1]
    values = singular_values(samples, centred)[: min(freedom, dimension)].numpy() / math.sqrt(freedom)
    ratio = dimension / freedom
    dropped = dropped_values(values, ratio)
    count = dropped.count
    if not count:
        return Spectrum(values, dropped, math.nan, math.nan)
    squares = (values[-count:] / dropped.bulk) ** 2
    own = ratio * (len(values) - count) / len(values)
    corrected = math.sqrt(population_below(squares, own).mean()) if own < 1 else math.nan
    return Spectrum(values, dropped, math.sqrt(squares.mean()), corrected)


def _median(ratio: float) -> float:
    """Median of Marchenko and Pastur's law of the eigenvalues that are not zero, for unit variance."""
    # With x = 1 + ratio - 2 sqrt(ratio) cos(angle) the density is proportional to sin(angle)^2 / x.
    angle = np.linspace(0, math.pi, ANGLES)
    x = 1 + ratio - 2 * math.sqrt(ratio) * np.cos(angle)
    total = integrate.cumulative_trapezoid(np.sin(angle) ** 2 / np.maximum(x, np.finfo(float).tiny), angle, initial=0)
    return float(np.interp(total[-1] / 2, total, x))


def _least(ratio: float, rank: int) -> float:
    """What the least of `rank` eigenvalues of white noise that are not zero falls below once in 1000 samples."""
    few, many = sorted((rank, rank / min(ratio, 1 / ratio)))
    samples = many if ratio < 1 else few
    edge = math.sqrt(many) - math.sqrt(few)
    scale = edge * (1 / math.sqrt(few) - 1 / math.sqrt(many)) ** (1 / 3)
    return max(edge**2 - TRACY_WIDOM * scale, 0) / samples
