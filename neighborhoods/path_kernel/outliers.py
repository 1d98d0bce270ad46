"""Points out of the distribution that need no second dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neighborhoods.attacks.methods import attack

DRAWS = 1000


def inverted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Negatives: 1 - x, pixels in [0, 1]."""
    return 1 - x


def permuted(x: Tensor, generator: torch.Generator) -> Tensor:
    """The same permutation of the pixels in every image [n, ...]: brightness stays, shapes go."""
    pixels = x[0].numel()
    order = torch.randperm(pixels, generator=generator)
    return x.flatten(1)[:, order].reshape(x.shape)


def noise(x: Tensor, generator: torch.Generator) -> Tensor:
    """As many images as in x [n, ...] whose pixels are independent and uniform in [0, 1]."""
    return torch.rand(x.shape, generator=generator, dtype=x.dtype)


OF_IMAGES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "inverted": inverted,
    "permuted": permuted,
    "noise": noise,
}


def far(
    x: Tensor, y: Tensor, count: int, generator: torch.Generator, *, sigmas: float = 4.0, reach: float = 12.0
) -> Tensor:
    """Points that are far from every class: uniform in a box around the classes' means, without their neighbourhoods.

    Args:
        x: training points [N, D]. y: their classes [N].
        count: how many.
        sigmas: least distance from each class's mean, in standard deviations (root mean square over all classes and
            coordinates). reach: of the box beyond the means, in the same unit.

    Returns:
        [count, D], float64.

    Raises:
        ValueError: the neighbourhoods leave too little of the box.
    """
    groups = [x[y == label].double() for label in y.unique()]
    means = torch.stack([group.mean(0) for group in groups])
    sigma = torch.cat([group - group.mean(0) for group in groups]).square().mean().sqrt()
    low, high = means.amin(0) - reach * sigma, means.amax(0) + reach * sigma
    drawn = low + (high - low) * torch.rand(DRAWS + 10 * count, x.shape[1], generator=generator, dtype=torch.float64)
    kept = drawn[torch.cdist(drawn, means).amin(1) >= sigmas * sigma][:count]
    if len(kept) < count:
        raise ValueError(f"expected room for {count} points {sigmas} sigmas from every class, found {len(kept)}")
    return kept


@dataclass(frozen=True)
class Group:
    """Points [n, ...] and the natural point each was made from: its place among those [n], or a number below 0 of its
    own where it was made from none."""

    points: Tensor
    origin: Tensor


def groups_around(
    model: nn.Module,
    natural: Tensor,
    labels: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    foreign: int,
    attack_settings: dict[str, Any],
    generator: torch.Generator,
) -> dict[str, Group]:
    """Groups to compare with natural points, which come first; groups without points are left out.

    Images get "adversarial", the successes of untargeted IGSM on those that the model has right, and `OF_IMAGES`;
    points get "far".

    Args:
        model: trained. natural: test points [n, ...]. labels: their classes [n].
        x, y: training points and classes. foreign: points of each foreign kind, for images at most n.
        attack_settings: keyword arguments of IGSM.
    """
    groups = {"natural": Group(natural, torch.arange(len(natural)))}
    if natural.ndim == 2:
        found = far(x, y, foreign, generator)
        return groups | {"far": Group(found, -1 - torch.arange(foreign))}
    right = (model(natural).argmax(1) == labels).nonzero()[:, 0]
    if len(right):
        made, verdict = attack("igsm", model, natural[right], labels[right], **attack_settings)
        groups["adversarial"] = Group(made[verdict.success].to(natural), right[verdict.success])
    for name, kind in OF_IMAGES.items():
        points = kind(natural[:foreign], generator)
        own = torch.arange(len(points))
        groups[name] = Group(points, -1 - own if name == "noise" else own)
    return {name: group for name, group in groups.items() if len(group.points)}
