"""Any network along a straight line of weights, through torch.func: one gradient of all weights a sample at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from neighborhoods.path_kernel.layer_means import DenseMean, LayerGradients, LayerMean
from neighborhoods.path_kernel.quadrature import Nodes


class Jacobians:
    """A network as a function of queries and places on a line of weights; what `Layerwise` is, without its speed.

    Args:
        model: architecture; a copy of it is used. example: samples [B, ...].
        transform: of the outputs [B, K]; None for none. bytes_free: memory for what is temporary.
    """

    def __init__(
        self, model: nn.Module, example: Tensor, transform: Callable[[Tensor], Tensor] | None, bytes_free: int
    ) -> None:
        self.model = copy.deepcopy(model).to(example).eval().requires_grad_(False)
        self.transform, self.bytes_free = transform, bytes_free
        self.shapes = {name: p.shape for name, p in self.model.named_parameters()}
        self.numbers = [shape.numel() for shape in self.shapes.values()]
        self.buffers = dict(self.model.named_buffers())
        with torch.no_grad():
            y = self.model(example[:1])
            self.outputs = (y if transform is None else transform(y)).shape[1]

    def place(self, w: Tensor, dw: Tensor) -> None:
        """Choose the line w + t dw, both [P]."""
        self.w, self.dw = w, dw

    def choose(self, queries: Tensor) -> None:
        """Take queries [Q, ...]."""
        self.queries = queries

    def _raw(self, weights: Tensor, x: Tensor) -> Tensor:
        pieces = weights.split(self.numbers)
        named = {name: piece.view(shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)}
        return functional_call(self.model, {**named, **self.buffers}, (x[None],))[0]

    def _one(self, weights: Tensor, x: Tensor) -> Tensor:
        y = self._raw(weights, x)
        return y if self.transform is None else self.transform(y[None])[0]

    @property
    def train_chunk(self) -> int:
        """Training points whose gradients are computed at a time; every sample has weights of its own."""
        return max(1, self.bytes_free // (8 * 4 * sum(self.numbers)))

    @property
    def bytes_of_mean(self) -> int:
        """Memory of one query's mean Jacobian."""
        return 8 * self.outputs * sum(self.numbers)

    def _mapped(self, function: Callable[[Tensor, Tensor], Tensor], query: Tensor, t: Tensor, size: int) -> Tensor:
        if len(query) == 0:
            return self.queries.new_zeros(0, self.outputs)
        with torch.no_grad():
            return torch.cat(
                [vmap(function)(self.queries[q], s) for q, s in zip(query.split(size), t.split(size), strict=True)]
            )

    def values(self, query: Tensor, t: Tensor) -> Tensor:
        """Outputs [T, K] of queries (indices [T]) at places t [T]."""
        return self._mapped(lambda x, s: self._one(self.w + s * self.dw, x), query, t, self.train_chunk)

    def slopes(self, query: Tensor, t: Tensor) -> Tensor:
        """Derivatives of the outputs along the line [T, K]."""

        def slope(x: Tensor, s: Tensor) -> Tensor:
            return jvp(lambda weights: self._one(weights, x), (self.w + s * self.dw,), (self.dw,))[1]

        return self._mapped(slope, query, t, self.train_chunk)

    def kinks(self, query: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """None are expected: pieces are halved."""
        return query[:0], low[:0]

    def mean_jacobian(self, nodes: Nodes, train: int, whole: bool) -> list[LayerMean]:
        """The integral of the Jacobian over the step for each query."""
        total = self.queries.new_zeros(len(self.queries), self.outputs, sum(self.numbers))
        size = max(1, self.train_chunk // self.outputs)
        jacobian = vmap(lambda x, s: jacrev(lambda weights: self._one(weights, x))(self.w + s * self.dw))
        columns = zip(nodes.query.split(size), nodes.t.split(size), nodes.weight.split(size), strict=True)
        for query, t, weight in columns:
            total.index_add_(0, query, jacobian(self.queries[query], t) * weight[:, None, None])
        return [DenseMean(total)]

    @torch.no_grad()
    def raw(self, x: Tensor) -> Tensor:
        """The model's own outputs [B, K] for samples [B, ...] at the start of the line."""
        return vmap(lambda sample: self._raw(self.w, sample))(x)

    def gradients(self, x: Tensor, cotangents: Tensor, raw: bool) -> Iterator[list[LayerGradients]]:
        """Gradients at the start of the line of each sample's outputs times each cotangent [C, B, K]."""
        function = self._raw if raw else self._one

        def gradient(sample: Tensor, cotangent: Tensor) -> Tensor:
            return vjp(lambda weights: function(weights, sample), self.w)[1](cotangent)[0]

        for cotangent in cotangents:
            yield [LayerGradients(dense=vmap(gradient)(x, cotangent))]

    def parts(self, vector: Tensor) -> list[Tensor]:
        """A flat vector of parameters [P] as means take it."""
        return [vector]
