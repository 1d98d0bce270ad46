"""Sums along a path of weights for one set of queries, from which their path kernel is made."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from neighborhoods.path_kernel.jacobians import Jacobians
from neighborhoods.path_kernel.layer_means import LayerGradients, LayerMean
from neighborhoods.path_kernel.layerwise import Layerwise
from neighborhoods.path_kernel.path import Path, Step, loss_gradient
from neighborhoods.path_kernel.quadrature import Nodes, adaptive_rule, fixed_rule

log = logging.getLogger(__name__)

Engine = Layerwise | Jacobians


@dataclass(frozen=True)
class PathKernel:
    """The kernel machine's view of a trained network on Q queries.

    Attributes:
        prediction: start + contributions.sum(1) + decay [Q, K]. network: the trained network's outputs [Q, K].
        start: outputs y_0 before training [Q, K].
        contributions: share of each training point in each output [Q, N, K]; 0 for points that no step used.
        decay: share of the weight decay [Q, K].
        residual: largest error of the integrals over the outputs, known without the kernel sum; up to rounding it is
            |prediction - network| [Q]. It certifies the integral, not how it is shared out: errors of single
            contributions are of its order, and shrink with it, but may exceed it.
        bound: sum over all pieces of the path of their largest errors, no less than the residual [Q].
        evaluations: derivatives along the path computed for each query [Q].
        kernel: on request, the sum over the steps that used point i of int J(x) dt . J(x_i)^T, both of the outputs
            asked for and without the coefficients a [Q, N, K, K] (last axis: the training point's output). Where a
            does not depend on s, contributions are kernel . a.
    """

    prediction: Tensor
    network: Tensor
    start: Tensor
    contributions: Tensor
    decay: Tensor
    residual: Tensor
    bound: Tensor
    evaluations: Tensor
    kernel: Tensor | None = None

    def __repr__(self) -> str:
        queries, points, outputs = self.contributions.shape
        error = float(self.residual.max())
        return f"PathKernel({queries} queries, {points} training points, {outputs} outputs, residual <= {error:.2g})"


@dataclass(frozen=True)
class Quadrature:
    """How a step is integrated: the rule, its nodes, and the bound wanted for the whole path.

    Attributes:
        rule: "adaptive", "left" or "midpoint". nodes: of a piece, or pieces of a step.
        tolerance: of the adaptive rule.
    """

    rule: str
    nodes: int
    tolerance: float

    def of_step(self, engine: Engine, bound: Tensor, share: float, frozen: Tensor) -> Nodes:
        """Nodes of one step.

        Args:
            engine: placed on the step. bound: errors of earlier steps [Q].
            share: of the path that is done after this step; what earlier steps left of theirs is free for this one.
            frozen: queries whose first slot stays at the start of the step [Q], a mask.
        """
        if self.rule != "adaptive":
            found = fixed_rule(engine, len(bound), bound, self.rule, self.nodes)
        else:
            budget = (self.tolerance * share - bound).clamp(min=0)
            budget[frozen] = torch.inf
            found = adaptive_rule(engine, len(bound), budget, self.nodes)
        if not bool(frozen.any()):
            return found
        start = fixed_rule(engine, len(bound), bound, "left", 1)
        kept, added = ~frozen[found.query], frozen[start.query]
        return Nodes(
            query=torch.cat([found.query[kept], start.query[added]]),
            t=torch.cat([found.t[kept], start.t[added]]),
            weight=torch.cat([found.weight[kept], start.weight[added]]),
            error=torch.where(frozen[:, None], start.error, found.error),
            bound=torch.where(frozen, start.bound, found.bound),
            evaluations=torch.where(frozen, start.evaluations, found.evaluations),
        )


class Integration:
    """Sums along a path for one chunk of queries.

    Args:
        queries: [Q, ...]. frozen: mask of those whose first slot stays at the start of each step [Q].
        kernel: whether to sum up the K x K kernel too.
    """

    def __init__(self, engine: Engine, path: Path, queries: Tensor, frozen: Tensor, kernel: bool) -> None:
        self.engine, self.path, self.queries, self.frozen = engine, path, queries, frozen
        q, n, k = len(queries), len(path.x), engine.outputs
        self.contributions = queries.new_zeros(q, k, n)
        self.kernel = queries.new_zeros(k, q, k, n) if kernel else None
        self.decay, self.error = queries.new_zeros(q, k), queries.new_zeros(q, k)
        self.bound = queries.new_zeros(q)
        self.evaluations = torch.zeros(q, dtype=torch.int64, device=queries.device)
        engine.choose(queries)

    def along_path(self, model: nn.Module, quadrature: Quadrature) -> PathKernel:
        """The path kernel."""
        path, engine = self.path, self.engine
        later: list[LayerMean] | None = None
        first = last = path.start
        steps = path.backward(model) if path.momentum else path.forward(model)
        for done, step in enumerate(steps, 1):
            engine.place(step.w, step.dw)
            rule = quadrature.of_step(engine, self.bound, done / path.steps, self.frozen)
            used = len(path.x) if step.rows is None else len(step.rows)
            mean = engine.mean_jacobian(rule, used, whole=path.momentum > 0)
            if later is not None:
                mean = [now.accumulate(path.momentum, then) for now, then in zip(mean, later, strict=True)]
            later = mean if path.momentum else None
            self._add(*self._coefficients(step), mean, in_order=step.rows is None)
            self._add_decay(-path.learning_rate * path.weight_decay * step.w, mean)
            self.error += rule.error
            self.bound += rule.bound
            self.evaluations += rule.evaluations
            if step.index == path.steps - 1:
                last = step.w + step.dw
            if done % 20 == 0 or done == path.steps:
                log.info("path kernel: step %d of %d, error at most %.1e", done, path.steps, float(self.bound.max()))
        if quadrature.rule == "adaptive" and bool((self.bound[~self.frozen] > quadrature.tolerance).any()):
            log.warning(
                "the tolerance %.1e is missed: error at most %.1e", quadrature.tolerance, float(self.bound.max())
            )
        return self._result(first, last)

    def at_tangent(self, model: nn.Module, end: bool) -> PathKernel:
        """One tangent kernel, of the weights at the start or the end of the path, with the path's coefficients."""
        path, engine = self.path, self.engine
        w = last = path.start
        coefficients = self.queries.new_zeros(len(path.x), 0)
        change = torch.zeros_like(w)
        for step in path.forward(model):
            engine.place(step.w, step.dw)
            # With momentum a gradient goes on moving the weights in all later steps.
            times = (1 - path.momentum ** (path.steps - step.index)) / (1 - path.momentum)
            rows, a = self._coefficients(step)
            if not coefficients.shape[1]:
                coefficients = a.new_zeros(len(path.x), a.shape[1])
            coefficients[rows] += times * a
            change -= times * path.learning_rate * path.weight_decay * step.w
            last = step.w + step.dw
        if end:
            w = last
        engine.place(w, torch.zeros_like(w))
        mean = engine.mean_jacobian(fixed_rule(engine, len(self.queries), self.bound, "left", 1), len(path.x), False)
        if path.steps:
            self._add(torch.arange(len(path.x), device=w.device), coefficients, mean, in_order=True)
            self._add_decay(change, mean)
        self.evaluations += 1
        found = self._result(path.start, last)
        gap = (found.prediction - found.network).abs().amax(1)
        return replace(found, residual=gap, bound=gap)

    def _result(self, first: Tensor, last: Tensor) -> PathKernel:
        start, network = self._ends(first, last)
        return PathKernel(
            prediction=start + self.contributions.sum(2) + self.decay,
            network=network,
            start=start,
            contributions=self.contributions.transpose(1, 2),
            decay=self.decay,
            residual=self.error.abs().amax(1),
            bound=self.bound,
            evaluations=self.evaluations,
            kernel=None if self.kernel is None else self.kernel.permute(1, 3, 2, 0),
        )

    def _coefficients(self, step: Step) -> tuple[Tensor, Tensor]:
        """Training points of a step and their a, for the model's own outputs [B, K]."""
        path = self.path
        rows = torch.arange(len(path.x), device=path.x.device) if step.rows is None else step.rows
        y = torch.cat([self.engine.raw(path.x[chunk]) for chunk in rows.split(self.engine.train_chunk)])
        return rows, -path.learning_rate * loss_gradient(path, y, step.rows)

    def _add(self, rows: Tensor, coefficients: Tensor, mean: list[LayerMean], in_order: bool) -> None:
        """Pair mean Jacobians with the training points `rows` [B]; `in_order` where these are all, as they come."""
        path, engine = self.path, self.engine
        units = torch.eye(engine.outputs).to(path.x)
        for chunk, a in zip(rows.split(engine.train_chunk), coefficients.split(engine.train_chunk), strict=True):
            x, whole = path.x[chunk], in_order and len(chunk) == len(path.x)
            for gradients in engine.gradients(x, a[None], raw=True):
                self._pair(mean, gradients, None if whole else chunk, self.contributions)
            if self.kernel is not None:
                cotangents = units[:, None].expand(-1, len(chunk), -1)
                for column, gradients in zip(self.kernel, engine.gradients(x, cotangents, raw=False), strict=True):
                    self._pair(mean, gradients, None if whole else chunk, column)

    def _add_decay(self, change: Tensor, mean: list[LayerMean]) -> None:
        if self.path.weight_decay:
            for layer, part in zip(mean, self.engine.parts(change), strict=True):
                layer.along(part, self.decay)

    def _pair(self, mean: list[LayerMean], gradients: list[LayerGradients], rows: Tensor | None, total: Tensor) -> None:
        """Add products of mean Jacobians with gradients of training points (None: all in order) to total [Q, K, N]."""
        part = total if rows is None else total.new_zeros(*total.shape[:2], len(rows))
        for layer, found in zip(mean, gradients, strict=True):
            layer.pair(found, part, self.engine.bytes_free)
        if rows is not None:
            total.index_add_(2, rows, part)

    def _ends(self, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs before and after the whole path."""
        self.engine.place(first, last - first)
        query = torch.arange(len(self.queries), device=self.queries.device)
        before, after = (self.engine.values(query, torch.full_like(self.bound, t)) for t in (0.0, 1.0))
        return before, after
