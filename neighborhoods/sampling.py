"""Noisy neighbourhoods of images: directions drawn once, classified at any sigma.

What stability and persistence have in common. Each image keeps one set of directions z for every sigma.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

Classifier = Callable[[Tensor], Tensor]

NOISES = ("gaussian", "ball")

# Measured on C-4 (2.9 times the pixels after its first convolution: 15 % faster) and C-16 (11.8 times: slower).
WIDEST_HEAD = 4

# Half precision decides where the two largest logits differ by this many times the largest error seen; two errors could
# turn a decision. This part of every batch is checked whatever the logits say.
HALF_MARGIN = 4.0
CHECKED_ONE_IN = 64


def _generator(seed: int, image: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed & (2**63 - 1), image]))


def noise_directions(shape: Sequence[int], samples: int, seed: int, image: int) -> Tensor:
    """The standard normal directions of one image: [samples, *shape], float32 on the CPU.

    They depend on the seed and the image's position alone, so results do not depend on batch sizes.
    """
    entropy = np.random.SeedSequence([seed & (2**63 - 1), image]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(entropy) >> 1)
    return torch.randn(samples, *shape, generator=generator)


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

    def directions(self, count: int, seed: int, image: int, noise: str) -> Tensor:
        """Directions of one image as they are drawn [count, *drawn], float32 on the CPU."""
        z = noise_directions(self.drawn, count, seed, image)
        if noise == "ball":
            squared = z.flatten(1).double().square().sum(1)
            missing = self.pixels - math.prod(self.drawn)
            if missing:
                squared += torch.from_numpy(_generator(seed + 1, image).chisquare(missing, count))
            z *= ball_scale(squared, self.pixels, seed, image).reshape(-1, *[1] * (z.ndim - 1))
        return z

    def apply(self, z: Tensor) -> Tensor:
        """Directions [images, count, *drawn] behind the head [images, count, ...]."""
        if self._factor is not None:
            return z @ self._factor
        if self.layer is None:
            return z
        assert isinstance(self.layer, nn.Conv2d)
        flat = z.flatten(0, 1)
        parts = [
            nn.functional.conv2d(
                part, self.layer.weight, None, self.layer.stride, self.layer.padding, self.layer.dilation
            )
            for part in flat.split(256)
        ]
        return torch.cat(parts).unflatten(0, z.shape[:2])


class Neighborhood:
    """Some images with their fixed noise directions, ready to be classified at any sigma."""

    def __init__(
        self, head: _Head, tail: Classifier, labels: tuple[Tensor, int], x: Tensor, z: Tensor, batch_size: int
    ) -> None:
        """Take images [images, ...] and directions as drawn; see `neighborhoods_of`."""
        self._tail = tail
        self.predicted, self.classes = labels
        self._center = head.center(x)
        self._noise = head.apply(z)
        # As many values in a batch as `batch_size` images have.
        self._batch_size = max(1, batch_size * head.pixels // self._center[0].numel())
        self.samples = z.shape[1]
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
        rows_of = images.to(self._center.device)
        for first in range(0, len(images), width):
            piece = slice(first, first + width)
            rows = rows_of[piece]
            labels = []
            # One image's samples can be more than a batch.
            for begin in range(start, stop, self._batch_size):
                noise = self._noise[rows, begin : min(begin + self._batch_size, stop)]
                points = torch.addcmul(self._center[rows, None], noise, scale[piece])
                labels.append(self._decide(points.flatten(0, 1)).reshape(len(rows), -1))
            yield piece, torch.cat(labels, 1)

    def _decide(self, points: Tensor) -> Tensor:
        # The largest logit is NaN where any is: such an image would count for some class without a word.
        largest, labels = self._tail(points).max(1)
        if not bool(torch.isfinite(largest).all()):
            raise ValueError("the model's logits must be finite, found others on noisy images")
        return labels

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


class HalfPrecision:
    """A classifier that computes in bfloat16 and repeats in full precision what that leaves undecided.

    The error of half precision is measured relative to the largest logit of each noisy image: on the whole first batch,
    and later on everything that is repeated, which are a fixed part of each batch and all images whose two largest
    logits lie closer than HALF_MARGIN times the largest error seen so far.

    Attributes:
        images, repeated: noisy images classified, and how many of them in full precision too.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._copy = copy.deepcopy(model).to(torch.bfloat16)
        # Convolutions in half precision are half again as fast with channels last.
        self._spatial = any(isinstance(module, nn.Conv2d) for module in model.modules())
        if self._spatial:
            self._copy = self._copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._error = math.inf
        self.images = self.repeated = 0

    def __call__(self, points: Tensor) -> Tensor:
        """Points [B, ...] to logits [B, classes], in full precision where it matters."""
        half = points.to(torch.bfloat16)
        if self._spatial and half.ndim == 4:
            half = half.contiguous(memory_format=torch.channels_last)
        logits = self._copy(half).to(points.dtype)
        top = logits.topk(min(2, logits.shape[1]), dim=1).values
        scale = logits.abs().amax(1)
        unsure = ~((top[:, 0] - top[:, -1]) > HALF_MARGIN * self._error * scale)
        unsure[::CHECKED_ONE_IN] = True
        rows = unsure.nonzero()[:, 0]
        exact = self._model(points[rows])
        error = float(((exact - logits[rows]).abs().amax(1) / scale[rows].clamp_min(1e-30)).max())
        self._error = error if math.isinf(self._error) else max(self._error, error)
        self.images += len(points)
        self.repeated += len(rows)
        return logits.index_copy(0, rows, exact)


