"""Lines through the probits of counts, by penalized maximum likelihood, for many images at once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The prior of a slope: log-normal about this one, with this width. A half-space has 0.52 at gamma = 0.7, sharp cones 3,
# photos 5 to 20. And the width of the prior of the place about 1.
USUAL_SLOPE, SLOPE_WIDTH = 1.5, 0.5
PLACE_WIDTH = 1.0
FLATTEST, STEEPEST = 0.25, 1000.0

# Each image's line goes on until its own steps are this short, at most so often: none depends on the others.
CONVERGED = 1e-3
ITERATIONS = 30
LONGEST_STEPS = (0.5, 1.0)

# Probits further out are as good as these.
OUTERMOST = 8.0


@dataclass(frozen=True)
class ProbitLine:
    """probit(share) = goal + slope (t - place), for each image [n].

    Attributes:
        place, slope: of the line, float64.
        information: how many samples at the place would fix it as well as all counts do.
    """

    place: Tensor
    slope: Tensor
    information: Tensor


def fit_line(
    t: Tensor, kept: Tensor, samples: Tensor, weight: Tensor, goal: float, along: ProbitLine | None = None
) -> ProbitLine:
    """The line that makes counts most likely, by damped scoring steps.

    Args:
        t: where each count was made [n, counts]. kept, samples: counts [n, counts]; samples may be 0.
        weight: how much each count's likelihood weighs [n, counts].
        goal: probit of the share that is looked for.
        along: a line whose slope is taken, so that the place alone is fitted.
    """
    if along is None:
        place, log_slope = torch.ones(len(t), dtype=torch.float64), _full(t, math.log(USUAL_SLOPE))
    else:
        place, log_slope = along.place.clone(), along.slope.log()
    gained, lost = weight * kept, weight * (samples - kept)
    # Of the images whose line is not found yet.
    rows = torch.arange(len(t))
    line = _Trial(t, gained, lost, goal, place, log_slope)
    damping = _full(t, 1e-3)
    for _ in range(ITERATIONS):
        move, steepen = _steps(line, damping, along is None)
        tried = line.moved(move.clamp(-LONGEST_STEPS[0], LONGEST_STEPS[0]), steepen)
        better = tried.value <= line.value
        damping = torch.where(better, damping / 3, damping * 8)
        # In probits, whose standard error is above 0.01 for 10,000 samples; the step just made leaves far less.
        found = (move.abs() * line.log_slope.exp() < CONVERGED) & (steepen.abs() < CONVERGED)
        line = tried.where(better, line)
        place[rows], log_slope[rows] = line.place, line.log_slope
        if bool(found.any()):
            rows, damping, line = rows[~found], damping[~found], line.rows(~found)
            if len(rows) == 0:
                break
    slope = log_slope.exp()
    up, down = _Trial(t, gained, lost, goal, place, log_slope).ratios()
    return ProbitLine(place, slope, _information(t, (gained + lost) * up * down, place, slope, goal))


def _steps(line: "_Trial", damping: Tensor, both: bool) -> tuple[Tensor, Tensor]:
    """Scoring steps of place and log slope [n], of the place alone if not `both`."""
    up, down = line.ratios()
    score, curvature = line.gained * up - line.lost * down, (line.gained + line.lost) * up * down
    by_place = -line.log_slope.exp()[:, None]
    pull = (score * by_place).sum(1) - (line.place - 1) / PLACE_WIDTH**2
    stiff = ((curvature * by_place**2).sum(1) + 1 / PLACE_WIDTH**2) * (1 + damping)
    if not both:
        return pull / stiff, torch.zeros_like(pull)
    by_slope = by_place * (line.place[:, None] - line.t)
    turn = (score * by_slope).sum(1) - (line.log_slope - math.log(USUAL_SLOPE)) / SLOPE_WIDTH**2
    firm = ((curvature * by_slope**2).sum(1) + 1 / SLOPE_WIDTH**2) * (1 + damping)
    crossed = (curvature * by_place * by_slope).sum(1)
    determinant = stiff * firm - crossed**2
    steepen = ((stiff * turn - crossed * pull) / determinant).clamp(-LONGEST_STEPS[1], LONGEST_STEPS[1])
    within = (line.log_slope + steepen).clamp(math.log(FLATTEST), math.log(STEEPEST)) - line.log_slope
    return (firm * pull - crossed * turn) / determinant, within


class _Trial:
    """Lines with the shares they give, and what is minimized: the negative log likelihood with its penalty [n]."""

    def __init__(self, t: Tensor, gained: Tensor, lost: Tensor, goal: float, place: Tensor, log_slope: Tensor) -> None:
        self.t, self.gained, self.lost, self.goal = t, gained, lost, goal
        self.place, self.log_slope = place, log_slope
        self.q = (goal + log_slope.exp()[:, None] * (t - place[:, None])).clamp(-OUTERMOST, OUTERMOST)
        self.share, self.rest = _distribution(self.q), _distribution(-self.q)
        penalty = ((log_slope - math.log(USUAL_SLOPE)) / SLOPE_WIDTH) ** 2 + ((place - 1) / PLACE_WIDTH) ** 2
        self.value = penalty / 2 - (gained * self.share.log() + lost * self.rest.log()).sum(1)

    def moved(self, move: Tensor, steepen: Tensor) -> "_Trial":
        return _Trial(self.t, self.gained, self.lost, self.goal, self.place + move, self.log_slope + steepen)

    def where(self, chosen: Tensor, other: "_Trial") -> "_Trial":
        for name in ("place", "log_slope", "q", "share", "rest", "value"):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, torch.where(chosen[:, None] if mine.ndim == 2 else chosen, mine, theirs))
        return self

    def rows(self, some: Tensor) -> "_Trial":
        for name in ("t", "gained", "lost", "place", "log_slope", "q", "share", "rest", "value"):
            setattr(self, name, getattr(self, name)[some])
        return self

    def ratios(self) -> tuple[Tensor, Tensor]:
        """Normal density over distribution at q and at -q."""
        density = torch.exp(-(self.q**2) / 2) / math.sqrt(2 * math.pi)
        return density / self.share, density / self.rest


def _full(like: Tensor, value: float) -> Tensor:
    return torch.full((len(like),), value, dtype=torch.float64)


def _distribution(q: Tensor) -> Tensor:
    return torch.special.erfc(q * -math.sqrt(0.5)) / 2


def _information(t: Tensor, each: Tensor, place: Tensor, slope: Tensor, goal: float) -> Tensor:
    """Fisher's information about the place, the slope being unknown, in samples made at the place."""
    arm = place[:, None] - t
    straight, crossed, turned = each.sum(1), (each * arm).sum(1), (each * arm**2).sum(1)
    left = straight - crossed**2 / (turned + 1 / (SLOPE_WIDTH * slope) ** 2)
    share = (1 + math.erf(goal / math.sqrt(2))) / 2
    return left * share * (1 - share) * 2 * math.pi * math.exp(goal**2)
