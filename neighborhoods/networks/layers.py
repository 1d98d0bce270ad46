"""What a built network consists of: its layers with shapes and parameters, found by running an image through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.networks.architectures import restore


@dataclass(frozen=True)
class Layer:
    """One layer, in the order in which an image passes through.

    Attributes:
        name: of the module inside the network, "image" for the input.
        type: class of the module, "Image" for the input.
        channels: of its output; (inputs, outputs) for a linear layer.
        kernel, stride: sizes along each axis of the image, empty for a layer without.
        output_shape: of one image, without the batch axis.
        parameters: numbers that are trained, biases included; counted once for a module that is used again.
        followed_by: types of the modules that only change or rearrange its output number by number, such as "ReLU"
            and "Flatten", in order. They are no layers of their own.
    """

    name: str
    type: str
    channels: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    followed_by: tuple[str, ...] = ()


def layers_of(settings: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> list[Layer]:
    """Layers of a stored network, the image first.

    A black image runs through the network in evaluation mode. Only modules are seen: an activation that a network
    of one's own applies as a function is not.

    Args:
        settings: keyword arguments of `neighborhoods.networks.architectures.build`.
        weights: arrays as `neighborhoods.networks.architectures.weights_of` gives them.

    Raises:
        ValueError: the weights do not fit the network.
    """
    network = restore(settings, weights)
    shape = tuple(settings["input_shape"])
    layers = [Layer("image", "Image", shape[:1], (), (), shape, 0)]
    counted: set[nn.Module] = set()

    def record(name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output
        count = 0 if module in counted else sum(value.numel() for value in module.parameters(recurse=False))
        counted.add(module)
        if _only_follows(module, inputs, output):
            layers[-1] = replace(layers[-1], followed_by=(*layers[-1].followed_by, type(module).__name__))
            return
        found = tuple(output.shape[1:])
        axes = len(found) - 1
        channels = (module.in_features, module.out_features) if isinstance(module, nn.Linear) else found[:1]
        kernel, stride = (_sizes(getattr(module, key, None), axes) for key in ("kernel_size", "stride"))
        layers.append(Layer(name, type(module).__name__, channels, kernel, stride, found, count))

    handles = [
        module.register_forward_hook(lambda module, inputs, output, name=name: record(name, module, inputs, output))
        for name, module in network.named_modules()
        if not any(module.children()) or any(True for _ in module.parameters(recurse=False))
    ]
    try:
        with torch.no_grad():
            network(torch.zeros(1, *shape))
    finally:
        for handle in handles:
            handle.remove()
    return layers


def _only_follows(module: nn.Module, inputs: Sequence[Any], output: Any) -> bool:
    if any(True for _ in module.parameters(recurse=False)) or hasattr(module, "kernel_size"):
        return False
    same = [value for value in inputs[:1] if isinstance(value, Tensor) and isinstance(output, Tensor)]
    return bool(same) and same[0].numel() == output.numel()


def _sizes(value: Any, axes: int) -> tuple[int, ...]:
    if value is None:
        return ()
    return (value,) * axes if isinstance(value, int) else tuple(value)
