"""Train a network by full-batch gradient descent and record its whole path of weights."""

from collections.abc import Mapping
from typing import Any

import torch

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.path import train_path
from pipeline.results.shared import read_split
from pipeline.store import Provenance, writing


def record(
    *,
    data: str,
    output: str,
    network: Mapping[str, Any],
    learning_rate: float,
    steps: int,
    loss: str,
    train_samples: int,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write weights [step, parameter] in float64 and the rows of the train split that were used."""
    split = read_split(data, "train")
    rows = split.order[:train_samples]
    x, y = to_samples(split.images[rows]), torch.tensor(split.labels[rows])
    settings = {"input_shape": list(x.shape[1:]), "classes": len(split.classes), **network}
    torch.manual_seed(seed)
    model = build(**settings).double()
    path = train_path(model, x, y, learning_rate=learning_rate, steps=steps, loss=loss)
    with writing(output, provenance) as file:
        file.attribute("network", settings)
        file.attribute("learning_rate", learning_rate)
        file.attribute("loss", loss)
        file.put("weights", path.weights, "flat parameters before each step and after the last", ("step", "parameter"))
        file.put("rows", rows, "rows of the train split that were trained on", ("sample",))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        record(data=snakemake.input.data, output=snakemake.output[0], provenance=run.provenance, **run.settings)
