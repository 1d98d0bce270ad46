"""Noisy neighbourhoods of images: Gaussian directions drawn once, classified at any sigma.

What stability and persistence have in common. Each image keeps one set of directions z for every sigma.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

Classifier = Callable[[Tensor], Tensor]


def noise_directions(shape: Sequence[int], samples: int, seed: int, image: int) -> Tensor:
    """The standard normal directions of one image: [samples, *shape], float32 on the CPU.

    They depend on the seed and the image's position alone, so results do not depend on batch sizes.
    """
    entropy = np.random.SeedSequence([seed & (2**63 - 1), image]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(entropy) >> 1)
    return torch.randn(samples, *shape, generator=generator)


def check_arguments(x: Tensor, samples: int, confidence: float) -> None:
    """Refuse what no neighbourhood can be sampled from.

    Raises:
        ValueError: the images are not finite floating-point [images, ...], or samples or level are out of range.
    """
    if x.ndim < 2 or len(x) == 0 or not x.is_floating_point():
        raise ValueError(f"expected floating-point images [images, ...], found {x.dtype} of shape {tuple(x.shape)}")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the images must be finite")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, found {samples}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), found {confidence}")


class Neighborhood:
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
            labels = [self._decide(batch) for batch in flat.split(self._batch_size)]
            yield piece, torch.cat(labels).reshape(len(rows), samples)

    def _decide(self, points: Tensor) -> Tensor:
        # The largest logit is NaN where any is: such an image would count for some class without a word.
        largest, labels = self._tail(points).max(1)
        if not bool(torch.isfinite(largest).all()):
            raise ValueError("the model's logits must be finite, found others on noisy images")
        return labels

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


def neighborhoods_of(
    model: Classifier, x: Tensor, samples: int, seed: int, batch_size: int, memory_mb: int
) -> Iterator[Neighborhood]:
    """Consecutive chunks of the images, sized so that their noise fits into the memory given.

    An `nn.Module` is put into evaluation mode meanwhile, and back.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images [images, ...].
        samples: directions for each image.
        seed: of the noise.
        batch_size: noisy images in one forward pass.
        memory_mb: megabytes of noise kept at once, at least one image's.
    """
    modes = {m: m.training for m in model.modules()} if isinstance(model, nn.Module) else {}
    if isinstance(model, nn.Module):
        model.eval()
    image_bytes = samples * x[0].numel() * 4
    width = max(1, memory_mb * 2**20 // image_bytes)
    try:
        with torch.no_grad():
            for start in range(0, len(x), width):
                chunk = x[start : start + width]
                noise = [noise_directions(x.shape[1:], samples, seed, start + i) for i in range(len(chunk))]
                yield Neighborhood(model, chunk, torch.stack(noise).to(x), batch_size)
    finally:
        # Each module by itself: a frozen batch norm within a model in training stays frozen.
        for module, mode in modes.items():
            module.training = mode


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
