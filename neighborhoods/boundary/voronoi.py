"""The classifier of the nearest training point, and exactly where lines cross its boundary (Bell, section 30.1).

Its regions are unions of Voronoi cells. Along a line x(t) the squared distance to a training point p, less
||x(t)||^2, is ||p||^2 - 2 <p, x(t)>: linear in t. The cells that the line meets are therefore the pieces of the
lower envelope of N lines, whatever the dimension.

Bell says that the segment between two Delaunay neighbours crosses their common face orthogonally. Any segment between
two points is orthogonal to their bisector; but it meets the face of the two only if the ball that has it as diameter
holds no other point, which makes them Gabriel neighbours. Between Delaunay neighbours that are not, the middle of the
segment lies in the cell of a third point, and the faces that the segment does cross belong to other pairs, at any
angle. Of uniformly scattered points a share 1 - 2^d / (mean number of Delaunay neighbours) of the edges is of that
kind: 1/3 in the plane, .49 in space and .58 in four dimensions (mean numbers 6, 15.54 and 37.78: Moller 1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize
from torch import Tensor, nn

from neighborhoods.boundary.normals import degrees_between

# Distances held at once: 128 MiB.
HELD = 2**24

# Two lines whose slopes differ by less, relative to the steepest, are one: points equally far all along a line.
ROUNDING = 1e-12

# Slack, in squared distances of a pair, from which its common face is more than a rounding of the linear programme.
SLACK = 1e-6


class NearestPoint(nn.Module):
    """Class of the nearest training point, as a model from points [B, ...] to scores [B, classes].

    A score is minus the squared distance to the nearest training point of its class, float64, with the gradient that
    belongs to it. So it can stand wherever a network's logits do.

    Args:
        points: training points [N, ...]. labels: their classes [N], each of 0..C-1 at least once.

    Raises:
        ValueError: lengths that differ, points that are not finite, or a class without points.
    """

    points: Tensor
    labels: Tensor
    order: Tensor
    centre: Tensor

    def __init__(self, points: Tensor, labels: Tensor) -> None:
        super().__init__()
        if points.ndim < 2 or labels.shape != points.shape[:1] or not bool(torch.isfinite(points).all()):
            raise ValueError(
                f"expected finite points [N, ...] and a class for each, found {tuple(points.shape)} and "
                f"{tuple(labels.shape)}"
            )
        if len(labels) == 0 or int(labels.min()) < 0 or not bool(torch.bincount(labels).all()):
            raise ValueError(f"expected training points of each class from 0 on, found {labels.unique().tolist()}")
        # Sorted by class, so that each class is one range of columns; equal distances go to the first class.
        order = labels.argsort(stable=True)
        flat = points.flatten(1).double()[order]
        centre = flat.mean(0)
        self.counts = torch.bincount(labels).tolist()
        for name, values in (
            ("order", order),
            ("labels", labels[order]),
            ("centre", centre),
            ("points", flat - centre),
        ):
            self.register_buffer(name, values)

    def forward(self, x: Tensor) -> Tensor:
        flat = self.centred(x)
        with torch.no_grad():
            nearest = torch.cat([self._nearest(part) for part in flat.split(held_rows(len(self.points)))])
        columns = [(flat - self.points[places]).square().sum(1) for places in nearest.unbind(1)]
        return -torch.stack(columns, 1)

    def centred(self, x: Tensor) -> Tensor:
        """Points [B, ...] as rows [B, D], less the mean of the training points.

        Raises:
            ValueError: another number of coordinates.
        """
        if x.ndim < 2 or math.prod(x.shape[1:]) != self.points.shape[1]:
            raise ValueError(f"expected points of {self.points.shape[1]} coordinates, found shape {tuple(x.shape)}")
        return x.flatten(1).double() - self.centre

    def _nearest(self, flat: Tensor) -> Tensor:
        power = self.points.square().sum(1) - 2 * flat @ self.points.T
        first = [0, *np.cumsum(self.counts)[:-1].tolist()]
        parts = power.split(self.counts, dim=1)
        return torch.stack([start + part.argmin(1) for start, part in zip(first, parts, strict=True)], 1)


@dataclass(frozen=True)
class FirstChange:
    """First changes of class along lines through Voronoi cells; nan and -1 where the class never changes.

    Attributes:
        t: share of the way from the start [n], float64. point: where that is [n, ...], float64.
        normal: of the face there, into the new class, of any length [n, ...], float64.
        angle: between line and normal in degrees, 0 to 90 [n], float64.
        inner, outer: training points whose common face is crossed, on the side of the start and beyond it [n].
        faces: faces of Voronoi cells crossed until then, this one included; all of the line's where the class never
            changes [n].
    """

    t: Tensor
    point: Tensor
    normal: Tensor
    angle: Tensor
    inner: Tensor
    outer: Tensor
    faces: Tensor


def first_change(classifier: NearestPoint, start: Tensor, end: Tensor) -> FirstChange:
    """Follow lines through the Voronoi cells of the training points to the first face between two classes.

    Exact up to rounding, for all lines at once; one round for each face that the longest walk crosses. Where a line
    meets several faces at one place it goes straight into the cell beyond.

    Args:
        classifier: holds the training points. start, end: [n, ...].

    Raises:
        ValueError: shapes that differ, or another number of coordinates than the training points have.
    """
    if start.shape != end.shape:
        raise ValueError(f"expected starts and ends of one shape, found {tuple(start.shape)} and {tuple(end.shape)}")
    first, last = classifier.centred(start), classifier.centred(end)
    rows = held_rows(len(classifier.points))
    parts = [_walk(classifier, *pair) for pair in zip(first.split(rows), last.split(rows), strict=True)]
    t, inner, outer, faces = (torch.cat(columns) for columns in zip(*parts, strict=True))
    line = last - first
    normal = (classifier.points[outer] - classifier.points[inner]).where(outer[:, None] >= 0, torch.nan)
    return FirstChange(
        t=t,
        point=(start.double().flatten(1) + t[:, None] * line).reshape(start.shape),
        normal=normal.reshape(start.shape),
        angle=degrees_between(line, normal),
        inner=classifier.order[inner].where(inner >= 0, -1),
        outer=classifier.order[outer].where(outer >= 0, -1),
        faces=faces,
    )


def _walk(classifier: NearestPoint, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    offset = classifier.points.square().sum(1) - 2 * start @ classifier.points.T
    slope = -2 * (end - start) @ classifier.points.T
    least = ROUNDING * slope.abs().amax(1, keepdim=True)
    cell = offset.argmin(1)
    own = classifier.labels[cell]
    t = torch.full_like(offset[:, 0], torch.nan)
    inner, outer = torch.full_like(cell, -1), torch.full_like(cell, -1)
    faces = torch.zeros_like(cell)
    left = torch.arange(len(start), device=start.device)
    at = torch.zeros_like(t)
    while len(left):
        here = cell[left, None]
        slopes, offsets = slope[left], offset[left]
        gain = slopes.gather(1, here) - slopes
        behind = offsets - offsets.gather(1, here)
        when = torch.where(gain > least[left], behind / gain, torch.inf).maximum(at[left, None])
        soonest = when.amin(1)
        following = slopes.masked_fill(when > soonest[:, None], torch.inf).argmin(1)
        goes = soonest <= 1
        left, following, soonest = left[goes], following[goes], soonest[goes]
        changed = classifier.labels[following] != own[left]
        done = left[changed]
        t[done], inner[done], outer[done] = soonest[changed], cell[done], following[changed]
        faces[left] += 1
        at[left], cell[left] = soonest, following
        left = left[~changed]
    return t, inner, outer, faces


def gabriel_neighbours(points: Tensor, pairs: Tensor) -> Tensor:
    """Whether the ball with the segment of a pair as diameter holds no other point (Gabriel and Sokal 1969) [P].

    Then the segment goes from the one Voronoi cell straight into the other, through their face, orthogonally:
    sufficient for Delaunay neighbours, and needs no triangulation. Points on the sphere count as inside.

    Args:
        points: [N, ...]. pairs: indices of two different points [P, 2].

    Raises:
        ValueError: pairs of another shape, outside 0..N-1, or of a point with itself.
    """
    _check_pairs(points, pairs)
    flat = points.flatten(1).double()
    flat = flat - flat.mean(0)
    return torch.cat([_empty_ball(flat, part) for part in pairs.split(held_rows(len(flat)))])


def _empty_ball(points: Tensor, pairs: Tensor) -> Tensor:
    first, second = points[pairs[:, 0]], points[pairs[:, 1]]
    middle = (first + second) / 2
    radius = (first - second).square().sum(1) / 4
    power = points.square().sum(1) - 2 * middle @ points.T
    power.scatter_(1, pairs, torch.inf)
    return power.amin(1) + middle.square().sum(1) > radius


def delaunay_neighbours(points: Tensor, pairs: Tensor) -> Tensor:
    """Whether pairs share a face of positive size in the Voronoi diagram, in whatever dimension [P].

    They do when some centre is equally far from both and farther from all others: a linear programme in the centre and
    the slack, solved by HiGHS. No triangulation is made, whose size would grow like N^(D / 2). One programme a pair: a
    second for 4000 points of 784 coordinates, minutes for 60,000.

    Args:
        points: [N, D]. pairs: indices of two different points [P, 2].

    Raises:
        ValueError: as for `gabriel_neighbours`, or a programme that HiGHS does not solve.
    """
    _check_pairs(points, pairs)
    flat = points.flatten(1).double().cpu().numpy()
    return torch.tensor([_slack(flat, first, second) > SLACK for first, second in pairs.tolist()], dtype=torch.bool)


def _slack(points: np.ndarray, first: int, second: int) -> float:
    """Largest s <= 1 with ||c - p||^2 >= ||c - first||^2 + s for all other points p; the pair's length is 1."""
    length = float(np.linalg.norm(points[second] - points[first]))
    if not length > 0:
        return -math.inf
    places = (points - points[first]) / length
    others = np.delete(places, [first, second], axis=0)
    dimension = places.shape[1]
    found = optimize.linprog(
        np.append(np.zeros(dimension), -1.0),
        A_ub=np.column_stack([2 * others, np.ones(len(others))]),
        b_ub=np.square(others).sum(1),
        A_eq=np.append(2 * places[second], 0.0)[None],
        b_eq=[1.0],
        bounds=[(None, None)] * dimension + [(None, 1.0)],
        method="highs",
    )
    if found.status != 0:
        raise ValueError(f"no answer whether points {first} and {second} are Delaunay neighbours: {found.message}")
    return float(found.x[-1])


def _check_pairs(points: Tensor, pairs: Tensor) -> None:
    fits = pairs.ndim == 2 and pairs.shape[1] == 2 and not pairs.is_floating_point()
    if not fits or bool(((pairs < 0) | (pairs >= len(points))).any()) or bool((pairs[:, 0] == pairs[:, 1]).any()):
        raise ValueError(f"expected pairs [P, 2] of different points in 0..{len(points) - 1}, found {_shown(pairs)}")


def _shown(pairs: Tensor) -> str:
    return f"shape {tuple(pairs.shape)}" if pairs.ndim != 2 or len(pairs) > 4 else str(pairs.tolist())


def held_rows(points: int) -> int:
    """How many rows of distances to so many points are held at once."""
    return max(1, HELD // points)
