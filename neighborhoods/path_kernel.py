"""Networks trained by gradient descent as kernel machines (Bell, Part II, with the corrections of its errata).

With step s from w_s to w_{s+1} = w_s + dw_s and a_i = -(learning rate / N) dL/dy(x_i) at w_s,

    y_S(x) = y_0(x) + sum_s sum_i [ int_0^1 J(x; w_s + t dw_s) dt . J(x_i; w_s)^T ] a_i .

The first slot of the kernel moves along the step, the second stays at its start. The integral is certified for
free: over any piece [t1, t2] of a step, integral . dw must equal y(x; w(t2)) - y(x; w(t1)).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.nn import functional

log = logging.getLogger(__name__)

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": lambda logits, label: functional.cross_entropy(logits[None], label[None]),
    # one_hot would read the label's value, which vmap does not allow.
    "squared_error": lambda y, label: (y - (torch.arange(len(y)) == label).to(y)).square().sum(),
}

# A piece this short cannot be split to any use in double precision.
MAX_SPLITS = 45
CHUNK_BYTES = 1 << 28


@dataclass(frozen=True)
class Path:
    """A recorded run of full-batch gradient descent.

    Attributes:
        weights: flat parameters before each step and after the last [S + 1, P], float64.
        x: training points [N, ...], float64. y: labels [N].
        learning_rate: step size on the mean loss. loss: a key of `LOSSES`.
    """

    weights: Tensor
    x: Tensor
    y: Tensor
    learning_rate: float
    loss: str


@dataclass(frozen=True)
class PathKernel:
    """The kernel machine's view of a trained network on Q queries.

    Attributes:
        prediction: y_0 plus all contributions [Q, K]. network: the trained network's outputs [Q, K].
        start: outputs y_0 before training [Q, K].
        contributions: share of each training point in each output [Q, N, K].
        residual: largest error of the integral over the outputs, known without the kernel sum [Q].
        evaluations: derivatives along the path computed for each query [Q].
    """

    prediction: Tensor
    network: Tensor
    start: Tensor
    contributions: Tensor
    residual: Tensor
    evaluations: Tensor


class _Flat:
    """A module as a function of one flat parameter vector [P] and one input."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.shapes = {name: p.shape for name, p in model.named_parameters()}
        self.sizes = [shape.numel() for shape in self.shapes.values()]
        self.buffers = dict(model.named_buffers())

    def __call__(self, weights: Tensor, x: Tensor) -> Tensor:
        """Outputs [K] for one input."""
        pieces = weights.split(self.sizes)
        named = {name: piece.reshape(shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)}
        return functional_call(self.model, {**named, **self.buffers}, (x[None],))[0]

    def start(self) -> Tensor:
        """The module's own parameters, flat [P]."""
        return torch.cat([p.detach().flatten() for p in self.model.parameters()]).double()


def train_path(
    model: nn.Module, x: Tensor, y: Tensor, *, learning_rate: float, steps: int, loss: str = "cross_entropy"
) -> Path:
    """Train by full-batch gradient descent on the mean loss and record every step, in float64.

    Args:
        model: start of the training, in float64; it is left as it is.
        x: training points [N, ...]. y: labels [N].

    Raises:
        ValueError: unknown loss, or a loss that is no longer finite.
    """
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}, expected one of {', '.join(LOSSES)}")
    network, x = _Flat(model), x.double()
    criterion = LOSSES[loss]

    def mean_loss(weights: Tensor) -> Tensor:
        return vmap(lambda a, b: criterion(network(weights, a), b))(x, y).mean()

    current = network.start()
    recorded = [current]
    for step in range(steps):
        current = current - learning_rate * grad(mean_loss)(current)
        if not bool(torch.isfinite(current).all()):
            raise ValueError(f"gradient descent diverged in step {step + 1}; try a smaller learning_rate")
        recorded.append(current)
    return Path(torch.stack(recorded), x, y, learning_rate, loss)


def path_kernel(
    model: nn.Module, path: Path, queries: Tensor, *, tolerance: float = 1e-6, nodes: int = 2
) -> PathKernel:
    """Predict queries by the path kernel, integrated adaptively.

    Each query splits each step of the path for itself: Gauss-Legendre on a piece, halved until the free residual
    falls below the tolerance's share of a piece. ReLU kinks decide where, smoothness hardly matters.

    Args:
        model: the architecture, in float64; its own weights do not matter.
        queries: points [Q, ...], inside or outside the training set.
        tolerance: bound wanted for `residual`.
        nodes: Gauss-Legendre nodes of a piece.

    Raises:
        ValueError: nodes or tolerance are not positive.
    """
    if nodes < 1 or tolerance <= 0:
        raise ValueError(f"expected nodes >= 1 and tolerance > 0, found {nodes} and {tolerance}")
    network, queries = _Flat(model), queries.double()
    steps = len(path.weights) - 1
    start = vmap(lambda q: network(path.weights[0], q))(queries)
    final = vmap(lambda q: network(path.weights[-1], q))(queries)
    contributions = queries.new_zeros(len(queries), len(path.x), start.shape[1])
    residual = torch.zeros_like(start)
    evaluations = torch.zeros(len(queries), dtype=torch.int64)
    # Two kinks in a piece's share of a step, on average, still meet the tolerance.
    share = tolerance / (2 * max(steps, 1))
    for step in range(steps):
        w, dw = path.weights[step], path.weights[step + 1] - path.weights[step]
        rule = _adaptive_rule(network, w, dw, queries, share, nodes)
        residual += rule.residual
        evaluations += rule.evaluations
        mean_jacobian = _mean_jacobian(network, w, dw, queries, rule)
        contributions += _step_contributions(network, path, w, mean_jacobian)
        if (step + 1) % 20 == 0 or step + 1 == steps:
            log.info("path kernel: step %d of %d, residual %.1e", step + 1, steps, float(residual.abs().max()))
    prediction = start + contributions.sum(1)
    return PathKernel(prediction, final, start, contributions, residual.abs().amax(1), evaluations)


