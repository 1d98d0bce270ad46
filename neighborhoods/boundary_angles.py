"""At which angles lines cross the boundaries of a network and of the nearest training point (Bell, section 30.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from neighborhoods.kernel_geometry import Estimate, rank_correlation
from neighborhoods.normals import Skewness, skewness
from neighborhoods.statistics import NO_VALUES, Summary, clopper_pearson, summarize
from neighborhoods.training import predict
from neighborhoods.voronoi import FirstChange, NearestPoint, first_change, gabriel_neighbours, opposite_pairs

# Pairs of training points to look at for each that is wanted of either kind.
CANDIDATES = 10

# Below this many pairs a rank correlation has no interval.
FEWEST_RANKED = 4

# Angles below differ from 0 by roundings only, whose ranks mean nothing.
ORTHOGONAL = 1e-7


@dataclass(frozen=True)
class Angles:
    """First changes of class along the same lines, by a network and by the nearest training point."""

    network: Skewness
    voronoi: FirstChange


@dataclass(frozen=True)
class Comparison:
    """What the angles of lines say, in degrees.

    Attributes:
        network, voronoi: angles to the normal, of the lines whose class changes.
        difference: the network's less that of the nearest point, line by line.
        correlation: Spearman's, over these lines; nan and [-1, 1] where one side has no spread or there are too few.
        network_changed, voronoi_changed: share of lines that have an angle since their class changes.
    """

    network: Summary
    voronoi: Summary
    difference: Summary
    correlation: Estimate
    network_changed: Estimate
    voronoi_changed: Estimate


@dataclass(frozen=True)
class TrainingPairs:
    """Random pairs of training points of different classes, none in two pairs.

    Attributes:
        neighbours: Gabriel neighbours [P, 2]. others: pairs that are not [R, 2].
        share: of the former among all pairs looked at, with Clopper and Pearson's limits.
    """

    neighbours: Tensor
    others: Tensor
    share: Estimate


def crossing_angles(
    model: nn.Module, classifier: NearestPoint, start: Tensor, end: Tensor, *, batch_size: int = 4096
) -> Angles:
    """Follow lines [n, ...] to where each classifier first changes its class; nan where it never does.

    Raises:
        ValueError: as for `skewness` and `first_change`.
    """
    return Angles(skewness(model, start, end, batch_size=batch_size), first_change(classifier, start, end))


def compare_angles(angles: Angles, confidence: float = 0.95, seed: int = 0) -> Comparison:
    """Means with intervals and the rank correlation of both angles; the lines count as independent."""
    network, voronoi = (part.angle.cpu().numpy() for part in (angles.network, angles.voronoi))
    both = np.isfinite(network) & np.isfinite(voronoi)
    ranked = Estimate(float("nan"), -1.0, 1.0, int(both.sum()))
    if both.sum() >= FEWEST_RANKED:
        first, second = (np.maximum(column[both], ORTHOGONAL) for column in (network, voronoi))
        ranked = rank_correlation(first, second, confidence)

    def summary(values: np.ndarray) -> Summary:
        finite = values[np.isfinite(values)]
        return summarize(finite, None, confidence, seed) if len(finite) else NO_VALUES

    return Comparison(
        network=summary(network),
        voronoi=summary(voronoi),
        difference=summary(network - voronoi),
        correlation=ranked,
        network_changed=share(np.isfinite(network), confidence),
        voronoi_changed=share(np.isfinite(voronoi), confidence),
    )


def training_pairs(
    points: Tensor, labels: Tensor, order: Tensor, count: int, confidence: float = 0.95
) -> TrainingPairs:
    """Draw pairs of different classes and tell Gabriel neighbours from others, at most `count` of each.

    Args:
        points: all training points [N, ...]. labels: classes [N]. order: indices to draw from, in random order [M].

    Raises:
        ValueError: no two classes to draw from.
    """
    pairs = order[opposite_pairs(labels[order], CANDIDATES * count)]
    if not len(pairs):
        raise ValueError("expected training points of two classes to pair, found none")
    neighbours = gabriel_neighbours(points, pairs)
    found = share(neighbours.cpu().numpy(), confidence)
    return TrainingPairs(pairs[neighbours][:count], pairs[~neighbours][:count], found)


def share(hits: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Share of hits [n] with Clopper and Pearson's limits; nan and [0, 1] of none."""
    if not len(hits):
        return Estimate(float("nan"), 0.0, 1.0, 0)
    low, high = clopper_pearson(int(hits.sum()), len(hits), confidence)
    return Estimate(float(hits.mean()), float(low), float(high), len(hits))


def right_on_both(model: nn.Module, classifier: NearestPoint, x: Tensor, labels: Tensor) -> Tensor:
    """Whether network and nearest training point both classify points [N, ...] as labelled [N]."""
    return (predict(model, x) == labels) & (predict(classifier, x) == labels)
