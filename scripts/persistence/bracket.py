"""Bracket the persistence of natural test images and of successful adversarial images."""

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from neighborhoods.images import to_unit_interval
from neighborhoods.networks import restore
from neighborhoods.persistence import persistence
from neighborhoods.statistics import difference, summarize
from pipeline.devices import halve_on_out_of_memory
from pipeline.results import put_summary, read_network, read_split
from pipeline.store import Provenance, StoreError, reading, writing

UNIT = "1, pixel range [0, 1]"


def bracket(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    natural_images: int,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **settings: Any,
) -> None:
    """Write natural/ and adversarial/, each with sigma, low, high, status and a summary.

    Natural images are drawn from the whole test split, right or wrong: at most `natural_images`. The two groups
    get different noise.
    """
    split = read_split(data, "test")
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    with reading(attack) as file:
        success, x_adv = file.read("success"), file.read("x_adv")
        origin, label = file.read("index"), file.read("label")
    if not success.any():
        raise StoreError(f"{attack}: no attack succeeded, so there is no adversarial image to measure")
    index = split.order[:natural_images]
    groups = {
        "natural": (to_unit_interval(split.images[index], device), index, split.labels[index]),
        "adversarial": (to_unit_interval(x_adv[success], device), origin[success], label[success]),
    }
    summaries = {}
    with writing(output, provenance) as file:
        for number, (name, (x, index, label)) in enumerate(groups.items()):
            measure = partial(persistence, network, x, confidence=confidence, seed=seed + number, **settings)
            result = halve_on_out_of_memory(measure, batch_size)
            status = np.array(result.status)
            columns = {
                "sigma": (result.sigma, "estimated persistence", UNIT),
                "low": (result.low, "lower limit of persistence", UNIT),
                "high": (result.high, "upper limit of persistence, inf if beyond the range", UNIT),
                "certified_radius": (
                    result.certified_radius,
                    "certified radius of the classifier smoothed at `low`",
                    UNIT,
                ),
                "recrosses": (result.recrosses, "whether the share rises above gamma again beyond", "1"),
                "status": (status, "ok, or censored_low or censored_high by the range of sigma", "1"),
                "predicted": (result.predicted, "class whose share is counted", "1"),
                "index": (index, "position in the test split of the image or of its origin", "1"),
                "label": (label, "true class of the image or of its origin", "1"),
                "evaluations": (result.evaluations, "noisy images classified", "1"),
            }
            for column, (values, description, units) in columns.items():
                file.put(f"{name}/{column}", values, description, ("image",), units)
            summaries[name] = summarize(result.sigma.numpy(), index, confidence, seed)
            censored = {kind: int((status == kind).sum()) for kind in ("censored_low", "censored_high")}
            # Censored values count as lying at the end of the range: the mean is a restricted one.
            put_summary(file, f"{name}/summary", asdict(summaries[name]) | censored, "persistence", UNIT)
        contrast = difference(summaries["adversarial"], summaries["natural"], confidence)
        put_summary(file, "difference", asdict(contrast), "persistence, adversarial less natural", UNIT)
        file.put("attacked", len(success), "attacked images, successful or not", ())
        file.put("gamma", result.gamma, "share of samples that must keep the class", ())
        file.put("samples", result.samples, "noisy images for one image at one sigma, at most", ())
        file.put("confidence", confidence, "level of each interval", ())


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        bracket(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
