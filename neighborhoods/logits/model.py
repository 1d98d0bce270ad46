"""The analytic model of logits, as printed and as derived again (Seguin, appendix C; errata).

Logits that minimise the cross-entropy, given their largest component beta, stand in for those of a trained network.
With the classes in the order (predicted, label, all others) they are

    correctly classified:  (beta, f, ..., f), the label being the predicted class;
    misclassified:         (beta, g, psi, ..., psi).

All tensors are float64, logits and beta in nat. E = (N - 1) e^-beta and D = 1 - (N - 3) e^-beta for N classes. `sign`
is that of the printed +-: +1 or -1. Where a formula has no real value it gives nan.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Halvings of a step of beta: ends of ranges are known to 1e-12 of it.
HALVINGS = 40


def f_printed(beta: Tensor, classes: int, sign: int = 1) -> Tensor:
    """f of equation 4: logits of the other classes of a correctly classified image, of the shape of beta [...]."""
    b, total, _ = _terms(beta, classes, sign)
    radicand = 1 + 2 * (-2 * b).exp() * (1 - total) / (1 + total) ** 2
    return (1 + total) / (1 - total) * (-1 + sign * _root(radicand))


def kappa_printed(beta: Tensor, classes: int) -> Tensor:
    """kappa of equation 5, of the shape of beta [...]."""
    _, total, rest = _terms(beta, classes, 1)
    return (1 + total) / rest * _root(1 + 2 * (1 - total) * rest / (1 + total))


def g_printed(beta: Tensor, classes: int, sign: int = 1) -> Tensor:
    """g of equation 5: the label's logit of a misclassified image, of the shape of beta [...]."""
    _, total, rest = _terms(beta, classes, sign)
    return -rest / (1 - total) * (1 + sign * kappa_printed(beta, classes))


def psi_printed(beta: Tensor, classes: int, sign: int = 1) -> Tensor:
    """psi of equation 5: logits of the classes that are neither predicted nor the label, of the shape of beta [...]."""
    b, total, rest = _terms(beta, classes, sign)
    return 2 * ((-b).exp() / (1 - total) * g_printed(beta, classes, sign) - (1 + total) / rest)


def f_derived(beta: Tensor, classes: int, sign: int = 1) -> Tensor:
    """The f at which the cubic of equation 3 is stationary, of the shape of beta [...].

    1 + w + w^2 (1 - E) / 2 = 0 for w = f / (1 + E), so that f = (1 + E) / (1 - E) (-1 +- sqrt(2 E - 1)): real for
    beta <= ln(2 (N - 1)) only. At E = 1 the root of sign + is -2, that of sign - infinite.
    """
    _, total, _ = _terms(beta, classes, sign)
    # (-1 + s) / (1 - E) for s^2 = 2 E - 1 is -2 / (1 + s), which does not cancel.
    root = _root(2 * total - 1)
    return -2 * (1 + total) / (1 + sign * root)


def kappa_derived(beta: Tensor, classes: int) -> Tensor:
    """kappa as equation 3 has it: sqrt(1 + 2 D (1 - E) e^beta / (1 + E)), of the shape of beta [...]."""
    b, total, rest = _terms(beta, classes, 1)
    return _root(1 + 2 * rest * (1 - total) * b.exp() / (1 + total))


def g_derived(beta: Tensor, classes: int, sign: int = 1) -> Tensor:
    """The g at which the cubic of equation 3 is stationary, with psi of `psi_derived`; of the shape of beta [...].

    The cubic, like the exact loss, stays as it is when a number is added to all logits. Its stationary points at fixed
    beta are hence stationary without that condition. That makes (1 + u - m)^2 equal for all classes but the label,
    where m is the mean of u under h: psi = 0 (`level_derived`) or psi = 2 (m - 1). With the latter,
    g (g - psi) = 2 (1 + E) e^beta and g = -(1 + E) / (1 - E) (1 +- kappa). The printed g has D for 1 + E before the
    bracket, and its kappa lacks e^beta.
    """
    _, total, _ = _terms(beta, classes, sign)
    return -(1 + total) / (1 - total) * (1 + sign * kappa_derived(beta, classes))


