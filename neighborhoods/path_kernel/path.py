"""Paths of weights: gradient descent, recorded step by step or trained again while it is used."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.networks.inputs import Array, images_for, labels_for, tensor_of

Loss = Callable[[Tensor, Tensor], Tensor]


def squared_error(y: Tensor, target: Tensor) -> Tensor:
    """Mean over the batch of ||y - target||^2; labels stand for their one-hot vectors."""
    wanted = target if target.is_floating_point() else functional.one_hot(target, y.shape[1])
    return (y - wanted.reshape(y.shape).to(y)).square().sum(1).mean()


def binary_cross_entropy(y: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of a sigmoid on one logit [B, 1] with labels 0 or 1 [B], mean over the batch."""
    return functional.binary_cross_entropy_with_logits(y, target.reshape(y.shape).to(y))


LOSSES: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "squared_error": squared_error,
    "binary_cross_entropy": binary_cross_entropy,
}

# Values of training points at a time: on a processor, so many that its caches hold the layers of a small network. Fixed
# by the points and the device, so that a path trained again is the same path to the bit.
TRAIN_CHUNK, MOST_POINTS = 1 << 18, 1024


@dataclass(frozen=True)
class Step:
    """One step of a path: from weights `w` [P] to `w + dw`, by the gradient on training points `rows` (None: all)."""

    index: int
    w: Tensor
    dw: Tensor
    rows: Tensor | None


@dataclass(frozen=True)
class Path:
    """A run of gradient descent as `torch.optim.SGD` does it, in float64.

    With g_s the gradient of the mean loss of a batch plus weight_decay * w_s, b_s = momentum * b_{s-1} + g_s and
    w_{s+1} = w_s - learning_rate * b_s.

    Attributes:
        x: training points [N, ...], float64. y: labels [N], or what the loss takes.
        learning_rate: step size on the mean loss.
        loss: a key of `LOSSES`, or a function of outputs [B, K] and targets [B, ...] that returns the batch's mean.
        start: flat parameters before the first step [P]. steps: S.
        momentum, weight_decay: of the optimiser.
        batches: training points of each step; None for all in every step.
        weights: parameters before each step and after the last [S + 1, P], a tensor or anything indexed by step,
            such as an open HDF5 dataset; None for a streamed path, which is trained again whenever it is followed.
    """

    x: Tensor
    y: Tensor
    learning_rate: float
    loss: str | Loss
    start: Tensor
    steps: int
    momentum: float = 0.0
    weight_decay: float = 0.0
    batches: tuple[Tensor, ...] | None = None
    weights: Any = None

    def criterion(self) -> Loss:
        """The loss as a function of outputs and targets.

        Raises:
            ValueError: it has no such name.
        """
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}, expected one of {', '.join(LOSSES)}")
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    def rows(self, step: int) -> Tensor | None:
        """Training points of a step, None for all."""
        return None if self.batches is None else self.batches[step]

    def forward(self, model: nn.Module) -> Iterator[Step]:
        """Steps from the first to the last; `model` gives the architecture and is left as it is."""
        if self.weights is None:
            yield from _descend(model, self, 0, self.start, None, self.steps)
            return
        yield from (self._recorded(step) for step in range(self.steps))

    def backward(self, model: nn.Module) -> Iterator[Step]:
        """Steps from the last to the first; a streamed path keeps about sqrt(S) states and trains again from them."""
        if self.weights is not None:
            yield from (self._recorded(step) for step in reversed(range(self.steps)))
            return
        stride = max(1, math.isqrt(self.steps))
        kept = [(step, w, buffer) for step, w, buffer in _states(model, self) if step % stride == 0]
        for first, w, buffer in reversed(kept):
            count = min(stride, self.steps - first)
            yield from reversed(list(_descend(model, self, first, w, buffer, count)))

    def _recorded(self, step: int) -> Step:
        w, after = self._at(step), self._at(step + 1)
        return Step(step, w, after - w, self.rows(step))

    def _at(self, step: int) -> Tensor:
        found = self.weights[step]
        tensor = found if isinstance(found, Tensor) else torch.from_numpy(np.asarray(found))
        return tensor.to(self.x)


def train_path(
    model: nn.Module,
    x: Array,
    y: Array,
    *,
    learning_rate: float,
    steps: int,
    loss: str | Loss = "cross_entropy",
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    batch_size: int | None = None,
    seed: int = 0,
    record: bool = True,
) -> Path:
    """Train by gradient descent on the mean loss, in float64 and evaluation mode.

    Args:
        model: start of the training; it is left as it is. Batch statistics and dropout take no part.
        x: training points [N, ...], floating point, tensors or arrays as for `inputs.images_for`.
        y: labels [N], or what the loss takes.
        learning_rate, steps, loss, momentum, weight_decay: see `Path`.
        batch_size: points of a step, drawn without replacement until all were used; None for all.
        seed: of the order of the points.
        record: keep the weights of every step; otherwise the path is streamed: trained while it is integrated.

    Raises:
        ValueError: points, labels or outputs that do not fit, unknown loss, steps, batch size, momentum or decay out of
            range, or (recorded, or once it is followed) weights that are no longer finite.
    """
    x, y = tensor_of(x, "points"), tensor_of(y, "labels")
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(f"expected as many labels as points and at least one, found {len(y)} and {len(x)}")
    if steps < 0 or not 0 <= momentum < 1 or weight_decay < 0:
        raise ValueError(
            f"expected steps >= 0, 0 <= momentum < 1, weight_decay >= 0, found {steps}, {momentum}, {weight_decay}"
        )
    if batch_size is not None and not 1 <= batch_size <= len(x):
        raise ValueError(f"expected a batch_size from 1 to {len(x)}, the number of points, found {batch_size}")
    twin = copy.deepcopy(model).to(x.device, torch.float64).eval()
    x = images_for(twin, x.double() if x.is_floating_point() else x, logits=True)
    y = _targets(y.to(x.device), loss, twin(x[:1]).shape[1])
    path = Path(
        x=x,
        y=y,
        learning_rate=learning_rate,
        loss=loss,
        start=flat_weights(model).to(x.device),
        steps=steps,
        momentum=momentum,
        weight_decay=weight_decay,
        batches=None if batch_size is None else _batches(len(x), batch_size, steps, seed, x.device),
    )
    path.criterion()
    if not record:
        return path
    return replace(path, weights=torch.stack([w for _, w, _ in _states(model, path)]))


