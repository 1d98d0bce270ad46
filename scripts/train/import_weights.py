"""Take trained weights from a file instead of training, and measure their test accuracy."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neighborhoods.networks.architectures import read_state_dict, restore, weights_of
from neighborhoods.networks.photos import published_weights
from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.training.minibatch import accuracy
from pipeline.data.download import digested, fetch, file_digest, of_collection
from pipeline.data.foreign import Wanted, read_foreign
from pipeline.results.shared import put_network, read_split
from pipeline.store import Provenance, verify, writing


def import_weights(
    *,
    data: str,
    output: str,
    network: Mapping[str, Any],
    seed: int,
    provenance: Provenance,
    weights: str | None = None,
    mirror: str | None = None,
    downloads: str = "downloads",
    device: str = "cpu",
) -> None:
    """Write weights/ and the attribute test_accuracy; files of torch are read as tensors only, never unpickled.

    Without a file the published weights of the architecture are taken.
    """
    split = read_split(data, "test")
    settings = {"input_shape": list(split.images.shape[1:]), "classes": len(split.classes), **network}
    weights = weights or _published(network, downloads, mirror)
    arrays = _weights_of_model_file(weights) if Path(weights).suffix == ".h5" else read_state_dict(weights)
    model = restore(settings, arrays, device)
    share = accuracy(model, torch.from_numpy(split.images).to(device), torch.tensor(split.labels).to(device))
    n_test = len(split.labels)
    low, high = clopper_pearson(round(share * n_test), n_test)
    with writing(output, provenance) as file:
        # Says whose they are, wherever they came from.
        file.attribute("weights_sha256", file_digest(Path(weights), "sha256"))
        put_network(file, settings, weights_of(model), share, (float(low), float(high)), n_test)


def _weights_of_model_file(path: str) -> dict[str, np.ndarray]:
    # It may come from anybody, who could have made its digest, too.
    verify(path)
    return read_foreign(path, Wanted(group="weights"))


def _published(network: Mapping[str, Any], downloads: str, mirror: str | None) -> str:
    place = published_weights(network["architecture"], network.get("name", ""))
    if place.file is not None:
        return str(place.file)
    check = partial(digested, algorithm="sha256", expected=place.sha256)
    folder = "weights"
    return str(fetch(place.name, check, [place.home], Path(downloads) / folder, of_collection(mirror, folder)))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        import_weights(
            data=snakemake.input.data,
            weights=snakemake.input.get("weights"),
            mirror=snakemake.params.mirror,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
