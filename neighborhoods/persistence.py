"""Stability and persistence: how far Gaussian noise can grow before a classifier changes its mind.

Sources: Bell, definitions 4.1 and 4.2, with the reading of persistence as the *first downward crossing*:

    sigma* = sup{s : P[C(x + s' z) = C(x)] >= gamma for all s' < s},   z ~ N(0, I).

All images are measured at once. Each image keeps one set of directions z for every sigma, so its share of
samples that keep the class is one random curve in sigma, and everything said about sigma* is read off it.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from neighborhoods.statistics import clopper_pearson

log = logging.getLogger(__name__)

Classifier = Callable[[Tensor], Tensor]

# While scanning, a share of a few samples settles that a sigma is below the crossing when it exceeds gamma
# by this many standard errors; anything closer is decided by all samples.
SCAN_SAMPLES = 128
SCAN_MARGIN = 4.0


@dataclass(frozen=True)
class Persistence:
    """Persistence of each image; tensors have shape [images] and lie on the CPU.

    Attributes:
        sigma: estimate, in units of a pixel's range (float64). For `censored_low` it is sigma_min, for
            `censored_high` sigma_max.
        low, high: interval of the given confidence; 0 and inf where the range of sigma ends first.
        status: "ok", "censored_low" (below sigma_min) or "censored_high" (above sigma_max).
        predicted: class whose share is counted: that of the image itself.
        samples: noisy images for one image at one sigma.
        evaluations: noisy images classified for each image.
    """

    sigma: Tensor
    low: Tensor
    high: Tensor
    status: list[str]
    predicted: Tensor
    samples: int
    evaluations: Tensor


@dataclass(frozen=True)
class Stability:
    """Class frequencies of noisy images, with Clopper-Pearson limits for each by itself.

    Attributes:
        frequency, low, high: shares [images, classes] or [images, sigmas, classes], float64.
        samples: noisy images behind each share.
    """

    frequency: Tensor
    low: Tensor
    high: Tensor
    samples: int


def persistence(
    model: Classifier,
    x: Tensor,
    gamma: float = 0.7,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    sigma_min: float = 1e-3,
    sigma_max: float = 100.0,
    scan_factor: float = 1.5,
    precision: float = 2e-3,
    batch_size: int = 8192,
    memory_mb: int = 256,
) -> Persistence:
    """gamma-persistence of images (Bell, definition 4.2, first downward crossing).

    A scan over geometrically growing sigma finds where the share of samples that keep the class first falls
    below gamma; bisection refines it. The interval inverts the exact two-sided binomial test of
    "P at sigma equals gamma": at sigma* itself the count is binomial with parameter gamma, so the set of sigmas
    that are not rejected covers sigma* with the given confidence, at no price for the search. It assumes that P
    crosses gamma once over the width of the interval; dips narrower than the scan's steps go unseen.

    Args:
        model: images [B, ...] to logits [B, classes]; put an `nn.Module` in evaluation mode yourself if it is
            hidden in a callable.
        x: images [images, ...], floating point.
        gamma: share that must keep the class, in (0, 1).
        samples: noisy images for one image at one sigma.
        confidence: level of the interval.
        seed: of the noise; image i gets the same noise whatever the other images and batch sizes are.
        sigma_min, sigma_max: range searched, in units of `x`; beyond it the result is censored.
        scan_factor: ratio of neighbouring sigmas of the scan.
        precision: relative width at which bisection stops; limits are rounded outward by it.
        batch_size: noisy images in one forward pass.
        memory_mb: megabytes of noise kept at once.

    Raises:
        ValueError: an argument is out of range, or the images or logits are not finite or have no batch axis.
    """
    _check(x, samples=samples, confidence=confidence)
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must lie in (0, 1), found {gamma}")
    if not 0 < sigma_min < sigma_max < math.inf or scan_factor <= 1 or not 0 < precision < 1:
        raise ValueError("expected 0 < sigma_min < sigma_max, scan_factor above 1 and precision in (0, 1)")
    counts = _decision_counts(gamma, samples, confidence)
    steps = math.ceil(math.log(sigma_max / sigma_min) / math.log(scan_factor))
    grid = torch.from_numpy(np.geomspace(sigma_min, sigma_max, steps + 1))
    parts = []
    for piece in _neighborhoods(model, x, samples, seed, batch_size, memory_mb):
        brackets = _first_crossings(piece, grid, gamma, counts, precision)
        parts.append((brackets, piece.predicted.cpu(), piece.evaluations))
        log.info("persistence: %d of %d images", sum(len(part[0]) for part in parts), len(x))
    brackets, predicted, evaluations = (torch.cat(column) for column in zip(*parts, strict=True))
    return _result(brackets, predicted, evaluations, samples, sigma_min, sigma_max)


def stability(
    model: Classifier,
    x: Tensor,
    sigma: float,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    batch_size: int = 8192,
    memory_mb: int = 256,
) -> Stability:
    """Class frequencies of x + sigma z (Bell, definition 4.1): shapes [images, classes].

    Arguments and errors as for `stability_curve`.
    """
    curve = stability_curve(model, x, [sigma], samples, confidence, seed, batch_size=batch_size, memory_mb=memory_mb)
    return Stability(curve.frequency[:, 0], curve.low[:, 0], curve.high[:, 0], samples)


def stability_curve(
    model: Classifier,
    x: Tensor,
    sigmas: Sequence[float] | Tensor,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    batch_size: int = 8192,
    memory_mb: int = 256,
) -> Stability:
    """Class frequencies of x + sigma z for several sigma: shapes [images, sigmas, classes].

    The same directions serve every sigma of an image: each interval holds by itself, neighbouring points
    are correlated, curves are smooth.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images [images, ...], floating point.
        sigmas: standard deviations, not negative, in units of `x`.
        samples: noisy images for one image at one sigma.
        confidence: level of each interval.
        seed: of the noise.
        batch_size: noisy images in one forward pass.
        memory_mb: megabytes of noise kept at once.

    Raises:
        ValueError: an argument is out of range, or images or logits are not finite.
    """
    _check(x, samples=samples, confidence=confidence)
    values = torch.as_tensor(sigmas, dtype=torch.float64)
    if values.ndim != 1 or len(values) == 0 or not bool((values >= 0).all()):
        raise ValueError("expected at least one sigma, none of them negative")
    parts = []
    for piece in _neighborhoods(model, x, samples, seed, batch_size, memory_mb):
        at_sigma = [piece.class_counts(value.expand(len(piece))) for value in values]
        parts.append(torch.stack(at_sigma, 1).cpu())
        log.info("stability: %d of %d images", sum(map(len, parts)), len(x))
    count = torch.cat(parts)
    low, high = clopper_pearson(count.numpy(), samples, confidence)
    return Stability(count.double() / samples, torch.from_numpy(low), torch.from_numpy(high), samples)


def noise_directions(shape: Sequence[int], samples: int, seed: int, image: int) -> Tensor:
    """The standard normal directions of one image: [samples, *shape], float32 on the CPU.

    They depend on the seed and the image's position alone, so results do not depend on batch sizes.
    """
    entropy = np.random.SeedSequence([seed & (2**63 - 1), image]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(entropy) >> 1)
    return torch.randn(samples, *shape, generator=generator)


def _check(x: Tensor, samples: int, confidence: float) -> None:
    if x.ndim < 2 or len(x) == 0 or not x.is_floating_point():
        raise ValueError(f"expected floating-point images [images, ...], found {x.dtype} of shape {tuple(x.shape)}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the images must be finite")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, found {samples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), found {confidence}")


class _Neighborhood:
    """Some images with their fixed noise directions, ready to be classified at any sigma.

    When the model begins with a linear layer W, the noise passes through it once: W(x + s z) = Wx + s Wz.
    """

    def __init__(self, model: Classifier, x: Tensor, noise: Tensor, batch_size: int) -> None:
        head, self._tail = _split(model)
        self.predicted, self.classes = _classify(model, x)
        self._center = x.flatten(1) if head is None else head(x.flatten(1))
        flat = noise.flatten(2)
        self._noise = flat if head is None else flat @ head.weight.T
        self._shape = x.shape[1:] if head is None else self._center.shape[1:]
        self._batch_size = batch_size
        self.samples = noise.shape[1]
        self.evaluations = torch.zeros(len(x), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._center)

    def _labels(self, images: Tensor, sigma: Tensor, samples: int) -> Iterator[tuple[slice, Tensor]]:
        """Classes [some images, samples] of noisy images, a slice of `images` at a time."""
        scale = sigma.to(self._center)[:, None, None]
        width = max(1, self._batch_size // samples)
        self.evaluations.index_put_((images.cpu(),), torch.tensor(samples), accumulate=True)
        for start in range(0, len(images), width):
            piece = slice(start, start + width)
            rows = images[piece]
            points = self._noise[rows, :samples] * scale[piece]
            points += self._center[rows, None]
            flat = points.reshape(-1, *self._shape)
            labels = [self._tail(batch).argmax(1) for batch in flat.split(self._batch_size)]
            yield piece, torch.cat(labels).reshape(len(rows), samples)

    def kept(self, images: Tensor, sigma: Tensor, samples: int) -> Tensor:
        """Of the first `samples` noisy images, how many keep the class: [len(images)].

        Args:
            images: positions, possibly repeated. sigma: one for each.
        """
        counts = torch.empty(len(images), dtype=torch.int64)
        own = self.predicted[images.to(self.predicted.device)]
        for piece, labels in self._labels(images.to(self.predicted.device), sigma, samples):
            counts[piece] = (labels == own[piece, None]).sum(1).cpu()
        return counts

    def class_counts(self, sigma: Tensor) -> Tensor:
        """How many noisy images fall into each class: [images, classes]."""
        images = torch.arange(len(self), device=self.predicted.device)
        counts = torch.zeros(len(self), self.classes, dtype=torch.int64, device=self.predicted.device)
        for piece, labels in self._labels(images, sigma, self.samples):
            counts[piece] = counts[piece].scatter_add(1, labels, torch.ones_like(labels))
        return counts


def _neighborhoods(
    model: Classifier, x: Tensor, samples: int, seed: int, batch_size: int, memory_mb: int
) -> Iterator[_Neighborhood]:
    """Consecutive chunks of the images, sized so that their noise fits into the memory given."""
    was_training = model.training if isinstance(model, nn.Module) else False
    if isinstance(model, nn.Module):
        model.eval()
    image_bytes = samples * x[0].numel() * 4
    width = max(1, memory_mb * 2**20 // image_bytes)
    try:
        with torch.no_grad():
            for start in range(0, len(x), width):
                chunk = x[start : start + width]
                noise = [noise_directions(x.shape[1:], samples, seed, start + i) for i in range(len(chunk))]
                yield _Neighborhood(model, chunk, torch.stack(noise).to(x), batch_size)
    finally:
        if was_training:
            model.train()  # type: ignore[attr-defined]


def _split(model: Classifier) -> tuple[nn.Linear | None, Classifier]:
    """A first linear layer on the flattened image and what follows it, if the model is built that way."""
    if type(model) is nn.Sequential and not model._forward_hooks and not model._forward_pre_hooks:
        layers = list(model)
        start = 1 if layers and isinstance(layers[0], nn.Flatten) and layers[0].start_dim == 1 else 0
        if start and len(layers) > 1 and type(layers[1]) is nn.Linear:
            return layers[1], nn.Sequential(*layers[2:])
    return None, model


def _classify(model: Classifier, x: Tensor) -> tuple[Tensor, int]:
    logits = model(x)
    if logits.ndim != 2 or len(logits) != len(x):
        raise ValueError(
            f"the model must map {tuple(x.shape)} to logits [{len(x)}, classes], found {tuple(logits.shape)}"
        )
    if not bool(torch.isfinite(logits).all()):
        raise ValueError("the model's logits must be finite")
    return logits.argmax(1), logits.shape[1]


def _decision_counts(gamma: float, samples: int, confidence: float) -> Tensor:
    """Counts that end three crossings: of the upper acceptance limit, of gamma, of the lower limit.

    A curve "has crossed" the j-th count at the first sigma where fewer than counts[j] samples keep the class.
    """
    alpha = 1 - confidence
    lower = int(stats.binom.ppf(alpha / 2, samples, gamma))
    upper = int(stats.binom.ppf(1 - alpha / 2, samples, gamma))
    # The guard against rounding makes gamma = 0.7 of 1000 samples the count 700, not 701.
    return torch.tensor([upper + 1, math.ceil(gamma * samples - 1e-9), lower])


def _first_crossings(piece: _Neighborhood, grid: Tensor, gamma: float, counts: Tensor, precision: float) -> Tensor:
    """First crossings of the three counts: brackets [images, 3, 2]; [0, grid[0]] and [grid[-1], inf] censored."""
    crossed = torch.full((len(piece), 3), len(grid))
    few = min(SCAN_SAMPLES, piece.samples)
    safe = few * (gamma + SCAN_MARGIN * math.sqrt(gamma * (1 - gamma) / few))
    active = torch.arange(len(piece))
    for step, sigma in enumerate(grid):
        near = active[piece.kept(active, sigma.expand(len(active)), few) < safe] if few < piece.samples else active
        if len(near):
            kept = piece.kept(near, sigma.expand(len(near)), piece.samples)
            below = (kept[:, None] < counts) & (crossed[near] == len(grid))
            crossed[near] = torch.where(below, step, crossed[near])
            active = active[crossed[active, 2] == len(grid)]
        if len(active) == 0:
            break
    edges = torch.cat([torch.zeros(1, dtype=grid.dtype), grid, torch.full((1,), math.inf, dtype=grid.dtype)])
    brackets = torch.stack([edges[crossed], edges[crossed + 1]], 2)
    open_rows, open_columns = ((crossed > 0) & (crossed < len(grid))).nonzero(as_tuple=True)
    low, high = brackets[open_rows, open_columns].unbind(1)
    ratio = float(grid[1] / grid[0])
    for _ in range(max(0, math.ceil(math.log2(math.log(ratio) / math.log1p(precision))))):
        middle = (low * high).sqrt()
        below = piece.kept(open_rows, middle, piece.samples) < counts[open_columns]
        low, high = torch.where(below, low, middle), torch.where(below, middle, high)
    brackets[open_rows, open_columns] = torch.stack([low, high], 1)
    return brackets


def _result(
    brackets: Tensor, predicted: Tensor, evaluations: Tensor, samples: int, sigma_min: float, sigma_max: float
) -> Persistence:
    censored_low = brackets[:, 1, 0] == 0
    censored_high = brackets[:, 1, 1] == math.inf
    sigma = brackets[:, 1].prod(1).sqrt()
    sigma = torch.where(censored_low, sigma_min, torch.where(censored_high, sigma_max, sigma))
    status = np.where(censored_low, "censored_low", np.where(censored_high, "censored_high", "ok")).tolist()
    return Persistence(sigma, brackets[:, 0, 0], brackets[:, 2, 1], status, predicted, samples, evaluations)
