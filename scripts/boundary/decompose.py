"""Singular values of samples around points of the boundary, projected onto it in two ways."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from neighborhoods.boundary.lines import natural_lines
from neighborhoods.boundary.points import cross
from neighborhoods.boundary.projected_spectra import (
    SAMPLES,
    Spectrum,
    offsets,
    random_cosine,
    spectrum,
    spread_ratio,
)
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import summarize_finite
from pipeline.results.shared import DEGREES, PIXELS, put_summary, read_network, read_split, read_successes
from pipeline.running.devices import halving
from pipeline.store import Provenance, Writer, writing

DIMS = ("crossing", "radius", "sample", "projection")
VALUES = {
    "raw": "singular values of projected points over the root of their number",
    "centred": "the same of the points less their mean",
    "removed": "the same of the points without the boundary image's direction",
    "normals": "the same of unit normals at the points",
}
NUMBERS = {
    "dropped": "centred values below the rest, -1 where too few points arrived",
    "found": "points that arrived at the boundary",
    "normal_rank": "participation ratio of the normals' singular values",
    "image": "|cosine| of the first raw direction with the image at the centre",
    "attack": "|cosine| of the first direction without the image with the difference of the line's ends",
    "normal": "|cosine| of that direction with the normal",
    "smallest": "angle between the smallest centred direction and the normal",
    "normal_share": "share of the normal's squared length in the dropped directions",
    "attack_share": "share of the squared length of the ends' difference in the dropped directions",
}
UNITS = {"raw": PIXELS, "centred": PIXELS, "removed": PIXELS, "smallest": DEGREES}


def decompose(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    lines: int,
    radii: Sequence[float],
    points_per_dimension: float,
    projections: Sequence[str],
    confidence: float,
    batch_size: int,
    line_seed: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write singular values {group}/{kind} [crossing, radius, sample, projection, value] and what directions they have.

    Groups are natural and adversarial, where the first lines of the stage `boundary` cross: between correctly
    classified test images of different classes, and from attacked to adversarial images.
    """
    split, successes = read_split(data, "test"), read_successes(attack, lines, line_seed)
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    images = to_unit_interval(split.images, device)
    natural = natural_lines(network, images, split.labels, split.order, successes.attacked, lines)
    attacked, adversarial = (to_unit_interval(part, device) for part in (successes.x, successes.x_adv))
    groups = {
        "natural": (natural.cpu().numpy(), images[natural[:, 0]], images[natural[:, 1]]),
        "adversarial": (successes.index, attacked, adversarial),
    }
    dimension = int(np.prod(split.images.shape[1:]))
    samples = int(points_per_dimension * dimension)
    clouds = {kind: offsets(kind, samples, dimension, seed) for kind in SAMPLES}
    names = [f"{i}/{kind}/{way}" for i in range(len(radii)) for kind in SAMPLES for way in projections]
    with writing(output, provenance) as file:
        for group, (index, start, end) in groups.items():
            crossing = halving(cross)(network, start, end, batch_size=batch_size)
            rows = crossing.found.nonzero()[:, 0].tolist()
            text = "position in the test split of the start, or of both ends"
            file.put(f"{group}/index", index[rows], text, ("crossing", "end")[: index.ndim])
            found = [
                halving(spectrum)(
                    network,
                    crossing.point[row],
                    (start[row], end[row]),
                    radius * clouds[kind],
                    projection,
                    ratio=spread_ratio(kind, samples, dimension),
                    batch_size=batch_size,
                )
                for row in rows
                for radius in radii
                for kind in SAMPLES
                for projection in projections
            ]
            _put(file, group, found, (len(rows), len(radii), len(SAMPLES), len(projections)), dimension)
            _put_summaries(file, group, found, names, confidence, seed)
        file.put("radii", radii, "standard deviation of a coordinate of the samples", ("radius",), PIXELS)
        file.put("samples", SAMPLES, "kinds of samples", ("sample",))
        file.put("projections", projections, "ways onto the boundary", ("projection",))
        file.put("points", samples, "points of a sample", ())
        file.put("dimension", dimension, "values of an image", ())
        file.put("random_cosine", random_cosine(dimension), "mean |cosine| of random directions", ())


def _put(file: Writer, group: str, found: Sequence[Spectrum], shape: tuple[int, ...], dimension: int) -> None:
    for name, text in VALUES.items():
        values = np.reshape([getattr(one, name).cpu().numpy() for one in found], (*shape, dimension))
        file.put(f"{group}/{name}", values, text, (*DIMS, "value"), UNITS.get(name, "1"))
    for name, text in NUMBERS.items():
        file.put(
            f"{group}/{name}",
            np.reshape([getattr(one, name) for one in found], shape),
            text,
            DIMS,
            UNITS.get(name, "1"),
        )


def _put_summaries(
    file: Writer, group: str, found: Sequence[Spectrum], names: Sequence[str], confidence: float, seed: int
) -> None:
    for position, name in enumerate(names):
        values = np.array([one.attack for one in found[position :: len(names)]])
        summary = summarize_finite(values, confidence=confidence, seed=seed)
        put_summary(file, f"{group}/summary/{name}", asdict(summary), NUMBERS["attack"], "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        decompose(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
