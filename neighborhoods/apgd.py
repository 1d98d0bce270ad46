"""Auto-PGD (Croce and Hein 2020), by pyautoattack.

Called through `attacks.attack`, which checks the input, puts the network into evaluation mode and keeps the global
random numbers as they were.
"""

import torch
from pyautoattack.autopgd_base import APGDAttack
from torch import Tensor, nn

from neighborhoods.attack_contract import NORMS, ROUNDING, AttackError
from neighborhoods.gradient_steps import uniform

DLR_CLASSES = 4


def apgd_ce(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    steps: int,
    norm: str = "linf",
    generator: torch.Generator,
) -> Tensor:
    """Auto-PGD on the cross-entropy, of the label or toward a target; one start.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...]. label: true classes [n]. target: classes to reach [n], None to leave the label.
        epsilon: largest change, of a pixel ("linf") or in L2. norm: "linf" or "l2".
        steps: of the ascent; AutoAttack takes 100.
        generator: of the starts, on the CPU.

    Returns:
        Adversarial images [n, ...]: the last iterate with the class asked for, else that of the largest loss.

    Raises:
        AttackError: no steps, or another norm.
    """
    loss = "ce" if target is None else "ce-targeted-cfts"
    return _ascend(model, x, label, target, loss, epsilon, steps, norm, generator)


def apgd_dlr(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    steps: int,
    norm: str = "linf",
    generator: torch.Generator,
) -> Tensor:
    """Auto-PGD on the difference of logits ratio (Croce and Hein 2020, equation 6), untargeted; one start.

    Arguments as for `apgd_ce`, with `target` None: the package's targeted loss weighs a target against the label alone,
    may end in a third class, and takes any class but the label for a success.

    Raises:
        AttackError: fewer than four classes, no steps, or another norm.
    """
    with torch.no_grad():
        classes = model(x[:1]).shape[1]
    if classes < DLR_CLASSES:
        raise AttackError(f"apgd_dlr needs at least {DLR_CLASSES} classes, found {classes}; use apgd_ce")
    return _ascend(model, x, label, None, "dlr", epsilon, steps, norm, generator)


class _Memory:
    """A network that keeps the last image it saw with the class asked for, in each row of a batch."""

    def __init__(self, model: nn.Module, x: Tensor, goal: Tensor, targeted: bool) -> None:
        self.model, self.goal, self.targeted = model, goal, targeted
        self.kept, self.found = x.clone(), torch.zeros_like(goal, dtype=torch.bool)

    def __call__(self, x: Tensor) -> Tensor:
        logits = self.model(x)
        hit = (logits.argmax(1) == self.goal) == self.targeted
        self.kept[hit] = x.detach()[hit]
        self.found |= hit
        return logits


def _ascend(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None,
    loss: str,
    epsilon: float,
    steps: int,
    norm: str,
    generator: torch.Generator,
) -> Tensor:
    if steps < 1:
        raise AttackError(f"apgd needs at least one step, found {steps}")
    if norm not in NORMS:
        raise AttackError(f"apgd needs the norm linf or l2, found {norm!r}")
    x, goal = x.detach(), (label if target is None else target).long()
    noise = uniform(x, generator)
    if norm == "l2":
        # Normal numbers (in any unit), so that no axis is preferred; -1 itself would be infinite.
        noise = torch.erfinv(noise.clamp_min(ROUNDING - 1))
    flat = noise.flatten(1)
    length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    start = x + epsilon * noise / length.reshape(-1, *[1] * (x.ndim - 1))
    memory = _Memory(model, x, goal, target is not None)
    attack = APGDAttack(
        memory, n_iter=steps, norm={"linf": "Linf", "l2": "L2"}[norm], eps=epsilon, loss=loss, device=x.device
    )
    attack.init_hyperparam(x)
    # `perturb` would seed torch's global generator and draw starts for the batch, so that images depended on others.
    best, *_ = attack.attack_single_run(x, goal, x_init=start)
    return torch.where(memory.found.reshape(-1, *[1] * (x.ndim - 1)), memory.kept, best)