# Layers that compute the same in bfloat16 as in float32 but for rounding.
_PLAIN = (nn.Linear, nn.Conv2d, nn.ReLU, nn.Flatten, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.BatchNorm2d)


def half_pays(model: Classifier, device: str) -> bool:
    """Whether a model can be computed in half precision by `HalfPrecision`, and that is clearly faster.

    Measured on a CPU with bfloat16 instructions: 1.5 times faster for C-16, slower for C-4 and the fully connected
    networks, so that CPUs use it only when told.
    """
    if not isinstance(model, nn.Sequential) or len(model) == 0:
        return False
    plain = all(type(m) in (*_PLAIN, nn.Identity, nn.Dropout) or type(m) is nn.Sequential for m in model.modules())
    single = all(p.dtype == torch.float32 for p in model.parameters())
    return device == "cuda" and plain and single and any(True for _ in model.parameters())


def neighborhoods_of(
    model: Classifier,
    x: Tensor,
    directions: int,
    seed: int,
    batch_size: int,
    memory_mb: int,
    noise: str = "gaussian",
    half: bool | None = None,
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
    """
    modes = {m: m.training for m in model.modules()} if isinstance(model, nn.Module) else {}
    if isinstance(model, nn.Module):
        model.eval()
    try:
        with torch.no_grad():
            layer, tail = _split(model, x.shape[1:])
            if half or (half is None and half_pays(tail, x.device.type)):
                if not isinstance(tail, nn.Module):
                    raise ValueError("half precision needs an nn.Module")
                tail = HalfPrecision(tail)
            head = _Head(layer, x.shape[1:])
            kept = head.center(x[:1])[0].numel()
            image_bytes = directions * (math.prod(head.drawn) + kept) * 4
            width = max(1, memory_mb * 2**20 // image_bytes)
            for start in range(0, len(x), width):
                chunk = x[start : start + width]
                drawn = [head.directions(directions, seed, start + i, noise) for i in range(len(chunk))]
                z = torch.stack(drawn).to(x)
                labels = _classify(model, chunk, batch_size)
                yield Neighborhood(head, tail, labels, chunk, z, batch_size)
    finally:
        # Each module by itself: a frozen batch norm within a model in training stays frozen.
        for module, mode in modes.items():
            module.training = mode


def _split(model: Classifier, shape: Sequence[int]) -> tuple[nn.Linear | nn.Conv2d | None, Classifier]:
    """A first linear or convolutional layer and what follows it, if the model is built that way and it pays."""
    if type(model) is not nn.Sequential or model._forward_hooks or model._forward_pre_hooks:
        return None, model
    layers = list(model)
    if any(layer._forward_hooks or layer._forward_pre_hooks for layer in layers[:2]):
        return None, model
    start = 1 if layers and isinstance(layers[0], nn.Flatten) and layers[0].start_dim == 1 else 0
    if start and len(layers) > 1 and type(layers[1]) is nn.Linear and layers[1].out_features < math.prod(shape):
        return layers[1], _in_place(layers[2:])
    if layers and type(layers[0]) is nn.Conv2d and len(shape) == 3 and layers[0].groups == 1:
        layer = layers[0]
        plain = layer.padding_mode == "zeros"
        if plain and layer(torch.zeros(1, *shape).to(layer.weight)).numel() <= WIDEST_HEAD * math.prod(shape):
            return layer, _in_place(layers[1:])
    return None, model


def _in_place(layers: Sequence[nn.Module]) -> nn.Sequential:
    """A stack whose ReLUs overwrite their input, which nobody else needs: noisy points are made for one pass."""
    return nn.Sequential(*(nn.ReLU(inplace=True) if type(layer) is nn.ReLU else layer for layer in layers))


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
