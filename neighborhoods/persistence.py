"""Stability and persistence: how far Gaussian noise can grow before a classifier changes its mind.

Sources: Bell, definitions 4.1 and 4.2, with the reading of persistence as the *first downward crossing*:

    sigma* = sup{s : P[C(x + s' z) = C(x)] >= gamma for all s' < s},   z ~ N(0, I).

All images are measured at once. Each image keeps one set of directions z for every sigma, so its share of
samples that keep the class is one random curve in sigma, and everything said about sigma* is read off it.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from neighborhoods.sampling import Classifier, Neighborhood, check_arguments, neighborhoods_of
from neighborhoods.statistics import clopper_pearson

log = logging.getLogger(__name__)

# While scanning, a share of a few samples settles that a sigma is below every crossing when it exceeds the share of the
# highest count by this many standard errors; anything closer is decided by all samples.
SCAN_SAMPLES = 128
SCAN_MARGIN = 4.0

# Every third step halves, so this narrows any bracket of the scan by a factor of 10^9.
MAX_REFINEMENTS = 90


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
    precision: float = 1e-2,
    batch_size: int = 512,
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
    (result,) = persistence_of_gammas(
        model,
        x,
        [gamma],
        samples,
        confidence,
        seed,
        sigma_min=sigma_min,
        sigma_max=sigma_max,
        scan_factor=scan_factor,
        precision=precision,
        batch_size=batch_size,
        memory_mb=memory_mb,
    )
    return result


def persistence_of_gammas(
    model: Classifier,
    x: Tensor,
    gammas: Sequence[float],
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    sigma_min: float = 1e-3,
    sigma_max: float = 100.0,
    scan_factor: float = 1.5,
    precision: float = 1e-2,
    batch_size: int = 512,
    memory_mb: int = 256,
) -> list[Persistence]:
    """Persistence for several gammas from the same noisy images, one result for each.

    Each interval holds its level by itself; results of one image are correlated. Arguments and errors as for
    `persistence`; `evaluations` counts the noisy images of all gammas together.
    """
    check_arguments(x, samples=samples, confidence=confidence)
    if len(gammas) == 0 or not all(0 < gamma < 1 for gamma in gammas):
        raise ValueError(f"gamma must lie in (0, 1), found {', '.join(map(str, gammas)) or 'none'}")
    if not 0 < sigma_min < sigma_max < math.inf or scan_factor <= 1 or not 0 < precision < 1:
        raise ValueError("expected 0 < sigma_min < sigma_max, scan_factor above 1 and precision in (0, 1)")
    counts = torch.cat([_decision_counts(gamma, samples, confidence) for gamma in gammas])
    few = min(SCAN_SAMPLES, samples)
    tops = [top / samples for top in counts[::3].tolist()]
    safe = max(
        few * (top + SCAN_MARGIN * math.sqrt(gamma * (1 - gamma) / few))
        for gamma, top in zip(gammas, tops, strict=True)
    )
    steps = math.ceil(math.log(sigma_max / sigma_min) / math.log(scan_factor))
    grid = torch.from_numpy(np.geomspace(sigma_min, sigma_max, steps + 1))
    parts = []
    for piece in neighborhoods_of(model, x, samples, seed, batch_size, memory_mb):
        search = _scan(piece, grid, counts, few, safe)
        search.refine(piece, precision)
        parts.append((search.brackets(grid), piece.predicted.cpu(), piece.evaluations))
        log.info("persistence: %d of %d images", sum(len(part[0]) for part in parts), len(x))
    brackets, predicted, evaluations = (torch.cat(column) for column in zip(*parts, strict=True))
    return [
        _result(brackets[:, 3 * i : 3 * i + 3], predicted, evaluations, samples, sigma_min, sigma_max)
        for i in range(len(gammas))
    ]


def stability(
    model: Classifier,
    x: Tensor,
    sigma: float,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    *,
    batch_size: int = 512,
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
    batch_size: int = 512,
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
    check_arguments(x, samples=samples, confidence=confidence)
    values = torch.as_tensor(sigmas, dtype=torch.float64)
    if values.ndim != 1 or len(values) == 0 or not bool((values >= 0).all()):
        raise ValueError("expected at least one sigma, none of them negative")
    parts = []
    for piece in neighborhoods_of(model, x, samples, seed, batch_size, memory_mb):
        at_sigma = [piece.class_counts(value.expand(len(piece))) for value in values]
        parts.append(torch.stack(at_sigma, 1).cpu())
        log.info("stability: %d of %d images", sum(map(len, parts)), len(x))
    count = torch.cat(parts)
    low, high = clopper_pearson(count.numpy(), samples, confidence)
    return Stability(count.double() / samples, torch.from_numpy(low), torch.from_numpy(high), samples)


def _decision_counts(gamma: float, samples: int, confidence: float) -> Tensor:
    """Counts that end three crossings: of the upper acceptance limit, of gamma, of the lower limit.

    A curve "has crossed" the j-th count at the first sigma where fewer than counts[j] samples keep the class.
    """
    alpha = 1 - confidence
    lower = int(stats.binom.ppf(alpha / 2, samples, gamma))
    upper = int(stats.binom.ppf(1 - alpha / 2, samples, gamma))
    # The guard against rounding makes gamma = 0.7 of 1000 samples the count 700, not 701.
    return torch.tensor([upper + 1, math.ceil(gamma * samples - 1e-9), lower])


class _Search:
    """First crossings of several counts for several images: brackets in log sigma that shrink.

    All tensors are [images, counts]. `margin_low` and `margin_high` are how far the number of kept samples lies
    above or below the count at either end; they steer the next guess and decide nothing.
    """

    def __init__(self, images: int, grid: Tensor, counts: Tensor) -> None:
        shape = (images, len(counts))
        # Half a sample below the count: the crossing lies where the number of kept samples steps past it.
        self.counts = counts.double() - 0.5
        self.low = torch.full(shape, -math.inf, dtype=torch.float64)
        self.high = torch.full(shape, math.inf, dtype=torch.float64)
        self.margin_low = torch.zeros(shape, dtype=torch.float64)
        self.margin_high = torch.zeros(shape, dtype=torch.float64)

    def update(self, images: Tensor, position: Tensor, kept: Tensor) -> None:
        """Take in that `kept` samples [n] of `images` [n] keep their class at log sigma `position` [n]."""
        margin = kept.double()[:, None] - self.counts
        position = position[:, None].expand_as(margin)
        low, high = self.low[images], self.high[images]
        inside = (position > low) & (position < high)
        above, below = inside & (margin > 0), inside & (margin < 0)
        self.low[images] = torch.where(above, position, low)
        self.high[images] = torch.where(below, position, high)
        self.margin_low[images] = torch.where(above, margin, self.margin_low[images])
        self.margin_high[images] = torch.where(below, margin, self.margin_high[images])

    def refine(self, piece: Neighborhood, precision: float) -> None:
        """Shrink every bracket with two finite ends to the relative width `precision`."""
        width = math.log1p(precision)
        for step in range(MAX_REFINEMENTS):
            span = self.high - self.low
            is_open = torch.isfinite(span) & (span > width)
            if not bool(is_open.any()):
                return
            guess = self._guess(span, width, bisect=step % 3 == 2)
            # One count of all images after the other, since each answer narrows the other counts' brackets too.
            for column in range(self.low.shape[1]):
                images = is_open[:, column].nonzero()[:, 0]
                position = guess[images, column]
                useful = (position > self.low[images, column]) & (position < self.high[images, column])
                images, position = images[useful], position[useful]
                if len(images):
                    self.update(images, position, piece.kept(images, position.exp(), piece.samples))

    def _guess(self, span: Tensor, width: float, bisect: bool) -> Tensor:
        """Where to look next: by linear interpolation, set off a little so that the bracket closes from the
        wider side; by halving every third time, which bounds the number of steps."""
        if bisect:
            return self.low + span / 2
        root = self.low + span * self.margin_low / (self.margin_low - self.margin_high)
        side = torch.where(self.high - root > root - self.low, 0.45, -0.45)
        inset = torch.minimum(torch.full_like(span, 0.45 * width), span / 2)
        return torch.clamp(root + side * width, self.low + inset, self.high - inset)

    def brackets(self, grid: Tensor) -> Tensor:
        """Brackets in sigma [images, counts, 2]: [0, first of grid] and [last of grid, inf] where censored."""
        low, high = self.low.exp(), self.high.exp()
        # Exponentials of logarithms miss the grid's ends by a rounding.
        high = torch.where(self.low == -math.inf, grid[0], high)
        low = torch.where(self.high == math.inf, grid[-1], low)
        return torch.stack([low, high], 2)


def _scan(piece: Neighborhood, grid: Tensor, counts: Tensor, few: int, safe: float) -> _Search:
    """Look from below for the first grid point at which each count is crossed.

    A sigma at which more than `safe` of the `few` first samples keep the class lies before every crossing;
    elsewhere all samples decide. Once crossed, a count's bracket no longer moves outward.
    """
    search = _Search(len(piece), grid, counts)
    active = torch.arange(len(piece))
    for sigma in grid:
        level = sigma.expand(len(active))
        first = piece.kept(active, level, few)
        certain = (first > safe) & (few < piece.samples)
        search.update(active[certain], level[certain].log(), first[certain] * (piece.samples / few))
        near = active[~certain]
        if len(near):
            level = sigma.expand(len(near))
            kept = first[~certain] if few == piece.samples else piece.kept(near, level, piece.samples)
            search.update(near, level.log(), kept)
        active = active[~torch.isfinite(search.high[active]).all(1)]
        if len(active) == 0:
            break
    return search


def _result(
    brackets: Tensor, predicted: Tensor, evaluations: Tensor, samples: int, sigma_min: float, sigma_max: float
) -> Persistence:
    censored_low = brackets[:, 1, 0] == 0
    censored_high = brackets[:, 1, 1] == math.inf
    sigma = brackets[:, 1].prod(1).sqrt()
    sigma = torch.where(censored_low, sigma_min, torch.where(censored_high, sigma_max, sigma))
    status = np.where(censored_low, "censored_low", np.where(censored_high, "censored_high", "ok")).tolist()
    return Persistence(sigma, brackets[:, 0, 0], brackets[:, 2, 1], status, predicted, samples, evaluations)
