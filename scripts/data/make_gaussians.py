"""Draw Gaussian classes in a few dimensions (Bell, figure 20)."""

from collections.abc import Sequence

import numpy as np

from pipeline.results.shared import put_split
from pipeline.store import Provenance, writing


def make_gaussians(
    *,
    output: str,
    means: Sequence[Sequence[float]],
    variance: float,
    per_class: int,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write `per_class` train and as many test points of each class, in random order, as float64."""
    generator = np.random.default_rng(seed)
    centers = np.asarray(means, float)
    with writing(output, provenance) as file:
        file.put("classes", [chr(ord("A") + i) for i in range(len(centers))], "name of each class", ("class",))
        for split in ("train", "test"):
            labels = generator.permutation(np.repeat(np.arange(len(centers)), per_class))
            points = centers[labels] + np.sqrt(variance) * generator.standard_normal((len(labels), centers.shape[1]))
            put_split(file, split, points, labels, generator)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        make_gaussians(output=snakemake.output[0], provenance=run.provenance, **run.settings)
