"""Networks trained by gradient descent as kernel machines (Bell, Part II, with the corrections of its errata).

With step s from w_s to w_{s+1} = w_s + dw_s and a_{i,s} = -(learning rate) dL/dy(x_i) at w_s, L the batch's mean loss,

    y_S(x) = y_0(x) + sum_s sum_i [ int_0^1 J(x; w_s + t dw_s) dt . J(x_i; w_s)^T ] a_{i,s} .

The first slot of the kernel moves along the step, the second stays at its start. The integral is certified for
free: over any piece [t1, t2] of a step, integral . dw must equal y(x; w(t2)) - y(x; w(t1)).

With momentum mu the step is dw_s = -(learning rate) sum_{r<=s} mu^(s-r) g_r, so that a gradient at w_r meets the
integrals of all later steps, M_r = int_0^1 J dt + mu M_{r+1}: the path is followed backwards. Weight decay moves
weights by a term of its own, which no training point owns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.networks.inputs import Array, tensor_of
from neighborhoods.path_kernel.integration import Engine, Integration, PathKernel, Quadrature
from neighborhoods.path_kernel.jacobians import Jacobians
from neighborhoods.path_kernel.layerwise import Layerwise
from neighborhoods.path_kernel.path import Loss, Path, loss_gradient

log = logging.getLogger(__name__)

Transform = Callable[[Tensor], Tensor]


def _log_softmax(y: Tensor) -> Tensor:
    return functional.logsigmoid(y) if y.shape[1] == 1 else functional.log_softmax(y, 1)


def _probabilities(y: Tensor) -> Tensor:
    return torch.sigmoid(y) if y.shape[1] == 1 else functional.softmax(y, 1)


# One logit stands for a sigmoid: then the others give the (log-)probability of class 1.
OUTPUTS: dict[str, Transform | None] = {
    "logits": None,
    "log_softmax": _log_softmax,
    "probabilities": _probabilities,
}
RULES = {"adaptive": 2, "start": 1, "left": 100, "midpoint": 100}
MODES = ("path", "symmetric", "tangent_start", "tangent_end")


def _likelihood_of_class_1(p: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy(p, target.reshape(p.shape).to(p))


# Losses as functions of transformed outputs.
BY_OUTPUTS: dict[str, dict[str, Loss]] = {
    "cross_entropy": {
        "log_softmax": functional.nll_loss,
        "probabilities": lambda p, target: functional.nll_loss(p.log(), target),
    },
    "binary_cross_entropy": {
        "log_softmax": lambda u, target: _likelihood_of_class_1(u.exp(), target),
        "probabilities": _likelihood_of_class_1,
    },
}


def path_kernel(
    model: nn.Module,
    path: Path,
    queries: Array,
    *,
    outputs: str = "logits",
    tolerance: float = 1e-6,
    rule: str = "adaptive",
    nodes: int | None = None,
    mode: str = "path",
    kernel: bool = False,
    memory_mb: int = 1024,
) -> PathKernel:
    """Predict queries by the path kernel.

    Networks of linear and convolutional layers are taken apart layer by layer, all others go through torch.func. A
    streamed path is trained while it is integrated (once for each chunk of queries that fits into memory); with
    momentum it is trained twice, with about sqrt(S) states kept on the way.

    Args:
        model: the architecture; its own weights do not matter. It is left as it is.
        queries: points [Q, ...], inside or outside the training set, a tensor or an array.
        outputs: "logits", "log_softmax" or "probabilities": whose kernel it is. One logit stands for a sigmoid; its
            (log-)probability is that of class 1.
        tolerance: bound wanted for `bound`, under the adaptive rule.
        rule: "adaptive"; "start", one node at t = 0; "left" or "midpoint", the source's equal pieces of every step.
        nodes: Gauss-Legendre nodes of a piece (2), or pieces of a step (1 or 100).
        mode: "path", exact. For comparison: "symmetric", equation 14 as printed, whose first slot stands still for
            queries that are training points; "tangent_start" and "tangent_end", the tangent kernel at the path's ends.
            Their residuals do not become small.
        kernel: also the K x K kernel of every pair.
        memory_mb: for what is temporary, MiB; results of size Q x N x K come on top.

    Raises:
        ValueError: an unknown mode, rule or kind of outputs, nodes, tolerance or memory that are not positive, or
            weights or queries that do not fit.
    """
    for name, value, known in (("outputs", outputs, OUTPUTS), ("rule", rule, RULES), ("mode", mode, MODES)):
        if value not in known:
            raise ValueError(f"unknown {name} {value!r}, expected one of {', '.join(known)}")
    if tolerance <= 0 or memory_mb < 1 or (nodes is not None and nodes < 1):
        raise ValueError(
            f"expected nodes >= 1, tolerance > 0 and memory_mb >= 1, found {nodes}, {tolerance} and {memory_mb}"
        )
    queries = tensor_of(queries, "queries")
    check_points(model, path, queries)
    queries = queries.to(path.x)
    engine = engine_of(model, path.x, OUTPUTS[outputs], memory_mb << 18)
    held = 2 if path.momentum else 1
    size = max(1, (memory_mb << 19) // max(1, held * engine.bytes_of_mean))
    quadrature = Quadrature("left" if rule == "start" else rule, RULES[rule] if nodes is None else nodes, tolerance)
    frozen = _in_training_set(path, queries) if mode == "symmetric" else torch.zeros(len(queries)).to(queries).bool()
    parts = []
    for chunk, mask in zip(queries.split(size), frozen.split(size), strict=True):
        integration = Integration(engine, path, chunk, mask, kernel)
        if mode.startswith("tangent"):
            parts.append(integration.at_tangent(model, end=mode == "tangent_end"))
        else:
            parts.append(integration.along_path(model, quadrature))
    if len(parts) == 1:
        return parts[0]
    whole: dict[str, Any] = {
        name: None if value is None else torch.cat([getattr(part, name) for part in parts])
        for name, value in parts[0].__dict__.items()
    }
    return PathKernel(**whole)


def symmetric_gram(
    model: nn.Module, path: Path, points: Tensor, *, outputs: str = "logits", nodes: int = 2, memory_mb: int = 1024
) -> Tensor:
    """Equation 14's kernel among points: both slots move along the step, but stand still for training points.

    Symmetric and positive semi-definite, for it is a sum of Gram matrices with positive weights; not exact as a
    representation, and it jumps where a point joins the training set.

    Args:
        points: [M, ...]; those that equal a training point stand still.
        outputs: see `path_kernel`. nodes: Gauss-Legendre nodes of a step, the same for all points.

    Returns:
        Sum over the steps [M, M, K, K].

    Raises:
        ValueError: unknown outputs, nodes below 1, or points that do not fit.
    """
    if outputs not in OUTPUTS or nodes < 1:
        raise ValueError(f"expected outputs out of {', '.join(OUTPUTS)} and nodes >= 1, found {outputs!r} and {nodes}")
    check_points(model, path, points)
    points = points.to(path.x)
    engine = engine_of(model, path.x, OUTPUTS[outputs], memory_mb << 18)
    moving = ~_in_training_set(path, points)
    places, weights = np.polynomial.legendre.leggauss(nodes)
    m, k = len(points), engine.outputs
    total = points.new_zeros(m * k, m * k)
    for step in path.forward(model):
        held = slots(engine, step.w, points)
        for t, weight in zip((1 + places) / 2, weights / 2, strict=True):
            moved = slots(engine, step.w + float(t) * step.dw, points[moving])
            for (errors, entries), (errors_moved, entries_moved) in zip(held, moved, strict=True):
                errors[moving], entries[moving] = errors_moved, entries_moved
                flat, inner = errors.flatten(0, 1), entries @ entries.T
                inner = inner.repeat_interleave(k, 0).repeat_interleave(k, 1)
                total.addcmul_(flat @ flat.T, inner, value=float(weight))
    return total.view(m, k, m, k).transpose(1, 2)


def slots(engine: Engine, w: Tensor, points: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Jacobians at weights w by layers: errors [M, K, out] and entries [M, in], or written out and ones [M, 1].

    The Jacobian of a layer's weights is errors x entries, so inner products are products of two small ones.
    """
    engine.place(w, torch.zeros_like(w))
    units = torch.eye(engine.outputs).to(points)[:, None].expand(-1, len(points), -1)
    found = []
    for columns in zip(*engine.gradients(points, units, raw=False), strict=True):
        if columns[0].dense is not None:
            errors, entries = [column.rows(slice(None)) for column in columns], points.new_ones(len(points), 1)
        else:
            errors, entries = [column.factors()[0] for column in columns], columns[0].factors()[1]
        found.append((torch.stack(errors, 1), entries))
    return found


