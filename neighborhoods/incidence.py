"""Angles between a segment and the decision boundary where it first crosses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

from neighborhoods.asymmetry import crossing


@dataclass(frozen=True)
class Incidence:
    """First changes of class along segments from start [S, ...] to end.

    Attributes:
        t: place on the segment, 0 to 1 [S], float64.
        point: where that is [S, ...].
        normal: of the boundary there, into the new class, of any length [S, ...].
        angle: between segment and normal in radians, 0 where the crossing is orthogonal [S], float64.
    """

    t: Tensor
    point: Tensor
    normal: Tensor
    angle: Tensor


def angle_of_incidence(direction: Tensor, normal: Tensor) -> Tensor:
    """Angle between lines and the normals of the faces that they cross (Bell, definition 30.1), in radians.

    The definition names two angles that add up to a right one. This is the angle to the normal: 0 for an orthogonal
    crossing, pi / 2 for a line in the face. Precise also near 0, where the arc cosine loses half of the digits.

    Args:
        direction, normal: vectors [S, ...] of any length; their signs do not matter.

    Returns:
        Angles in [0, pi / 2] [S], float64; nan where a vector is 0.

    Raises:
        ValueError: shapes that differ.
    """
    if direction.shape != normal.shape or direction.ndim < 2:
        raise ValueError(
            f"expected directions and normals [S, ...] of one shape, found {tuple(direction.shape)} and "
            f"{tuple(normal.shape)}"
        )
    along, across = (vectors.double().flatten(1) for vectors in (direction, normal))
    along, across = (vectors / vectors.norm(dim=1, keepdim=True) for vectors in (along, across))
    cosine = (along * across).sum(1)
    sine = (along - cosine[:, None] * across).norm(dim=1)
    return torch.atan2(sine, cosine.abs())


def random_angle(dimension: int) -> float:
    """Median angle, in radians, between a random direction and the normal of a face: what angles are compared with.

    The squared cosine has the law Beta(1/2, (dimension - 1) / 2), which piles up at 0 in many dimensions.

    Raises:
        ValueError: a dimension below 2.
    """
    if dimension < 2:
        raise ValueError(f"expected a dimension of at least 2, found {dimension}")
    return float(np.arccos(np.sqrt(special.betaincinv(0.5, (dimension - 1) / 2, 0.5))))


def network_incidence(model: nn.Module, start: Tensor, end: Tensor) -> Incidence:
    """Where segments first leave the class of their start according to a network, and at which angle.

    The normal is the gradient of the difference of both classes' logits. A class that a segment enters and leaves again
    between two of the places looked at (`asymmetry.LINE_POINTS`) goes unseen.

    Args:
        model: images [B, ...] to logits. start, end: images [S, ...] of different classes.

    Raises:
        ValueError: a segment has both ends in one class.
    """
    found = crossing(model, start, end)
    flat = [1] * (start.ndim - 1)
    line = (end - start).double()
    normal = found.far.double() - found.near.double()
    return Incidence(
        t=found.t,
        point=start.double() + found.t.reshape(-1, *flat) * line,
        normal=normal,
        angle=angle_of_incidence(line, normal),
    )
