"""Train a network from several starts and measure the networks between each start and its end."""

import copy
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from neighborhoods.images import to_unit_interval
from neighborhoods.networks import architectures as networks
from neighborhoods.networks.principal import fit_projections
from neighborhoods.path_kernel.interpolated_weights import interpolate_weights, norm_changes
from neighborhoods.statistics.intervals import clopper_pearson, summarize
from neighborhoods.training.robust import fit
from pipeline.results.shared import put_summary, read_split
from pipeline.store import Provenance, writing

HITS = {"train_correct": "training images", "test_correct": "test images", "robust": "attacked test images"}
LINES = {
    "loss": ("mean cross-entropy of training images", "nat"),
    "slope": ("derivative of that loss along the line", "nat / weight"),
    "norm": ("L2 norm of the weights", "weight"),
}


def interpolate(
    *,
    data: str,
    output: str,
    network: Mapping[str, Any],
    training: Mapping[str, Any],
    starts: int,
    points: int,
    train_images: int,
    attacked: int,
    epsilon: float,
    step_size: float,
    steps: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write loss, slope and norm [start, point], shares of right answers with limits, and the change of the norm.

    Limits are Clopper and Pearson's, over images, for the network of each start.
    """
    splits = [read_split(data, name) for name in ("train", "test")]
    images = [to_unit_interval(split.images[split.order], device) for split in splits]
    labels = [torch.tensor(split.labels[split.order]).to(device) for split in splits]
    settings = {"input_shape": list(images[0].shape[1:]), "classes": len(splits[0].classes), **network}
    t = np.linspace(0, 1, points)
    runs = []
    for number in range(starts):
        torch.manual_seed(seed + number)
        end = networks.build(**settings).to(device)
        fit_projections(end, images[0])
        start = copy.deepcopy(end)
        fit(end, images[0], labels[0], images[1], labels[1], **training, seed=seed + number)
        seen = (images[0][:train_images], labels[0][:train_images], images[1], labels[1])
        attack: dict[str, Any] = {"attacked": attacked, "epsilon": epsilon, "step_size": step_size, "steps": steps}
        runs.append(interpolate_weights(start, end, t.tolist(), *seen, **attack))
    with writing(output, provenance) as file:
        file.put("t", t, "position between start and end of the training", ("point",))
        file.put("confidence", confidence, "level of each interval", ())
        file.put("epsilon", epsilon, "largest change of a pixel by IGSM", (), "1, pixel range [0, 1]")
        for name, (description, units) in LINES.items():
            values = torch.stack([getattr(run, name) for run in runs])
            file.put(name, values, description, ("start", "point"), units)
        for name, what in HITS.items():
            hits = torch.stack([getattr(run, name) for run in runs]).numpy()
            low, high = clopper_pearson(hits.sum(2), hits.shape[2], confidence)
            file.put(f"{name}/share", hits.mean(2), f"share of {what} classified right", ("start", "point"))
            file.put(f"{name}/low", low, "lower limit", ("start", "point"))
            file.put(f"{name}/high", high, "upper limit", ("start", "point"))
            file.put(f"{name}/n", hits.shape[2], f"number of {what}", ())
        robust = torch.stack([run.robust for run in runs])
        file.put("robust/right", robust, "right before and after the attack", ("start", "point", "image"))
        change, monotonicity = norm_changes(torch.stack([run.norm for run in runs]))
        for name, found in (("norm_change", change.numpy()), ("norm_monotonicity", monotonicity.numpy())):
            file.put(f"start/{name}", found, f"{name} of each training", ("start",))
            put_summary(file, f"summary/{name}", asdict(summarize(found, confidence=confidence)), name, "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        interpolate(
            data=snakemake.input.data,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
