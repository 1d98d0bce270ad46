"""Measure the geometry of manifolds in the layers of a network (Seguin, section 4.2 and appendix A.4)."""

from collections.abc import Sequence
from functools import partial

import torch

from neighborhoods.images import to_unit_interval
from neighborhoods.manifolds.layers import analyse
from neighborhoods.manifolds.points import (
    activation_layers,
    adversarial_perturbations,
    class_images,
    layer_points,
    uniform_perturbations,
)
from neighborhoods.networks.architectures import restore
from neighborhoods.training.minibatch import predict
from pipeline.results.manifolds import put_kind, put_simulated
from pipeline.results.shared import read_checkpoint, read_split
from pipeline.running.devices import halve_on_out_of_memory
from pipeline.store import Provenance, StoreError, writing

# Of a pass, where memory is enough.
IMAGES = 512


def measure(
    *,
    data: str,
    model: str,
    output: str,
    exemplars: int,
    samples: int,
    class_samples: int,
    epsilon: float,
    step_size: float,
    steps: int,
    features: int,
    n_t: int,
    kappa: float,
    trials: int,
    tolerance: float,
    confidence: float,
    seed: int,
    provenance: Provenance,
    epoch: int | None = None,
    layers: Sequence[str] | None = None,
    device: str = "cpu",
) -> None:
    """Write uniform/, adversarial/ and class/: capacity, radius, dimension and centre correlation, layer by layer.

    Args:
        epoch: of the checkpoint that is measured; None for the trained network.
        exemplars: images, the first ones in the test split's random order. samples: points around each of them.
        class_samples: test images of each class; 0 for no manifolds of classes.
        epsilon, step_size, steps: of PGD; epsilon also of the uniform points.
        features: wider layers are projected to so many.
        trials: of the simulated capacity of adversarial manifolds; 0 for none.
        tolerance: of the search for what centres share, see `manifold_centers.shared_directions`.
        layers: names of modules; None for activations, blocks and logits. The input always comes first.
    """
    split = read_split(data, "test")
    if len(split.order) < exemplars:
        raise StoreError(f"{data}: expected at least {exemplars} test images, found {len(split.order)}")
    stored = read_checkpoint(model, epoch)
    network = restore(stored.settings, stored.weights, device).eval()
    index = split.order[:exemplars]
    x, label = to_unit_interval(split.images[index], device), torch.from_numpy(split.labels[index]).to(device)

    def attacked(batch_size: int) -> torch.Tensor:
        return adversarial_perturbations(
            *(network, x, label),
            epsilon=epsilon,
            step_size=step_size,
            steps=steps,
            samples=samples,
            generator=_generator(seed),
            batch_size=batch_size,
        )

    kinds = {
        "uniform": uniform_perturbations(x, epsilon=epsilon, samples=samples, generator=_generator(seed)),
        "adversarial": halve_on_out_of_memory(attacked, IMAGES),
    }
    if class_samples:
        images, classes = to_unit_interval(split.images, device), torch.from_numpy(split.labels).to(device)
        kinds["class"] = class_images(images, classes, samples=class_samples, generator=_generator(seed))
    names = activation_layers(network)
    logits = names[-1]
    chosen = names if layers is None else list(layers)
    with writing(output, provenance) as file:
        file.put("index", index, "position of each exemplar in the test split", ("exemplar",))
        file.put("label", split.labels[index], "true class of each exemplar", ("exemplar",))
        file.put("confidence", confidence, "level of each interval", ())
        wrong = (
            predict(network, kinds["adversarial"].flatten(0, 1)).unflatten(0, (exemplars, samples)) != label[:, None]
        )
        text = "share of the PGD examples around each exemplar that the network gets wrong"
        file.put("adversarial/mistaken", wrong.double().mean(1).cpu(), text, ("exemplar",))
        for kind, images in kinds.items():
            passed = partial(layer_points, network, images, layers=chosen, features=features, seed=seed)
            points = halve_on_out_of_memory(passed, IMAGES)
            analysed = [
                analyse(
                    layer,
                    kappa=kappa,
                    n_t=n_t,
                    trials=trials if kind == "adversarial" else 0,
                    seed=seed,
                    confidence=confidence,
                    tolerance=tolerance,
                )
                for layer in points.values()
            ]
            if kind == "uniform":
                file.put("layers", list(points), "names of modules, the input first", ("layer",))
                file.put("is_logits", [name == logits for name in points], "whether it is the output", ("layer",))
                width = [layer.shape[1] for layer in points.values()]
                file.put("features", width, "features of each layer, after random projection", ("layer",))
            put_kind(file, kind, analysed, len(images))
            if trials and kind == "adversarial":
                put_simulated(file, kind, analysed, trials)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        measure(
            data=snakemake.input.data,
            model=snakemake.input.model,
            output=snakemake.output[0],
            device=run.device,
            provenance=run.provenance,
            **run.settings,
        )
