"""Which classes wrong answers fall on, by their rank in the average logits of their true class (Seguin, figure 3C)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neighborhoods.logits.distributions import of_kind
from neighborhoods.logits.overlap import places
from neighborhoods.statistics.crossed import Crossed, crossed


def class_averages(logits: ArrayLike, label: ArrayLike) -> NDArray[np.float64]:
    """Mean logits [class, class] of the images of each true class that are classified right; nan of none.

    Args:
        logits: [image, class]. label: true classes [image].
    """
    z, truth = np.asarray(logits, float), np.asarray(label)
    classes = z.shape[1]
    chosen = (truth == np.arange(classes)[:, None]) & (z.argmax(1) == truth)
    count = chosen.sum(1)[:, None]
    return np.where(count > 0, (chosen.astype(float) @ z) / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class WrongAnswers:
    """Ranks that wrong answers have in the average logits of their true class, 1 for the highest average.

    Attributes:
        share: of the wrong answers at each rank, averaged over seeds [rank]. by_seed: the same [seed, rank].
        rank: their mean rank, averaged over seeds. n: wrong answers [seed].
        lead: share at rank 2 less that at the fullest other rank, averaged over seeds.
    """

    share: Crossed
    by_seed: NDArray[np.float64]
    rank: Crossed
    lead: Crossed
    n: NDArray[np.int64]


def wrong_answers(averages: ArrayLike, predicted: ArrayLike, label: ArrayLike, kind: str) -> WrongAnswers:
    """Ranks of the wrong answers of networks of one kind of training.

    Wrong answers of classes without an average are left out. Averages count as known: they rest on many more images.
    Every statistic is nan, as a mean over seeds, where a network has no wrong answer.

    Args:
        averages: `class_averages` of each network [seed, class, class].
        predicted: answers, e.g. to adversarial images [seed, image]. label: true classes [image].

    Raises:
        ValueError: as for `crossed`.
    """
    means, answers, truth = np.asarray(averages, float), np.asarray(predicted), np.asarray(label)
    known = np.isfinite(means).all(-1)
    rank = 1 + np.take_along_axis(places(np.nan_to_num(means))[:, truth], answers[..., None], -1)[..., 0]
    wrong = (answers != truth) & known[:, truth]
    n = wrong.sum(1)
    classes = means.shape[-1]
    at = (rank[..., None] == np.arange(1, classes + 1)) & wrong[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        by_seed = at.sum(1) / n[:, None]
        mean = np.where(wrong, rank, 0).sum(1) / n
        weight = wrong * (wrong.shape[1] / n[:, None])
        shares = by_seed[:, None] + weight[..., None] * (at - by_seed[:, None])
        ranks = mean[:, None] + weight * (rank - mean[:, None])
    fullest = np.where(np.arange(classes) == 1, -1.0, np.nan_to_num(by_seed)).argmax(1)
    leads = shares[..., 1] - np.take_along_axis(shares, fullest[:, None, None], -1)[..., 0]
    members = of_kind(kind, len(means))
    return WrongAnswers(crossed(shares, members), by_seed, crossed(ranks, members), crossed(leads, members), n)
