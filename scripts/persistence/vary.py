"""Vary gamma and the noise: persistence of the same natural and adversarial images under each."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.persistence.measure import persistence_of_gammas
from neighborhoods.statistics.intervals import summarize
from pipeline.results.shared import PIXELS, one_success_each, put_summary, read_network, read_split
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, StoreError, reading, writing

COLUMNS = {"sigma": "persistence", "low": "lower limit", "high": "upper limit, inf if beyond the range"}


def vary(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    images: int,
    gamma: float,
    gammas: Sequence[float],
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **settings: Any,
) -> None:
    """Write persistence {noise}/{group}/sigma [image, gamma] with limits, means and mean changes.

    mean/{gamma}/{group} and mean/ball/{group} summarise persistence, the ball's at the usual gamma;
    change/{gamma}/{group} ln sigma* less that at the usual gamma, change/ball/{group} the ball's ln sigma* less the
    Gaussian's. Natural images are drawn as for persistence; adversarial ones are successes, a random one of each
    origin.
    """
    split = read_split(data, "test")
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    with reading(attack) as file:
        success, x_adv, origin = (file.read(name) for name in ("success", "x_adv", "index"))
    rows = one_success_each(success, origin, seed)[:images]
    if len(rows) < 2:
        raise StoreError(f"{attack}: fewer than two images were attacked with success, so nothing can be compared")
    index = split.order[:images]
    groups = {
        "natural": (to_unit_interval(split.images[index], device), index),
        "adversarial": (to_unit_interval(x_adv[rows], device), origin[rows]),
    }
    shares = sorted({*gammas, gamma})
    usual = shares.index(gamma)
    with writing(output, provenance) as file:
        file.put("gamma", shares, "share of samples that must keep the class", ("gamma",))
        file.put("usual_gamma", gamma, "share that others are compared with", ())
        file.put("confidence", confidence, "level of each interval", ())
        for number, (name, (x, image)) in enumerate(groups.items()):
            logs = {}
            for noise, levels in (("gaussian", shares), ("ball", [gamma])):
                measure = partial(persistence_of_gammas, network, x, levels, confidence=confidence, noise=noise)
                # Gaussian and ball have noise of their own, gammas share theirs.
                measure = partial(measure, seed=seed + 2 * number + (noise == "ball"), **settings)
                results = halve_on_out_of_memory(measure, batch_size)
                for column, text in COLUMNS.items():
                    values = np.stack([getattr(result, column).numpy() for result in results], 1)
                    file.put(f"{noise}/{name}/{column}", values, text, ("image", "level"), PIXELS)
                status = np.stack([np.array(result.status) for result in results], 1)
                file.put(f"{noise}/{name}/status", status, "ok, or censored by the range of sigma", ("image", "level"))
                for level, result in zip(levels, results, strict=True):
                    what = f"{level:g}" if noise == "gaussian" else noise
                    summary = summarize(result.sigma.numpy(), image, confidence, seed)
                    put_summary(file, f"mean/{what}/{name}", asdict(summary), "persistence", PIXELS)
                    logs[noise, level] = np.log(result.sigma.numpy())
            base = logs["gaussian", shares[usual]]
            changes = {f"{level:g}": logs["gaussian", level] - base for level in shares if level != gamma}
            changes["ball"] = logs["ball", gamma] - base
            for what, values in changes.items():
                summary = summarize(values, image, confidence, seed)
                put_summary(file, f"change/{what}/{name}", asdict(summary), "change of ln persistence", "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        vary(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
