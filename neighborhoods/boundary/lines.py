"""Lines between natural images of different classes, which cross decision boundaries."""

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from neighborhoods.training.minibatch import predict


def pairs_of_classes(label: Tensor, count: int) -> Tensor:
    """Pairs of positions with different classes, none used twice: neighbours of a random order, int64 [pairs, 2].

    Neighbours of one class are left out, so that a pair is a random one given that its classes differ. A larger `count`
    only adds pairs behind the others.

    Args:
        label: classes in random order [n]. count: of pairs at most.
    """
    pairs = torch.arange(len(label) // 2 * 2, device=label.device).reshape(-1, 2)
    return pairs[label[pairs[:, 0]] != label[pairs[:, 1]]][:count]


def natural_lines(
    model: nn.Module, x: Tensor, label: ArrayLike, order: ArrayLike, attacked: ArrayLike, count: int
) -> Tensor:
    """Lines between images of different classes, each image in one line only: positions of both ends [lines, 2], int64.

    Their images are classified correctly. Attacked ones are left out, so that these lines are independent of those to
    adversarial images. Which lines there are depends on nothing else: `count` says how many of the first are taken.

    Args:
        model: images [B, ...] to logits [B, classes]. x: images [n, ...]. label: true classes [n].
        order: positions in random order [m]. attacked: positions to leave out [k]. count: of lines at most.
    """
    classes, places, taken = (torch.as_tensor(part, device=x.device) for part in (label, order, attacked))
    left = places[~torch.isin(places, taken)]
    right = left[predict(model, x[left]) == classes[left]]
    return right[pairs_of_classes(classes[right], count)]
