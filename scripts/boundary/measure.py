"""Measure how lines between images cross decision boundaries: skewness, normals, curvature, principal directions."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from neighborhoods.boundary.incidence import (
    compare_lines,
    compare_normals,
    correlate_lines,
    direction_names,
    incidence,
    probabilities_along,
    random_angle,
    summarize_lines,
)
from neighborhoods.boundary.lines import natural_lines
from neighborhoods.boundary.normals import energy_share, turning, turning_radius
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.networks.principal import principal_directions
from pipeline.results.boundary import COLUMNS, no_lines, put_differences, put_lines, put_trace
from pipeline.results.shared import DEGREES, PIXELS, put_summary, read_network, read_split, read_successes
from pipeline.running.devices import halving
from pipeline.store import Provenance, reading, writing


def measure(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    lines: int,
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
    test, successes = read_split(data, "test"), read_successes(attack, lines, line_seed)
    with reading(attack) as file:
        target = file.read("target")[successes.rows]
    start, end = (to_unit_interval(part, device) for part in (successes.x, successes.x_adv))
    x = to_unit_interval(test.images, device)
    natural = natural_lines(network, x, test.labels, test.order, successes.attacked, lines)
    basis = principal_directions(to_unit_interval(read_split(data, "train").images, device), directions)
    sizes = {"side": 2, "radius": len(radii), "fit": len(fit_radii)}
    sizes |= dict.fromkeys(("direction", "other direction"), len(direction_names(fit_radii)))

    def measured(one: Tensor, two: Tensor) -> dict[str, NDArray[Any]]:
        if len(one) == 0:
            return no_lines(sizes)
        found = halving(incidence)(network, one, two, batch_size=batch_size)
        crossing, at = found.lines.crossing, found.lines.crossing.at(slice(turned))
        fits = halving(compare_normals)(
            network, found, fitted, fit_radii, fit_samples, seed=seed, batch_size=batch_size
        )
        lengths = torch.tensor(radii, dtype=torch.float64, device=device)
        turns = halving(turning)(network, at, lengths, walks, seed=seed, batch_size=batch_size)
        tensors = {name: getattr(crossing, name) for name in ("t", "pair", "gap", "level", "third")}
        tensors |= {name: getattr(found, name) for name in ("other", "couple", "length", "distance", "nearest")}
        tensors |= {"skewness": found.lines.angle, "angle": fits.angle, "fit_error": fits.error}
        tensors |= {"turning": turns.median, "turning_found": turns.found, "curvature": turns.curvature}
        tensors["turning_radius"] = turning_radius(lengths, turns.median, threshold)
        tensors["energy_normal"] = energy_share(found.lines.normal, basis)
        tensors["energy_line"] = energy_share(found.direction, basis)
        return {name: tensors[name].cpu().numpy() for name in COLUMNS}

    groups = {"natural": measured(x[natural[:, 0]], x[natural[:, 1]]), "adversarial": measured(start, end)}
    summaries = {kind: summarize_lines(found, radii[-1], confidence, seed) for kind, found in groups.items()}
    t, places = torch.linspace(0, 1, points), torch.linspace(0, 1, images)
    probability = probabilities_along(network, start[:traced], end[:traced], t)[0]
    seen = probabilities_along(network, start[:traced], end[:traced], places)[1]
    with writing(output, provenance) as result:
        for kind, found in groups.items():
            correlations = {name: asdict(value) for name, value in correlate_lines(found, confidence).items()}
            put_lines(result, kind, found, summaries[kind], correlations)
        differences = compare_lines(summaries["natural"], summaries["adversarial"], confidence)
        put_differences(result, {name: asdict(value) for name, value in differences.items()})
        result.put("natural/index", natural.cpu(), "position in the test split of both ends", ("line", "end"))
        result.put("adversarial/index", successes.index, "position in the test split of the start", ("line",))
        result.put("adversarial/target", target, "class that the attack aimed at", ("line",))
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
        result.put("classes", test.classes, "name of each class", ("class",))
        result.put("confidence", confidence, "level of each interval, and share of random angles in their range", ())
        put_trace(result, t.numpy(), probability.cpu().numpy(), places.numpy(), seen.cpu().numpy())


if "snakemake" in globals():
    from pipeline.running.job import job

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
