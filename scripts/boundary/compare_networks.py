"""Compare networks trained for robustness in several ways on the same images (Bell, sections 22, 25 and 26)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from neighborhoods.boundary.zoo import measures, right_for_all, robustness
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import rank_correlation, share, summarize_finite
from pipeline.results.shared import DEGREES, PIXELS, put_persistence, put_summary, read_network, read_split
from pipeline.store import Provenance, StoreError, reading, writing

COLUMNS = {
    "attack_size": ("L2 norm of the smallest perturbation that DeepFool finds", PIXELS),
    "distance": ("distance to the nearest boundary found", PIXELS),
    "skewness": ("angle between the line to an adversarial example and the boundary's normal", DEGREES),
    "persistence": ("persistence", PIXELS),
}
CORRELATION = "Spearman's rank correlation of skewness with attack size"
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
        file.put("epsilon", epsilon, "largest change of a pixel by the attack whose skewness is measured", (), PIXELS)
        for name, path in zip(networks, models, strict=True):
            settings: dict[str, Any] = {**steps_of, "confidence": confidence, "seed": seed, **sampling}
            found = robustness(restored[name], x, label, **settings)
            values[name] = measures(found)
            for key, (text, units) in COLUMNS.items():
                file.put(f"{name}/{key}", values[name][key], text, ("image",), units)
            put_persistence(file, f"{name}/interval", found.persistence, index, label.cpu().numpy())
            file.put(f"{name}/attacked", found.attacked, "whether the attack succeeds", ("image",))
            success = share(found.attacked, confidence)
            put_summary(file, f"{name}/success", asdict(success), "the attack's share of successes", "1")
            with reading(path) as other:
                accuracy = other.attribute("test_accuracy")
            file.put(f"{name}/accuracy", accuracy, "share of test images classified right", ())
        for key, (text, units) in COLUMNS.items():
            for name in networks:
                mean = summarize_finite(values[name][key], None, confidence, seed)
                apart = summarize_finite(values[name][key] - values[reference][key], None, confidence, seed)
                put_summary(file, f"{name}/summary/{key}", asdict(mean), text, units)
                put_summary(file, f"{name}/difference/{key}", asdict(apart), f"paired difference of the {text}", units)
        for name in networks:
            paired = rank_correlation(values[name]["skewness"], values[name]["attack_size"], confidence)
            put_summary(file, f"{name}/correlation", asdict(paired), f"{CORRELATION}, over images", "1")
        skews, sizes = (
            [summarize_finite(values[name][key]).mean for name in networks] for key in ("skewness", "attack_size")
        )
        ranked = rank_correlation(skews, sizes, confidence)
        put_summary(file, "correlation", asdict(ranked), f"{CORRELATION}, of means over networks", "1")
        file.put("index", index, "position of each image in the test split", ("image",))
        file.put("confidence", confidence, "level of each interval", ())


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        compare(
            data=snakemake.input.data,
            models=snakemake.input.models,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
