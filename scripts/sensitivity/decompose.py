"""Measure what makes a network sensitive: head, features and margin; the loss around images; growth by layer (Note)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.boundary import logits_in_batches
from neighborhoods.clusters import clusters
from neighborhoods.distance import boundary_distance
from neighborhoods.flatness import Flatness, flatness, random_directions
from neighborhoods.growth import perturbation_growth, towards_nearest
from neighborhoods.images import to_unit_interval
from neighborhoods.networks import restore
from neighborhoods.sensitivity import (
    FaceFactors,
    LossGradient,
    SplitNetwork,
    face_factors,
    head_norm,
    loss_gradient,
    pair_norms,
    spectral_norm,
    split,
    steepest_cosine,
)
from neighborhoods.sensitivity_evidence import ranks
from neighborhoods.statistics import clopper_pearson, summarize
from neighborhoods.training import predict
from pipeline.devices import halve_on_out_of_memory
from pipeline.kernel_results import put_estimate
from pipeline.results import PIXELS, one_success_each, put_summary, read_network, read_split
from pipeline.store import Provenance, StoreError, Writer, reading, writing

PER_PIXEL = "1 / (pixel range)"

# Columns of natural/, and what they are. All but the cosine are positive and summarised by their logarithms.
COLUMNS = {
    "distance": ("distance to the nearest boundary found", PIXELS),
    "first_order": ("margin over the margin's gradient, for the face nearest by that", PIXELS),
    "margin": ("logit of the class less that of the rival beyond that face", "1"),
    "feature_margin": ("distance to that face in feature space", "1"),
    "nearest_in_features": ("distance to the nearest face in feature space", "1"),
    "head_norm": ("norm of the difference of the two classes' weights", "1"),
    "feature_gain": ("norm of J^T v, v the unit normal of that face in feature space", PER_PIXEL),
    "margin_gradient": ("norm of the margin's gradient", PER_PIXEL),
    "spectral_norm": ("spectral norm of the features' Jacobian J", PER_PIXEL),
    "loss": ("cross-entropy", "nat"),
    "eta": ("norm of the loss gradient", f"nat {PER_PIXEL}"),
    "logit_gradient": ("norm of the loss gradient in the logits", "nat"),
    "tightness": ("norm of the loss gradient over the chain rule's bound", "1"),
}
COSINE = "cosine of the steepest rise of the loss and the steepest fall of the margin"

# Which columns are compared by rank; persistence may not be there for all images.
RANKS = {
    "first_order_and_distance": ("first_order", "distance"),
    "first_order_and_persistence": ("first_order", "persistence"),
    "feature_margin_and_distance": ("feature_margin", "distance"),
    "feature_gain_and_distance": ("feature_gain", "distance"),
    "eta_and_margin_gradient": ("eta", "margin_gradient"),
}


def decompose(
    *,
    data: str,
    model: str,
    attack: str,
    natural: str,
    output: str,
    images: int,
    directions: int,
    epsilons: Sequence[float],
    cluster_images: int,
    distance_classes: int,
    distance_steps: int,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write natural/ (test images that the network gets right), head/, clusters/, flatness/, growth/ and rank/."""
    test, train, stored = read_split(data, "test"), read_split(data, "train"), read_network(model)
    network = restore(stored.settings, stored.weights, device)
    index = test.order[:images]
    x, label = to_unit_interval(test.images[index], device), torch.from_numpy(test.labels[index]).to(device)
    right = predict(network, x) == label
    if not bool(right.any()):
        raise StoreError(f"{model}: none of {len(index)} test images is classified right, so nothing can be measured")
    x, label, index = x[right], label[right], index[right.cpu().numpy()]
    drawn = train.order[:cluster_images]
    known, known_label = to_unit_interval(train.images[drawn], device), torch.from_numpy(train.labels[drawn]).to(device)

    parts = split(network, x[:2])
    eta, faces = loss_gradient(parts, x, label), face_factors(parts, x, label)
    search = partial(boundary_distance, network, x, label=label, classes=distance_classes, steps=distance_steps)
    distance = halve_on_out_of_memory(search, batch_size).distance
    walk = partial(flatness, network, x, label, eta.direction, epsilons, directions=directions, seed=seed)
    around = halve_on_out_of_memory(walk, batch_size)
    with writing(output, provenance) as file:
        file.put("drawn", len(right), "test images drawn, right or wrong", ())
        file.put("natural/index", index, "position in the test split", ("image",))
        file.put("natural/label", test.labels[index], "class, true and predicted", ("image",))
        file.put("natural/rival", faces.rival.cpu().numpy(), "class beyond the face nearest by first order", ("image",))
        norm = halve_on_out_of_memory(partial(spectral_norm, parts.features, x, seed=seed), batch_size)
        file.put("natural/residual", norm.residual.cpu().numpy(), "residual of the spectral norm", ("image",))
        file.put("spectral_steps", norm.steps, "products with the Jacobian that the spectral norm took", ())
        values = _columns(parts, eta, faces, norm.norm, distance)
        for name, (text, units) in COLUMNS.items():
            file.put(f"natural/{name}", values[name], text, ("image",), units)
            usable = values[name][np.isfinite(values[name]) & (values[name] > 0)]
            if len(usable):
                summary = asdict(summarize(np.log(usable), None, confidence, seed))
                put_summary(file, f"summary/{name}", summary, f"ln of {text}", "1")
        cosine = steepest_cosine(eta, faces).cpu().numpy()
        file.put("natural/cosine", cosine, COSINE, ("image",))
        put_summary(file, "summary/cosine", asdict(summarize(cosine, None, confidence, seed)), COSINE, "1")
        values["persistence"] = _persistence(natural, index)
        file.put("natural/persistence", values["persistence"], "persistence, nan if not measured", ("image",), PIXELS)
        _put_ranks(file, values, confidence)
        file.put("head/norm", head_norm(parts.head), "spectral norm of the last layer's weights", ())
        pairs, pair_dims = pair_norms(parts.head).cpu().numpy(), ("class", "rival")
        file.put("head/pair_norm", pairs, "norm of the difference of two classes' weights", pair_dims)
        _put_flatness(file, around, epsilons, confidence)
        if len(known):
            hidden = logits_in_batches(parts.features, known, batch_size)
            _put_clusters(file, parts.head, hidden, known_label, len(test.classes), confidence)
        with reading(attack) as attacked:
            columns = {name: attacked.read(name) for name in ("x", "x_adv", "success", "index", "label")}
        rows = one_success_each(columns["success"], columns["index"], seed)[:images]
        if not len(rows):
            raise StoreError(f"{attack}: no attack succeeded, so there is no perturbation to follow")
        start, end = (to_unit_interval(columns[name][rows], device) for name in ("x", "x_adv"))
        there = loss_gradient(parts, start, torch.from_numpy(columns["label"][rows]).to(device)).direction
        # Datasets without training images have other test images beside each.
        beside = towards_nearest(start, known if len(known) else to_unit_interval(test.images, device))
        directions_of = {"gradient": there, "natural": beside}
        directions_of["random"] = random_directions(start, torch.Generator().manual_seed(seed))
        _put_growth(file, network, start, end - start, directions_of, confidence, batch_size)


