"""Measure the accuracy of networks of several seeds, natural and under attack, on the same test images."""

from collections.abc import Sequence
from typing import Any

import torch

from neighborhoods.attacks.robustness import (
    Accuracy,
    Outcome,
    accuracy_over_seeds,
    under_apgd,
    under_autoattack,
    under_odi,
    under_pgd,
)
from neighborhoods.images import to_inputs
from neighborhoods.networks.architectures import restore
from pipeline.results.shared import read_checkpoint, read_split
from pipeline.running.devices import halving
from pipeline.store import Provenance, Writer, writing

OF_SEEDS = ("measured", "low", "high")
FIELDS = {
    "measured": "share of images classified right",
    "low": "lower binomial limit",
    "high": "upper binomial limit",
    "n": "images",
    "seeds": "networks",
    "mean": "mean of the shares over seeds",
    "mean_low": "lower limit of the mean, for other seeds and images",
    "mean_high": "upper limit of the mean, for other seeds and images",
}


def measure_robustness(
    *,
    data: str,
    networks: Sequence[str],
    output: str,
    seeds: Sequence[int],
    images: int,
    epsilon: float,
    steps: int,
    restarts: int,
    batch_size: int,
    pgd_steps: int,
    check_images: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
    epoch: int | None = None,
    device: str = "cpu",
) -> None:
    """Write logits, what Auto-PGD did to each image, natural/, adversarial/ and pgd/, and check/ of the first network.

    Args:
        networks: files of the networks. seeds: of their training, in the same order.
        epoch: of the checkpoint that is measured; None for the trained networks.
        images: from the start of the test split's random order.
        check_images: how many of these AutoAttack and ODI attack too, on the first network alone; 0 for none.
        seed: of the attacks, the same for every network.
    """
    split = read_split(data, "test")
    index = split.order[:images]
    x = to_inputs(split.images[index], device)
    label = torch.tensor(split.labels[index]).to(device)
    common: dict[str, Any] = {"epsilon": epsilon, "batch_size": batch_size, "seed": seed}
    apgd: list[Outcome] = []
    pgd: list[Outcome] = []
    checks: dict[str, torch.Tensor] = {}
    for path in networks:
        stored = read_checkpoint(path, epoch)
        network = restore(stored.settings, stored.weights, device)
        apgd.append(halving(under_apgd)(network, x, label, steps=steps, restarts=restarts, **common))
        pgd.append(halving(under_pgd)(network, x, label, steps=pgd_steps, restarts=restarts, **common))
        if check_images and not checks:
            few = (x[:check_images], label[:check_images])
            checks["autoattack"] = halving(under_autoattack)(network, *few, **common).adversarial
            checks["odi"] = halving(under_odi)(network, *few, **common).adversarial
            checks["apgd"] = apgd[0].adversarial[:check_images]
    with writing(output, provenance) as file:
        file.put("seeds", list(seeds), "seed of each network's training", ("seed",))
        file.put("index", index, "position in the test split", ("image",))
        file.put("label", split.labels[index], "true class", ("image",))
        _put_outcomes(file, apgd)
        for name, outcomes in {"natural": apgd, "adversarial": apgd, "pgd": pgd}.items():
            answers = [outcome.natural if name == "natural" else outcome.adversarial for outcome in outcomes]
            _put_accuracy(file, name, accuracy_over_seeds(torch.stack(answers).cpu(), confidence))
        for name, correct in checks.items():
            text = f"whether the first network is still right under {name}, of the first images"
            file.put(f"check/{name}/correct", correct.cpu(), text, ("checked",))
            _put_accuracy(file, f"check/{name}", accuracy_over_seeds(correct[None].cpu(), confidence))


def _put_outcomes(file: Writer, outcomes: Sequence[Outcome]) -> None:
    dims = ("seed", "image", "class")
    logits = torch.stack([outcome.logits for outcome in outcomes]).cpu()
    file.put("logits", logits, "logits of the images", dims)
    adversarial = torch.stack([outcome.adversarial_logits for outcome in outcomes]).cpu()
    text = "logits of the image that broke each, of the last try where it survived, of itself where it was mistaken"
    file.put("adversarial_logits", adversarial, text, dims)
    broken_by = torch.stack([outcome.broken_by for outcome in outcomes]).cpu()
    text = "attack that broke each image, counted from 1; 0 where it survived, -1 where it is misclassified as it is"
    file.put("broken_by", broken_by, text, ("seed", "image"))
    file.put("attacks", list(outcomes[0].attacks), "name of each attack", ("attack",))


def _put_accuracy(file: Writer, group: str, accuracy: Accuracy) -> None:
    for name, text in FIELDS.items():
        file.put(f"{group}/{name}", getattr(accuracy, name), text, ("seed",) if name in OF_SEEDS else ())


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure_robustness(
            data=snakemake.input.data,
            networks=list(snakemake.input.networks),
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
