"""Which images of a class networks are sure of: ranks of confidence, and how far networks differ in them.

Seguin, section 4.1 and figure 3A and B: networks order the images of each class by the softmax of the predicted class,
and images are counted whose ranks in two networks differ by more than half of the largest difference.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from neighborhoods.logits.network_pairs import compared, network_pairs
from neighborhoods.statistics.crossed import IMAGES, Crossed, jackknifed

REPLICATES = 1000

# Difference of ranks, as a share of the largest one, beyond which they lie far apart (Seguin, section 4.1).
FAR = 0.5


def confidence(logits: ArrayLike) -> NDArray[np.float64]:
    """ln(p / (1 - p)) of the predicted class's softmax p, of logits [..., class]: [...].

    It orders images as p does, and still tells them apart where p rounds to 1.
    """
    z = np.sort(np.asarray(logits, float), axis=-1)
    return z[..., -1] - special.logsumexp(z[..., :-1], axis=-1)


def ranks_within(values: ArrayLike, label: ArrayLike) -> NDArray[np.float64]:
    """Ranks of values [..., image] among images of the same class, over the largest: 0 is the least, 1 the most.

    Ties share their mean rank; the only image of a class has 0.5.

    Args:
        label: true classes [image].
    """
    x, classes = np.asarray(values, float), np.asarray(label)
    ranks = np.empty(x.shape)
    for name in np.unique(classes):
        rows = classes == name
        ranks[..., rows] = _ranks(x[..., rows])
    return ranks


def far_apart(first: ArrayLike, second: ArrayLike, far: float = FAR) -> NDArray[np.bool_]:
    """Whether ranks from 0 to 1 differ by more than `far` (Seguin, figure 3), of the shape of both [...].

    Differences that equal it but for rounding do not.
    """
    return np.abs(np.asarray(first, float) - np.asarray(second, float)) > far + 1e-12


def far_shares(
    networks: Mapping[str, ArrayLike], label: ArrayLike, far: float = FAR, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Crossed]:
    """Share of images whose ranks differ by more than `far` of the largest difference, by kind of pair.

    A rank hangs on all images of its class: images are bootstrapped, within each class, and ranked again. Pairs share
    networks: the variance between trainings is jackknifed over networks.

    Args:
        networks: confidence [seed, image] by kind of training. label: true classes [image].

    Raises:
        ValueError: fewer than two seeds of a kind.
    """
    values, classes = {kind: np.asarray(x, float) for kind, x in networks.items()}, np.asarray(label)
    generator = np.random.default_rng(seed)

    def count(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.int64]:
        return far_apart(one, two, far).sum(-1)

    measured, drawn = [], []
    for name in np.unique(classes):
        rows = np.flatnonzero(classes == name)
        again = rows[generator.integers(0, len(rows), (replicates, len(rows)))]
        measured.append(compared({kind: _ranks(x[:, rows]) for kind, x in values.items()}, count))
        drawn.append(compared({kind: _ranks(x[:, again]) for kind, x in values.items()}, count))
    found = {}
    for kind, members in network_pairs({kind: len(x) for kind, x in values.items()}).items():
        rates = np.sum([counts[kind] for counts in measured], axis=0) / len(classes)
        draws = np.sum([counts[kind] for counts in drawn], axis=0).mean(0) / len(classes)
        parts = {IMAGES: (draws - draws.mean()) / np.sqrt(replicates - 1), **jackknifed(rates, members)}
        freedom = {name: len(part) - 1 for name, part in parts.items()} | {IMAGES: len(classes) - 1}
        found[kind] = Crossed(rates.mean(0), parts, freedom, frozenset((IMAGES,)), share=True)
    return found


def border_spread(images: ArrayLike, width: int) -> NDArray[np.float64]:
    """How plain the surroundings are: standard deviation of the pixels of a frame [image], root mean over channels.

    Args:
        images: [image, channel, row, column]. width: of the frame, in pixels.

    Raises:
        ValueError: not images, or too small for such a frame with pixels inside.
    """
    x = np.asarray(images, float)
    if x.ndim != 4 or not 0 < 2 * width < min(x.shape[2:]):
        raise ValueError(f"expected images larger than two frames of {width} pixels, found shape {x.shape}")
    frame = np.ones(x.shape[2:], bool)
    frame[width:-width, width:-width] = False
    return np.sqrt(x[:, :, frame].var(-1).mean(1))


def rank_relations(ranks: ArrayLike, other: ArrayLike, label: ArrayLike) -> NDArray[np.float64]:
    """What each image adds to the rank correlation, within classes, with another property: [seed, image].

    Its mean over images is the correlation of ranks that each class has of its own; for `crossed`. nan where all images
    of a class have the same, in every class.

    Args:
        ranks: of the images within their classes [seed, image], by `ranks_within`. other: property [image].
        label: true classes [image].
    """
    first = np.asarray(ranks, float) - 0.5
    second = ranks_within(other, label) - 0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt((first**2).mean(-1, keepdims=True) * (second**2).mean())
        return np.where(scale > 0, first * second / scale, np.nan)


def corners(adversarial: ArrayLike, standard: ArrayLike, count: int) -> dict[str, NDArray[np.intp]]:
    """Images on which two ways of training agree and differ most, by ranks [image]: rows, the clearest first.

    Returns:
        Rows of "both_high", "both_low", "adversarial_high" (and standard low) and "standard_high" [count or fewer].
    """
    one, two = np.asarray(adversarial, float), np.asarray(standard, float)
    scores = {"both_high": one + two, "both_low": -one - two, "adversarial_high": one - two, "standard_high": two - one}
    return {name: np.argsort(-score, kind="stable")[:count] for name, score in scores.items()}


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    size = values.shape[-1]
    return (stats.rankdata(values, axis=-1) - 1) / (size - 1) if size > 1 else np.full(values.shape, 0.5)
