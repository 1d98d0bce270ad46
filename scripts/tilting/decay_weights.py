"""Train a small CNN under several weight penalties and measure its distance to the boundary (after Tanay)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.images import to_unit_interval
from neighborhoods.networks import architectures as networks
from neighborhoods.statistics.intervals import clopper_pearson, summarize_finite
from neighborhoods.training.minibatch import predict, train
from pipeline.results.shared import PIXELS, put_summary, read_split
from pipeline.store import Provenance, writing


def decay(
    *,
    data: str,
    output: str,
    strengths: Sequence[float],
    channels: int,
    epochs: int,
    images: int,
    confidence: float,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write errors and distances of the same test images for each strength, all networks from one start.

    A distance without another class in reach is infinite; such images are counted and left out of the means.
    """
    splits = [read_split(data, name) for name in ("train", "test")]
    points = [to_unit_interval(split.images[split.order], device) for split in splits]
    labels = [torch.tensor(split.labels[split.order]).to(device) for split in splits]
    kept = points[1][:images]
    distances, wrong = [], []
    for strength in strengths:
        torch.manual_seed(seed)
        settings: dict[str, Any] = {
            "input_shape": list(kept.shape[1:]),
            "classes": len(splits[0].classes),
            "channels": channels,
        }
        model = networks.build(architecture="bell_cnn", **settings).to(device)
        train(model, points[0], labels[0], points[1], labels[1], epochs=epochs, penalty=[strength], seed=seed)
        model.eval()
        distances.append(boundary_distance(model, kept).distance.cpu().numpy())
        wrong.append(int((predict(model, points[1]) != labels[1]).sum()))
    found, n = np.stack(distances), len(labels[1])
    low, high = clopper_pearson(wrong, n, confidence)
    with writing(output, provenance) as file:
        file.attribute("confidence", confidence)
        file.put("strength", np.asarray(strengths), "weight of the penalty sum of lambda ||W||² / units", ("strength",))
        file.put(
            "distance", found, "L2 distance to the nearest boundary found, inf if none", ("strength", "image"), PIXELS
        )
        file.put("test/n", n, "test images", ())
        for name, values in (("error", np.asarray(wrong) / n), ("low", low), ("high", high)):
            file.put(f"test/{name}", values, f"{name} of the test error", ("strength",))
        for row, distance in enumerate(found):
            summary = asdict(summarize_finite(distance, confidence=confidence))
            put_summary(file, f"summary/{row}", summary, "distance to the boundary", PIXELS)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        output = snakemake.output[0]
        decay(data=snakemake.input.data, output=output, device=run.device, provenance=run.provenance, **run.settings)
