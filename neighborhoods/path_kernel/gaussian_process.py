"""Gaussian process regression with a kernel given as a matrix (Rasmussen and Williams 2006, algorithm 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Shares of the mean diagonal that are tried in turn.
JITTERS = (0.0, *[10.0**e for e in range(-14, 1)])


@dataclass(frozen=True)
class GaussianProcess:
    """Posterior of a Gaussian process at Q queries.

    Attributes:
        mean: predictive mean [Q] or [Q, C], for targets [N] or [N, C]. variance: of the noise-free function [Q], at
            least 0.
        jitter: what was added to the diagonal beyond the noise, in the kernel's units; the smallest of `JITTERS` times
            the mean diagonal for which the Cholesky factorisation succeeds.
        asymmetry: of the matrix given, before it was symmetrised.
        log_likelihood: of the targets, summed over their columns, in nats.
    """

    mean: Tensor
    variance: Tensor
    jitter: float
    asymmetry: float
    log_likelihood: float


def asymmetry(kernel: Tensor) -> float:
    """||K - K^T||_F / (2 ||K||_F) of a square matrix [N, N]: 0 if it is symmetric, 1 if it is antisymmetric.

    Raises:
        ValueError: the matrix is not square.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"expected a square kernel matrix, found shape {tuple(kernel.shape)}")
    difference = float((kernel - kernel.T).norm())
    return difference / (2 * float(kernel.norm())) if difference else 0.0


def block_matrix(kernel: Tensor) -> Tensor:
    """A kernel of K outputs, [Q, N, K, K], as one matrix over pairs of point and output [Q * K, N * K]."""
    q, n, k, other = kernel.shape
    return kernel.transpose(1, 2).reshape(q * k, n * other)


def gaussian_process(
    kernel: Tensor, targets: Tensor, cross: Tensor, prior: Tensor, noise: float = 0.0
) -> GaussianProcess:
    """Condition a Gaussian process of mean 0 on observations.

    Args:
        kernel: covariance of the training points [N, N]; its symmetric part is used.
        targets: observations [N], or [N, C] for C functions of the same covariance.
        cross: covariance of queries with training points [Q, N].
        prior: variance of each query [Q].
        noise: variance of the observations.

    Raises:
        ValueError: shapes that do not fit, noise below 0, numbers that are not finite, or a matrix that no jitter up to
            its mean diagonal makes positive definite.
    """
    n = len(kernel)
    skew = asymmetry(kernel)
    if len(targets) != n or cross.shape[1:] != (n,) or prior.shape != cross.shape[:1]:
        raise ValueError(
            f"expected targets [{n}], cross-covariance [Q, {n}] and prior variance [Q], found "
            f"{tuple(targets.shape)}, {tuple(cross.shape)} and {tuple(prior.shape)}"
        )
    if noise < 0 or not all(bool(torch.isfinite(part).all()) for part in (kernel, targets, cross, prior)):
        raise ValueError(f"expected noise >= 0 and finite numbers, found noise {noise} or numbers that are not finite")
    eye = torch.eye(n).to(kernel)
    symmetric = (kernel + kernel.T) / 2 + noise * eye
    factor, jitter = _cholesky(symmetric, eye)
    columns = targets.reshape(n, -1).to(kernel)
    weights = torch.cholesky_solve(columns, factor)
    explained = torch.linalg.solve_triangular(factor, cross.T, upper=False).square().sum(0)
    constant = torch.log(2 * torch.pi * torch.ones_like(factor[0, 0]))
    likelihood = -(columns * weights).sum() / 2 - columns.shape[1] * (factor.diagonal().log().sum() + n / 2 * constant)
    return GaussianProcess(
        mean=(cross @ weights).reshape(-1, *targets.shape[1:]),
        variance=(prior - explained).clamp(min=0),
        jitter=jitter,
        asymmetry=skew,
        log_likelihood=float(likelihood),
    )


def _cholesky(matrix: Tensor, eye: Tensor) -> tuple[Tensor, float]:
    scale = float(matrix.diagonal().mean())
    for share in JITTERS:
        factor, failed = torch.linalg.cholesky_ex(matrix + share * scale * eye)
        if not int(failed):
            return factor, share * scale
    lowest = float(torch.linalg.eigvalsh(matrix)[0])
    raise ValueError(
        "the symmetrised kernel is far from positive definite: "
        f"smallest eigenvalue {lowest:.3g}, mean diagonal {scale:.3g}"
    )
