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

ARMIJO = 1e-4
MAX_HALVINGS = 20
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
    history: int = 10,
    gradient_tolerance: float = 1e-5,
    value_tolerance: float = 1e-9,
) -> Minimum:
    """Minimize n independent functions on [lower, upper]^d by projected L-BFGS.

    The quasi-Newton direction is taken in the free variables (those not held at a bound by the gradient), with the
    two-metric projection of Bertsekas (1982) and the two-loop recursion of Nocedal (1980); Armijo backtracking runs
    along the projected path. All problems step together, each with its own history and step length, and leave the
    batch when they are done.

    Args:
        objective: see `Objective`; it must treat rows independently.
        start: first points in the box [n, d].
        max_steps: quasi-Newton steps at most. history: pairs kept.
        gradient_tolerance: stop when no component of the projected gradient exceeds it.
        value_tolerance: stop when a step lowers the value by less than this times max(|value|, 1).
    """
    x = start.clamp(lower, upper).clone()
    n, d = x.shape
    everyone = torch.arange(n, device=x.device)
    value, gradient = objective(x, everyone)
    evaluations = torch.ones(n, dtype=torch.int64, device=x.device)
    converged = torch.zeros(n, dtype=torch.bool, device=x.device)
    pairs_s = x.new_zeros(history, n, d)
    pairs_y = x.new_zeros(history, n, d)
    rho = x.new_zeros(history, n)
    active = everyone
    for step in range(max_steps):
        projected = (x[active] - gradient[active]).clamp(lower, upper) - x[active]
        done = projected.abs().amax(1) <= gradient_tolerance
        converged[active[done]] = True
        active = active[~done]
        if len(active) == 0:
            break
        point, slope = x[active], gradient[active]
        free = ~(((point <= lower) & (slope > 0)) | ((point >= upper) & (slope < 0)))
        order = [(step - 1 - i) % history for i in range(min(step, history))]
        direction = -_two_loop(
            slope * free, pairs_s[:, active] * free, pairs_y[:, active] * free, rho[:, active], order
        )
        direction = direction * free
        # Where the history gives no descent, fall back on the gradient, scaled to a step of at most the box.
        uphill = (direction * slope).sum(1) >= 0
        direction[uphill] = -(slope * free)[uphill]
        length = torch.ones_like(value[active])
        if step == 0 or bool(uphill.any()):
            first = uphill if step else torch.ones_like(uphill)
            length[first] = (1 / direction[first].norm(dim=1).clamp_min(1e-12)).clamp(max=1.0)
        moved, new_value, new_gradient, used, accepted = _line_search(
            objective, active, point, value[active], slope, direction, length, lower, upper
        )
        evaluations[active] += used
        change, turn = moved - point, new_gradient - slope
        curvature = (change * turn).sum(1)
        usable = accepted & (curvature > CURVATURE * change.norm(dim=1) * turn.norm(dim=1))
        slot = step % history
        pairs_s[slot, active] = torch.where(usable[:, None], change, 0)
        pairs_y[slot, active] = torch.where(usable[:, None], turn, 0)
        rho[slot, active] = torch.where(usable, 1 / curvature, 0)
        progress = value[active] - new_value
        x[active] = torch.where(accepted[:, None], moved, point)
        gradient[active] = torch.where(accepted[:, None], new_gradient, slope)
        stalled = ~accepted | (progress <= value_tolerance * value[active].abs().clamp_min(1.0))
        value[active] = torch.where(accepted, new_value, value[active])
        converged[active[stalled]] = True
        active = active[~stalled]
        if len(active) == 0:
            break
    return Minimum(x, value, converged, evaluations)


def _two_loop(gradient: Tensor, s: Tensor, y: Tensor, rho: Tensor, order: list[int]) -> Tensor:
    """Inverse Hessian times gradient [n, d]; pairs [history, n, d], `order` from the newest to the oldest."""
    q = gradient.clone()
    alphas = {}
    for i in order:
        alphas[i] = rho[i] * (s[i] * q).sum(1)
        q -= alphas[i][:, None] * y[i]
    scale = torch.ones_like(gradient[:, 0])
    for i in reversed(order):
        # The newest usable pair sets the scale: it comes last here and overwrites older ones.
        squares = (y[i] * y[i]).sum(1)
        scale = torch.where((rho[i] > 0) & (squares > 0), (s[i] * y[i]).sum(1) / squares.clamp_min(1e-30), scale)
    q *= scale.clamp_min(1e-12)[:, None]
    for i in reversed(order):
        beta = rho[i] * (y[i] * q).sum(1)
        q += (alphas[i] - beta)[:, None] * s[i]
    return q


