"""Distance from an image to the decision boundary nearest to it, and the class on the other side.

The signed face number compares persistence with this distance (Bell, proposition 4.3), so it must not be overestimated.
For each image and other class the nearest point with Z_other - Z_own >= 0 is looked for by sequential linearised
projection: the image itself, not the last iterate, is projected onto the half-space that linearises the constraint at
the iterate (Moosavi-Dezfooli et al. 2016, equation 8, project the iterate, which overestimates). That is sequential
quadratic programming with the unit matrix as Hessian; a line search on the exact penalty function (Han 1977) makes it
settle where the boundary is curved, and a few earlier linearisations (Kelley 1960) where it has kinks.
"""

import logging
import math
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from neighborhoods.networks.inference import Classifier
from neighborhoods.networks.inputs import Array, images_for, labels_for
from neighborhoods.networks.modes import evaluating
from neighborhoods.statistics.intervals import Summary, interval_text, summarize_finite

log = logging.getLogger(__name__)

# Other classes tried for each image unless told: all of MNIST's, the most likely ones of ImageNet's.
MOST_CLASSES = 10

ARMIJO = 1e-4
MAX_HALVINGS = 10
# Linearisations kept, and passes of the small quadratic programme over them.
PLANES = 5
SWEEPS = 20
# What is left of the penalty's weight after a step: with that of the latest multiplier alone searches go back and forth
# between faces.
FADING = 0.9
# The first step is turned by this angle: where several faces are equally near autograd averages their gradients, which
# leads to the edge between them.
NUDGE = 1e-3
# The longest step grows to 1 over the first ones: full steps from the start leap over near pieces of the boundary and
# ended 1 to 2 % farther on the mean (spirals in 2 and 10 dimensions), up to 38 %.
RAMP = 8
# A step this small against the distance ends the search of one problem.
TOLERANCE = 1e-6
# The search often ends just short of the boundary: how far beyond its end to look, against the distance.
BEYOND = (1e-5, 1e-3, 3e-2, 0.3)

# Points looked at along a segment for the first change of class, and how closely it is then bisected, in roundings of
# the images' type. The point returned lies as many roundings beyond, so that it keeps its class in another batch.
SCAN = 24
ROUNDINGS = 16


@dataclass(frozen=True)
class Distance:
    """Distance to the boundary of each image, on the device of the images.

    Attributes:
        distance: L2 distance to `point` [images], float64, in units of `x`: an upper bound of the distance to the
            nearest boundary. 0 for an image that is not in its class, inf if no other class was found.
        point: where the class changes [images, ...], the first change along the segment from the image, on the far
            side by 16 to 32 roundings of the norm of the image or the offset. The pixels are not bounded. nan if no
            other class was found.
        neighbor: class of `point` [images], int64; -1 if no other class was found.
    """

    distance: Tensor
    point: Tensor
    neighbor: Tensor

    def __repr__(self) -> str:
        mean = self.summary()
        unreached = len(self.distance) - mean.n
        rest = f", {unreached} without another class in reach" if unreached else ""
        text = interval_text(mean.mean, mean.mean_low, mean.mean_high)
        return f"Distance({len(self.distance)} images, mean = {text}{rest})"

    def summary(self, clusters: ArrayLike | None = None, confidence: float = 0.95) -> Summary:
        """Mean and median over the images that have another class in reach, with intervals for images of the same kind.

        Args:
            clusters: as for `statistics.summarize`: a label for each image, equal for images made from one original.
        """
        return summarize_finite(self.distance.cpu().numpy(), clusters, confidence)


