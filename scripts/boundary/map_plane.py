"""Map the decision boundaries of a network, of the nearest training point and of Delaunay weights in the plane."""

import torch

from neighborhoods.boundary.angles import crossing_angles, right_on_both
from neighborhoods.boundary.delaunay import DelaunayWeights, plane_boundary
from neighborhoods.boundary.lines import pairs_of_classes
from neighborhoods.boundary.normals import unit
from neighborhoods.boundary.voronoi import NearestPoint
from neighborhoods.images import to_inputs
from neighborhoods.networks.architectures import restore
from neighborhoods.path_kernel.kernel_geometry import places
from pipeline.results.shared import DEGREES, read_network, read_split
from pipeline.store import Provenance, StoreError, writing

GRID = ("row", "column")


def map_plane(
    *,
    data: str,
    model: str,
    output: str,
    grid: int,
    train_points: int,
    lines: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write classes over a grid by each classifier, and crossings with normals of lines between test points.

    The Voronoi and Delaunay classifiers hold the first `train_points` training points, in random order; the network was
    trained on all.
    """
    train, test = read_split(data, "train"), read_split(data, "test")
    if train.images.ndim != 2 or train.images.shape[1] != 2:
        raise StoreError(f"{data}: a map needs points of two coordinates, found {train.images.shape[1:]}")
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    rows = train.order[:train_points]
    points, labels = to_inputs(train.images[rows], device), torch.tensor(train.labels[rows]).to(device)
    classifier = NearestPoint(points, labels).to(device)
    weights = DelaunayWeights(points, labels)
    boundary = plane_boundary(weights)
    axes, everywhere = places(points, grid, margin=0.1)
    with torch.no_grad():
        level, leading = network(everywhere).softmax(1).max(1)
    tests, expected = to_inputs(test.images[test.order], device), torch.tensor(test.labels[test.order]).to(device)
    known = right_on_both(network, classifier, tests, expected).nonzero()[:, 0]
    pairs = known[pairs_of_classes(expected[known], lines)]
    start, end = tests[pairs[:, 0]], tests[pairs[:, 1]]
    angles = crossing_angles(network, classifier, start, end)
    with writing(output, provenance) as file:
        file.put("x", axes[0].cpu(), "first coordinate of the grid", ("column",))
        file.put("y", axes[1].cpu(), "second coordinate of the grid", ("row",))
        file.put("network/class", leading.reshape(grid, grid).cpu(), "leading class of the network", GRID)
        file.put("network/level", level.reshape(grid, grid).cpu(), "softmax of the leading class", GRID)
        nearest = classifier(everywhere).argmax(1).reshape(grid, grid)
        file.put("voronoi/class", nearest.cpu(), "class of the nearest training point", GRID)
        weighed = weights(everywhere).reshape(grid, grid, -1)
        file.put("delaunay/weight", weighed, "Delaunay weight, nan outside the hull", (*GRID, "class"))
        file.put("delaunay/epsilon", weights.longest_edge, "longest edge of the triangulation", ())
        pieces = ("piece", "end", "coordinate")
        file.put("delaunay/boundary", boundary.segments, "where the two largest weights tie", pieces)
        file.put("delaunay/boundary_level", boundary.level, "that weight at the ends", pieces[:2])
        file.put("train/x", points.cpu(), "training points of Voronoi and Delaunay", ("sample", "coordinate"))
        file.put("train/label", labels.cpu(), "their classes", ("sample",))
        both = torch.stack([start, end], 1).cpu()
        file.put("lines/ends", both, "test points, classified right by both", ("line", "end", "coordinate"))
        for name, point, found in (
            ("network", angles.network.crossing.point, angles.network),
            ("voronoi", angles.voronoi.point, angles.voronoi),
        ):
            place = ("line", "coordinate")
            file.put(f"lines/{name}/point", point.cpu(), "first change of class", place)
            text = "unit normal of the boundary there, into the new class"
            file.put(f"lines/{name}/normal", unit(found.normal).cpu(), text, place)
            file.put(f"lines/{name}/skewness", found.angle.cpu(), "angle between line and normal", ("line",), DEGREES)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        map_plane(
            data=snakemake.input.data,
            model=snakemake.input.model,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
