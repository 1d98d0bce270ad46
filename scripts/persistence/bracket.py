"""Bracket the persistence of successful adversarial images, and compare it with that of natural images."""

from dataclasses import asdict, fields
from functools import partial
from typing import Any

from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.persistence.measure import Persistence, persistence
from neighborhoods.statistics.intervals import NO_VALUES, Summary, difference, summarize
from pipeline.results.shared import PIXELS, put_persistence, put_persistence_summary, put_summary, read_network
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, reading, writing


def bracket(
    *,
    model: str,
    attack: str,
    natural: str,
    output: str,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **settings: Any,
) -> None:
    """Write adversarial/ beside natural/, which is taken over: sigma, low, high, status and a summary of each.

    Of an attack that never succeeded adversarial/ is empty.
    """
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    with reading(attack) as file:
        success, x_adv = file.read("success"), file.read("x_adv")
        origin, label = file.read("index"), file.read("label")
    if success.any():
        x = to_unit_interval(x_adv[success], device)
        run = partial(persistence, network, x, confidence=confidence, seed=seed, **settings)
        result = halve_on_out_of_memory(run, batch_size)
        summary = summarize(result.sigma.numpy(), origin[success], confidence, seed)
    else:
        result = Persistence.of_nothing(settings["gamma"], settings["samples"], settings["noise"])
        summary = NO_VALUES
    with writing(output, provenance) as file, reading(natural) as beside:
        file.copy(beside, "natural")
        put_persistence(file, "adversarial", result, origin[success], label[success])
        put_persistence_summary(file, "adversarial", result, asdict(summary))
        other = Summary(
            **{field.name: beside.read(f"natural/summary/{field.name}").item() for field in fields(Summary)}
        )
        contrast = difference(summary, other, confidence)
        put_summary(file, "difference", asdict(contrast), "persistence, adversarial less natural", PIXELS)
        file.put("attacked", len(success), "attacked images, successful or not", ())
        file.put("gamma", result.gamma, "share of samples that must keep the class", ())
        file.put("samples", result.samples, "noisy images for one image at one sigma, at most", ())
        file.put("confidence", confidence, "level of each interval", ())


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        bracket(
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            natural=snakemake.input.natural,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
