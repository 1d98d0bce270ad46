"""Classes that meet near the boundary, dimensions of level sets, probability space, and paths on the boundary."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch

from neighborhoods.boundary import level_sets
from neighborhoods.boundary.connectedness import OUTCOMES, connect, pairs_of_equal_classes
from neighborhoods.boundary.junctions import class_distances, classes_within, sampled_classes
from neighborhoods.boundary.level_sets import along_lines, local_dimensions, probability_images, simplex
from neighborhoods.boundary.lines import natural_lines
from neighborhoods.boundary.points import LineCrossing, cross, logits_in_batches
from neighborhoods.boundary.projected_spectra import offsets
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.persistence.sampling import Classifier
from neighborhoods.statistics.intervals import share
from pipeline.results.shared import PIXELS, put_summaries, put_summary, read_network, read_split, read_successes
from pipeline.running.devices import halving
from pipeline.store import Provenance, Writer, writing

DIMENSIONS = (
    ("", "singular values of projected samples, pixel range 1", ("point", "radius", "value")),
    ("_dropped", "values below the rest: dimensions missing; -1 where too few arrived", ("point", "radius")),
    ("_found", "samples that arrived", ("point", "radius")),
)


def measure_level_sets(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    lines: int,
    radii: Sequence[float],
    samples: int,
    candidates: int,
    dimension_points: int,
    dimension_radii: Sequence[float],
    points_per_dimension: float,
    traced: int,
    points: int,
    step: float,
    rounds: int,
    confidence: float,
    batch_size: int,
    line_seed: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write groups natural/ and adversarial/ of boundary points, and paths between points of equal classes.

    Points are those where the lines of the stage `boundary` first change class: natural, between correctly classified
    test images of different classes; adversarial, from attacked to adversarial images. paths/between joins one of each.
    """
    split, successes = read_split(data, "test"), read_successes(attack, lines, line_seed)
    network = restore((stored := read_network(model)).settings, stored.weights, device)
    images = to_unit_interval(split.images, device)
    natural = natural_lines(network, images, split.labels, split.order, successes.attacked, lines)
    groups = {
        "natural": (images[natural[:, 0]], images[natural[:, 1]]),
        "adversarial": tuple(to_unit_interval(part, device) for part in (successes.x, successes.x_adv)),
    }
    batch, dimension = {"batch_size": batch_size}, int(np.prod(split.images.shape[1:]))
    crossings = {name: halving(cross)(network, *ends, **batch) for name, ends in groups.items()}
    cloud = offsets("flat", int(points_per_dimension * dimension), dimension, seed) if dimension_points else None
    with writing(output, provenance) as file:
        file.put("natural/index", natural.cpu(), "positions in the test split of each line's ends", ("line", "end"))
        file.put("adversarial/index", successes.index, "position in the test split of the start", ("line",))
        for name, crossing in crossings.items():
            found = crossing.at(crossing.found)
            file.put(f"{name}/n", len(found.found), "lines that cross a boundary, of those in index", ())
            file.put(f"{name}/pair", found.pair.cpu(), "classes that meet", ("point", "side"))
            met = halving(sampled_classes)(network, found, torch.tensor(radii), samples, seed=seed, **batch)
            distance = halving(class_distances)(network, found, candidates=candidates, **batch)
            file.put(
                f"{name}/distance", distance.cpu(), "upper bound of that to each class", ("point", "class"), PIXELS
            )
            _put_counts(file, f"{name}/sampled", met.sum(2), confidence, "met by samples")
            within = classes_within(distance, torch.tensor(radii), met)
            _put_counts(file, f"{name}/searched", within, confidence, "found by search or met by samples")
            jacobian = halving(level_sets.constraint_rank)(network, found, batch_size=batch_size)
            file.put(f"{name}/rank", jacobian.rank.cpu(), "rank of the gradients of margin and level", ("point",))
            file.put(f"{name}/sine", jacobian.sine.cpu(), "sine of the angle between these gradients", ("point",))
            chances = probability_images(halving(logits_in_batches)(network, found.point, **batch), found.pair).cpu()
            file.put(f"{name}/probabilities", chances, "of the pair, a third class, all others", ("point", "part"))
            file.put(f"{name}/simplex", simplex(chances[:, :3]), "barycentric coordinates", ("point", "axis"))
            start, end = (part[crossing.found][:traced] for part in groups[name])
            traces = halving(along_lines)(network, start, end, found.pair[:traced], points, batch_size=batch_size)
            t, curves = (part.cpu() for part in traces)
            file.put(f"{name}/t", t, "share of the way along the lines", ("place",))
            file.put(f"{name}/curves", curves, "probabilities along the first lines", ("traced", "place", "part"))
            file.put(f"{name}/curves_simplex", simplex(curves[..., :3]), "the same", ("traced", "place", "axis"))
            if cloud is not None:
                chosen = found.at(slice(dimension_points))
                local = halving(local_dimensions)(network, chosen, torch.tensor(dimension_radii), cloud, **batch)
                for key, which in (("boundary", "boundary"), ("level", "level set")):
                    for suffix, text, dims in DIMENSIONS:
                        values = getattr(local, f"{key}{suffix}")
                        file.put(f"{name}/dimension/{key}{suffix}", values, f"{which}: {text}", dims)
        _put_paths(file, network, crossings, step, confidence, rounds, batch_size)
        file.put("radii", radii, "radius of the balls", ("radius",), PIXELS)
        file.put("samples", samples, "samples in each ball", ())
        file.put("dimension_radii", dimension_radii, "standard deviation of a coordinate", ("radius",), PIXELS)
        file.put("step", step, "longest step of a path that counts as connected", (), PIXELS)
        file.put("classes", split.classes, "names of the classes", ("class",))


