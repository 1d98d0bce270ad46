"""Make adversarial images of correctly classified test images, and verify each again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from neighborhoods.attacks.methods import UNTARGETED, assign, attack
from neighborhoods.images import to_unit_interval, variance_ratio
from neighborhoods.networks.architectures import restore
from neighborhoods.statistics.intervals import summarize
from neighborhoods.training.minibatch import predict
from pipeline.results.shared import IMAGE_DIMS, put_summary, read_network, read_split
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, writing
from pipeline.wording import class_numbers


def generate(
    *,
    data: str,
    model: str,
    output: str,
    method: str,
    images: int,
    classes: Sequence[int | str],
    targets: str,
    batch_size: int,
    settings: Mapping[str, Any],
    seed: int,
    provenance: Provenance,
    target_class: int | str = 0,
    device: str = "cpu",
) -> None:
    """Write one row for each (image, target); rows of one image stand together."""
    split = read_split(data, "test")
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    labels = torch.tensor(split.labels)
    rows = assign(
        labels,
        predict(network, torch.from_numpy(split.images).to(device)).cpu() == labels,
        torch.tensor(split.order),
        images=images,
        classes=class_numbers(classes, split.classes),
        targets=targets,
        target_class=class_numbers([target_class], split.classes)[0],
        n_classes=len(split.classes),
        generator=torch.Generator().manual_seed(seed),
    )
    x = to_unit_interval(split.images[rows.index.numpy()], device)
    label = labels[rows.index].to(device)
    goal = None if targets == "none" else rows.target.to(device)
    run = partial(attack, method, network, x, label, goal, **{"seed": seed, **settings})
    x_adv, verdict = halve_on_out_of_memory(run, batch_size)
    relative = variance_ratio(x, x_adv)
    columns = {
        "label": (label, "true class"),
        "target": (rows.target, f"class aimed at, {UNTARGETED} for untargeted"),
        "index": (rows.index, "position of the image in the test split"),
        "predicted": (verdict.predicted, "class of the adversarial image"),
        "success": (verdict.success, "target reached, or label left when untargeted"),
        "distortion": (verdict.distortion, "root mean square change of a pixel (Bell, definition 1.8)"),
        "linf": (verdict.linf, "largest change of a pixel"),
        "variance_ratio": (relative, "variance of the perturbation over that of the image (Bell, figure 6)"),
        "queries": (verdict.queries, "gradient evaluations spent on the image"),
    }
    with writing(output, provenance) as file:
        file.put("x", x.cpu(), "natural image", IMAGE_DIMS, "1, pixel range [0, 1]")
        file.put("x_adv", x_adv.cpu(), "adversarial image", IMAGE_DIMS, "1, pixel range [0, 1]")
        file.put("classes", split.classes, "name of each class", ("class",))
        for name, (values, description) in columns.items():
            file.put(name, values.cpu(), description, ("image",))
        measured = {
            "summary": (verdict.distortion, "distortion of the successful images"),
            "variance_ratio_summary": (
                relative,
                "variance ratio of the successful images that have more than one colour",
            ),
        }
        for group, (values, text) in measured.items():
            # The ratio of an image without variance is not finite.
            counts = (verdict.success & values.isfinite()).cpu()
            if bool(counts.any()):
                summary = summarize(values.cpu()[counts].numpy(), rows.index[counts].numpy(), seed=seed)
                put_summary(file, group, asdict(summary), text, "1")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        generate(
            data=snakemake.input.data,
            model=snakemake.input.model,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
