"""How the path kernel's residual falls with quadrature nodes and with the step size (Bell, Part II, remark 3).

The residual of a query is |integral of the kernel machine - change of the network| over the whole path, the largest of
the outputs; it needs no training points, for the integrals are taken along the steps themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neighborhoods.path_kernel.integration import Quadrature
from neighborhoods.path_kernel.kernel_machine import check_points, engine_of
from neighborhoods.path_kernel.path import Path, train_path

BYTES_FREE = 1 << 28


@dataclass(frozen=True)
class Rule:
    """A quadrature of every step.

    Attributes:
        name: "left" or "midpoint" of equal pieces, "gauss" (Gauss-Legendre on the whole step), or "adaptive".
        nodes: pieces of a step, or nodes. tolerance: of the adaptive rule, for the whole path.
    """

    name: str
    nodes: int
    tolerance: float = math.inf

    def quadrature(self) -> Quadrature:
        """The engine's rule: Gauss-Legendre on whole steps is the adaptive one that never cuts."""
        return Quadrature("adaptive" if self.name == "gauss" else self.name, self.nodes, self.tolerance)


@dataclass(frozen=True)
class Residual:
    """Residual of each query [Q], in the outputs' unit, and derivatives computed for it [Q]."""

    residual: Tensor
    evaluations: Tensor


def residual_of(model: nn.Module, path: Path, queries: Tensor, rule: Rule) -> Residual:
    """Residual of a rule along a path.

    Args:
        model: the architecture; its own weights do not matter. queries: [Q, ...].

    Raises:
        ValueError: points or weights that do not fit.
    """
    check_points(model, path, queries)
    queries = queries.to(path.x)
    engine = engine_of(model, path.x, None, BYTES_FREE)
    engine.choose(queries)
    quadrature = rule.quadrature()
    moving = torch.zeros(len(queries), dtype=torch.bool, device=queries.device)
    error = queries.new_zeros(len(queries), engine.outputs)
    bound, evaluations = queries.new_zeros(len(queries)), torch.zeros_like(moving, dtype=torch.int64)
    for done, step in enumerate(path.forward(model), 1):
        engine.place(step.w, step.dw)
        found = quadrature.of_step(engine, bound, done / path.steps, moving)
        error, bound = error + found.error, bound + found.bound
        evaluations = evaluations + found.evaluations
    return Residual(error.abs().amax(1), evaluations)


def by_step_size(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    queries: Tensor,
    *,
    learning_rate: float,
    steps: int,
    factors: tuple[float, ...],
    loss: str = "cross_entropy",
) -> tuple[Tensor, Tensor]:
    """Residual of equation 19's approximation, one node at the start of each step, for several step sizes.

    Paths start at the model's weights and are equally long in time: learning_rate * factor and steps / factor.

    Returns:
        Step sizes [F] and residuals [F, Q].

    Raises:
        ValueError: fewer than two factors, steps that a factor does not divide, or what `train_path` says.
    """
    counts = [steps / factor for factor in factors]
    if len(factors) < 2 or any(abs(count - round(count)) > 1e-9 or count < 1 for count in counts):
        raise ValueError(
            f"expected two or more factors that divide {steps} steps, found {', '.join(map(str, factors))}"
        )
    sizes = [learning_rate * factor for factor in factors]
    found = []
    for size, count in zip(sizes, counts, strict=True):
        path = train_path(model, x, y, learning_rate=size, steps=round(count), loss=loss, record=False)
        found.append(residual_of(model, path, queries, Rule("left", 1)).residual)
    return torch.tensor(sizes, dtype=torch.float64), torch.stack(found)


def order_of(sizes: Tensor, residual: Tensor) -> Tensor:
    """Exponent p of each query's residual ~ size^p, by least squares in logarithms.

    Args:
        sizes: [F]. residual: [F, Q], positive.

    Returns:
        [Q].
    """
    logs = sizes.double().log()
    centred = logs - logs.mean()
    heights = residual.double().clamp(min=torch.finfo(torch.float64).tiny).log()
    return centred @ heights / centred.square().sum()