def _put_counts(file: Writer, group: str, count: torch.Tensor, confidence: float, how: str) -> None:
    """Classes within each radius, and the share of points with three or more, which are lower bounds."""
    values = count.cpu().numpy()
    file.put(f"{group}/count", values, f"classes {how}", ("point", "radius"))
    three = [asdict(share(column, confidence)) for column in (values >= 3).T]
    put_summaries(file, f"{group}/share", three, f"share of points with three classes or more {how}", "1", ("radius",))


def _put_paths(
    file: Writer,
    network: Classifier,
    crossings: dict[str, LineCrossing],
    tolerance: float,
    confidence: float,
    rounds: int,
    batch_size: int,
) -> None:
    point = torch.cat([part.point for part in crossings.values()])
    pair = torch.cat([part.pair for part in crossings.values()])
    origin = torch.cat([torch.full_like(part.pair[:, 0], i) for i, part in enumerate(crossings.values())])
    for name, group in (("natural", 0), ("adversarial", 1), ("between", None)):
        of_group = pair if group is None else torch.where((origin == group)[:, None], pair, -1)
        rows = pairs_of_equal_classes(of_group, origin if group is None else None)
        ends = (point[rows[:, 0]], point[rows[:, 1]])
        paths = halving(connect)(network, *ends, pair[rows[:, 0]], tolerance, rounds=rounds, batch_size=batch_size)
        file.put(f"paths/{name}/status", np.array(paths.status, dtype=str), " or ".join(OUTCOMES), ("path",))
        chord = (ends[0] - ends[1]).flatten(1).norm(dim=1)
        for key, values, text in (("longest", paths.longest, "longest step left"), ("chord", chord, "ends' distance")):
            file.put(f"paths/{name}/{key}", values.cpu(), text, ("path",), PIXELS)
        file.put(f"paths/{name}/steps", paths.steps.cpu(), "steps", ("path",))
        for end in OUTCOMES:
            found = asdict(share([status == end for status in paths.status], confidence))
            put_summary(file, f"paths/{name}/{end.replace(' ', '_')}", found, f"share of paths that end as: {end}", "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure_level_sets(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
