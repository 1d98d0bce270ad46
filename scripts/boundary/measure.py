"""Measure how lines between images cross decision boundaries: skewness, normals, curvature, principal directions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neighborhoods.images import to_unit_interval
from neighborhoods.incidence import (
    compare_normals,
    different_pairs,
    direction_names,
    first_points,
    incidence,
    principal_directions,
    probabilities_along,
    random_angle,
)
from neighborhoods.networks import restore
from neighborhoods.normals import energy_share, turning, turning_radius
from neighborhoods.statistics import Summary, difference, rank_correlation, summarize_columns
from neighborhoods.training import predict
from pipeline.results import PIXELS, Split, one_success_each, put_summary, read_network, read_split
from pipeline.store import Provenance, Writer, reading, writing

DEGREES = "degrees"

# What is known of lines: description, units, axes. Normals are fitted and turned at the first lines only, since each
# takes thousands of forward passes.
COLUMNS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "t": ("share of the way at which the class first changes", "1", ("line",)),
    "pair": ("classes that meet there, that of the start first; -1 for none", "1", ("line", "side")),
    "gap": ("logit of the first of them less that of the second", "1", ("line",)),
    "level": ("decision level, softmax probability of each of the two", "1", ("line",)),
    "third": ("smaller logit of the two less the largest other one", "1", ("line",)),
    "skewness": ("angle between line and normal", DEGREES, ("line",)),
    "other": ("angle between line and the normal of another line's crossing", DEGREES, ("line",)),
    "couple": ("lines of one number lend each other their normals", "1", ("line",)),
    "length": ("length of the line", PIXELS, ("line",)),
    "distance": ("distance from the start to the crossing", PIXELS, ("line",)),
    "nearest": ("distance from the start to the nearest boundary found", PIXELS, ("line",)),
    "energy_normal": ("share of the normal's squared length in principal directions", "1", ("line",)),
    "energy_line": ("share of the line's squared length in principal directions", "1", ("line",)),
    "angle": ("angle of directions that may stand for the normal", DEGREES, ("fitted", "direction", "other direction")),
    "fit_error": ("angle that the scatter of the samples leaves a fitted normal", DEGREES, ("fitted", "fit")),
    "turning": ("angle by which normals turn, median of the walks", DEGREES, ("turned", "radius")),
    "turning_found": ("share of walks after which the pair of classes still meets", "1", ("turned", "radius")),
    "curvature": ("tangent of that angle over the radius", "1 / pixel range", ("turned", "radius")),
    "turning_radius": ("radius at which that angle reaches the threshold, inf if beyond all", PIXELS, ("turned",)),
}
NOT_SUMMARIZED = ("t", "pair", "gap", "third", "couple")
CORRELATED = ("nearest", "distance", "length")
COMPARED = ("skewness", "level", "energy_normal", "energy_line")

Lines = Mapping[str, NDArray[Any]]


def measure(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    pairs: int,
    fitted: int,
    fit_radii: Sequence[float],
    fit_samples: int,
    turned: int,
    radii: Sequence[float],
    walks: int,
    threshold: float,
    directions: int,
    traced: int,
    points: int,
    images: int,
    confidence: float,
    batch_size: int,
    line_seed: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write natural/ (lines between test images), adversarial/ (from attacked to adversarial images), and their nulls.

    Test images of lines between them are classified correctly, are not attacked, and occur once. Of each attacked image
    a random success is taken, that which `interpolation` takes; trace/ follows the first of these lines.
    """
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    with reading(attack) as file:
        columns = {name: file.read(name) for name in ("x", "x_adv", "success", "index", "target", "classes")}
    rows = np.sort(one_success_each(columns["success"], columns["index"], line_seed))[:pairs]
    start, end = (to_unit_interval(columns[name], device)[rows] for name in ("x", "x_adv"))
    others, index = _natural_lines(network, read_split(data, "test"), columns["index"], pairs, device)
    basis = principal_directions(to_unit_interval(read_split(data, "train").images, device), directions)
    sizes = {"side": 2, "radius": len(radii), "fit": len(fit_radii)}
    sizes |= dict.fromkeys(("direction", "other direction"), len(direction_names(fit_radii)))

    def measured(one: Tensor, two: Tensor) -> Lines:
        if len(one) == 0:
            return {name: np.empty((0, *(sizes[dim] for dim in dims[1:]))) for name, (_, _, dims) in COLUMNS.items()}
        found = incidence(network, one, two, batch_size=batch_size)
        crossing, at = found.lines.crossing, first_points(found.lines.crossing, turned)
        fits = compare_normals(network, found, fitted, fit_radii, fit_samples, seed=seed, batch_size=batch_size)
        lengths = torch.tensor(radii, dtype=torch.float64, device=device)
        turns = turning(network, at, lengths, walks, seed=seed, batch_size=batch_size)
        tensors = {name: getattr(crossing, name) for name in ("t", "pair", "gap", "level", "third")}
        tensors |= {name: getattr(found, name) for name in ("other", "couple", "length", "distance", "nearest")}
        tensors |= {"skewness": found.lines.angle, "angle": fits.angle, "fit_error": fits.error}
        tensors |= {"turning": turns.median, "turning_found": turns.found, "curvature": turns.curvature}
        tensors["turning_radius"] = turning_radius(lengths, turns.median, threshold)
        tensors["energy_normal"] = energy_share(found.lines.normal, basis)
        tensors["energy_line"] = energy_share(found.direction, basis)
        return {name: tensors[name].cpu().numpy() for name in COLUMNS}

    lines = {"natural": measured(*others), "adversarial": measured(start, end)}
    shares = torch.linspace(0, 1, points), torch.linspace(0, 1, images)
    with writing(output, provenance) as result:
        summaries = {
            kind: _put_lines(result, kind, found, radii[-1], confidence, seed) for kind, found in lines.items()
        }
        for name in COMPARED:
            apart = difference(summaries["natural"][name], summaries["adversarial"][name], confidence)
            text, units, _ = COLUMNS[name]
            put_summary(result, f"difference/{name}", asdict(apart), f"natural less adversarial, {text}", units)
        result.put("natural/index", index, "position in the test split of both ends", ("line", "end"))
        result.put("adversarial/index", columns["index"][rows], "position in the test split of the start", ("line",))
        result.put("adversarial/target", columns["target"][rows], "class that the attack aimed at", ("line",))
        null = random_angle(basis.shape[1], confidence)
        put_summary(result, "null/skewness", asdict(null), "angle of random directions to a normal", DEGREES)
        result.put("null/energy", directions / basis.shape[1], "mean share of random directions", ())
        result.put("directions", direction_names(fit_radii), "what is compared in `angle`", ("direction",))
        result.put("principal_directions", directions, "leading principal directions of the train split", ())
        result.put("radii", radii, "length of each walk", ("radius",), PIXELS)
        result.put("walks", walks, "walks of each length", ())
        result.put("threshold", threshold, "angle that counts as turned", (), DEGREES)
        result.put("fit_radii", fit_radii, "standard deviation of the samples around a point", ("fit",), PIXELS)
        result.put("fit_samples", fit_samples, "samples of a fitted normal for each dimension", ())
        result.put("classes", columns["classes"], "name of each class", ("class",))
        _put_trace(result, network, start[:traced], end[:traced], *shares)


