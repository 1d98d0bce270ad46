"""Integrate the path kernel along a recorded path and predict test queries with it."""

import torch

from neighborhoods.images import to_samples
from neighborhoods.networks import build
from neighborhoods.path import Path
from neighborhoods.path_kernel import path_kernel
from pipeline.results import read_split
from pipeline.store import Provenance, reading, writing


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
    with reading(path) as file:
        rows, weights = file.read("rows"), torch.tensor(file.read("weights", ("step", "parameter")))
        settings = file.json_attribute("network")
        learning_rate, loss = file.attribute("learning_rate"), file.attribute("loss")
    recorded = Path(
        x=to_samples(train.images[rows]),
        y=torch.tensor(train.labels[rows]),
        learning_rate=learning_rate,
        loss=loss,
        start=weights[0],
        steps=len(weights) - 1,
        weights=weights,
    )
    inside = queries // 2
    asked = test.order[: queries - inside]
    x = torch.cat([to_samples(train.images[rows[:inside]]), to_samples(test.images[asked])])
    result = path_kernel(build(**settings).double(), recorded, x, tolerance=tolerance, nodes=nodes)
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
            file.put("x_train", recorded.x, "training points", ("sample", "feature"))
            file.put("y_train", recorded.y, "true class of the training points", ("sample",))


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        integrate(
            data=snakemake.input.data,
            path=snakemake.input.path,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
