"""PGD from output-diversified starts (Tashiro, Song and Ermon 2020): they are far apart in logits, not in pixels.

Steps go along signs in l-infinity, and no image depends on another of its batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from neighborhoods.attacks.contract import AttackError
from neighborhoods.attacks.gradient_steps import sign_steps


def odi_pgd(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    noise: Tensor,
    directions: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    start_steps: int = 2,
) -> Tensor:
    """PGD on the margin from where a random functional of the logits is large (Tashiro et al., equations 2 and 3).

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [B, ...]. label: true classes [B].
        noise: numbers in (-1, 1) shaped like the images: the starts of the starts are x + epsilon noise.
        directions: w of the functional w . logits, uniform in (-1, 1), [B, classes].
        epsilon, step_size: largest change of a pixel and that of one step, in units of a pixel's range.
        start_steps: along the functional, of size epsilon; two, as the authors take for CIFAR-10 and ImageNet.

    Returns:
        Images [B, ...] after the last step.

    Raises:
        AttackError: no steps.
    """
    if min(steps, start_steps) < 1:
        raise AttackError(f"odi_pgd needs at least one step of each kind, found {start_steps} and {steps}")
    start = diversified_starts(model, x, noise, directions, epsilon, epsilon, start_steps)

    def climb(moved: Tensor) -> Tensor:
        return _gradient(model, moved, lambda logits: margin(logits, label))

    return sign_steps(climb, x, start, epsilon=epsilon, step_size=step_size, steps=steps)


def diversified_starts(
    model: nn.Module, x: Tensor, noise: Tensor, directions: Tensor, epsilon: float, step_size: float, steps: int
) -> Tensor:
    """Images [B, ...] in the epsilon-ball and in [0, 1] after steps up w . logits; arguments as for `odi_pgd`."""

    def climb(moved: Tensor) -> Tensor:
        return _gradient(model, moved, lambda logits: (directions * logits).sum(1))

    return sign_steps(climb, x, x + epsilon * noise, epsilon=epsilon, step_size=step_size, steps=steps)


def margin(logits: Tensor, label: Tensor) -> Tensor:
    """Largest logit of another class less that of the label [B]; positive where the image is misclassified."""
    own = label.long()[:, None]
    return logits.scatter(1, own, -torch.inf).amax(1) - logits.gather(1, own)[:, 0]


def _gradient(model: nn.Module, x: Tensor, objective: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.enable_grad():
        variable = x.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(objective(model(variable)).sum(), variable)
    return gradient