def coefficients(model: nn.Module, path: Path, *, outputs: str = "logits") -> Tensor:
    """The coefficients a_{i,s} = -(learning rate) dL/dy(x_i) of every step, for the outputs asked for.

    For "log_softmax" and "probabilities" the loss is taken as a function of these: cross-entropy's derivatives are -1
    and -1/p at the label, 0 elsewhere (equation 100), and those by a sigmoid's probability are equation 49's.

    Returns:
        [S, N, K], the batch average in it; 0 for points outside a step's batch.

    Raises:
        ValueError: unknown outputs, or a loss that is not a function of these outputs alone.
    """
    if outputs not in OUTPUTS:
        raise ValueError(f"unknown outputs {outputs!r}, expected one of {', '.join(OUTPUTS)}")
    if outputs != "logits" and path.loss not in BY_OUTPUTS:
        raise ValueError(f"coefficients of {outputs} need the loss {' or '.join(BY_OUTPUTS)}, found {path.loss!r}")
    engine = engine_of(model, path.x, None, 1 << 28)
    transform = OUTPUTS[outputs]
    loss = BY_OUTPUTS[str(path.loss)][outputs] if transform is not None else None
    found = []
    for step in path.forward(model):
        engine.place(step.w, step.dw)
        rows = torch.arange(len(path.x), device=path.x.device) if step.rows is None else step.rows
        y = torch.cat([engine.raw(path.x[chunk]) for chunk in rows.split(engine.train_chunk)])
        slopes = loss_gradient(path, y if transform is None else transform(y), step.rows, loss)
        a = y.new_zeros(len(path.x), y.shape[1])
        a[rows] = -path.learning_rate * slopes
        found.append(a)
    return torch.stack(found) if found else path.x.new_zeros(0, len(path.x), engine.outputs)


