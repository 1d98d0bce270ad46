"""Networks trained by gradient descent as kernel machines (Bell, Part II, with the corrections of its errata).

With step s from w_s to w_{s+1} = w_s + dw_s and a_{i,s} = -(learning rate) dL/dy(x_i) at w_s, L the mean loss of the batch,

    y_S(x) = y_0(x) + sum_s sum_i [ int_0^1 J(x; w_s + t dw_s) dt . J(x_i; w_s)^T ] a_{i,s} .

The first slot of the kernel moves along the step, the second stays at its start. The integral is certified for
free: over any piece [t1, t2] of a step, integral . dw must equal y(x; w(t2)) - y(x; w(t1)).

With momentum mu the step is dw_s = -(learning rate) sum_{r<=s} mu^(s-r) g_r, so that a gradient at w_r meets the integrals
of all later steps, M_r = int_0^1 J dt + mu M_{r+1}: the path is followed backwards. Weight decay moves weights by a term
of its own, which no training point owns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.jacobians import Jacobians
from neighborhoods.layerwise import Factors, Layerwise, Mean
from neighborhoods.path import Path, Step, loss_gradient
from neighborhoods.path import train_path as train_path
from neighborhoods.quadrature import Nodes, adaptive_rule, fixed_rule

log = logging.getLogger(__name__)

Transform = Callable[[Tensor], Tensor]


def _log_softmax(y: Tensor) -> Tensor:
    return functional.logsigmoid(y) if y.shape[1] == 1 else functional.log_softmax(y, 1)


def _probabilities(y: Tensor) -> Tensor:
    return torch.sigmoid(y) if y.shape[1] == 1 else functional.softmax(y, 1)


# One logit stands for a sigmoid: then the others give the (log-)probability of class 1.
OUTPUTS: dict[str, Transform] = {
    "logits": lambda y: y,
    "log_softmax": _log_softmax,
    "probabilities": _probabilities,
}
RULES = {"adaptive": 2, "start": 1, "left": 100, "midpoint": 100}


@dataclass(frozen=True)
class PathKernel:
    """The kernel machine's view of a trained network on Q queries.

    Attributes:
        prediction: start + contributions.sum(1) + decay [Q, K]. network: the trained network's outputs [Q, K].
        start: outputs y_0 before training [Q, K].
        contributions: share of each training point in each output [Q, N, K]; 0 for points that no step used.
        decay: share of the weight decay [Q, K].
        residual: largest error of the integrals over the outputs, known without the kernel sum; up to rounding it is
            |prediction - network| [Q].
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


def path_kernel(
    model: nn.Module,
    path: Path,
    queries: Tensor,
    *,
    outputs: str = "logits",
    tolerance: float = 1e-6,
    rule: str = "adaptive",
    nodes: int | None = None,
    kernel: bool = False,
    memory_mb: int = 1024,
) -> PathKernel:
    """Predict queries by the path kernel.

    Networks of linear and convolutional layers are taken apart layer by layer, all others go through torch.func. A
    streamed path is trained while it is integrated (once for each chunk of queries that fits into memory); with momentum
    it is trained twice, with about sqrt(S) states kept on the way.

    Args:
        model: the architecture; its own weights do not matter. It is left as it is.
        queries: points [Q, ...], inside or outside the training set.
        outputs: "logits", "log_softmax" or "probabilities": whose kernel it is.
        tolerance: bound wanted for `bound`, under the adaptive rule.
        rule: "adaptive"; "start", one node at t = 0; "left" or "midpoint", the source's equal pieces of every step.
        nodes: Gauss-Legendre nodes of a piece (2), or pieces of a step (1 or 100).
        kernel: also the K x K kernel of every pair.
        memory_mb: for what is temporary; results of size Q x N x K come on top.

    Raises:
        ValueError: an unknown rule or kind of outputs, nodes or tolerance that are not positive, or weights that do
            not fit the model.
    """
    _check(model, path, outputs, tolerance, rule, nodes)
    count = RULES[rule] if nodes is None else nodes
    queries = queries.to(path.x)
    engine = engine_of(model, path.x, OUTPUTS[outputs], memory_mb << 18)
    held = 2 if path.momentum else 1
    size = max(1, (memory_mb << 19) // max(1, held * engine.bytes_of_mean))
    parts = [
        _Integration(engine, path, chunk, count, rule, tolerance, kernel).run(model) for chunk in queries.split(size)
    ]
    if len(parts) == 1:
        return parts[0]
    columns = zip(*[part.__dict__.values() for part in parts], strict=True)
    return PathKernel(*[None if column[0] is None else torch.cat(column) for column in columns])


def engine_of(model: nn.Module, x: Tensor, transform: Transform, bytes_free: int) -> Layerwise | Jacobians:
    """The fastest way through a network: layer by layer, or else by Jacobians."""
    try:
        return Layerwise(model, x, transform, bytes_free)
    except ValueError as reason:
        log.info("one gradient of all weights at a time: %s", reason)
        return Jacobians(model, x, transform, bytes_free)


def _check(model: nn.Module, path: Path, outputs: str, tolerance: float, rule: str, nodes: int | None) -> None:
    if outputs not in OUTPUTS:
        raise ValueError(f"unknown outputs {outputs!r}, expected one of {', '.join(OUTPUTS)}")
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r}, expected one of {', '.join(RULES)}")
    if tolerance <= 0 or (nodes is not None and nodes < 1):
        raise ValueError(f"expected nodes >= 1 and tolerance > 0, found {nodes} and {tolerance}")
    parameters = sum(p.numel() for p in model.parameters())
    if len(path.start) != parameters:
        raise ValueError(f"expected a path of {parameters} weights, as the model has, found {len(path.start)}")


