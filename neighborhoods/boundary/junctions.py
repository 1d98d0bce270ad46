"""Where more than two classes meet: K-decision boundaries at finite radius (Bell, section 29.2).

A point is on the K-decision boundary when K classes meet in every ball around it, however small. Measured at a radius,
that is how many classes there are within it. Both ways of looking can only miss classes, never invent them: counts are
lower bounds. In many dimensions random samples stay near the two classes of their centre; the search goes straight for
the others.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.boundary.points import BoundaryPoints, logits_in_batches
from neighborhoods.networks.inference import Classifier

# The search aims beyond a region's edge by this share of the lead that its class has to make up.
SLACK = 1e-3

# Sweeps over the multipliers of a small quadratic program.
SWEEPS = 200
HALVINGS = 30


@dataclass(frozen=True)
class Program:
    """The shortest offsets d [n, dimension] with G d >= b. multipliers: of the constraints [n, constraints]."""

    offset: Tensor
    multipliers: Tensor


def sampled_classes(
    model: Classifier, points: BoundaryPoints, radii: Tensor, samples: int, *, seed: int = 0, batch_size: int = 4096
) -> Tensor:
    """Classes met by samples in balls around points of a boundary.

    Directions are uniform, distances from the centre evenly spaced up to the radius; all points share them.

    Args:
        model: images [B, ...] to logits [B, classes]. radii: ascending, in units of the images [radii].
        samples: for each radius. batch_size: images of a forward pass.

    Returns:
        Whether each class was met [n, radii, classes], within this radius or a smaller one; the pair always is.

    Raises:
        ValueError: radii that are not positive and ascending, or no samples.
    """
    if radii.ndim != 1 or not bool((radii.diff(prepend=radii.new_zeros(1)) > 0).all()) or samples < 1:
        raise ValueError(
            f"expected ascending positive radii and at least one sample, found {radii.tolist()}, {samples}"
        )
    shape = points.point.shape[1:]
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(samples, math.prod(shape), generator=generator, dtype=torch.float64)
    share = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    ball = (direction / direction.norm(dim=1, keepdim=True) * share[:, None]).to(points.point)
    place = torch.nan_to_num(points.point).flatten(1)
    classes = logits_in_batches(model, place[:1].reshape(-1, *shape), batch_size).shape[1] if len(place) else 2
    met = torch.zeros(len(place), len(radii), classes, dtype=torch.bool, device=place.device)
    met.scatter_(2, points.pair.clamp_min(0)[:, None].expand(-1, len(radii), 2), True)
    for rows in torch.arange(len(place), device=place.device).split(max(1, batch_size // samples)):
        for i, radius in enumerate(radii.tolist()):
            near = (place[rows, None] + radius * ball).reshape(-1, *shape)
            labels = logits_in_batches(model, near, batch_size).argmax(1).reshape(len(rows), samples)
            met[rows, i] |= torch.zeros_like(met[rows, i]).scatter_(1, labels, True)
    return met.cummax(1).values & points.found[:, None, None]


def class_distances(
    model: Classifier, points: BoundaryPoints, *, candidates: int = 8, steps: int = 4, batch_size: int = 4096
) -> Tensor:
    """Distances from points of a boundary to the nearest point found of each class.

    For each further class the margins over all others are linearised, and the nearest point where none is negative is
    found exactly (a quadratic program in as many variables as margins); this is repeated from there. The nearest point
    met that does belong to the class is then drawn in along the line. For linear classifiers it is the nearest one, up
    to a slack of one thousandth; for others the distance is an upper bound.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd, rows independent of each other.
        candidates: how many further classes to look for, those of the largest logits. steps: linearisations.
        batch_size: images of a forward pass.

    Returns:
        Distances in units of the images [n, classes], float64: 0 for the pair, inf where none was found.

    Raises:
        ValueError: no candidates or no steps.
    """
    if candidates < 1 or steps < 1:
        raise ValueError(f"expected at least one candidate and one step, found {candidates} and {steps}")
    rows = points.found.nonzero()[:, 0]
    logits = logits_in_batches(model, torch.nan_to_num(points.point), batch_size) if len(points.point) else None
    classes = 2 if logits is None else logits.shape[1]
    distance = torch.full((len(points.point), classes), math.inf, dtype=torch.float64, device=points.point.device)
    distance[rows] = distance[rows].scatter(1, points.pair[rows], 0.0)
    count = min(candidates, classes - 2)
    if logits is None or count == 0 or len(rows) == 0:
        return distance
    further = logits[rows].scatter(1, points.pair[rows], -math.inf).topk(count, 1).indices
    leading = torch.cat([points.pair[rows], further], 1)
    start = points.point[rows].repeat_interleave(count, 0)
    wanted, rivals = further.flatten(), leading.repeat_interleave(count, 0)
    # Each class but the wanted one, which stands at one place of its row.
    rivals = rivals[rivals != wanted[:, None]].reshape(len(wanted), count + 1)
    pieces = zip(*(column.split(max(1, batch_size // (count + 2))) for column in (start, wanted, rivals)), strict=True)
    found = torch.cat(
        [_nearest_of_class(model, origin, aim, others, steps, batch_size) for origin, aim, others in pieces]
    )
    length = torch.where(found.isnan().any(1), math.inf, (found - start.flatten(1).double()).norm(dim=1))
    distance[rows] = distance[rows].scatter(1, further, length.reshape(-1, count))
    return distance


def classes_within(distance: Tensor, radii: Tensor, sampled: Tensor | None = None) -> Tensor:
    """Number of classes within each radius of each point [n, radii], int64, at least.

    Args:
        distance: to the nearest point of each class [n, classes]. radii: [radii].
        sampled: classes met by samples [n, radii, classes], which count too.
    """
    met = distance[:, None] <= radii.to(distance)[None, :, None]
    return (met if sampled is None else met | sampled).sum(2)


def shortest_offsets(normals: Tensor, bounds: Tensor) -> Program:
    """The shortest d with G d >= b, batched, by coordinate ascent on the dual (Hildreth 1957).

    d = G^T lam with lam the minimiser of |G^T lam|^2 / 2 - b . lam over lam >= 0. Constraints that contradict each
    other give offsets that meet only some of them.

    Args:
        normals: G [n, constraints, dimension]. bounds: b [n, constraints].
    """
    g, b = normals.double(), bounds.double()
    gram = g @ g.transpose(1, 2)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    multipliers = torch.zeros_like(b)
    for _ in range(SWEEPS):
        before = multipliers.clone()
        for k in range(b.shape[1]):
            residual = b[:, k] - (gram[:, k] * multipliers).sum(1)
            step = torch.where(diagonal[:, k] > 0, residual / diagonal[:, k], 0.0)
            multipliers[:, k] = (multipliers[:, k] + step).clamp_min(0)
        if bool(((multipliers - before).abs() <= 1e-12 * multipliers.abs()).all()):
            break
    return Program(torch.einsum("nkd,nk->nd", g, multipliers), multipliers)


def _nearest_of_class(
    model: Classifier, start: Tensor, wanted: Tensor, rivals: Tensor, steps: int, batch_size: int
) -> Tensor:
    """The nearest point met of a wanted class [n, dimension], float64; nan where none was."""
    origin = start.flatten(1).double()
    here = start.clone()
    best = torch.full_like(origin, math.nan)
    length = torch.full_like(origin[:, 0], math.inf)
    lead = None
    for _ in range(steps):
        margin, gradient = _margins_over(model, here, wanted, rivals)
        if lead is None:
            lead = (-margin).amax(1).clamp_min(0)
        back = torch.einsum("nkd,nd->nk", gradient, origin - here.flatten(1).double())
        offset = shortest_offsets(gradient, SLACK * lead[:, None] - margin - back).offset
        moved = (origin + offset).reshape(start.shape).to(start)
        here = torch.where(torch.isfinite(moved), moved, here)
        now = (here.flatten(1).double() - origin).norm(dim=1)
        better = (logits_in_batches(model, here, batch_size).argmax(1) == wanted) & (now < length)
        best[better], length[better] = here.flatten(1).double()[better], now[better]
    rows = torch.isfinite(length).nonzero()[:, 0]
    low, high = torch.zeros_like(length[rows]), torch.ones_like(length[rows])
    for _ in range(HALVINGS if len(rows) else 0):
        middle = (low + high) / 2
        place = torch.lerp(origin[rows], best[rows], middle[:, None]).reshape(-1, *start.shape[1:]).to(start)
        inside = logits_in_batches(model, place, batch_size).argmax(1) == wanted[rows]
        low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
    best[rows] = torch.lerp(origin[rows], best[rows], high[:, None])
    return best


def _margins_over(model: Classifier, x: Tensor, wanted: Tensor, rivals: Tensor) -> tuple[Tensor, Tensor]:
    """Margins of a class over some others [n, rivals] and their gradients [n, rivals, dimension], float64."""
    with torch.enable_grad():
        variable = x.detach().requires_grad_(True)
        logits = model(variable)
        chosen = logits.gather(1, torch.cat([wanted[:, None], rivals], 1))
        columns = [torch.autograd.grad(column.sum(), variable, retain_graph=True)[0] for column in chosen.unbind(1)]
    gradient = torch.stack([column.flatten(1) for column in columns], 1).double()
    chosen = chosen.detach().double()
    return chosen[:, :1] - chosen[:, 1:], gradient[:, :1] - gradient[:, 1:]