def boundary_distance(
    model: Classifier,
    x: Array,
    *,
    label: Array | None = None,
    classes: int | None = None,
    steps: int = 40,
    batch_size: int = 512,
) -> Distance:
    """Distance in L2 from each image to the nearest decision boundary found, with no box around the pixels.

    Each search ends in a local minimum; the nearest of all classes is returned. What is exact is that the class changes
    at `point`, and so the bound. No other class is found where the logits have no gradient, or where none can be
    reached: such images are censored, with the distance inf. A stretch of another class on the segment to `point`
    shorter than 1/24 of the search's segment can go unseen. Where more than five faces meet in the nearest point and
    the image's own class surrounds them, that point may be missed or found late.

    Args:
        model: images [B, ...] to logits [B, classes], differentiable by autograd, rows independent of each other; put
            an `nn.Module` in evaluation mode yourself if it is hidden in a callable.
        x: images [images, ...], floating point, a tensor or an array (see `inputs.images_for`); the computation has
            their precision.
        label: class of each image [images], whole numbers; that of the model if None.
        classes: how many other classes to try for each image, those of the largest logits; None for all, but 10 at
            most.
        steps: linearisations of each search at most.
        batch_size: pairs of image and class in one forward pass (at least the pairs of one image).

    Raises:
        ValueError: an argument is out of range, or the images or logits are not finite or of the wrong shape.
    """
    if steps < 1 or batch_size < 1 or (classes is not None and classes < 1):
        raise ValueError(f"steps, batch_size and classes must be at least 1, found {steps}, {batch_size}, {classes}")
    x = images_for(model, x, logits=True)
    with evaluating(model):
        return _distances(model, x, label, classes, steps, batch_size)


