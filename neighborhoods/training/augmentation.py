"""Random crops and mirrored images for training, a batch at a time on the device of the images."""

import torch
from torch import Tensor
from torch.nn import functional


def augment(x: Tensor, crop: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Each image behind its own random crop and flip; the images themselves where both are off.

    Args:
        x: images [B, colours, rows, columns].
        crop: zeros on each side, out of which a window of the image's size is cut at a place uniform among all.
        flip: exchange left and right with probability 1/2.
        generator: on the device of the images.

    Raises:
        ValueError: crops or flips of anything but images.
    """
    if not crop and not flip:
        return x
    if x.ndim != 4:
        raise ValueError(f"crops and flips need images [B, colours, rows, columns], found {tuple(x.shape)}")
    if crop:
        down, right = torch.randint(2 * crop + 1, (2, len(x)), generator=generator, device=x.device)
        # Every window is a view; only those that are picked are copied.
        windows = functional.pad(x, (crop,) * 4).unfold(2, x.shape[2], 1).unfold(3, x.shape[3], 1)
        x = windows[torch.arange(len(x), device=x.device), :, down, right]
    if flip:
        mirrored = torch.rand(len(x), generator=generator, device=x.device) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return x
