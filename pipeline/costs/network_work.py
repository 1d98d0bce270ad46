"""How much one forward pass of a network computes, from its settings alone and free of torch."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

# Networks for photos of 224 x 224: multiply-adds, values that layers put out and parameters, in millions, and layers;
# a test counts them.
PHOTO_NETWORKS = {
    "alexnet": (714.2, 0.5, 61.1, 8),
    "vgg16": (15470.3, 13.6, 138.4, 16),
    "resnet18": (1814.1, 2.5, 11.7, 21),
    "resnet50": (4089.2, 11.1, 25.6, 54),
    "efficientnet_lite0": (407.0, 6.7, 4.7, 50),
}
# Any other network for photos counts as this one; for smaller images as a residual network of 20 layers.
UNKNOWN_PHOTOS = "resnet50"
PHOTO_SIDE = 224


@dataclass(frozen=True)
class PassWork:
    """What one image costs in a forward pass.

    Attributes:
        dense: multiply-adds of linear layers. conv: multiply-adds of convolutions.
        values: numbers that layers put out. layers: with weights. parameters: numbers in these.
        known: False where the network's own size is not known, and another's stands in.
    """

    dense: float = 0.0
    conv: float = 0.0
    values: float = 0.0
    layers: int = 0
    parameters: float = 0.0
    known: bool = field(default=True, compare=False)


def pass_work(model: Mapping[str, Any], shape: Sequence[int], classes: int) -> PassWork:
    """What an image costs in a forward pass of a network.

    Args:
        model: an entry of the section `models`, resolved. shape: of one image. classes: number of logits.
    """
    if model.get("factory") is not None:
        return _unknown(shape, classes)
    match model["architecture"]:
        case "fully_connected":
            return dense_work([math.prod(shape), *model["hidden"], classes])
        case "bell_cnn":
            return _bell_cnn(shape, model["channels"], classes)
        case "strided_cnn":
            return _strided_cnn(shape, model["channels"], classes)
        case "cifar_resnet":
            return _total(_cifar_resnet(model["depth"], shape, classes))
        case "cifar_resnet18":
            return _total(_cifar_resnet18(shape, classes))
        case architecture:
            name = model["name"] if architecture == "torchvision" else architecture
            return _photo_network(name, shape) if name in PHOTO_NETWORKS else _unknown(shape, classes)


def dense_work(widths: Sequence[int]) -> PassWork:
    """Linear layers between these widths."""
    sizes = sum(before * after for before, after in pairwise(widths))
    return PassWork(sizes, 0.0, sum(widths[1:]), len(widths) - 1, sizes + sum(widths[1:]))


def _conv(before: int, after: int, kernel: int, sides: Sequence[int]) -> PassWork:
    """A convolution whose output has these sides."""
    pixels, weights = math.prod(sides), before * after * kernel**2
    return PassWork(0.0, weights * pixels, after * pixels, 1, weights + after)


def _total(parts: Iterator[PassWork]) -> PassWork:
    every = list(parts)
    names = ("dense", "conv", "values", "layers", "parameters")
    return PassWork(**{name: sum(getattr(part, name) for part in every) for name in names})


def _bell_cnn(shape: Sequence[int], channels: int, classes: int) -> PassWork:
    def parts() -> Iterator[PassWork]:
        before, sides = shape[0], list(shape[1:])
        for _ in range(4):
            sides = [side - 4 for side in sides]
            yield _conv(before, channels, 5, sides)
            before = channels
        yield dense_work([channels * math.prod(side // 2 for side in sides), 256, classes])

    return _total(parts())


def _strided_cnn(shape: Sequence[int], channels: int, classes: int) -> PassWork:
    half = [side // 2 for side in shape[1:]]
    quarter = [side // 2 for side in half]
    parts = [_conv(shape[0], channels, 4, half), _conv(channels, 2 * channels, 4, quarter)]
    return _total(iter([*parts, dense_work([2 * channels * math.prod(quarter), 100, classes])]))


def _cifar_resnet(depth: int, shape: Sequence[int], classes: int) -> Iterator[PassWork]:
    sides = list(shape[1:])
    yield _conv(3, 16, 3, sides)
    before = 16
    for stage, channels in enumerate((16, 32, 64)):
        sides = [side // 2 for side in sides] if stage else sides
        for _ in range(depth // 6):
            yield _conv(before, channels, 3, sides)
            yield _conv(channels, channels, 3, sides)
            before = channels
    yield dense_work([64, classes])


def _cifar_resnet18(shape: Sequence[int], classes: int) -> Iterator[PassWork]:
    sides = list(shape[1:])
    yield _conv(3, 64, 3, sides)
    before = 64
    for stage, channels in enumerate((64, 128, 256, 512)):
        sides = [side // 2 for side in sides] if stage else sides
        for block in range(2):
            yield _conv(before, channels, 3, sides)
            yield _conv(channels, channels, 3, sides)
            if stage and not block:
                yield _conv(before, channels, 1, sides)
            before = channels
    yield dense_work([512, classes])


def _photo_network(name: str, shape: Sequence[int]) -> PassWork:
    conv, values, parameters, layers = PHOTO_NETWORKS[name]
    scale = 1e6 * math.prod(shape[1:]) / PHOTO_SIDE**2
    return PassWork(0.0, conv * scale, values * scale, layers, parameters * 1e6)


def _unknown(shape: Sequence[int], classes: int) -> PassWork:
    if len(shape) != 3:
        found = dense_work([math.prod(shape), 100, 100, classes])
    elif min(shape[1:]) >= 64:
        found = _photo_network(UNKNOWN_PHOTOS, shape)
    else:
        found = _total(_cifar_resnet(20, shape, classes))
    return PassWork(found.dense, found.conv, found.values, found.layers, found.parameters, known=False)
