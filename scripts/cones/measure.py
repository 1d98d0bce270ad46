"""Measure persistence inside and outside orthants and set it beside the closed form (Bell, figures 7 and 8)."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from neighborhoods.cones.closed_forms import orthant_persistence, orthant_share, orthant_view, wedge_share
from neighborhoods.cones.wedges import Wedge, wedge_normals
from neighborhoods.persistence.measure import Persistence, persistence
from neighborhoods.statistics.intervals import summarize
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, Writer, writing

UNIT = "1, distance from a face = 1"
VIEWS = (1, 2, 3)
# A wedge whose faces are not orthogonal: its angles in radians, sigma over the distance from each face, noisy points.
SKEWED, SKEWED_SIGMA, SKEWED_POINTS = (0.9, 0.6), 2.0, 100_000


def measure(
    *,
    output: str,
    faces: Sequence[int],
    gamma: float,
    samples: int,
    confidence: float,
    dimension: int,
    points: int,
    sigma_max: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **settings: Any,
) -> None:
    """Write theory and, in inside/ and outside/, `points` independent measurements for each number of faces.

    The point measured has the first k coordinates 1 (inside) or -1 (outside), the others 0; outside, its distance is 1
    from each face's plane and sqrt(k) from the orthant. Beside them: the views of figure 7, and in skewed/ the share
    of noisy points that stay in a wedge whose faces are not orthogonal.
    """
    number = np.asarray(faces)
    curve = np.arange(1, number.max() + 1)
    with writing(output, provenance) as file:
        file.put("faces", number, "number of faces k of the orthant", ("faces",))
        file.put("curve/faces", curve, "number of faces k of the theory's curve", ("curve",))
        for name, value, text in (
            ("gamma", gamma, "share of samples that must keep the class"),
            ("samples", samples, "noisy points behind each share"),
            ("confidence", confidence, "level of each interval"),
            ("dimension", dimension, "dimensions of the space that noise is drawn in"),
            ("sigma_max", sigma_max, "largest sigma searched"),
        ):
            file.put(name, value, text, (), UNIT if name == "sigma_max" else "1")
        for offset, (name, distance) in enumerate((("inside", 1.0), ("outside", -1.0))):
            text = f"persistence {name} by closed form, inf if never crossed"
            file.put(f"theory_{name}", orthant_persistence(distance, number, gamma), text, ("faces",), UNIT)
            file.put(f"curve/{name}", orthant_persistence(distance, curve, gamma), text, ("curve",), UNIT)
            results = []
            for row, k in enumerate(number.tolist()):
                x = torch.zeros(points, dimension, device=device)
                x[:, :k] = distance
                model = Wedge(np.eye(k, dimension))
                noise = seed + 2 * row + offset
                run = partial(persistence, model, x, gamma, samples, confidence, noise, sigma_max=sigma_max, **settings)
                results.append(halve_on_out_of_memory(run, batch_size))
            _put_results(file, name, results, orthant_persistence(distance, number, gamma), confidence)
        _put_views(file)
        _put_skewed(file, seed)


def _put_results(file: Writer, name: str, results: list[Persistence], theory: np.ndarray, confidence: float) -> None:
    """The measurements of one side, with the mean of log sigma* where no measurement is censored."""
    sigma, low, high = (np.stack([getattr(r, part).numpy() for r in results]) for part in ("sigma", "low", "high"))
    status = np.stack([np.array(result.status) for result in results])
    dims = ("faces", "point")
    file.put(f"{name}/sigma", sigma, "estimated persistence", dims, UNIT)
    file.put(f"{name}/low", low, "lower limit of persistence", dims, UNIT)
    file.put(f"{name}/high", high, "upper limit of persistence, inf if beyond the range", dims, UNIT)
    file.put(f"{name}/status", status, "ok, or censored_low or censored_high by the range of sigma", dims)
    file.put(f"{name}/censored", (status != "ok").mean(1), "share of measurements that are censored", ("faces",))
    covered = ((low <= theory[:, None]) & (theory[:, None] <= high)).mean(1)
    file.put(f"{name}/covered", covered, "share of intervals that hold the closed form's value", ("faces",))
    complete = (status == "ok").all(1)
    logs = [summarize(np.log(row), confidence=confidence) for row in sigma]
    for key, part, text in (
        ("log_mean", "mean", "mean of ln sigma*"),
        ("log_mean_error", "standard_error", "standard error of the mean of ln sigma*"),
        ("log_mean_low", "mean_low", "lower limit of the mean of ln sigma* (Student)"),
        ("log_mean_high", "mean_high", "upper limit of the mean of ln sigma* (Student)"),
    ):
        values = np.where(complete, [getattr(summary, part) for summary in logs], np.nan)
        file.put(f"{name}/{key}", values, f"{text}, nan where a measurement is censored", ("faces",))


def _put_views(file: Writer) -> None:
    for k in VIEWS:
        polygons, point, feet = orthant_view(k)
        file.put(f"views/{k}/faces", polygons, "corners of each face in order", ("face", "corner", "axis"), UNIT)
        file.put(f"views/{k}/point", point, "the point whose persistence is measured", ("axis",), UNIT)
        file.put(f"views/{k}/feet", feet, "nearest point of each face", ("face", "axis"), UNIT)


def _put_skewed(file: Writer, seed: int) -> None:
    """Points kept by the wedge of angles SKEWED at distance 1 from each face, beside both formulas of their share."""
    normals = wedge_normals(SKEWED, len(SKEWED) + 1)
    noise = SKEWED_SIGMA * np.random.default_rng(seed).standard_normal((SKEWED_POINTS, normals.shape[1]))
    kept = int((1 + noise @ normals.T > 0).all(1).sum())
    file.put("skewed/kept", kept, "noisy points that stay in a wedge of angles .9 and .6, sigma = 2", ())
    file.put("skewed/points", SKEWED_POINTS, "noisy points", ())
    power = orthant_share(1.0, SKEWED_SIGMA, len(normals))
    file.put("skewed/printed", power, "their share by the power of proposition 4.3", ())
    share = wedge_share(np.ones(len(normals)), normals, SKEWED_SIGMA)
    file.put("skewed/corrected", share, "their share by the normal law of correlated distances", ())


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure(output=snakemake.output[0], device=run.device, provenance=run.provenance, **run.settings)
