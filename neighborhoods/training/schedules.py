"""How a network is trained: the settings, the learning rate of each epoch, and the images kept for validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Schedule:
    """Stochastic gradient descent with momentum, in epochs counted from 1.

    Attributes:
        batch_size: images of a step; the last step of an epoch takes what is left.
        learning_rate: before any drop. weight_decay: factor of the weights that is added to their gradient.
        drops: epochs from which on the rate is multiplied by `drop_factor` (once more for each).
        restart_drops: each drop restarts from the base rate, so that a second one changes nothing: what the code behind
            Seguin's networks did.
        crop: zeros around an image, out of which a random window of the image's size is cut; 0 for no crops.
        flip: mirror each image with probability 1/2.
        mixed_precision, channels_last: bfloat16, and colours last of images, on a GPU only.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    drops: Sequence[int] = ()
    drop_factor: float = 0.1
    restart_drops: bool = False
    crop: int = 0
    flip: bool = False
    mixed_precision: bool = False
    channels_last: bool = False

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch: base * drop_factor^n after n drops, or at most one factor with `restart_drops`.

        A drop at epoch e holds in epoch e itself.
        """
        dropped = sum(epoch >= drop for drop in self.drops)
        return self.learning_rate * self.drop_factor ** (min(dropped, 1) if self.restart_drops else dropped)


def kept_rows(labels: NDArray[np.integer], per_class: int, seed: int) -> NDArray[np.int64]:
    """Rows of a train set that remain when some random images of each class are set apart for validation.

    Args:
        labels: classes [N]. per_class: images of each class to set apart. seed: of the choice.

    Returns:
        Rows in ascending order, [N - classes * per_class].

    Raises:
        ValueError: a class has not more images than are to be set apart.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    kept = [order[labels[order] == each][per_class:] for each in np.unique(labels)]
    if per_class < 0 or any(not len(rows) for rows in kept):
        smallest = int(np.unique(labels, return_counts=True)[1].min())
        raise ValueError(f"expected fewer than {smallest} validation images a class, found {per_class}")
    return np.sort(np.concatenate(kept)).astype(np.int64)
