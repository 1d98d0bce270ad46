"""Train a network on the train split of a dataset and store its weights and history."""

from collections.abc import Mapping
from typing import Any

import torch

from neighborhoods.images import to_inputs
from neighborhoods.networks import architectures as networks
from neighborhoods.networks.principal import fit_projections
from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.training.robust import fit
from pipeline.results.shared import put_network, read_split
from pipeline.store import Provenance, writing

HISTORY = {
    "loss": ("mean cross-entropy of the training batches", "nat"),
    "penalty": ("mean of what is added to the loss of the training batches", "nat"),
    "train_accuracy": ("share of correct images of the training batches", "1"),
    "test_accuracy": ("share of correct test images after the epoch", "1"),
}


def train_network(
    *,
    data: str,
    output: str,
    network: Mapping[str, Any],
    training: Mapping[str, Any],
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Train from a start drawn by the seed; write weights/, history/ and the attribute test_accuracy."""
    splits = {name: read_split(data, name) for name in ("train", "test")}
    images = [to_inputs(splits[name].images, device) for name in splits]
    labels = [torch.tensor(splits[name].labels).to(device) for name in splits]
    settings = {
        "input_shape": list(splits["train"].images.shape[1:]),
        "classes": len(splits["train"].classes),
        **network,
    }
    torch.manual_seed(seed)
    model = networks.build(**settings).to(device)
    fit_projections(model, images[0])
    history = fit(model, images[0], labels[0], images[1], labels[1], **training, seed=seed)
    accuracy, n_test = history.test_accuracy[-1], len(splits["test"].labels)
    low, high = clopper_pearson(round(accuracy * n_test), n_test)
    with writing(output, provenance) as file:
        put_network(file, settings, networks.weights_of(model), accuracy, (float(low), float(high)), n_test)
        for name, (description, units) in HISTORY.items():
            file.put(f"history/{name}", getattr(history, name), description, ("epoch",), units)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        train_network(
            data=snakemake.input.data,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
