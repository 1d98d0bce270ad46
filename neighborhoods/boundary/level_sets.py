"""Decision level sets: points, dimension, and images in probability space (Bell, sections 29 and 30.2).

A decision level set is where two classes have one and the same probability a and no other has a larger one. Two
equations hold on it, so where their gradients are independent it has two dimensions less than the space; the
boundary, the union of level sets of all a, has one less. Where the two classes leave nothing to others, a is 1/2
everywhere, the equations coincide, and level set and boundary are one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.boundary.normals import unit
from neighborhoods.boundary.points import BoundaryPoints, descend, logits_in_batches, margins
from neighborhoods.boundary.projected_spectra import FLAT_RATIO, TOLERANCE
from neighborhoods.boundary.spectra import dropped_values, singular_values
from neighborhoods.networks.inference import Classifier


@dataclass(frozen=True)
class LevelPoints:
    """Points projected onto decision level sets.

    Attributes:
        point: [n, ...]; nan where none was found. gap: difference of the pair's logits there [n]. odds: ln of the
            odds of all other classes less that of the level [n]. found: whether both vanish to the square root of the
            images' precision, and no other class leads [n].
    """

    point: Tensor
    gap: Tensor
    odds: Tensor
    found: Tensor


@dataclass(frozen=True)
class Jacobian:
    """Rank of the constraints at points of the boundary.

    Attributes:
        rank: of the gradients of margin and level [n], int64; -1 for points that were not found. The level set has
            as many dimensions less than the space.
        sine: of the angle between the two gradients [n], float64; 0 where one is zero.
    """

    rank: Tensor
    sine: Tensor


@dataclass(frozen=True)
class LocalDimensions:
    """Singular values of samples projected from around points of the boundary.

    Attributes:
        boundary, level: singular values of the centred samples on the boundary and on the level set, descending,
            float64 [n, radii, dimension]. boundary_dropped, level_dropped: how many of the values lie below the others:
            the dimensions missing [n, radii], int64; -1 where no more samples than dimensions arrived, and values are
            nan. boundary_found, level_found: samples that reached either [n, radii], int64.
    """

    boundary: Tensor
    level: Tensor
    boundary_dropped: Tensor
    level_dropped: Tensor
    boundary_found: Tensor
    level_found: Tensor


def project_to_level(
    model: Classifier, x: Tensor, pair: Tensor, rest: Tensor, *, steps: int = 20, batch_size: int = 4096
) -> LevelPoints:
    """Project points onto decision level sets by Newton's method on both equations (definition 30.3).

    F_1 = F_2 = a says that the logits tie and that all other classes together have the odds (1 - 2a) / 2a. Each step is
    the shortest one that solves the linearised equations of the logits and of the odds' logarithm.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd, rows independent of each other.
        x: points [n, ...], floating point. pair: classes [n, 2], int64.
        rest: 1 - 2a, what the pair leaves to other classes at the level a [n], float64, in (0, 1); of two classes it is
            0 and not looked at.
        steps: at most. batch_size: images of a forward pass.

    Raises:
        ValueError: pairs or rests of another shape or range.
    """
    if pair.shape != (len(x), 2) or rest.shape != (len(x),) or not bool(((rest >= 0) & (rest < 1)).all()):
        raise ValueError(
            f"expected a pair of classes and a probability left to others in [0, 1) for each of {len(x)} points, found "
            f"shapes {tuple(pair.shape)} and {tuple(rest.shape)}"
        )
    point = x.detach().clone()
    target = torch.logit(rest.double()).to(x)
    active = torch.arange(len(x), device=x.device)
    tolerance = math.sqrt(torch.finfo(x.dtype).eps)
    values = torch.zeros(len(x), 2, dtype=x.dtype, device=x.device)
    for _ in range(steps + 1):
        value, gradient = _constraints(model, point[active], pair[active], batch_size)
        if value.shape[1] == 2:
            value[:, 1] -= target[active]
        values[active, : value.shape[1]] = value
        off = (value.abs() > tolerance / 10).any(1) & torch.isfinite(value).all(1)
        active, value, gradient = active[off], value[off], gradient[off].double()
        if len(active) == 0:
            break
        gram = gradient @ gradient.transpose(1, 2)
        scale = torch.linalg.pinv(gram, hermitian=True, rtol=tolerance)
        step = torch.einsum("nid,nij,nj->nd", gradient, scale, -value.double())
        point[active] += step.reshape(point[active].shape).to(point)
    logits = logits_in_batches(model, torch.nan_to_num(point), batch_size)
    leads = logits.gather(1, pair).amin(1) >= logits.scatter(1, pair, -math.inf).amax(1)
    found = (values.abs() <= tolerance).all(1) & leads
    point[~found] = math.nan
    return LevelPoints(point, values[:, 0], values[:, 1], found)


def constraint_rank(model: Classifier, points: BoundaryPoints, *, batch_size: int = 4096) -> Jacobian:
    """Rank of the Jacobian of the two equations at points of the boundary: the local answer to definition 30.4.

    Gradients whose angle has a sine below the square root of the images' precision count as one.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd. points: n points of the boundary.

    Returns:
        Rank and sine of each [n].
    """
    place = torch.nan_to_num(points.point)
    _, gradient = _constraints(model, place, points.pair.clamp_min(0), batch_size)
    length = gradient.norm(dim=2)
    if gradient.shape[1] == 1:
        rank = (length > 0).sum(1)
        return Jacobian(torch.where(points.found, rank, -1), torch.where(points.found, 0.0, math.nan).double())
    tolerance = math.sqrt(torch.finfo(gradient.dtype).eps)
    one, two = (unit(row.double()) for row in gradient.unbind(1))
    # Of unit vectors; the difference keeps the digits that 1 - cos^2 would lose.
    cosine = (one * two).sum(1)
    sine = torch.nan_to_num((two - cosine[:, None] * one).norm(dim=1))
    nonzero = (length > 0).sum(1)
    rank = torch.where((nonzero == 2) & (sine <= tolerance), 1, nonzero)
    return Jacobian(torch.where(points.found, rank, -1), torch.where(points.found, sine, math.nan))


def local_dimensions(
    model: Classifier, points: BoundaryPoints, radii: Tensor, offsets: Tensor, *, batch_size: int = 4096
) -> LocalDimensions:
    """Dimensions that samples lose when they are projected onto the boundary and onto the level set of their centre.

    Args:
        model: as for `project_to_level`. points: of the boundary, all found [n, ...].
        radii: that the offsets are multiplied with, in units of the images [radii].
        offsets: of the samples from each point [m, dimension], more of them than dimensions, all their singular values
            equal (`boundary_spectra.offsets`).

    Raises:
        ValueError: no more offsets than dimensions, or points that were not found.
    """
    n, shape = len(points.point), points.point.shape[1:]
    dimension = math.prod(shape)
    if offsets.ndim != 2 or offsets.shape[1] != dimension or len(offsets) <= dimension or not bool(points.found.all()):
        raise ValueError(
            f"expected points that were found and more offsets than {dimension} dimensions, found "
            f"{int(points.found.sum())} of {n} points and offsets of shape {tuple(offsets.shape)}"
        )
    values = torch.full((2, n, len(radii), dimension), math.nan, dtype=torch.float64)
    missing, arrived = (torch.full((2, n, len(radii)), -1) for _ in range(2))
    logits = logits_in_batches(model, points.point, batch_size)
    rest = logits.double().softmax(1).scatter(1, points.pair, 0.0).sum(1)
    for i in range(n):
        pairs, left = points.pair[i].expand(len(offsets), 2), rest[i].expand(len(offsets))
        for j, radius in enumerate(radii.tolist()):
            x = points.point[i] + (radius * offsets).to(points.point).reshape(-1, *shape)
            on_boundary = descend(model, x, pairs, tolerance=TOLERANCE * radius, batch_size=batch_size)
            on_level = project_to_level(model, x, pairs, left, batch_size=batch_size)
            reached = (on_boundary.point[on_boundary.found], on_level.point[on_level.found])
            for k, landed in enumerate(reached):
                rows = landed.flatten(1).double()
                arrived[k, i, j] = len(rows)
                if len(rows) > dimension:
                    values[k, i, j] = singular_values(rows)
                    missing[k, i, j] = dropped_values(values[k, i, j].numpy(), FLAT_RATIO).count
    return LocalDimensions(*values, *missing, *arrived)


def probability_images(logits: Tensor, pair: Tensor, third: Tensor | None = None) -> Tensor:
    """Where points lie in probability space: of the pair, of a third class, and of all the rest (section 29.4).

    Args:
        logits: [n, classes]. pair: two classes of each point [n, 2]. third: another class of each [n]; by default
            the one with the largest logit outside of the pair.

    Returns:
        Probabilities [n, 4], float64, which add to one; the last two are zero where there are no more classes.
    """
    p = logits.double().softmax(1)
    both = p.gather(1, pair)
    others = p.scatter(1, pair, 0.0)
    if p.shape[1] == 2:
        return torch.cat([both, torch.zeros_like(both)], 1)
    third = others.argmax(1) if third is None else third
    single = others.gather(1, third[:, None])
    return torch.cat([both, single, others.scatter(1, third[:, None], 0.0).sum(1, keepdim=True)], 1)


def along_lines(
    model: Classifier, start: Tensor, end: Tensor, pair: Tensor, points: int, *, batch_size: int = 4096
) -> tuple[Tensor, Tensor]:
    """Images of lines in probability space: curves.

    Args:
        start, end: images [n, ...]. pair: classes of the crossing [n, 2]. points: places along each line.

    Returns:
        Shares of the way [points], and `probability_images` [n, points, 4], float64. The third class of a line is that
        of the largest mean probability along it.
    """
    t = torch.linspace(0, 1, points, dtype=torch.float64, device=start.device)
    places = torch.lerp(start.double()[:, None], end.double()[:, None], t.reshape(-1, *[1] * (start.ndim - 1)))
    logits = logits_in_batches(model, places.flatten(0, 1).to(start), batch_size)
    mean = logits.double().softmax(1).reshape(len(start), points, logits.shape[1]).mean(1).scatter(1, pair, -1.0)
    third = mean.argmax(1).repeat_interleave(points)
    return t, probability_images(logits, pair.repeat_interleave(points, 0), third).reshape(len(start), points, 4)


def simplex(probabilities: Tensor) -> Tensor:
    """Barycentric coordinates in the plane of three probabilities [..., 3], relative to their sum: [..., 2].

    The corners are (0, 0), (1, 0) and (1/2, sqrt(3)/2); the decision boundary of the first two classes is the line from
    the centre of the triangle to the middle of its lower side.
    """
    share = probabilities / probabilities.sum(-1, keepdim=True)
    corners = torch.tensor([[0, 0], [1, 0], [0.5, math.sqrt(0.75)]], dtype=share.dtype, device=share.device)
    return share @ corners


def _constraints(model: Classifier, x: Tensor, pair: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Margin and ln odds of all others against the pair [n, 2], and gradients [n, 2, dimension]; of two classes one."""
    values, gradients = [], []
    for piece, classes in zip(x.split(batch_size), pair.split(batch_size), strict=True):
        with torch.enable_grad():
            variable = piece.detach().requires_grad_(True)
            logits = model(variable)
            equations = [margins(logits, classes[:, 0], classes[:, 1])]
            if logits.shape[1] > 2:
                others = logits.scatter(1, classes, -math.inf).logsumexp(1)
                equations.append(others - logits.gather(1, classes).logsumexp(1))
            slopes = [torch.autograd.grad(e.sum(), variable, retain_graph=True)[0].flatten(1) for e in equations]
        values.append(torch.stack([e.detach() for e in equations], 1))
        gradients.append(torch.stack(slopes, 1))
    return torch.cat(values), torch.cat(gradients)
