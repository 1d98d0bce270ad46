"""The networks of the sources, built from settings; outputs are logits."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn


def fully_connected(input_shape: Sequence[int], hidden: Sequence[int], classes: int) -> nn.Sequential:
    """Fully connected ReLU network: images [B, *input_shape] to logits [B, classes].

    With no hidden layers this is Bell's FC10 (ERRATA: without a ReLU on the output). The last layer is
    always linear.

    Args:
        input_shape: shape of one image, e.g. (1, 28, 28).
        hidden: widths of the hidden layers, e.g. (100, 20).
        classes: number of logits.
    """
    widths = [math.prod(input_shape), *hidden, classes]
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for i, (before, after) in enumerate(pairwise(widths)):
        if i:
            layers.append((f"relu{i}", nn.ReLU()))
        layers.append((f"fc{i + 1}", nn.Linear(before, after)))
    return nn.Sequential(OrderedDict(layers))


def bell_cnn(input_shape: Sequence[int], channels: int, classes: int) -> nn.Sequential:
    """The networks C-Ch of Bell, Table 3: four 5x5 convolutions, a 2x2 max-pool, FC 256, FC classes.

    The table states no activations; each convolution and the hidden layer are followed by a ReLU.

    Args:
        input_shape: (colours, height, width), height and width at least 18 and even.
        channels: Ch, the channels of every convolution.
        classes: number of logits.

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
        layers += [(f"conv{i}", nn.Conv2d(before, channels, 5)), (f"relu{i}", nn.ReLU())]
        before = channels
    side = [(size - 16) // 2 for size in input_shape[1:]]
    layers += [
        ("pool", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(channels * math.prod(side), 256)),
        ("relu5", nn.ReLU()),
        ("fc2", nn.Linear(256, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))


def build(
    architecture: str, input_shape: Sequence[int], classes: int, hidden: Sequence[int] = (), channels: int = 4
) -> nn.Sequential:
    """A network of a named architecture with fresh weights.

    Raises:
        ValueError: the architecture is unknown or does not fit the images.
    """
    match architecture:
        case "fully_connected":
            return fully_connected(input_shape, hidden, classes)
        case "bell_cnn":
            return bell_cnn(input_shape, channels, classes)
    raise ValueError(f"unknown architecture {architecture!r}, expected fully_connected or bell_cnn")


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Parameters and buffers as arrays on the CPU, by name."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def restore(settings: Mapping[str, Any], weights: Mapping[str, np.ndarray], device: str = "cpu") -> nn.Sequential:
    """A trained network in evaluation mode.

    Args:
        settings: keyword arguments of `build`.
        weights: arrays as `weights_of` gives them.
        device: torch device string.

    Raises:
        ValueError: names or shapes of the weights are not the network's.
    """
    network = build(**settings)
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