class _Integration:
    """Sums along a path for one chunk of queries."""

    def __init__(
        self,
        engine: Layerwise | Jacobians,
        path: Path,
        queries: Tensor,
        nodes: int,
        rule: str,
        tolerance: float,
        kernel: bool,
    ) -> None:
        self.engine, self.path, self.queries = engine, path, queries
        self.nodes, self.rule, self.tolerance = nodes, rule, tolerance
        q, n, k = len(queries), len(path.x), engine.outputs
        self.contributions = queries.new_zeros(q, k, n)
        self.kernel = queries.new_zeros(k, q, k, n) if kernel else None
        self.decay, self.error = queries.new_zeros(q, k), queries.new_zeros(q, k)
        self.bound = queries.new_zeros(q)
        self.evaluations = torch.zeros(q, dtype=torch.int64, device=queries.device)

    def run(self, model: nn.Module) -> PathKernel:
        path, engine = self.path, self.engine
        later: Mean | None = None
        first = last = path.start
        steps = path.backward(model) if path.momentum else path.forward(model)
        for done, step in enumerate(steps, 1):
            engine.place(step.w, step.dw)
            engine.choose(self.queries)
            rule = self._nodes_of_step(done)
            used = len(path.x) if step.rows is None else len(step.rows)
            mean = engine.mean_jacobian(rule, used, dense=path.momentum > 0)
            if later is not None:
                mean = [now.accumulate(path.momentum, then) for now, then in zip(mean, later, strict=True)]
            later = mean if path.momentum else None
            self._add(step, mean)
            self.error += rule.error
            self.bound += rule.bound
            self.evaluations += rule.evaluations
            if step.index == path.steps - 1:
                last = step.w + step.dw
            if done % 20 == 0 or done == path.steps:
                log.info("path kernel: step %d of %d, error at most %.1e", done, path.steps, float(self.bound.max()))
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

    def _nodes_of_step(self, done: int) -> Nodes:
        count = len(self.queries)
        if self.rule != "adaptive":
            return fixed_rule(self.engine, count, self.bound, "midpoint" if self.rule == "midpoint" else "left", self.nodes)
        # What earlier steps left of their share is free for later ones.
        budget = (self.tolerance * done / self.path.steps - self.bound).clamp(min=0)
        return adaptive_rule(self.engine, count, budget, self.nodes)

    def _add(self, step: Step, mean: Mean) -> None:
        path, engine = self.path, self.engine
        rows = torch.arange(len(path.x), device=path.x.device) if step.rows is None else step.rows
        chunks = rows.split(engine.train_chunk)
        with torch.no_grad():
            y = torch.cat([engine.raw(path.x[chunk]) for chunk in chunks])
        a = (-path.learning_rate * loss_gradient(path, y, step.rows)).split(engine.train_chunk)
        units = torch.eye(engine.outputs).to(path.x)
        for chunk, coefficients in zip(chunks, a, strict=True):
            x = path.x[chunk]
            found = list(engine.factors(x, coefficients[None], raw=True))
            self._pair(mean, found[0], chunk, self.contributions)
            if self.kernel is not None:
                cotangents = units[:, None].expand(-1, len(chunk), -1)
                for column, factors in zip(self.kernel, engine.factors(x, cotangents, raw=False), strict=True):
                    self._pair(mean, factors, chunk, column)
        if path.weight_decay:
            self.decay += engine.along(mean, -path.learning_rate * path.weight_decay * step.w)

    def _pair(self, mean: Mean, factors: Factors, rows: Tensor, total: Tensor) -> None:
        if len(rows) == total.shape[2]:
            self.engine.pair(mean, factors, total)
            return
        part = total.new_zeros(*total.shape[:2], len(rows))
        self.engine.pair(mean, factors, part)
        total.index_add_(2, rows, part)

    def _ends(self, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs before and after the whole path."""
        self.engine.place(first, last - first)
        self.engine.choose(self.queries)
        query = torch.arange(len(self.queries), device=self.queries.device)
        before, after = (self.engine.values(query, torch.full_like(self.bound, t)) for t in (0.0, 1.0))
        return before, after
