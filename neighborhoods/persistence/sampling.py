"""Noisy neighbourhoods of images: directions drawn once, classified at any sigma.

What stability and persistence have in common. Each image keeps one set of directions z for every sigma.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from neighborhoods.networks.allocation import keep_freed_memory
from neighborhoods.networks.folding import fold_batch_norms
from neighborhoods.networks.inference import (
    Classifier,
    FullPrecision,
    HalfPrecision,
    dense,
    half_pays,
    hooked,
    in_place,
)
from neighborhoods.networks.modes import evaluating
from neighborhoods.persistence.low_discrepancy import COORDINATES, shifted_sobol_normals
from neighborhoods.persistence.noise import (
    KeptNoise,
    RedrawnNoise,
    ball_scale,
    is_large,
    noise_directions,
    numpy_generator,
    torch_generator,
)

NOISES = ("gaussian", "ball")

# Measured on C-4 (2.9 times the pixels after its first convolution: 15 % faster) and C-16 (11.8 times: slower).
WIDEST_HEAD = 4

# Coordinates behind a first fully connected layer, those of its largest singular values, in which directions may be
# drawn evenly. Measured on FC100-100-10: the variance of a share is 0.30 of the binomial one with 8 coordinates, 0.27
# with 16 and no lower with more (opposite pairs of independent directions: 0.70).
EVEN_COORDINATES = len(COORDINATES)

# Images on which faster forms of a model are compared with it.
TRIED = 8

# Values of a batch of large images on a CPU: 32 photos of 224 x 224. EfficientNet-lite0 takes 11 ms for one of them
# where freed memory is kept, 6 ms in bfloat16; in batches of 8, where it is not, 16 and 6 ms, and 83 ms in batches of
# 64.
LARGEST_BATCH = 32 * 3 * 224**2


def fitting_batch(batch_size: int, shape: Sequence[int], device: str) -> int:
    """Noisy images in a forward pass: at most as many large ones as a CPU's caches are good for."""
    if device != "cpu" or not is_large(shape):
        return batch_size
    return max(1, min(batch_size, LARGEST_BATCH // math.prod(shape)))


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
            leading.copy_(shifted_sobol_normals(count, leading.shape[1], torch_generator(seed, image, 1)))
        if noise == "ball":
            squared = z.flatten(1).double().square().sum(1)
            missing = self.pixels - math.prod(self.drawn)
            if missing:
                squared += torch.from_numpy(numpy_generator(seed + 1, image).chisquare(missing, count))
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
        decider: FullPrecision | HalfPrecision,
        labels: tuple[Tensor, int],
        x: Tensor,
        noise: KeptNoise | RedrawnNoise,
        samples: int,
        batch_size: int,
    ) -> None:
        """Take images [images, ...] and their directions behind the head; see `neighborhoods_of`."""
        self._decider = decider
        self.predicted, self.classes = labels
        self._center = head.center(x)
        self._noise = noise
        # As many values in a batch as `batch_size` images have; behind a linear layer twice as many: 5 % faster.
        images = batch_size * (2 if isinstance(head.layer, nn.Linear) else 1)
        self._batch_size = max(1, images * head.pixels // self._center[0].numel())
        self.samples = samples
        self.evaluations = torch.zeros(len(x), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._center)

    def _decided(
        self, images: Tensor, sigma: Tensor, start: int, stop: int, own: Tensor | None = None
    ) -> Iterator[tuple[slice, Tensor]]:
        """Classes [some images, stop - start] of noisy images, or whether they are `own`, a slice at a time."""
        samples = stop - start
        ones = [1] * (self._center.ndim - 1)
        scale = sigma.to(self._center).reshape(-1, 1, *ones)
        width = max(1, self._batch_size // samples)
        self.evaluations.index_put_((images.cpu(),), torch.tensor(samples), accumulate=True)
        # Of all images in order a slice is enough, which copies nothing.
        everyone = len(images) == len(self) and bool((images.diff() == 1).all())
        everyone &= isinstance(self._noise, KeptNoise)
        rows_of = images.to(self._center.device)
        for first in range(0, len(images), width):
            piece = slice(first, first + width)
            rows = piece if everyone else rows_of[piece]
            decided = []
            # One image's samples can be more than a batch.
            for begin in range(start, stop, self._batch_size):
                noise = self._noise.take(rows, begin, min(begin + self._batch_size, stop))
                points = torch.addcmul(self._center[rows].unsqueeze(1), noise, scale[piece]).flatten(0, 1)
                each = sigma[piece].repeat_interleave(noise.shape[1])
                if own is None:
                    answers = self._decider.labels(points, each)
                else:
                    answers = self._decider.kept(points, own[piece].repeat_interleave(noise.shape[1]), each)
                decided.append(answers.reshape(len(noise), -1))
            yield piece, torch.cat(decided, 1)

    def kept(self, images: Tensor, sigma: Tensor, start: int, stop: int) -> Tensor:
        """How many of the noisy images of directions `start` to `stop` keep the class: [len(images)].

        Args:
            images: positions, possibly repeated. sigma: one for each.
        """
        counts = torch.empty(len(images), dtype=torch.int64)
        own = self.predicted[images.to(self.predicted.device)]
        for piece, kept in self._decided(images, sigma, start, stop, own):
            counts[piece] = kept.sum(1).cpu()
        return counts

    def class_counts(self, sigma: Tensor) -> Tensor:
        """How many noisy images fall into each class: [images, classes]."""
        images = torch.arange(len(self), device=self.predicted.device)
        counts = torch.zeros(len(self), self.classes, dtype=torch.int64, device=self.predicted.device)
        for piece, labels in self._decided(images, sigma, 0, self.samples):
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
        batch_size: noisy images in one forward pass, see `fitting_batch`.
        memory_mb: megabytes of noise kept at once; of small images at least one image's, of large ones what fits, and
            the rest is drawn again when it is needed (on a GPU all of it).
        noise: "gaussian", or "ball" for points uniform in a ball with the same variance of each coordinate.
        half: compute in bfloat16 where the class does not hang on it (`HalfPrecision`); by default where the
            hardware is faster at it and the logits of the first images agree.
        even: spread the directions of each image evenly where that is possible (see `_Head.directions`); each of them
            is still standard normal, but they are no longer independent.
    """
    if x.device.type == "cpu" and is_large(x.shape[1:]):
        keep_freed_memory()
    with evaluating(model), torch.no_grad():
        shape = x.shape[1:]
        layer, tail = _split(model, shape)
        head = _Head(layer, shape)
        decider = deciding(tail, head.center(x[:TRIED]), half, is_large(shape))
        batch_size = fitting_batch(batch_size, shape, x.device.type)
        kept = head.center(x[:1])[0].numel()
        large = is_large(head.drawn)
        image_bytes = directions * (math.prod(head.drawn) + (0 if large else kept)) * 4
        width = max(1, memory_mb * 2**20 // image_bytes)
        if large and x.device.type != "cpu":
            width, memory_mb = batch_size, 0
        for start in range(0, len(x), width):
            chunk = x[start : start + width]
            source: KeptNoise | RedrawnNoise
            if large:
                source = RedrawnNoise(shape, seed, start, noise, chunk, memory_mb * 2**20)
            else:
                drawn = (head.directions(directions, seed, start + i, noise, even) for i in range(len(chunk)))
                source = KeptNoise(head.apply(drawn, len(chunk), directions, chunk))
            labels = _classify(model, chunk, batch_size)
            yield Neighborhood(head, decider, labels, chunk, source, directions, batch_size)


def deciding(
    model: Classifier, images: Tensor, half: bool | None = None, large: bool | None = None
) -> FullPrecision | HalfPrecision:
    """The fastest form of a model in evaluation mode that decides alike on noisy images.

    Args:
        model: from `images`, a few of them [B, ...], to logits [B, classes].
        half: as for `neighborhoods_of`. large: whether these are large images (`is_large`), by default as they are.
    """
    large = is_large(images.shape[1:]) if large is None else large
    if not isinstance(model, nn.Module):
        if half:
            raise ValueError("half precision needs an nn.Module")
        return FullPrecision(model)
    # As noisy as they will be: a second use of a convolution's output may show beyond [0, 1] only.
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)).to(images)
    fast = fold_batch_norms(model, torch.cat([images, images + noise]))
    spatial = large and not hooked(fast) and any(isinstance(module, nn.Conv2d) for module in fast.modules())
    if spatial:
        fast = copy.deepcopy(fast).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if half or (half is None and half_pays(fast, images.device.type)):
        decider = HalfPrecision(fast, spatial)
        if half or decider.agrees(images):
            return decider
    return FullPrecision(dense(fast), spatial)


def _split(model: Classifier, shape: Sequence[int]) -> tuple[nn.Linear | nn.Conv2d | None, Classifier]:
    """A first linear or convolutional layer and what follows it, if the model is built that way and it pays."""
    if type(model) is not nn.Sequential or hooked(model):
        return None, model
    layers = list(model)
    flat = bool(layers) and type(layers[0]) is nn.Flatten and (layers[0].start_dim, layers[0].end_dim) == (1, -1)
    if flat and len(layers) > 1 and type(layers[1]) is nn.Linear and layers[1].out_features < math.prod(shape):
        return layers[1], in_place(layers[2:])
    # Noise behind a convolution is kept, which large images have no room for.
    if layers and type(layers[0]) is nn.Conv2d and len(shape) == 3 and not is_large(shape) and layers[0].groups == 1:
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
