"""How robust several networks are to the same images, by attack size, distance, skew and persistence.

Bell's sections 25 and 26 propose two meanings of robustness: the skew of an attack, by how much it crosses the decision
boundary at a slant, and the size of the smallest perturbation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from neighborhoods.asymmetry import crossing
from neighborhoods.attacks import attack
from neighborhoods.distance import boundary_distance
from neighborhoods.kernel_geometry import Estimate, rank_correlation
from neighborhoods.persistence import Persistence, Search, persistence
from neighborhoods.statistics import NO_VALUES, Summary, summarize
from neighborhoods.training import predict

# What `rank_correlation` needs.
FEWEST_PAIRS = 4


@dataclass(frozen=True)
class Robustness:
    """What a network does with images [images]; float64 on the CPU, in units of a pixel's range, nan where not found.

    Attributes:
        attack_size: L2 norm of DeepFool's perturbation, within [0, 1]: an upper bound of the smallest one.
        distance: to the nearest decision boundary found, the box left aside: an upper bound too.
        skew: angle in degrees, 0 to 90, between the line to an adversarial example of fixed epsilon and the normal of
            the boundary where the line first crosses it; nan where the attack fails.
        attacked: whether that attack succeeds [images], bool.
        persistence: of the natural images.
    """

    attack_size: NDArray[np.float64]
    distance: NDArray[np.float64]
    skew: NDArray[np.float64]
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
        epsilon, step_size, steps: of an untargeted IGSM attack, whose examples give the skew.
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
        slant[verdict.success] = skew(model, x[verdict.success], bounded[verdict.success])
    return Robustness(
        attack_size=size.cpu().numpy(),
        distance=torch.where(distance.isfinite(), distance, torch.nan).cpu().numpy(),
        skew=slant.cpu().numpy(),
        attacked=verdict.success.cpu().numpy(),
        persistence=persistence(model, x, gamma, samples, confidence, seed, **search),
    )


def skew(model: nn.Module, start: Tensor, end: Tensor) -> Tensor:
    """Angle between lines and the normal of the boundary where they first cross it, in degrees [lines], 0 to 90.

    Args:
        model: images [B, ...] to logits. start, end: images [lines, ...] of different classes.

    Raises:
        ValueError: a line has both ends in one class.
    """
    sides = crossing(model, start, end)
    normal = (sides.near.double() - sides.far.double()).flatten(1)
    line = (end.double() - start.double()).flatten(1)
    cosine = (normal * line).sum(1).abs() / (normal.norm(dim=1) * line.norm(dim=1))
    return torch.rad2deg(torch.arccos(cosine.clamp(max=1)))


def right_for_all(models: Sequence[nn.Module], x: Tensor, label: Tensor, count: int) -> Tensor:
    """Positions of the first `count` images [n, ...] that every network gives their labels [n]: [at most count]."""
    right = torch.stack([predict(model, x) == label for model in models]).all(0)
    return right.nonzero()[:count, 0]


def summary_of(values: ArrayLike, confidence: float = 0.95, seed: int = 0) -> Summary:
    """Summary of the finite ones of values [n]; `NO_VALUES` where there is none."""
    x = np.asarray(values, float)
    finite = np.isfinite(x)
    return summarize(x[finite], None, confidence, seed) if finite.any() else NO_VALUES


def correlation_of(x: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Rank correlation of the pairs [n] of which both are finite; nan in -1..1 where there are fewer than four."""
    both = np.isfinite(np.asarray(x, float)) & np.isfinite(np.asarray(y, float))
    if both.sum() < FEWEST_PAIRS:
        return Estimate(float("nan"), -1.0, 1.0, int(both.sum()))
    return rank_correlation(np.asarray(x, float)[both], np.asarray(y, float)[both], confidence)


def measures(found: Robustness) -> Mapping[str, NDArray[np.float64]]:
    """The four numbers of each image [images] by name; persistence outside of its range lies at the range's end."""
    return {
        "attack_size": found.attack_size,
        "distance": found.distance,
        "skew": found.skew,
        "persistence": found.persistence.sigma.numpy(),
    }
