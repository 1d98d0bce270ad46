"""Trace persistence and class along straight lines from natural to adversarial images."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.persistence.measure import persistence_of_gammas
from pipeline.results.shared import PIXELS, one_success_each, read_network
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, StoreError, reading, writing


def trace(
    *,
    model: str,
    attack: str,
    output: str,
    gammas: Sequence[float],
    points: int,
    pairs: int,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **settings: Any,
) -> None:
    """Write sigma, low, high, status [pair, point, gamma] and the class of each point of the lines.

    A pair is an attacked image and one of its successful adversarial images at random; at most `pairs` of them.
    """
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    with reading(attack) as file:
        columns = {name: file.read(name) for name in ("x", "x_adv", "success", "index", "label", "target", "classes")}
    if not columns["success"].any():
        raise StoreError(f"{attack}: no attack succeeded, so there is no line to follow")
    rows = np.sort(one_success_each(columns["success"], columns["index"], seed))[:pairs]
    t = np.linspace(0, 1, points)
    start, end = columns["x"][rows].astype(np.float64), columns["x_adv"][rows].astype(np.float64)
    along = t.reshape(1, -1, *[1] * (start.ndim - 1))
    line = np.clip(start[:, None] + along * (end - start)[:, None], 0, 1)
    x = to_unit_interval(line.reshape(-1, *start.shape[1:]).astype(np.float32), device)
    measure = partial(persistence_of_gammas, network, x, gammas, confidence=confidence, seed=seed, **settings)
    results = halve_on_out_of_memory(measure, batch_size)
    shape = (len(rows), points)
    with writing(output, provenance) as file:
        file.put("t", t, "0 at the natural, 1 at the adversarial image", ("point",))
        file.put("gamma", gammas, "share of samples that must keep the class", ("gamma",))
        file.put("label", results[0].predicted.reshape(shape), "class of each point", ("pair", "point"))
        file.put("classes", columns["classes"], "name of each class", ("class",))
        file.put("samples", results[0].samples, "noisy images for one point at one sigma", ())
        for name in ("index", "target"):
            file.put(name, columns[name][rows], f"{name} of the attack's row", ("pair",))
        dims = ("pair", "point", "gamma")
        for name, text in (("sigma", "persistence"), ("low", "lower limit"), ("high", "upper limit")):
            values = np.stack([getattr(result, name).numpy().reshape(shape) for result in results], 2)
            file.put(name, values, text, dims, PIXELS)
        status = np.stack([np.array(result.status).reshape(shape) for result in results], 2)
        file.put("status", status, "ok, or censored_low or censored_high by the range of sigma", dims)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        trace(
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
