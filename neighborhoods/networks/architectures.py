"""The networks of the sources, built from settings; outputs are logits."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from neighborhoods.networks.factories import load
from neighborhoods.networks.photos import Normalized, cifar_resnet18, photo_network
from neighborhoods.networks.principal import PrincipalProjection

ARCHITECTURES = (
    *("fully_connected", "bell_cnn", "strided_cnn"),
    *("torchvision", "efficientnet_lite0", "cifar_resnet", "cifar_resnet18"),
)


def fully_connected(
    input_shape: Sequence[int], hidden: Sequence[int], classes: int, dropout: float = 0.0
) -> nn.Sequential:
    """Fully connected ReLU network: images [B, *input_shape] to logits [B, classes].

    With no hidden layers this is Bell's FC10 (errata: without a ReLU on the output). The last layer is
    always linear.

    Args:
        input_shape: shape of one image, e.g. (1, 28, 28).
        hidden: widths of the hidden layers, e.g. (100, 20).
        classes: number of logits.
        dropout: share of each hidden layer's units that training drops, after the ReLU; 0 for no such layers.
    """
    widths = [math.prod(input_shape), *hidden, classes]
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for i, (before, after) in enumerate(pairwise(widths)):
        if i:
            layers += _hidden(i, dropout)
        layers.append((f"fc{i + 1}", nn.Linear(before, after)))
    return nn.Sequential(OrderedDict(layers))


def bell_cnn(input_shape: Sequence[int], channels: int, classes: int, dropout: float = 0.0) -> nn.Sequential:
    """The networks C-Ch of Bell, Table 3: four 5x5 convolutions, a 2x2 max-pool, FC 256, FC classes.

    The table states no activations; each convolution and the hidden layer are followed by a ReLU.

    Args:
        input_shape: (colours, height, width), height and width at least 18 and even.
        channels: Ch, the channels of every convolution.
        classes: number of logits.
        dropout: share of units that training drops after each hidden ReLU; 0 for no such layers.

    Raises:
        ValueError: the image is too small, odd, or not (colours, height, width).
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < 18 or any(side % 2 for side in input_shape[1:]):
        raise ValueError(
            f"a C-Ch network needs images (colours, height, width) of even sides from 18 on, found {tuple(input_shape)}"
        )
    layers: list[tuple[str, nn.Module]] = []
    before = input_shape[0]
    for i in range(1, 5):
        layers += [(f"conv{i}", nn.Conv2d(before, channels, 5)), *_hidden(i, dropout)]
        before = channels
    side = [(size - 16) // 2 for size in input_shape[1:]]
    layers += [
        ("pool", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(channels * math.prod(side), 256)),
        *_hidden(5, dropout),
        ("fc2", nn.Linear(256, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))


def strided_cnn(input_shape: Sequence[int], channels: int, classes: int) -> nn.Sequential:
    """Two 4x4 convolutions of stride 2, each halving the sides, FC 100, FC classes: small enough to train on attacks.

    Args:
        input_shape: (colours, height, width), height and width from 4 on.
        channels: of the first convolution; the second has twice as many.
        classes: number of logits.

    Raises:
        ValueError: the image is too small or not (colours, height, width).
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < 4:
        raise ValueError(
            f"a strided CNN needs images (colours, height, width) of sides from 4 on, found {tuple(input_shape)}"
        )
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(input_shape[0], channels, 4, 2, 1)),
        *_hidden(1, 0.0),
        ("conv2", nn.Conv2d(channels, 2 * channels, 4, 2, 1)),
        *_hidden(2, 0.0),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(2 * channels * math.prod(side // 2 // 2 for side in input_shape[1:]), 100)),
        *_hidden(3, 0.0),
        ("fc2", nn.Linear(100, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))


def _hidden(number: int, dropout: float) -> list[tuple[str, nn.Module]]:
    relu: tuple[str, nn.Module] = (f"relu{number}", nn.ReLU())
    return [relu, (f"dropout{number}", nn.Dropout(dropout))] if dropout else [relu]


def build(
    input_shape: Sequence[int],
    classes: int,
    *,
    architecture: str | None = None,
    hidden: Sequence[int] = (),
    channels: int = 4,
    dropout: float = 0.0,
    principal: int | None = None,
    name: str = "",
    depth: int = 20,
    normalization: Mapping[str, Sequence[float]] | None = None,
    factory: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A network with fresh weights, of a named architecture or by a factory of one's own.

    Args:
        input_shape: shape of one image. classes: number of logits.
        architecture: "fully_connected" (with `hidden`), "bell_cnn" or "strided_cnn" (with `channels`),
            "cifar_resnet18", or one of `photo_networks.photo_network` with its `name` or `depth`.
        dropout: of "fully_connected" and "bell_cnn".
        principal: of these, m for a `principal.PrincipalProjection` onto m directions before all else, still to be
            fitted to training images; None for none.
        normalization: `mean` and `std` of each colour, taken inside the network; None for that of the architecture's
            published weights, if it has any.
        factory: "package.module:function", called with input_shape, classes and `arguments`; it returns an
            `nn.Module` from images [B, *input_shape] in [0, 1] to logits [B, classes].

    Raises:
        ValueError: the architecture is unknown, or what the factory returns does not fit.
    """
    if factory is not None:
        network = load(factory)(input_shape=tuple(input_shape), classes=classes, **(arguments or {}))
        return _checked(network, factory, input_shape, classes)
    match architecture:
        case "fully_connected":
            plain: nn.Module = fully_connected(input_shape, hidden, classes, dropout)
        case "bell_cnn":
            plain = bell_cnn(input_shape, channels, classes, dropout)
        case "strided_cnn":
            plain = strided_cnn(input_shape, channels, classes)
        case "cifar_resnet18":
            plain = cifar_resnet18(input_shape, classes)
        case "torchvision" | "efficientnet_lite0" | "cifar_resnet":
            return photo_network(
                architecture, input_shape, classes, name=name, depth=depth, normalization=normalization
            )
        case _:
            raise ValueError(f"unknown architecture {architecture!r}, expected one of {', '.join(ARCHITECTURES)}")
    if normalization is not None:
        plain = Normalized(plain, normalization["mean"], normalization["std"])
    if principal is None:
        return plain
    return nn.Sequential(OrderedDict(principal=PrincipalProjection(input_shape, principal), network=plain))


def _checked(network: Any, factory: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    if not isinstance(network, nn.Module):
        raise ValueError(f"'{factory}' must return an nn.Module, found {type(network).__name__}")
    training = network.training
    with torch.no_grad():
        try:
            logits = network.eval()(torch.zeros(2, *input_shape))
        except RuntimeError as error:
            raise ValueError(f"'{factory}' does not accept images {tuple(input_shape)}: {error}") from error
    network.train(training)
    shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if shape != (2, classes):
        raise ValueError(f"'{factory}' must map 2 images to logits (2, {classes}), found {shape}")
    return network


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Parameters and buffers as arrays on the CPU, by name: copies, which later training does not change."""
    return {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}


def read_state_dict(path: str) -> dict[str, np.ndarray]:
    """Arrays of a state_dict saved by torch; also below a key `state_dict`, and without DataParallel's `module.`.

    Raises:
        ValueError: the file is damaged, or holds anything but tensors (nothing is unpickled).
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path}: not a file of tensors saved by torch ({' '.join(str(error).split())[:150]})"
        ) from error
    found = found.get("state_dict", found) if isinstance(found, Mapping) else found
    if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ValueError(f"{path}: expected a state_dict of tensors, found {type(found).__name__}")
    try:
        return {str(name).removeprefix("module."): value.numpy() for name, value in found.items()}
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: expected dense tensors of numbers that NumPy has ({error})") from error


def restore(settings: Mapping[str, Any], weights: Mapping[str, np.ndarray], device: str = "cpu") -> nn.Module:
    """A trained network in evaluation mode.

    Args:
        settings: keyword arguments of `build`.
        weights: arrays as `weights_of` gives them, or those of a network without its normalisation.
        device: torch device string.

    Raises:
        ValueError: names or shapes of the weights are not the network's.
    """
    network = build(**settings)
    weights = _named_for(network, weights)
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: value.shape for name, value in weights.items()}
    if expected != found:
        differing = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        name = differing[0]
        raise ValueError(
            f"weights do not fit the network: '{name}' should have shape {expected.get(name)}, found {found.get(name)}"
        )
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    return network.to(device).eval().requires_grad_(False)


def _named_for(network: nn.Module, weights: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Weights under the names that a network with a normalisation in front gives them."""
    if isinstance(network, Normalized) and not any(name.startswith("network.") for name in weights):
        weights = {f"network.{name}": value for name, value in weights.items()}
    # Older files lack the number of batches seen, which evaluation does not use.
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    return {name: value.numpy() for name, value in counters.items()} | dict(weights)
