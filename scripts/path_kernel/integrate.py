"""Integrate the path kernel along a recorded path and predict test queries with it."""

import torch
from torch.nn.utils import vector_to_parameters

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.kernel_geometry import places
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.path import recorded
from pipeline.results.shared import read_path, read_split
from pipeline.store import Provenance, writing

# Places of the map of classes along each coordinate.
GRID = 200


def integrate(
    *,
    data: str,
    path: str,
    output: str,
    queries: int,
    tolerance: float,
    nodes: int,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write prediction, network, residual and contributions for random test queries, half of them train points."""
    train, test = read_split(data, "train"), read_split(data, "test")
    stored = read_path(path)
    rows = stored.rows
    x_train, y_train = to_samples(train.images[rows]), torch.tensor(train.labels[rows])
    run = recorded(x_train, y_train, torch.from_numpy(stored.weights), stored.learning_rate, stored.loss)
    model = build(**stored.settings).double()
    inside = queries // 2
    asked = test.order[: queries - inside]
    x = torch.cat([to_samples(train.images[rows[:inside]]), to_samples(test.images[asked])])
    result = path_kernel(model, run, x, tolerance=tolerance, nodes=nodes)
    columns = {
        "prediction": (result.prediction, "output of the kernel machine", ("query", "class")),
        "network": (result.network, "output of the trained network", ("query", "class")),
        "start": (result.start, "output before training", ("query", "class")),
        "contributions": (result.contributions, "share of each training point", ("query", "sample", "class")),
        "residual": (result.residual, "error of the integral, known without the kernel", ("query",)),
        "evaluations": (result.evaluations, "derivatives along the path computed", ("query",)),
        "in_training_set": (torch.arange(queries) < inside, "whether the query was trained on", ("query",)),
    }
    with writing(output, provenance) as file:
        for name, (values, description, dims) in columns.items():
            file.put(name, values, description, dims, "logit" if values.is_floating_point() else "1")
        file.put("x", x, "queries", ("query", *[f"axis{i}" for i in range(x.ndim - 1)]))
        file.put("tolerance", tolerance, "wanted bound of the residual", (), "logit")
        file.put("classes", train.classes, "name of each class", ("class",))
        if x.ndim == 2:
            file.put("x_train", run.x, "training points", ("sample", "feature"))
            file.put("y_train", run.y, "true class of the training points", ("sample",))
        if x.ndim == 2 and x.shape[1] == 2:
            lines, everywhere = places(run.x, GRID, margin=0.1)
            vector_to_parameters(run.weights[-1], model.parameters())
            with torch.no_grad():
                predicted = model(everywhere).argmax(1).reshape(GRID, GRID)
            file.put("map/x", lines[0], "first coordinate of the grid", ("column",))
            file.put("map/y", lines[1], "second coordinate of the grid", ("row",))
            file.put("map/class", predicted, "class that the trained network gives each place", ("row", "column"))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        integrate(
            data=snakemake.input.data,
            path=snakemake.input.path,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
