"""Quadratic programmes over non-negative weights, many at once: min lam G lam / 2 - b lam over lam >= 0.

Programmes come in groups that share a Gram matrix G. Block principal pivoting (Júdice and Pires 1994; Kim and Park
2011) exchanges all weights that violate the optimality conditions at once and settles well-conditioned programmes in a
few passes; those that it does not settle go to the active sets of Lawson and Hanson (1974), which need no G of full
rank.
"""

import math

import torch
from torch import Tensor

# Of the largest entry of b: by so much may a slope be negative where a weight is zero.
TOLERANCE = 1e-11

# Passes of block pivoting without fewer violations before a programme goes to the active sets.
PATIENCE = 2

# A weight enters an active set about once; more passes than this for each weight mean that rounding decides.
PASSES_PER_WEIGHT = 10

# Numbers that the packed systems of one call of the Cholesky factorisation hold.
NUMBERS = 2**21


def nonnegative_minimum(gram: Tensor, linear: Tensor) -> Tensor:
    """argmin over lam >= 0 of lam G lam / 2 - b lam for each b.

    At the result G lam - b >= -`TOLERANCE` max|b|, and it is zero, up to rounding, where lam > 0. G may be singular as
    long as each programme is bounded; lam is then one of several minima with the same G lam.

    Args:
        gram: positive semi-definite G, one a group [P, M, M], float64.
        linear: b, [P, n, M].

    Returns:
        Weights [P, n, M].

    Raises:
        ValueError: shapes that do not fit, or numbers that are not finite.
        RuntimeError: the active sets did not settle.
    """
    if gram.ndim != 3 or linear.ndim != 3 or gram.shape != (len(linear), linear.shape[2], linear.shape[2]):
        raise ValueError(
            f"expected Gram matrices [P, M, M] and b [P, n, M], found {tuple(gram.shape)} and {tuple(linear.shape)}"
        )
    if not (bool(torch.isfinite(gram).all()) and bool(torch.isfinite(linear).all())):
        raise ValueError("expected finite Gram matrices and b")
    programmes = _Programmes(gram.contiguous(), linear)
    weights = torch.zeros_like(programmes.b)
    _active_sets(programmes, _pivoting(programmes, weights), weights)
    return weights.view(linear.shape)


