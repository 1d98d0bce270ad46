"""The cross-entropy about logits (beta, 0, ..., 0): to third order, and exactly on the set S_N (Seguin, appendix C).

Class 0 is the predicted one. An image's label is class 0 where it is classified correctly, else class 1. Logits, beta
and losses are in nat, tensors float64.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from neighborhoods.sensitivity.factors import cross_entropy


def belongs(change: Tensor, reference: Tensor) -> Tensor:
    """Whether vectors [..., N] lie in the set S_N of others [..., N] (equation 1).

    They are orthogonal to them, to rounding, and their largest component is strictly smaller.
    """
    product = (change * reference).sum(-1).abs()
    size = change.norm(dim=-1) * reference.norm(dim=-1)
    return (product <= 1e-12 * size) & (change.amax(-1) < reference.amax(-1))


def exact_loss(logits: Tensor, label: int) -> Tensor:
    """Cross-entropy [...] of logits [..., N] of one label, in nat; nan where logits are."""
    flat = logits.reshape(-1, logits.shape[-1])
    return cross_entropy(flat, torch.full((len(flat),), label, device=logits.device)).reshape(logits.shape[:-1])


def expanded_loss(beta: Tensor, change: Tensor, label: int) -> Tensor:
    """The cubic of equation 3 about logits (beta, 0, ..., 0).

    Args:
        beta: [...]. change: u, which is added to these logits [..., N]. label: 0 for correctly classified, else 1.

    Returns:
        Losses [...] in nat.
    """
    h, centred, mean, variance = _moments(beta, change)
    third = (h * centred**3).sum(-1)
    return exact_loss(_start(beta, change), label) + mean - change[..., label] + variance / 2 + third / 6


def expanded_gradient(beta: Tensor, change: Tensor, label: int) -> Tensor:
    """Gradient of `expanded_loss` in u [..., N]: h_i ((1 + u_i - m)^2 + 1 - V) / 2, less one for the label.

    m and V are the mean and the variance of u under h. On the set S_N the first component is fixed, and does not count.
    """
    h, centred, _, variance = _moments(beta, change)
    gradient = h * ((1 + centred) ** 2 + 1 - variance[..., None]) / 2
    gradient[..., label] -= 1
    return gradient


def expanded_hessian(beta: Tensor, change: Tensor) -> Tensor:
    """Second derivatives of `expanded_loss` in u [..., N, N]: h_i (1 + c_i) delta_ij - h_i h_j (1 + c_i + c_j).

    c = u - m. They do not depend on the label.
    """
    h, centred, _, _ = _moments(beta, change)
    outer = h[..., :, None] * h[..., None, :] * (1 + centred[..., :, None] + centred[..., None, :])
    return torch.diag_embed(h * (1 + centred)) - outer


def kind_shares(kind: Tensor, among: Tensor) -> Tensor:
    """Shares of minima, saddles and maxima among some points [3], nan without any.

    Args:
        kind: as `kinds` gives them [n]. among: which points count [n].
    """
    chosen = kind[among]
    return torch.stack([(chosen == each).double().mean() for each in (1, 0, -1)])


def kinds(beta: Tensor, change: Tensor) -> Tensor:
    """What stationary points of the cubic are with beta fixed: 1 a local minimum, -1 a maximum, 0 a saddle [...].

    Args:
        beta: [...]. change: stationary u [..., N]; where it is not finite, the answer is 0.
    """
    finite = torch.isfinite(change).all(-1)
    hessian = expanded_hessian(beta, change.nan_to_num(0.0, 0.0, 0.0))[..., 1:, 1:]
    values = torch.linalg.eigvalsh(hessian)
    return ((values[..., 0] > 0).long() - (values[..., -1] < 0).long()) * finite


@dataclass(frozen=True)
class Stationarity:
    """How far logits are from stationary points with the largest fixed, and what the cubic has there.

    Attributes:
        cubic, exact: norms of the gradients of equation 3 and of the exact loss in u, its first component left out [n].
        kind: as `kinds`, where the cubic's gradient vanishes to rounding, else -9 [n].
    """

    cubic: Tensor
    exact: Tensor
    kind: Tensor


def stationarity(logits: Tensor, label: int) -> Stationarity:
    """Gradients at logits (beta, u_1, ..., u_N-1) [n, N]; nan where these are.

    Rounding is taken as 1e-9 of the largest u.
    """
    beta, change = logits[:, 0], logits.clone()
    change[:, 0] = 0
    cubic = expanded_gradient(beta, change, label)[:, 1:].norm(dim=1)
    exact = logits.softmax(1)
    exact[:, label] -= 1
    vanishes = cubic < 1e-9 * (1 + change.abs().amax(1))
    return Stationarity(cubic, exact[:, 1:].norm(dim=1), torch.where(vanishes, kinds(beta, change), -9))


@dataclass(frozen=True)
class Minimum:
    """The exact loss at its lowest on a bounded part of the set S_N.

    Attributes:
        loss: in nat. change: u there [N].
        gradient: norm of the loss's gradient in u there, its first component left out.
    """

    loss: float
    change: Tensor
    gradient: float


def constrained_minimum(beta: float, classes: int, label: int, reach: float) -> Minimum:
    """Minimise the exact cross-entropy over u with u_0 = 0 and -reach <= u_i <= beta, numerically (L-BFGS-B, from 0).

    The set S_N has no lower limit and is open at beta. A gradient that does not vanish means that the loss has no
    stationary point on the way to the limits that `reach` and beta set.

    Args:
        beta: largest logit, positive. label: 0 for correctly classified, 1 for misclassified. reach: positive.

    Raises:
        ValueError: arguments out of range.
    """
    if label not in (0, 1) or not (beta > 0 and reach > 0):
        raise ValueError(f"expected label 0 or 1, beta > 0 and reach > 0, found {label}, {beta} and {reach}")
    start = torch.zeros(classes, dtype=torch.float64)
    start[0] = beta

    def loss(rest: np.ndarray) -> tuple[float, np.ndarray]:
        logits = start.clone()
        logits[1:] = torch.from_numpy(rest)
        slope = logits.softmax(0)
        slope[label] -= 1
        return float(exact_loss(logits, label)), slope[1:].numpy()

    # The loss may be as small as e^-reach, so that a relative tolerance on it decides.
    found = optimize.minimize(
        loss, np.zeros(classes - 1), jac=True, method="L-BFGS-B", bounds=[(-reach, beta)] * (classes - 1),
        options={"ftol": 0.0, "gtol": 0.0, "maxiter": 10_000},
    )  # fmt: skip
    change = torch.cat([start[:1] * 0, torch.from_numpy(found.x)])
    return Minimum(float(found.fun), change, float(np.linalg.norm(found.jac)))


def _start(beta: Tensor, change: Tensor) -> Tensor:
    """Logits (beta, 0, ..., 0), of the shape of `change` [..., N]."""
    start = torch.zeros_like(change)
    start[..., 0] = beta
    return start


def _moments(beta: Tensor, change: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The external field h [..., N], and under it u less its mean, its mean [...] and its variance [...]."""
    h = _start(beta, change).softmax(-1)
    mean = (h * change).sum(-1)
    centred = change - mean[..., None]
    return h, centred, mean, (h * centred**2).sum(-1)
