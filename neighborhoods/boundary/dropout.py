"""Classes along lines between images while dropout is on (Bell, section 18).

A mask says which units are dropped. With one mask for a whole line it is a fixed network that the line is followed in,
and where it changes class is well defined; many masks give a distribution of these places.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor, nn

from neighborhoods.networks.modes import evaluating
from neighborhoods.statistics.intervals import Summary, summarize_finite

# Halvings of the step that holds a change of class.
HALVINGS = 14
# D'Agostino and Pearson's test needs as many values.
FEWEST_FOR_TESTS = 8


@dataclass(frozen=True)
class Lines:
    """Classes along lines under masks, on the CPU.

    Attributes:
        t: equally spaced places [points], 0 to 1, float64.
        classes: class at each place [lines, masks, points], int64. plain: without dropout [lines, points].
        line, mask: which line and mask each change of class belongs to [changes], sorted by line, mask, place.
        place: where it lies, 0 to 1 [changes], float64. before, after: classes on either side of it [changes].
        first: whether it is the first of its line and mask [changes].
        third: whether a mask's line has a class that the network without dropout gives to neither end [lines, masks].
        between: whether it has one that the same mask gives to neither end [lines, masks].
    """

    t: Tensor
    classes: Tensor
    plain: Tensor
    line: Tensor
    mask: Tensor
    place: Tensor
    before: Tensor
    after: Tensor
    first: Tensor
    third: Tensor
    between: Tensor

    def order(self) -> Tensor:
        """Masks by where they first change class, those that never do at the end: [lines, masks]."""
        places = torch.full(self.third.shape, torch.inf, dtype=torch.float64)
        places[self.line[self.first], self.mask[self.first]] = self.place[self.first]
        return places.argsort(dim=1, stable=True)

    def changes_per_mask(self) -> Tensor:
        """Changes of class of each line under each mask: [lines, masks]."""
        return (self.classes[..., 1:] != self.classes[..., :-1]).sum(-1)


def trace_lines(
    model: nn.Module, start: Tensor, end: Tensor, *, masks: int, points: int = 65, batch_size: int = 2048, seed: int = 0
) -> Lines:
    """Follow lines through the networks that random masks make of one with dropout.

    Every line meets the same masks, each of which holds along the whole line. Changes of class are bisected between
    neighbouring points of the line; two of them between the same points go unseen.

    Args:
        model: images [B, ...] to logits [B, classes], rows independent of each other, with `nn.Dropout` layers; every
            other layer is in evaluation mode meanwhile.
        start, end: images [lines, ...].
        masks: networks drawn. points: of each line, its ends included.
        batch_size: points in one forward pass; the result does not depend on it but by rounding.
        seed: of the masks.

    Raises:
        ValueError: no active dropout layer, fewer than 1 mask or 2 points, or images that differ in shape.
    """
    if start.shape != end.shape or len(start) == 0:
        raise ValueError(f"expected lines between images of one shape, found {tuple(start.shape)}, {tuple(end.shape)}")
    if masks < 1 or points < 2 or batch_size < 1:
        raise ValueError(f"expected masks and batch_size >= 1 and points >= 2, found {masks}, {batch_size}, {points}")
    device, count = start.device, len(start)
    t = torch.linspace(0, 1, points, dtype=torch.float64, device=device)
    step = end - start

    def images(line: Tensor, at: Tensor) -> Tensor:
        return torch.addcmul(start[line], at.to(start).reshape(-1, *[1] * (start.ndim - 1)), step[line])

    def classify(line: Tensor, at: Tensor, mask: Tensor | None) -> Tensor:
        found = []
        for rows in torch.arange(len(line), device=device).split(batch_size):
            dropping.rows = None if mask is None else mask[rows]
            found.append(model(images(line[rows], at[rows])).argmax(1))
        return torch.cat(found) if found else torch.empty(0, dtype=torch.int64, device=device)

    grid = [torch.arange(size, device=device) for size in (count, masks, points)]
    with torch.no_grad(), masked(model, start[:1], masks, seed) as dropping:
        line, place = (index.flatten() for index in torch.meshgrid(grid[0], grid[2], indexing="ij"))
        plain = classify(line, t[place], None).reshape(count, points)
        line, mask, place = (index.flatten() for index in torch.meshgrid(*grid, indexing="ij"))
        classes = classify(line, t[place], mask).reshape(count, masks, points)
        line, mask, place = (classes[..., 1:] != classes[..., :-1]).nonzero(as_tuple=True)
        before = classes[line, mask, place]
        low, high = t[place], t[place + 1]
        after = classes[line, mask, place + 1]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            found = classify(line, middle, mask)
            left = found != before
            low, high = torch.where(left, low, middle), torch.where(left, middle, high)
            after = torch.where(left, found, after)
    first = torch.ones_like(line, dtype=torch.bool)
    first[1:] = (line[1:] != line[:-1]) | (mask[1:] != mask[:-1])
    third = _outside(classes, plain[:, None, :1], plain[:, None, -1:])
    between = _outside(classes, classes[..., :1], classes[..., -1:])
    changes = (line, mask, (low + high) / 2, before, after, first)
    return Lines(*(value.cpu() for value in (t, classes, plain, *changes, third, between)))


def _outside(classes: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return ((classes != one) & (classes != other)).any(-1)


class Dropping:
    """Masks of a network in use; `rows` [B] says which one each image of a pass meets, None drops nothing."""

    def __init__(self) -> None:
        self.rows: Tensor | None = None


@contextmanager
def masked(model: nn.Module, x: Tensor, masks: int, seed: int) -> Iterator[Dropping]:
    """Let a network's dropout layers use masks drawn beforehand; on the way out it is as it was.

    A unit is kept with probability 1 - p and then divided by it, as in training (Srivastava et al. 2014, section 10).

    Args:
        x: any image [1, ...], which tells how many units there are.
        masks: how many to draw. seed: of the masks, which do not depend on how many images follow.

    Raises:
        ValueError: the network has no `nn.Dropout` that is in use and drops anything.
    """
    generator = torch.Generator().manual_seed(seed)
    dropping, kept = Dropping(), dict[nn.Module, Tensor]()

    def draw(layer: nn.Dropout, _: object, output: Tensor) -> None:
        kept[layer] = torch.rand((masks, *output.shape[1:]), generator=generator).ge(layer.p).to(x.device)

    def drop(layer: nn.Dropout, _: object, output: Tensor) -> Tensor | None:
        # Everything dropped would be 0 / 0.
        return None if dropping.rows is None else output * kept[layer][dropping.rows] / max(1 - layer.p, 1e-30)

    layers = [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p > 0]
    handles = [layer.register_forward_hook(draw) for layer in layers]
    try:
        with evaluating(model):
            with torch.no_grad():
                model(x)
            if not kept:
                raise ValueError("expected a network with dropout, found no dropout layer that drops anything")
            for handle in handles:
                handle.remove()
            handles = [layer.register_forward_hook(drop) for layer in kept]
            yield dropping
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class Normality:
    """Places against the normal law that fits them.

    Attributes:
        summary: mean and median of the places. deviation: their standard deviation (n - 1).
        skewness, excess_kurtosis: of the sample, 0 for a normal law.
        shapiro, agostino, anderson: statistics of the tests by Shapiro and Wilk, D'Agostino and Pearson (K^2), and
            Anderson and Darling, with their p values. That of Anderson and Darling's is interpolated in a table and
            lies in 0.01..0.15. nan for fewer than 8 places or equal ones.
    """

    summary: Summary
    deviation: float
    skewness: float
    excess_kurtosis: float
    shapiro: float
    shapiro_p: float
    agostino: float
    agostino_p: float
    anderson: float
    anderson_p: float


def normality(places: ArrayLike, masks: ArrayLike | None = None, confidence: float = 0.95, seed: int = 0) -> Normality:
    """Summary and tests of normality of places along one line.

    The tests take places as independent: those of one mask are not, so that only p values of first places hold.

    Args:
        places: numbers [n]. masks: the mask of each [n], a cluster of the summary; each its own where left out.
        confidence: level of the intervals. seed: of the bootstrap of the median.

    Raises:
        ValueError: places that are not finite.
    """
    x = np.asarray(places, float)
    summary = summarize_finite(x, masks, confidence, seed)
    nan = float("nan")
    if len(x) < FEWEST_FOR_TESTS or np.ptp(x) == 0:
        deviation = float(x.std(ddof=1)) if len(x) > 1 else nan
        return Normality(summary, deviation, nan, nan, nan, nan, nan, nan, nan, nan)
    anderson = stats.anderson(x, method="interpolate")
    shapiro, agostino = stats.shapiro(x), stats.normaltest(x)
    return Normality(
        summary,
        deviation=float(x.std(ddof=1)),
        skewness=float(stats.skew(x)),
        excess_kurtosis=float(stats.kurtosis(x)),
        shapiro=float(shapiro.statistic),
        shapiro_p=float(shapiro.pvalue),
        agostino=float(agostino.statistic),
        agostino_p=float(agostino.pvalue),
        anderson=float(anderson.statistic),
        anderson_p=float(anderson.pvalue),
    )


def fitted_density(found: Normality, points: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Density of the normal law with the mean and deviation found, at places from 0 to 1.

    Returns:
        Places and densities [points]; nan where there is no deviation.
    """
    at = np.linspace(0, 1, points)
    if not found.deviation > 0:
        return at, np.full(points, np.nan)
    return at, stats.norm.pdf(at, found.summary.mean, found.deviation)
