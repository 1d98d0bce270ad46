"""Points on a classifier's decision boundary: along lines, and by descent on the margin (Bell, sections 29 to 31).

At a point of the boundary two classes lead alike: their logits tie, and no other is larger. Definition 30.3 demands
that all others be smaller, which leaves out points where three classes meet (errata, Part III): here they count.
`distance.boundary_distance` looks for the nearest such point, at many times the cost.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.networks.inference import Classifier

# Points looked at along a line for the first change of class: stretches shorter than a step can go unseen.
SCAN = 64

# Newton's steps on the margin are longer by this share, so that they end beyond the boundary and not short of it. It
# doubles with each step up to so many times: near the boundary a step can be shorter than the rounding of a point.
OVERSHOOT = 0.02
DOUBLINGS = 12


@dataclass(frozen=True)
class BoundaryPoints:
    """Points where the class changes, on the device of what they were found from.

    Attributes:
        point: on the far side of the boundary, by a rounding [n, ...]; nan where none was found.
        pair: the classes that meet there, that of the start first [n, 2], int64; -1 where none was found.
        gap: logit of the first class less that of the second [n], float64: how exactly they tie.
        level: decision level of definition 30.3, the softmax probability of each of the two [n], float64 (their mean).
        third: smaller logit of the two less the largest other one [n], float64: inf for two classes, below zero where
            the pair does not lead.
        found: whether a point was found where the pair leads [n].
    """

    point: Tensor
    pair: Tensor
    gap: Tensor
    level: Tensor
    third: Tensor
    found: Tensor

    def at(self, rows: Tensor | slice) -> "BoundaryPoints":
        """Some of the points, by positions, by a mask [n] or by a slice."""
        columns = (self.point, self.pair, self.gap, self.level, self.third, self.found)
        return BoundaryPoints(*(column[rows] for column in columns))


@dataclass(frozen=True)
class LineCrossing(BoundaryPoints):
    """Where lines first change class.

    Attributes:
        t: share of the way from the start [n], float64; nan where the class never changes.
    """

    t: Tensor


def cross(
    model: Classifier,
    start: Tensor,
    end: Tensor,
    *,
    points: int = SCAN,
    tolerance: float = 0.0,
    batch_size: int = 4096,
) -> LineCrossing:
    """First change of class along lines from `start` to `end`, by a scan and bisection.

    Args:
        model: images [B, ...] to logits [B, classes]. start, end: images [n, ...], floating point.
        points: steps of the scan. tolerance: distance from the boundary, in units of the images, that bisection may
            leave; 0 for their precision. batch_size: images of a forward pass.

    Raises:
        ValueError: the ends have other shapes, are not finite, or logits are not.
    """
    _check(start)
    if start.shape != end.shape or start.dtype != end.dtype:
        raise ValueError(f"expected lines between images of one shape, found {tuple(start.shape)}, {tuple(end.shape)}")
    _, high = first_change(model, start, end, points=points, tolerance=tolerance, batch_size=batch_size)
    found = torch.isfinite(high)
    own = _classes(model, start, batch_size)
    place = _on_line(start, end, torch.where(found, high, 0.0), start.dtype)
    # Not the class at the place: in a batch of another size a rounding can take the point back to its first class.
    beyond = _rival(logits_in_batches(model, place, batch_size), own)
    found_points = _examine(model, place, own, beyond, found, batch_size)
    return LineCrossing(**vars(found_points), t=high)


def first_change(
    model: Classifier,
    start: Tensor,
    end: Tensor,
    *,
    points: int = SCAN,
    tolerance: float = 0.0,
    batch_size: int = 4096,
) -> tuple[Tensor, Tensor]:
    """Shares of lines [n], float64, between which the class first differs from the start's; nan where it never does.

    The class at the first is that of the start, at the second another. They lie as close as the images' type tells
    apart, or within the tolerance.

    Args:
        model, start, end, points, tolerance, batch_size: as for `cross`.
    """
    own = _classes(model, start, batch_size)
    low = torch.zeros(len(start), dtype=torch.float64, device=start.device)
    high = torch.full_like(low, math.nan)
    left = torch.arange(len(start), device=start.device)
    first, last = start.double(), end.double()
    for step in range(1, points + 1):
        t = torch.full_like(low[left], step / points)
        changed = _classes(model, _on_line(first[left], last[left], t, start.dtype), batch_size) != own[left]
        high[left[changed]] = step / points
        left = left[~changed]
        low[left] = step / points
        if len(left) == 0:
            break
    low[left] = math.nan
    rows = torch.isfinite(high).nonzero()[:, 0]
    halvings = _halvings(start[rows], end[rows], tolerance, points)
    first, last = first[rows], last[rows]

    def beyond(t: Tensor) -> Tensor:
        return _classes(model, _on_line(first, last, t, start.dtype), batch_size) != own[rows]

    low[rows], high[rows] = _bisect(beyond, low[rows], high[rows], halvings)
    return low, high


def towards(
    model: Classifier,
    x: Tensor,
    first: Tensor,
    second: Tensor,
    *,
    points: int = SCAN,
    tolerance: float = 0.0,
    batch_size: int = 4096,
) -> LineCrossing:
    """Project points onto the boundary by a line to one of two parents, whichever is of another class (section 31).

    Args:
        model: images [B, ...] to logits [B, classes]. x: points [n, ...].
        first, second: images [...] of different classes; a point of the first's class goes to the second, others to the
            first.
        points, tolerance: as for `cross`.

    Raises:
        ValueError: the parents are of one class, or as for `cross`.
    """
    parents = torch.stack([first, second]).to(x)
    classes = _classes(model, parents, batch_size)
    if bool(classes[0] == classes[1]):
        raise ValueError(f"expected parents of different classes, found both in class {int(classes[0])}")
    of_first = _classes(model, x, batch_size) == classes[0]
    return cross(model, x, parents[of_first.long()], points=points, tolerance=tolerance, batch_size=batch_size)


def descend(
    model: Classifier,
    x: Tensor,
    pair: Tensor | None = None,
    *,
    steps: int = 50,
    tolerance: float = 0.0,
    batch_size: int = 4096,
) -> BoundaryPoints:
    """Project points onto the boundary by gradient descent on the class margin (Bell, section 31).

    The margin is the leading logit less the runner-up's, or that of a given pair. Each step is Newton's along its
    gradient, -m g / ||g||^2; the first one to change the margin's sign is bisected. Unlike the nearest point, the one
    found hangs on the way; where the boundary is flat they are the same.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd, rows independent of each other.
        x: points [n, ...], floating point.
        pair: two classes for each point [n, 2], int64, whose tie is looked for from either side; None for the two that
            lead.
        steps: at most. tolerance: as for `cross`. batch_size: images of a forward pass.

    Returns:
        Points; not found where the margin has no gradient, never changes its sign, or another class leads at its end.

    Raises:
        ValueError: points that are not finite or not [n, ...], or pairs of another shape.
    """
    _check(x)
    if pair is not None and pair.shape != (len(x), 2):
        raise ValueError(f"expected a pair of classes for each of {len(x)} points, found shape {tuple(pair.shape)}")
    own = _classes(model, x, batch_size) if pair is None else pair[:, 0].clone()
    other = torch.full_like(own, -1) if pair is None else pair[:, 1].clone()
    before, after = x.detach().clone(), torch.full_like(x, math.nan)
    start_sign = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    active = torch.arange(len(x), device=x.device)
    for i in range(steps):
        rival = other[active] if pair is not None else None
        margin, gradient = _margin(model, before[active], own[active], rival, batch_size)
        if i == 0:
            start_sign[active] = margin >= 0
        tied = active[margin == 0]
        after[tied] = before[tied]
        flat = gradient.flatten(1)
        square = flat.square().sum(1)
        step = torch.where(square > 0, -(1 + OVERSHOOT * 2 ** min(i, DOUBLINGS)) * margin / square, math.nan)
        moved = before[active] + (step[:, None] * flat).reshape(before[active].shape)
        usable = torch.isfinite(moved.flatten(1)).all(1) & (margin != 0)
        active, moved = active[usable], moved[usable]
        if len(active) == 0:
            break
        changed = _on_first_side(model, moved, own[active], other[active], batch_size) != start_sign[active]
        after[active[changed]] = moved[changed]
        before[active[~changed]] = moved[~changed]
        active = active[~changed]
        if len(active) == 0:
            break
    found = torch.isfinite(after.flatten(1)).all(1)
    rows = found.nonzero()[:, 0]

    first, last = before[rows].double(), after[rows].double()

    def beyond(t: Tensor) -> Tensor:
        place = _on_line(first, last, t, x.dtype)
        return _on_first_side(model, place, own[rows], other[rows], batch_size) != start_sign[rows]

    low = torch.zeros(len(rows), dtype=torch.float64, device=x.device)
    _, high = _bisect(beyond, low, torch.ones_like(low), _halvings(before[rows], after[rows], tolerance))
    point = x.detach().clone()
    point[rows] = _on_line(first, last, high, x.dtype)
    second = _rival(logits_in_batches(model, point, batch_size), own) if pair is None else other
    return _examine(model, point, own, second, found, batch_size)


def logits_in_batches(model: Classifier, x: Tensor, batch_size: int) -> Tensor:
    """Logits [n, classes] of images [n, ...], without gradients.

    Raises:
        ValueError: not finite logits [n, classes of at least two].
    """
    with torch.no_grad():
        logits = torch.cat([model(piece) for piece in x.split(batch_size)])
    if logits.ndim != 2 or logits.shape[0] != len(x) or logits.shape[1] < 2 or not bool(torch.isfinite(logits).all()):
        raise ValueError(f"expected finite logits [images, 2 classes or more], found shape {tuple(logits.shape)}")
    return logits


def margins(logits: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Logit of one class less that of another [n], of logits [n, classes] and classes [n]."""
    return (logits.gather(1, first[:, None]) - logits.gather(1, second[:, None]))[:, 0]


