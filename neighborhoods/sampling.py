"""Noisy neighbourhoods of images: directions drawn once, classified at any sigma.

What stability and persistence have in common. Each image keeps one set of directions z for every sigma.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.inference import Classifier, HalfPrecision, dense, half_pays, hooked, in_place, labels_of
from neighborhoods.low_discrepancy import COORDINATES, shifted_sobol_normals

NOISES = ("gaussian", "ball")

# Measured on C-4 (2.9 times the pixels after its first convolution: 15 % faster) and C-16 (11.8 times: slower).
WIDEST_HEAD = 4

# Coordinates behind a first fully connected layer, those of its largest singular values, in which directions may be
# drawn evenly. Measured on FC100-100-10: the variance of a share is 0.30 of the binomial one with 8 coordinates, 0.27
# with 16 and no lower with more (opposite pairs of independent directions: 0.70).
EVEN_COORDINATES = len(COORDINATES)


def _generator(seed: int, image: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed & (2**63 - 1), image]))


def _torch_generator(*entropy: int) -> torch.Generator:
    state = np.random.SeedSequence([value & (2**63 - 1) for value in entropy]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def noise_directions(shape: Sequence[int], samples: int, seed: int, image: int) -> Tensor:
    """The standard normal directions of one image: [samples, *shape], float32 on the CPU.

    They depend on the seed and the image's position alone, so results do not depend on batch sizes.
    """
    return torch.randn(samples, *shape, generator=_torch_generator(seed, image))


def ball_scale(squared_norm: Tensor, pixels: int, seed: int, image: int) -> Tensor:
    """Factors that turn Gaussian directions of given squared norms [samples] into points uniform in a ball.

    The ball has radius sqrt(pixels + 2), so that every coordinate has variance 1 as for the Gaussian.
    """
    uniform = torch.from_numpy(_generator(seed, image).random(len(squared_norm)))
    return (math.sqrt(pixels + 2) * uniform ** (1 / pixels) / squared_norm.double().sqrt()).float()


def check_arguments(x: Tensor, samples: int, confidence: float, noise: str = "gaussian") -> None:
    """Refuse what no neighbourhood can be sampled from.

    Raises:
        ValueError: the images are not finite floating-point [images, ...], or samples, level or noise are wrong.
    """
    if x.ndim < 2 or len(x) == 0 or not x.is_floating_point():
        raise ValueError(f"expected floating-point images [images, ...], found {x.dtype} of shape {tuple(x.shape)}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the images must be finite")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, found {samples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), found {confidence}")
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {', '.join(NOISES)}, found {noise!r}")


class _Head:
    """The linear part at the beginning of a model, which noise passes through once: W(x + s z) = Wx + s Wz.

    After a fully connected layer with fewer outputs than pixels, Wz is a Gaussian of lower dimension and is drawn there
    directly: with W = U S V^T, W z has the distribution of U S g, g standard normal of the rank of W. That is exact,
    and so much cheaper than drawing z that nothing is gained by sharing directions between images.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d | None, shape: Sequence[int]) -> None:
        self.layer = layer
        self.pixels = math.prod(shape)
        self.drawn: tuple[int, ...] = tuple(shape)
        self._factor: Tensor | None = None
        if isinstance(layer, nn.Linear):
            u, s, _ = torch.linalg.svd(layer.weight.detach().double().cpu(), full_matrices=False)
            rank = int((s > s[0] * 1e-12).sum()) if float(s[0]) > 0 else 1
            self.drawn = (rank,)
            self._factor = (u * s)[:, :rank].T.to(layer.weight)

    def center(self, x: Tensor) -> Tensor:
        if self.layer is None:
            return x
        return self.layer(x.flatten(1) if isinstance(self.layer, nn.Linear) else x)

    def directions(self, count: int, seed: int, image: int, noise: str, even: bool = False) -> Tensor:
        """Directions of one image as they are drawn [count, *drawn], float32 on the CPU.

        Args:
            even: behind a fully connected layer, spread the leading coordinates evenly over the directions.
        """
        z = noise_directions(self.drawn, count, seed, image)
        if even and self._factor is not None:
            leading = z[:, :EVEN_COORDINATES]
            leading.copy_(shifted_sobol_normals(count, leading.shape[1], _torch_generator(seed, image, 1)))
        if noise == "ball":
            squared = z.flatten(1).double().square().sum(1)
            missing = self.pixels - math.prod(self.drawn)
            if missing:
                squared += torch.from_numpy(_generator(seed + 1, image).chisquare(missing, count))
            z *= ball_scale(squared, self.pixels, seed, image).reshape(-1, *[1] * (z.ndim - 1))
        return z

    def apply(self, z: Iterable[Tensor], images: int, count: int, like: Tensor) -> Tensor:
        """Directions behind the head [images, count, ...] of as many images' [count, *drawn], where `like` lies."""
        behind = self.center(like[:1])[0].shape
        noise = like.new_empty(images, count, *behind)
        for row, directions in zip(noise, z, strict=True):
            here = directions.to(like)
            if self._factor is not None:
                torch.mm(here, self._factor, out=row)
            elif self.layer is None:
                row.copy_(here)
            else:
                for start in range(0, count, 256):
                    row[start : start + 256] = self._convolved(here[start : start + 256])
        return noise

    def _convolved(self, z: Tensor) -> Tensor:
        layer = self.layer
        assert isinstance(layer, nn.Conv2d)
        return nn.functional.conv2d(z, layer.weight, None, layer.stride, layer.padding, layer.dilation)


