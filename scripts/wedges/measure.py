"""Spectra of samples projected onto orthants and wedges, and persistence along lines across their boundaries."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from neighborhoods.boundary.spectra import Spectrum, gaussian_sample, numerical_rank, singular_values, spectrum
from neighborhoods.cones.as_printed import Errors, flat_errors, projection_errors
from neighborhoods.cones.crossings import Line, Shape, cross, side_ratio
from neighborhoods.cones.wedges import nearest_in_orthant, nearest_in_wedge, wedge_normals
from neighborhoods.statistics.intervals import NO_VALUES, summarize
from pipeline.results.shared import DEGREES
from pipeline.store import Provenance, Writer, writing

DTYPE = torch.float32
UNIT = "1, sigma of the sample"
LENGTH = "1, epsilon of the parallel line = 1"
Projection = Callable[[Tensor, int], Tensor]
# Of points, and of the differences from their projections.
Decomposed = tuple[Spectrum, Tensor]
LINES: tuple[Line, ...] = ("centreline", "parallel")
PROJECTED = 40
SIDES = {"relative": "as measured", "corrected": "in the population, by the spiked covariance model"}
ALONG = {
    "t": ("coordinate x_1", LENGTH),
    "inside": ("whether the point lies in the shape", "1"),
    "distance": ("distance to the boundary", LENGTH),
    "share": ("share of noisy points inside the shape, sigma = 1", "1"),
    "sigma": ("persistence, inf if never crossed", LENGTH),
    "faces": ("face number at this distance and persistence", "1"),
}


def measure(
    *,
    output: str,
    faces: Sequence[int],
    dimension: int,
    samples: int,
    repeats: int,
    skew: float,
    crossing_faces: Sequence[int],
    openings: Sequence[float],
    steps: int,
    gamma: float,
    confidence: float,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write orthant/ and wedge/ (definition 30.8, all angles `skew`): spectra of Gaussian samples projected onto them.

    In crossings/{shape}/{line}/: points of lines at offsets in epsilon. In flat_svd/, projection/: errors as printed.
    """
    theta = math.radians(skew)

    def onto_wedge(x: Tensor, k: int) -> Tensor:
        return nearest_in_wedge(x, [theta] * (k - 1))

    with writing(output, provenance) as file:
        file.put("faces", faces, "number of faces k", ("faces",))
        for name, value, text in (
            ("samples", samples, "samples of each spectrum"),
            ("dimension", dimension, "dimensions of the space"),
            ("repeats", repeats, "independent samples of each"),
            ("confidence", confidence, "level of the intervals over repeats (Student)"),
            ("gamma", gamma, "share of samples that must keep the class"),
        ):
            file.put(name, value, text, ())
        file.put("skew", skew, "all angles theta of wedge/", (), DEGREES)
        projections = {"orthant": nearest_in_orthant, "wedge": onto_wedge}
        found: dict[str, list[list[Decomposed]]] = {name: [] for name in projections}
        for place, k in enumerate(faces):
            # A sample of its own for each spectrum of a shape, so that they are independent.
            seeds = range(seed + place * repeats, seed + (place + 1) * repeats)
            rows = [_decomposed(gaussian_sample(samples, dimension, own, DTYPE), projections, k) for own in seeds]
            for name in projections:
                found[name].append([row[name] for row in rows])
        for name, spectra in found.items():
            _put_spectra(file, name, spectra, confidence)
        flat = [flat_errors(gaussian_sample(samples, dimension, seed + place, DTYPE)) for place in range(repeats)]
        _put_errors(file, "flat_svd", flat, ("repeat",))
        points = gaussian_sample(PROJECTED, dimension, seed)
        wedges = [wedge_normals([theta] * (k - 1), dimension) for k in crossing_faces]
        _put_errors(file, "projection", [projection_errors(points, v) for v in wedges], ("faces", "point"))
        file.put("crossings/faces", crossing_faces, "number of faces k, one more than angles", ("faces",))
        far = (np.arange(steps) + 0.5) * 2 / steps
        offsets = np.concatenate([-far[::-1], far])
        file.put("crossings/offset", offsets, "x_1 less that of the crossing", ("offset",), LENGTH)
        _put_crossings(file, "wedge", openings, crossing_faces, offsets, gamma)
        _put_crossings(file, "sector", [o for o in openings if o < 90], crossing_faces, offsets, gamma)


