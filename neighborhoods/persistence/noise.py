"""Standard normal directions of each image, drawn from its seed whenever they are needed.

Directions of small images are drawn at once and kept. Those of large images would fill gigabytes (1000 directions of a
photo of 224 x 224 take 602 MB): they are drawn in blocks, each with a seed of its own, so that any of them can be drawn
again. Which way is taken depends on the shape alone.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Images of more values than this are large: photos, not digits or CIFAR images.
LARGEST_SMALL = 2**15

# Directions drawn together for large images.
BLOCK = 8


def is_large(shape: Sequence[int]) -> bool:
    """Whether directions of this shape are drawn in blocks."""
    return math.prod(shape) > LARGEST_SMALL


def numpy_generator(seed: int, image: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed & (2**63 - 1), image]))


def torch_generator(*entropy: int, device: torch.device | str = "cpu") -> torch.Generator:
    state = np.random.SeedSequence([value & (2**63 - 1) for value in entropy]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)


def noise_directions(
    shape: Sequence[int], samples: int, seed: int, image: int, device: torch.device | str = "cpu"
) -> Tensor:
    """The standard normal directions of one image: [samples, *shape], float32.

    They depend on the seed, the image's position and, for large images, on the kind of device, whose own generator
    draws them: one core draws 2,000 photos a second, fewer than a GPU classifies. Those of small images are drawn and
    left on the CPU. The first directions of a large image are the same whatever their number.
    """
    if not is_large(shape):
        return torch.randn(samples, *shape, generator=torch_generator(seed, image))
    blocks = [_block(shape, seed, image, block, device) for block in range(-(-samples // BLOCK))]
    return torch.cat(blocks)[:samples]


def _block(shape: Sequence[int], seed: int, image: int, block: int, device: torch.device | str) -> Tensor:
    generator = torch_generator(seed, image, 2, block, device=device)
    return torch.randn(BLOCK, *shape, generator=generator, device=device)


def ball_scale(squared_norm: Tensor, pixels: int, seed: int, image: int, first: int = 0) -> Tensor:
    """Factors that turn Gaussian directions of given squared norms [samples] into points uniform in a ball.

    The ball has radius sqrt(pixels + 2), so that every coordinate has variance 1 as for the Gaussian.

    Args:
        first: position of the first of these directions among the image's.
    """
    stop = first + len(squared_norm)
    uniform = torch.from_numpy(numpy_generator(seed, image).random(stop)[first:]).to(squared_norm.device)
    return (math.sqrt(pixels + 2) * uniform ** (1 / pixels) / squared_norm.double().sqrt()).float()


class KeptNoise:
    """Directions of some small images, all of them in memory: [images, directions, ...]."""

    def __init__(self, directions: Tensor) -> None:
        self._directions = directions

    def take(self, images: slice | Tensor, start: int, stop: int) -> Tensor:
        """Directions `start` to `stop` of some images [images, stop - start, ...]."""
        return self._directions[images, start:stop]


class RedrawnNoise:
    """Directions of some large images, drawn in blocks when they are taken; the first blocks taken are kept.

    Args:
        like: a tensor whose device draws and whose dtype directions have.
        first: position of the first of these images. noise: "gaussian" or "ball".
        memory: bytes of blocks kept; on a GPU, where drawing costs next to nothing, give 0.
    """

    def __init__(self, shape: Sequence[int], seed: int, first: int, noise: str, like: Tensor, memory: int) -> None:
        self._shape = tuple(shape)
        self._seed, self._first, self._noise, self._like = seed, first, noise, like
        self._room = memory // (4 * BLOCK * math.prod(shape))
        self._kept: dict[tuple[int, int], Tensor] = {}

    def take(self, images: slice | Tensor, start: int, stop: int) -> Tensor:
        """Directions `start` to `stop` of some images, given by positions [images, stop - start, ...]."""
        assert isinstance(images, Tensor)
        taken = self._like.new_empty(len(images), stop - start, *self._shape)
        for row, image in zip(taken, images.tolist(), strict=True):
            for number in range(start // BLOCK, -(-stop // BLOCK)):
                begin, end = max(start, number * BLOCK), min(stop, (number + 1) * BLOCK)
                row[begin - start : end - start] = self._of(image, number)[begin - number * BLOCK :][: end - begin]
        return taken

    def _of(self, image: int, number: int) -> Tensor:
        key = (image, number)
        if key in self._kept:
            return self._kept[key]
        z = _block(self._shape, self._seed, self._first + image, number, self._like.device)
        if self._noise == "ball":
            flat = z.flatten(1)
            pixels = flat.shape[1]
            squared = flat.square().sum(1, dtype=torch.float64)
            flat *= ball_scale(squared, pixels, self._seed, self._first + image, number * BLOCK)[:, None]
        if len(self._kept) < self._room:
            self._kept[key] = z
        return z
