"""Attacks that look for the nearest adversarial image in L2, by foolbox: Carlini and Wagner's, and DeepFool.

Called through `attacks.attack`, which checks the input, puts the network into evaluation mode and keeps foolbox's
gradients off its parameters.
"""

from typing import Any

import torch
from torch import Tensor, nn

from neighborhoods.attacks.contract import AttackError, needing


def cw(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    confidence: float = 0.0,
    c: float = 1e-3,
    learning_rate: float = 0.01,
    adam_steps: int = 1000,
    search_steps: int = 10,
) -> Tensor:
    """L2 attack of Carlini and Wagner 2017 (Bell, equation 6, as corrected): minimize ||r||_2^2 + c f(x + r).

    f is max(Z_label - max_{k != label} Z_k, -kappa), targeted max(max_{k != t} Z_k - Z_t, -kappa). Adam moves
    arctanh(2 x - 1), each image searches a c of its own, and the nearest success of all steps is kept.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...]. label: true classes [n]. target: classes to reach [n], None to leave the label.
        confidence: kappa, the margin of logits asked for.
        c: first weight of f; times ten until it succeeds, then bisected.
        learning_rate: of Adam, in units of arctanh, where a pixel at 0 or 1 lies at 7.
        adam_steps: of each minimization; 200 of 0.01 would hardly move such a pixel. search_steps: values of c.

    Returns:
        Adversarial images [n, ...]; `x` itself where no c succeeds or the image has the class asked for from the start.
    """
    with needing("cw"):
        from foolbox import PyTorchModel
        from foolbox.attacks import L2CarliniWagnerAttack
    goal, criterion = _criterion(label, target)
    attack = L2CarliniWagnerAttack(
        binary_search_steps=search_steps,
        steps=adam_steps,
        stepsize=learning_rate,
        confidence=confidence,
        initial_const=c,
        # Its test is on the batch's loss: an image would depend on the others.
        abort_early=False,
    )
    made = attack.run(PyTorchModel(model, (0, 1), device=x.device), x.detach(), criterion)
    with torch.no_grad():
        predicted = model(x).argmax(1)
    there = (predicted != goal) if target is None else (predicted == goal)
    # Foolbox leaves an image black where it found nothing; pixels of a success are open to 0 and 1.
    stay = (there & (confidence == 0)) | (made == 0).flatten(1).all(1)
    return torch.where(stay.reshape(-1, *[1] * (x.ndim - 1)), x, made)


def deepfool(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    overshoot: float = 0.02,
    max_steps: int = 200,
    candidates: int = 10,
) -> Tensor:
    """DeepFool in L2 (Moosavi-Dezfooli et al. 2016, algorithm 2): steps to the nearest face of the linearized network.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...]. label: true classes [n]. target: must be None.
        overshoot: share of the way by which the boundary is overstepped.
        max_steps: linearizations at most.
        candidates: classes with the largest logits of `x` that count, its own included; a gradient each.

    Returns:
        Images [n, ...] that have left their label, or the last step; one that had another class stays.

    Raises:
        AttackError: fewer than two candidates.
    """
    if candidates < 2:
        raise AttackError(f"deepfool needs at least two candidates, found {candidates}")
    with needing("deepfool"):
        from foolbox import PyTorchModel
        from foolbox.attacks import L2DeepFoolAttack
    attack = L2DeepFoolAttack(steps=max_steps, candidates=candidates, overshoot=overshoot)
    _, criterion = _criterion(label, None)
    return attack.run(PyTorchModel(model, (0, 1), device=x.device), x.detach(), criterion)


def _criterion(label: Tensor, target: Tensor | None) -> tuple[Tensor, Any]:
    from foolbox.criteria import Misclassification, TargetedMisclassification

    if target is None:
        return label.long(), Misclassification(label.long())
    return target.long(), TargetedMisclassification(target.long())
