"""Box-constrained L-BFGS over many independent problems at once, and the attack of Szegedy et al. built on it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

log = logging.getLogger(__name__)

# Objective of a batch: points [n, d] and the problems they belong to [n] to values [n] and gradients [n, d].
Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# Problems that are done [m] and their minima [m, d] to whether each starts again [m].
Again = Callable[[Tensor, Tensor], Tensor]

ARMIJO = 1e-4
MAX_SHORTENINGS = 20
# Curvature pairs with less than this share of |s| |y| would spoil the inverse Hessian.
CURVATURE = 1e-10


@dataclass(frozen=True)
class Minimum:
    """Result of `minimize_in_box` for each of n problems.

    Attributes:
        x: best points [n, d]. value: objective there [n].
        converged: whether the projected gradient or the progress fell below its tolerance [n].
        evaluations: objective evaluations of each problem [n].
    """

    x: Tensor
    value: Tensor
    converged: Tensor
    evaluations: Tensor


def minimize_in_box(
    objective: Objective,
    start: Tensor,
    lower: float = 0.0,
    upper: float = 1.0,
    *,
    max_steps: int = 200,
    history: int = 5,
    gradient_tolerance: float = 1e-5,
    value_tolerance: float = 1e-9,
    again: Again | None = None,
) -> Minimum:
    """Minimize n independent functions on [lower, upper]^d by projected L-BFGS.

    The quasi-Newton direction is taken in the free variables (those not held at a bound by the gradient), with the
    two-metric projection of Bertsekas (1982) and the two-loop recursion of Nocedal (1980); Armijo backtracking runs
    along the projected path. Each problem has its own history and step length, and takes one point to each evaluation
    of the batch, be it a new step or a shortened one; it leaves the batch when it is done.

    Args:
        objective: see `Objective`; it must treat rows independently.
        start: first points in the box [n, d].
        max_steps: quasi-Newton steps at most. history: pairs kept.
        gradient_tolerance: stop when no component of the projected gradient exceeds it.
        value_tolerance: stop when a step lowers the value by less than this times max(|value|, 1).
        again: see `Again`; the objective may have changed for those that start again, the result is their last.
    """
    start = start.clamp(lower, upper)
    n, d = start.shape
    x, gradient, direction = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    # The first trial of a problem is its start, accepted at once because of this value.
    value = torch.full_like(start[:, 0], torch.inf)
    length = torch.ones_like(value)
    steps = torch.full((n,), -1, device=x.device)
    shortened = torch.zeros_like(steps)
    evaluations = torch.zeros_like(steps)
    converged = torch.zeros(n, dtype=torch.bool, device=x.device)
    memory = _Memory(n, history, d, x)
    active = torch.arange(n, device=x.device)
    while len(active) > 0:
        point, slope, old = x[active], gradient[active], value[active]
        trial = (point + length[active, None] * direction[active]).clamp(lower, upper)
        trial_value, trial_gradient = objective(trial, active)
        evaluations[active] += 1
        change = trial - point
        expected = (slope * change).sum(1)
        accepted = (trial_value <= old + ARMIJO * expected) & torch.isfinite(trial_value)

        rows = active[accepted]
        x[rows], value[rows], gradient[rows] = trial[accepted], trial_value[accepted], trial_gradient[accepted]
        steps[rows] += 1
        shortened[rows] = 0
        memory.add(rows, change[accepted], (trial_gradient - slope)[accepted])
        projected = (x[rows] - gradient[rows]).clamp(lower, upper) - x[rows]
        flat = projected.abs().amax(1) <= gradient_tolerance
        flat |= (old - trial_value)[accepted] <= value_tolerance * value[rows].abs().clamp_min(1.0)
        done = flat | (steps[rows] >= max_steps)
        converged[rows[flat]] = True

        # Where the quadratic through both values and the slope is least, between a tenth and a half.
        failed = active[~accepted]
        factor = -expected / (2 * (trial_value - old - expected))
        length[failed] *= factor.nan_to_num(0.1).clamp(0.1, 0.5)[~accepted]
        shortened[failed] += 1
        stuck = shortened[failed] >= MAX_SHORTENINGS
        converged[failed[stuck]] = True

        going = rows[~done]
        direction[going], length[going] = _direction(memory, going, x[going], gradient[going], lower, upper)
        finished = torch.cat([rows[done], failed[stuck]])
        if again is not None and len(finished):
            restarted = finished[again(finished, x[finished])]
            x[restarted], direction[restarted], gradient[restarted] = start[restarted], 0.0, 0.0
            value[restarted], steps[restarted], shortened[restarted] = torch.inf, -1, 0
            converged[restarted] = False
            memory.clear(restarted)
            going = torch.cat([going, restarted])
        active = torch.cat([going, failed[~stuck]]).sort().values
    return Minimum(x, value, converged, evaluations)


class _Memory:
    """Curvature pairs of n problems, each with a place of its own in the ring: [n, history, d]."""

    def __init__(self, n: int, history: int, d: int, like: Tensor) -> None:
        self.history = history
        self.s, self.y = like.new_zeros(n, history, d), like.new_zeros(n, history, d)
        # 1 / (s . y); 0 where there is no usable pair.
        self.rho = like.new_zeros(n, history)
        self.scale = like.new_ones(n)
        self.count = torch.zeros(n, dtype=torch.int64, device=like.device)

    def clear(self, rows: Tensor) -> None:
        self.rho[rows], self.scale[rows], self.count[rows] = 0.0, 1.0, 0

    def add(self, rows: Tensor, s: Tensor, y: Tensor) -> None:
        """Keep pairs [m, d] of some problems [m] where the curvature is clearly positive."""
        product, squares = (s * y).sum(1), (y * y).sum(1)
        usable = product > CURVATURE * (s.square().sum(1) * squares).sqrt()
        rows, product = rows[usable], product[usable]
        slot = self.count[rows] % self.history
        self.s[rows, slot], self.y[rows, slot], self.rho[rows, slot] = s[usable], y[usable], 1 / product
        self.scale[rows] = product / squares[usable]
        self.count[rows] += 1

    def apply(self, rows: Tensor, gradient: Tensor, free: Tensor) -> Tensor:
        """Inverse Hessian in the free variables [m, d] times gradients [m, d]."""
        q = gradient * free
        pairs = []
        for back in range(1, min(self.history, int(self.count[rows].max())) + 1):
            slot = (self.count[rows] - back) % self.history
            s, y, rho = self.s[rows, slot], self.y[rows, slot], self.rho[rows, slot]
            alpha = rho * (s * q).sum(1)
            q.addcmul_(y, alpha[:, None], value=-1).mul_(free)
            pairs.append((s, y, rho, alpha))
        q *= self.scale[rows, None]
        for s, y, rho, alpha in reversed(pairs):
            beta = rho * (y * q).sum(1)
            q.addcmul_(s, (alpha - beta)[:, None]).mul_(free)
        return q


def _direction(
    memory: _Memory, rows: Tensor, point: Tensor, slope: Tensor, lower: float, upper: float
) -> tuple[Tensor, Tensor]:
    """Descent directions [m, d] and first step lengths [m] of some problems [m] at points with slopes [m, d]."""
    if len(rows) == 0:
        return point, point.new_zeros(0)
    free = (~(((point <= lower) & (slope > 0)) | ((point >= upper) & (slope < 0)))).to(point)
    direction = -memory.apply(rows, slope, free)
    # Where the history gives no descent, fall back on the gradient; its length is that of a step of at most 1.
    plain = ((direction * slope).sum(1) >= 0) | (memory.count[rows] == 0)
    direction = torch.where(plain[:, None], -slope * free, direction)
    unit = (1 / direction.norm(dim=1).clamp_min(1e-12)).clamp(max=1.0)
    return direction, torch.where(plain, unit, 1.0)


def attack_objective(model: nn.Module, x: Tensor, goal: Tensor, targeted: bool, c: Tensor) -> Objective:
    """c ||r||_2^2 + loss(x + r, target) for each image; untargeted, minus the label's loss, bounded.

    Untargeted, the loss is -log(1 - p_label): minus the cross-entropy itself has no lower bound, so that c could
    not balance it.

    Args:
        x: images [n, ...]. goal: target, or label when untargeted [n]. c: weight of the distortion [n].
    """
    flat = x.flatten(1)

    def objective(points: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            variable = points.detach().requires_grad_(True)
            logits = model(variable.reshape(-1, *x.shape[1:]))
            if targeted:
                loss = functional.cross_entropy(logits, goal[problems], reduction="none")
            else:
                label = functional.one_hot(goal[problems], logits.shape[1]).bool()
                loss = logits.logsumexp(1) - logits.masked_fill(label, -torch.inf).logsumexp(1)
            total = loss + c[problems] * (variable - flat[problems]).square().sum(1)
            (gradient,) = torch.autograd.grad(total.sum(), variable)
        return total.detach(), gradient

    return objective


def lbfgs(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    mode: str = "fixed_c",
    c: float = 1e-3,
    max_steps: int = 200,
    search_steps: int = 10,
) -> tuple[Tensor, Tensor]:
    """The attack of Szegedy et al. 2014 (Bell, section 1.4.2): minimize c ||r||_2^2 + loss in the box [0, 1].

    With `fixed_c` every image has the same c: small ones end well inside the target's region, as Bell's Table 1
    needs. `minimal` searches the largest c for each image that still succeeds, in factors of ten and then by
    bisection of log c, and keeps the smallest successful distortion; such images lie on the boundary, where
    persistence tends to 0 (errata of Bell, Part I).

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...]. label: true classes [n]. target: classes to reach [n], None to leave the label.
        c: weight of the squared distortion (the first one tried by `minimal`).
        max_steps: of each minimization. search_steps: bisections of log c of `minimal`.

    Returns:
        Adversarial images [n, ...], of a failed image the last minimum; and gradient evaluations of each [n].

    Raises:
        ValueError: unknown mode.
    """
    goal = label if target is None else target
    if mode == "fixed_c":
        objective = attack_objective(model, x, goal, target is not None, torch.full((len(x),), c).to(x))
        found = minimize_in_box(objective, x.flatten(1), max_steps=max_steps)
        log.debug("L-BFGS: %d of %d converged", int(found.converged.sum()), len(x))
        return found.x.reshape(x.shape), found.evaluations
    if mode != "minimal":
        raise ValueError(f"unknown mode {mode!r} of L-BFGS, expected fixed_c or minimal")
    return _smallest(model, x, label, goal, target is not None, c, max_steps, search_steps + 8)


def _smallest(
    model: nn.Module, x: Tensor, label: Tensor, goal: Tensor, targeted: bool, first: float, max_steps: int, tries: int
) -> tuple[Tensor, Tensor]:
    """The nearest success of each image over a search of its own c, and its gradient evaluations.

    Images go on to their next c one by one.
    """
    best = x.clone()
    nearest = torch.full((len(x),), torch.inf).to(x)
    works = torch.zeros(len(x)).to(x)  # largest c that succeeded, 0 if none
    fails = torch.full((len(x),), torch.inf).to(x)  # smallest that failed
    c = torch.full((len(x),), first).to(x)
    left = torch.full((len(x),), tries, device=x.device)

    def again(rows: Tensor, points: Tensor) -> Tensor:
        made = points.reshape(-1, *x.shape[1:])
        with torch.no_grad():
            predicted = model(made).argmax(1)
        success = predicted == goal[rows] if targeted else predicted != label[rows]
        distance = (points - x[rows].flatten(1)).norm(dim=1)
        better = success & (distance < nearest[rows])
        keep = better | (torch.isinf(nearest[rows]) & ~success)
        best[rows[keep]], nearest[rows[better]] = made[keep], distance[better]
        tried = c[rows]
        works[rows] = torch.where(success, torch.maximum(works[rows], tried), works[rows])
        fails[rows] = torch.where(success, fails[rows], torch.minimum(fails[rows], tried))
        low, high = works[rows], fails[rows]
        c[rows] = torch.where(
            low == 0, tried / 10, torch.where(torch.isinf(high), tried * 10, low.sqrt() * high.sqrt())
        )
        left[rows] -= 1
        return left[rows] > 0

    objective = attack_objective(model, x, goal, targeted, c)
    found = minimize_in_box(objective, x.flatten(1), max_steps=max_steps, again=again)
    return best, found.evaluations
