"""Average a teacher's logits of its train images over augmentations and batches: one target an image."""

from dataclasses import asdict

import torch

from neighborhoods.images import to_inputs
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import share
from neighborhoods.training.distillation import averaged_logits
from neighborhoods.training.schedules import kept_rows
from pipeline.results.shared import put_summary, read_checkpoint, read_split
from pipeline.store import Provenance, writing

TARGETS = {
    "logits": "mean of the teacher's logits over draws of batches and augmentations",
    "deviation": "standard deviation of the teacher's logits over draws, nan of one draw, 0 where nothing is random",
}


def average_targets(
    *,
    data: str,
    teacher: str,
    output: str,
    epoch: int,
    validation: int,
    validation_seed: int,
    batch_size: int,
    crop: int,
    flip: bool,
    draws: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write logits and deviation of the train images, their label and index, and the teacher's train_error/.

    Args:
        epoch: of the teacher's checkpoint.
        validation, validation_seed: images of each class that the teacher was not trained on, as `train_teacher` drew
            them.
        batch_size, crop, flip, draws: of `averaged_logits`.
    """
    split = read_split(data, "train")
    stored = read_checkpoint(teacher, epoch)
    kept = kept_rows(split.labels, validation, validation_seed)
    averaged = averaged_logits(
        restore(stored.settings, stored.weights, device),
        to_inputs(split.images[kept], device),
        batch_size=batch_size,
        draws=draws,
        crop=crop,
        flip=flip,
        seed=seed,
    )
    arrays = {"logits": averaged.mean.cpu(), "deviation": averaged.deviation.cpu()}
    wrong = arrays["logits"].argmax(1) != torch.from_numpy(split.labels[kept])
    with writing(output, provenance) as file:
        for name, values in arrays.items():
            file.put(name, values.numpy(), TARGETS[name], ("image", "class"))
        file.put("label", split.labels[kept], "true class", ("image",))
        file.put("index", kept, "position in the train split", ("image",))
        file.attribute("draws", averaged.draws)
        file.attribute("epoch", epoch)
        put_summary(file, "train_error", asdict(share(wrong)), "the share of images whose largest logit is wrong", "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        average_targets(
            data=snakemake.input.data,
            teacher=snakemake.input.teacher,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
