"""Map the decision boundaries of a network, of the nearest training point and of Delaunay weights in the plane."""

import torch

from neighborhoods.boundary_angles import crossing_angles, right_on_both
from neighborhoods.delaunay import DelaunayWeights, plane_boundary
from neighborhoods.images import to_inputs
from neighborhoods.kernel_geometry import places
from neighborhoods.networks import restore
from neighborhoods.voronoi import NearestPoint, opposite_pairs
from pipeline.results import read_network, read_split
from pipeline.store import Provenance, StoreError, writing

GRID = ("row", "column")


def map_plane(
    *,
    data: str,
    model: str,
    output: str,
    grid: int,
    train_points: int,
    segments: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write classes over a grid by each classifier, and crossings with normals of segments between test points.

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
    lines, everywhere = places(points, grid, margin=0.1)
    with torch.no_grad():
        level, leading = network(everywhere).softmax(1).max(1)
    tests, expected = to_inputs(test.images[test.order], device), torch.tensor(test.labels[test.order]).to(device)
    known = right_on_both(network, classifier, tests, expected).nonzero()[:, 0]
    pairs = known[opposite_pairs(expected[known], segments)]
    start, end = tests[pairs[:, 0]], tests[pairs[:, 1]]
    angles = crossing_angles(network, classifier, start, end)
    with writing(output, provenance) as file:
        file.put("x", lines[0].cpu(), "first coordinate of the grid", ("column",))
        file.put("y", lines[1].cpu(), "second coordinate of the grid", ("row",))
        file.put("network/class", leading.reshape(grid, grid).cpu(), "leading class of the network", GRID)
        file.put("network/level", level.reshape(grid, grid).cpu(), "softmax of the leading class", GRID)
        nearest = classifier(everywhere).argmax(1).reshape(grid, grid)
        file.put("voronoi/class", nearest.cpu(), "class of the nearest training point", GRID)
        weighed = weights(everywhere).reshape(grid, grid, -1)
        file.put("delaunay/weight", weighed, "Delaunay weight, nan outside the hull", (*GRID, "class"))
        file.put("delaunay/epsilon", weights.longest_edge, "longest edge of the triangulation", ())
        ends = ("segment", "end", "coordinate")
        file.put("delaunay/boundary", boundary.segments, "where the two largest weights tie", ends)
        file.put("delaunay/boundary_level", boundary.level, "that weight at the ends", ("segment", "end"))
        file.put("train/x", points.cpu(), "training points of Voronoi and Delaunay", ("sample", "coordinate"))
        file.put("train/label", labels.cpu(), "their classes", ("sample",))
        both = torch.stack([start, end], 1).cpu()
        file.put("segments/ends", both, "test points, classified right by both", ends)
        for name, found in (("network", angles.network), ("voronoi", angles.voronoi)):
            columns = {"point": "first change of class", "normal": "normal of the boundary there, into the new class"}
            for key, text in columns.items():
                file.put(f"segments/{name}/{key}", getattr(found, key).cpu(), text, ("segment", "coordinate"))
            file.put(f"segments/{name}/angle", found.angle.cpu(), "angle to the normal", ("segment",), "rad")


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        map_plane(
            data=snakemake.input.data,
            model=snakemake.input.model,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
