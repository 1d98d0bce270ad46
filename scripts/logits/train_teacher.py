"""Train a network in the standard way or adversarially, with checkpoints; a killed run goes on after its last epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from neighborhoods.images import to_inputs
from neighborhoods.networks import architectures as networks
from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.training import epochs
from neighborhoods.training.epochs import State, classify, run_epochs
from neighborhoods.training.schedules import Schedule, kept_rows
from pipeline.results.shared import put_network, read_split
from pipeline.results.training import put_history
from pipeline.running.resume import Progress
from pipeline.store import Provenance, writing


def train_teacher(
    *,
    data: str,
    output: str,
    network: Mapping[str, Any],
    training: Mapping[str, Any],
    adversarial: Mapping[str, Any] | None,
    warm_up: int,
    checkpoints: Sequence[int],
    validation: int,
    validation_seed: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write weights/, checkpoints/{epoch}/, history/ and the attribute test_accuracy.

    Args:
        training: settings of `Schedule`. adversarial: of `epochs.attacked`; None for standard training.
        warm_up: epochs over which the attack grows, as for `epochs.warm_up`; standard training has none.
        validation: images of each class set apart from the train split, drawn by `validation_seed`.
    """
    splits = {name: read_split(data, name) for name in ("train", "test")}
    x, x_test = (to_inputs(split.images, device) for split in splits.values())
    y, y_test = (torch.tensor(split.labels).to(device) for split in splits.values())
    kept = kept_rows(splits["train"].labels, validation, validation_seed)
    apart = np.setdiff1d(np.arange(len(y)), kept)
    settings = {
        "input_shape": list(splits["train"].images.shape[1:]),
        "classes": len(splits["train"].classes),
        **network,
    }
    torch.manual_seed(seed)
    model = networks.build(**settings).to(device)
    progress = Progress(output, provenance, [data])
    found = progress.read()
    trained = run_epochs(
        model,
        x[kept],
        y[kept],
        classify(y[kept], adversarial),
        Schedule(**training),
        seed=seed,
        test=(x_test, y_test),
        validation=(x[apart], y[apart]) if len(apart) else None,
        first=[] if adversarial is None else epochs.warm_up(y[kept], adversarial, warm_up),
        checkpoints=checkpoints,
        state=None if found is None else State(*found),
        keep=lambda state: progress.keep(state.epoch, state.arrays),
    )
    accuracy, n_test = float(trained.history["test_accuracy"][-1]), len(y_test)
    low, high = clopper_pearson(round(accuracy * n_test), n_test)
    with writing(output, provenance) as file:
        put_network(file, settings, networks.weights_of(model), accuracy, (float(low), float(high)), n_test)
        for epoch, weights in trained.checkpoints.items():
            for name, array in weights.items():
                dims = [f"axis{i}" for i in range(array.ndim)]
                file.put(f"checkpoints/{epoch:03d}/{name}", array, f"parameter after epoch {epoch}", dims)
        put_history(file, trained.history)
    progress.remove()


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        train_teacher(
            data=snakemake.input.data,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