def _columns(
    parts: SplitNetwork, eta: LossGradient, faces: FaceFactors, norm: Tensor, distance: Tensor
) -> dict[str, np.ndarray]:
    found = {
        "distance": distance,
        "first_order": faces.distance,
        "margin": faces.margin,
        "feature_margin": faces.feature_margin,
        "nearest_in_features": faces.nearest_in_features,
        "head_norm": faces.head_norm,
        "feature_gain": faces.feature_gain,
        "margin_gradient": faces.head_norm * faces.feature_gain,
        "spectral_norm": norm,
        "loss": eta.loss,
        "eta": eta.norm,
        "logit_gradient": eta.logit_norm,
        "tightness": eta.head_gain * eta.feature_gain / (head_norm(parts.head) * norm),
    }
    return {name: values.cpu().numpy() for name, values in found.items()}


def _persistence(path: str, index: np.ndarray) -> np.ndarray:
    with reading(path) as file:
        places, sigma = file.read("natural/index"), file.read("natural/sigma")
    known: Mapping[int, float] = dict(zip(places.tolist(), sigma.tolist(), strict=True))
    return np.array([known.get(place, np.nan) for place in index.tolist()])


def _put_ranks(file: Writer, values: Mapping[str, np.ndarray], confidence: float) -> None:
    for name, (first, second) in RANKS.items():
        found = ranks(values[first], values[second], confidence)
        if found is not None:
            put_estimate(file, f"rank/{name}", asdict(found), f"Spearman's correlation of {first} and {second}")


