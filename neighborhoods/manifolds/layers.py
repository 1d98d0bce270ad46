"""One layer's manifolds: the mean-field analysis, what its radius and dimension predict, and simulation beside it.

Seguin, section 4.2 and appendix A.4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neighborhoods.manifolds.capacity import (
    SimulatedCapacity,
    ball_capacity,
    point_capacity,
    simulated_capacity,
)
from neighborhoods.manifolds.centers import TOLERANCE, UnsuitedManifoldsError
from neighborhoods.manifolds.mean_field import ManifoldGeometry, mftma
from neighborhoods.manifolds.points import class_images, layer_points
from neighborhoods.networks.inputs import Array, images_for, labels_for

ANALYSED = "ok"


@dataclass(frozen=True)
class LayerAnalysis:
    """What is known of manifolds in a layer.

    Attributes:
        status: `ANALYSED`, or why the theory says nothing about these points.
        geometry: None where it does not.
        ball: capacity of balls of the mean radius and dimension, by the exact integral. point: of points at the margin
            that these give, kappa + R sqrt(D). Both nan without a geometry.
        simulated: None where it was not asked for, or where all features separate less than half of the dichotomies.
    """

    status: str
    geometry: ManifoldGeometry | None
    ball: float
    point: float
    simulated: SimulatedCapacity | None

    def __repr__(self) -> str:
        return f"LayerAnalysis({self.status if self.geometry is None else self.geometry!r})"


def class_manifolds(
    network: nn.Module,
    images: Array,
    labels: Array,
    *,
    layers: Sequence[str] | None = None,
    samples: int = 50,
    features: int | None = None,
    kappa: float = 0.0,
    n_t: int = 200,
    trials: int = 0,
    seed: int = 0,
    confidence: float = 0.95,
) -> dict[str, LayerAnalysis]:
    """Manifolds of the classes in layers of a network: random images of each class, and what each layer makes of them.

    Args:
        network: images [B, ...] to logits; in evaluation mode meanwhile.
        images: [n, ...], floating point, a tensor or an array (see `inputs.images_for`). labels: classes [n].
        layers: names of modules, as in `network.named_modules()`; None for all. The images come first, as "input".
        samples: images of each class. A layer needs more features than that.
        features: wider layers are projected to so many; None for as they are.
        kappa, n_t, trials, confidence: as for `analyse`.
        seed: of the choice of images, projections, Gaussian vectors and trials.

    Returns:
        The analysis of each layer, by its name.

    Raises:
        ValueError: images or labels that do not fit, fewer images of a class than `samples`, or a module that the
            network does not have.
    """
    x = images_for(network, images)
    y = labels_for(labels, len(x)).to(x.device)
    chosen = class_images(x, y, samples=samples, generator=torch.Generator().manual_seed(seed))
    points = layer_points(network, chosen, layers=layers, features=features, seed=seed)
    return {
        name: analyse(layer, kappa=kappa, n_t=n_t, trials=trials, seed=seed, confidence=confidence)
        for name, layer in points.items()
    }


def analyse(
    points: Tensor,
    *,
    kappa: float = 0.0,
    n_t: int = 200,
    trials: int = 0,
    seed: int = 0,
    confidence: float = 0.95,
    tolerance: float = TOLERANCE,
) -> LayerAnalysis:
    """Analyse manifolds in a layer; what the theory cannot treat has a reason in place of numbers.

    Fewer points would make manifolds smaller, and their capacity larger than that of the same manifolds in other
    layers: a layer with too few features is left out, not thinned.

    Args:
        points: [manifolds, features, samples]. kappa, n_t, confidence, tolerance: as for `mftma`.
        trials: of the simulated capacity, which has no margin; 0 for none.
        seed: of Gaussian vectors and trials.

    Raises:
        ValueError: as for `mftma`, but for points that the theory says nothing about.
    """
    try:
        geometry = mftma(points, kappa, n_t, seed, confidence=confidence, tolerance=tolerance)
    except UnsuitedManifoldsError as error:
        return LayerAnalysis(str(error), None, math.nan, math.nan, None)
    radius, dimension = geometry.radius.value, geometry.dimension.value
    ball = ball_capacity(radius, dimension, kappa) if dimension > 0 else point_capacity(kappa)
    point = point_capacity(kappa + radius * math.sqrt(dimension))
    return LayerAnalysis(ANALYSED, geometry, ball, point, _simulated(points, trials, seed, confidence))


def _simulated(points: Tensor, trials: int, seed: int, confidence: float) -> SimulatedCapacity | None:
    if not trials:
        return None
    try:
        return simulated_capacity(points, trials, seed, confidence)
    except UnsuitedManifoldsError:
        return None
