"""Paths on decision boundaries: whether two points of one boundary are connected (Bell's question in section 28)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.boundary.points import descend
from neighborhoods.networks.inference import Classifier

OUTCOMES = ("connected", "other class", "gap", "unresolved")
CONNECTED, OTHER_CLASS, GAP, UNRESOLVED = range(len(OUTCOMES))

# A step whose halves are not this much shorter leads across a gap; on a sphere they are at most 1 / sqrt(2) of it.
SHRINKING = 0.9


# What a path can end as, see `Paths.status`.
OUTCOMES = ("connected", "other class", "gap", "unresolved")


@dataclass(frozen=True)
class Paths:
    """Paths between pairs of points.

    Attributes:
        status: of each path [n]. "connected": no step is longer than the tolerance, and the middle of each lies by the
            boundary too. "other class": the two classes do not lead where the path would go. "gap": a step that halving
            does not shorten; none shorter than half the tolerance is seen. Both of these say that the points are not
            connected by this path; there may be others.
            "unresolved": steps longer than the tolerance are left.
        longest: the longest step left, in units of the images [n], float64. steps: number of steps [n], int64.
    """

    status: list[str]
    longest: Tensor
    steps: Tensor


def connect(
    model: Classifier,
    start: Tensor,
    end: Tensor,
    pair: Tensor,
    tolerance: float,
    *,
    rounds: int = 12,
    batch_size: int = 4096,
) -> Paths:
    """Look for paths on a boundary by halving the chord between two of its points.

    The middle of each step is projected by `descend` onto the boundary of the same two classes and becomes a point of
    the path, until no step is longer than the tolerance. All paths are refined together.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd.
        start, end: points of the boundary [n, ...], finite. pair: the classes that meet in both [n, 2], int64.
        tolerance: longest step, in units of the images. rounds: halvings at most.

    Raises:
        ValueError: points that are not finite or of different shapes, or a tolerance that is not positive.
    """
    finite = bool(torch.isfinite(start).all() and torch.isfinite(end).all())
    if start.shape != end.shape or pair.shape != (len(start), 2) or not finite or not tolerance > 0:
        raise ValueError(
            f"expected finite points in pairs and a positive tolerance, found {tuple(start.shape)}, {tuple(end.shape)} "
            f"and {tolerance:g}"
        )
    n = len(start)
    outcome = torch.full((n,), CONNECTED, device=start.device)
    longest = torch.zeros(n, dtype=torch.float64, device=start.device)
    steps = torch.zeros(n, dtype=torch.int64, device=start.device)
    path, first, last = torch.arange(n, device=start.device), start, end
    for _ in range(rounds):
        length = _distance(first, last)
        if len(path) == 0:
            break
        middle = descend(model, (first + last) / 2, pair[path], batch_size=batch_size)
        halves = torch.maximum(_distance(first, middle.point), _distance(middle.point, last))
        # Ends that coincide to rounding have a middle that is as far from them as a rounding.
        torn = middle.found & (halves > SHRINKING * length) & (length > tolerance / 2)
        failed = torn | ~middle.found
        done = ~failed & (length <= tolerance)
        outcome[path[torn]] = GAP
        outcome[path[~middle.found]] = OTHER_CLASS
        ended = torch.zeros(n, dtype=torch.bool, device=start.device)
        ended[path[failed]] = True
        # Also the other steps of a path that ends here count, though they are not halved.
        _count(steps, longest, path, length, done | ended[path])
        go = ~ended[path] & ~done
        point = middle.point[go]
        path, first, last = path[go].repeat(2), torch.cat([first[go], point]), torch.cat([point, last[go]])
    if len(path):
        _count(steps, longest, path, _distance(first, last), torch.ones_like(path, dtype=torch.bool))
        outcome[path] = UNRESOLVED
    return Paths([OUTCOMES[code] for code in outcome.tolist()], longest, steps)


def pairs_of_equal_classes(pair: Tensor, group: Tensor | None = None) -> Tensor:
    """Points of boundaries two by two, each at most once, so that outcomes of different pairs are independent.

    Args:
        pair: classes that meet at each point [n, 2], in any order; -1 for points to leave out.
        group: 0 or 1 for each point [n], to join points of different groups only; None for any two.

    Returns:
        Rows [pairs, 2] of points between the same two classes.
    """
    ordered = pair.sort(1).values
    rows = (ordered[:, 0] >= 0).nonzero()[:, 0]
    kinds = ordered[rows].unique(dim=0)
    chosen = []
    for kind in kinds:
        members = rows[(ordered[rows] == kind).all(1)]
        sides = (members[::2], members[1::2]) if group is None else (members[group[members] == i] for i in (0, 1))
        one, two = sides
        count = min(len(one), len(two))
        chosen.append(torch.stack([one[:count], two[:count]], 1))
    return torch.cat(chosen) if chosen else torch.empty(0, 2, dtype=torch.int64, device=pair.device)


def _count(steps: Tensor, longest: Tensor, path: Tensor, length: Tensor, which: Tensor) -> None:
    steps.index_add_(0, path[which], torch.ones_like(path[which]))
    longest.scatter_reduce_(0, path[which], length[which], "amax")


def _distance(first: Tensor, second: Tensor) -> Tensor:
    return (first.double() - second.double()).flatten(1).norm(dim=1) if len(first) else first.new_zeros(0).double()