def _line_search(
    objective: Objective,
    problems: Tensor,
    point: Tensor,
    value: Tensor,
    slope: Tensor,
    direction: Tensor,
    length: Tensor,
    lower: float,
    upper: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Halve each problem's step until the projected point satisfies Armijo's condition."""
    moved, new_value, new_gradient = point.clone(), value.clone(), slope.clone()
    accepted = torch.zeros_like(value, dtype=torch.bool)
    used = torch.zeros_like(problems)
    open_rows = torch.arange(len(problems), device=point.device)
    for _ in range(MAX_HALVINGS):
        trial = (point[open_rows] + length[open_rows, None] * direction[open_rows]).clamp(lower, upper)
        trial_value, trial_gradient = objective(trial, problems[open_rows])
        used[open_rows] += 1
        bound = value[open_rows] + ARMIJO * (slope[open_rows] * (trial - point[open_rows])).sum(1)
        good = (trial_value <= bound) & torch.isfinite(trial_value)
        rows = open_rows[good]
        moved[rows], new_value[rows], new_gradient[rows] = trial[good], trial_value[good], trial_gradient[good]
        accepted[rows] = True
        open_rows = open_rows[~good]
        if len(open_rows) == 0:
            break
        length[open_rows] *= 0.5
    return moved, new_value, new_gradient, used, accepted


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
) -> Tensor:
    """The attack of Szegedy et al. 2014 (Bell, section 1.4.2): minimize c ||r||_2^2 + loss in the box [0, 1].

    With `fixed_c` every image has the same c: small ones end well inside the target's region, as Bell's Table 1
    needs. `minimal` searches the largest c for each image that still succeeds, in factors of ten and then by
    bisection of log c, and keeps the smallest successful distortion; such images lie on the boundary, where
    persistence tends to 0 (ERRATA of Bell, Part I).

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...]. label: true classes [n]. target: classes to reach [n], None to leave the label.
        c: weight of the squared distortion (the first one tried by `minimal`).
        max_steps: of each minimization. search_steps: bisections of log c of `minimal`.

    Returns:
        Adversarial images [n, ...]; of a failed image the last minimum.

    Raises:
        ValueError: unknown mode.
    """
    goal = label if target is None else target
    if mode == "fixed_c":
        return _solve(model, x, goal, target is not None, torch.full((len(x),), c).to(x), max_steps)
    if mode != "minimal":
        raise ValueError(f"unknown mode {mode!r} of L-BFGS, expected fixed_c or minimal")
    best = x.clone()
    best_distance = torch.full((len(x),), torch.inf).to(x)
    works = torch.zeros(len(x)).to(x)  # largest c that succeeded, 0 if none
    fails = torch.full((len(x),), torch.inf).to(x)  # smallest that failed
    current = torch.full((len(x),), c).to(x)
    for _ in range(search_steps + 8):
        x_adv = _solve(model, x, goal, target is not None, current, max_steps)
        with torch.no_grad():
            predicted = model(x_adv).argmax(1)
        success = predicted != label if target is None else predicted == target
        distance = (x_adv - x).flatten(1).norm(dim=1)
        better = success & (distance < best_distance)
        never = ~torch.isfinite(best_distance) & ~success
        best[better | never] = x_adv[better | never]
        best_distance = torch.where(better, distance, best_distance)
        works = torch.where(success, torch.maximum(works, current), works)
        fails = torch.where(success, fails, torch.minimum(fails, current))
        bisected = (works * fails).sqrt()
        current = torch.where(works == 0, current / 10, torch.where(torch.isinf(fails), current * 10, bisected))
    return best


def _solve(model: nn.Module, x: Tensor, goal: Tensor, targeted: bool, c: Tensor, max_steps: int) -> Tensor:
    found = minimize_in_box(attack_objective(model, x, goal, targeted, c), x.flatten(1), max_steps=max_steps)
    log.debug("L-BFGS: %d of %d converged", int(found.converged.sum()), len(x))
    return found.x.reshape(x.shape)
