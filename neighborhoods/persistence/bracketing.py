"""The Bracketing Algorithm of Bell (algorithm 1), to the letter: reference and baseline, not what to use."""

import logging
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neighborhoods.networks.inference import Classifier
from neighborhoods.networks.modes import evaluating
from neighborhoods.persistence.noise import is_large
from neighborhoods.persistence.sampling import fitting_batch

log = logging.getLogger(__name__)

FIRST_RANGE = (0.5, 1.5)


@dataclass(frozen=True)
class Bracketed:
    """Result of `bracketing` for each image [images].

    Attributes:
        sigma: the last sigma tried. status: "ok", "censored_low" or "censored_high".
        predicted: class of the image. evaluations: noisy images classified.
    """

    sigma: Tensor
    status: list[str]
    predicted: Tensor
    evaluations: Tensor


def bracketing(
    model: Classifier,
    x: Tensor,
    gamma: float = 0.7,
    samples: int = 1000,
    seed: int = 0,
    *,
    sigma_min: float = 1e-3,
    sigma_max: float = 100.0,
    max_steps: int = 100,
    precision: float | None = None,
    batch_size: int = 256,
) -> Bracketed:
    """Bell's algorithm 1, one image at a time and `samples` fresh noisy images at every step.

    RANGEFINDER never ends where the share stays above (or below) gamma (errata): here it gives up beyond sigma_max or
    below sigma_min and the image is censored.

    Args:
        model: images [B, ...] to logits [B, classes]. x: images [images, ...].
        samples: Bell's numSamples. max_steps: Bell's maxSteps.
        precision: how close to gamma the share must come; one standard error sqrt(gamma (1 - gamma) / samples) when
            left out, since less means nothing.
        batch_size: noisy images in one forward pass where images are large (`noise.is_large`); of others all
            `samples` are, as in the source.

    Raises:
        ValueError: there is no step, or the precision is not positive.
    """
    if max_steps < 1 or (precision is not None and precision <= 0):
        raise ValueError(f"expected at least one step and a positive precision, found {max_steps} and {precision}")
    tolerance = math.sqrt(gamma * (1 - gamma) / samples) if precision is None else precision
    width = fitting_batch(batch_size, x.shape[1:], x.device.type) if is_large(x.shape[1:]) else samples
    generator = torch.Generator(x.device).manual_seed(seed & (2**63 - 1))
    with evaluating(model), torch.no_grad():
        found = [
            _one(model, image, gamma, samples, generator, (sigma_min, sigma_max), max_steps, tolerance, width)
            for image in x
        ]
    sigma, status, predicted, evaluations = zip(*found, strict=True)
    return Bracketed(
        torch.tensor(sigma, dtype=torch.float64), list(status), torch.tensor(predicted), torch.tensor(evaluations)
    )


def _one(
    model: Classifier,
    image: Tensor,
    gamma: float,
    samples: int,
    generator: torch.Generator,
    limits: tuple[float, float],
    max_steps: int,
    tolerance: float,
    width: int,
) -> tuple[float, str, int, int]:
    own = int(model(image[None]).argmax())
    evaluations = 0

    def share(sigma: float) -> float:
        nonlocal evaluations
        evaluations += samples
        kept = 0
        for start in range(0, samples, width):
            count = min(width, samples - start)
            noise = torch.randn(count, *image.shape, generator=generator, device=image.device, dtype=image.dtype)
            kept += int((model(image + sigma * noise).argmax(1) == own).sum())
        return kept / samples

    low, high = FIRST_RANGE
    at_low, at_high = share(low), share(high)
    while at_low < gamma or at_high > gamma:
        if at_low < gamma:
            low *= 0.5
            if low < limits[0]:
                return limits[0], "censored_low", own, evaluations
            at_low = share(low)
        if at_high > gamma:
            high *= 2
            if high > limits[1]:
                return limits[1], "censored_high", own, evaluations
            at_high = share(high)
    sigma = low
    # Bell counts from 1 while count < maxSteps; a single step is still made here for maxSteps = 1.
    for _ in range(max(max_steps - 1, 1)):
        sigma = (low + high) / 2
        new = share(sigma)
        if abs(new - gamma) < tolerance:
            break
        if new > gamma:
            low = sigma
        else:
            high = sigma
    return sigma, "ok", own, evaluations
