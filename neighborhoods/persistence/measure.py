"""Stability and persistence: how far Gaussian noise can grow before a classifier changes its mind.

Sources: Bell, definitions 4.1 and 4.2, with the reading of persistence as the *first downward crossing*:

    sigma* = sup{s : P[C(x + s' z) = C(x)] >= gamma for all s' < s},   z ~ N(0, I).

All images are measured at once. Each image has one set of directions z, the same for every sigma. With x + sigma z it
is shown that smaller sigmas keep the class (the lower limit), with x - sigma z that larger ones lose it (the upper
limit). The estimate uses both halves, and opposite directions make it more precise wherever the boundary is nearly
flat.

With independent directions (`even=False`, and always where a model does not begin with a fully connected layer) either
half is a plain sample, so each limit's test is exact. Even directions make counts vary less than the binomial ones that
the tests assume, by a factor of two to four in variance on trained networks: intervals then hold more than their level.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import special
from torch import Tensor

from neighborhoods.networks.inference import Classifier
from neighborhoods.networks.inputs import Array, images_for
from neighborhoods.persistence.bracketing import bracketing
from neighborhoods.persistence.sampling import check_arguments, neighborhoods_of
from neighborhoods.persistence.search import CrossingSearch, Found
from neighborhoods.statistics.intervals import Summary, clopper_pearson, interval_text, summarize
from neighborhoods.statistics.sequential import sequential_test

log = logging.getLogger(__name__)

METHODS = ("sequential", "algorithm1")

CENSORED = {"censored_low": "below the range searched", "censored_high": "above it"}


@dataclass(frozen=True)
class Persistence:
    """Persistence of each image; tensors have shape [images] and lie on the CPU.

    Attributes:
        sigma: estimate, in units of a pixel's range (float64). For `censored_low` it is sigma_min, for
            `censored_high` sigma_max.
        low, high: interval of the given confidence; 0 and inf where the range of sigma ends first.
        status: "ok", "censored_low" (below sigma_min) or "censored_high" (above sigma_max).
        recrosses: whether the share of kept samples rises above gamma again beyond the first crossing, as a test at the
            confidence level shows at some point of the scan.
        predicted: class whose share is counted: that of the image itself.
        gamma: the share.
        samples: most noisy images drawn for one image at one sigma, for each limit.
        evaluations: noisy images classified for each image.
        noise: "gaussian" or "ball".
    """

    sigma: Tensor
    low: Tensor
    high: Tensor
    status: list[str]
    recrosses: Tensor
    predicted: Tensor
    gamma: float
    samples: int
    evaluations: Tensor
    noise: str = "gaussian"

    @classmethod
    def of_nothing(cls, gamma: float, samples: int, noise: str = "gaussian") -> "Persistence":
        """The result for no images, e.g. of an attack that never succeeded."""
        values, counts = torch.empty(0, dtype=torch.float64), torch.empty(0, dtype=torch.int64)
        return cls(values, values, values, [], counts.bool(), counts, gamma, samples, counts, noise)

    def __repr__(self) -> str:
        found = f"{len(self.sigma)} image{'s' * (len(self.sigma) != 1)}, gamma = {self.gamma:g}"
        if not len(self.sigma):
            return f"Persistence({found})"
        if len(self.sigma) == 1:
            text = interval_text(float(self.sigma), float(self.low), float(self.high))
        else:
            mean = self.summary()
            text = interval_text(mean.mean, mean.mean_low, mean.mean_high)
        ends = {text: sum(status == name for status in self.status) for name, text in CENSORED.items()}
        rest = "".join(f", {count} {text}" for text, count in ends.items() if count)
        return f"Persistence({found}, sigma = {text}{rest})"

    def summary(self, clusters: ArrayLike | None = None, confidence: float = 0.95) -> Summary:
        """Mean and median over images, with intervals for images of the same kind; censored ones lie at their ends.

        Args:
            clusters: as for `statistics.summarize`: a label for each image, equal for images made from one original.

        Raises:
            ValueError: no images, or lengths that differ.
        """
        return summarize(self.sigma.numpy(), clusters, confidence)

    @property
    def certified_radius(self) -> Tensor:
        """Radius within which the classifier smoothed at sigma = `low` keeps the image's class [images].

        R = sigma Phi^-1(p) for a lower bound p of the share (Cohen et al. 2019, theorem 1): at `low` the share is shown
        to exceed gamma, with half of the error the interval may make. 0 where gamma is at most one half; nan for balls,
        which the theorem does not cover.
        """
        if self.noise != "gaussian":
            return torch.full_like(self.low, math.nan)
        return self.low * max(float(special.ndtri(self.gamma)), 0.0)


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

    def __repr__(self) -> str:
        images, *sigmas, classes = self.frequency.shape
        over = f", {sigmas[0]} sigmas" if sigmas else ""
        return f"Stability({images} images{over}, {classes} classes, {self.samples} noisy images for each share)"


class Search(TypedDict, total=False):
    """How persistence is looked for; what is left out has the defaults of `persistence_of_gammas`."""

    sigma_min: float
    sigma_max: float
    scan_factor: float
    noise: str
    batch_size: int
    memory_mb: int
    half: bool | None
    even: bool
    method: str
    max_steps: int
    precision: float


def persistence(
    model: Classifier,
    x: Array,
    gamma: float = 0.7,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    **search: Unpack[Search],
) -> Persistence:
    """gamma-persistence of images (Bell, definition 4.2, first downward crossing).

    A scan over geometrically growing sigma finds where the share of samples that keep the class first falls
    below gamma. Then both limits are looked for near there: the largest sigma at which x + sigma z shows a
    share above gamma, and the smallest at which x - sigma z shows one below, each by a sequential
    binomial test that stops as soon as the outcome is clear. With the directions fixed, a test that wrongly passes
    beyond sigma* passes at sigma* itself, so trying many sigmas costs the interval nothing. The estimate is where a
    local probit line through all counts crosses gamma.

    It assumes that the share crosses gamma once over the width of the interval; dips narrower than the scan's steps go
    unseen.

    Args:
        model: images [B, ...] to logits [B, classes], or to probabilities; put an `nn.Module` in evaluation mode
            yourself if it is hidden in a callable.
        x: images [images, ...], floating point, a tensor or an array; see `inputs.images_for`.
        gamma: share that must keep the class, in (0, 1).
        samples: most noisy images for one image at one sigma, for each limit.
        confidence: level of the interval.
        seed: of the noise; image i gets the same noise whatever the other images and batch sizes are.
        search: see `persistence_of_gammas`.

    Raises:
        ValueError: an argument is out of range, or the images or logits are not finite or have no batch axis.
    """
    (result,) = persistence_of_gammas(model, x, [gamma], samples, confidence, seed, **search)
    return result


def persistence_of_gammas(
    model: Classifier,
    x: Array,
    gammas: Sequence[float],
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    sigma_min: float = 1e-3,
    sigma_max: float = 100.0,
    scan_factor: float = 1.5,
    noise: str = "gaussian",
    batch_size: int = 256,
    memory_mb: int = 256,
    half: bool | None = None,
    even: bool = True,
    method: str = "sequential",
    max_steps: int = 100,
    precision: float | None = None,
) -> list[Persistence]:
    """Persistence for several gammas from the same directions, one result for each.

    Each interval holds its level by itself; results of one image are correlated. Arguments and errors are those of
    `persistence`, and:

    Args:
        gammas: shares that must keep the class, each in (0, 1).
        sigma_min, sigma_max: range searched, in units of `x`; beyond it the result is censored.
        scan_factor: ratio of neighbouring sigmas of the scan.
        noise: "gaussian"; or "ball", uniform in the ball of radius sigma sqrt(pixels + 2), in which every coordinate
            has the standard deviation sigma too.
        batch_size: noisy images in one forward pass; more where the first layer is narrower than an image, and on a
            CPU at most 32 photos of 224 x 224 (see `sampling.fitting_batch`).
        memory_mb: megabytes of noise kept at once. Of images of more than 2^15 values, the noise that does not fit is
            drawn again when it is needed, to the same result; a GPU draws all of theirs itself, each time.
        half: compute in bfloat16 where the class does not hang on it, checked (see `inference.HalfPrecision`); None
            where the hardware is known to be faster at it, the layers are known and the images' logits agree.
        even: spread each image's directions evenly behind a first fully connected layer, by a Sobol sequence with a
            random shift; False for independent directions.
        method: "sequential", or "algorithm1" for Bell's Bracketing Algorithm to the letter (see `bracketing`), which
            has no interval and knows Gaussian noise only.
        max_steps, precision: of "algorithm1".
    """
    x = images_for(model, x)
    check_arguments(x, samples, confidence, noise)
    if len(gammas) == 0 or not all(0 < gamma < 1 for gamma in gammas):
        raise ValueError(f"gamma must lie in (0, 1), found {', '.join(map(str, gammas)) or 'none'}")
    if not 0 < sigma_min < sigma_max < math.inf or scan_factor <= 1:
        raise ValueError("expected 0 < sigma_min < sigma_max and scan_factor above 1")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, found {method!r}")
    if method == "algorithm1" and noise != "gaussian":
        raise ValueError(f"algorithm1 knows gaussian noise only, found {noise!r}")
    if method == "algorithm1":
        limits = (sigma_min, sigma_max)
        return [
            _bracketed(model, x, gamma, samples, seed, limits, max_steps, precision, batch_size) for gamma in gammas
        ]
    steps = math.ceil(math.log(sigma_max / sigma_min) / math.log(scan_factor))
    grid = torch.from_numpy(np.geomspace(sigma_min, sigma_max, steps + 1)).log()
    tests = [sequential_test(gamma, samples, (1 - confidence) / 2) for gamma in gammas]
    found: list[list[Found]] = [[] for _ in gammas]
    done = 0
    for piece in neighborhoods_of(model, x, samples, seed, batch_size, memory_mb, noise, half, even):
        for test, results in zip(tests, found, strict=True):
            results.append(CrossingSearch(piece, test, grid).run())
        done += len(piece)
        log.info("persistence: %d of %d images", done, len(x))
    collected = (
        _collect(parts, gamma, samples, sigma_min, sigma_max) for parts, gamma in zip(found, gammas, strict=True)
    )
    return [replace(result, noise=noise) for result in collected]


def stability(
    model: Classifier,
    x: Array,
    sigma: float,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    noise: str = "gaussian",
    batch_size: int = 256,
    memory_mb: int = 256,
    half: bool | None = None,
) -> Stability:
    """Class frequencies of x + sigma z (Bell, definition 4.1): shapes [images, classes].

    Arguments and errors as for `stability_curve`.
    """
    curve = stability_curve(
        model,
        x,
        [sigma],
        samples,
        confidence,
        seed,
        noise=noise,
        batch_size=batch_size,
        memory_mb=memory_mb,
        half=half,
    )
    return Stability(curve.frequency[:, 0], curve.low[:, 0], curve.high[:, 0], samples)


def stability_curve(
    model: Classifier,
    x: Array,
    sigmas: Sequence[float] | Tensor,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    noise: str = "gaussian",
    batch_size: int = 256,
    memory_mb: int = 256,
    half: bool | None = None,
) -> Stability:
    """Class frequencies of x + sigma z for several sigma: shapes [images, sigmas, classes].

    The same directions serve every sigma of an image: each interval holds by itself, neighbouring points
    are correlated, curves are smooth.

    Args:
        model, x: as for `persistence`.
        sigmas: standard deviations, not negative, in units of `x`.
        samples: noisy images for one image at one sigma.
        confidence: level of each interval.
        seed: of the noise.
        noise, batch_size, memory_mb, half: as for `persistence_of_gammas`.

    Raises:
        ValueError: an argument is out of range, or images or logits are not finite.
    """
    x = images_for(model, x)
    check_arguments(x, samples, confidence, noise)
    values = torch.as_tensor(sigmas, dtype=torch.float64)
    if values.ndim != 1 or len(values) == 0 or not bool((values >= 0).all()):
        raise ValueError("expected at least one sigma, none of them negative")
    parts = []
    for piece in neighborhoods_of(model, x, samples, seed, batch_size, memory_mb, noise, half):
        at_sigma = [piece.class_counts(value.expand(len(piece))) for value in values]
        parts.append(torch.stack(at_sigma, 1).cpu())
        log.info("stability: %d of %d images", sum(map(len, parts)), len(x))
    count = torch.cat(parts)
    low, high = clopper_pearson(count.numpy(), samples, confidence)
    return Stability(count.double() / samples, torch.from_numpy(low), torch.from_numpy(high), samples)


def _collect(results: list[Found], gamma: float, samples: int, sigma_min: float, sigma_max: float) -> Persistence:
    columns = (torch.cat([getattr(r, name) for r in results]) for name in ("estimate", "low", "high"))
    estimate, low, high = (_exp(column, (sigma_min, sigma_max)) for column in columns)
    censored_low, censored_high = estimate == 0, estimate == math.inf
    sigma = estimate.clamp(sigma_min, sigma_max)
    status = np.where(censored_low, "censored_low", np.where(censored_high, "censored_high", "ok")).tolist()
    rest = (torch.cat([getattr(r, name) for r in results]) for name in ("recrosses", "predicted", "evaluations"))
    recrosses, predicted, evaluations = rest
    return Persistence(sigma, low, high, status, recrosses, predicted, gamma, samples, evaluations)


def _exp(position: Tensor, ends: tuple[float, float]) -> Tensor:
    """Exponentials, in which the ends of the range are not missed by a rounding."""
    sigma = position.exp()
    for end in ends:
        sigma = torch.where((sigma / end - 1).abs() < 1e-12, end, sigma)
    return sigma


def _bracketed(
    model: Classifier,
    x: Tensor,
    gamma: float,
    samples: int,
    seed: int,
    limits: tuple[float, float],
    max_steps: int,
    precision: float | None,
    batch_size: int,
) -> Persistence:
    found = bracketing(
        model,
        x,
        gamma,
        samples,
        seed,
        sigma_min=limits[0],
        sigma_max=limits[1],
        max_steps=max_steps,
        precision=precision,
        batch_size=batch_size,
    )
    nothing = torch.full((len(x),), math.nan, dtype=torch.float64)
    flags = torch.zeros(len(x), dtype=torch.bool)
    return Persistence(
        found.sigma, nothing, nothing, found.status, flags, found.predicted, gamma, samples, found.evaluations
    )
