"""The Jacobian-based saliency map attack (Papernot et al. 2016), all images at once."""

import math

import torch
from torch import Tensor, nn

from neighborhoods.attacks.contract import AttackError

# For maps over pairs of pixels; images go in groups that fit.
MEMORY_BYTES = 1 << 29
# Entries of the same size that a map needs on its way: two sums, and one of them while it is formed.
TEMPORARIES = 3
# A pixel this near to the end it moves to is left alone (as in torchattacks).
MARGIN = 0.01


def jsma(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor,
    *,
    theta: float = 1.0,
    pixel_share: float = 0.1,
) -> tuple[Tensor, Tensor]:
    """Move pixels two by two until the target is reached: each time the pair p, q of the largest saliency -alpha beta.

    alpha = dZ_t/dx_p + dZ_t/dx_q must have theta's sign and beta, the same of the sum of all other logits, the opposite
    one (Papernot et al. 2016, equations 8 to 10 and algorithm 3, on logits). A pixel is moved once. An image without
    such a pair stops.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...]. label: true classes [n], not used. target: classes to reach [n].
        theta: change of a pixel, clipped to [0, 1]; brightens or darkens by its sign.
        pixel_share: pixels moved at most, as a share of all.

    Returns:
        Adversarial images [n, ...], and gradients of single images spent on each [n].

    Raises:
        AttackError: theta is zero, or the map of a single image does not fit.
    """
    pixels = x[0].numel()
    each = TEMPORARIES * pixels**2 * x.element_size()
    if theta == 0:
        raise AttackError("jsma needs a theta above or below 0, found 0")
    if each > MEMORY_BYTES:
        raise AttackError(
            f"jsma compares all pairs of pixels, which takes {each / 2**30:.3g} GiB for an image of {pixels}, "
            f"more than its limit of {MEMORY_BYTES / 2**30:.3g} GiB; use smaller images or another attack"
        )
    moved, queries = x.detach().clone(), torch.zeros(len(x), device=x.device)
    rounds = math.ceil(pixels * pixel_share / 2)
    for rows in torch.arange(len(x), device=x.device).split(max(1, int(MEMORY_BYTES // each))):
        moved[rows], queries[rows] = _move(model, x[rows].detach(), target[rows].long(), theta, rounds)
    return moved, queries


def _move(model: nn.Module, x: Tensor, target: Tensor, theta: float, rounds: int) -> tuple[Tensor, Tensor]:
    flat, queries = x.flatten(1).clone(), torch.zeros(len(x), device=x.device)
    free = flat < 1 - MARGIN if theta > 0 else flat > MARGIN
    active = torch.arange(len(x), device=x.device)
    for _ in range(rounds):
        with torch.enable_grad():
            images = flat[active].reshape(-1, *x.shape[1:]).requires_grad_(True)
            logits = model(images)
            wanted = logits.gather(1, target[active, None]).sum()
            (toward,) = torch.autograd.grad(wanted, images, retain_graph=True)
            (every,) = torch.autograd.grad(logits.sum(), images)
        queries[active] += 2
        short = logits.argmax(1) != target[active]
        toward, every = toward.flatten(1)[short], every.flatten(1)[short]
        active = active[short]
        pairs, found = _most_salient(toward, every - toward, free[active], theta > 0)
        active, pairs = active[found], pairs[found]
        if len(active) == 0:
            break
        flat[active[:, None], pairs] = (flat[active[:, None], pairs] + theta).clamp(0, 1)
        free[active[:, None], pairs] = False
    return flat.reshape(x.shape), queries


def _most_salient(toward: Tensor, others: Tensor, free: Tensor, brighten: bool) -> tuple[Tensor, Tensor]:
    """Pixels [n, 2] of the most salient pair of free ones of each image, and whether there is any [n]."""
    sign = 1.0 if brighten else -1.0
    # Pixels that may not move can have no part in a pair: their sums never have the sign asked for.
    alpha = (sign * toward).masked_fill(~free, -torch.inf)
    beta = -sign * others
    pixels = toward.shape[1]
    alpha = alpha[:, :, None] + alpha[:, None, :]
    beta = beta[:, :, None] + beta[:, None, :]
    saliency = alpha.clamp_min_(0).mul_(beta.clamp_min_(0))
    saliency.diagonal(dim1=1, dim2=2).zero_()
    best, place = saliency.flatten(1).max(1)
    return torch.stack([place // pixels, place % pixels], 1), best > 0
