"""Singular values of samples that were projected onto a decision boundary (Bell, section 31).

A sample around a point of the boundary is projected by a line to the parent of the other class, or by descent on the
margin. Where the boundary is flat the projected points keep all directions but the normal: one singular value drops.
Bell removes the image at the centre, which is the largest singular direction of points that are not centred, and says
that what remains is the direction of the attack; the cosines here tell.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.boundary.normals import degrees_between, energy_share, margin_normals
from neighborhoods.boundary.points import BoundaryPoints, descend, towards
from neighborhoods.boundary.spectra import (
    dropped_values,
    flattened,
    gaussian_sample,
    singular_values,
    without_direction,
)
from neighborhoods.networks.inference import Classifier

SAMPLES = ("gaussian", "flat")
PROJECTIONS = ("line", "descent")

# Projection may leave points this far from the boundary, relative to the spread of the sample.
TOLERANCE = 1e-3

# Steps of the scan along lines to a parent: samples start near the boundary.
SCAN = 16

POWER_STEPS = 30

# A flat sample that loses directions spreads little in the others: as a Gaussian one of ten points to a dimension.
FLAT_RATIO = 0.1

# Decompositions take time with the cube of the dimension.
MOST_DIMENSIONS = 4096


@dataclass(frozen=True)
class Spectrum:
    """Singular values of one projected sample, and what its directions are.

    Attributes:
        raw: of the points [dimension], descending, float64, over sqrt(points), so that white noise has its standard
            deviation on the mean; nan where no more points than dimensions arrived. centred: of the points less their
            mean. removed: of the points without the boundary image's direction. normals: of unit normals at the points
            where the margin has a gradient; nan where fewer than two have.
        dropped: centred values below the rest; -1 where there are no values.
        found: points that arrived. normal_rank: participation ratio of the normals, (sum s^2)^2 / sum s^4: 1 where
            they are all alike.
        image: |cosine| of the first raw direction with the boundary image.
        attack, normal: |cosines| of the first direction without the image, with the parents' difference and the normal.
        smallest: angle between the smallest centred direction and the normal, in degrees.
        normal_share, attack_share: of the squared length of normal and parents' difference that lies in the dropped
            directions; nan where none dropped.
    """

    raw: Tensor
    centred: Tensor
    removed: Tensor
    normals: Tensor
    dropped: int
    found: int
    normal_rank: float
    image: float
    attack: float
    normal: float
    smallest: float
    normal_share: float
    attack_share: float


def offsets(kind: str, samples: int, dimension: int, seed: int = 0) -> Tensor:
    """Samples of unit variance around zero [samples, dimension], float64.

    Args:
        kind: "gaussian", or "flat" for one whose singular values are all equal also once it is centred.

    Raises:
        ValueError: another kind, no more samples than dimensions, or too many dimensions to decompose.
    """
    if dimension > MOST_DIMENSIONS:
        raise ValueError(f"expected images of at most {MOST_DIMENSIONS} values to decompose, found {dimension}")
    if kind not in SAMPLES or samples <= dimension + 1:
        raise ValueError(
            f"expected one of {', '.join(SAMPLES)} and more than {dimension + 1} samples, found {kind!r} and {samples}"
        )
    z = gaussian_sample(samples, dimension, seed)
    return z if kind == "gaussian" else flattened(z - z.mean(0)) * math.sqrt(samples / (samples - 1))


def spread_ratio(kind: str, samples: int, dimension: int) -> float:
    """The ratio that `spectra.dropped_values` takes, of centred samples of a kind."""
    return FLAT_RATIO if kind == "flat" else dimension / (samples - 1)


def spectrum(
    model: Classifier,
    point: Tensor,
    parents: tuple[Tensor, Tensor],
    offset: Tensor,
    projection: str,
    *,
    ratio: float,
    batch_size: int = 4096,
) -> Spectrum:
    """Project a sample around a point of the boundary onto the boundary, and decompose it.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd.
        point: of the boundary [...]. parents: images [...] of different classes whose line meets the boundary there.
        offset: of the samples from the point [m, dimension], in units of the images.
        projection: "line" to the parent of the other class, or "descent" on the margin of the two leading classes.
        ratio: of the sample before projection, see `spread_ratio`.

    Raises:
        ValueError: another projection, or parents of one class.
    """
    if projection not in PROJECTIONS:
        raise ValueError(f"expected a projection out of {', '.join(PROJECTIONS)}, found {projection!r}")
    x = point + offset.to(point).reshape(-1, *point.shape)
    tolerance = TOLERANCE * float(offset.std())
    landed: BoundaryPoints
    if projection == "line":
        landed = towards(model, x, *parents, points=SCAN, tolerance=tolerance, batch_size=batch_size)
    else:
        landed = descend(model, x, tolerance=tolerance, batch_size=batch_size)
    kept = landed.found.nonzero()[:, 0]
    dimension = point.numel()
    if len(kept) <= dimension:
        none = torch.full((dimension,), math.nan, dtype=torch.float64)
        return Spectrum(none, none, none, none, -1, len(kept), *[math.nan] * 7)
    rows = landed.point[kept].flatten(1).double()
    scale = math.sqrt(len(rows))
    gram, mean = rows.T @ rows, rows.mean(0)
    image, attack = point.flatten().double(), (parents[1] - parents[0]).flatten().double()
    normal = margin_normals(model, descend(model, point[None]), batch_size=batch_size)[0].flatten().double()
    turned = margin_normals(model, landed.at(kept), batch_size=batch_size).flatten(1)
    turned = turned[torch.isfinite(turned).all(1)]
    # Products of centred rows, and of rows without one direction, follow from those of the rows.
    centred, directions = _decomposed(gram - len(rows) * torch.outer(mean, mean))
    rest, rest_directions = _decomposed(without_direction(without_direction(gram, image).T, image))
    raw = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().flip(0).cpu()
    normals = singular_values(turned, centred=False) if len(turned) > 1 else torch.full_like(raw, math.nan)
    normals = torch.cat([normals, normals.new_zeros(dimension - len(normals))])
    count = dropped_values(centred.numpy(), ratio).count
    lost = directions[:, : max(count, 1)].T
    shares = [float(energy_share(v[None], lost)) if count else math.nan for v in (normal, attack)]
    return Spectrum(
        raw=raw / scale,
        centred=centred / scale,
        removed=rest / scale,
        normals=normals / math.sqrt(max(len(turned), 1)),
        dropped=count,
        found=len(rows),
        normal_rank=float(normals.square().sum().square() / normals.pow(4).sum()),
        image=_first_cosine(gram, image),
        attack=_cosine(rest_directions[:, -1], attack),
        normal=_cosine(rest_directions[:, -1], normal),
        smallest=float(degrees_between(directions[None, :, 0], normal[None])),
        normal_share=shares[0],
        attack_share=shares[1],
    )


def random_cosine(dimension: int) -> float:
    """Mean |cosine| of a direction with a random one, Gamma(d / 2) / (sqrt(pi) Gamma((d + 1) / 2))."""
    return math.exp(math.lgamma(dimension / 2) - math.lgamma((dimension + 1) / 2)) / math.sqrt(math.pi)


def _decomposed(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values of rows by their products X^T X [n, n], descending, and right vectors as columns, ascending."""
    squares, vectors = torch.linalg.eigh(gram)
    return squares.clamp_min(0).sqrt().flip(0).cpu(), vectors


def _first_cosine(gram: Tensor, direction: Tensor) -> float:
    """|cosine| of the first right singular vector of rows that share a large part with a direction, by their X^T X."""
    vector = direction / direction.norm()
    # The image outweighs all other directions, so that few steps of the power method are enough.
    for _ in range(POWER_STEPS):
        vector = gram @ vector
        vector = vector / vector.norm()
    return _cosine(vector, direction)


def _cosine(first: Tensor, second: Tensor) -> float:
    return abs(float(first @ second)) / float(first.norm() * second.norm())