def psi_derived(beta: Tensor, classes: int, sign: int = 1) -> Tensor:
    """psi = 2 (e^-beta g - (1 + E)) / D, of the shape of beta [...]; printed, its first term is divided by 1 - E."""
    b, total, rest = _terms(beta, classes, sign)
    return 2 * ((-b).exp() * g_derived(beta, classes, sign) - (1 + total)) / rest


def level_derived(beta: Tensor, classes: int, sign: int = 1) -> Tensor:
    """The g at which the cubic is stationary with psi = 0, which the source does not list; of the shape of beta [...].

    (1 - 2 p) g^2 + 2 g = 2 / p for p = 1 / (e^beta + N - 1). The root of sign + is the cubic's only local minimum of
    the form (beta, g, psi, ..., psi).
    """
    b, _, _ = _terms(beta, classes, sign)
    inverse = b.exp() + classes - 1
    return 2 * inverse / (1 + sign * _root(2 * inverse - 3))


def correct_logits(beta: Tensor, f: Tensor, classes: int) -> Tensor:
    """Logits (beta, f, ..., f) [..., N], class 0 being the label."""
    _check(classes, 1)
    return torch.cat([beta.double()[..., None], f[..., None].expand(*f.shape, classes - 1)], -1)


def wrong_logits(beta: Tensor, g: Tensor, psi: Tensor, classes: int) -> Tensor:
    """Logits (beta, g, psi, ..., psi) [..., N], class 1 being the label."""
    _check(classes, 1)
    return torch.cat([beta.double()[..., None], g[..., None], psi[..., None].expand(*psi.shape, classes - 2)], -1)


def admissible(logits: Tensor) -> Tensor:
    """The condition beta > f, or beta > max(g, psi), on logits [..., N] with beta first; false of what is not real."""
    return torch.isfinite(logits).all(-1) & (logits[..., 0] > logits[..., 1:].amax(-1))


def where_admissible(logits: Tensor) -> Tensor:
    """Logits [..., N] with beta first, nan where their condition does not hold."""
    return logits.where(admissible(logits)[..., None], torch.nan)


def surrogates(logits: Tensor, label: Tensor, *, printed: bool = True, sign: int = 1) -> tuple[Tensor, Tensor]:
    """The surrogates of a network's logits: each row's largest logit stays where and what it is.

    Args:
        logits: [n, N], N >= 3. label: true classes [n].
        printed: by the printed f, g and psi, else by the derived ones.

    Returns:
        Surrogates [n, N], nan where they are not real, and whether each meets its condition on beta [n].
    """
    n, classes = logits.shape
    f, g, psi = (f_printed, g_printed, psi_printed) if printed else (f_derived, g_derived, psi_derived)
    beta, top = logits.double().max(1)
    correct = correct_logits(beta, f(beta, classes, sign), classes)
    wrong = wrong_logits(beta, g(beta, classes, sign), psi(beta, classes, sign), classes)
    right = top == label
    # Classes of each row in the order (predicted, label, others): sorted by what they are not.
    ranks = torch.full((n, classes), 2, device=logits.device)
    ranks.scatter_(1, label[:, None], 1).scatter_(1, top[:, None], 0)
    order = ranks.argsort(dim=1, stable=True)
    ordered = torch.where(right[:, None], correct, wrong)
    return torch.empty_like(ordered).scatter_(1, order, ordered), admissible(ordered)


def mean_field_loss(correct: Tensor, wrong: Tensor, error: float) -> Tensor:
    """Loss of a population of which the share `error` is misclassified (figure C.2).

    Args:
        correct: exact losses [A], wrong: [B], at stationary logits. error: error rate in [0, 1].

    Returns:
        [A, B], in nat.
    """
    _check_share(error)
    return (1 - error) * correct[:, None] + error * wrong


@dataclass(frozen=True)
class GapChange:
    """Change of the gap beta - f [A, B], in nat, and the same over the gap: its size is the source's robustness."""

    change: Tensor
    relative: Tensor


