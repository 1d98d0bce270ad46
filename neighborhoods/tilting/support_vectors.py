"""Linear support vector machines along a path of costs, solved exactly (Cortes and Vapnik 1995).

    minimise over w, b:   ½ ||w||² + C sum_i max(0, 1 - y_i (w . x_i + b))

The bias is not regularised, as in LIBSVM. A primal-dual interior point method works on the dual in units of C,

    minimise over 0 <= a <= 1, y . a = 0:   ½ C ||sum_i a_i y_i x_i||² - sum_i a_i,

with Mehrotra's predictor and corrector. Its linear systems are of the smaller of two sizes: the features (Ferris and
Munson 2002), or those points that are neither clearly at 0 nor clearly at 1. Each cost starts from the way to the
solution of the one before it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Beyond it a step changes what is left of an error by rounding only.
CONDITION = 1e12
# Error of the Newton matrix, relative, from points that are left out of it.
LEFT_OUT = 1e-2
# What may be left of the right side of a Newton system, and passes that refine its solution at most.
UNSOLVED = 1e-9
REFINED = 3
# Share of the way to the nearest bound that a step takes at most.
TO_BOUND = 0.9995
# The next cost starts from where the products of multipliers and duals were last above this in the mean: nearer to the
# solution points are too close to bounds that they have to leave.
WARM = 1e-3


@dataclass(frozen=True)
class SupportVectors:
    """Linear classifiers along a path of L costs.

    Attributes:
        weight: w [L, D]. bias: b [L]; the middle where several are best.
        objective: value of the minimised function [L]. gap: its distance to a lower bound from feasible multipliers,
            over the objective [L]; the true minimum lies within it.
        steps: Newton steps taken [L].
    """

    weight: Tensor
    bias: Tensor
    objective: Tensor
    gap: Tensor
    steps: Tensor


def svm_path(x: Tensor, y: Tensor, costs: Tensor, tolerance: float = 1e-8, max_steps: int = 100) -> SupportVectors:
    """The soft-margin SVM at each cost.

    Args:
        x: points [N, D]. y: their classes, -1 or +1 [N]. costs: C > 0 [L], in any order; path steps are cheapest when
            neighbours are close.
        tolerance: largest relative duality gap. max_steps: Newton steps for one cost at most. The best classifier
            met is returned, and its gap tells what was reached.

    Returns:
        The classifiers in the order of `costs`, float64.

    Raises:
        ValueError: wrong shapes, a value that is not finite, a label that is neither -1 nor +1, an empty class, or a
            cost that is not positive.
    """
    x, y, costs = x.double(), y.double(), costs.double()
    _check(x, y, costs)
    centre = x.mean(0)
    varies = (x != x[0]).any(0)
    signed = (x - centre)[:, varies] * y[:, None]
    order = costs.argsort()
    path = torch.zeros(len(costs), x.shape[1], dtype=x.dtype, device=x.device)
    rows = []
    start: Start | None = None
    for cost in costs[order].tolist():
        solver = _Solver(signed, y, cost, start)
        rows.append(solver.run(tolerance, max_steps))
        start = solver.state
    weights, biases, objectives, gaps, steps = (list(part) for part in zip(*rows, strict=True))
    back = order.argsort()
    path[:, varies] = torch.stack(weights)[back]
    bias, objective, gap = (torch.stack(part)[back] for part in (biases, objectives, gaps))
    return SupportVectors(path, bias - path @ centre, objective, gap, torch.tensor(steps)[back])


def best_bias(scores: Tensor, y: Tensor) -> Tensor:
    """The bias that minimises sum max(0, 1 - y (scores + b)): the middle of the optimal interval.

    The sum is piecewise linear in b with slope -N₊ at the left and one more behind each of the points y - score, so
    that the minimum lies between the N₊-th of them in order and the next.

    Args:
        scores: w . x [N]. y: classes [N], both present.
    """
    positive = int((y > 0).sum())
    ends = (y - scores).sort().values
    return (ends[positive - 1] + ends[positive]) / 2


# Multipliers, bias, and mean product of multipliers and duals.
Start = tuple[Tensor, Tensor, float]


class _Solver:
    """State of the interior point method at one cost: multipliers a, 1 - a, their duals z, v, and the bias."""

    def __init__(self, signed: Tensor, y: Tensor, cost: float, start: Start | None) -> None:
        self.signed, self.y, self.cost = signed, y, cost
        self.size = signed.square().sum(1)
        self.a, self.bias, mean = start or (torch.full_like(y, 0.5), y.new_zeros(()), 1.0)
        self.u = 1 - self.a
        gradient = self._gradient()
        # z - v is the gradient, z v what it is on the central path.
        product = mean**2 / (self.a * self.u)
        larger = (gradient.abs() + (gradient**2 + 4 * product).sqrt()) / 2
        self.z = torch.where(gradient > 0, larger, product / larger)
        self.v = torch.where(gradient > 0, product / larger, larger)
        self.state = start

    def run(self, tolerance: float, max_steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
        """Weight, bias, objective and relative gap, the best met, and steps."""
        best = self._certificate()
        step = 0
        while best[3] > tolerance and step < max_steps:
            try:
                self._advance()
            except torch.linalg.LinAlgError:
                # Rounding has used up what precision there is.
                break
            step += 1
            found = self._certificate()
            if found[3] < best[3]:
                best = found
        return *best, step

    def _weight(self, a: Tensor) -> Tensor:
        return self.cost * (a @ self.signed)

    def _gradient(self) -> Tensor:
        return self.signed @ self._weight(self.a) - 1 + self.y * self.bias

    def _certificate(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weight with its best bias and objective, and the gap to the dual value of feasible multipliers near by."""
        positive, negative = (self.a * (self.y > 0)).sum(), (self.a * (self.y < 0)).sum()
        least = torch.minimum(positive, negative)
        a = self.a * torch.where(self.y > 0, least / positive, least / negative)
        weight = self._weight(a)
        margins = self.signed @ weight
        bias = best_bias(margins * self.y, self.y)
        half = weight.square().sum() / 2
        objective = half + self.cost * (1 - margins - self.y * bias).clamp(min=0).sum()
        gap = (objective - (self.cost * a.sum() - half)) / objective
        return weight, bias, objective, gap

    def _advance(self) -> None:
        """One predictor and corrector step."""
        residual = -(self._gradient() - self.z + self.v)
        uneven = -(self.y @ self.a)
        mean = float(self.a @ self.z + self.u @ self.v) / (2 * len(self.y))
        if mean > WARM:
            self.state = (self.a, self.bias, mean)
        solve = self._system(self.z / self.a + self.v / self.u)
        along = solve(self.y)

        def direction(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            right = solve(residual + first / self.a - second / self.u)
            bias = (self.y @ right - uneven) / (self.y @ along)
            a = right - bias * along
            return a, (first - self.z * a) / self.a, (second + self.v * a) / self.u, bias

        a, z, v, _ = direction(-self.a * self.z, -self.u * self.v)
        length = self._length(a, z, v)
        ahead = (self.a + length * a) @ (self.z + length * z) + (self.u - length * a) @ (self.v + length * v)
        target = (ahead / (2 * len(self.y)) / mean) ** 3 * mean
        a, z, v, bias = direction(target - self.a * self.z - a * z, target - self.u * self.v + a * v)
        length = self._length(a, z, v)
        self.a = self.a + length * a
        self.u = self.u - length * a
        self.z = self.z + length * z
        self.v = self.v + length * v
        self.bias = self.bias + length * bias

    def _system(self, diagonal: Tensor) -> Callable[[Tensor], Tensor]:
        """Solver of (C A A' + D) t = r for the signed points A.

        The factor leaves rows out whose D outweighs all else, and loses digits where points repeat: refinement, with
        the whole matrix, makes up for both.
        """
        most = self.cost * self.size.max()
        diagonal = diagonal.clamp(min=float(most / CONDITION))
        weights = self.cost * self.size / diagonal
        order = weights.argsort()
        kept = order[weights[order].cumsum(0) > LEFT_OUT]
        points, own = self.signed[kept], diagonal[kept]
        if len(kept) <= points.shape[1]:
            matrix = self.cost * points @ points.T + own.diag()
        else:
            scaled = points / own.sqrt()[:, None]
            matrix = self.cost * scaled.T @ scaled
            matrix.diagonal().add_(1)
        factor = torch.linalg.cholesky(matrix)

        def roughly(right: Tensor) -> Tensor:
            found = right / diagonal
            if len(kept) <= points.shape[1]:
                found[kept] = torch.cholesky_solve(right[kept, None], factor)[:, 0]
            else:
                inner = torch.cholesky_solve((points.T @ found[kept])[:, None], factor)[:, 0]
                found[kept] -= self.cost * (points @ inner) / own
            return found

        def solve(right: Tensor) -> Tensor:
            found = roughly(right)
            for _ in range(REFINED):
                left = right - self.cost * (self.signed @ (found @ self.signed)) - diagonal * found
                if left.norm() <= UNSOLVED * right.norm():
                    break
                found = found + roughly(left)
            return found

        return solve

    def _length(self, a: Tensor, z: Tensor, v: Tensor) -> float:
        values, changes = torch.cat([self.a, self.u, self.z, self.v]), torch.cat([a, -a, z, v])
        falls = changes < 0
        if not falls.any():
            return 1.0
        return min(1.0, TO_BOUND * float((-values[falls] / changes[falls]).min()))


def _check(x: Tensor, y: Tensor, costs: Tensor) -> None:
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"expected points [N, D] and labels [N], found {list(x.shape)} and {list(y.shape)}")
    if not torch.isfinite(x).all():
        raise ValueError("expected points of finite values, found others")
    if not ((y == 1) | (y == -1)).all():
        raise ValueError("expected labels -1 and +1, found others")
    for label in (-1, 1):
        if not (y == label).any():
            raise ValueError(f"expected points of both classes, found none labelled {label:+d}")
    if costs.ndim != 1 or not len(costs) or not ((costs > 0) & torch.isfinite(costs)).all():
        raise ValueError(f"expected a list of positive, finite costs, found {costs.tolist()}")
