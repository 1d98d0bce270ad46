"""Follow the boundary between two classes over a support vector machine's regularisation (Tanay, figures 5 to 7)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.tilting.plane import (
    Centroids,
    adversarial_distance,
    boundary_offset,
    centroids,
    deviation_angle,
    measured_distance,
    mirror_images,
    plane_coordinates,
    rotation_frame,
    tilt_directions,
)
from neighborhoods.tilting.support_vectors import SupportVectors, svm_path
from pipeline.data.pairs import read_pair
from pipeline.results.shared import IMAGE_DIMS, PIXELS
from pipeline.store import Provenance, Writer, writing

SPLITS = ("train", "test")


def trace(
    *,
    data: str,
    pair: str,
    output: str,
    images: int,
    cost: float,
    alpha_min: float,
    alpha_max: float,
    alpha_steps: int,
    tolerance: float,
    points: int,
    digits: int,
    rotation: Sequence[float],
    confidence: float,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write classifiers, angles, errors, projections and mirror images along the path.

    Args:
        pair: the classes, e.g. 2v3; the second one is +1. images: first training images of each class that are taken,
            equally many of both, at most. cost: C lambda. alpha_min, alpha_max, alpha_steps: log10 of lambda, in so
            many steps. points, digits: of each class that are projected and mirrored. rotation: two alphas.
    """
    found = {split: read_pair(data, split, pair, images if split == "train" else None) for split in SPLITS}
    splits = {split: (torch.tensor(points_of), torch.tensor(side)) for split, (points_of, side, _) in found.items()}
    (x, y), shape = splits["train"], found["train"][2]
    # Sums of tenths are not tenths.
    alpha = torch.linspace(alpha_min, alpha_max, alpha_steps + 1, dtype=torch.float64).round(decimals=9) + 0.0
    centre = centroids(x, y)
    machines = svm_path(x, y, cost / 10**alpha, tolerance)
    theta = deviation_angle(machines.weight, centre.direction)
    with writing(output, provenance) as file:
        file.attribute("pair", pair)
        file.attribute("confidence", confidence)
        _put(file, "alpha", alpha, "log10 of the regularisation lambda", "1")
        _put(file, "cost", cost / 10**alpha, "C of the support vector machine", "1")
        _put(file, "theta", theta, "angle between weight and direction of the centroids", "degree")
        distance = adversarial_distance(theta, centre.distance)
        _put(file, "d_adv", distance, "adversarial distance, half the centroids' distance times cos theta", PIXELS)
        file.put("d_adv_zero", centre.distance / 2, "adversarial distance at theta = 0", (), PIXELS)
        classifiers = zip(machines.weight, machines.bias, strict=True)
        measured = torch.tensor([measured_distance(x, y, w, b) for w, b in classifiers], dtype=x.dtype)
        _put(file, "measured/signed", measured[:, 0], "half the mean distance to mirror images, signed", PIXELS)
        _put(file, "measured/plain", measured[:, 1], "half the mean distance to mirror images", PIXELS)
        for place, name in enumerate(("signed", "plain")):
            _put(file, f"residual/{name}", measured[:, place] - distance, f"measured/{name} less d_adv", PIXELS)
        file.put("weight", machines.weight, "weights w of the classifiers", ("alpha", "pixel"))
        for name in ("bias", "objective", "gap", "steps"):
            text = f"{name} of the support vector machines" + (", relative, of primal and dual" * (name == "gap"))
            _put(file, name, getattr(machines, name), text, "1")
        for split in SPLITS:
            _put_errors(file, split, *splits[split], machines, confidence)
        _put_plane(file, x, y, centre, machines, points)
        _put_digits(file, x, y, shape, machines, digits)
        _put_rotation(file, x, y, centre, machines, alpha, rotation, points)


def _put(file: Writer, name: str, values: Tensor, text: str, units: str) -> None:
    file.put(name, values.numpy(), text, ("alpha",), units)