def _distances(
    model: Classifier, x: Tensor, label: Array | None, classes: int | None, steps: int, batch_size: int
) -> Distance:
    logits = torch.cat([_logits(model, piece) for piece in x.split(batch_size)])
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2 or not bool(torch.isfinite(logits).all()):
        raise ValueError(f"expected finite logits [images, 2 classes or more], found shape {tuple(logits.shape)}")
    predicted = logits.argmax(1)
    own = predicted if label is None else labels_for(label, len(x), logits.shape[1]).to(x.device)

    tried = min(logits.shape[1] - 1, MOST_CLASSES if classes is None else classes)
    others = logits.scatter(1, own[:, None], -math.inf).topk(tried, dim=1).indices
    point = torch.full_like(x, math.nan)
    neighbor = torch.full_like(own, -1)
    outside = predicted != own
    point[outside], neighbor[outside] = x[outside], predicted[outside]
    done = int(outside.sum())
    for rows in (~outside).nonzero()[:, 0].split(max(1, batch_size // tried)):
        pairs = rows.repeat_interleave(tried)
        towards = _search(model, x[pairs], own[pairs], others[rows].flatten(), steps)
        point[rows], neighbor[rows] = _nearest_change(model, x[rows], own[rows], towards.unflatten(0, (-1, tried)))
        done += len(rows)
        log.info("boundary distance: %d of %d images", done, len(x))
    distance = (point.double() - x.double()).flatten(1).norm(dim=1)
    return Distance(torch.where(neighbor < 0, math.inf, distance), point, neighbor)


@torch.no_grad()
def _logits(model: Classifier, x: Tensor) -> Tensor:
    return model(x)


def _constraint(model: Classifier, x: Tensor, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Z_other - Z_own [n] and its gradient [n, pixels] at images [n, ...]."""
    with torch.enable_grad():
        variable = x.detach().requires_grad_(True)
        gap = _gap(model(variable), own, other)
        (gradient,) = torch.autograd.grad(gap.sum(), variable)
    return gap.detach(), gradient.flatten(1)


def _gap(logits: Tensor, own: Tensor, other: Tensor) -> Tensor:
    return (logits.gather(1, other[:, None]) - logits.gather(1, own[:, None]))[:, 0]


class _Nearest:
    """The shortest offset of each problem seen to lead out of its class: [n, pixels], nan before there is one."""

    def __init__(self, model: Classifier, x: Tensor, own: Tensor) -> None:
        self.model, self.x, self.own = model, x, own
        self.offset = torch.full_like(x.flatten(1), math.nan)
        self.length = torch.full_like(self.offset[:, 0], math.inf)

    def look(self, rows: Tensor, offset: Tensor) -> Tensor:
        """Logits [m, classes] at offsets [m, pixels] of some problems [m]; those out of their class are noted."""
        logits = _logits(self.model, self.x[rows] + offset.reshape(-1, *self.x.shape[1:]))
        length = offset.norm(dim=1)
        nearer = (logits.argmax(1) != self.own[rows]) & (length < self.length[rows])
        self.offset[rows[nearer]], self.length[rows[nearer]] = offset[nearer], length[nearer]
        return logits


def _search(model: Classifier, x: Tensor, own: Tensor, other: Tensor, steps: int) -> Tensor:
    """Shortest offset found that leads out of the class, for each of n problems: [n, pixels], nan if there is none.

    Minimizes ||r||^2 / 2 subject to f(r) = Z_other(x + r) - Z_own(x + r) >= 0. Each step goes towards the shortest
    offset that satisfies the linearisation of f at r and, once a line search has failed at a kink, those of earlier
    steps that do not lie below f at r (for a concave f none does). With lam the sum of the multipliers, such a step
    lowers the exact penalty function ||r||^2 / 2 + mu max(0, -f) for every mu >= lam, at a rate of at least its squared
    length.
    """
    nearest = _Nearest(model, x, own)
    offset = torch.zeros_like(x.flatten(1))
    n = len(offset)
    normal = offset.new_zeros(n, PLANES, offset.shape[1])
    level = offset.new_full((n, PLANES), -1.0)
    weight = torch.zeros_like(offset[:, 0])
    failures = torch.zeros_like(own)
    kinked = torch.zeros_like(own, dtype=torch.bool)
    nudge = torch.randn(offset.shape[1], generator=torch.Generator().manual_seed(0)).to(offset)
    nudge *= NUDGE / nudge.norm()
    active = torch.arange(n, device=x.device)
    ramp = min(RAMP, steps)
    for i in range(steps):
        r = offset[active]
        f, g = _constraint(model, x[active] + r.reshape(-1, *x.shape[1:]), own[active], other[active])
        a, b = normal[active], level[active]
        below = (a @ r[:, :, None])[:, :, 0] - b < f[:, None] - TOLERANCE * a.norm(dim=2) * r.norm(dim=1)[:, None]
        a[below], b[below] = 0.0, -1.0
        a[:, i % PLANES], b[:, i % PLANES] = g, (g * r).sum(1) - f
        normal[active], level[active] = a, b
        multiplier = b[:, i % PLANES].clamp_min(0) / g.square().sum(1)
        target = multiplier[:, None] * g
        several = kinked[active]
        if bool(several.any()):
            multipliers = _shortest(a[several], b[several])
            multiplier[several] = multipliers.sum(1)
            target[several] = (multipliers[:, None] @ a[several])[:, 0]
        step = target - r
        if i == 0:
            step = step + step.norm(dim=1, keepdim=True) * nudge
        usable = g.any(1) & torch.isfinite(step).all(1)
        usable &= step.norm(dim=1) > TOLERANCE * r.norm(dim=1)
        active, r, f, step, multiplier = (values[usable] for values in (active, r, f, step, multiplier))
        if len(active) == 0:
            break
        longest = min((i + 1) / ramp, 1.0)
        weight[active] = torch.maximum(FADING * weight[active], 2 * multiplier)
        offset[active], accepted = _line_search(nearest, active, other[active], r, f, step, weight[active], longest)
        kinked[active] |= ~accepted
        failures[active] = torch.where(accepted, 0, failures[active] + 1)
        active = active[failures[active] < PLANES]
    everyone = torch.arange(n, device=x.device)
    for extra in BEYOND:
        nearest.look(everyone, (1 + extra) * offset)
    return nearest.offset


def _shortest(a: Tensor, b: Tensor) -> Tensor:
    """Multipliers [n, m] of the shortest r with a r >= b, r = a^T multipliers, by coordinate ascent on the dual.

    Args:
        a: normals [n, m, pixels]. b: levels [n, m].
    """
    gram = a @ a.transpose(1, 2)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    multiplier = torch.zeros_like(b)
    for _ in range(SWEEPS):
        for i in range(b.shape[1]):
            change = (b[:, i] - (gram[:, i] * multiplier).sum(1)) / diagonal[:, i]
            # An empty plane has a normal of zero.
            multiplier[:, i] = torch.where(diagonal[:, i] > 0, (multiplier[:, i] + change).clamp_min(0), 0)
    return multiplier


def _line_search(
    nearest: _Nearest,
    problems: Tensor,
    other: Tensor,
    r: Tensor,
    f: Tensor,
    step: Tensor,
    mu: Tensor,
    length: float,
) -> tuple[Tensor, Tensor]:
    """Halve each problem's step, from a share `length` of it, until the penalty falls.

    Where it never does, the last and shortest step is taken: it has crossed a kink, whose other side is needed next.

    Returns:
        New offsets [m, pixels] and whether the penalty fell [m].
    """
    value = r.square().sum(1) / 2 + mu * (-f).clamp_min(0)
    rate = ARMIJO * step.square().sum(1)
    moved = torch.empty_like(r)
    accepted = torch.zeros_like(problems, dtype=torch.bool)
    remaining = torch.arange(len(problems), device=r.device)
    for _ in range(MAX_HALVINGS):
        trial = r[remaining] + length * step[remaining]
        rows = problems[remaining]
        gap = _gap(nearest.look(rows, trial), nearest.own[rows], other[remaining])
        penalty = trial.square().sum(1) / 2 + mu[remaining] * (-gap).clamp_min(0)
        good = penalty <= value[remaining] - length * rate[remaining]
        moved[remaining], accepted[remaining] = trial, good
        remaining = remaining[~good]
        if len(remaining) == 0:
            break
        length /= 2
    return moved, accepted


def _nearest_change(model: Classifier, x: Tensor, own: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """The first changes of class along segments from x to x + offset, and of those of each image the nearest.

    Args:
        x: images [n, ...]. own: their classes [n]. offset: ends of the segments [n, m, pixels], where the class
            is another; nan for no segment.

    Returns:
        Points [n, ...], nan where no segment is, and their classes [n], -1 there.
    """
    n, m = offset.shape[:2]
    length = offset.norm(dim=2).flatten()
    rows = torch.isfinite(length).nonzero()[:, 0]
    image, ends = rows // m, offset.flatten(0, 1)[rows]

    def points(which: Tensor, t: Tensor) -> Tensor:
        return x[image[which]] + (t[:, None].to(x.dtype) * ends[which]).reshape(-1, *x.shape[1:])

    def changed(which: Tensor, t: Tensor) -> Tensor:
        return _logits(model, points(which, t)).argmax(1) != own[image[which]]

    # Fractions of a segment: at `low` the class is the image's own, at `high` another.
    low = torch.zeros(len(rows), dtype=torch.float64, device=x.device)
    high = torch.ones_like(low)
    unchanged = torch.arange(len(rows), device=x.device)
    for i in range(1, SCAN):
        t = torch.full_like(low[unchanged], i / SCAN)
        change = changed(unchanged, t)
        high[unchanged[change]] = t[change]
        unchanged = unchanged[~change]
        low[unchanged] = i / SCAN
    # A segment whose change lies surely beyond that of another needs no bisection.
    nearest = low.new_full((n,), math.inf).scatter_reduce(0, image, high * length[rows], "amin")
    left = (low * length[rows] <= nearest[image]).nonzero()[:, 0]
    for _ in range(math.ceil(-math.log2(SCAN * ROUNDINGS * torch.finfo(x.dtype).eps))):
        middle = (low[left] + high[left]) / 2
        change = changed(left, middle)
        high[left] = torch.where(change, middle, high[left])
        low[left] = torch.where(change, low[left], middle)

    far = low.new_full((n * m,), math.inf)
    far[rows[left]] = high[left] * length[rows[left]]
    shortest, best = far.reshape(n, m).min(1)
    found = torch.isfinite(shortest).nonzero()[:, 0]
    position = torch.full_like(best.new_empty(n * m), -1)
    position[rows] = torch.arange(len(rows), device=x.device)
    which = position[found * m + best[found]]
    point, neighbor = torch.full_like(x, math.nan), torch.full_like(own, -1)
    if len(found):
        size = x[found].flatten(1).norm(dim=1) / length[rows[which]]
        beyond = high[which] + ROUNDINGS * torch.finfo(x.dtype).eps * size.clamp_min(1.0)
        point[found] = points(which, beyond)
        top = _logits(model, point[found]).scatter(1, own[found, None], -math.inf)
        neighbor[found] = top.argmax(1)
    return point, neighbor
