"""Linear and convolutional layers whose weights move along a straight line, each sample at its own place.

At weights w + t dw a layer maps h to (W h + b) + t (dW h + db): every sample may have its own t, at twice the price of
one set of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

RELUS = (torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu, functional.relu_, functional.leaky_relu)


@dataclass
class Position:
    """What all layers of a network share: where on the line each sample is, and whether layers keep what they see.

    Attributes:
        t: place of each sample on the line [B]; None for all at its start.
        query: which of the queries each sample is [B].
        keep: whether layers keep their inputs and outputs.
    """

    t: Tensor | None = None
    query: Tensor | None = None
    keep: bool = False


class MovingLayer(nn.Module):
    """A linear or convolutional layer on a line of weights.

    After a pass with `position.keep`, `h` is what entered, without a gradient, and `out` what left, with one.
    """

    def __init__(self, module: nn.Module, position: Position) -> None:
        super().__init__()
        self.module: Any = module
        self.position = position
        self.has_bias = module.bias is not None
        self.cached: tuple[Tensor, Tensor] | None = None

    def __getattr__(self, name: str) -> Any:
        """What the network asks of the layer that stood here."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)

    def place(self, w: Tensor, dw: Tensor) -> None:
        """Take the layer's parts of flat weights and their change, weights before biases."""
        shape, count = self.module.weight.shape, self.module.weight.numel()
        self.w, self.dw = w[:count].view(shape), dw[:count].view(shape)
        self.b = w[count:] if self.has_bias else None
        self.db = dw[count:] if self.has_bias else None
        self.cached = None

    def cache(self, h: Tensor) -> None:
        """Compute once what the layer does to the inputs [Q, ...] of queries, for passes that name queries."""
        with torch.no_grad():
            self.cached = self._multiply(h, self.w, self.b), self._multiply(h, self.dw, self.db)

    def forward(self, h: Tensor) -> Tensor:
        t, query = self.position.t, self.position.query
        if t is None:
            out = self._multiply(h, self.w, self.b)
        else:
            if self.cached is not None and query is not None:
                base, slope = (part[query] for part in self.cached)
            else:
                base, slope = self._multiply(h, self.w, self.b), self._multiply(h, self.dw, self.db)
            out = base + t.view(-1, *[1] * (base.ndim - 1)) * slope
        if self.position.keep:
            self.h = h.detach()
            self.out = out if out.requires_grad else out.requires_grad_()
            # What comes next may work in place.
            return self.out.clone()
        return out

    def _multiply(self, h: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if isinstance(self.module, nn.Linear):
            return functional.linear(h, w, b)
        return functional.conv2d(h, w, b, self.module.stride, self.module.padding, self.module.dilation)

    def entries(self, h: Tensor) -> Tensor:
        """What the weights are multiplied with, for each sample and place: [B, in (+ 1 for a bias), places]."""
        if isinstance(self.module, nn.Linear):
            found = h.reshape(len(h), -1, h.shape[-1]).transpose(1, 2)
        else:
            m = self.module
            found = functional.unfold(h, m.kernel_size, m.dilation, m.padding, m.stride)
        if not self.has_bias:
            return found
        return torch.cat([found, found.new_ones(len(found), 1, found.shape[2])], 1)

    def errors(self, delta: Tensor) -> Tensor:
        """Derivatives by the layer's output [B, *out] as [B, out, places]."""
        if isinstance(self.module, nn.Linear):
            return delta.reshape(len(delta), -1, delta.shape[-1]).transpose(1, 2)
        return delta.flatten(2)

    def matrix(self, flat: Tensor) -> Tensor:
        """A flat vector of the layer's parameters as [out, in (+ 1)], in the order of `entries`."""
        count, out = self.module.weight.numel(), self.module.weight.shape[0]
        weight = flat[:count].view(out, -1)
        return torch.cat([weight, flat[count:, None]], 1) if self.has_bias else weight


def set_in_motion(model: nn.Module, position: Position) -> tuple[nn.Module, dict[MovingLayer, slice]]:
    """Replace a network's layers by moving ones, in place.

    Returns:
        The network, and where each layer's parameters lie in the flat vector of all.

    Raises:
        ValueError: it is not made of linear and convolutional layers alone.
    """
    reason = _unfit(model)
    if reason:
        raise ValueError(f"the layerwise factorisation needs {reason}")
    ends: dict[int, slice] = {}
    end = 0
    owners = {id(p): module for module in model.modules() for p in module.parameters(recurse=False)}
    for parameter in model.parameters():
        owner = id(owners[id(parameter)])
        start, end = end, end + parameter.numel()
        ends[owner] = slice(ends[owner].start if owner in ends else start, end)
    layers: dict[MovingLayer, slice] = {}

    def replaced(module: nn.Module) -> nn.Module:
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            layer = MovingLayer(module, position)
            layers[layer] = ends[id(module)]
            return layer
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]
        for name, child in module.named_children():
            setattr(module, name, replaced(child))
        return module

    return replaced(model), layers


def _unfit(model: nn.Module) -> str | None:
    owned = 0
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if not own:
            continue
        owned += sum(p.numel() for p in own)
        if type(module) not in (nn.Linear, nn.Conv2d):
            return f"linear and convolutional layers alone, found {type(module).__name__} in '{name}'"
        if type(module) is nn.Conv2d and (
            module.groups != 1 or module.padding_mode != "zeros" or isinstance(module.padding, str)
        ):
            return f"convolutions of one group with numbers of zeros as padding, found another in '{name}'"
    if owned != sum(p.numel() for p in model.parameters()):
        return "weights that no two layers share"
    return None if owned else "a network with parameters"


class Switches(TorchFunctionMode):
    """Notes what enters every ReLU and 2-d max-pool of a pass, so that two passes tell what has switched between."""

    def __init__(self) -> None:
        super().__init__()
        self.relus: list[Tensor] = []
        self.pools: list[tuple[Tensor, Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in RELUS:
            self.relus.append(args[0].detach().flatten(1).clone())
        if func is functional.max_pool2d:
            out, winner = functional.max_pool2d_with_indices(*args, **{**kwargs, "return_indices": True})
            self.pools.append((args[0].detach().flatten(2), winner.flatten(2)))
            return (out, winner) if kwargs.get("return_indices") else out
        return func(*args, **kwargs)


def switched(below: Switches, above: Switches) -> tuple[Tensor, Tensor]:
    """What switches between two passes over samples: sample and place, 0 to 1, were all inputs straight [E]."""
    samples, shares = [], []
    for low, high in zip(below.relus, above.relus, strict=True):
        sample, unit = torch.nonzero((low > 0) != (high > 0), as_tuple=True)
        a, b = low[sample, unit], high[sample, unit]
        samples.append(sample)
        shares.append(a / (a - b))
    for (low, winner), (high, other) in zip(below.pools, above.pools, strict=True):
        sample, channel, unit = torch.nonzero(winner != other, as_tuple=True)
        old, new = winner[sample, channel, unit], other[sample, channel, unit]
        a = low[sample, channel, old] - low[sample, channel, new]
        b = high[sample, channel, old] - high[sample, channel, new]
        apart = a > b
        samples.append(sample[apart])
        shares.append((a / (a - b))[apart])
    if not samples:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
    return torch.cat(samples), torch.cat(shares)
