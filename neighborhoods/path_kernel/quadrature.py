"""Integrals along a straight step of weights, certified by the change of the outputs (Bell, Part II; errata).

Over any piece [t1, t2] of a step the integral of the Jacobian times the step must equal y(w(t2)) - y(w(t1)). A network
of ReLUs is smooth but for kinks; pieces that miss the tolerance are cut where kinks are expected, else in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

ROUNDS = 60
# From here on every other round cuts in the middle, in case a kink is no ReLU's.
PATIENCE = 6


class Line(Protocol):
    """Outputs of queries along a line of weights, t from 0 to 1."""

    def values(self, query: Tensor, t: Tensor) -> Tensor:
        """Outputs [T, K] of queries (indices [T]) at places t [T]."""

    def slopes(self, query: Tensor, t: Tensor) -> Tensor:
        """Their derivatives by t [T, K]."""

    def kinks(self, query: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """Places where kinks are expected between low and high [T]: index of the piece and t, [E] each."""


@dataclass(frozen=True)
class Nodes:
    """A quadrature of one step for Q queries.

    Attributes:
        query: index of the query of each node [T]. t: its place. weight: its weight; they sum to 1 for each query.
        error: integral of the derivative minus the change of the outputs [Q, K].
        bound: sum over the pieces of the largest error of an output [Q].
        evaluations: derivatives computed [Q].
    """

    query: Tensor
    t: Tensor
    weight: Tensor
    error: Tensor
    bound: Tensor
    evaluations: Tensor


@dataclass
class _Pieces:
    """Pieces of the steps of queries: [M] each, outputs at the ends and the integral's error [M, K]."""

    query: Tensor
    low: Tensor
    high: Tensor
    y_low: Tensor
    y_high: Tensor
    error: Tensor

    def take(self, chosen: Tensor) -> _Pieces:
        return _Pieces(*[column[chosen] for column in self.__dict__.values()])

    def join(self, other: _Pieces) -> _Pieces:
        columns = zip(self.__dict__.values(), other.__dict__.values(), strict=True)
        return _Pieces(*[torch.cat(pair) for pair in columns])


def adaptive_rule(line: Line, queries: int, budget: Tensor, nodes: int) -> Nodes:
    """Gauss-Legendre on pieces of a step, each query's own, cut until its errors sum to at most the budget.

    Args:
        line: outputs along the step. queries: Q.
        budget: bound wanted for the sum of a query's errors over its pieces [Q].
        nodes: of a piece.
    """
    points, weights = (torch.from_numpy(values).to(budget) for values in np.polynomial.legendre.leggauss(nodes))
    query = torch.arange(queries, device=budget.device)
    low, high = torch.zeros_like(budget), torch.ones_like(budget)
    evaluations = torch.zeros_like(query)

    def measured(pieces: _Pieces) -> _Pieces:
        half = (pieces.high - pieces.low) / 2
        t = (pieces.low + half)[:, None] + half[:, None] * points
        slopes = line.slopes(pieces.query.repeat_interleave(nodes), t.flatten()).view(*t.shape, -1)
        pieces.error = torch.einsum("mnk,n,m->mk", slopes, weights, half) - (pieces.y_high - pieces.y_low)
        evaluations.index_add_(0, pieces.query, torch.full_like(pieces.query, nodes))
        return pieces

    y_low = line.values(query, low)
    pieces = measured(_Pieces(query, low, high, y_low, line.values(query, high), y_low))
    for attempt in range(ROUNDS):
        size = pieces.error.abs().amax(1)
        total = torch.zeros_like(budget).index_add_(0, pieces.query, size)
        count = torch.bincount(pieces.query, minlength=queries)[pieces.query]
        middle = (pieces.low + pieces.high) / 2
        cut = (total > budget)[pieces.query] & (size > budget[pieces.query] / (2 * count))
        # What is rounding of the outputs alone cannot be helped.
        rounding = 8 * torch.finfo(size.dtype).eps * torch.maximum(pieces.y_low.abs(), pieces.y_high.abs()).amax(1)
        cut &= (size > rounding) & (pieces.low < middle) & (middle < pieces.high)
        if not bool(cut.any()):
            break
        blind = attempt >= PATIENCE and attempt % 2 == 1
        pieces = pieces.take(~cut).join(measured(_cut(line, pieces.take(cut), blind)))
    half = (pieces.high - pieces.low) / 2
    size = pieces.error.abs().amax(1)
    return Nodes(
        query=pieces.query.repeat_interleave(nodes),
        t=((pieces.low + half)[:, None] + half[:, None] * points).flatten(),
        weight=(half[:, None] * weights).flatten(),
        error=torch.zeros_like(y_low).index_add_(0, pieces.query, pieces.error),
        bound=torch.zeros_like(budget).index_add_(0, pieces.query, size),
        evaluations=evaluations,
    )


def _cut(line: Line, pieces: _Pieces, blind: bool) -> _Pieces:
    """The same pieces, cut at all kinks expected in them, those without one in the middle."""
    count = len(pieces.query)
    index = torch.arange(count, device=pieces.low.device)
    if blind:
        owner, t = index[:0], pieces.low[:0]
    else:
        owner, t = line.kinks(pieces.query, pieces.low, pieces.high)
        inside = (t > pieces.low[owner]) & (t < pieces.high[owner])
        owner, t = owner[inside], t[inside]
    without = index[torch.bincount(owner, minlength=count) == 0]
    owner, t = torch.cat([owner, without]), torch.cat([t, ((pieces.low + pieces.high) / 2)[without]])
    y = line.values(pieces.query[owner], t)
    owner = torch.cat([index, owner, index])
    t, y = torch.cat([pieces.low, t, pieces.high]), torch.cat([pieces.y_low, y, pieces.y_high])
    order = torch.argsort(t, stable=True)
    order = order[torch.argsort(owner[order], stable=True)]
    owner, t, y = owner[order], t[order], y[order]
    inner = (owner[1:] == owner[:-1]) & (t[1:] > t[:-1])
    return _Pieces(
        pieces.query[owner[:-1][inner]], t[:-1][inner], t[1:][inner], y[:-1][inner], y[1:][inner], y[1:][inner]
    )


def fixed_rule(line: Line, queries: int, like: Tensor, rule: str, nodes: int) -> Nodes:
    """The same nodes for every query, as in the source: equal pieces of a step, at their "left" ends or "midpoint"s.

    Args:
        line: outputs along the step. queries: Q. like: a tensor of the dtype and device wanted.
        rule: "left" or "midpoint". nodes: pieces of a step; one at the left is the step's start.
    """
    query = torch.arange(queries, device=like.device).repeat_interleave(nodes)
    shift = 0.0 if rule == "left" else 0.5
    t = ((torch.arange(nodes, device=like.device).to(like) + shift) / nodes).repeat(queries)
    slopes = line.slopes(query, t).view(queries, nodes, -1)
    ends = [line.values(query[::nodes], torch.full_like(t[::nodes], end)) for end in (0.0, 1.0)]
    error = slopes.mean(1) - (ends[1] - ends[0])
    evaluations = torch.full((queries,), nodes, device=like.device)
    return Nodes(query, t, torch.full_like(t, 1 / nodes), error, error.abs().amax(1), evaluations)
