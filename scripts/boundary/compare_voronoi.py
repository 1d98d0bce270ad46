"""Measure at which angles lines cross the boundary of a network and that of the nearest training image."""

from dataclasses import asdict

import torch
from torch import Tensor

from neighborhoods.boundary.angles import (
    Angles,
    Comparison,
    compare_angles,
    crossing_angles,
    training_pairs,
)
from neighborhoods.boundary.incidence import random_angle
from neighborhoods.boundary.lines import natural_lines
from neighborhoods.boundary.voronoi import NearestPoint, delaunay_neighbours
from neighborhoods.images import to_inputs
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import share
from neighborhoods.training.minibatch import predict
from pipeline.results.shared import DEGREES, put_summary, read_network, read_split, read_successes
from pipeline.running.devices import halving
from pipeline.store import Provenance, Writer, writing

SKEWNESS = "angle between line and normal of the boundary"


def compare(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    lines: int,
    programmes: int,
    confidence: float,
    batch_size: int,
    line_seed: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write places and angles of first changes of class for groups of lines; no image is in two of one group.

    natural/ and adversarial/ are the lines of the stage `boundary`: between test images of different classes that the
    network classifies right, and from attacked to adversarial images. neighbours/ and others/ join training images of
    different classes that the network classifies right, Gabriel neighbours or not.
    """
    train, test = read_split(data, "train"), read_split(data, "test")
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    successes = read_successes(attack, lines, line_seed)
    points, tests = to_inputs(train.images, device), to_inputs(test.images, device)
    labels = torch.tensor(train.labels).to(device)
    classifier = NearestPoint(points, labels).to(device)
    order = torch.tensor(train.order).to(device)
    order = order[(predict(network, points) == labels)[order]]
    natural = natural_lines(network, tests, test.labels, test.order, successes.attacked, lines)
    drawn = training_pairs(points, labels, order, lines, confidence)
    groups = {
        "natural": (natural, tests[natural[:, 0]], tests[natural[:, 1]]),
        "adversarial": (
            torch.from_numpy(successes.index),
            to_inputs(successes.x, device),
            to_inputs(successes.x_adv, device),
        ),
        "neighbours": (drawn.neighbours, points[drawn.neighbours[:, 0]], points[drawn.neighbours[:, 1]]),
        "others": (drawn.others, points[drawn.others[:, 0]], points[drawn.others[:, 1]]),
    }
    tested = delaunay_neighbours(points, drawn.others[:programmes])
    with writing(output, provenance) as file:
        file.put("confidence", confidence, "level of each interval", ())
        null = random_angle(classifier.points.shape[1], confidence)
        put_summary(file, "null/skewness", asdict(null), "angle of random directions to a normal", DEGREES)
        put_summary(file, "gabriel", asdict(drawn.share), "share of training pairs that are Gabriel neighbours", "1")
        text = "share of Delaunay neighbours among training pairs that are not Gabriel neighbours"
        put_summary(file, "delaunay", asdict(share(tested.numpy(), confidence)), text, "1")
        file.put("others/delaunay", tested, "whether each of the first of these pairs is such", ("tested",))
        for name, (index, start, end) in groups.items():
            angles = halving(crossing_angles)(network, classifier, start, end, batch_size=batch_size)
            _put_angles(file, name, index, angles)
            _put_comparison(file, name, compare_angles(angles, confidence, seed))


def _put_angles(file: Writer, group: str, index: Tensor, angles: Angles) -> None:
    split = "train" if group in ("neighbours", "others") else "test"
    text, dims = ("both ends", ("line", "end")) if index.ndim == 2 else ("the start", ("line",))
    file.put(f"{group}/index", index.cpu(), f"position in the {split} split of {text}", dims)
    network, voronoi = angles.network, angles.voronoi
    for name, t, angle in (("network", network.crossing.t, network.angle), ("voronoi", voronoi.t, voronoi.angle)):
        text = "share of the way at which the class first changes, nan where it never does"
        file.put(f"{group}/{name}/t", t.cpu(), text, ("line",))
        file.put(f"{group}/{name}/skewness", angle.cpu(), f"{SKEWNESS}, 0 if orthogonal", ("line",), DEGREES)
    columns = {
        "inner": "training image whose cell is left at the first change of class, -1 without one",
        "outer": "training image whose cell is entered there, -1 without one",
        "faces": "faces of Voronoi cells crossed until then, or all",
    }
    for name, description in columns.items():
        file.put(f"{group}/voronoi/{name}", getattr(voronoi, name).cpu(), description, ("line",))


def _put_comparison(file: Writer, group: str, found: Comparison) -> None:
    for name in ("network", "voronoi", "difference"):
        what = f"{SKEWNESS}, {name}" if name != "difference" else "the network's angle less the Voronoi classifier's"
        put_summary(file, f"{group}/summary/{name}", asdict(getattr(found, name)), what, DEGREES)
    text = "Spearman's rank correlation of both angles over lines"
    put_summary(file, f"{group}/correlation", asdict(found.correlation), text, "1")
    for name, changed in (("network", found.network_changed), ("voronoi", found.voronoi_changed)):
        text = f"share of lines on which the class changes, {name}"
        put_summary(file, f"{group}/changed/{name}", asdict(changed), text, "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        compare(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
