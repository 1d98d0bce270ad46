"""At which angles lines cross the boundaries of a network and of the nearest training point (Bell, section 30.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from neighborhoods.boundary.lines import pairs_of_classes
from neighborhoods.boundary.normals import Skewness, skewness
from neighborhoods.boundary.voronoi import FirstChange, NearestPoint, first_change, gabriel_neighbours
from neighborhoods.statistics.intervals import Estimate, Summary, rank_correlation, share, summarize_finite
from neighborhoods.training.minibatch import predict

# Pairs of training points to look at for each that is wanted of either kind.
CANDIDATES = 10

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
        correlation: Spearman's, over the lines that have both angles.
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
        share: of the former among all pairs looked at.
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
    first, second = (np.maximum(column, ORTHOGONAL) for column in (network, voronoi))
    return Comparison(
        network=summarize_finite(network, None, confidence, seed),
        voronoi=summarize_finite(voronoi, None, confidence, seed),
        difference=summarize_finite(network - voronoi, None, confidence, seed),
        correlation=rank_correlation(first, second, confidence),
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
    pairs = order[pairs_of_classes(labels[order], CANDIDATES * count)]
    if not len(pairs):
        raise ValueError("expected training points of two classes to pair, found none")
    neighbours = gabriel_neighbours(points, pairs)
    found = share(neighbours.cpu().numpy(), confidence)
    return TrainingPairs(pairs[neighbours][:count], pairs[~neighbours][:count], found)


def right_on_both(model: nn.Module, classifier: NearestPoint, x: Tensor, labels: Tensor) -> Tensor:
    """Whether network and nearest training point both classify points [N, ...] as labelled [N]."""
    return (predict(model, x) == labels) & (predict(classifier, x) == labels)