def _put_errors(file: Writer, split: str, x: Tensor, y: Tensor, machines: SupportVectors, confidence: float) -> None:
    wrong = (y[:, None] * (x @ machines.weight.T + machines.bias) <= 0).sum(0).numpy()
    low, high = clopper_pearson(wrong, len(y), confidence)
    file.put(f"{split}/n", len(y), f"{split} images", ())
    file.put(f"{split}/best", int(wrong.argmin()), "place of the smallest error, the first of equals", ())
    for name, values in (("error", wrong / len(y)), ("low", low), ("high", high)):
        text = f"share of {split} images on the wrong side" + (", limit of its interval" * (name != "error"))
        file.put(f"{split}/{name}", values, text, ("alpha",))


def _first(y: Tensor, count: int) -> Tensor:
    """Rows of the first so many of each class."""
    return torch.cat([(y == label).nonzero()[:count, 0] for label in (-1, 1)])


def _put_plane(file: Writer, x: Tensor, y: Tensor, centre: Centroids, machines: SupportVectors, points: int) -> None:
    tilts = tilt_directions(machines.weight, centre.direction)
    rows = _first(y, points)
    places = [plane_coordinates(x[rows], centre.middle, centre.direction, tilt) for tilt in tilts]
    file.put("plane/label", y[rows].long(), "class of the projected images, -1 or +1", ("point",))
    text = "training images in the tilting plane: along z, along n"
    file.put("plane/coordinates", torch.stack(places).float(), text, ("alpha", "point", "axis"), PIXELS)
    offset = boundary_offset(machines.weight, machines.bias, centre.middle)
    _put(file, "plane/offset", offset, "signed distance from the boundary to the centroids' middle", PIXELS)


def _put_digits(
    file: Writer, x: Tensor, y: Tensor, shape: tuple[int, ...], machines: SupportVectors, digits: int
) -> None:
    rows = _first(y, digits)
    mirrored = [mirror_images(x[rows], w, b) for w, b in zip(machines.weight, machines.bias, strict=True)]
    file.put("digits/image", x[rows].float().reshape(-1, *shape), "first training images", IMAGE_DIMS, PIXELS)
    file.put("digits/label", y[rows].long(), "their class, -1 or +1", ("image",))
    text = "their mirror images across each boundary; may leave the range of pixels"
    stacked = torch.stack(mirrored).float().reshape(len(mirrored), len(rows), *shape)
    file.put("digits/mirror", stacked, text, ("alpha", *IMAGE_DIMS), PIXELS)


def _put_rotation(
    file: Writer,
    x: Tensor,
    y: Tensor,
    centre: Centroids,
    machines: SupportVectors,
    alpha: Tensor,
    rotation: Sequence[float],
    points: int,
) -> None:
    """The space of z and the two weights nearest to the alphas asked for."""
    places = (alpha[:, None] - torch.tensor(rotation, dtype=alpha.dtype)).abs().argmin(0)
    weights = machines.weight[places]
    frame = rotation_frame(centre.direction, *weights)
    file.put("rotation/alpha", alpha[places], "log10 of lambda of the two weights", ("position",))
    coordinates = ((x[_first(y, points)] - centre.middle) @ frame.T).float()
    file.put("rotation/coordinates", coordinates, "training images along z and two axes", ("point", "axis"), PIXELS)
    units = weights @ frame.T / weights.norm(dim=1, keepdim=True)
    file.put("rotation/weight", units, "unit weights along these axes", ("position", "axis"))
    offset = boundary_offset(weights, machines.bias[places], centre.middle)
    file.put("rotation/offset", offset, "signed distance from boundary to centroids' middle", ("position",), PIXELS)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        data, pair = snakemake.input.data, snakemake.wildcards.pair
        trace(data=data, pair=pair, output=snakemake.output[0], provenance=run.provenance, **run.settings)