def recorded(x: Tensor, y: Tensor, weights: Tensor, learning_rate: float, loss: str) -> Path:
    """A recorded path of full-batch gradient descent: training points [N, ...], labels [N], weights [S + 1, P].

    Raises:
        ValueError: no weights.
    """
    if weights.ndim != 2 or not len(weights):
        raise ValueError(f"expected weights [S + 1, P], found {tuple(weights.shape)}")
    return Path(
        x=x, y=y, learning_rate=learning_rate, loss=loss, start=weights[0], steps=len(weights) - 1, weights=weights
    )


def flat_weights(model: nn.Module) -> Tensor:
    """Parameters of a module as one vector [P], float64."""
    return torch.cat([p.detach().flatten() for p in model.parameters()]).double()


def loss_gradient(path: Path, y: Tensor, rows: Tensor | None, loss: Loss | None = None) -> Tensor:
    """Derivative of the batch's mean loss by its outputs [B, K], with the batch average in it: -a / learning_rate.

    Args:
        y: outputs of the batch [B, K]. rows: its training points; None for all.
        loss: the loss as a function of these outputs; None for the path's own.
    """
    outputs = y.detach().requires_grad_()
    targets = path.y if rows is None else path.y[rows]
    with torch.enable_grad():
        return torch.autograd.grad((loss or path.criterion())(outputs, targets), outputs)[0]


def _targets(y: Tensor, loss: str | Loss, outputs: int) -> Tensor:
    """Labels [N] as a loss of `LOSSES` takes them; a loss of one's own takes what it takes."""
    whole = not y.is_floating_point() and y.dtype != torch.bool
    if not isinstance(loss, str) or not (whole or (loss == "cross_entropy" and y.ndim == 1)):
        return y
    return labels_for(y, len(y), max(2, outputs))


def _batches(n: int, size: int, steps: int, seed: int, device: torch.device) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    drawn: list[Tensor] = []
    while len(drawn) < steps:
        drawn += torch.randperm(n, generator=generator).to(device).split(size)
    return tuple(drawn[:steps])


def _states(model: nn.Module, path: Path) -> Iterator[tuple[int, Tensor, Tensor | None]]:
    """Number of steps done, weights and momentum buffer, from the start to the end."""
    twin = _twin(model, path)
    w, buffer = path.start, None
    yield 0, w, buffer
    for step in range(path.steps):
        w, buffer = _next(twin, path, step, w, buffer)
        yield step + 1, w, buffer


def _descend(model: nn.Module, path: Path, first: int, w: Tensor, buffer: Tensor | None, count: int) -> Iterator[Step]:
    twin = _twin(model, path)
    for step in range(first, first + count):
        after, buffer = _next(twin, path, step, w, buffer)
        yield Step(step, w, after - w, path.rows(step))
        w = after


def _twin(model: nn.Module, path: Path) -> nn.Module:
    return copy.deepcopy(model).to(path.x).eval().requires_grad_(True)


def _next(twin: nn.Module, path: Path, step: int, w: Tensor, buffer: Tensor | None) -> tuple[Tensor, Tensor | None]:
    gradient = _gradient(twin, path, w, path.rows(step)) + path.weight_decay * w
    if path.momentum:
        gradient = gradient if buffer is None else path.momentum * buffer + gradient
    after = w - path.learning_rate * gradient
    if not bool(torch.isfinite(after).all()):
        raise ValueError(f"gradient descent diverged in step {step + 1}; try a smaller learning_rate")
    return after, gradient if path.momentum else None


def _gradient(twin: nn.Module, path: Path, w: Tensor, rows: Tensor | None) -> Tensor:
    parameters = list(twin.parameters())
    with torch.no_grad():
        nn.utils.vector_to_parameters(w, parameters)
    x, targets = (path.x, path.y) if rows is None else (path.x[rows], path.y[rows])
    size = MOST_POINTS if x.is_cuda else max(1, min(MOST_POINTS, TRAIN_CHUNK // x[0].numel()))
    chunks = x.split(size)
    total = torch.zeros_like(w)
    if isinstance(path.loss, str):
        # Losses of `LOSSES` are means over points, so that each chunk has its share.
        criterion = path.criterion()
        with torch.enable_grad():
            for chunk, wanted in zip(chunks, targets.split(size), strict=True):
                share = criterion(twin(chunk), wanted) * (len(chunk) / len(x))
                total += _flat(torch.autograd.grad(share, parameters, materialize_grads=True))
        return total
    with torch.no_grad():
        outputs = torch.cat([twin(chunk) for chunk in chunks])
    errors = loss_gradient(path, outputs, rows).split(size)
    with torch.enable_grad():
        for chunk, error in zip(chunks, errors, strict=True):
            total += _flat(torch.autograd.grad(twin(chunk), parameters, error, materialize_grads=True))
    return total


def _flat(gradients: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in gradients])