class Neighborhood:
    """Some images with their fixed noise directions, ready to be classified at any sigma."""

    def __init__(
        self,
        head: _Head,
        tail: "Classifier | HalfPrecision",
        labels: tuple[Tensor, int],
        x: Tensor,
        noise: Tensor,
        batch_size: int,
    ) -> None:
        """Take images [images, ...] and their directions behind the head; see `neighborhoods_of`."""
        self._tail = tail
        self.predicted, self.classes = labels
        self._center = head.center(x)
        self._noise = noise
        # As many values in a batch as `batch_size` images have; behind a linear layer twice as many: 5 % faster.
        images = batch_size * (2 if isinstance(head.layer, nn.Linear) else 1)
        self._batch_size = max(1, images * head.pixels // self._center[0].numel())
        self.samples = noise.shape[1]
        self.evaluations = torch.zeros(len(x), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._center)

    def _labels(self, images: Tensor, sigma: Tensor, start: int, stop: int) -> Iterator[tuple[slice, Tensor]]:
        """Classes [some images, stop - start] of noisy images, a slice of `images` at a time."""
        samples = stop - start
        ones = [1] * (self._center.ndim - 1)
        scale = sigma.to(self._center).reshape(-1, 1, *ones)
        width = max(1, self._batch_size // samples)
        self.evaluations.index_put_((images.cpu(),), torch.tensor(samples), accumulate=True)
        # Of all images in order a slice is enough, which copies nothing.
        everyone = len(images) == len(self) and bool((images.diff() == 1).all())
        rows_of = images.to(self._center.device)
        for first in range(0, len(images), width):
            piece = slice(first, first + width)
            rows = piece if everyone else rows_of[piece]
            labels = []
            # One image's samples can be more than a batch.
            for begin in range(start, stop, self._batch_size):
                noise = self._noise[rows, begin : min(begin + self._batch_size, stop)]
                points = torch.addcmul(self._center[rows].unsqueeze(1), noise, scale[piece])
                labels.append(self._decide(points.flatten(0, 1)).reshape(len(noise), -1))
            yield piece, torch.cat(labels, 1)

    def _decide(self, points: Tensor) -> Tensor:
        return self._tail.labels(points) if isinstance(self._tail, HalfPrecision) else labels_of(self._tail(points))

    def kept(self, images: Tensor, sigma: Tensor, start: int, stop: int) -> Tensor:
        """How many of the noisy images of directions `start` to `stop` keep the class: [len(images)].

        Args:
            images: positions, possibly repeated. sigma: one for each.
        """
        counts = torch.empty(len(images), dtype=torch.int64)
        own = self.predicted[images.to(self.predicted.device)]
        for piece, labels in self._labels(images, sigma, start, stop):
            counts[piece] = (labels == own[piece, None]).sum(1).cpu()
        return counts

    def class_counts(self, sigma: Tensor) -> Tensor:
        """How many noisy images fall into each class: [images, classes]."""
        images = torch.arange(len(self), device=self.predicted.device)
        counts = torch.zeros(len(self), self.classes, dtype=torch.int64, device=self.predicted.device)
        for piece, labels in self._labels(images, sigma, 0, self.samples):
            counts[piece] = counts[piece].scatter_add(1, labels, torch.ones_like(labels))
        return counts


def neighborhoods_of(
    model: Classifier,
    x: Tensor,
    directions: int,
    seed: int,
    batch_size: int,
    memory_mb: int,
    noise: str = "gaussian",
    half: bool | None = None,
    even: bool = False,
) -> Iterator[Neighborhood]:
    """Consecutive chunks of the images, sized so that their noise fits into the memory given.

    An `nn.Module` is put into evaluation mode meanwhile, and back.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images [images, ...].
        directions: directions for each image.
        seed: of the noise.
        batch_size: noisy images in one forward pass.
        memory_mb: megabytes of noise kept at once, at least one image's.
        noise: "gaussian", or "ball" for points uniform in a ball with the same variance of each coordinate.
        half: compute in bfloat16 where the class does not hang on it (`HalfPrecision`); by default for stacks of plain
            layers in float32 where the hardware is faster at it.
        even: spread the directions of each image evenly where that is possible (see `_Head.directions`); each of them
            is still standard normal, but they are no longer independent.
    """
    modes = {m: m.training for m in model.modules()} if isinstance(model, nn.Module) else {}
    if isinstance(model, nn.Module):
        model.eval()
    try:
        with torch.no_grad():
            layer, tail = _split(model, x.shape[1:])
            decider: Classifier | HalfPrecision = dense(tail)
            if half or (half is None and half_pays(tail, x.device.type)):
                if not isinstance(tail, nn.Module):
                    raise ValueError("half precision needs an nn.Module")
                decider = HalfPrecision(tail)
            head = _Head(layer, x.shape[1:])
            kept = head.center(x[:1])[0].numel()
            image_bytes = directions * (math.prod(head.drawn) + kept) * 4
            width = max(1, memory_mb * 2**20 // image_bytes)
            for start in range(0, len(x), width):
                chunk = x[start : start + width]
                drawn = (head.directions(directions, seed, start + i, noise, even) for i in range(len(chunk)))
                behind = head.apply(drawn, len(chunk), directions, chunk)
                yield Neighborhood(head, decider, _classify(model, chunk, batch_size), chunk, behind, batch_size)
    finally:
        # Each module by itself: a frozen batch norm within a model in training stays frozen.
        for module, mode in modes.items():
            module.training = mode


def _split(model: Classifier, shape: Sequence[int]) -> tuple[nn.Linear | nn.Conv2d | None, Classifier]:
    """A first linear or convolutional layer and what follows it, if the model is built that way and it pays."""
    if type(model) is not nn.Sequential or hooked(model):
        return None, model
    layers = list(model)
    flat = bool(layers) and type(layers[0]) is nn.Flatten and (layers[0].start_dim, layers[0].end_dim) == (1, -1)
    if flat and len(layers) > 1 and type(layers[1]) is nn.Linear and layers[1].out_features < math.prod(shape):
        return layers[1], in_place(layers[2:])
    if layers and type(layers[0]) is nn.Conv2d and len(shape) == 3 and layers[0].groups == 1:
        layer = layers[0]
        plain = layer.padding_mode == "zeros"
        if plain and layer(torch.zeros(1, *shape).to(layer.weight)).numel() <= WIDEST_HEAD * math.prod(shape):
            return layer, in_place(layers[1:])
    return None, model


def _classify(model: Classifier, x: Tensor, batch_size: int) -> tuple[Tensor, int]:
    parts = []
    for batch in x.split(batch_size):
        logits = model(batch)
        if logits.ndim != 2 or len(logits) != len(batch):
            raise ValueError(
                f"the model must map {tuple(batch.shape)} to logits [{len(batch)}, classes], "
                f"found {tuple(logits.shape)}"
            )
        if not bool(torch.isfinite(logits).all()):
            raise ValueError("the model's logits must be finite")
        parts.append(logits)
    together = torch.cat(parts)
    return together.argmax(1), together.shape[1]
