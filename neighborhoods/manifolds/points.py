"""Points that manifolds are made of: images around an exemplar or of a class, and what a network's layers make of them.

Images of manifolds are tensors [P, S, ...]: P manifolds of S samples each (Seguin, section 4.2 and appendix A.4).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neighborhoods.attacks.gradient_steps import pgd, uniform
from neighborhoods.networks.modes import evaluating
from neighborhoods.sensitivity.growth import stages

# After these, and after blocks, a layer's work is done.
ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Hardswish, nn.Hardtanh),
)

# Numbers of a block of a random projection's matrix, which is never held whole.
NUMBERS = 2**24


def uniform_perturbations(x: Tensor, *, epsilon: float, samples: int, generator: torch.Generator) -> Tensor:
    """Images uniform in the l-infinity ball around each exemplar, clipped to [0, 1]: [P, samples, ...].

    Args:
        x: exemplars in [0, 1], [P, ...]. epsilon: radius, in units of a pixel's range.
        generator: of the images, on the CPU.

    Raises:
        ValueError: no exemplars or samples, exemplars outside [0, 1], or an epsilon that is not positive.
    """
    repeated = _repeated(x, epsilon, samples)
    return (repeated + epsilon * uniform(repeated, generator)).clamp(0, 1).unflatten(0, (len(x), samples))


def adversarial_perturbations(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    samples: int,
    generator: torch.Generator,
    batch_size: int = 512,
) -> Tensor:
    """PGD examples around each exemplar, each from a random start of its own: [P, samples, ...].

    They count whether or not the class changes: the manifold is that of what the attack finds.

    Args:
        model: images [B, ...] to logits, in the mode it is in. x: exemplars in [0, 1], [P, ...].
        label: true classes [P]. epsilon, step_size, steps: as for `gradient_steps.pgd`.
        generator: of the starts, on the CPU.

    Raises:
        ValueError: as for `uniform_perturbations`, or a number of labels other than P. AttackError: no steps.
    """
    repeated = _repeated(x, epsilon, samples)
    if label.shape != x.shape[:1]:
        raise ValueError(f"expected a label for each of {len(x)} exemplars, found shape {tuple(label.shape)}")
    batches = zip(repeated.split(batch_size), label.repeat_interleave(samples).split(batch_size), strict=True)
    found = [
        pgd(model, images, classes, epsilon=epsilon, step_size=step_size, steps=steps, generator=generator)
        for images, classes in batches
    ]
    return torch.cat(found).unflatten(0, (len(x), samples))


def class_images(x: Tensor, y: Tensor, *, samples: int, generator: torch.Generator) -> Tensor:
    """Random images of each class, in the order of the classes: [classes, samples, ...].

    Args:
        x: images [n, ...]. y: classes [n]. generator: of the choice, on the CPU.

    Raises:
        ValueError: no images or samples, or a class with fewer images than samples.
    """
    if len(x) == 0 or y.shape != x.shape[:1] or samples < 1:
        raise ValueError(
            f"expected images with a class each and at least 1 sample, found {len(x)} images, {tuple(y.shape)} classes "
            f"and {samples} samples"
        )
    classes, counts = y.unique(return_counts=True)
    if int(counts.min()) < samples:
        raise ValueError(
            f"expected at least {samples} images of each class, found {int(counts.min())} of class "
            f"{int(classes[counts.argmin()])}"
        )
    order = torch.randperm(len(x), generator=generator).to(y.device)
    return torch.stack([x[order[y[order] == label][:samples]] for label in classes])


def activation_layers(network: nn.Module) -> list[str]:
    """Names of the `growth.stages` that end a layer: activation functions, blocks such as residual ones, the logits.

    Raises:
        ValueError: the network has no stages.
    """
    followed = stages(network)
    if not followed:
        raise ValueError(f"expected a network of several layers, found a {type(network).__name__} without any")
    logits = followed[-1][1]
    return [
        name
        for name, module in followed
        if module is logits or isinstance(module, ACTIVATIONS) or any(True for _ in module.children())
    ]


def layer_points(
    network: nn.Module,
    images: Tensor,
    *,
    layers: Sequence[str] | None = None,
    features: int | None = None,
    seed: int = 0,
    batch_size: int = 512,
) -> dict[str, Tensor]:
    """Points of manifolds in layers of a network, by their names: [P, features, samples].

    The images come first, as "input"; layers are in the order in which an image passes, and one that is used again
    counts by its last output. Layers that give no tensor per image are left out.

    Args:
        network: images [B, ...] to logits; in evaluation mode meanwhile.
        images: [P, samples, ...].
        layers: names of modules; None for those of `growth.stages`.
        features: wider layers are projected to so many (`random_projection`); None for as they are.
        seed: of the projections, the same for layers of equal width.

    Raises:
        ValueError: images that are no manifolds, no features, or a module that the network does not have.
    """
    if images.ndim < 3 or 0 in images.shape or (features is not None and features < 1):
        raise ValueError(
            f"expected images [manifolds, samples, ...] and at least 1 feature, found {tuple(images.shape)} and "
            f"{features}"
        )
    followed = stages(network) if layers is None else _named(network, layers)
    outputs: dict[str, Tensor] = {}
    kept: dict[str, list[Tensor]] = {}

    def keep(output: object, name: str) -> None:
        if isinstance(output, Tensor):
            # What follows may work in place.
            outputs[name] = output.clone()

    handles = [
        module.register_forward_hook(lambda module, inputs, output, name=name: keep(output, name))
        for name, module in followed
    ]
    try:
        with evaluating(network), torch.no_grad():
            for batch in images.flatten(0, 1).split(batch_size):
                outputs.clear()
                network(batch)
                for name, output in {"input": batch, **outputs}.items():
                    if output.ndim > 1 and len(output) == len(batch):
                        flat = output.flatten(1)
                        kept.setdefault(name, []).append(
                            flat if features is None else random_projection(flat.T[None], features, seed)[0].T
                        )
    finally:
        for handle in handles:
            handle.remove()
    shape = images.shape[:2]
    return {name: torch.cat(parts).unflatten(0, shape).transpose(1, 2) for name, parts in kept.items()}


def random_projection(points: Tensor, features: int, seed: int = 0) -> Tensor:
    """Points of wide layers in fewer features: [manifolds, features, samples], float32.

    Entries of the Gaussian matrix have the variance 1 / features, so that squared distances keep their means (Johnson
    and Lindenstrauss 1984) with a relative standard deviation of sqrt(2 / features). Points that have no more features
    stay as they are. The matrix is drawn in blocks of rows and never held whole.

    Args:
        points: [manifolds, features before, samples].

    Raises:
        ValueError: not three axes, or no features asked for.
    """
    if points.ndim != 3 or features < 1:
        raise ValueError(
            f"expected points [manifolds, features, samples] and at least 1 feature, found {tuple(points.shape)} and "
            f"{features}"
        )
    wide = points.shape[1]
    if wide <= features:
        return points
    generator = torch.Generator().manual_seed(seed)
    blocks = [
        torch.randn(len(rows), wide, generator=generator).to(points.device) @ points.float()
        for rows in torch.arange(features).split(max(1, NUMBERS // wide))
    ]
    return torch.cat(blocks, 1) / math.sqrt(features)


def _named(network: nn.Module, layers: Sequence[str]) -> list[tuple[str, nn.Module]]:
    # A network that is a layer itself is a stage without a name of its own.
    modules = {name: module for name, module in network.named_modules() if name} | dict(stages(network))
    if unknown := [name for name in layers if name not in modules]:
        raise ValueError(f"expected layers among {', '.join(modules)}, found {', '.join(unknown)}")
    return [(name, modules[name]) for name in layers]


def _repeated(x: Tensor, epsilon: float, samples: int) -> Tensor:
    """Each exemplar as often as there are samples [P samples, ...]."""
    if len(x) == 0 or samples < 1 or not 0 < epsilon < math.inf:
        raise ValueError(
            f"expected exemplars, at least 1 sample and an epsilon above 0, found {len(x)}, {samples} and {epsilon}"
        )
    if not bool(((x >= 0) & (x <= 1)).all()):
        raise ValueError(f"expected exemplars in [0, 1], found values from {float(x.min()):g} to {float(x.max()):g}")
    return x.repeat_interleave(samples, 0)
