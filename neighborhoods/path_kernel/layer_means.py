"""A layer's part of mean Jacobians, in the form in which pairing it with training points is cheapest.

The gradient of a layer is a product of the errors sent back to its outputs and the entries that its weights are
multiplied with (a sum of such products for a convolution). Q queries with K outputs each are averaged over the nodes of
a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

# Reading or writing one number costs about as much as this many multiplications in a matrix product.
TRAFFIC = 20


@dataclass(frozen=True)
class LayerGradients:
    """Gradients of B samples for one layer: `errors` [B, out] and `entries` [B, in], or `dense` [B, out * in]."""

    errors: Tensor | None = None
    entries: Tensor | None = None
    dense: Tensor | None = None

    def rows(self, part: slice) -> Tensor:
        """Gradients of some of the samples, written out."""
        if self.dense is not None:
            return self.dense[part]
        errors, entries = self.factors()
        return (errors[part, :, None] * entries[part, None]).flatten(1)

    def factors(self) -> tuple[Tensor, Tensor]:
        """Errors and entries of a layer with one place."""
        assert self.errors is not None
        assert self.entries is not None
        return self.errors, self.entries


class LayerMean(Protocol):
    """Mean Jacobian of one layer for Q queries."""

    def accumulate(self, momentum: float, later: LayerMean) -> LayerMean:
        """This plus `momentum` times `later`, a mean of the same form."""

    def pair(self, gradients: LayerGradients, total: Tensor, bytes_free: int) -> None:
        """Add the products with gradients of B samples to `total` [Q, K, B]."""

    def along(self, matrix: Tensor, total: Tensor) -> None:
        """Add the product with weights of the layer [out, in] to `total` [Q, K]."""


@dataclass
class FirstMean:
    """Of a first layer with one place: mean errors [Q, K, out]; entries [Q, in] do not change along the path."""

    errors: Tensor
    entries: Tensor

    def accumulate(self, momentum: float, later: LayerMean) -> LayerMean:
        assert isinstance(later, FirstMean)
        return FirstMean(self.errors + momentum * later.errors, self.entries)

    def pair(self, gradients: LayerGradients, total: Tensor, bytes_free: int) -> None:
        errors, entries = gradients.factors()
        size = max(1, bytes_free // (8 * total.shape[1] * total.shape[2]))
        for first in range(0, len(total), size):
            part = slice(first, first + size)
            products = (self.errors[part].flatten(0, 1) @ errors.T).view_as(total[part])
            total[part].addcmul_(products, (self.entries[part] @ entries.T)[:, None])

    def along(self, matrix: Tensor, total: Tensor) -> None:
        total += (self.errors @ (self.entries @ matrix.T)[:, :, None]).squeeze(2)


@dataclass
class LastMean:
    """Of a last layer whose outputs are the network's: the errors are units, mean entries [Q, in] remain."""

    entries: Tensor

    def accumulate(self, momentum: float, later: LayerMean) -> LayerMean:
        assert isinstance(later, LastMean)
        return LastMean(self.entries + momentum * later.entries)

    def pair(self, gradients: LayerGradients, total: Tensor, bytes_free: int) -> None:
        errors, entries = gradients.factors()
        total.addcmul_((self.entries @ entries.T)[:, None], errors.T[None])

    def along(self, matrix: Tensor, total: Tensor) -> None:
        total += self.entries @ matrix.T


@dataclass
class NodeMean:
    """Of a layer with one place, node by node: weighted errors [T, K, out], entries [T, in], query of each node [T]."""

    errors: Tensor
    entries: Tensor
    owner: Tensor

    def accumulate(self, momentum: float, later: LayerMean) -> LayerMean:
        raise TypeError("nodes of several steps are not added up")

    def pair(self, gradients: LayerGradients, total: Tensor, bytes_free: int) -> None:
        errors, entries = gradients.factors()
        size = max(1, bytes_free // (8 * 3 * total.shape[1] * total.shape[2]))
        for first in range(0, len(self.owner), size):
            part = slice(first, first + size)
            products = (self.errors[part].flatten(0, 1) @ errors.T).view(-1, *total.shape[1:])
            products *= (self.entries[part] @ entries.T)[:, None]
            total.index_add_(0, self.owner[part], products)

    def along(self, matrix: Tensor, total: Tensor) -> None:
        total.index_add_(0, self.owner, (self.errors @ (self.entries @ matrix.T)[:, :, None]).squeeze(2))


@dataclass
class DenseMean:
    """Written out: [Q, K, out * in]."""

    dense: Tensor

    def accumulate(self, momentum: float, later: LayerMean) -> LayerMean:
        assert isinstance(later, DenseMean)
        return DenseMean(self.dense.add_(later.dense, alpha=momentum))

    def pair(self, gradients: LayerGradients, total: Tensor, bytes_free: int) -> None:
        rows = self.dense.flatten(0, 1)
        flat = total.view(len(rows), -1)
        size = flat.shape[1] if gradients.dense is not None else max(1, bytes_free // (8 * rows.shape[1]))
        for first in range(0, flat.shape[1], size):
            part = slice(first, first + size)
            flat[:, part].addmm_(rows, gradients.rows(part).T)

    def along(self, matrix: Tensor, total: Tensor) -> None:
        total += self.dense @ matrix.flatten()


def nodes_pay(nodes: int, queries: int, outputs: int, out: int, entries: int, train: int) -> bool:
    """Whether pairing each node with each of `train` points takes less than a dense mean Jacobian."""
    by_node = nodes * (outputs * out + entries + TRAFFIC * outputs)
    size = out * entries
    dense = queries * outputs * size + size * TRAFFIC + nodes * outputs * size // max(train, 1)
    return by_node < dense


def add_products(total: Tensor, owner: Tensor, errors: Tensor, entries: Tensor) -> None:
    """Add errors x entries, summed over places, to each sample's owner.

    Args:
        total: [Q, K, out * in]. owner: of each sample [T], equal ones side by side.
        errors: [T, K * out, places]. entries: [T, in, places].
    """
    k = total.shape[1]
    if entries.shape[2] > 1:
        total.index_add_(0, owner, (errors @ entries.transpose(1, 2)).view(len(owner), k, -1))
        return
    # One place: an owner's samples take the place of places, padded to the longest list.
    owners, inverse, counts = torch.unique_consecutive(owner, return_inverse=True, return_counts=True)
    slot = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[inverse]
    longest = int(counts.max())
    left = errors.new_zeros(len(owners), longest, errors.shape[1])
    right = entries.new_zeros(len(owners), longest, entries.shape[1])
    left[inverse, slot], right[inverse, slot] = errors.squeeze(2), entries.squeeze(2)
    total.index_add_(0, owners, (left.transpose(1, 2) @ right).view(len(owners), k, -1))
