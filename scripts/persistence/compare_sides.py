"""Compare persistence / distance on both sides of a crossing, and natural with adversarial images at equal distance."""

from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from neighborhoods.boundary.asymmetry import Faces, crossing, face_numbers, match
from neighborhoods.cones.closed_forms import orthant_persistence
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import NO_VALUES, summarize
from pipeline.results.shared import PIXELS, one_success_each, put_summary, read_network, read_split
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, StoreError, Writer, reading, writing

LOG = "ln of the face number"


def compare(
    *,
    data: str,
    model: str,
    attack: str,
    output: str,
    images: int,
    caliper: float,
    gamma: float,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
    **settings: Any,
) -> None:
    """Write four groups of points with distance, persistence and face number, and differences of ln k with intervals.

    natural/ (correctly classified test images), adversarial/ (successes, a random one of each origin), near/ and far/
    (equally far on both sides of where the line between them first changes class).
    """
    split = read_split(data, "test")
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    with reading(attack) as file:
        columns = {name: file.read(name) for name in ("x", "x_adv", "success", "index")}
    rows = one_success_each(columns["success"], columns["index"], seed)[:images]
    if len(rows) < 2:
        raise StoreError(f"{attack}: fewer than two images were attacked with success, so nothing can be compared")
    start, end = (to_unit_interval(columns[name][rows], device) for name in ("x", "x_adv"))
    others = to_unit_interval(split.images[split.order[:images]], device)
    with torch.no_grad():
        right = (network(others).argmax(1).cpu().numpy() == split.labels[split.order[:images]]).nonzero()[0]
    sides = crossing(network, start, end)
    usable = sides.usable.cpu()
    points = {"natural": others[right], "adversarial": end, "near": sides.near[usable], "far": sides.far[usable]}
    measured: dict[str, Faces] = {}
    with writing(output, provenance) as file:
        for number, (name, x) in enumerate(points.items()):
            measure = partial(face_numbers, network, x, gamma, confidence=confidence, seed=seed + number, **settings)
            measured[name] = halve_on_out_of_memory(measure, batch_size)
            _put(file, name, measured[name])
        logs = {name: np.log(group.faces) for name, group in measured.items()}
        pairs = np.isfinite(logs["near"]) & np.isfinite(logs["far"])
        differences = {"sides": (logs["far"] - logs["near"])[pairs]}
        natural, adversarial = match(measured["natural"].distance, measured["adversarial"].distance, caliper)
        apart = logs["adversarial"][adversarial] - logs["natural"][natural]
        keep = np.isfinite(apart)
        differences["matched"] = apart[keep]
        # A natural image that is matched twice counts once as a cluster.
        clusters = {"sides": np.arange(pairs.sum()), "matched": natural[keep]}
        for name, values in (logs | differences).items():
            finite = np.isfinite(values)
            labels = clusters.get(name)
            summary = summarize(values[finite], labels, confidence, seed) if finite.any() else NO_VALUES
            put_summary(file, f"summary/{name}", asdict(summary), LOG, "1")
        file.put("matched/natural", natural[keep], "position in natural/ of each pair", ("pair",))
        file.put("matched/adversarial", adversarial[keep], "position in adversarial/ of each pair", ("pair",))
        file.put("gamma", gamma, "share of samples that must keep the class", ())
        file.put("null_slope", float(orthant_persistence(1.0, 1, gamma)), "persistence / distance of a half-space", ())
        file.put("lines", len(rows), "lines between natural and adversarial images", ())
        file.put("lines_usable", int(usable.sum()), "lines whose two points lie in their classes", ())


def _put(file: Writer, name: str, group: Faces) -> None:
    texts = {
        "distance": ("distance to the nearest boundary found", PIXELS),
        "sigma": ("persistence", PIXELS),
        "low": ("lower limit of persistence", PIXELS),
        "high": ("upper limit of persistence", PIXELS),
        "faces": ("face number", "1"),
        "faces_low": ("lower limit of the face number, from that of persistence alone", "1"),
        "faces_high": ("upper limit of the face number", "1"),
    }
    for key, (text, units) in texts.items():
        file.put(f"{name}/{key}", getattr(group, key), text, ("image",), units)
    file.put(f"{name}/status", np.array(group.status), "ok, or censored by the range of sigma", ("image",))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        compare(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