def gap_change(
    correct: Tensor, wrong: Tensor, *, error: float, weights: tuple[float, float], printed: bool
) -> GapChange:
    """Change of the gap of correctly classified images under an FGSM step (equation 10).

    Args:
        correct: logits (beta, f, ..., f) [A, N]. wrong: logits (beta, g, psi, ..., psi) [B, N].
        error: error rate in [0, 1].
        weights: Omega(epsilon) of the correctly classified and of the misclassified images, not negative; per nat.
        printed: leave out -2 (N - 2) / (N - 1) error Omega (g - psi)^2, as the source does.

    Raises:
        ValueError: an error rate or a weight out of range, or fewer than three classes.
    """
    classes = correct.shape[1]
    _check(classes, 1)
    _check_share(error)
    if min(weights) < 0:
        raise ValueError(f"expected weights that are not negative, found {weights}")
    gap = (correct[:, 0] - correct[:, 1])[:, None]
    behind, apart = wrong[:, 0] - wrong[:, 1], wrong[:, 1] - wrong[:, 2]
    mixed = behind * apart if printed else behind * apart + apart**2
    misclassified = behind**2 + 2 * (classes - 2) / (classes - 1) * mixed
    change = -(1 - error) * weights[0] * gap**2 - error * weights[1] * misclassified
    return GapChange(change, change / gap)


def lumped_gap_change(
    beta: Tensor, right: Tensor, weights: Tensor, classes: int, *, epsilon: float, printed: bool
) -> GapChange:
    """Equation 10 of a population: one beta for its correctly classified images and one for the others, their means.

    Where all images are right, the term of the others vanishes.

    Args:
        beta: largest logits [n]. right: whether each image is classified correctly [n].
        weights: Omega_nu of each image [n]. epsilon: of the step. printed: as for `gap_change`.

    Returns:
        Changes [1, 1] of the printed surrogates; nan where no image is right.
    """
    error = 1 - float(right.double().mean())
    if error == 0:
        gap = beta.double().mean() - f_printed(beta.double().mean(), classes)
        change = (-epsilon * weights.sum() * gap**2).reshape(1, 1)
        return GapChange(change, change / gap)
    both, lumped = [], []
    for kept, share in ((right, 1 - error), (~right, error)):
        both.append(epsilon * float(weights[kept].sum()) / share if share else 0.0)
        lumped.append(beta[kept].double().mean()[None])
    correct = correct_logits(lumped[0], f_printed(lumped[0], classes), classes)
    wrong = wrong_logits(lumped[1], g_printed(lumped[1], classes), psi_printed(lumped[1], classes), classes)
    return gap_change(correct, wrong, error=error, weights=(both[0], both[1]), printed=printed)


def ranges(holds: Callable[[Tensor], Tensor], beta: Tensor) -> list[tuple[float, float]]:
    """Intervals of beta in which a condition holds, as far as a grid shows them, their inner ends found by bisection.

    Args:
        holds: betas [n] to booleans [n].
        beta: increasing grid [n], n >= 2; intervals narrower than its steps go unseen.

    Returns:
        Pairs (low, high) in order; an end of the grid stands for an interval that goes on.

    Raises:
        ValueError: the grid does not increase.
    """
    grid = beta.double()
    if grid.ndim != 1 or len(grid) < 2 or not bool((grid.diff() > 0).all()):
        raise ValueError(f"expected an increasing grid of beta, found one of shape {tuple(grid.shape)}")
    inside = holds(grid)
    at = (inside[1:] != inside[:-1]).nonzero()[:, 0]
    low, high, before = grid[at], grid[at + 1], inside[at]
    for _ in range(HALVINGS if len(at) else 0):
        middle = (low + high) / 2
        same = holds(middle) == before
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    ends = [*([grid[0]] if inside[0] else []), *((low + high) / 2), *([grid[-1]] if inside[-1] else [])]
    values = [float(end) for end in ends]
    return list(zip(values[::2], values[1::2], strict=True))


def _terms(beta: Tensor, classes: int, sign: int) -> tuple[Tensor, Tensor, Tensor]:
    """Beta in double precision, E = (N - 1) e^-beta, and D = 1 - (N - 3) e^-beta."""
    _check(classes, sign)
    b = beta.double()
    small = (-b).exp()
    return b, (classes - 1) * small, 1 - (classes - 3) * small


def _root(radicand: Tensor) -> Tensor:
    return torch.where(radicand >= 0, radicand, torch.nan).sqrt()


def _check(classes: int, sign: int) -> None:
    if classes < 3 or sign not in (1, -1):
        raise ValueError(f"expected three classes or more and a sign of 1 or -1, found {classes} and {sign}")


def _check_share(error: float) -> None:
    if not 0 <= error <= 1:
        raise ValueError(f"expected an error rate in [0, 1], found {error}")
