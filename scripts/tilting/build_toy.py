"""Build the toy problem in few and many dimensions, with an upright and a tilted boundary (Tanay, figures 3, 4)."""

from collections.abc import Sequence

import torch

from neighborhoods.tilting.plane import (
    adversarial_distance,
    boundary_offset,
    centroids,
    deviation_angle,
    measured_distance,
    mirror_images,
    plane_coordinates,
    tilted_classifier,
    toy_problem,
)
from pipeline.store import Provenance, writing

UNITS = "1, root mean square over the pixels"


def build(
    *, output: str, dimensions: Sequence[int], images: int, tilt: float, seed: int, provenance: Provenance
) -> None:
    """Write images, mirror images and the plane for each dimension, upright (0 degrees) and tilted.

    Distances are over the square root of the dimension, so that those of different dimensions can be compared.
    """
    with writing(output, provenance) as file:
        file.put("dimension", torch.tensor(dimensions), "pixels of an image", ("dimension",))
        for dimension in dimensions:
            toy, group, scale = toy_problem(dimension, images), f"{dimension}", dimension**0.5
            centre = centroids(toy.x, toy.y)
            classifiers = [tilted_classifier(toy, theta) for theta in (0.0, tilt)]
            weight, bias = (torch.stack(part) for part in zip(*classifiers, strict=True))
            theta = deviation_angle(weight, centre.direction)
            file.put(f"{group}/label", toy.y.long(), "class, -1 for I and +1 for J", ("image",))
            shown = toy.x[[images // 2, images + images // 2]]
            file.put(f"{group}/image", shown, "images in the middle of I and of J", ("image", "pixel"))
            file.put(f"{group}/weight", weight, "unit weights", ("boundary", "pixel"))
            mirrored = torch.stack([mirror_images(shown, w, b) for w, b in classifiers])
            file.put(f"{group}/mirror", mirrored, "mirror images of these", ("boundary", "image", "pixel"))
            file.put(f"{group}/theta", theta, "angle between weight and centroids", ("boundary",), "degree")
            distance = adversarial_distance(theta, centre.distance / scale)
            file.put(f"{group}/d_adv", distance, "adversarial distance by closed form", ("boundary",), UNITS)
            halves = [measured_distance(toy.x, toy.y, w, b)[0] / scale for w, b in classifiers]
            found = torch.tensor(halves, dtype=toy.x.dtype)
            file.put(f"{group}/measured", found, "half the mean distance to mirror images", ("boundary",), UNITS)
            wrong = (toy.y[:, None] * (toy.x @ weight.T + bias) <= 0).double().mean(0)
            file.put(f"{group}/error", wrong, "share of images on the wrong side", ("boundary",))
            places = plane_coordinates(toy.x, centre.middle, centre.direction, toy.tilt) / scale
            file.put(f"{group}/coordinates", places, "images along z and n", ("image", "axis"), UNITS)
            offset = boundary_offset(weight, bias, centre.middle) / scale
            file.put(f"{group}/offset", offset, "distance from boundary to middle", ("boundary",), UNITS)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        build(output=snakemake.output[0], provenance=run.provenance, **run.settings)
