"""Values of the path kernel between any points, as one number a pair (Bell, Part II, equations 11, 16 and 102).

A network of K outputs has a K x K kernel of each pair. Equation 102 keeps its diagonal; the value here is the mean of
the diagonal, summed over the steps,

    k(x, x') = sum_s int_0^1 tr[J(x; w_s + t dw_s) J(x'; w_s + t' dw_s)^T] dt / K,

without coefficients. With t' = t it is a kernel: symmetric, positive semi-definite and continuous. With t' = 0 it is
equation 16's, whose sums with the coefficients are the network, but which is not symmetric. Gauss-Legendre nodes on
whole steps; contributions to outputs, with a certificate, are `path_kernel`'s.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.path_kernel.kernel_machine import OUTPUTS, check_points, engine_of, slots
from neighborhoods.path_kernel.path import Path

Slots = list[tuple[Tensor, Tensor]]
BYTES_FREE = 1 << 28


def cross(
    model: nn.Module,
    path: Path,
    queries: Tensor,
    points: Tensor,
    *,
    outputs: str = "logits",
    nodes: int = 1,
    still: bool = False,
) -> Tensor:
    """Kernel of every query with every point.

    Args:
        model: the architecture; its own weights do not matter.
        queries: [Q, ...]. points: [N, ...].
        outputs: "logits", "log_softmax" or "probabilities": whose kernel it is.
        nodes: Gauss-Legendre nodes of a step.
        still: the second slot stays at the start of each step (t' = 0).

    Returns:
        [Q, N], float64.

    Raises:
        ValueError: unknown outputs, nodes below 1, or points that do not fit.
    """
    total = path.x.new_zeros(len(queries), len(points))

    def add(first: Slots, second: Slots, weight: float) -> None:
        for (errors, entries), (others, inputs) in zip(first, second, strict=True):
            total.addcmul_(errors.flatten(1) @ others.flatten(1).T, entries @ inputs.T, value=weight)

    _follow(model, path, queries, points, outputs, nodes, still, add)
    return total


def gram(model: nn.Module, path: Path, points: Tensor, *, outputs: str = "logits", nodes: int = 1) -> Tensor:
    """Kernel among points, t' = t: symmetric and positive semi-definite [M, M]; arguments as for `cross`."""
    found = cross(model, path, points, points, outputs=outputs, nodes=nodes)
    return (found + found.T) / 2


def paired(
    model: nn.Module, path: Path, first: Tensor, second: Tensor, *, outputs: str = "logits", nodes: int = 1
) -> Tensor:
    """Kernel of each point with the one in the same place of the other set, t' = t.

    Args:
        first, second: [M, ...], as many of each. outputs, nodes: as for `cross`.

    Returns:
        [M], float64.

    Raises:
        ValueError: as for `cross`, or sets of different sizes.
    """
    if len(first) != len(second):
        raise ValueError(f"expected pairs, found {len(first)} and {len(second)} points")
    total = path.x.new_zeros(len(first))

    def add(one: Slots, other: Slots, weight: float) -> None:
        for (errors, entries), (others, inputs) in zip(one, other, strict=True):
            total.add_((errors * others).sum((1, 2)) * (entries * inputs).sum(1), alpha=weight)

    _follow(model, path, first, second, outputs, nodes, False, add)
    return total


def tangent(model: nn.Module, path: Path, w: Tensor, queries: Tensor, points: Tensor) -> Tensor:
    """The tangent kernel of the logits at weights w [P], in the same contraction: tr[J(x) J(x')^T] / K [Q, N].

    The path kernel of S steps is comparable with S times this one.

    Raises:
        ValueError: weights or points that do not fit.
    """
    check_points(model, path, queries)
    check_points(model, path, points)
    engine = engine_of(model, path.x, None, BYTES_FREE)
    total = path.x.new_zeros(len(queries), len(points))
    first, second = (slots(engine, w, part.to(path.x)) for part in (queries, points))
    for (errors, entries), (others, inputs) in zip(first, second, strict=True):
        total.addcmul_(errors.flatten(1) @ others.flatten(1).T, entries @ inputs.T, value=1 / engine.outputs)
    return total


def _follow(
    model: nn.Module,
    path: Path,
    first: Tensor,
    second: Tensor,
    outputs: str,
    nodes: int,
    still: bool,
    add: Callable[[Slots, Slots, float], None],
) -> None:
    """Call `add` with the Jacobians of both sets at every node of the path, and the weight of the node over K."""
    if outputs not in OUTPUTS or nodes < 1:
        raise ValueError(f"expected outputs out of {', '.join(OUTPUTS)} and nodes >= 1, found {outputs!r} and {nodes}")
    check_points(model, path, first)
    check_points(model, path, second)
    same = first is second and not still
    first, second = first.to(path.x), second.to(path.x)
    engine = engine_of(model, path.x, OUTPUTS[outputs], BYTES_FREE)
    places, weights = np.polynomial.legendre.leggauss(nodes)
    with torch.no_grad():
        for step in path.forward(model):
            at_start = slots(engine, step.w, second) if still else None
            for t, weight in zip((1 + places) / 2, weights / 2, strict=True):
                w = step.w + float(t) * step.dw
                moving = slots(engine, w, first)
                other = at_start or (moving if same else slots(engine, w, second))
                add(moving, other, float(weight) / engine.outputs)
