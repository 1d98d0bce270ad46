"""Persistence against the distance to the boundary: what cones do to it, and what a flat boundary would.

Even a flat boundary makes persistence drop to zero where a line crosses it, so Bell's argument (section 5) rests on the
asymmetry: persistence / distance on the two sides of a crossing, and natural against adversarial images at matched
distance (errata of Part I). The null is the half-space, one face.
"""

from dataclasses import dataclass
from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.boundary.points import cross, margin_gradients
from neighborhoods.cones.closed_forms import face_number
from neighborhoods.persistence.measure import Search, persistence


@dataclass(frozen=True)
class Faces:
    """Distance, persistence and face number of each image [images], float64.

    Attributes:
        distance: to the nearest boundary found, an upper bound. sigma, low, high, status: persistence and its interval.
        faces, faces_low, faces_high: k = ln(gamma) / ln Phi(distance / sigma*) and the interval that persistence's
            leaves it. A distance found too large makes k too large.
    """

    distance: NDArray[np.float64]
    sigma: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    status: list[str]
    faces: NDArray[np.float64]
    faces_low: NDArray[np.float64]
    faces_high: NDArray[np.float64]


def face_numbers(
    model: nn.Module,
    x: Tensor,
    gamma: float = 0.7,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    **search: Unpack[Search],
) -> Faces:
    """Face numbers of images [images, ...], nan where no boundary is found; arguments, errors as for `persistence`."""
    found = persistence(model, x, gamma, samples, confidence, seed, **search)
    distance = boundary_distance(model, x).distance.cpu().numpy()
    sigma, low, high = (column.numpy() for column in (found.sigma, found.low, found.high))
    usable = np.isfinite(distance) & (distance > 0)
    d = np.where(usable, distance, 1.0)
    # Censored above: the face number is at most that at the end of the range.
    numbers = [np.where(usable, face_number(d, s, gamma), np.nan) for s in (sigma, high, low)]
    return Faces(distance, sigma, low, high, found.status, *numbers)


@dataclass(frozen=True)
class Crossing:
    """Points on either side of the first change of class along lines [lines, ...].

    Attributes:
        near, far: points at `step` before and beyond the boundary along its normal, in the first class and the next.
        step: L2 length [lines], float64. usable: whether both lie in their classes [lines].
        t: where on the line it is crossed, 0 to 1 [lines].
    """

    near: Tensor
    far: Tensor
    step: Tensor
    usable: Tensor
    t: Tensor


def crossing(model: nn.Module, start: Tensor, end: Tensor, part: float = 0.5) -> Crossing:
    """Step off the boundary by equal distances to both sides of where lines first change class.

    The step is `part` of the shorter way from the crossing to either end of its line, along the gradient of the
    difference of the two classes' logits.

    Args:
        model: images [B, ...] to logits. start, end: images [lines, ...] of different classes.
        part: in (0, 1].

    Raises:
        ValueError: a line never changes class.
    """
    crossed = cross(model, start, end)
    if not bool(torch.isfinite(crossed.t).all()):
        raise ValueError("each line must change class")
    found, flat = crossed.found, [1] * (start.ndim - 1)
    place = torch.where(found.reshape(-1, *flat), crossed.point, start)
    own, beyond = crossed.pair.clamp_min(0).unbind(1)
    gradient = margin_gradients(model, place, own, beyond)[1].double()
    length = (end - start).double().flatten(1).norm(dim=1)
    step = part * torch.minimum(crossed.t, 1 - crossed.t) * length
    norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-30)
    shift = gradient * (step / norm).reshape(-1, *flat)
    near, far = ((place.double() + sign * shift).to(start) for sign in (1, -1))
    with torch.no_grad():
        usable = (model(near).argmax(1) == own) & (model(far).argmax(1) == beyond) & (step > 0) & found
    return Crossing(near, far, step, usable, crossed.t)


def match(first: ArrayLike, second: ArrayLike, caliper: float = 0.1) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of indices whose distances are alike: each of `second` with the nearest of `first`, within a caliper.

    Matching is on the logarithm of distance, with replacement.

    Args:
        first, second: positive distances [n], [m]. caliper: largest difference of their natural logarithms.
    """
    a, b = np.log(np.asarray(first, float)), np.log(np.asarray(second, float))
    nearest = np.abs(a[None] - b[:, None]).argmin(1)
    close = np.abs(a[nearest] - b) <= caliper
    return nearest[close], np.flatnonzero(close)
