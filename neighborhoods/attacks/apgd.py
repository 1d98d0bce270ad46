"""Auto-PGD (Croce and Hein 2020), by pyautoattack.

Called through `attacks.attack`, which checks the input, puts the network into evaluation mode and keeps the global
random numbers as they were.
"""

from typing import Any

import torch
from torch import Tensor, nn

from neighborhoods.attacks.contract import NORMS, ROUNDING, AttackError, at_least_one, needing
from neighborhoods.attacks.gradient_steps import uniform

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
    goal, targeted = (label, False) if target is None else (target, True)
    settings: dict[str, Any] = {"loss": loss, "epsilon": epsilon, "steps": steps, "norm": norm}
    return auto_pgd(model, x, goal, uniform(x, generator), targeted=targeted, **settings)


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
    return auto_pgd(model, x, label, uniform(x, generator), loss="dlr", epsilon=epsilon, steps=steps, norm=norm)


def auto_pgd(
    model: nn.Module,
    x: Tensor,
    goal: Tensor,
    noise: Tensor,
    *,
    loss: str,
    epsilon: float,
    steps: int,
    norm: str = "linf",
    targeted: bool = False,
    early_stop: bool = False,
) -> Tensor:
    """One run of Auto-PGD from given starts.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [B, ...]. goal: classes to leave, or with `targeted` to reach [B].
        noise: numbers in (-1, 1) shaped like the images, that the starts are made of.
        loss: "ce", "ce-targeted-cfts" or "dlr", as the package names them.
        epsilon, steps, norm: as for `apgd_ce`.
        early_stop: leave an image alone as soon as it has the class asked for, which spares its evaluations; else it
            goes on to the last step, as in AutoAttack.

    Returns:
        Adversarial images [B, ...]: the last iterate with the class asked for (with `early_stop` the first), else that
        of the largest loss.

    Raises:
        AttackError: no steps, or another norm.
    """
    at_least_one("apgd", steps)
    if norm not in NORMS:
        raise AttackError(f"apgd needs the norm linf or l2, found {norm!r}")
    with needing("apgd"):
        from pyautoattack.autopgd_base import APGDAttack
    x, goal = x.detach(), goal.long()
    if norm == "l2":
        # Normal numbers (in any unit), so that no axis is preferred; -1 itself would be infinite.
        noise = torch.erfinv(noise.clamp_min(ROUNDING - 1))
    flat = noise.flatten(1)
    length = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    start = x + epsilon * noise / length.reshape(-1, *[1] * (x.ndim - 1))
    memory = _Memory(model, x, goal, targeted, early_stop)
    attack = APGDAttack(
        memory, n_iter=steps, norm={"linf": "Linf", "l2": "L2"}[norm], eps=epsilon, loss=loss, device=x.device
    )
    attack.init_hyperparam(x)
    try:
        # `perturb` would seed torch's global generator and draw starts for the batch: images would depend on others.
        best, *_ = attack.attack_single_run(x, goal, x_init=start)
    except _AllFoundError:
        return memory.kept
    return torch.where(memory.found.reshape(-1, *[1] * (x.ndim - 1)), memory.kept, best)


class _AllFoundError(Exception):
    """Every image of a batch has the class asked for."""


class _Memory:
    """A network that keeps the last image it saw with the class asked for, in each row of a batch.

    With `early_stop` it keeps the first one, and looks at no image of that row again: its logits are zero from then on,
    without gradient.
    """

    def __init__(self, model: nn.Module, x: Tensor, goal: Tensor, targeted: bool, early_stop: bool) -> None:
        self.model, self.goal, self.targeted, self.early_stop = model, goal, targeted, early_stop
        self.kept, self.found = x.clone(), torch.zeros_like(goal, dtype=torch.bool)

    def __call__(self, x: Tensor) -> Tensor:
        rows = (~self.found).nonzero().flatten() if self.early_stop else torch.arange(len(x), device=x.device)
        if not len(rows):
            raise _AllFoundError
        whole = len(rows) == len(x)
        logits = self.model(x if whole else x.index_select(0, rows))
        hit = rows[(logits.argmax(1) == self.goal[rows]) == self.targeted]
        self.kept[hit] = x.detach()[hit]
        self.found[hit] = True
        return logits if whole else logits.new_zeros(len(x), logits.shape[1]).index_copy(0, rows, logits)
