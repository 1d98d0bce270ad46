"""Sweep sigma around natural and adversarial images and store how often each class comes out."""

from functools import partial

import numpy as np
import torch

from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import restore
from neighborhoods.persistence.measure import stability_curve
from neighborhoods.persistence.noise import noise_directions
from pipeline.results.shared import IMAGE_DIMS, PIXELS, read_network
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, StoreError, reading, writing


def sweep(
    *,
    model: str,
    attack: str,
    output: str,
    sigma_max: float,
    points: int,
    power: float,
    examples: int,
    samples: int,
    confidence: float,
    batch_size: int,
    seed: int,
    provenance: Provenance,
    device: str = "cpu",
) -> None:
    """Write natural/ (each attacked image once) and adversarial/ (each success): class frequencies with limits.

    Sigmas are sigma_max (i / points)^power. Beside them: `examples` noisy images of each, at sigmas spaced alike.
    """
    stored = read_network(model)
    network = restore(stored.settings, stored.weights, device)
    with reading(attack) as file:
        columns = {name: file.read(name) for name in ("x", "x_adv", "success", "index", "label", "target")}
        classes = file.read("classes")
    if not columns["success"].any():
        raise StoreError(f"{attack}: no attack succeeded, so there is no adversarial image to measure")
    sigma = sigma_max * np.linspace(0, 1, points + 1)[1:] ** power
    shown = np.linspace(0, points - 1, examples).round().astype(int)
    first = np.unique(columns["index"], return_index=True)[1]
    groups = {"natural": ("x", np.sort(first)), "adversarial": ("x_adv", np.flatnonzero(columns["success"]))}
    levels = torch.from_numpy(sigma)
    with writing(output, provenance) as file:
        file.put("sigma", sigma, "standard deviation of the noise", ("sigma",), PIXELS)
        file.put("classes", classes, "name of each class", ("class",))
        file.put("samples", samples, "noisy images behind each frequency", ())
        file.put("confidence", confidence, "level of each interval", ())
        file.put("example_sigma", sigma[shown], "sigma of the example images", ("example",), PIXELS)
        for number, (name, (key, rows)) in enumerate(groups.items()):
            x = to_unit_interval(columns[key][rows], device)
            measure = partial(stability_curve, network, x, levels, samples, confidence, seed + number)
            curve = halve_on_out_of_memory(measure, batch_size)
            for part in ("frequency", "low", "high"):
                text = {"frequency": "share of noisy images in each class", "low": "lower limit", "high": "upper limit"}
                file.put(f"{name}/{part}", getattr(curve, part), text[part], ("image", "sigma", "class"))
            for column in ("index", "label", "target"):
                file.put(f"{name}/{column}", columns[column][rows], f"{column} of the attack's row", ("image",))
            shape = x.shape[1:]
            drawn = [noise_directions(shape, examples, seed + number, i, x.device).cpu() for i in range(len(x))]
            noise = torch.stack(drawn)
            noisy = x.cpu()[:, None] + noise * torch.from_numpy(sigma[shown]).float()[:, None, None, None]
            dims = ("image", "example", *IMAGE_DIMS[1:])
            file.put(f"{name}/examples", noisy, "noisy images, not clipped", dims, PIXELS)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        sweep(
            model=snakemake.input.model,
            attack=snakemake.input.attack,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
