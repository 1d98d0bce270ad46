"""Which training points a prediction rests on, and whether retraining without them agrees.

Shares of training points in an output come from `path_kernel`: mode "path"; "tangent_start" and "tangent_end"; or rule
"start", which pairs both gradients at each checkpoint: TracIn (Pruthi et al. 2020) with every step a checkpoint. The
linear datamodeling score (Park et al. 2023) compares them with networks retrained on random subsets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor, nn

from neighborhoods.path_kernel.loss_gradients import loss_gradients
from neighborhoods.path_kernel.path import Path

REPLICATES = 500


@dataclass(frozen=True)
class DatamodelingScores:
    """Linear datamodeling scores of several methods.

    Attributes:
        score: mean over queries of Spearman's rank correlation over subsets [A]. low, high: its interval.
        by_query: of each query [A, Q].
        behind, behind_low, behind_high: score of the first method less that of each [A], on the same replicates.
    """

    score: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    by_query: NDArray[np.float64]
    behind: NDArray[np.float64]
    behind_low: NDArray[np.float64]
    behind_high: NDArray[np.float64]


def two_largest(y: Tensor) -> tuple[Tensor, Tensor]:
    """The classes of the largest and the second largest output [Q], of outputs [Q, K].

    Raises:
        ValueError: a single output.
    """
    if y.shape[1] < 2:
        raise ValueError(f"a margin needs at least two outputs, found {y.shape[1]}")
    first, second = y.topk(2, 1).indices.unbind(1)
    return first, second


def margin(y: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Output `first` less output `second` of each query: y [..., Q, K] and classes [Q] to [..., Q].

    It is linear in the outputs, so that shares of training points in it add up to it like theirs.
    """
    rows = torch.arange(len(first), device=y.device)
    return y[..., rows, first] - y[..., rows, second]


def pixel_similarity(path: Path, queries: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """What closeness in pixels alone would say: exp(-d^2 / 2 h^2), h the median of the distances d.

    It counts for a query whose class `first` the training point has, against one of class `second`, else not at all.

    Args:
        path: gives the training points and labels [N]. queries: [Q, ...].

    Returns:
        [Q, N].
    """
    d = torch.cdist(queries.to(path.x).flatten(1), path.x.flatten(1))
    side = (path.y == first[:, None]).to(d) - (path.y == second[:, None]).to(d)
    return side * (-0.5 * (d / d.median()).square()).exp()


def subsets_of(n: int, count: int, seed: int) -> Tensor:
    """Random subsets of half of n points, as masks [count, n].

    Raises:
        ValueError: fewer than two points or subsets.
    """
    if n < 2 or count < 2:
        raise ValueError(f"expected at least two points and two subsets, found {n} and {count}")
    order = torch.rand(count, n, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return order < n // 2


def retrain(model: nn.Module, path: Path, weights: Tensor) -> Tensor:
    """Weights after the same descent, from the same start, on (1/N) sum_i weights_i loss_i; N counts all points.

    A weight of 0 leaves a point out and changes nothing else: the others' coefficients keep the divisor N. To train as
    on the subset alone, whose mean loss has its own size as divisor, weigh its points with N / size.

    Args:
        weights: of the training points, for each network [M, N].

    Returns:
        Flat parameters [M, P].

    Raises:
        ValueError: weights that do not fit, or a path with batches, momentum or weight decay.
    """
    if path.batches is not None or path.momentum or path.weight_decay:
        raise ValueError("expected a path of full-batch gradient descent without momentum and weight decay")
    w = path.start.expand(len(weights), -1)
    for _ in range(path.steps):
        w = w - path.learning_rate * loss_gradients(model, path, w, weights)
    return w


def datamodeling_scores(
    predicted: ArrayLike, actual: ArrayLike, confidence: float = 0.95, seed: int = 0
) -> DatamodelingScores:
    """Linear datamodeling score: how well sums over subsets rank the outputs of networks trained on them.

    Intervals are normal, with the standard deviation of a bootstrap that draws queries and subsets with replacement.
    Its percentiles would carry the bias of ranks in which subsets occur twice.

    Args:
        predicted: sum of the shares of a subset's points, by method, query and subset [A, Q, M].
        actual: output of the retrained network [Q, M].

    Raises:
        ValueError: shapes that do not fit, or fewer than two queries or three subsets.
    """
    guess, truth = np.asarray(predicted, float), np.asarray(actual, float)
    if guess.ndim != 3 or guess.shape[1:] != truth.shape or truth.shape[0] < 2 or truth.shape[1] < 3:
        raise ValueError(
            f"expected predictions [methods, queries, subsets] for outputs of at least 2 queries and 3 subsets, "
            f"found {guess.shape} for {truth.shape}"
        )
    by_query = _spearman(guess, truth)
    score = by_query.mean(1)
    generator = np.random.default_rng(seed)
    drawn = np.empty((REPLICATES, len(guess)))
    for row in drawn:
        queries = generator.integers(truth.shape[0], size=truth.shape[0])
        subsets = generator.integers(truth.shape[1], size=truth.shape[1])
        row[:] = _spearman(guess[:, queries][..., subsets], truth[queries][:, subsets]).mean(1)
    z = stats.norm.ppf((1 + confidence) / 2)
    half, half_behind = z * drawn.std(0, ddof=1), z * (drawn[:, :1] - drawn).std(0, ddof=1)
    behind = score[0] - score
    return DatamodelingScores(
        score, score - half, score + half, by_query, behind, behind - half_behind, behind + half_behind
    )


def _spearman(guess: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spearman's rho along the last axis, 0 where one side is constant."""
    ranks = [stats.rankdata(values, axis=-1) for values in (guess, truth)]
    a, b = (rank - rank.mean(-1, keepdims=True) for rank in ranks)
    scale = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.divide((a * b).sum(-1), scale, out=np.zeros(np.broadcast(a, b).shape[:-1]), where=scale > 0)
