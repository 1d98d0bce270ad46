"""Bracket the persistence of natural test images and of successful adversarial images."""

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from neighborhoods.images import to_unit_interval
from neighborhoods.networks import restore
from neighborhoods.persistence import persistence
from neighborhoods.statistics import summarize
from pipeline.devices import halve_on_out_of_memory
from pipeline.results import read_network, read_split
from pipeline.store import Provenance, StoreError, Writer, reading, writing

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
    with writing(output, provenance) as file:
        for number, (name, (x, index, label)) in enumerate(groups.items()):
            measure = partial(persistence, network, x, confidence=confidence, seed=seed + number, **settings)
            result = halve_on_out_of_memory(measure, batch_size)
            status = np.array(result.status)
            columns = {
                "sigma": (result.sigma, "estimated persistence", UNIT),
                "low": (result.low, "lower limit of persistence", UNIT),
                "high": (result.high, "upper limit of persistence, inf if beyond the range", UNIT),
                "status": (status, "ok, or censored_low or censored_high by the range of sigma", "1"),
                "predicted": (result.predicted, "class whose share is counted", "1"),
                "index": (index, "position in the test split of the image or of its origin", "1"),
                "label": (label, "true class of the image or of its origin", "1"),
                "evaluations": (result.evaluations, "noisy images classified", "1"),
            }
            for column, (values, description, units) in columns.items():
                file.put(f"{name}/{column}", values, description, ("image",), units)
            _put_summary(file, name, result.sigma.numpy(), index, status, confidence, seed)
        file.put("attacked", len(success), "attacked images, successful or not", ())


def _put_summary(
    file: Writer, name: str, sigma: np.ndarray, index: np.ndarray, status: np.ndarray, confidence: float, seed: int
) -> None:
    """Summaries treat censored values as lying at the end of the range: a restricted mean."""
    summary = asdict(summarize(sigma, index, confidence, seed))
    for key, value in summary.items():
        unit = "1" if key in ("n", "clusters") else UNIT
        file.put(f"{name}/summary/{key}", value, f"{key} of persistence, clustered by origin image", (), unit)
    for kind in ("censored_low", "censored_high"):
        file.put(f"{name}/summary/{kind}", int((status == kind).sum()), f"images {kind}", ())


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
