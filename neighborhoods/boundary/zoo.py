"""How robust several networks are to the same images, by attack size, distance, skewness and persistence.

Bell's sections 25 and 26 propose two meanings of robustness: the skewness of an attack, by how much it crosses the
decision boundary at a slant, and the size of the smallest perturbation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neighborhoods.attacks.methods import attack
from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.boundary.normals import skewness
from neighborhoods.persistence.measure import Persistence, Search, persistence
from neighborhoods.training.minibatch import predict


@dataclass(frozen=True)
class Robustness:
    """What a network does with images [images]; float64 on the CPU, in units of a pixel's range, nan where not found.

    Attributes:
        attack_size: L2 norm of DeepFool's perturbation, within [0, 1]: an upper bound of the smallest one.
        distance: to the nearest decision boundary found, the box left aside: an upper bound too.
        skewness: angle in degrees, 0 to 90, between the line to an adversarial example of fixed epsilon and the normal
            of the boundary where the line first crosses it; nan where the attack fails.
        attacked: whether that attack succeeds [images], bool.
        persistence: of the natural images.
    """

    attack_size: NDArray[np.float64]
    distance: NDArray[np.float64]
    skewness: NDArray[np.float64]
    attacked: NDArray[np.bool_]
    persistence: Persistence


def robustness(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    gamma: float = 0.7,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    **search: Unpack[Search],
) -> Robustness:
    """Measure one network on images [images, ...] in [0, 1] that it classifies as their labels [images] say.

    Args:
        epsilon, step_size, steps: of an untargeted IGSM attack, whose examples give the skewness.
        gamma, samples, confidence, seed, search: of `persistence`.

    Raises:
        ValueError: an image is not in its class, or as for `attacks.attack` and `persistence`.
    """
    wrong = int((predict(model, x) != label).sum())
    if wrong:
        raise ValueError(
            f"expected images that the network classifies right, found {wrong} of {len(x)} that it does not"
        )
    nearest, small = attack("deepfool", model, x, label)
    size = torch.where(small.success, (nearest - x).double().flatten(1).norm(dim=1), torch.nan)
    distance = boundary_distance(model, x, label=label).distance
    bounded, verdict = attack("igsm", model, x, label, epsilon=epsilon, step_size=step_size, steps=steps)
    slant = torch.full_like(size, torch.nan)
    if bool(verdict.success.any()):
        slant[verdict.success] = skewness(model, x[verdict.success], bounded[verdict.success]).angle
    return Robustness(
        attack_size=size.cpu().numpy(),
        distance=torch.where(distance.isfinite(), distance, torch.nan).cpu().numpy(),
        skewness=slant.cpu().numpy(),
        attacked=verdict.success.cpu().numpy(),
        persistence=persistence(model, x, gamma, samples, confidence, seed, **search),
    )


def right_for_all(models: Sequence[nn.Module], x: Tensor, label: Tensor, count: int) -> Tensor:
    """Positions of the first `count` images [n, ...] that every network gives their labels [n]: [at most count]."""
    right = torch.stack([predict(model, x) == label for model in models]).all(0)
    return right.nonzero()[:count, 0]


def measures(found: Robustness) -> Mapping[str, NDArray[np.float64]]:
    """The four numbers of each image [images] by name; persistence outside of its range lies at the range's end."""
    return {
        "attack_size": found.attack_size,
        "distance": found.distance,
        "skewness": found.skewness,
        "persistence": found.persistence.sigma.numpy(),
    }
