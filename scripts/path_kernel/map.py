"""Map the path kernel of points in the plane, and how much it changes from place to place."""

from dataclasses import asdict

import torch

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.kernel_geometry import places, variation
from neighborhoods.path_kernel.path import recorded
from neighborhoods.path_kernel.trace_kernel import cross, paired
from pipeline.results.shared import read_path, read_split
from pipeline.store import Provenance, StoreError, writing

KERNEL = "squared logits per squared weight, summed over the steps"


def draw_map(
    *,
    data: str,
    path: str,
    output: str,
    grid: int,
    points: int,
    distances: list[float],
    nodes: int,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write the kernel of one point of each class with all places of a grid, and k(x, x + d) at fixed d over places x.

    A stationary kernel is the same function of place less point everywhere: k(x, x + d) does not depend on x.
    """
    train, test = read_split(data, "train"), read_split(data, "test")
    if train.images.ndim != 2 or train.images.shape[1] != 2:
        raise StoreError(f"{data}: a map needs points of two coordinates, found {train.images.shape[1:]}")
    stored = read_path(path)
    x, y = to_samples(train.images[stored.rows]), torch.tensor(train.labels[stored.rows])
    run = recorded(x, y, torch.from_numpy(stored.weights), stored.learning_rate, stored.loss)
    model = build(**stored.settings).double()
    lines, everywhere = places(x, grid)
    centres = torch.stack([x[y == label].mean(0) for label in y.unique()])
    seen = cross(model, run, centres, everywhere, nodes=nodes).reshape(len(centres), grid, grid)
    diagonal = (centres[1] - centres[0]) / (centres[1] - centres[0]).norm()
    start = to_samples(test.images[test.order[:points]])
    with writing(output, provenance) as file:
        file.put("x", lines[0], "first coordinate of the grid", ("column",))
        file.put("y", lines[1], "second coordinate of the grid", ("row",))
        file.put("centre", centres, "points whose kernel is mapped: means of the classes", ("centre", "feature"))
        file.put("kernel", seen, "kernel of each centre with each place", ("centre", "row", "column"), KERNEL)
        file.put("x_train", x, "training points", ("sample", "feature"))
        file.put("distance", distances, "length of d", ("distance",))
        for number, length in enumerate(distances):
            values = paired(model, run, start, start + length * diagonal, nodes=nodes).numpy()
            file.put(f"shifted/{number}/values", values, "k(x, x + d), the same d for every x", ("point",), KERNEL)
            for key, value in asdict(variation(values, seed=seed)).items():
                file.put(f"shifted/{number}/variation/{key}", value, f"{key} of standard deviation / mean over x", ())
        file.put("shift", diagonal, "direction of d: between the means of the first two classes", ("feature",))
        file.put("start", start, "places x, test points", ("point", "feature"))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw_map(
            data=snakemake.input.data,
            path=snakemake.input.path,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
