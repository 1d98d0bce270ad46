"""How changes of logits compare with predicted ones, and how the change of a gap depends on the gap (Seguin, C.2.5)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from neighborhoods.statistics.intervals import Estimate, Summary, rank_correlation, share, student, summarize_finite


def runner_up(logits: Tensor, label: Tensor) -> Tensor:
    """The class of the largest logit but the label's [n], of logits [n, N] and labels [n]."""
    return logits.scatter(1, label[:, None], -torch.inf).argmax(1)


def lead(logits: Tensor, label: Tensor, rival: Tensor) -> Tensor:
    """Logit of the label less that of a rival [n]: of the runner-up it is the gap, where the label is predicted."""
    return (logits.gather(1, label[:, None]) - logits.gather(1, rival[:, None]))[:, 0]


@dataclass(frozen=True)
class Agreement:
    """How predicted changes of logits compare with measured ones.

    Attributes:
        cosine: of both changes, by image [n]; nan where one is zero.
        signs: share of an image's logits that change in the predicted direction [n].
        mean_cosine, mean_signs: over the images.
        gap_sign: share of images whose gap changes in the predicted direction (Clopper and Pearson).
        gap_rank: Spearman's correlation of both changes of the gap.
    """

    cosine: Tensor
    signs: Tensor
    mean_cosine: Summary
    mean_signs: Summary
    gap_sign: Estimate
    gap_rank: Estimate


def agreement(
    predicted: Tensor, measured: Tensor, label: Tensor, rival: Tensor, confidence: float = 0.95, seed: int = 0
) -> Agreement:
    """Compare changes of logits [n, N], and of the lead of labels [n] over rivals [n]; images are independent.

    Raises:
        ValueError: shapes that differ, or no images.
    """
    if predicted.shape != measured.shape or predicted.ndim != 2 or len(predicted) == 0:
        raise ValueError(f"expected equal shapes [n, N], found {tuple(predicted.shape)} and {tuple(measured.shape)}")
    zero = (predicted == 0).all(1) | (measured == 0).all(1)
    cosine = functional.cosine_similarity(predicted, measured, dim=1, eps=0).masked_fill(zero, torch.nan)
    signs = (predicted.sign() == measured.sign()).double().mean(1)
    first, second = (lead(change, label, rival) for change in (predicted, measured))
    return Agreement(
        cosine,
        signs,
        summarize_finite(cosine.numpy(), None, confidence, seed),
        summarize_finite(signs.numpy(), None, confidence, seed),
        share((first.sign() == second.sign()).numpy(), confidence),
        rank_correlation(first.numpy(), second.numpy(), confidence),
    )


@dataclass(frozen=True)
class Regression:
    """Coefficients [k] of least squares with intervals robust to unequal variances (HC3).

    Attributes:
        value, low, high: [k]. explained: share of the variance explained. n: observations.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    explained: float
    n: int


def regress(columns: ArrayLike, y: ArrayLike, confidence: float = 0.95) -> Regression:
    """Least squares of y [n] on columns [n, k], the first of which should be ones.

    The covariance is HC3 (MacKinnon and White 1985), that of leaving out one observation at a time; Student's law has
    n - k degrees of freedom.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or columns that are dependent or too many.
    """
    x, goal = np.asarray(columns, float), np.asarray(y, float)
    if x.ndim != 2 or goal.shape != x.shape[:1] or not (np.isfinite(x).all() and np.isfinite(goal).all()):
        raise ValueError(f"expected finite columns [n, k] and values [n], found shapes {x.shape} and {goal.shape}")
    n, k = x.shape
    # Columns of one scale: powers of a gap differ by orders of magnitude.
    size = np.linalg.norm(x, axis=0)
    if n <= k or not size.all() or np.linalg.matrix_rank(x / size) < k:
        raise ValueError(f"expected more observations than the {k} independent columns, found {n}")
    q, r = np.linalg.qr(x / size)
    value = np.linalg.solve(r, q.T @ goal)
    residual = goal - (x / size) @ value
    leverage = np.square(q).sum(1)
    # An observation of leverage one is fitted exactly: the error it hides is unknown.
    pulled = np.linalg.solve(r, (q * (residual / np.maximum(1 - leverage, np.finfo(float).eps))[:, None]).T)
    half = np.sqrt(np.square(pulled).sum(1)) * student(confidence, n - k)
    spread = np.square(goal - goal.mean()).sum()
    explained = 1 - np.square(residual).sum() / spread if spread > 0 else float("nan")
    return Regression(value / size, (value - half) / size, (value + half) / size, float(explained), n)


@dataclass(frozen=True)
class GapDependence:
    """How the change of a gap depends on the gap before.

    Attributes:
        shrinks: share of the gaps that get smaller.
        line, parabola: regressions of the change on powers of the gap up to 1 and 2.
        power: regression of ln|change| on 1 and ln(gap), over gaps above zero that change: the second coefficient is
            the exponent, 2 where the change is proportional to the square of the gap; None for fewer than three.
    """

    shrinks: Estimate
    line: Regression
    parabola: Regression
    power: Regression | None


def gap_dependence(gap: ArrayLike, change: ArrayLike, confidence: float = 0.95) -> GapDependence:
    """Fit change = a + b gap + c gap^2, a line, and a power law, to gaps [n] and changes [n] of independent images.

    Raises:
        ValueError: as for `regress`.
    """
    g, d = np.asarray(gap, float), np.asarray(change, float)
    line = regress(np.vander(g, 2, increasing=True), d, confidence)
    parabola = regress(np.vander(g, 3, increasing=True), d, confidence)
    kept = (g > 0) & (d != 0)
    power = None
    if kept.sum() > 2 and np.ptp(g[kept]) > 0:
        power = regress(np.vander(np.log(g[kept]), 2, increasing=True), np.log(np.abs(d[kept])), confidence)
    return GapDependence(share(d < 0, confidence), line, parabola, power)
