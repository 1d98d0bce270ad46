"""How far networks agree on which classes are likely for an image: average overlap of rankings (Seguin, figure 3D).

AO@k is the mean over i <= k of O(i), the share of classes that two rankings have in common among their first i (Webber,
Moffat and Zobel 2010; the source prints O(k) inside the sum).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neighborhoods.logits.network_pairs import compared, network_pairs
from neighborhoods.statistics.crossed import Crossed, crossed


def places(logits: ArrayLike) -> NDArray[np.int64]:
    """Place of each class in the order of logits [..., class], 0 for the largest; equal ones by their number."""
    order = np.argsort(-np.asarray(logits, float), axis=-1, kind="stable")
    found = np.empty(order.shape, np.int64)
    np.put_along_axis(found, order, np.broadcast_to(np.arange(order.shape[-1]), order.shape), -1)
    return found


def average_overlap(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """AO@k of two rankings for k = 1 to all classes: [..., k].

    Args:
        first, second: place of each class [..., class], as `places` gives them.

    Raises:
        ValueError: shapes that differ.
    """
    one, two = np.asarray(first), np.asarray(second)
    if one.shape != two.shape:
        raise ValueError(f"expected two rankings of the same classes, found shapes {one.shape} and {two.shape}")
    # A class is among the first i of both from the later of its places on.
    classes = one.shape[-1]
    later = np.maximum(one, two).reshape(-1, classes)
    cells = later + classes * np.arange(len(later))[:, None]
    added = np.bincount(cells.ravel(), minlength=later.size).reshape(one.shape)
    k = np.arange(1, classes + 1)
    return (added.cumsum(-1) / k).cumsum(-1) / k


def exchanged(label: ArrayLike, generator: np.random.Generator) -> NDArray[np.intp]:
    """For each image another one of its class [image]: a random cycle through each class.

    The only image of a class stays.
    """
    classes = np.asarray(label)
    found = np.arange(len(classes))
    for name in np.unique(classes):
        cycle = generator.permutation(np.flatnonzero(classes == name))
        found[cycle] = np.roll(cycle, 1)
    return found


@dataclass(frozen=True)
class Overlap:
    """AO@k of pairs of networks.

    Attributes:
        average: over images and pairs [k]. pairs: over the images, of each pair [pair, k].
    """

    average: Crossed
    pairs: NDArray[np.float64]

    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation over pairs [k], nan of one pair."""
        one = np.full(self.pairs.shape[1], np.nan)
        return self.pairs.std(0, ddof=1) if len(self.pairs) > 1 else one


def overlaps(
    networks: Mapping[str, ArrayLike], label: ArrayLike | None = None, exchanges: int = 1, seed: int = 0
) -> dict[str, Overlap]:
    """AO@k between networks, by kind of pair: for the same image, or with images exchanged within their classes.

    Args:
        networks: place of each class [seed, image, class] by kind of training.
        label: true classes [image]; the second network of each pair then sees another image of the class.
        exchanges: random exchanges that are averaged over.

    Raises:
        ValueError: fewer than two seeds of a kind.
    """
    ranked = {kind: np.asarray(x) for kind, x in networks.items()}
    generator = np.random.default_rng(seed)
    size = next(iter(ranked.values())).shape[1]
    # One set of exchanges for all pairs, so that differences between kinds of pairs are not those of draws.
    others = [exchanged(label, generator) for _ in range(exchanges)] if label is not None else [np.arange(size)]

    def compare(one: NDArray[np.int64], two: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.mean([average_overlap(one, two[other]) for other in others], axis=0)

    members = network_pairs({kind: len(x) for kind, x in ranked.items()})
    found = compared(ranked, compare)
    return {kind: Overlap(crossed(values, members[kind]), values.mean(1)) for kind, values in found.items()}


def crossing(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[float, float, float]:
    """Where a difference of two curves over k = 1, 2, … first changes from negative to positive: k, low, high.

    Between whole numbers k is interpolated. The limits are the last k before at which the interval of the difference is
    negative and the first after at which it is positive; 1 and the last k where there is none. nan where the difference
    does not change its sign that way.

    Args:
        value, low, high: the difference and its interval at each k [k].
    """
    curve = np.asarray(value, float)
    negative = np.flatnonzero((curve[:-1] < 0) & (curve[1:] >= 0))
    if not len(negative):
        return np.nan, np.nan, np.nan
    place = int(negative[0])
    k = 1 + place + curve[place] / (curve[place] - curve[place + 1])
    before = np.flatnonzero(np.asarray(high)[: place + 1] < 0)
    after = np.flatnonzero(np.asarray(low)[place + 1 :] > 0)
    first = 1.0 + before[-1] if len(before) else 1.0
    last = 2.0 + place + after[0] if len(after) else float(len(curve))
    return float(k), float(first), float(last)
