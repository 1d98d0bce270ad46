"""Points out of the distribution that need no second dataset."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

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
