"""Compare networks trained for robustness in several ways on the same images (Bell, sections 22, 25 and 26)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from neighborhoods.images import to_unit_interval
from neighborhoods.kernel_geometry import Estimate
from neighborhoods.networks import restore
from neighborhoods.statistics import clopper_pearson
from neighborhoods.zoo import correlation_of, measures, right_for_all, robustness, summary_of
from pipeline.results import DEGREES, PIXELS, put_persistence, put_summary, read_network, read_split
from pipeline.store import Provenance, StoreError, Writer, reading, writing

COLUMNS = {
    "attack_size": ("L2 norm of the smallest perturbation that DeepFool finds", PIXELS),
    "distance": ("distance to the nearest boundary found", PIXELS),
    "skew": ("angle between the line to an adversarial example and the boundary's normal", DEGREES),
    "persistence": ("persistence", PIXELS),
}
FEWEST_IMAGES = 4


def compare(
    *,
    data: str,
    models: Sequence[str],
    output: str,
    networks: Sequence[str],
    reference: str,
    images: int,
    epsilon: float,
    step_size: float,
    steps: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **sampling: Any,
) -> None:
    """Write for each network the measures of each image, their means, and paired differences to the reference.

    Images are the first of the test split that every network classifies right, so that they are easier than most.
    """
    split = read_split(data, "test")
    stored = {name: read_network(path) for name, path in zip(networks, models, strict=True)}
    restored = {name: restore(it.settings, it.weights, device) for name, it in stored.items()}
    x = to_unit_interval(split.images[split.order], device)
    label = torch.tensor(split.labels[split.order]).to(device)
    rows = right_for_all(list(restored.values()), x, label, images)
    if len(rows) < FEWEST_IMAGES:
        raise StoreError(f"{data}: expected {FEWEST_IMAGES} images that all networks classify right, found {len(rows)}")
    x, label, index = x[rows], label[rows], split.order[rows.cpu().numpy()]
    steps_of = {"epsilon": epsilon, "step_size": step_size, "steps": steps}
    values: dict[str, Any] = {}
    with writing(output, provenance) as file:
        file.put("networks", list(networks), "name of each network", ("network",))
        file.put("reference", list(networks).index(reference), "position of the one that others are compared with", ())
        file.put("epsilon", epsilon, "largest change of a pixel by the attack whose skew is measured", (), PIXELS)
        for name, path in zip(networks, models, strict=True):
            settings: dict[str, Any] = {**steps_of, "confidence": confidence, "seed": seed, **sampling}
            found = robustness(restored[name], x, label, **settings)
            values[name] = measures(found)
            for key, (text, units) in COLUMNS.items():
                file.put(f"{name}/{key}", values[name][key], text, ("image",), units)
            put_persistence(file, f"{name}/interval", found.persistence, index, label.cpu().numpy())
            file.put(f"{name}/attacked", found.attacked, "whether the attack succeeds", ("image",))
            low, high = clopper_pearson(found.attacked.sum(), len(rows), confidence)
            for part, value in (("share", found.attacked.mean()), ("low", low), ("high", high)):
                file.put(f"{name}/success/{part}", value, f"{part} of the attack's successes", ())
            with reading(path) as other:
                accuracy = other.attribute("test_accuracy")
            file.put(f"{name}/accuracy", accuracy, "share of test images classified right", ())
        for key, (text, units) in COLUMNS.items():
            for name in networks:
                mean = summary_of(values[name][key], confidence, seed)
                apart = summary_of(values[name][key] - values[reference][key], confidence, seed)
                put_summary(file, f"{name}/summary/{key}", asdict(mean), text, units)
                put_summary(file, f"{name}/difference/{key}", asdict(apart), f"paired difference of the {text}", units)
        for name in networks:
            paired = correlation_of(values[name]["skew"], values[name]["attack_size"], confidence)
            _put_correlation(file, f"{name}/correlation", paired, "over images")
        skews, sizes = ([summary_of(values[name][key]).mean for name in networks] for key in ("skew", "attack_size"))
        _put_correlation(file, "correlation", correlation_of(skews, sizes, confidence), "of means, over networks")
        file.put("index", index, "position of each image in the test split", ("image",))
        file.put("confidence", confidence, "level of each interval", ())


def _put_correlation(file: Writer, group: str, found: Estimate, where: str) -> None:
    for key, value in asdict(found).items():
        text = f"{key} of Spearman's correlation of skew with attack size, {where}"
        file.put(f"{group}/{key}", np.asarray(value), text, ())


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        compare(
            data=snakemake.input.data,
            models=snakemake.input.models,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
