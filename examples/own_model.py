"""A model and an attack of one's own, named in examples/own.yaml by `examples.own_model:...`."""

import torch
from torch import Tensor, nn


def small_cnn(input_shape: tuple[int, ...], classes: int, width: int = 4) -> nn.Module:
    """Images [B, *input_shape] in [0, 1] to logits [B, classes]; normalisation belongs inside."""
    channels, rows, columns = input_shape
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * ((rows + 1) // 2) * ((columns + 1) // 2), classes),
    )


def random_sign(model: nn.Module, x: Tensor, label: Tensor, target: Tensor | None, epsilon: float = 0.3) -> Tensor:
    """Add epsilon times a random sign to every pixel: the weakest attack there is, to compare others with."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, x.shape, generator=generator).to(x) * 2 - 1
    return (x + epsilon * signs).clamp(0, 1)