def engine_of(model: nn.Module, x: Tensor, transform: Transform | None, bytes_free: int) -> Engine:
    """The fastest way through a network: layer by layer, or else by Jacobians."""
    try:
        return Layerwise(model, x, transform, bytes_free)
    except ValueError as reason:
        log.info("one gradient of all weights at a time: %s", reason)
        return Jacobians(model, x, transform, bytes_free)


def check_points(model: nn.Module, path: Path, points: Tensor) -> None:
    """Whether a path and points [M, ...] belong to a model.

    Raises:
        ValueError: another number of weights, no points, points of another shape than the training points, or such as
            are not finite.
    """
    parameters = sum(p.numel() for p in model.parameters())
    if len(path.start) != parameters:
        raise ValueError(f"expected a path of {parameters} weights, as the model has, found {len(path.start)}")
    if len(points) == 0 or points.shape[1:] != path.x.shape[1:]:
        raise ValueError(f"expected at least one point of shape {tuple(path.x.shape[1:])}, found {tuple(points.shape)}")
    if not bool(torch.isfinite(points).all()):
        raise ValueError("the points must be finite, found some that are infinite or not a number")


def _in_training_set(path: Path, points: Tensor) -> Tensor:
    """Which points [M, ...] equal a training point: a mask [M]."""
    _, kinds = torch.unique(torch.cat([path.x, points.to(path.x)]).flatten(1), dim=0, return_inverse=True)
    return torch.isin(kinds[len(path.x) :], kinds[: len(path.x)])
