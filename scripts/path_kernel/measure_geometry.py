"""Measure the shape of training paths: the recorded one in detail, and those from other starts summed up."""

from collections.abc import Sequence
from dataclasses import asdict

import torch

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.geometry import cosines_off_path, path_geometry, random_cosine, summary_of
from neighborhoods.path_kernel.path import recorded, train_path
from neighborhoods.statistics.intervals import summarize
from pipeline.results.shared import put_summary, read_path, read_split
from pipeline.store import Provenance, writing

ALONG = {
    "arc": ("length of the path", "weight"),
    "chord": ("distance from the start", "weight"),
    "norm": ("L2 norm of the weights", "weight"),
}
DIRECTIONS = {
    "to_end": ("cosine between minus the gradient and the direction to the end", "1"),
    "successive": ("cosine between gradients before and after a step", "1"),
    "change": ("change of the gradient by the length of a step", "nat / weight^2"),
}


def measure(
    *,
    data: str,
    path: str,
    output: str,
    starts: int,
    places: Sequence[float],
    fractions: Sequence[float],
    samples: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write the recorded path's geometry, start/{measure} [start], summary/{measure}/... and beside/... ."""
    split, stored = read_split(data, "train"), read_path(path)
    x, y = to_samples(split.images[stored.rows]), torch.tensor(split.labels[stored.rows])
    model = build(**stored.settings).double()
    run = recorded(x, y, torch.tensor(stored.weights), stored.learning_rate, stored.loss)
    found = path_geometry(model, run)
    summaries = [asdict(summary_of(found))]
    for number in range(1, starts):
        torch.manual_seed(seed + number)
        other = build(**stored.settings).double()
        again = train_path(other, x, y, learning_rate=stored.learning_rate, steps=run.steps, loss=stored.loss)
        summaries.append(asdict(summary_of(path_geometry(other, again))))
    steps = [int(place * run.steps) for place in places]
    beside = cosines_off_path(model, run, steps=steps, fractions=fractions, samples=samples, seed=seed)
    with writing(output, provenance) as file:
        for columns, dim in ((ALONG, "state"), (DIRECTIONS, "step")):
            for name, (description, units) in columns.items():
                file.put(name, getattr(found, name), description, (dim,), units)
        for name in summaries[0]:
            values = [summary[name] for summary in summaries]
            file.put(f"start/{name}", values, f"{name} of the path from each start", ("start",))
            put_summary(file, f"summary/{name}", asdict(summarize(values, confidence=confidence)), name, "1")
        file.put("beside/step", steps, "steps after which weights beside the path are drawn", ("place",))
        file.put("beside/fraction", list(fractions), "distance from the path by that to the end", ("fraction",))
        file.put("beside/cosine", beside, "cosine to the end", ("place", "fraction", "sample"))
        for i, step in enumerate(steps):
            for j, fraction in enumerate(fractions):
                cosines = summarize(beside[i, j].numpy(), confidence=confidence)
                put_summary(file, f"beside/{step}/{fraction:g}", asdict(cosines), "cosine to the end", "1")
        limit = random_cosine(len(run.start), confidence)
        file.put("random_cosine", limit, "size that a random direction's cosine stays below", ())
        file.put("confidence", confidence, "level of each interval, and how often it stays below", ())
        file.put("parameters", len(run.start), "number of weights", ())


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure(
            data=snakemake.input.data,
            path=snakemake.input.path,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
