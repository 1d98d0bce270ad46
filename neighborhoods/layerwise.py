"""Networks of linear and convolutional layers along a straight line of weights.

At weights w + t dw a layer maps h to (W h + b) + t (dW h + db): every sample may have its own t, at twice the price of
one set of weights. The Jacobian of such a layer is a product of what entered it and the error sent back to it, so that
the N x P Jacobian of a training set is never formed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from neighborhoods.quadrature import Nodes

RELUS = (torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu, functional.relu_, functional.leaky_relu)
# Reading or writing one number costs about as much as this many multiplications in a matrix product.
TRAFFIC = 20


@dataclass
class _Line:
    """What all layers of a network share: where on the line each sample is, and what is kept."""

    t: Tensor | None = None
    query: Tensor | None = None
    keep: bool = False


class _Layer(nn.Module):
    """A linear or convolutional layer whose weights move along a line."""

    def __init__(self, module: nn.Module, line: _Line) -> None:
        super().__init__()
        self.module, self.line = module, line
        self.bias = module.bias is not None
        self.cached: tuple[Tensor, Tensor] | None = None

    def place(self, w: Tensor, dw: Tensor) -> None:
        """Take the layer's parts of flat weights and their change, both [out * in + out]."""
        shape, count = self.module.weight.shape, self.module.weight.numel()
        self.w, self.dw = w[:count].view(shape), dw[:count].view(shape)
        self.b, self.db = (w[count:], dw[count:]) if self.bias else (None, None)

    def apply_weights(self, h: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if isinstance(self.module, nn.Linear):
            return functional.linear(h, w, b)
        m = self.module
        return functional.conv2d(h, w, b, m.stride, m.padding, m.dilation)

    def forward(self, h: Tensor) -> Tensor:
        t = self.line.t
        if self.cached is not None and t is not None:
            base, slope = (part[self.line.query] for part in self.cached)
        else:
            base = self.apply_weights(h, self.w, self.b)
            slope = self.apply_weights(h, self.dw, self.db) if t is not None else None
        out = base if t is None else base + t.view(-1, *[1] * (base.ndim - 1)) * slope
        if self.line.keep:
            self.h = h.detach()
            self.out = out if out.requires_grad else out.requires_grad_()
        return out

    def entries(self, h: Tensor) -> Tensor:
        """What the weights are multiplied with, for one sample and place: [B, in (+ 1 for a bias), places]."""
        if isinstance(self.module, nn.Linear):
            found = h.reshape(len(h), -1, h.shape[-1]).transpose(1, 2)
        else:
            m = self.module
            found = functional.unfold(h, m.kernel_size, m.dilation, m.padding, m.stride)
        if not self.bias:
            return found
        return torch.cat([found, found.new_ones(len(found), 1, found.shape[2])], 1)

    def errors(self, delta: Tensor) -> Tensor:
        """Errors sent back to the layer's output, for one sample and place: [B, out, places]."""
        if isinstance(self.module, nn.Linear):
            return delta.reshape(len(delta), -1, delta.shape[-1]).transpose(1, 2)
        return delta.flatten(2)

    def matrix(self, flat: Tensor) -> Tensor:
        """A flat vector of the layer's parameters as [out, in (+ 1)], in the order of `entries`."""
        count, out = self.module.weight.numel(), self.module.weight.shape[0]
        weight = flat[:count].view(out, -1)
        return torch.cat([weight, flat[count:, None]], 1) if self.bias else weight


class _KeepPreactivations(TorchFunctionMode):
    """Notes what enters every ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func in RELUS:
            self.found.append(args[0].detach().flatten(1).clone())
        return func(*args, **(kwargs or {}))


@dataclass
class Factors:
    """Gradients of one weighted sum of outputs for each of B samples, layer by layer.

    Attributes:
        errors: [B, out] for a layer with one place, else None. entries: [B, in], or None.
        gradients: [B, out * in] where `errors` is None.
    """

    errors: list[Tensor | None] = field(default_factory=list)
    entries: list[Tensor | None] = field(default_factory=list)
    gradients: list[Tensor | None] = field(default_factory=list)


@dataclass
class LayerMean:
    """A step's mean Jacobian of Q queries for one layer, in the form in which it is cheapest to use.

    Attributes:
        dense: [Q, K, out * in], or None.
        errors: [Q, K, out], of a first layer: its entries do not change along the path. Or, with `owner`, of every
            node [T, K, out], weights of the quadrature included.
        entries: [T, in], with `owner`. owner: query of each node [T], or None.
    """

    dense: Tensor | None = None
    errors: Tensor | None = None
    entries: Tensor | None = None
    owner: Tensor | None = None

    def accumulate(self, momentum: float, later: LayerMean) -> LayerMean:
        """This plus `momentum` times `later`; not for nodes."""
        if self.dense is not None:
            assert later.dense is not None
            return LayerMean(dense=self.dense.add_(later.dense, alpha=momentum))
        assert self.errors is not None and later.errors is not None
        return LayerMean(errors=self.errors.add_(later.errors, alpha=momentum))


Mean = list[LayerMean]


class Layerwise:
    """A network as a function of queries and places on a line of weights.

    Args:
        model: architecture; a copy of it is used. example: samples [B, ...] to find the order of its layers with.
        transform: of the outputs [B, K]. bytes_free: memory for what is temporary.

    Raises:
        ValueError: the network is not made of linear and convolutional layers alone, each used once.
    """

    def __init__(self, model: nn.Module, example: Tensor, transform, bytes_free: int) -> None:  # type: ignore[no-untyped-def]
        reason = _unfit(model)
        if reason:
            raise ValueError(f"the layerwise factorisation needs {reason}")
        self.line, self.transform, self.bytes_free = _Line(), transform, bytes_free
        found: list[_Layer] = []
        offsets = _offsets(model)
        twin = copy.deepcopy(model).to(example).eval().requires_grad_(False)
        for module in twin.modules():
            if hasattr(module, "inplace"):
                module.inplace = False
        names = {id(module): name for name, module in twin.named_modules()}
        self.model = _replace(twin, self.line, found)
        self.slices = [offsets[names[id(layer.module)]] for layer in found]
        self.layers = found
        self.weights = sum(part.stop - part.start for part in self.slices)
        self._put_in_order(model, example[:2])

    def _put_in_order(self, model: nn.Module, samples: Tensor) -> None:
        """Sort the layers by use, note their sizes and check that they are all there is to the network."""
        generator = torch.Generator().manual_seed(0)
        w, dw = torch.randn(2, self.weights, generator=generator, dtype=torch.float64).to(samples) / 10
        self.place(w, dw)
        order: list[_Layer] = []
        handles = [layer.register_forward_pre_hook(lambda module, _: order.append(module)) for layer in self.layers]
        self.line.keep = True
        seen = self.model(samples)
        self.line.keep = False
        for handle in handles:
            handle.remove()
        if sorted(map(id, order)) != sorted(map(id, self.layers)):
            raise ValueError("the layerwise factorisation needs layers that are each used once")
        plain = copy.deepcopy(model).to(samples).eval()
        self.line.t = samples.new_ones(len(samples))
        with torch.no_grad():
            for weights, outputs in ((w, seen), (w + dw, self.model(samples))):
                nn.utils.vector_to_parameters(weights, plain.parameters())
                if not torch.allclose(plain(samples), outputs, rtol=1e-9, atol=1e-9):
                    raise ValueError("the layerwise factorisation needs weights that only their own layers use")
        self.line.t = None
        slices = dict(zip(map(id, self.layers), self.slices, strict=True))
        self.layers, self.slices = order, [slices[id(layer)] for layer in order]
        self.outputs = self.transform(seen).shape[1]
        places = [layer.entries(layer.h).shape[2] for layer in order]
        # With one place the entries of the first layer are the queries' own, all along the path.
        self.single = [n == 1 and isinstance(layer.module, nn.Linear) for n, layer in zip(places, order, strict=True)]
        self.sizes = [part.stop - part.start for part in self.slices]
        self.activations = samples[0].numel() + sum(layer.out[0].numel() for layer in order)
        self.unfolded = sum(
            layer.entries(layer.h)[0].numel() + self.outputs * size
            for layer, size, single in zip(order, self.sizes, self.single, strict=True)
            if not single
        )

    def place(self, w: Tensor, dw: Tensor) -> None:
        """Choose the line w + t dw, both [P]."""
        for layer, part in zip(self.layers, self.slices, strict=True):
            layer.place(w[part], dw[part])
            layer.cached = None

    def choose(self, queries: Tensor) -> None:
        """Take queries [Q, ...]; what their first layer does along the line is computed once."""
        self.queries = queries
        first = self.layers[0]
        found = []
        self.line.keep = True
        with torch.no_grad():
            for chunk in queries.split(self._chunk()):
                self.model(chunk)
                entries = layer_input = first.h
                if self.single[0]:
                    entries = first.entries(layer_input).squeeze(2)
                found.append((first.out.detach(), first.apply_weights(layer_input, first.dw, first.db), entries))
        self.line.keep = False
        base, slope, self._first_entries = (torch.cat(column) for column in zip(*found, strict=True))
        first.cached = (base, slope)

    def _chunk(self) -> int:
        """Samples whose values and derivatives along the line are computed at a time."""
        return max(1, self.bytes_free // (8 * 8 * self.activations))

    def _chunk_of_errors(self) -> int:
        """Samples whose Jacobians are computed at a time, layer by layer."""
        return max(1, self.bytes_free // (8 * ((2 * self.outputs + 6) * self.activations + 2 * self.unfolded)))

    @property
    def train_chunk(self) -> int:
        """Training points whose gradients are computed at a time."""
        return max(1, self.bytes_free // (8 * (6 * self.activations + 2 * self.unfolded)))

    @property
    def bytes_of_mean(self) -> int:
        """Memory of one query's mean Jacobian."""
        return 8 * self.outputs * sum(self.sizes[i] for i in range(len(self.sizes)) if i or not self.single[0])

    def _at(self, query: Tensor, t: Tensor | None) -> Tensor:
        self.line.t, self.line.query = t, query
        y = self.transform(self.model(self.queries[query]))
        self.line.t = self.line.query = None
        return y

    @torch.no_grad()
    def values(self, query: Tensor, t: Tensor) -> Tensor:
        """Outputs [T, K] of queries (indices [T]) at places t [T]."""
        parts = [self._at(q, s) for q, s in self._split(query, t)]
        return torch.cat(parts) if parts else self.queries.new_zeros(0, self.outputs)

    @torch.no_grad()
    def slopes(self, query: Tensor, t: Tensor) -> Tensor:
        """Derivatives of the outputs along the line [T, K]."""
        parts = []
        with forward_ad.dual_level():
            for q, s in self._split(query, t):
                moving = forward_ad.make_dual(s, torch.ones_like(s))
                tangent = forward_ad.unpack_dual(self._at(q, moving)).tangent
                parts.append(torch.zeros(len(q), self.outputs).to(s) if tangent is None else tangent)
        return torch.cat(parts) if parts else self.queries.new_zeros(0, self.outputs)

    @torch.no_grad()
    def kinks(self, query: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Where the inputs of ReLUs change sign between low and high, were they straight: piece and t [E] each."""
        pieces, places = [], []
        step = max(1, self._chunk() // 2)
        for first in range(0, len(query), step):
            part = slice(first, first + step)
            ends = []
            for t in (low[part], high[part]):
                with _KeepPreactivations() as kept:
                    self._at(query[part], t)
                ends.append(kept.found)
            for below, above in zip(*ends, strict=True):
                piece, unit = torch.nonzero((below > 0) != (above > 0), as_tuple=True)
                a, b = below[piece, unit], above[piece, unit]
                share = a / (a - b)
                pieces.append(piece + first)
                places.append(low[piece + first] + share * (high - low)[piece + first])
        if not pieces:
            return query[:0], low[:0]
        return torch.cat(pieces), torch.cat(places)

    def _split(self, query: Tensor, t: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        size = self._chunk()
        return zip(query.split(size), t.split(size), strict=True) if len(query) else iter(())

    def mean_jacobian(self, nodes: Nodes, train: int, dense: bool) -> Mean:
        """The integral of the Jacobian over the step for each query.

        Args:
            nodes: of the quadrature. train: training points it will be paired with, which decides the cheapest form.
            dense: no form that grows with the nodes, so that steps can be added up.
        """
        count, k = len(self.queries), self.outputs
        means: Mean = []
        for i, layer in enumerate(self.layers):
            size, out = self.sizes[i], layer.module.weight.shape[0]
            if i == 0 and self.single[0]:
                means.append(LayerMean(errors=self.queries.new_zeros(count, k, out)))
            elif self.single[i] and not dense and _nodes_pay(len(nodes.t), count, k, out, size // out, train):
                means.append(LayerMean(owner=nodes.query))
            else:
                means.append(LayerMean(dense=self.queries.new_zeros(count, k, size)))
        ragged: list[list[tuple[Tensor, Tensor]]] = [[] for _ in means]
        order = torch.argsort(torch.bincount(nodes.query, minlength=count)[nodes.query] * count + nodes.query)
        for part in order.split(self._chunk_of_errors()):
            query, weight = nodes.query[part], nodes.weight[part]
            deltas = self._errors_of_outputs(query, nodes.t[part])
            for i, (mean, layer, delta) in enumerate(zip(means, self.layers, deltas, strict=True)):
                weighted = delta * weight.view(-1, *[1] * (delta.ndim - 1))
                if mean.owner is not None:
                    ragged[i].append((weighted, layer.entries(layer.h).squeeze(2)))
                elif mean.errors is not None:
                    mean.errors.index_add_(0, query, weighted)
                else:
                    self._add_dense(mean.dense, query, weighted, layer)
        for mean, pieces in zip(means, ragged, strict=True):
            if mean.owner is not None:
                mean.owner = nodes.query[order]
                mean.errors, mean.entries = (torch.cat(column) for column in zip(*pieces, strict=True))
        return means

    def _errors_of_outputs(self, query: Tensor, t: Tensor) -> list[Tensor]:
        """For each layer the derivative of every output by the layer's output: [B, K, *out]."""
        self.line.keep = True
        with torch.enable_grad():
            y = self._at(query, t)
            outs = [layer.out for layer in self.layers]
            found = [
                torch.autograd.grad(
                    y[:, k].sum(), outs, retain_graph=k + 1 < y.shape[1], materialize_grads=True, allow_unused=True
                )
                for k in range(y.shape[1])
            ]
        self.line.keep = False
        return [torch.stack(columns, 1) for columns in zip(*found, strict=True)]

    def _add_dense(self, total: Tensor | None, query: Tensor, delta: Tensor, layer: _Layer) -> None:
        assert total is not None
        k = delta.shape[1]
        entries = layer.entries(layer.h)
        errors = layer.errors(delta.flatten(0, 1))
        errors = errors.reshape(len(query), k * errors.shape[1], -1)
        if entries.shape[2] > 1:
            total.index_add_(0, query, (errors @ entries.transpose(1, 2)).reshape(len(query), k, -1))
            return
        # One place: the nodes of a query take the place of places, padded to the longest list.
        owners, inverse, counts = torch.unique_consecutive(query, return_inverse=True, return_counts=True)
        slot = torch.arange(len(query), device=query.device) - (counts.cumsum(0) - counts)[inverse]
        longest = int(counts.max())
        left = errors.new_zeros(len(owners), longest, errors.shape[1])
        right = entries.new_zeros(len(owners), longest, entries.shape[1])
        left[inverse, slot], right[inverse, slot] = errors.squeeze(2), entries.squeeze(2)
        total.index_add_(0, owners, (left.transpose(1, 2) @ right).reshape(len(owners), k, -1))

    @torch.no_grad()
    def raw(self, x: Tensor) -> Tensor:
        """The model's own outputs [B, K] for samples [B, ...] at the start of the line."""
        return self.model(x)

    def factors(self, x: Tensor, cotangents: Tensor, raw: bool) -> Iterator[Factors]:
        """Gradients at the start of the line of each sample's outputs times each cotangent.

        Args:
            x: samples [B, ...]. cotangents: [C, B, K]. raw: of the model's own outputs, without the transform.
        """
        self.line.keep = True
        with torch.enable_grad():
            y = self.model(x)
            y = y if raw else self.transform(y)
            outs = [layer.out for layer in self.layers]
        self.line.keep = False
        inputs = [layer.h for layer in self.layers]
        for c, cotangent in enumerate(cotangents):
            deltas = torch.autograd.grad(
                y, outs, cotangent, retain_graph=c + 1 < len(cotangents), materialize_grads=True, allow_unused=True
            )
            found = Factors()
            for layer, h, delta, single in zip(self.layers, inputs, deltas, self.single, strict=True):
                entries, errors = layer.entries(h), layer.errors(delta)
                found.errors.append(errors.squeeze(2) if single else None)
                found.entries.append(entries.squeeze(2) if single else None)
                found.gradients.append(None if single else (errors @ entries.transpose(1, 2)).flatten(1))
            yield found

    def pair(self, mean: Mean, factors: Factors, total: Tensor) -> None:
        """Add the products of mean Jacobians with gradients of B samples to `total` [Q, K, B]."""
        flat = total.view(-1, total.shape[2])
        for i, part in enumerate(mean):
            errors, entries, gradients = factors.errors[i], factors.entries[i], factors.gradients[i]
            if part.dense is not None:
                rows = part.dense.flatten(0, 1)
                if gradients is not None:
                    flat.addmm_(rows, gradients.T)
                    continue
                assert errors is not None and entries is not None
                size = max(1, self.bytes_free // (8 * rows.shape[1]))
                for first in range(0, len(errors), size):
                    piece = slice(first, first + size)
                    outer = (errors[piece, :, None] * entries[piece, None]).flatten(1)
                    flat[:, piece].addmm_(rows, outer.T)
                continue
            assert part.errors is not None and errors is not None and entries is not None
            if part.owner is None:
                gram = self._first_entries @ entries.T
                products = (part.errors.flatten(0, 1) @ errors.T).view_as(total)
                total.addcmul_(products, gram[:, None])
                continue
            assert part.entries is not None
            size = max(1, self.bytes_free // (8 * 3 * total.shape[1] * total.shape[2]))
            for first in range(0, len(part.owner), size):
                piece = slice(first, first + size)
                products = (part.errors[piece].flatten(0, 1) @ errors.T).view(-1, *total.shape[1:])
                products *= (part.entries[piece] @ entries.T)[:, None]
                total.index_add_(0, part.owner[piece], products)

    def along(self, mean: Mean, vector: Tensor) -> Tensor:
        """Mean Jacobians times a vector of parameters [P]: [Q, K]."""
        total = self.queries.new_zeros(len(self.queries), self.outputs)
        for i, (part, layer) in enumerate(zip(mean, self.layers, strict=True)):
            matrix = layer.matrix(vector[self.slices[i]])
            if part.dense is not None:
                total += part.dense @ matrix.flatten()
            elif part.owner is None:
                total += torch.einsum("qko,oi,qi->qk", part.errors, matrix, self._first_entries)
            else:
                products = torch.einsum("tko,oi,ti->tk", part.errors, matrix, part.entries)
                total.index_add_(0, part.owner, products)
        return total


def _nodes_pay(nodes: int, queries: int, k: int, out: int, entries: int, train: int) -> bool:
    """Whether pairing every node with every training point takes less than a dense mean Jacobian."""
    by_node = nodes * (k * out + entries + TRAFFIC * k)
    dense = queries * k * out * entries + out * entries * TRAFFIC + nodes * k * out * entries // max(train, 1)
    return by_node < dense


def _unfit(model: nn.Module) -> str | None:
    owned = 0
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        owned += sum(p.numel() for p in own)
        if type(module) is nn.Linear:
            continue
        if type(module) is not nn.Conv2d:
            return f"linear and convolutional layers alone, found {type(module).__name__} in '{name}'"
        if module.groups != 1 or module.padding_mode != "zeros" or isinstance(module.padding, str):
            return f"convolutions of one group with numbers of zeros as padding, found another in '{name}'"
    if owned == 0:
        return "a network with parameters"
    if owned != sum(p.numel() for p in model.parameters()):
        return "weights that no two layers share"
    return None


def _offsets(model: nn.Module) -> dict[str, slice]:
    """Where each layer's weight and bias lie in the flat vector, by the layer's name."""
    found: dict[str, slice] = {}
    end = 0
    for name, parameter in model.named_parameters():
        start, end = end, end + parameter.numel()
        layer = name.rpartition(".")[0]
        found[layer] = slice(found[layer].start if layer in found else start, end)
    return found


def _replace(module: nn.Module, line: _Line, found: list[_Layer]) -> nn.Module:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        found.append(_Layer(module, line))
        return found[-1]
    for name, child in module.named_children():
        setattr(module, name, _replace(child, line, found))
    return module
