"""Train a student on a teacher's target logits, manipulated or not; a killed run goes on after its last epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neighborhoods.images import to_inputs
from neighborhoods.networks import architectures as networks
from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.training.distillation import distances, distil, manipulate
from neighborhoods.training.epochs import State, run_epochs
from neighborhoods.training.schedules import Schedule
from pipeline.results.shared import put_network, read_split
from pipeline.results.training import HISTORY, put_history
from pipeline.running.resume import Progress
from pipeline.store import Provenance, StoreError, reading, writing


def distil_student(
    *,
    data: str,
    targets: str,
    output: str,
    network: Mapping[str, Any],
    training: Mapping[str, Any],
    loss: str,
    temperature: float,
    keep: int | None,
    rest: str,
    correct: bool,
    order: str | None = None,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write weights/, history/, target_logits with label and index, and the attribute test_accuracy.

    Args:
        targets: file of the teacher's averaged logits. order: that of the network whose order of classes a hybrid has;
            None for no hybrid.
        training: settings of `Schedule`.
        loss, temperature: of `distillation.distil`. keep, rest, correct: of `distillation.manipulate`.
        seed: of the start, the training and the permutation of the rest.

    Raises:
        StoreError: both files of logits are not of the same images.
    """
    splits = {name: read_split(data, name) for name in ("train", "test")}
    x, x_test = (to_inputs(split.images, device) for split in splits.values())
    y, y_test = (torch.tensor(split.labels).to(device) for split in splits.values())
    logits, index = _read_targets(targets)
    other = None
    if order is not None:
        other, rows = _read_targets(order)
        if not np.array_equal(rows, index):
            raise StoreError(f"{order}: expected logits of the images in {targets}, found others")
    apart = np.setdiff1d(np.arange(len(y)), index)
    settings = {
        "input_shape": list(splits["train"].images.shape[1:]),
        "classes": len(splits["train"].classes),
        **network,
    }
    # The permutation must not repeat the numbers of the start.
    generator = torch.Generator().manual_seed(seed ^ 1)
    label = torch.tensor(splits["train"].labels[index])
    wanted = manipulate(logits, label, keep=keep, rest=rest, correct=correct, order=other, generator=generator)
    torch.manual_seed(seed)
    model = networks.build(**settings).to(device)
    progress = Progress(output, provenance, [data, targets] if order is None else [data, targets, order])
    found = progress.read()
    trained = run_epochs(
        model,
        x[index],
        y[index],
        distil(wanted.to(device), loss, temperature),
        Schedule(**training),
        seed=seed,
        test=(x_test, y_test),
        validation=(x[apart], y[apart]) if len(apart) else None,
        measures=distances(wanted.to(device), temperature),
        state=None if found is None else State(*found),
        keep=lambda state: progress.keep(state.epoch, state.arrays),
    )
    accuracy, n_test = float(trained.history["test_accuracy"][-1]), len(y_test)
    low, high = clopper_pearson(round(accuracy * n_test), n_test)
    with writing(output, provenance) as file:
        put_network(file, settings, networks.weights_of(model), accuracy, (float(low), float(high)), n_test)
        put_history(file, trained.history, HISTORY[loss])
        file.put("target_logits", wanted.numpy(), "target logits, manipulated", ("image", "class"))
        file.put("label", label.numpy(), "true class", ("image",))
        file.put("index", index, "position in the train split", ("image",))
    progress.remove()


def _read_targets(path: str) -> tuple[torch.Tensor, NDArray[np.int64]]:
    with reading(path) as file:
        return torch.from_numpy(file.read("logits", ("image", "class"))), file.read("index", ("image",))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        distil_student(
            data=snakemake.input.data,
            targets=snakemake.input.targets,
            order=snakemake.input.get("order"),
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
