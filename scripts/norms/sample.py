"""Sample norms of Gaussian noise and of points uniform in a ball of the same size (Bell, figure 19)."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from neighborhoods.persistence.concentration import (
    ball_norm_law,
    ball_norms,
    gaussian_norm_law,
    gaussian_norms,
    moments,
)
from pipeline.store import Provenance, writing

UNIT = "1, unit of a coordinate"
CURVE_POINTS = 300
MOMENTS = {
    "mean": "mean norm",
    "mean_error": "standard error of the mean",
    "deviation": "standard deviation of the norm",
    "deviation_error": "standard error of the standard deviation",
}


def sample(
    *,
    output: str,
    dimensions: Sequence[int],
    points: Sequence[int],
    radius: float,
    bins: int,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write {dimension}/gaussian/ and {dimension}/ball/: norms, their histogram, moments and the exact law.

    The Gaussian's sigma is radius / sqrt(n), so that its norm is about the radius (errata, Part I).
    """
    with writing(output, provenance) as file:
        file.put("dimensions", dimensions, "dimensions n of the space", ("panel",))
        file.put("points", points, "points of each distribution", ("panel",))
        file.put("radius", radius, "radius of the ball", (), UNIT)
        for number, (n, count) in enumerate(zip(dimensions, points, strict=True)):
            sigma = radius / np.sqrt(n)
            file.put(f"{n}/sigma", sigma, "standard deviation of the Gaussian's coordinates", (), UNIT)
            draws = {
                "gaussian": (gaussian_norms(n, count, sigma, seed + 2 * number), gaussian_norm_law(n, sigma)),
                "ball": (ball_norms(n, count, radius, seed + 2 * number + 1), ball_norm_law(n, radius)),
            }
            for name, (norms, law) in draws.items():
                group = f"{n}/{name}"
                density, edges = np.histogram(norms, bins, density=True)
                at = np.linspace(edges[0], edges[-1], CURVE_POINTS)
                file.put(f"{group}/norm", norms, "norm of each point", ("point",), UNIT)
                file.put(f"{group}/density", density, "histogram of the norms, of area 1", ("bin",), "1 / norm")
                file.put(f"{group}/edges", edges, "edges of the histogram's bins", ("edge",), UNIT)
                file.put(f"{group}/theory/norm", at, "norms at which the exact density is given", ("curve",), UNIT)
                file.put(f"{group}/theory/density", law.pdf(at), "exact density of the norm", ("curve",), "1 / norm")
                file.put(f"{group}/theory/mean", law.mean(), "exact mean of the norm", (), UNIT)
                file.put(f"{group}/theory/deviation", law.std(), "exact standard deviation of the norm", (), UNIT)
                for part, value in asdict(moments(norms)).items():
                    file.put(f"{group}/{part}", value, MOMENTS[part], (), UNIT)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        sample(output=snakemake.output[0], provenance=run.provenance, **run.settings)
