"""Measure the persistence of natural test images, which every attack on a network is compared with."""

from dataclasses import asdict
from functools import partial
from typing import Any

from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.persistence.measure import persistence
from neighborhoods.statistics.intervals import summarize
from pipeline.results.shared import put_persistence, put_persistence_summary, read_network, read_split
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, writing


def measure(
    *,
    data: str,
    model: str,
    output: str,
    natural_images: int,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **settings: Any,
) -> None:
    """Write natural/ for images drawn from the whole test split, right or wrong: at most `natural_images`."""
    split, stored = read_split(data, "test"), read_network(model)
    network = restore(stored.settings, stored.weights, device)
    index = split.order[:natural_images]
    x = to_unit_interval(split.images[index], device)
    run = partial(persistence, network, x, confidence=confidence, seed=seed, **settings)
    result = halve_on_out_of_memory(run, batch_size)
    with writing(output, provenance) as file:
        put_persistence(file, "natural", result, index, split.labels[index])
        summary = summarize(result.sigma.numpy(), index, confidence, seed)
        put_persistence_summary(file, "natural", result, asdict(summary))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure(
            data=snakemake.input.data,
            model=snakemake.input.model,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
