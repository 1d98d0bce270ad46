"""Decision level sets: their points, their dimension, and their images in probability space (Bell, sections 29 and 30.2).

A decision level set is where two classes have one and the same probability a and no other has a larger one. Two
equations hold on it, so where their gradients are independent it has two dimensions less than the space; the
boundary, the union of level sets of all a, has one less. Where the two classes leave nothing to others, a is 1/2
everywhere, the equations coincide, and level set and boundary are one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.boundary import BoundaryPoints, descend, logits_in_batches, margins
from neighborhoods.normals import unit
from neighborhoods.sampling import Classifier
from neighborhoods.spectra import dropped_values, singular_values

# A flat sample that lost dimensions keeps the spread of its other values: as much as if it had 100 points to a dimension.
FLAT_RATIO = 0.01


@dataclass(frozen=True)
class LevelPoints:
    """Points projected onto decision level sets.

    Attributes:
        point: [n, ...]; nan where none was found. gap: difference of the pair's logits there [n]. odds: ln of the odds
            of all other classes less that of the level [n]. found: whether both vanish to the square root of the images'
            precision, and no other class leads [n].
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
class LocalDimension:
    """Singular values of samples projected from around one point.

    Attributes:
        boundary, level: singular values of the centred samples on the boundary and on the level set, descending,
            float64. boundary_dropped, level_dropped: how many of the values lie below the others: the dimensions
            missing; -1 where no more samples than dimensions arrived, and values are nan. boundary_found, level_found: samples that reached either.
    """

    boundary: Tensor
    level: Tensor
    boundary_dropped: int
    level_dropped: int
    boundary_found: int
    level_found: int


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


def local_dimension(
    model: Classifier, point: Tensor, pair: Tensor, offsets: Tensor, *, batch_size: int = 4096
) -> LocalDimension:
    """Dimensions that samples lose when they are projected onto the boundary and onto the level set of its point.

    Args:
        model: as for `project_to_level`. point: of the boundary [...]. pair: its classes [2].
        offsets: of the samples from the point [m, dimension], in units of the images; more of them than dimensions, all
            their singular values equal (`spectra.flattened`).

    Raises:
        ValueError: no more offsets than dimensions.
    """
    if offsets.ndim != 2 or offsets.shape[1] != point.numel() or len(offsets) <= point.numel():
        raise ValueError(f"expected more offsets than {point.numel()} dimensions, found {tuple(offsets.shape)}")
    samples = point + offsets.to(point).reshape(-1, *point.shape)
    pairs = pair.expand(len(samples), 2)
    p = logits_in_batches(model, point[None], batch_size).double().softmax(1)
    rest = p.index_fill(1, pair, 0.0).sum()
    on_boundary = descend(model, samples, pairs, batch_size=batch_size)
    on_level = project_to_level(model, samples, pairs, rest.expand(len(samples)), batch_size=batch_size)
    sets = [found.point[found.found].flatten(1) for found in (on_boundary, on_level)]
    values, missing = zip(*(_spectrum(rows, point.numel()) for rows in sets), strict=True)
    return LocalDimension(*values, *missing, *(len(rows) for rows in sets))


def _spectrum(rows: Tensor, dimension: int) -> tuple[Tensor, int]:
    """Centred singular values of samples that were flat before [m, dimension], and how many dropped; -1 for too few."""
    if len(rows) <= dimension:
        return torch.full((dimension,), math.nan, dtype=torch.float64), -1
    values = singular_values(rows.double())
    return values, dropped_values(values.numpy(), FLAT_RATIO).count


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