class _Programmes:
    """The programmes of all groups in one row each: b [P n, M], in the order of their groups."""

    def __init__(self, gram: Tensor, linear: Tensor) -> None:
        self.gram, self.b = gram, linear.reshape(-1, linear.shape[2])
        self.group = torch.arange(len(gram), device=gram.device).repeat_interleave(linear.shape[1])
        self.tolerance = TOLERANCE * self.b.abs().amax(1, keepdim=True)

    def slopes(self, rows: Tensor, weights: Tensor) -> Tensor:
        """G lam - b of some rows [B], in ascending order: [B, M]."""
        group = self.group[rows]
        count = torch.bincount(group, minlength=len(self.gram))
        place = torch.arange(len(rows), device=rows.device) - (count.cumsum(0) - count)[group]
        padded = weights.new_zeros(len(self.gram), int(count.max()), weights.shape[1])
        padded[group, place] = weights
        return (padded @ self.gram)[group, place] - self.b[rows]

    def stationary(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """Weights with slope zero where chosen [B, M], zero elsewhere; nan where the chosen part of G is singular."""
        found = torch.zeros_like(self.b[rows])
        count, m = chosen.sum(1), chosen.shape[1]
        order = count.argsort()
        largest = int(count.max())
        for part in order.split(max(1, NUMBERS // max(1, largest**2))):
            k = int(count[part[-1]])
            if k == 0:
                continue
            index = chosen[part].byte().argsort(dim=1, descending=True, stable=True)[:, :k]
            real = torch.arange(k, device=rows.device) < count[part][:, None]
            row = (self.group[rows[part]][:, None] * m + index) * m
            system = self.gram.view(-1)[row[:, :, None] + index[:, None, :]]
            identity = torch.eye(k).to(system)
            factor, failed = torch.linalg.cholesky_ex(
                torch.where(real[:, :, None] & real[:, None, :], system, identity)
            )
            right = torch.where(real, self.b[rows[part]].gather(1, index), 0)[:, :, None]
            half = torch.linalg.solve_triangular(factor, right, upper=False)
            values = torch.linalg.solve_triangular(factor.mT, half, upper=True)[:, :, 0]
            values = torch.where(failed[:, None] > 0, torch.nan, values)
            found[part] = found[part].scatter(1, index, torch.where(real, values, 0))
        return found


def _pivoting(programmes: _Programmes, weights: Tensor) -> Tensor:
    """Settle what block pivoting can, in place; rows of the programmes that are left [B]."""
    rows = torch.arange(len(weights), device=weights.device)
    chosen = programmes.b > 0
    fewest = torch.full_like(rows, weights.shape[1] + 1)
    patience = torch.full_like(rows, PATIENCE)
    left = []
    while len(rows):
        found = programmes.stationary(rows, chosen)
        slopes = programmes.slopes(rows, found)
        wrong = torch.where(chosen, ~(found >= 0), ~(slopes >= -programmes.tolerance[rows]))
        count = wrong.sum(1)
        weights[rows[count == 0]] = found[count == 0]
        patience = torch.where(count < fewest, PATIENCE, patience - 1)
        going = (count > 0) & (patience > 0) & torch.isfinite(found).all(1)
        left.append(rows[(count > 0) & ~going])
        fewest = torch.minimum(fewest, count)[going]
        rows, patience, chosen = rows[going], patience[going], (chosen ^ wrong)[going]
    return torch.cat([rows, *left]).sort().values


def _active_sets(programmes: _Programmes, rows: Tensor, result: Tensor) -> None:
    """Settle programmes by active sets from zero weights, in place."""
    weights = torch.zeros_like(programmes.b[rows])
    chosen, refused = (torch.zeros_like(weights, dtype=torch.bool) for _ in range(2))
    enters = torch.ones_like(rows, dtype=torch.bool)
    for _ in range(PASSES_PER_WEIGHT * (result.shape[1] + 1)):
        if not len(rows):
            return
        gain = -programmes.slopes(rows, weights)
        gain, entrant = gain.masked_fill(chosen | refused, -math.inf).max(1, keepdim=True)
        going = ~enters | (gain > programmes.tolerance[rows])[:, 0]
        result[rows[~going]] = weights[~going]
        rows, weights, entrant, enters = rows[going], weights[going], entrant[going], enters[going]
        chosen, refused = chosen[going], refused[going]
        if not len(rows):
            return
        newest = torch.zeros_like(chosen).scatter_(1, entrant, enters[:, None])
        chosen = chosen | newest
        found = programmes.stationary(rows, chosen)
        # Only rounding makes the newest weight negative or the system singular; the others are then what they were.
        singular = ~torch.isfinite(found).all(1, keepdim=True)
        found = torch.where(singular, torch.where(newest, -1.0, weights), found)
        negative = chosen & (found <= 0)
        failed = negative & newest
        again = failed.any(1, keepdim=True)
        ratio = torch.where(negative, weights / (weights - found), math.inf)
        step = ratio.amin(1, keepdim=True).clamp(max=1).masked_fill(again, 0)
        chosen = chosen & ~torch.where(again, failed, negative & (ratio <= step))
        weights = torch.where(chosen, weights + step * (found - weights), 0)
        accepted = ~negative.any(1, keepdim=True)
        enters = (again | accepted)[:, 0]
        refused = (refused | failed) & ~accepted
    if len(rows):
        raise RuntimeError(f"the active sets of {len(rows)} programmes did not settle: columns nearly dependent")
