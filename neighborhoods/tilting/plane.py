"""Boundary tilting: where the boundary of a linear classifier lies against the classes (Tanay; Tanay and Griffin 2016).

A linear classifier w . x + b is compared with the one that bisects the classes, whose weight is the direction z between
their centroids. All that matters happens in the plane of z and w, in whatever dimension: the boundary is tilted by the
angle between them, and the nearer it comes to the data, the smaller adversarial perturbations are.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.networks.inputs import Array, tensor_of
from neighborhoods.statistics.intervals import Estimate, difference, share, student, summarize

# Below this angle in degrees a weight has no direction of tilt: what is left is the solver's error.
NO_TILT = 1e-2


@dataclass(frozen=True)
class Centroids:
    """Nearest-centroid classifier of two classes.

    Attributes:
        direction: unit vector z from the first class's centroid to the second's [D]. middle: point half way [D].
        distance: between the centroids.
    """

    direction: Tensor
    middle: Tensor
    distance: float


def centroids(x: Tensor, y: Tensor) -> Centroids:
    """Direction between the class means (errata of Tanay's Gram-Schmidt formula: z = (j - i) / ||j - i||).

    Args:
        x: points [N, D]. y: classes, -1 or +1 [N].

    Raises:
        ValueError: a class is empty, or both have one centroid.
    """
    for label in (-1, 1):
        if not (y == label).any():
            raise ValueError(f"expected points of both classes, found none labelled {label:+d}")
    first, second = x[y < 0].mean(0), x[y > 0].mean(0)
    apart = second - first
    distance = float(apart.norm())
    # Equal means of points in another order differ by rounding.
    if not distance > 8 * torch.finfo(x.dtype).eps * float(torch.maximum(first.norm(), second.norm())):
        raise ValueError("expected two classes with centroids apart, found equal centroids")
    return Centroids(apart / distance, (first + second) / 2, distance)


def deviation_angle(weight: Tensor, direction: Tensor) -> Tensor:
    """Angle theta in degrees between each weight [..., D] and a unit vector [D], exact for small angles too.

    Raises:
        ValueError: a weight of length zero.
    """
    if not (weight.norm(dim=-1) > 0).all():
        raise ValueError("expected weights of a length above zero, found one that is zero")
    along = weight @ direction
    across = (weight - along[..., None] * direction).norm(dim=-1)
    return torch.rad2deg(torch.atan2(across, along))


def adversarial_distance(theta: Tensor, distance: float) -> Tensor:
    """d_adv = ½ ||j - i|| cos(theta), the mean distance of the classes to a boundary (Tanay).

    Args:
        theta: angles from the centroids' direction in degrees [L]. distance: ||j - i||, in units of the images.

    Returns:
        Distances [L], in the same units.
    """
    return distance / 2 * torch.deg2rad(theta).cos()


def tilt_directions(weights: Tensor, direction: Tensor) -> Tensor:
    """Second axis n of each weight's tilting plane, by Gram-Schmidt: n = w - (w . z) z, then of unit length.

    A weight along z lies in every plane through z. It takes the plane of the nearest weight of the list that has one.

    Args:
        weights: along a path [L, D]. direction: z, unit vector [D].

    Returns:
        Unit vectors orthogonal to z [L, D].

    Raises:
        ValueError: all weights lie along z.
    """
    tilted = deviation_angle(weights, direction) > NO_TILT
    if not tilted.any():
        raise ValueError("expected a weight with an angle to the centroids' direction, found all of them along it")
    own = tilted.nonzero()[:, 0]
    nearest = own[(torch.arange(len(weights), device=own.device)[:, None] - own).abs().argmin(1)]
    chosen = weights[nearest]
    # Twice, since one pass leaves rounding along z that counts where the tilt is small.
    for _ in range(2):
        chosen = chosen - (chosen @ direction)[:, None] * direction
    return chosen / chosen.norm(dim=1, keepdim=True)


def plane_coordinates(x: Tensor, middle: Tensor, direction: Tensor, tilt: Tensor) -> Tensor:
    """Coordinates of points [N, D] along z and n, from the point half way between the centroids [N, 2]."""
    return (x - middle) @ torch.stack([direction, tilt], dim=1)


def boundary_offset(weight: Tensor, bias: Tensor, middle: Tensor) -> Tensor:
    """Signed distance of the centroids' middle to each boundary [L]; weights [L, D], biases [L].

    In the tilting plane the boundary is the line u cos(theta) + v sin(theta) + offset = 0.
    """
    return (weight @ middle + bias) / weight.norm(dim=-1)


def mirror_images(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Reflections of points [N, D] across the boundary of one classifier: x - 2 (w . x + b) w / ||w||².

    The smallest perturbation to another class of the same confidence; half of it ends on the boundary. Values may
    leave the range of pixels.
    """
    return x - 2 * ((x @ weight + bias) / weight.square().sum())[:, None] * weight


def measured_distance(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor) -> tuple[float, float]:
    """Half the distance between points and their mirror images, the mean of both classes' means.

    Args:
        x: points [N, D]. y: their classes, -1 or +1, both present [N]. weight: w [D], not zero. bias: b, a scalar.

    Returns:
        In units of the points; with points on the wrong side counted as negative, which is what the closed form
        gives, and as positive.
    """
    mirrored = mirror_images(x, weight, bias)
    half = (mirrored - x).norm(dim=1) / 2
    right = torch.where(y * (x @ weight + bias) < 0, -1.0, 1.0)
    signed, plain = ((values[y < 0].mean() + values[y > 0].mean()) / 2 for values in (half * right, half))
    return float(signed), float(plain)


@dataclass(frozen=True)
class Tilt:
    """A linear boundary between two classes, with intervals for images of the same kind; the classifier is as given.

    Attributes:
        angle: theta in degrees, between the weight and the direction between the classes' means. The scatter of a mean
            of few images turns that direction away from every weight; this is taken out.
        distance: mean L2 distance to the boundary, of both classes' means, images on the wrong side counted as
            negative; the closed form is `adversarial_distance`.
        untilted: the same for the boundary that bisects the means, which no other exceeds.
        wrong: share of images on the wrong side.
    """

    angle: Estimate
    distance: Estimate
    untilted: Estimate
    wrong: Estimate

    def __repr__(self) -> str:
        return f"Tilt(angle {self.angle}; distance {self.distance}; untilted {self.untilted}; wrong {self.wrong})"


def boundary_tilt(first: Array, second: Array, weight: Array, bias: Array | float, *, confidence: float = 0.95) -> Tilt:
    """Tilt of a linear classifier's boundary against two classes of images (Tanay).

    The images are such as the classifier was not fitted to: its own have means that it knows, and make the angle small.
    Intervals are Student's, of the jackknife over the images of both classes for what rests on their means, and Clopper
    and Pearson's for the share.

    Args:
        first, second: images of the two classes [n, ...], [m, ...], at least three of each, tensors or arrays.
        weight: w, as many numbers as an image has, positive towards the second class. bias: b, one number.
        confidence: level of the intervals.

    Raises:
        ValueError: images of two shapes or fewer than three of a class, a weight of another size or zero, numbers that
            are not finite, or classes with equal means.
    """
    pieces = [tensor_of(images, "images").double() for images in (first, second)]
    if any(x.ndim < 2 or len(x) < 3 for x in pieces) or pieces[0].shape[1:] != pieces[1].shape[1:]:
        raise ValueError(
            f"expected at least three images of each class [n, ...] and all of one shape, found "
            f"{tuple(pieces[0].shape)} and {tuple(pieces[1].shape)}"
        )
    pieces = [x.flatten(1).to(pieces[0].device) for x in pieces]
    x = torch.cat(pieces)
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the images must be finite, found some that are infinite or not a number")
    w = tensor_of(weight, "the weight").double().flatten().to(x.device)
    b = (
        tensor_of(bias, "the bias").double().flatten().to(x.device)
        if not isinstance(bias, float)
        else w.new_tensor([bias])
    )
    if w.shape != x.shape[1:] or b.shape != (1,) or not bool(torch.isfinite(w).all() & torch.isfinite(b).all()):
        raise ValueError(
            f"expected a finite weight of {x.shape[1]} numbers and one bias, found shapes {tuple(w.shape)} and "
            f"{tuple(b.shape)}"
        )
    y = torch.cat([torch.full((len(part),), side).to(x) for part, side in zip(pieces, (-1.0, 1.0), strict=True)])
    found = centroids(x, y)
    steep = float(deviation_angle(w, found.direction))
    score = (x @ w + b) / w.norm()
    sides = [summarize(part.cpu().numpy(), None, confidence) for part in score.split([len(part) for part in pieces])]
    apart = difference(sides[1], sides[0], confidence)
    axis = w / w.norm()
    # Smooth where the angle is small, and its square less the scatter's may be negative.
    if 45 < steep < 135:
        angle = _jackknife(
            pieces, axis, lambda along, square: torch.atan2(square.clamp_min(0).sqrt(), along), confidence
        )
        angle = _mapped(angle, math.degrees)
    else:
        sine = _jackknife(pieces, axis, lambda along, square: square / (square + along.square()), confidence)
        angle = _mapped(sine, lambda value: math.degrees(math.asin(math.sqrt(min(max(value, 0.0), 1.0)))))
        angle = angle if steep < 90 else Estimate(180 - angle.value, 180 - angle.high, 180 - angle.low, angle.n)
    square = _jackknife(pieces, axis, lambda along, square: square + along.square(), confidence)
    return Tilt(
        angle,
        Estimate(apart.mean / 2, apart.low / 2, apart.high / 2, len(x)),
        _mapped(square, lambda value: math.sqrt(max(value, 0.0)) / 2),
        share((score * y <= 0).cpu().numpy(), confidence),
    )


def _mapped(found: Estimate, rule: Callable[[float], float]) -> Estimate:
    return Estimate(rule(found.value), rule(found.low), rule(found.high), found.n)


def _jackknife(
    pieces: list[Tensor], axis: Tensor, statistic: Callable[[Tensor, Tensor], Tensor], confidence: float
) -> Estimate:
    """A function of the difference of two classes' means: of its part along a unit vector, and the square of the rest.

    What the scatter of the means adds to that square is taken out. The jackknife leaves out each image once and takes
    out what bias is left (Quenouille 1956); its variance is that of both classes' parts, with Welch's degrees of
    freedom.
    """
    apart = pieces[1].mean(0) - pieces[0].mean(0)
    along = apart @ axis
    across = apart - along * axis
    moved = [points - points.mean(0) for points in pieces]
    beside = [part - (part @ axis)[:, None] * axis for part in moved]
    scatter = [part.square().sum() / (len(part) * (len(part) - 1)) for part in beside]
    estimate = plain = float(statistic(along, across.square().sum() - scatter[0] - scatter[1]))
    parts = []
    for i, sign in ((0, 1), (1, -1)):
        n = len(pieces[i])
        # What leaving out one point adds to the difference of means.
        step = sign / (n - 1)
        lengths = beside[i].square().sum(1)
        squares = across.square().sum() + 2 * step * beside[i] @ across + step**2 * lengths
        left = (lengths.sum() - n / (n - 1) * lengths) / ((n - 1) * (n - 2))
        without = statistic(along + step * moved[i] @ axis, squares - left - scatter[1 - i])
        estimate -= (n - 1) * (float(without.mean()) - plain)
        parts.append(((n - 1) / n * float((without - without.mean()).square().sum()), n - 1))
    variance = sum(part for part, _ in parts)
    count = sum(map(len, pieces))
    if not variance > 0:
        return Estimate(estimate, estimate, estimate, count)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = math.sqrt(variance) * float(student(confidence, freedom))
    return Estimate(estimate, estimate - half, estimate + half, count)


@dataclass(frozen=True)
class Toy:
    """Classes I and J of the toy problem in D dimensions.

    Attributes:
        x: images [N, D]. y: classes, -1 for I and +1 for J [N]. direction, tilt: unit vectors z and n [D].
    """

    x: Tensor
    y: Tensor
    direction: Tensor
    tilt: Tensor


def toy_problem(dimension: int, images: int) -> Toy:
    """Two classes that vary along one direction only, so that any tilt toward another separates them too.

    Tanay does not define I and J. Here an image is grey with one brightness, ½ + t / 2, t from -1 to -½ for I and from
    ½ to 1 for J; z is brightness, and n half a cosine wave over the pixels: the first two vectors of the discrete
    cosine transform. Distances over the square root of the dimension are the same in all dimensions.

    Args:
        dimension: pixels D, at least 2. images: of each class.

    Raises:
        ValueError: fewer than 2 pixels or images.
    """
    if dimension < 2 or images < 2:
        raise ValueError(f"expected at least 2 pixels and 2 images a class, found {dimension} and {images}")
    level = torch.linspace(0.5, 1, images, dtype=torch.float64)
    t = torch.cat([-level, level])
    place = (torch.arange(dimension, dtype=torch.float64) + 0.5) / dimension
    direction = torch.full_like(place, 1 / math.sqrt(dimension))
    tilt = (math.pi * place).cos() * math.sqrt(2 / dimension)
    x = (0.5 + t / 2)[:, None].expand(-1, dimension).clone()
    return Toy(x, torch.where(t > 0, 1.0, -1.0).double(), direction, tilt)


def tilted_classifier(toy: Toy, theta: float) -> tuple[Tensor, Tensor]:
    """Unit weight w [D] at theta degrees from z toward n, and the bias that puts the boundary between the classes."""
    angle = math.radians(theta)
    weight = math.cos(angle) * toy.direction + math.sin(angle) * toy.tilt
    return weight, -(toy.x.mean(0) @ weight)


def rotation_frame(direction: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Orthonormal axes of the space of z and two weights: z, the first's tilt, and what the second's adds [3, D].

    Raises:
        ValueError: the weights' tilting planes are one and the same, or one of them has none.
    """
    weights = torch.stack([first, second])
    if not (deviation_angle(weights, direction) > NO_TILT).all():
        raise ValueError("expected two weights with an angle to the centroids' direction, found one along it")
    one, other = tilt_directions(weights, direction)
    for _ in range(2):
        other = other - (other @ one) * one
        if not other.norm() > math.radians(NO_TILT):
            raise ValueError("expected two weights that tilt in different directions, found one direction")
        other = other / other.norm()
    return torch.stack([direction, one, other])
