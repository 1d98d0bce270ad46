"""Measure what the path kernel says about natural, adversarial and foreign points: values, variance and neighbours."""

from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.images import to_samples
from neighborhoods.networks.architectures import build
from neighborhoods.path_kernel.convex_hull import class_distances
from neighborhoods.path_kernel.gaussian_process import asymmetry, gaussian_process
from neighborhoods.path_kernel.kernel_geometry import (
    class_means,
    common,
    cosines,
    differences,
    nearest,
    squared_distances,
)
from neighborhoods.path_kernel.outliers import Group, groups_around
from neighborhoods.path_kernel.path import recorded
from neighborhoods.path_kernel.trace_kernel import cross, gram, paired, tangent
from neighborhoods.persistence.detection import auroc, roc_curve
from neighborhoods.statistics.intervals import rank_correlation, summarize
from pipeline.results import kernel as put
from pipeline.results.shared import put_summary, read_path, read_split
from pipeline.store import Provenance, Writer, writing

# Of distances to hulls, in the unit of the points.
HULL_TOLERANCE = 1e-2


def study(
    *,
    data: str,
    path: str,
    output: str,
    natural: int,
    foreign: int,
    gaussian_process_points: int,
    nodes: int,
    neighbours: int,
    epsilon: float,
    step_size: float,
    attack_steps: int,
    seed: int,
    provenance: Provenance,
) -> None:
    """Write scores of every group with ROC curves, neighbours in two spaces, and comparisons with other kernels."""
    train, test = read_split(data, "train"), read_split(data, "test")
    stored = read_path(path)
    x, y = to_samples(train.images[stored.rows]), torch.tensor(train.labels[stored.rows])
    run = recorded(x, y, torch.from_numpy(stored.weights), stored.learning_rate, stored.loss)
    model = build(**stored.settings).double().eval().requires_grad_(False)
    nn.utils.vector_to_parameters(run.weights[-1], model.parameters())
    rows = test.order[:natural]
    own_points, labels = to_samples(test.images[rows]), torch.tensor(test.labels[rows])
    groups = groups_around(
        model, own_points, labels, x, y, foreign=foreign, generator=torch.Generator().manual_seed(seed),
        attack_settings={"epsilon": epsilon, "step_size": step_size, "steps": attack_steps},
    )  # fmt: skip
    points = torch.cat([group.points for group in groups.values()])
    names = np.repeat(list(groups), [len(group.points) for group in groups.values()])
    known, count = min(gaussian_process_points, len(x)), len(own_points)
    covariance = gram(model, run, torch.cat([x[:known], points]), nodes=nodes)
    own, own_train = covariance.diagonal()[known:], paired(model, run, x, x, nodes=nodes)
    values = cross(model, run, points, x, nodes=nodes, still=True)
    targets = nn.functional.one_hot(y[:known], len(train.classes)).double()
    process = gaussian_process(covariance[:known, :known], targets, covariance[known:, :known], own)
    angles = cosines(values, own, own_train)
    scores = {"sum": values.sum(1), "cosine": angles.mean(1), "variance": -process.variance}
    scores["relative_variance"] = scores["variance"] / own
    lists = {
        "kernel": nearest(squared_distances(values[:count], own[:count], own_train), neighbours),
        "value": nearest(-values[:count], neighbours),
        "pixel": nearest(torch.cdist(own_points.flatten(1), x.flatten(1)), neighbours),
    }
    still = cross(model, run, x[:known], x[:known], nodes=nodes, still=True)
    predicted = model(points).argmax(1)
    hull = asdict(class_distances(x, y, points, predicted, HULL_TOLERANCE))
    hull |= {"value": class_means(values, y, predicted), "cosine": class_means(angles, y, predicted)}
    with writing(output, provenance) as file:
        file.put("groups", list(groups), "names of the groups, natural first", ("group",))
        file.put("group", names, "group of each point", ("point",))
        file.put(
            "origin", torch.cat([group.origin for group in groups.values()]), "natural point behind it", ("point",)
        )
        file.put("classes", train.classes, "name of each class", ("class",))
        file.put("y_train", y, "class of each training point", ("sample",))
        if x.ndim == 2:
            file.put("x_train", x, "training points", ("sample", "feature"))
        file.put("jitter", process.jitter, "added to the diagonal of the Gaussian process", (), put.KERNEL)
        text = "||K - K^T|| / (2 ||K||) of the kernel whose second slot stands still, among training points"
        file.put("asymmetry", asymmetry(still), text, ())
        file.put("asymmetry_n", known, "training points in that matrix", ())
        for name, score in scores.items():
            _put_score(file, name, score.numpy(), names, groups)
        put.put_shown(file, names, points.numpy(), values.numpy())
        put.put_neighbours(file, test, rows, train, {key: stored.rows[found] for key, found in lists.items()})
        _put_shares(file, lists, y, labels)
        for name, w in (("start", run.start), ("end", run.weights[-1])):
            _put_tangent(file, name, values[:count], run.steps * tangent(model, run, w, own_points, x))
        put.put_hull(file, {name: column.numpy() for name, column in hull.items()})
        for part, length in (("natural", count), ("all", len(points))):
            for name in ("value", "cosine"):
                # Lower limits are exactly 0 within the hull, so that points there are ties.
                rank = rank_correlation(hull["lower"][:length], hull[name][:length])
                put_summary(file, f"hull/{part}/{name}", asdict(rank), f"Spearman's correlation with {name}", "1")


def _put_score(file: Writer, name: str, values: np.ndarray, names: np.ndarray, groups: dict[str, Group]) -> None:
    """A score with its summaries and ROC curves; points made from the same natural one are a cluster."""
    parts = {group: values[names == group] for group in groups}
    origins = {name: group.origin.numpy() for name, group in groups.items()}
    put.put_score(file, name, values, {key: asdict(summarize(parts[key], origins[key])) for key in groups})
    for other in list(groups)[1:]:
        area = auroc(parts["natural"], parts[other], origins["natural"], origins[other])
        put.put_roc(file, f"{name}/{other}", asdict(area), roc_curve(parts["natural"], parts[other]))


def _put_shares(file: Writer, lists: dict[str, Tensor], y: Tensor, labels: Tensor) -> None:
    for name, found in lists.items():
        same = (y[found] == labels[:, None]).double().mean(1)
        what = f"share of neighbours by {put.NEAREST[name]} that are of the query's class"
        put_summary(file, f"neighbours/{name}_same_class", asdict(summarize(same)), what, "1")
        share = common(found, lists["pixel"])
        file.put(f"neighbours/{name}_common", share, "share in common with those by pixels", ("query",))
        put_summary(file, f"neighbours/{name}_overlap", asdict(summarize(share)), "share in common", "1")


def _put_tangent(file: Writer, name: str, values: Tensor, reference: Tensor) -> None:
    texts = ("||k - S t|| / ||k|| of path kernel k and tangent kernel t", "correlation of path and tangent kernel")
    for key, column, text in zip(("relative", "correlation"), differences(values, reference), texts, strict=True):
        file.put(f"tangent/{name}/{key}", column, f"{text} over the training points", ("query",))
        put_summary(file, f"tangent/{name}/{key}_summary", asdict(summarize(column)), text, "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        study(
            data=snakemake.input.data,
            path=snakemake.input.path,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
