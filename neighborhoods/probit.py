"""Lines through the probits of counts, by penalized maximum likelihood, for many images at once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The prior of a slope: log-normal about this one, with this width. A half-space has 0.52 at gamma = 0.7, sharp cones 3,
# photos 5 to 20. And the width of the prior of the place about 1.
USUAL_SLOPE, SLOPE_WIDTH = 1.5, 0.5
PLACE_WIDTH = 1.0
FLATTEST, STEEPEST = 0.25, 50.0

# Always as many steps, so that no image's line depends on the others; these leave errors far below those of counts.
ITERATIONS = 8
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
        place, log_slope = along.place, along.slope.log()
    gained, lost = weight * kept, weight * (samples - kept)
    damping = _full(t, 1e-3)
    state = _Probits(t, place, log_slope, gained, lost, goal)
    for _ in range(ITERATIONS):
        up, down = state.ratios()
        score, curvature = gained * up - lost * down, (gained + lost) * up * down
        by_place = -log_slope.exp()[:, None]
        pull = (score * by_place).sum(1) - (place - 1) / PLACE_WIDTH**2
        stiff = ((curvature * by_place**2).sum(1) + 1 / PLACE_WIDTH**2) * (1 + damping)
        if along is None:
            by_slope = by_place * (place[:, None] - t)
            turn = (score * by_slope).sum(1) - (log_slope - math.log(USUAL_SLOPE)) / SLOPE_WIDTH**2
            firm = ((curvature * by_slope**2).sum(1) + 1 / SLOPE_WIDTH**2) * (1 + damping)
            both = (curvature * by_place * by_slope).sum(1)
            determinant = stiff * firm - both**2
            move = (firm * pull - both * turn) / determinant
            steepen = ((stiff * turn - both * pull) / determinant).clamp(-LONGEST_STEPS[1], LONGEST_STEPS[1])
            new_slope = (log_slope + steepen).clamp(math.log(FLATTEST), math.log(STEEPEST))
        else:
            move, new_slope = pull / stiff, log_slope
        new_place = place + move.clamp(-LONGEST_STEPS[0], LONGEST_STEPS[0])
        tried = _Probits(t, new_place, new_slope, gained, lost, goal)
        better = tried.value <= state.value
        place, log_slope = torch.where(better, new_place, place), torch.where(better, new_slope, log_slope)
        state = tried.where(better, state)
        damping = torch.where(better, damping / 3, damping * 8)
    up, down = state.ratios()
    return ProbitLine(
        place, log_slope.exp(), _information(t, (gained + lost) * up * down, place, log_slope.exp(), goal)
    )


class _Probits:
    """Shares that a line gives, and what is minimized: the negative log likelihood with its penalty [n]."""

    def __init__(self, t: Tensor, place: Tensor, log_slope: Tensor, gained: Tensor, lost: Tensor, goal: float) -> None:
        self.q = (goal + log_slope.exp()[:, None] * (t - place[:, None])).clamp(-OUTERMOST, OUTERMOST)
        self.share, self.rest = _distribution(self.q), _distribution(-self.q)
        penalty = ((log_slope - math.log(USUAL_SLOPE)) / SLOPE_WIDTH) ** 2 + ((place - 1) / PLACE_WIDTH) ** 2
        self.value = penalty / 2 - (gained * self.share.log() + lost * self.rest.log()).sum(1)

    def where(self, chosen: Tensor, other: "_Probits") -> "_Probits":
        for name in ("q", "share", "rest"):
            setattr(self, name, torch.where(chosen[:, None], getattr(self, name), getattr(other, name)))
        self.value = torch.where(chosen, self.value, other.value)
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
