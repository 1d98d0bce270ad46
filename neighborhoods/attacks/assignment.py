"""Which images are attacked, and toward which class."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.attacks.contract import AttackError

UNTARGETED = -1


@dataclass(frozen=True)
class Assignment:
    """Which images to attack and toward what: rows of one attack.

    Attributes:
        index: image of each row [n]. target: class to reach [n], or -1 for none.
    """

    index: Tensor
    target: Tensor


def assign(
    label: Tensor,
    correct: Tensor,
    order: Tensor,
    *,
    images: int,
    classes: Sequence[int] = (),
    targets: str = "all",
    n_classes: int = 10,
    target_class: int = 0,
    generator: torch.Generator,
) -> Assignment:
    """Choose images that the model gets right, in a given order, and targets for each.

    Args:
        label: true classes [N]. correct: whether the model gets each right [N].
        order: a permutation of the images [N].
        images: how many to choose. classes: allowed labels, empty for all.
        targets: "all" other classes for each image, one "random" other class, "one" class for all images of other
            classes, or "none".
        target_class: of "one".
        generator: of the random targets.

    Raises:
        AttackError: a class is out of range, or fewer images than asked for qualify.
    """
    if not all(0 <= c < n_classes for c in classes):
        raise AttackError(f"classes to attack must lie in 0..{n_classes - 1}, found {list(classes)}")
    allowed = torch.isin(label, torch.tensor(list(classes) or range(n_classes)))
    if targets == "one":
        if not 0 <= target_class < n_classes:
            raise AttackError(f"the class to reach must lie in 0..{n_classes - 1}, found {target_class}")
        allowed &= label != target_class
    chosen = order[(allowed & correct)[order]]
    if len(chosen) < images:
        raise AttackError(f"the attack asks for {images} images, but only {len(chosen)} correctly classified ones fit")
    chosen = chosen[:images]
    match targets:
        case "none":
            return Assignment(chosen, torch.full_like(chosen, UNTARGETED))
        case "one":
            return Assignment(chosen, torch.full_like(chosen, target_class))
        case "random":
            shift = torch.randint(1, n_classes, (images,), generator=generator)
            return Assignment(chosen, (label[chosen] + shift) % n_classes)
        case "all":
            everything = torch.arange(n_classes).expand(images, n_classes)
            others = everything[everything != label[chosen, None]]
            return Assignment(chosen.repeat_interleave(n_classes - 1), others)
    raise AttackError(f"unknown targets {targets!r}, expected all, random, one or none")
