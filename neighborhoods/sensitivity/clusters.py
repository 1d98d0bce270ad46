"""Clusters of classes in feature space: how far apart they lie, against how wide they are (the Note)."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor


@dataclass(frozen=True)
class Clusters:
    """Between-class over within-class spread of n features.

    Attributes:
        between, within: mean squared distance of a point's class mean from the grand mean, and of a point from its
            class mean, in squared units of the features.
        ratio: between / within. low, high: its interval. n: points.
        separation: distance of two class means over the root mean square distance of their points from them
            [classes, classes], float64; nan for a class without points; on the diagonal 0, or
            nan without spread.
    """

    between: float
    within: float
    ratio: float
    low: float
    high: float
    n: int
    separation: Tensor


def clusters(features: Tensor, label: Tensor, classes: int, confidence: float = 0.95) -> Clusters:
    """Spread of labelled points in feature space.

    The interval of the ratio comes from the delta method on its logarithm: a point moves the within-class spread by its
    own squared distance, and the between-class one through its class mean as well.

    Args:
        features: [n, F]. label: class of each [n], in 0..classes - 1. classes: number of classes.
        confidence: level of the interval.

    Raises:
        ValueError: fewer than two classes have points, no spread within classes, or labels do not fit.
    """
    if features.ndim != 2 or label.shape != features.shape[:1]:
        raise ValueError(f"expected features [n, F] with a label each, found {tuple(features.shape)}")
    if len(label) and not 0 <= int(label.min()) <= int(label.max()) < classes:
        raise ValueError(f"expected labels in 0..{classes - 1}, found {int(label.min())} to {int(label.max())}")
    x = features.double()
    count = torch.bincount(label, minlength=classes)
    if int((count > 0).sum()) < 2:
        raise ValueError(f"expected points of at least two classes, found those of {int((count > 0).sum())}")
    means = x.new_zeros(classes, x.shape[1]).index_add_(0, label, x) / count[:, None]
    apart = (means[label] - x.mean(0)).square().sum(1)
    offset = x - means[label]
    own = offset.square().sum(1)
    between, within = float(apart.mean()), float(own.mean())
    if not within > 0:
        raise ValueError("expected points that differ within a class, found every class in one place")
    pull = 2 * ((means[label] - x.mean(0)) * offset).sum(1)
    influence = (apart + pull) / max(between, torch.finfo(x.dtype).tiny) - own / within
    reach = np.exp(special.ndtri((1 + confidence) / 2) * float(influence.std()) / len(x) ** 0.5)
    width = x.new_zeros(classes).index_add_(0, label, own)
    pooled = (width[:, None] + width) / (count[:, None] + count)
    # Of a class with itself the same points count twice in both sums.
    separation = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist") / pooled.sqrt()
    ratio = between / within
    return Clusters(between, within, ratio, ratio / float(reach), ratio * float(reach), len(x), separation)
