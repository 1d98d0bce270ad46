"""The shape of a training path: arcs and chords, where gradients point, how weights turn (Bell, Part II, sections 16,
20, 21 and 23, whose headings claim without numbers; the measures are defined here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from neighborhoods.path_kernel.loss_gradients import loss_gradients
from neighborhoods.path_kernel.path import Path


@dataclass(frozen=True)
class PathGeometry:
    """A path of S steps, measured at its S + 1 weights; g is the gradient of the mean loss over all training points.

    Attributes:
        arc: length of the path up to each weights [S + 1]. chord: distance from the start [S + 1].
        norm: L2 norm of the weights [S + 1].
        to_end: cosine between -g and the direction to the last weights [S], at all weights but these.
        successive: cosine between g before and after each step [S].
        change: |change of g| / length of each step [S], a curvature of the loss in units of 1 / weight^2 times the
            loss's.
    """

    arc: Tensor
    chord: Tensor
    norm: Tensor
    to_end: Tensor
    successive: Tensor
    change: Tensor


@dataclass(frozen=True)
class PathSummary:
    """One number for each property of a whole path.

    Attributes:
        arc_over_chord: 1 for a straight path.
        norm_change: |w_S| / |w_0| - 1.
        norm_monotonicity: |net change of the norm| / sum of its changes in size; 1 where it only grows or only falls.
        angular_share: share of |w_S - w_0|^2 that turning at constant norm makes: with theta the angle between both,
            |w_S - w_0|^2 = (|w_S| - |w_0|)^2 + 4 |w_0| |w_S| sin^2(theta / 2).
        to_end, successive: means of the cosines of `PathGeometry` over steps. Both depend on the step size, and
            the last of `to_end` is 1 by construction where the last step follows the gradient.
    """

    arc_over_chord: float
    norm_change: float
    norm_monotonicity: float
    angular_share: float
    to_end: float
    successive: float


def path_geometry(model: nn.Module, path: Path) -> PathGeometry:
    """Measure a path at every step.

    Raises:
        ValueError: no steps, or a path that does not leave its start.
    """
    w = _weights(model, path)
    moves = (w[1:] - w[:-1]).norm(dim=1)
    chord = (w - w[0]).norm(dim=1)
    if not chord[-1] > 0:
        raise ValueError("expected a path that ends elsewhere than it starts")
    g = loss_gradients(model, path, w)
    return PathGeometry(
        arc=torch.cat([moves.new_zeros(1), moves.cumsum(0)]),
        chord=chord,
        norm=w.norm(dim=1),
        to_end=cosine_similarity(-g[:-1], w[-1] - w[:-1], dim=1),
        successive=cosine_similarity(g[:-1], g[1:], dim=1),
        change=(g[1:] - g[:-1]).norm(dim=1) / moves,
    )


def summary_of(found: PathGeometry) -> PathSummary:
    """Sum up a path."""
    net, varied = found.norm[-1] - found.norm[0], found.norm.diff().abs().sum()
    return PathSummary(
        arc_over_chord=float(found.arc[-1] / found.chord[-1]),
        norm_change=float(found.norm[-1] / found.norm[0] - 1),
        norm_monotonicity=float(net.abs() / varied) if varied > 0 else 1.0,
        angular_share=float(1 - (net / found.chord[-1]).square()),
        to_end=float(found.to_end.mean()),
        successive=float(found.successive.mean()),
    )


def cosines_off_path(
    model: nn.Module, path: Path, *, steps: Sequence[int], fractions: Sequence[float], samples: int, seed: int
) -> Tensor:
    """Whether minus the gradient points to the end of a path from weights beside it (Bell, section 20).

    From w_s, a random direction is followed for a fraction of the distance to the end w_S. From there, the cosine is
    taken between -g and the direction to w_S. With fraction f a gradient that pointed from w_s to w_S would give about
    1 / sqrt(1 + f^2).

    Args:
        steps: numbers s of weights on the path, before the last. fractions: of the distance to the end.
        samples: random directions for each.

    Returns:
        Cosines [len(steps), len(fractions), samples].

    Raises:
        ValueError: a step that is not before the last weights, a negative fraction, or no samples.
    """
    if samples < 1 or not all(0 <= s < path.steps for s in steps) or not all(f >= 0 for f in fractions):
        raise ValueError(
            f"expected samples >= 1, steps in 0..{path.steps - 1} and fractions >= 0, "
            f"found {samples}, {list(steps)} and {list(fractions)}"
        )
    w = _weights(model, path)
    end, base = w[-1], w[list(steps)]
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(len(steps), len(fractions), samples, w.shape[1], generator=generator, dtype=w.dtype)
    directions = torch.nn.functional.normalize(directions.to(w.device), dim=-1)
    reach = (end - base).norm(dim=1)[:, None] * w.new_tensor(list(fractions))
    beside = (base[:, None, None] + reach[:, :, None, None] * directions).flatten(0, 2)
    found = cosine_similarity(-loss_gradients(model, path, beside), end - beside, dim=1)
    return found.view(len(steps), len(fractions), samples)


def random_cosine(dimension: int, confidence: float = 0.95) -> float:
    """Size that the cosine with a uniformly random direction stays below, with this probability.

    Its square has the law Beta(1/2, (dimension - 1) / 2).

    Raises:
        ValueError: fewer than two dimensions.
    """
    if dimension < 2:
        raise ValueError(f"expected at least two dimensions, found {dimension}")
    return float(stats.beta.ppf(confidence, 0.5, (dimension - 1) / 2)) ** 0.5


def _weights(model: nn.Module, path: Path) -> Tensor:
    steps = list(path.forward(model))
    if not steps:
        raise ValueError("expected a path of at least one step, found none")
    return torch.stack([*(step.w for step in steps), steps[-1].w + steps[-1].dw])