def _put_means(file: Writer, group: str, rows: np.ndarray, text: str, dim: str, confidence: float) -> None:
    found = [summarize(row, None, confidence) for row in rows]
    for name in ("mean", "mean_low", "mean_high", "median", "median_low", "median_high"):
        file.put(f"{group}/{name}", np.array([getattr(row, name) for row in found]), f"{name} of {text}", (dim,))
    file.put(f"{group}/n", rows.shape[1], f"values behind each mean of {text}", ())


def _put_flatness(file: Writer, around: Flatness, epsilons: Sequence[float], confidence: float) -> None:
    file.put("flatness/epsilon", np.array(epsilons), "length of the step", ("epsilon",), PIXELS)
    file.put("flatness/directions", around.random_kept.shape[1], "random directions of each image", ())
    dims = ("epsilon", "image")
    groups = {
        "gradient": (around.given_increase, around.given_kept, "along the loss gradient"),
        "random": (around.random_increase.amax(1), around.random_kept.all(1), "in all random directions, the worst"),
    }
    for name, (increase, kept, text) in groups.items():
        rise, stays = increase.cpu().numpy(), kept.cpu().numpy()
        file.put(f"flatness/{name}/increase", rise, f"increase of the loss {text}", dims, "nat")
        file.put(f"flatness/{name}/kept", stays, f"whether the class stays {text}", dims)
        _put_means(file, f"flatness/{name}/rise", rise, f"the loss's increase {text}", "epsilon", confidence)
        limits = clopper_pearson(stays.sum(1), stays.shape[1], confidence)
        for key, part in zip(("share", "share_low", "share_high"), (stays.mean(1), *limits), strict=True):
            file.put(f"flatness/{name}/{key}", part, f"{key} of images whose class stays {text}", ("epsilon",))


def _put_clusters(
    file: Writer, head: nn.Linear, hidden: Tensor, label: Tensor, classes: int, confidence: float
) -> None:
    count, n = int((head(hidden).argmax(1) == label).sum()), len(label)
    low, high = clopper_pearson(count, n, confidence)
    share = {"value": count / n, "low": float(low), "high": float(high), "n": n}
    put_estimate(file, "clusters/classified", share, "the share of training images that the head gets right")
    found = clusters(hidden, label, classes, confidence)
    spread = {"value": found.ratio, "low": found.low, "high": found.high, "n": found.n}
    put_estimate(file, "clusters/spread", spread, "between- over within-class spread in feature space")
    text = "distance of two class means over the root mean square distance of their points from them"
    file.put("clusters/separation", found.separation.cpu().numpy(), text, ("class", "rival"))


def _put_growth(
    file: Writer,
    network: nn.Module,
    x: Tensor,
    perturbation: Tensor,
    directions: Mapping[str, Tensor],
    confidence: float,
    batch_size: int,
) -> None:
    length = perturbation.flatten(1).norm(dim=1)
    file.put("growth/length", length.cpu().numpy(), "length of each perturbation", ("image",), PIXELS)
    scale = length.reshape(-1, *[1] * (x.ndim - 1))
    changes = {"adversarial": perturbation} | {name: scale * along for name, along in directions.items()}
    for number, (name, change) in enumerate(changes.items()):
        grown = perturbation_growth(network, x, change, batch_size=batch_size)
        if not number:
            file.put("growth/stage", list(grown.stages), "layers and blocks in order", ("stage",))
        gain, relative = grown.gain.cpu().numpy(), grown.relative.cpu().numpy()
        file.put(f"growth/{name}/gain", gain, "norm behind a stage over that in the image", ("stage", "image"))
        text = "growth of the perturbation's norm over the signal's"
        file.put(f"growth/{name}/relative", relative, text, ("stage", "image"))
        logs = np.log(np.maximum(relative, np.finfo(float).tiny))
        _put_means(file, f"growth/{name}/log", logs, f"ln of {text}", "stage", confidence)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        decompose(
            data=snakemake.input.data,
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            natural=snakemake.input.natural,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
