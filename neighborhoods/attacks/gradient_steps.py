"""Attacks that take a fixed number of steps along a gradient: FGSM and its descendants.

Called through `attacks.attack`, which checks the input and puts the network into evaluation mode. All take

    model: images [B, ...] to logits [B, classes].
    x: images in [0, 1], [n, ...].
    label: true classes [n].
    target: classes to reach [n]; None to leave the label.

and return adversarial images [n, ...] in [0, 1]. Unless a function says otherwise, epsilon and step_size are in units
of a pixel's range. Steps go up the cross-entropy of the label, or down that of the target. The loss is summed over
images, so that no image depends on another, and a pixel (for `fgm_l2` an image) without gradient stays where it is.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.attacks.contract import AttackError, at_least_one


def fgsm(model: nn.Module, x: Tensor, label: Tensor, target: Tensor | None = None, *, epsilon: float) -> Tensor:
    """Fast gradient sign method (Goodfellow et al. 2015; Bell, equation 4): one step of `epsilon`."""
    return igsm(model, x, label, target, epsilon=epsilon, step_size=epsilon, steps=1)


def fgm_l2(model: nn.Module, x: Tensor, label: Tensor, target: Tensor | None = None, *, epsilon: float) -> Tensor:
    """One step x + epsilon eta / ||eta||_2 along the gradient eta, clipped to the box (the Note; Seguin, equation 6).

    Args:
        epsilon: length of the step, ||x_adv - x||_2, before the box shortens it.
    """
    eta = ascent(model, x, label, target)
    return (x + epsilon * _scaled(_scaled(eta, torch.inf), 2)).clamp(0, 1)


def igsm(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
) -> Tensor:
    """Iterative gradient sign method (Bell, equation 5; Kurakin et al. 2016), also called BIM.

    Each step moves every pixel by `step_size` against the gradient of the target's cross-entropy, or
    along that of the label's, then clips to the epsilon-ball around `x` and to [0, 1].

    Raises:
        AttackError: no steps.
    """
    return _sign_steps(model, x, x, label, target, epsilon, step_size, at_least_one("igsm", steps))


def mifgsm(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    decay: float = 1.0,
) -> Tensor:
    """Momentum iterative FGSM (Dong et al. 2018, algorithm 1): the sign of sum_s decay^(t-s) g_s / ||g_s||_1.

    Args:
        decay: of the momentum; 0 gives `igsm`.

    Raises:
        AttackError: no steps.
    """
    return _sign_steps(model, x, x, label, target, epsilon, step_size, at_least_one("mifgsm", steps), decay)


def pgd(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """Projected gradient descent (Madry et al. 2018): `igsm` from a point uniform in the epsilon-ball.

    Args:
        generator: of the starts, on the CPU.

    Raises:
        AttackError: no steps.
    """
    start = (x + epsilon * uniform(x, generator)).clamp(0, 1)
    return _sign_steps(model, x, start, label, target, epsilon, step_size, at_least_one("pgd", steps))


def rfgsm(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    step_size: float,
    generator: torch.Generator,
) -> Tensor:
    """R+FGSM (Tramèr et al. 2018, equations 7 and 8): a random step, then one gradient step, both of signs.

    Args:
        step_size: alpha of the random step; the gradient step has the rest, epsilon - alpha.
        generator: of the random signs, on the CPU.

    Raises:
        AttackError: `step_size` leaves nothing of `epsilon`.
    """
    if not step_size < epsilon:
        raise AttackError(f"rfgsm needs a step_size below epsilon ({epsilon:g}), found {step_size:g}")
    start = (x + step_size * uniform(x, generator).sign()).clamp(0, 1)
    return _sign_steps(model, x, start, label, target, epsilon, epsilon - step_size, 1)


def rfgsm_iterated(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """torchattacks' RFGSM: a step of `step_size` along random signs, then `igsm`, its projection included.

    Args:
        generator: of the random signs, on the CPU.

    Raises:
        AttackError: no steps.
    """
    start = (x + step_size * uniform(x, generator).sign()).clamp(0, 1)
    return _sign_steps(model, x, start, label, target, epsilon, step_size, at_least_one("rfgsm_iterated", steps))


def ascent(model: nn.Module, x: Tensor, label: Tensor, target: Tensor | None = None) -> Tensor:
    """Gradient of the label's cross-entropy, or of minus the target's, at each image [n, ...]."""
    with torch.enable_grad():
        variable = x.detach().requires_grad_(True)
        goal = label if target is None else target
        loss = functional.cross_entropy(model(variable), goal.long(), reduction="sum")
        (gradient,) = torch.autograd.grad(loss if target is None else -loss, variable)
    return gradient


def uniform(x: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers uniform in (-1, 1) shaped like images, the same for an image whatever batch it is in."""
    return (2 * torch.rand(x.shape, generator=generator) - 1).to(x)


def sign_steps(
    gradient: Callable[[Tensor], Tensor],
    x: Tensor,
    start: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    decay: float = 0.0,
) -> Tensor:
    """Steps along the signs of a gradient, each clipped to the epsilon-ball around `x` and to [0, 1].

    Args:
        gradient: images [n, ...] to what they climb along [n, ...].
        x: images in [0, 1], [n, ...]. start: where the steps begin [n, ...].
        decay: of the momentum of `mifgsm`; 0 for none.

    Returns:
        Images [n, ...] after the last step; `start` without steps.
    """
    lower, upper = (x - epsilon).clamp_min(0), (x + epsilon).clamp_max(1)
    moved, direction = start.detach(), torch.zeros_like(x)
    for _ in range(steps):
        direction = decay * direction + _scaled(gradient(moved), 1)
        moved = torch.clamp(moved + step_size * direction.sign(), lower, upper)
    return moved


def _sign_steps(
    model: nn.Module,
    x: Tensor,
    start: Tensor,
    label: Tensor,
    target: Tensor | None,
    epsilon: float,
    step_size: float,
    steps: int,
    decay: float = 0.0,
) -> Tensor:
    climb = partial(ascent, model, label=label, target=target)
    return sign_steps(climb, x, start, epsilon=epsilon, step_size=step_size, steps=steps, decay=decay)


def _scaled(gradient: Tensor, order: float) -> Tensor:
    """Gradients [n, ...] over their norm of some order; zero where they are zero."""
    norm = torch.linalg.vector_norm(gradient.flatten(1), order, dim=1)
    return gradient / torch.where(norm > 0, norm, 1.0).reshape(-1, *[1] * (gradient.ndim - 1))
