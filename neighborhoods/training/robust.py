"""Training for robustness: on adversarial images, and with the soft nearest neighbour loss (Bell, section 22)."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from neighborhoods.attacks.gradient_steps import pgd
from neighborhoods.networks.modes import evaluating
from neighborhoods.training.minibatch import History, train


def fit(
    network: nn.Module,
    x_train: Tensor,
    y_train: Tensor,
    x_test: Tensor,
    y_test: Tensor,
    *,
    adversarial: Mapping[str, Any] | None = None,
    soft_nearest_neighbor: Mapping[str, float] | None = None,
    seed: int = 0,
    **settings: Any,
) -> History:
    """`training.train`, with either, both or none of two ways to make a network robust.

    Args:
        network, x_train, y_train, x_test, y_test, seed, settings: as for `training.train`.
        adversarial: `epsilon`, `step_size` and `steps` of `adversarial_images`; each batch is replaced by them.
        soft_nearest_neighbor: `weight` and `temperature` of `soft_nearest_neighbor_loss` of the last hidden
            representation, which is added to the cross-entropy. A negative weight entangles classes, which is what
            Frosst et al. do; they do it in all hidden layers that extract features, a positive one pulls classes apart.

    Returns:
        The history; its loss and train_accuracy are those of the images trained on, its penalty holds both terms.

    Raises:
        TrainingError, ValueError: as for `training.train`; a soft nearest neighbour loss needs a hidden layer.
    """
    perturb = None
    if adversarial is not None:
        # Starts of the attack must not repeat the numbers that order the images.
        generator = torch.Generator().manual_seed(seed ^ 1)
        perturb = partial(adversarial_images, generator=generator, **adversarial)
    data = (x_train, y_train, x_test, y_test)
    if soft_nearest_neighbor is None:
        return train(network, *data, perturb=perturb, seed=seed, **settings)
    weight, temperature = soft_nearest_neighbor["weight"], soft_nearest_neighbor["temperature"]
    with last_hidden(network) as seen:

        def entanglement(label: Tensor) -> Tensor:
            return weight * soft_nearest_neighbor_loss(seen[-1], label, temperature)

        return train(network, *data, perturb=perturb, regularize=entanglement, seed=seed, **settings)


def adversarial_images(
    network: nn.Module,
    x: Tensor,
    label: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """The inner maximization of adversarial training (Madry et al. 2018, equation 2.1): untargeted PGD in l-infinity.

    The network is in evaluation mode meanwhile, so that the attack meets the network that will be used (without
    dropout, with the running statistics of batch normalisation, which it does not change); every module comes back in
    its mode.

    Args:
        network: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [B, ...]. label: true classes [B].
        epsilon, step_size: largest change of a pixel and that of one step, in units of a pixel's range.
        generator: of the starts, uniform in the epsilon-ball, on the CPU.

    Returns:
        Images [B, ...] in [0, 1], without gradient.

    Raises:
        AttackError: no steps.
    """
    with evaluating(network):
        return pgd(network, x, label, epsilon=epsilon, step_size=step_size, steps=steps, generator=generator)


def soft_nearest_neighbor_loss(points: Tensor, label: Tensor, temperature: float = 1.0) -> Tensor:
    """Entanglement of classes in a representation (Frosst, Papernot and Hinton 2019, equation 1).

    Minus the mean over i of ln(sum_{j != i, y_j = y_i} exp(-|x_i - x_j|^2 / T) / sum_{k != i} exp(-|x_i - x_k|^2 / T)):
    small where points of one class lie together, large where classes are mixed. Points without another one of their
    class, for which the logarithm is not finite, are left out of the mean.

    Args:
        points: representations [B, ...]. label: classes [B].
        temperature: T, in units of squared distance: below it distances hardly count.

    Returns:
        A scalar in nats, 0 where no two points share a class.

    Raises:
        ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"expected a positive temperature, found {temperature}")
    flat = points.flatten(1)
    # Not cdist: the gradient of a norm is not defined where two points agree.
    squares = flat.square().sum(1)
    closeness = -(squares[:, None] + squares[None] - 2 * flat @ flat.T).clamp_min(0) / temperature
    itself = torch.eye(len(flat), dtype=torch.bool, device=flat.device)
    alike = (label[:, None] == label[None]) & ~itself
    counted = alike.any(1)
    if not bool(counted.any()):
        return flat.sum() * 0
    everyone = closeness[counted].masked_fill(itself[counted], -math.inf).logsumexp(1)
    own = closeness[counted].masked_fill(~alike[counted], -math.inf).logsumexp(1)
    return (everyone - own).mean()


@contextmanager
def last_hidden(network: nn.Module) -> Iterator[list[Tensor]]:
    """A list whose only entry is the input of the network's last linear layer in its latest pass, [B, features].

    Raises:
        ValueError: the network has no layer with weights before a linear one.
    """
    weighted = [module for module in network.modules() if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))]
    if len(weighted) < 2 or not isinstance(weighted[-1], nn.Linear):
        raise ValueError("a soft nearest neighbour loss needs a hidden layer before a last linear one, found none")
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[:] = inputs[:1]

    handle = weighted[-1].register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
