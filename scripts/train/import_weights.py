"""Take trained weights from a file instead of training, and measure their test accuracy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from neighborhoods.images import to_unit_interval
from neighborhoods.networks import read_state_dict, restore
from neighborhoods.statistics import clopper_pearson
from neighborhoods.training import accuracy
from pipeline.results import put_network, read_network, read_split
from pipeline.store import Provenance, writing


def import_weights(
    *,
    data: str,
    weights: str,
    output: str,
    network: Mapping[str, Any],
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write weights/ and the attribute test_accuracy; files of torch are read as tensors only, never unpickled."""
    split = read_split(data, "test")
    settings = {"input_shape": list(split.images.shape[1:]), "classes": len(split.classes), **network}
    arrays = read_network(weights).weights if Path(weights).suffix == ".h5" else read_state_dict(weights)
    model = restore(settings, arrays, device)
    share = accuracy(model, to_unit_interval(split.images, device), torch.tensor(split.labels).to(device))
    n_test = len(split.labels)
    low, high = clopper_pearson(round(share * n_test), n_test)
    with writing(output, provenance) as file:
        put_network(file, settings, arrays, share, (float(low), float(high)), n_test)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        import_weights(
            data=snakemake.input.data,
            weights=snakemake.input.weights,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