def _natural_lines(
    network: nn.Module, test: Split, attacked: NDArray[np.int64], pairs: int, device: str
) -> tuple[tuple[Tensor, Tensor], NDArray[np.int64]]:
    """Ends of lines between correctly classified images that were not attacked, and their positions [lines, 2]."""
    left = test.order[~np.isin(test.order, attacked)]
    x = to_unit_interval(test.images[left], device)
    right = (predict(network, x).cpu().numpy() == test.labels[left]).nonzero()[0]
    chosen = right[different_pairs(test.labels[left[right]], pairs)]
    return (x[chosen[:, 0]], x[chosen[:, 1]]), left[chosen]


def _put_lines(
    file: Writer, kind: str, lines: Lines, largest: float, confidence: float, seed: int
) -> dict[str, Summary]:
    """Store columns with summaries, and correlations of skewness; return the summaries that are one number each."""
    single = {}
    for name, (text, units, dims) in COLUMNS.items():
        file.put(f"{kind}/{name}", lines[name], text, dims, units)
        if name in NOT_SUMMARIZED:
            continue
        values, clusters = lines[name], lines["couple"] if name == "other" else None
        censored = {}
        if name == "turning_radius":
            values, censored = np.minimum(values, largest), {"censored_high": np.isinf(values).sum()}
        summary = summarize_columns(values, clusters, confidence, seed)
        put_summary(file, f"{kind}/summary/{name}", summary | censored, text, units, dims[1:])
        if len(dims) == 1:
            single[name] = Summary(**{key: value.item() for key, value in summary.items()})
    for name in CORRELATED:
        known = np.isfinite(lines["skewness"]) & np.isfinite(lines[name])
        found = rank_correlation(lines["skewness"][known], lines[name][known], confidence)
        what = f"Spearman's rank correlation of skewness with {name}"
        put_summary(file, f"{kind}/correlation/{name}", asdict(found), what, "1")
    return single


def _put_trace(file: Writer, network: nn.Module, start: Tensor, end: Tensor, t: Tensor, places: Tensor) -> None:
    """Store probabilities and images along the first lines of adversarial/."""
    probability = probabilities_along(network, start, end, t)[0]
    seen = probabilities_along(network, start, end, places)[1]
    file.put("trace/t", t.numpy(), "0 at the natural, 1 at the adversarial image", ("point",))
    file.put("trace/probability", probability.cpu().numpy(), "softmax of each class", ("line", "point", "class"))
    file.put("trace/places", places.numpy(), "where on the line the images are", ("place",))
    file.put("trace/images", seen.cpu().numpy(), "images", ("line", "place", "channel", "row", "column"), PIXELS)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        measure(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
