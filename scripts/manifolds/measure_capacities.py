"""Capacities of points and balls: closed forms, sampled vectors and simulated dichotomies (Seguin, appendix A.4)."""

from collections.abc import Sequence

import numpy as np
import torch

from neighborhoods.manifolds.capacity import (
    ball_capacity,
    large_dimension_ball_capacity,
    simulated_capacity,
)
from neighborhoods.manifolds.mean_field import ball_geometry
from pipeline.store import Provenance, writing

CAPACITY = "manifolds / feature"


def measure(
    *,
    output: str,
    radii: Sequence[float],
    dimensions: Sequence[int],
    n_t: int,
    points: int,
    trials: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write balls/ [radius, dimension] and points/.

    Args:
        radii: in units of the centre's length. n_t: sampled Gaussian vectors of each. points: random ones whose
            dichotomies are simulated, in as many features. trials: dichotomies.
    """
    pairs = [(radius, dimension) for radius in radii for dimension in dimensions]
    shape = (len(radii), len(dimensions))
    sampled = [ball_geometry(*pair, n_t=n_t, seed=seed + place) for place, pair in enumerate(pairs)]
    single = ball_geometry(0.0, dimensions[0], n_t=n_t, seed=seed + len(pairs))
    cloud = np.random.default_rng(seed).standard_normal((points, points, 1))
    simulated = simulated_capacity(torch.from_numpy(cloud), trials, seed, confidence)
    dims = ("radius", "dimension")
    with writing(output, provenance) as file:
        file.put("radius", radii, "radii of the balls over the length of their centres", dims[:1])
        file.put("dimension", dimensions, "dimensions of the balls", dims[1:])
        file.put("vectors", n_t, "Gaussian vectors of each capacity that is sampled", ())
        columns = {
            "printed": ([large_dimension_ball_capacity(*pair) for pair in pairs], "as the source prints it"),
            "exact": ([ball_capacity(*pair) for pair in pairs], "by the exact integral"),
            "sampled": ([float(one.capacity) for one in sampled], "of the mean field over sampled vectors"),
            "sampled_error": ([float(one.capacity_error) for one in sampled], "standard error of the sampled one"),
        }
        for name, (values, text) in columns.items():
            file.put(f"balls/{name}", np.reshape(values, shape), f"capacity, {text}", dims, CAPACITY)
        file.put("points/sampled", float(single.capacity), "capacity of points over sampled vectors", (), CAPACITY)
        file.put("points/sampled_error", float(single.capacity_error), "its standard error", (), CAPACITY)
        for name in ("value", "low", "high"):
            file.put(f"points/simulated/{name}", getattr(simulated, name), f"{name} of the simulated one", (), CAPACITY)
        text = "least number of features that separate each trial's dichotomy"
        file.put("points/simulated/features", simulated.features, text, ("trial",))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure(output=snakemake.output[0], provenance=run.provenance, **run.settings)
