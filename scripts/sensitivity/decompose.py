"""Measure what makes a network sensitive: head, features and margin; the loss around images; growth by layer (Note)."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import torch
from torch import Tensor

from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.boundary.points import logits_in_batches
from neighborhoods.evidence.sensitivity import ranks
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.sensitivity import factors as sensitivity
from neighborhoods.sensitivity.clusters import clusters
from neighborhoods.sensitivity.flatness import flatness, random_directions
from neighborhoods.sensitivity.growth import perturbation_growth, towards_nearest
from neighborhoods.statistics.intervals import clopper_pearson, share, summarize, summarize_columns
from neighborhoods.training.minibatch import predict
from pipeline.results import sensitivity as put
from pipeline.results.shared import PIXELS, one_success_each, put_summary, read_network, read_split
from pipeline.running.devices import halve_on_out_of_memory, halving
from pipeline.store import Provenance, StoreError, reading, writing


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

    with reading(attack) as file:
        columns = {name: file.read(name) for name in ("x", "x_adv", "success", "index", "label")}
    rows = one_success_each(columns["success"], columns["index"], seed)[:images]
    if not len(rows):
        raise StoreError(f"{attack}: no attack succeeded, so there is no perturbation to follow")
    start, end = (to_unit_interval(columns[name][rows], device) for name in ("x", "x_adv"))

    parts = sensitivity.split(network, x[:2])
    attacked_label = torch.from_numpy(columns["label"][rows]).to(device)
    eta, there = (
        halve_on_out_of_memory(partial(sensitivity.in_batches, sensitivity.loss_gradient, parts, *images), batch_size)
        for images in ((x, label), (start, attacked_label))
    )
    face = partial(sensitivity.in_batches, sensitivity.face_factors, parts, x, label)
    faces = halve_on_out_of_memory(face, batch_size)
    norm = halve_on_out_of_memory(partial(sensitivity.spectral_norm, parts.features, x, seed=seed), batch_size)
    search = partial(boundary_distance, network, x, label=label, classes=distance_classes, steps=distance_steps)
    walk = partial(flatness, network, x, label, eta.direction, epsilons, directions=directions, seed=seed)
    around = halve_on_out_of_memory(walk, batch_size)
    measured = {
        "distance": halve_on_out_of_memory(search, batch_size).distance,
        "first_order": faces.distance,
        "margin_gradient": faces.head_norm * faces.feature_gain,
        "spectral_norm": norm.norm,
        "eta": eta.norm,
        "loss": eta.loss,
        "logit_gradient": eta.logit_norm,
        "tightness": eta.head_gain * eta.feature_gain / (sensitivity.head_norm(parts.head) * norm.norm),
    }
    measured |= {name: getattr(faces, name) for name in put.COLUMNS if name not in measured}
    values = {name: column.cpu().numpy() for name, column in measured.items()}
    values["persistence"] = put.persistence_of(natural, index)
    cosine = sensitivity.steepest_cosine(eta, faces).cpu().numpy()
    logs = {name: np.log(values[name][values[name] > 0]) for name in put.COLUMNS}
    with writing(output, provenance) as file:
        file.put("drawn", len(right), "test images drawn, right or wrong", ())
        file.put("natural/index", index, "position in the test split", ("image",))
        file.put("natural/label", test.labels[index], "class, true and predicted", ("image",))
        file.put("natural/rival", faces.rival.cpu().numpy(), "class beyond the face nearest by first order", ("image",))
        file.put("natural/residual", norm.residual.cpu().numpy(), "residual of the spectral norm", ("image",))
        put.put_columns(file, values, cosine)
        for name, column in (logs | {"cosine": cosine}).items():
            finite = column[np.isfinite(column)]
            if len(finite):
                put.put_column_summary(file, name, asdict(summarize(finite, None, confidence, seed)))
        for name, pair in put.RANKS.items():
            found = ranks(values[pair[0]], values[pair[1]], confidence)
            if found is not None:
                put_summary(file, f"rank/{name}", asdict(found), f"Spearman's of {' and '.join(pair)}", "1")
        file.put("head/norm", sensitivity.head_norm(parts.head), "spectral norm of the last layer's weights", ())
        pairs = sensitivity.pair_norms(parts.head).cpu().numpy()
        file.put("head/pair_norm", pairs, "norm of the difference of two classes' weights", ("class", "rival"))
        if len(known):
            hidden = logits_in_batches(parts.features, known, batch_size)
            hits = (parts.head(hidden).argmax(1) == known_label).cpu().numpy()
            spread = asdict(clusters(hidden, known_label, len(test.classes), confidence))
            ratio = {"value": spread["ratio"]} | {key: spread[key] for key in ("low", "high", "n")}
            put.put_clusters(file, asdict(share(hits, confidence)), ratio, spread["separation"].cpu().numpy())
        file.put("flatness/epsilon", np.array(epsilons), "length of the step", ("epsilon",), PIXELS)
        file.put("flatness/directions", directions, "random directions of each image", ())
        steps = {"gradient": (around.given_increase, around.given_kept)}
        steps["random"] = (around.random_increase.amax(1), around.random_kept.all(1))
        for name, (rise, stays) in steps.items():
            increase, kept = rise.cpu().numpy(), stays.cpu().numpy()
            limits = clopper_pearson(kept.sum(1), kept.shape[1], confidence)
            put.put_steps(file, name, increase, kept, summarize_columns(increase.T, None, confidence, seed), limits)
        length = (end - start).flatten(1).norm(dim=1).reshape(-1, *[1] * (start.ndim - 1))
        lengths = length.flatten().cpu().numpy()
        file.put("growth/length", lengths, "length of each perturbation", ("image",), PIXELS)
        file.put("growth/length_median", float(np.median(lengths)), "its median over images", (), PIXELS)
        # Datasets without training images have other test images beside each.
        beside = towards_nearest(start, known if len(known) else to_unit_interval(test.images, device))
        random = random_directions(start, torch.Generator().manual_seed(seed))
        changes = {"adversarial": end - start, "gradient": length * there.direction}
        changes |= {"natural": length * beside, "random": length * random}
        for name, change in changes.items():
            grown = halving(perturbation_growth)(network, start, change, batch_size=batch_size)
            gain, relative = grown.gain.cpu().numpy(), grown.relative.cpu().numpy()
            logarithms = _logarithms(grown.relative).T
            put.put_growth(file, name, gain, relative, summarize_columns(logarithms, None, confidence, seed))
        file.put("growth/stage", list(grown.stages), "layers and blocks in order", ("stage",))


def _logarithms(growth: Tensor) -> np.ndarray:
    # Left out of means: perturbations that a ReLU takes away altogether, and stages that an image does not reach.
    return torch.where(growth > 0, growth, torch.nan).log().cpu().numpy()


if "snakemake" in globals():
    from pipeline.running.job import job

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
