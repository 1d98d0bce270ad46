"""How flat the loss is around an image, along its gradient and in random directions (conditions 1 and 2 of the Note).

The Note wants the prediction to stay, and the loss to be nearly constant, for every step shorter than epsilon. Steps
are x + epsilon u with ||u||_2 = 1 and leave the box of the pixels, so that all of them have the length stated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.boundary.points import logits_in_batches
from neighborhoods.networks.inference import Classifier
from neighborhoods.sensitivity.factors import cross_entropy


@dataclass(frozen=True)
class Flatness:
    """What steps of E lengths do to n images, in one given direction and in R random ones.

    Attributes:
        given_increase: loss after the step less the loss before, in nat [E, n], float64. random_increase: [E, R, n].
        given_kept: whether the predicted class stays [E, n]. random_kept: [E, R, n].
    """

    given_increase: Tensor
    random_increase: Tensor
    given_kept: Tensor
    random_kept: Tensor


def flatness(
    model: Classifier,
    x: Tensor,
    label: Tensor,
    direction: Tensor,
    epsilons: Sequence[float],
    *,
    directions: int = 20,
    seed: int = 0,
    batch_size: int = 512,
) -> Flatness:
    """Increase of the cross-entropy and stability of the prediction under steps of growing length.

    Each image has random directions of its own, uniform on the sphere and the same for all lengths.

    Args:
        model: images [B, ...] to logits [B, classes]. x: images [n, ...]. label: true classes [n].
        direction: unit vectors [n, ...], those of `sensitivity.loss_gradient`.
        epsilons: lengths of the steps, positive, in units of the images. directions: R, at least 1.

    Raises:
        ValueError: an argument is out of range or of another shape.
    """
    if direction.shape != x.shape or len(x) == 0:
        raise ValueError(f"expected a direction for each image {tuple(x.shape)}, found {tuple(direction.shape)}")
    if not epsilons or min(epsilons) <= 0 or directions < 1:
        raise ValueError(f"expected positive epsilons and at least one direction, found {epsilons}, {directions}")
    logits = logits_in_batches(model, x, batch_size)
    before, predicted = cross_entropy(logits, label), logits.argmax(1)
    length = torch.tensor(list(epsilons), dtype=x.dtype, device=x.device).reshape(-1, *[1] * x.ndim)

    def stepped(along: Tensor) -> tuple[Tensor, Tensor]:
        places = (x + length * along).flatten(0, 1)
        after = logits_in_batches(model, places, batch_size)
        increase = cross_entropy(after, label.repeat(len(length))).reshape(len(length), -1) - before
        return increase, after.argmax(1).reshape(len(length), -1) == predicted

    generator = torch.Generator().manual_seed(seed)
    drawn = [stepped(random_directions(x, generator)) for _ in range(directions)]
    given = stepped(direction)
    random = [torch.stack(part, dim=1) for part in zip(*drawn, strict=True)]
    return Flatness(given[0], random[0], given[1], random[1])


def random_directions(x: Tensor, generator: torch.Generator) -> Tensor:
    """A unit vector for each image [n, ...], uniform on the sphere, of the images' type."""
    drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    return (drawn / drawn.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1))).to(x)