def margin_gradients(
    model: Classifier, x: Tensor, first: Tensor, second: Tensor, *, batch_size: int = 4096
) -> tuple[Tensor, Tensor]:
    """Margins between two classes [n] and their gradients [n, ...] at images [n, ...]."""
    values, gradients = [], []
    for piece, one, two in zip(*(part.split(batch_size) for part in (x, first, second)), strict=True):
        with torch.enable_grad():
            variable = piece.detach().requires_grad_(True)
            value = margins(model(variable), one, two)
            (gradient,) = torch.autograd.grad(value.sum(), variable)
        values.append(value.detach())
        gradients.append(gradient)
    return torch.cat(values), torch.cat(gradients)


def _check(x: Tensor) -> None:
    if x.ndim < 2 or not x.is_floating_point() or not bool(torch.isfinite(x).all()):
        raise ValueError(f"expected finite floating-point images [n, ...], found {x.dtype} of shape {tuple(x.shape)}")


def _classes(model: Classifier, x: Tensor, batch_size: int) -> Tensor:
    return logits_in_batches(model, x, batch_size).argmax(1)


def _on_line(start: Tensor, end: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
    """Points [n, ...] of a type at shares [n] of lines, whose ends are best given in the shares' precision."""
    return torch.lerp(start.double(), end.double(), t.reshape(-1, *[1] * (start.ndim - 1))).to(dtype)


def _halvings(start: Tensor, end: Tensor, tolerance: float, pieces: int = 1) -> int:
    """Halvings of a piece of each line that leave at most the tolerance, or the precision of the images."""
    # Lines may be far shorter than the images are long: to the images' precision, not to the lines'.
    finest = math.ceil(-math.log2(pieces * torch.finfo(start.dtype).eps))
    if tolerance == 0 or len(start) == 0:
        return finest
    longest = float((end - start).flatten(1).norm(dim=1).max()) / pieces
    return min(finest, max(0, math.ceil(math.log2(longest / tolerance)))) if longest > 0 else 0


def _bisect(beyond: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, halvings: int) -> tuple[Tensor, Tensor]:
    for _ in range(halvings if len(low) else 0):
        middle = (low + high) / 2
        past = beyond(middle)
        low, high = torch.where(past, low, middle), torch.where(past, middle, high)
    return low, high


def _margin(model: Classifier, x: Tensor, own: Tensor, rival: Tensor | None, batch_size: int) -> tuple[Tensor, Tensor]:
    if rival is None:
        logits = logits_in_batches(model, x, batch_size)
        rival = _rival(logits, own)
    return margin_gradients(model, x, own, rival, batch_size=batch_size)


def _rival(logits: Tensor, own: Tensor) -> Tensor:
    """The class of the largest other logit [n]."""
    return logits.scatter(1, own[:, None], -math.inf).argmax(1)


def _on_first_side(model: Classifier, x: Tensor, own: Tensor, other: Tensor, batch_size: int) -> Tensor:
    """Whether the first class leads [n]: the second where there is one, else all others (-1)."""
    logits = logits_in_batches(model, x, batch_size)
    against_all = logits.argmax(1) == own
    return torch.where(other < 0, against_all, margins(logits, own, other.clamp_min(0)) >= 0)


def _examine(
    model: Classifier, place: Tensor, first: Tensor, second: Tensor, found: Tensor, batch_size: int
) -> BoundaryPoints:
    logits = logits_in_batches(model, place, batch_size).double()
    gap = margins(logits, first, second)
    pair = torch.stack([first, second], 1)
    level = logits.softmax(1).gather(1, pair).mean(1)
    rest = logits.scatter(1, pair, -math.inf).amax(1)
    third = logits.gather(1, pair).amin(1) - rest
    found = found & (first != second) & (third >= -gap.abs())
    flat = found.reshape(-1, *[1] * (place.ndim - 1))
    gap, level, third = (torch.where(found, value, math.nan) for value in (gap, level, third))
    point, pair = torch.where(flat, place, math.nan), torch.where(found[:, None], pair, -1)
    return BoundaryPoints(point, pair, gap, level, third, found)
