"""Record the logits of a teacher's checkpoints, of all seeds, for train and test images."""

from collections.abc import Sequence

import numpy as np

from neighborhoods.boundary.points import logits_in_batches
from neighborhoods.images import to_inputs
from neighborhoods.networks.architectures import restore
from neighborhoods.training.schedules import kept_rows
from pipeline.results.shared import read_checkpoint, read_split
from pipeline.running.devices import halving
from pipeline.store import Provenance, writing

BATCH_SIZE = 500


def record_outputs(
    *,
    data: str,
    networks: Sequence[str],
    output: str,
    epochs: Sequence[int],
    seeds: Sequence[int],
    validation: int,
    validation_seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write {split}/logits and {split}/label, train/index, epochs and seeds; networks are in evaluation mode.

    Args:
        networks: file of the teacher of each of `seeds`. epochs: of its checkpoints.
        validation, validation_seed: images of each class that the teachers were not trained on and that are left out,
            as `train_teacher` drew them.
    """
    train, test = (read_split(data, name) for name in ("train", "test"))
    kept = kept_rows(train.labels, validation, validation_seed)
    labels = {"train": train.labels[kept], "test": test.labels}
    images = {"train": to_inputs(train.images[kept], device), "test": to_inputs(test.images, device)}
    shape = (len(seeds), len(epochs))
    with writing(output, provenance) as file:
        file.put("epochs", list(epochs), "epochs trained", ("epoch",))
        file.put("seeds", list(seeds), "seed of each training", ("seed",))
        file.put("train/index", kept, "position in the train split", ("image",))
        for split, x in images.items():
            found = np.empty((*shape, len(x), len(train.classes)), np.float32)
            for place in np.ndindex(shape):
                stored = read_checkpoint(networks[place[0]], epochs[place[1]])
                model = restore(stored.settings, stored.weights, device)
                found[place] = halving(logits_in_batches)(model, x, batch_size=BATCH_SIZE).cpu().numpy()
            file.put(f"{split}/logits", found, f"logits of {split} images", ("seed", "epoch", "image", "class"))
            file.put(f"{split}/label", labels[split], f"true class of the {split} images", ("image",))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        record_outputs(
            data=snakemake.input.data,
            networks=snakemake.input.networks,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