def _decomposed(sample: Tensor, projections: Mapping[str, Projection], faces: int) -> dict[str, Decomposed]:
    """Spectra of a sample's projections onto each shape, and of the differences from them."""
    points = {name: project(sample, faces) for name, project in projections.items()}
    scale = math.sqrt(len(sample) - 1)
    return {name: (spectrum(each), singular_values(sample - each) / scale) for name, each in points.items()}


def _put_spectra(file: Writer, name: str, decomposed: Sequence[Sequence[Decomposed]], confidence: float) -> None:
    """Spectra of the points and of the normals for each number of faces and each sample."""
    spectra = [[points for points, _ in row] for row in decomposed]
    normals = [[differences for _, differences in row] for row in decomposed]
    values = np.stack([row[0].values for row in spectra])
    file.put(f"{name}/values", values, "principal standard deviations, first sample", ("faces", "value"), UNIT)
    for part, text in (("count", "values below the rest"), ("bulk", "level of the rest"), ("threshold", "its edge")):
        found = np.array([[getattr(each.dropped, part) for each in row] for row in spectra])
        file.put(f"{name}/{part}", found, text, ("faces", "repeat"), "1" if part == "count" else UNIT)
    file.put(
        f"{name}/normals",
        np.stack([row[0] for row in normals]),
        "the same of points less projections",
        ("faces", "value"),
        UNIT,
    )
    ranks = [[numerical_rank(each, DTYPE) for each in row] for row in normals]
    file.put(f"{name}/normals_rank", ranks, "normals' values above rounding", ("faces", "repeat"))
    for part, how in SIDES.items():
        found = np.array([[getattr(each, part) for each in row] for row in spectra])
        file.put(f"{name}/{part}", found, f"dropped values over the rest, {how}", ("faces", "repeat"))
        rows = [summarize(row, confidence=confidence) if np.isfinite(row).all() else NO_VALUES for row in found]
        for key in ("mean", "mean_low", "mean_high"):
            text = f"{key} over repeats of the dropped values over the rest, {how}"
            file.put(f"{name}/{part}_{key}", [getattr(row, key) for row in rows], text, ("faces",))


def _put_errors(file: Writer, group: str, found: Sequence[Errors], dims: Sequence[str]) -> None:
    for name in found[0]:
        file.put(f"{group}/{name}", np.stack([each[name] for each in found]), f"relative error, {name}", dims)


def _put_crossings(
    file: Writer, shape: Shape, openings: Sequence[float], faces: Sequence[int], offsets: np.ndarray, gamma: float
) -> None:
    """Both lines for each opening and number of faces, with ratios of what lies as far on both sides."""
    file.put(f"crossings/{shape}/opening", openings, "angle of two faces, x_1 in their plane", ("opening",), DEGREES)
    dims = ("opening", "faces")
    for line in LINES if openings else ():
        group = f"crossings/{shape}/{line}"
        found = [[asdict(cross(shape, line, math.radians(o), k, offsets, gamma)) for k in faces] for o in openings]
        columns = {part: np.array([[each[part] for each in row] for row in found]) for part in ALONG}
        for part, (text, units) in ALONG.items():
            file.put(f"{group}/{part}", columns[part], text, (*dims, "offset"), units)
        for part, values, text in (
            ("face_ratio", columns["faces"], "face number"),
            ("slope_ratio", columns["sigma"] / columns["distance"], "persistence / distance"),
        ):
            ratio = side_ratio(values, columns["inside"])
            file.put(f"{group}/{part}", ratio, f"{text} inside over outside", (*dims, "step"))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure(output=snakemake.output[0], provenance=run.provenance, **run.settings)