@dataclass(frozen=True)
class _Rule:
    """Quadrature of one step: nodes t of queries with weights, the error left [Q, K], derivatives computed [Q]."""

    query: Tensor
    t: Tensor
    weight: Tensor
    residual: Tensor
    evaluations: Tensor


def _adaptive_rule(network: _Flat, w: Tensor, dw: Tensor, queries: Tensor, share: float, nodes: int) -> _Rule:
    points, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(nodes))
    query = torch.arange(len(queries))
    low, high = torch.zeros(len(queries), dtype=torch.float64), torch.ones(len(queries), dtype=torch.float64)
    value = vmap(lambda q: network(w, q))(queries)
    value_low, value_high = value, vmap(lambda q: network(w + dw, q))(queries)
    residual = torch.zeros_like(value)
    evaluations = torch.zeros(len(queries), dtype=torch.int64)
    kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def outputs(t: Tensor, q: Tensor) -> Tensor:
        return network(w + t * dw, q)

    def derivative(t: Tensor, q: Tensor) -> Tensor:
        return jvp(lambda weights: network(weights, q), (w + t * dw,), (dw,))[1]

    for depth in range(MAX_SPLITS + 1):
        half = (high - low) / 2
        t = (low + half)[:, None] + half[:, None] * points
        slopes = vmap(derivative)(t.flatten(), queries[query].repeat_interleave(nodes, 0)).reshape(*t.shape, -1)
        evaluations.index_add_(0, query, torch.full_like(query, nodes))
        integral = (slopes * weights[:, None]).sum(1) * half[:, None]
        error = integral - (value_high - value_low)
        done = error.abs().amax(1) <= share if depth < MAX_SPLITS else torch.ones_like(query, dtype=torch.bool)
        residual.index_add_(0, query[done], error[done])
        kept.append((query[done].repeat_interleave(nodes), t[done].flatten(), (half[done, None] * weights).flatten()))
        query, low, high = query[~done], low[~done], high[~done]
        if len(query) == 0:
            break
        middle = (low + high) / 2
        value_middle = vmap(outputs)(middle, queries[query])
        value_low = torch.cat([value_low[~done], value_middle])
        value_high = torch.cat([value_middle, value_high[~done]])
        query, low, high = query.repeat(2), torch.cat([low, middle]), torch.cat([middle, high])
    columns = [torch.cat(column) for column in zip(*kept, strict=True)]
    return _Rule(columns[0], columns[1], columns[2], residual, evaluations)


def _mean_jacobian(network: _Flat, w: Tensor, dw: Tensor, queries: Tensor, rule: _Rule) -> Tensor:
    """The integral of the Jacobian over the step for each query: [Q, K, P]."""
    outputs = rule.residual.shape[1]
    mean = queries.new_zeros(len(queries), outputs, len(w))
    chunk = max(1, CHUNK_BYTES // (8 * outputs * len(w)))

    def jacobian(t: Tensor, q: Tensor) -> Tensor:
        return jacrev(lambda weights: network(weights, q))(w + t * dw)

    for start in range(0, len(rule.t), chunk):
        piece = slice(start, start + chunk)
        found = vmap(jacobian)(rule.t[piece], queries[rule.query[piece]])
        mean.index_add_(0, rule.query[piece], found * rule.weight[piece, None, None])
    return mean


def _step_contributions(network: _Flat, path: Path, w: Tensor, mean_jacobian: Tensor) -> Tensor:
    """mean Jacobian . J(x_i; w)^T a_i for each training point: [Q, N, K]."""
    criterion = LOSSES[path.loss]
    n, outputs = len(path.x), mean_jacobian.shape[1]
    chunk = max(1, CHUNK_BYTES // (8 * len(w)))
    per_sample = vmap(grad(lambda weights, a, b: criterion(network(weights, a), b)), (None, 0, 0))
    flat = mean_jacobian.reshape(-1, len(w))
    parts = []
    for start in range(0, n, chunk):
        piece = slice(start, start + chunk)
        gradients = per_sample(w, path.x[piece], path.y[piece])
        parts.append((flat @ gradients.T).reshape(-1, outputs, len(gradients)))
    return torch.cat(parts, 2).transpose(1, 2) * (-path.learning_rate / n)
