"""Networks between the start and the end of a training (Bell, figure 24): w(t) = w_0 + t (w_1 - w_0)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.attacks.methods import attack
from neighborhoods.training.minibatch import predict

BATCH = 500


@dataclass(frozen=True)
class InterpolatedWeights:
    """Measures at T positions.

    Attributes:
        loss: mean cross-entropy of the training images [T], nat.
        slope: derivative of that loss along the direction (w_1 - w_0) / |w_1 - w_0| [T], nat per weight unit.
        norm: L2 norm of the weights [T].
        train_correct: whether each training image is classified right [T, N]. test_correct: test images [T, M].
        robust: whether each of the first test images is classified right before and after an attack [T, A].
    """

    loss: Tensor
    slope: Tensor
    norm: Tensor
    train_correct: Tensor
    test_correct: Tensor
    robust: Tensor


def interpolate_weights(
    start: nn.Module,
    end: nn.Module,
    positions: Sequence[float],
    x_train: Tensor,
    y_train: Tensor,
    x_test: Tensor,
    y_test: Tensor,
    *,
    attacked: int,
    method: str = "igsm",
    **settings: Any,
) -> InterpolatedWeights:
    """Measure networks on the line between two, in evaluation mode.

    Args:
        start, end: networks of one architecture, at t = 0 and t = 1. Buffers are those of the end.
        positions: values of t.
        x_train, x_test: images in [0, 1] [N, ...]. y_train, y_test: labels [N].
        attacked: test images to attack, from the first on, each untargeted and against the network at hand.
        method, settings: of the attack, as for `neighborhoods.attacks.methods.attack`.

    Raises:
        ValueError: architectures that differ, equal weights, or more images to attack than there are.
    """
    first, last = (list(model.parameters()) for model in (start, end))
    if [p.shape for p in first] != [p.shape for p in last]:
        raise ValueError("expected two networks of one architecture, found parameters of different shapes")
    if not 1 <= attacked <= len(x_test):
        raise ValueError(f"expected 1 to {len(x_test)} test images to attack, found {attacked}")
    directions = [(b - a).detach() for a, b in zip(first, last, strict=True)]
    length = _norm(directions)
    if not length > 0:
        raise ValueError("expected two networks of different weights, found equal ones")
    network = copy.deepcopy(end).eval()
    rows: dict[str, list[Tensor]] = {name: [] for name in InterpolatedWeights.__dataclass_fields__}
    for t in positions:
        with torch.no_grad():
            for parameter, a, direction in zip(network.parameters(), first, directions, strict=True):
                parameter.copy_(a + t * direction)
        loss, slope, hits = _loss_along(network, directions, x_train, y_train)
        rows["loss"].append(loss)
        rows["slope"].append(slope / length)
        rows["norm"].append(_norm(list(network.parameters())))
        rows["train_correct"].append(hits)
        right = predict(network, x_test) == y_test
        rows["test_correct"].append(right)
        _, verdict = attack(method, network, x_test[:attacked], y_test[:attacked], **settings)
        rows["robust"].append(right[:attacked] & (verdict.predicted == y_test[:attacked]))
    stacked: Mapping[str, Tensor] = {name: torch.stack(values).cpu() for name, values in rows.items()}
    return InterpolatedWeights(**stacked)


def _loss_along(network: nn.Module, directions: Sequence[Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Mean loss, its derivative along the directions, and which images are classified right [N]."""
    parameters = list(network.parameters())
    loss, slope, hits = x.new_zeros(()), x.new_zeros(()), []
    for images, labels in zip(x.split(BATCH), y.split(BATCH), strict=True):
        with torch.enable_grad():
            logits = network(images)
            part = functional.cross_entropy(logits, labels, reduction="sum") / len(x)
            gradients = torch.autograd.grad(part, parameters)
        loss += part.detach()
        slope += sum(((g * d).sum() for g, d in zip(gradients, directions, strict=True)), slope.new_zeros(()))
        hits.append(logits.argmax(1) == labels)
    return loss, slope, torch.cat(hits)


def _norm(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([part.detach().double().norm() for part in parts]).norm()


def norm_changes(norm: Tensor) -> tuple[Tensor, Tensor]:
    """How the norm of the weights changes along lines between start and end (Bell, figure 24).

    Args:
        norm: L2 norms [lines, points].

    Returns:
        The change from start to end as a share of the start's norm [lines]; and that change over the sum of all
        changes between neighbouring points [lines], 1 where the norm moves one way only.

    Raises:
        ValueError: fewer than two points.
    """
    if norm.ndim != 2 or norm.shape[1] < 2:
        raise ValueError(f"expected norms [lines, points] at two points at least, found {tuple(norm.shape)}")
    whole = norm[:, -1] - norm[:, 0]
    return whole / norm[:, 0], whole.abs() / norm.diff(dim=1).abs().sum(1)
