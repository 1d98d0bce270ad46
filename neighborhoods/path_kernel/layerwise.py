"""Mean Jacobians of networks of linear and convolutional layers, taken apart layer by layer.

The Jacobian of such a layer is a product of what entered it and the error sent back to it. Gradients of training
points are contracted with their coefficients before pairs are formed, so that no N x P Jacobian ever exists.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from neighborhoods.path_kernel.layer_means import (
    DenseMean,
    FirstMean,
    LastMean,
    LayerGradients,
    LayerMean,
    NodeMean,
    add_products,
    nodes_pay,
)
from neighborhoods.path_kernel.moving_layers import MovingLayer, Position, Switches, set_in_motion, switched
from neighborhoods.path_kernel.quadrature import Nodes

DOUBLE = 8


class Layerwise:
    """A network as a function of queries and places on a line of weights.

    Args:
        model: architecture; a copy of it is used, in evaluation mode. example: samples [B, ...] that it takes.
        transform: of the outputs [B, K]; None for none. bytes_free: memory for what is temporary.

    Raises:
        ValueError: the network is not made of linear and convolutional layers alone, each used once.
    """

    def __init__(
        self, model: nn.Module, example: Tensor, transform: Callable[[Tensor], Tensor] | None, bytes_free: int
    ) -> None:
        self.transform, self.bytes_free = transform, bytes_free
        twin = copy.deepcopy(model).to(example).eval().requires_grad_(False)
        self.position = Position()
        self.model, slices = set_in_motion(twin, self.position)
        self.layers, self.slices = list(slices), list(slices.values())
        self.queries: Tensor | None = None
        self._measure(model, example[:2])

    def _measure(self, model: nn.Module, samples: Tensor) -> None:
        """Sort the layers by use, note their sizes, and check that they are all there is to the network."""
        count = sum(part.stop - part.start for part in self.slices)
        generator = torch.Generator().manual_seed(0)
        w, dw = torch.randn(2, count, generator=generator, dtype=torch.float64).to(samples) / 10
        self.place(w, dw)
        order: list[nn.Module] = []
        handles = [layer.register_forward_pre_hook(lambda layer, _: order.append(layer)) for layer in self.layers]
        seen = self._kept(samples)
        for handle in handles:
            handle.remove()
        if sorted(map(id, order)) != sorted(map(id, self.layers)):
            raise ValueError("the layerwise factorisation needs layers that are each used once")
        used = {id(layer): (layer, part) for layer, part in zip(self.layers, self.slices, strict=True)}
        self.layers, self.slices = (list(column) for column in zip(*[used[id(layer)] for layer in order], strict=True))
        self.outputs = (seen if self.transform is None else self.transform(seen)).shape[1]
        self.single = [isinstance(layer.module, nn.Linear) and layer.h.ndim == 2 for layer in self.layers]
        last = self.layers[-1].out
        self.linear_end = self.transform is None and self.single[-1] and torch.equal(last, seen)
        self.sizes = [part.stop - part.start for part in self.slices]
        self.activations = samples[0].numel() + sum(layer.out[0].numel() for layer in self.layers)
        several = [i for i, single in enumerate(self.single) if not single]
        self.unfolded = sum(self.layers[i].entries(self.layers[i].h)[0].numel() for i in several)
        self.written_out = self.outputs * sum(self.sizes[i] for i in several)
        self.first = self.layers[0].out[0].numel()
        self._compare(model, samples, w, dw)

    def _compare(self, model: nn.Module, samples: Tensor, w: Tensor, dw: Tensor) -> None:
        """Outputs on the line from w to w + dw and gradients at its start must be the model's."""
        plain = copy.deepcopy(model).to(samples).eval().requires_grad_(True)
        with torch.enable_grad():
            nn.utils.vector_to_parameters(w + dw, plain.parameters())
            outputs = plain(samples).detach()
            nn.utils.vector_to_parameters(w, plain.parameters())
            y = plain(samples)
            parts = torch.autograd.grad(y.sum(), list(plain.parameters()), materialize_grads=True)
        gradient = torch.cat([part.flatten() for part in parts])
        own = next(self.gradients(samples, torch.ones_like(y)[None], raw=True))
        found = [layer.rows(slice(None)).sum(0) for layer in own]
        with torch.no_grad():
            self.position.t = samples.new_ones(len(samples))
            moved = self.model(samples)
            self.position.t = None
        pairs = [(moved, outputs), *zip(found, [part.flatten() for part in self.parts(gradient)], strict=True)]
        if not all(torch.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in pairs):
            raise ValueError("the layerwise factorisation needs weights that only their own layers use")

    def _kept(self, x: Tensor) -> Tensor:
        """Outputs at the start of the line, for which layers keep what gradients need."""
        self.position.keep = True
        with torch.enable_grad():
            y = self.model(x)
        self.position.keep = False
        return y

    def choose(self, queries: Tensor) -> None:
        """Take queries [Q, ...]. What enters their first layer is the same for all weights."""
        self.queries = queries
        inputs = []
        for chunk in queries.split(self._chunk()):
            self._kept(chunk)
            inputs.append(self.layers[0].h)
        self.first_input = torch.cat(inputs)

    def place(self, w: Tensor, dw: Tensor) -> None:
        """Choose the line w + t dw, both [P]."""
        for layer, part in zip(self.layers, self.slices, strict=True):
            layer.place(w[part], dw[part])
        if self.queries is not None:
            self.layers[0].cache(self.first_input)

    def _chunk(self) -> int:
        """Samples whose values and derivatives along the line are computed at a time."""
        return max(1, self.bytes_free // (DOUBLE * 8 * self.activations))

    def _chunk_of_errors(self) -> int:
        """Samples whose Jacobians are computed at a time."""
        numbers = (2 * self.outputs + 6) * self.activations + 2 * self.unfolded + 2 * self.written_out
        return max(1, self.bytes_free // (DOUBLE * numbers))

    @property
    def train_chunk(self) -> int:
        """Training points whose gradients are computed at a time."""
        numbers = 6 * self.activations + 2 * self.unfolded + 2 * self.written_out // self.outputs
        return max(1, self.bytes_free // (DOUBLE * numbers))

    @property
    def bytes_of_mean(self) -> int:
        """Memory of one query's mean Jacobian, at most."""
        return DOUBLE * self.outputs * (self.first + sum(self.sizes[1:]) + (0 if self.single[0] else self.sizes[0]))

    def _at(self, query: Tensor, t: Tensor) -> Tensor:
        assert self.queries is not None
        self.position.t, self.position.query = t, query
        y = self.model(self.queries[query])
        self.position.t = self.position.query = None
        return y if self.transform is None else self.transform(y)

    @torch.no_grad()
    def values(self, query: Tensor, t: Tensor) -> Tensor:
        """Outputs [T, K] of queries (indices [T]) at places t [T]."""
        return torch.cat([t.new_zeros(0, self.outputs), *[self._at(q, s) for q, s in self._split(query, t)]])

    @torch.no_grad()
    def slopes(self, query: Tensor, t: Tensor) -> Tensor:
        """Derivatives of the outputs along the line [T, K]."""
        parts = [t.new_zeros(0, self.outputs)]
        with forward_ad.dual_level():
            for q, s in self._split(query, t):
                moving = forward_ad.make_dual(s, torch.ones_like(s))
                parts.append(forward_ad.unpack_dual(self._at(q, moving)).tangent)
        return torch.cat(parts)

    @torch.no_grad()
    def kinks(self, query: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Where ReLUs and max-pools switch between low and high [T], were their inputs straight: piece and t [E]."""
        pieces, places = [query[:0]], [low[:0]]
        size = max(1, self._chunk() // 2)
        for first in range(0, len(query), size):
            part = slice(first, first + size)
            with Switches() as below:
                self._at(query[part], low[part])
            with Switches() as above:
                self._at(query[part], high[part])
            sample, share = switched(below, above)
            piece = sample.to(query.device) + first
            pieces.append(piece)
            places.append(low[piece] + share.to(low) * (high - low)[piece])
        return torch.cat(pieces), torch.cat(places)

    def _split(self, query: Tensor, t: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        size = self._chunk()
        return zip(query.split(size), t.split(size), strict=True) if len(query) else iter(())

    def mean_jacobian(self, nodes: Nodes, train: int, whole: bool) -> list[LayerMean]:
        """The integral of the Jacobian over the step for each query, layer by layer.

        Args:
            nodes: of the quadrature.
            train: training points it will be paired with, which decides the cheapest form.
            whole: no form that lists nodes, so that steps can be added up.
        """
        assert self.queries is not None
        count, k = len(self.queries), self.outputs
        often = torch.bincount(nodes.query, minlength=count)[nodes.query]
        order = torch.argsort(often * count + nodes.query)
        forms = [self._form(i, len(nodes.t), train, whole) for i in range(len(self.layers))]
        first = self.queries.new_zeros(count, k, *self.layers[0].out.shape[1:])
        sums = {
            i: self.queries.new_zeros(count, self.sizes[i] // k if form == "last" else k * self.sizes[i])
            for i, form in enumerate(forms)
            if form in ("last", "dense")
        }
        lists: dict[int, list[tuple[Tensor, Tensor]]] = {i: [] for i, form in enumerate(forms) if form == "nodes"}
        for part in order.split(self._chunk_of_errors()):
            query, weight = nodes.query[part], nodes.weight[part]
            deltas = self._errors_of_outputs(query, nodes.t[part], weight)
            for i, (form, layer, delta) in enumerate(zip(forms, self.layers, deltas, strict=True)):
                if form == "first":
                    first.index_add_(0, query, delta)
                elif form == "last":
                    sums[i].index_add_(0, query, layer.entries(layer.h).squeeze(2) * weight[:, None])
                elif form == "nodes":
                    lists[i].append((delta, layer.entries(layer.h).squeeze(2)))
                else:
                    errors = layer.errors(delta.flatten(0, 1)).reshape(len(query), -1, self._places(layer, delta))
                    add_products(sums[i].view(count, k, -1), query, errors, layer.entries(layer.h))
        means: list[LayerMean] = []
        for i, form in enumerate(forms):
            if form == "first":
                means.append(self._first_mean(first))
            elif form == "last":
                means.append(LastMean(sums[i]))
            elif form == "nodes":
                errors, entries = (torch.cat(column) for column in zip(*lists[i], strict=True))
                means.append(NodeMean(errors, entries, nodes.query[order]))
            else:
                means.append(DenseMean(sums[i].view(count, k, -1)))
        return means

    def _form(self, i: int, nodes: int, train: int, whole: bool) -> str:
        """How layer i's mean Jacobian is held: "first" comes before "last", for a single layer is both."""
        assert self.queries is not None
        if i == 0:
            return "first"
        if i == len(self.layers) - 1 and self.linear_end:
            return "last"
        out = self.layers[i].module.weight.shape[0]
        entries = self.sizes[i] // out
        pays = nodes_pay(nodes, len(self.queries), self.outputs, out, entries, train)
        return "nodes" if self.single[i] and not whole and pays else "dense"

    def _first_mean(self, errors: Tensor) -> LayerMean:
        layer = self.layers[0]
        if self.single[0]:
            return FirstMean(errors, layer.entries(self.first_input).squeeze(2))
        dense = errors.new_zeros(len(errors), self.outputs, self.sizes[0])
        size = self._chunk_of_errors()
        for begin in range(0, len(errors), size):
            part = slice(begin, begin + size)
            entries = layer.entries(self.first_input[part])
            flat = layer.errors(errors[part].flatten(0, 1)).reshape(len(entries), -1, entries.shape[2])
            dense[part] = (flat @ entries.transpose(1, 2)).view_as(dense[part])
        return DenseMean(dense)

    @staticmethod
    def _places(layer: MovingLayer, delta: Tensor) -> int:
        return delta[0, 0].numel() // layer.module.weight.shape[0]

    def _errors_of_outputs(self, query: Tensor, t: Tensor, weight: Tensor) -> list[Tensor]:
        """For each layer, weight [T] times the derivatives of all outputs by the layer's output: [T, K, *out]."""
        self.position.keep = True
        with torch.enable_grad():
            y = self._at(query, t)
        self.position.keep = False
        return [torch.stack(columns, 1) for columns in zip(*self._derivatives(y, weight), strict=True)]

    def _derivatives(self, y: Tensor, weight: Tensor) -> Iterator[tuple[Tensor, ...]]:
        outs = [layer.out for layer in self.layers]
        last = y.shape[1] - 1
        for k in range(last + 1):
            yield torch.autograd.grad(
                y[:, k], outs, weight, retain_graph=k < last, materialize_grads=True, allow_unused=True
            )

    @torch.no_grad()
    def raw(self, x: Tensor) -> Tensor:
        """The model's own outputs [B, K] for samples [B, ...] at the start of the line."""
        return self.model(x)

    def gradients(self, x: Tensor, cotangents: Tensor, raw: bool) -> Iterator[list[LayerGradients]]:
        """Gradients, at the start of the line, of each sample's outputs times each cotangent.

        Args:
            x: samples [B, ...]. cotangents: [C, B, K]. raw: of the model's own outputs, before the transform.
        """
        y = self._kept(x)
        with torch.enable_grad():
            y = y if raw or self.transform is None else self.transform(y)
        kept = [(layer.out, layer.h) for layer in self.layers]
        outs, inputs = zip(*kept, strict=True)
        for c, cotangent in enumerate(cotangents):
            deltas = torch.autograd.grad(
                y, outs, cotangent, retain_graph=c + 1 < len(cotangents), materialize_grads=True, allow_unused=True
            )
            yield [self._gradients(i, h, delta) for i, (h, delta) in enumerate(zip(inputs, deltas, strict=True))]

    def _gradients(self, i: int, h: Tensor, delta: Tensor) -> LayerGradients:
        layer = self.layers[i]
        if self.single[i]:
            return LayerGradients(errors=delta, entries=layer.entries(h).squeeze(2))
        return LayerGradients(dense=(layer.errors(delta) @ layer.entries(h).transpose(1, 2)).flatten(1))

    def parts(self, vector: Tensor) -> list[Tensor]:
        """A flat vector of parameters [P] as one matrix for each layer, as means take it."""
        return [layer.matrix(vector[part]) for layer, part in zip(self.layers, self.slices, strict=True)]
