"""Share predictions out to training images by several kernels, and retrain on halves of them to see which agrees."""

from typing import Any

import torch

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.influence import (
    datamodeling_scores,
    margin,
    pixel_similarity,
    retrain,
    subsets_of,
    two_largest,
)
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.loss_gradients import outputs_at
from neighborhoods.path_kernel.path import recorded
from pipeline.results.shared import read_path, read_split
from pipeline.store import Provenance, writing

KERNELS: dict[str, dict[str, Any]] = {
    "path kernel": {"mode": "path"},
    "TracIn": {"rule": "start"},
    "tangent kernel, start": {"mode": "tangent_start"},
    "tangent kernel, end": {"mode": "tangent_end"},
}
PIXELS = "distance in pixels"


def rank(
    *,
    data: str,
    path: str,
    output: str,
    queries: int,
    subsets: int,
    shown: int,
    neighbours: int,
    tolerance: float,
    confidence: float,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write shares [method, query, sample] of the margin, retrained margins [query, subset] and scores of each method.

    The margin is the output of the predicted class less the next. Subset training is full-batch descent on the mean
    loss of the subset, with the path's start and steps. Queries to show run from the smallest to the largest margin.
    """
    train, test, stored = read_split(data, "train"), read_split(data, "test"), read_path(path)
    x, y = to_samples(train.images[stored.rows]), torch.tensor(train.labels[stored.rows])
    model = build(**stored.settings).double()
    run = recorded(x, y, torch.tensor(stored.weights), stored.learning_rate, stored.loss)
    asked = test.order[:queries]
    q = to_samples(test.images[asked])
    found = {name: path_kernel(model, run, q, tolerance=tolerance, **how) for name, how in KERNELS.items()}
    network = found["path kernel"].network
    first, second = two_largest(network)
    shares = [margin(kernel.contributions.transpose(0, 1), first, second).T for kernel in found.values()]
    shares.append(pixel_similarity(run, q, first, second))
    share = torch.stack(shares)
    kept = subsets_of(len(x), subsets, seed)
    size = kept.sum(1, keepdim=True)
    retrained = margin(outputs_at(model, run, retrain(model, run, kept * (len(x) / size)), q), first, second).T
    predicted = share @ kept.to(share).T
    scores = datamodeling_scores(predicted, retrained, confidence, seed)
    margins = margin(network, first, second)
    picked = margins.argsort()[torch.linspace(0, len(q) - 1, min(shown, len(q))).long()]
    order = share[0, picked].argsort(1)
    count = min(neighbours, len(x))
    with writing(output, provenance) as file:
        file.put("method", [*KERNELS, PIXELS], "how shares are computed", ("method",))
        file.put("share", share, "share of each training image in the margin", ("method", "query", "sample"), "logit")
        file.put("margin", margins, "output of the predicted class less the next", ("query",), "logit")
        file.put("kept", kept, "images that a network was retrained on", ("subset", "sample"))
        file.put("retrained", retrained, "margin after retraining on a subset", ("query", "subset"), "logit")
        file.put("predicted", predicted, "sum of the shares of a subset", ("method", "query", "subset"), "logit")
        for name, text in (
            ("score", "linear datamodeling score"),
            ("low", "lower limit"),
            ("high", "upper limit"),
            ("behind", "score of the first method less that of each"),
            ("behind_low", "lower limit of the difference"),
            ("behind_high", "upper limit of the difference"),
        ):
            file.put(f"score/{name}", getattr(scores, name), text, ("method",))
        file.put("score/by_query", scores.by_query, "rank correlation of each query", ("method", "query"))
        file.put("confidence", confidence, "level of each interval", ())
        file.put("classes", train.classes, "name of each class", ("class",))
        axes = [f"axis{i}" for i in range(x.ndim - 1)]
        file.put("shown/x", q[picked], "queries to show", ("shown", *axes))
        for name, values in (("predicted", first), ("next", second), ("label", torch.tensor(test.labels[asked]))):
            file.put(f"shown/{name}", values[picked], f"{name} class of the queries to show", ("shown",))
        file.put("shown/margin", margins[picked], "their margins", ("shown",), "logit")
        for name, rows in (("helpful", order.flip(1)[:, :count]), ("harmful", order[:, :count])):
            file.put(f"{name}/x", x[rows], f"most {name} training images", ("shown", "rank", *axes))
            file.put(f"{name}/label", y[rows], "their classes", ("shown", "rank"))
            values = share[0, picked].gather(1, rows)
            file.put(f"{name}/share", values, "their shares by the path kernel", ("shown", "rank"), "logit")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        rank(
            data=snakemake.input.data,
            path=snakemake.input.path,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
