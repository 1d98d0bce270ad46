"""The search for where a share of noisy images first falls below gamma, and for both limits of that place.

`persistence` says what is looked for and why trying many sigmas costs the interval nothing.
"""

import math
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from neighborhoods.persistence.sampling import Neighborhood
from neighborhoods.statistics.probit import ProbitLine, fit_line
from neighborhoods.statistics.sequential import SequentialTest

# How a limit is aimed at, in standard errors of log sigma from all samples: this far beyond where its test would just
# pass; and it is taken when it lies this close to the best one. With few samples first, then at most TRIES times.
AIM = 0.5
CLOSE_ENOUGH = 1.8
FEW_PARTS = (0.25,)
TRIES = 4

# The scan gives a test up when its share lies this many standard errors on the wrong side of passing, and leaves what
# this part of the samples does not settle to the search.
GIVE_UP = 1.6
SCAN_PART = 0.25

# The local line: width in probits of what counts for finding the crossing roughly, and in log sigma of its weights
# then; how far, as a factor, the line may be followed; and the part of the weight that one side's own counts need to
# place it.
BANDWIDTH = 0.5
WIDTH = 0.5
MAX_JUMP = 2.0
OWN_PART = 0.05

# Where counts tell less about the crossing than this part of all samples at the crossing itself would, these are drawn.
TELLING = 0.3

# The scan goes on, without a test that passes, where all of the first few samples keep the class: so many that this
# would happen this rarely if the share were gamma.
GLANCE_ERROR = 1e-3

# Counts kept of each image, the latest ones.
MEMORY = 32

# A count leaves no doubt on which side of the crossing it lies when it is this many standard errors away.
SURE = 3.0

# An interval wider than this in log sigma, and than six standard errors, is not that of a simple crossing.
USUAL_WIDTH = 0.75

# Beyond the first crossing every point of the scan is looked at within this distance in log sigma, then every third.
SECOND_NEAR = math.log(8)
SECOND_STRIDE = 3


@dataclass
class _Line:
    """A line of probits over t = exp(around - position), for each image [n]."""

    around: Tensor
    line: ProbitLine
    goal: float

    def reaches(self, probit: float) -> Tensor:
        """Position at which the line reaches a probit, at most a factor of MAX_JUMP from its middle [n]."""
        t = self.line.place + (probit - self.goal) / self.line.slope
        return self.around - t.clamp(1 / MAX_JUMP, MAX_JUMP).log()


def _average(values: Tensor, weight: Tensor) -> Tensor:
    return (weight * values).sum(1) / weight.sum(1)


@dataclass
class Found:
    """Of some images: estimate and limits in log sigma [n], -inf and inf where the range ends first."""

    estimate: Tensor
    low: Tensor
    high: Tensor
    recrosses: Tensor
    predicted: Tensor
    evaluations: Tensor


class CrossingSearch:
    """One gamma's search for some images. Positions are log sigma; all tensors are [images] unless stated.

    Sides: 0 is the lower limit with directions z, 1 the upper limit with directions -z.
    """

    def __init__(self, piece: Neighborhood, test: SequentialTest, grid: Tensor) -> None:
        self.piece, self.test, self.grid = piece, test, grid
        self.samples = test.looks[-1]
        n = len(piece)
        self.low = torch.full((n,), -math.inf, dtype=torch.float64)
        self.high = torch.full((n,), math.inf, dtype=torch.float64)
        self.glance = math.ceil(math.log(GLANCE_ERROR) / math.log(test.share))
        self.goal = float(special.ndtri(test.share))
        # Counts at which the tests of all samples just pass, as probits; a limit no count reaches is never aimed at.
        ends = (min(test.above[-1], self.samples), max(test.below[-1], 0))
        self.passing = [self._probit(torch.tensor(float(end)), torch.tensor(float(self.samples))) for end in ends]
        density = math.exp(-(self.goal**2) / 2) / math.sqrt(2 * math.pi)
        # Standard error of the probit of a share near gamma from all samples.
        self.error = math.sqrt(test.share * (1 - test.share) / self.samples) / density
        # Everything counted so far for each image: position, kept, samples (0: nothing yet) and side. Of a fixed width,
        # so that no sum over it depends on what the other images needed.
        self.memory = torch.zeros(4, n, MEMORY, dtype=torch.float64)
        self.used = torch.zeros(n, dtype=torch.int64)

    @staticmethod
    def _probit(kept: Tensor, samples: Tensor) -> Tensor:
        return torch.special.ndtri((kept.double() + 0.5) / (samples.double() + 1))

    def _remember(self, images: Tensor, position: Tensor, kept: Tensor, samples: Tensor, side: int) -> None:
        values = torch.stack((position, kept.double(), samples.double(), torch.full_like(position, side)))
        self.memory[:, images, self.used[images] % MEMORY] = values
        self.used[images] += 1

    def _count(
        self, images: Tensor, position: Tensor, side: int, until: int = 0, glance: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Sequential test of one side at one position for each image.

        Args:
            until: samples to draw, all if 0.
            glance: for the scan, whether an image may leave without having passed while all its samples keep the class.
                Given this, images stop when they have passed or are about to fail; their counts are then biased ones.

        Returns:
            Whether it passed, and whether all samples kept the class, each [len(images)].
        """
        passed = torch.zeros(len(images), dtype=torch.bool)
        kept = torch.zeros(len(images), dtype=torch.int64)
        drawn = torch.zeros(len(images), dtype=torch.int64)
        rows = torch.arange(len(images))
        before = 0
        looks = list(zip(self.test.looks, self.test.above, self.test.below, strict=True))
        if glance is not None and self.glance < self.test.looks[0]:
            looks.insert(0, (self.glance, self.glance + 1, -1))
        for look, above, below in looks:
            scale = position[rows].exp() * (1 - 2 * side)
            kept[rows] += self.piece.kept(images[rows], scale, before, look)
            drawn[rows] = before = look
            passed[rows] |= kept[rows] <= below if side else kept[rows] >= above
            if glance is not None:
                # How far the share is from what the last look needs, in standard errors of this look.
                distance = (self._probit(kept[rows], drawn[rows]) - self.passing[side]) * (1 - 2 * side)
                lost = distance < -GIVE_UP * self.error * math.sqrt(self.samples / look)
                rows = rows[~passed[rows] & ~lost & ~(glance[rows] & (kept[rows] == look))]
            if len(rows) == 0 or look == until:
                break
        self._remember(images, position, kept, drawn, side)
        return passed, kept == drawn

    def _look(self, part: float) -> int:
        """The first look at that part of all samples."""
        return next(look for look in self.test.looks if look >= part * self.samples)

    def run(self) -> Found:
        """Estimate, limits and whether the share crosses again, of every image of the neighbourhood."""
        self.piece.evaluations.zero_()
        first = self._scan()
        scanned = self.low.clone()
        self._narrow(first < len(self.grid))
        self._widen(first, 1)
        # Where the two tests contradict each other the upper limit is right in any case: it bounds the first crossing.
        crossed = self.low >= self.high
        self.low = torch.where(crossed, torch.where(scanned < self.high, scanned, -math.inf), self.low)
        self._widen(first, 0)
        estimate = self._estimate(first)
        inside = torch.minimum(torch.maximum(estimate, self.low), self.high)
        estimate = torch.where(torch.isinf(estimate), estimate, inside)
        recrosses = self._recrosses()
        evaluations = self.piece.evaluations.clone()
        return Found(estimate, self.low, self.high, recrosses, self.piece.predicted.cpu(), evaluations)

    def _scan(self) -> Tensor:
        """First point of the grid at which the first side does not let a share above gamma appear; len(grid) if none.

        Every second point while nothing at all is lost there; where something is, the point between is looked at too.
        """
        last = len(self.grid) - 1
        first = torch.full((len(self.piece),), last + 1)
        place = torch.zeros(len(self.piece), dtype=torch.int64)
        skipped = torch.zeros(len(self.piece), dtype=torch.bool)
        images = torch.arange(len(self.piece))
        until = self._look(SCAN_PART)
        while len(images):
            here = place[images]
            passed, whole = self._count(images, self.grid[here], 0, until, here < last)
            self.low[images[passed]] = torch.maximum(self.low[images], self.grid[here])[passed]
            passed |= whole & (here < last)
            whole &= passed
            back = skipped[images] & ~whole
            first[images[~passed & ~back]] = here[~passed & ~back]
            # After looking back: on to the point already looked at, whose outcome decides again.
            step = torch.where(back, -1, torch.where(whole & (here + 1 < last), 2, 1))
            place[images] = here + step
            skipped[images] = step == 2
            images = images[(passed | back) & (place[images] <= last)]
        return first

    def _lines(self, images: Tensor, *sides: int) -> tuple[list["_Line"], Tensor]:
        """Local lines of some sides through the probits of the counts against 1 / sigma, straight for a flat boundary,
        and what all counts together tell about the crossing, in samples.

        Each has the slope that all counts give, and the place that its own side's counts give.
        """
        position, kept, samples, side_of = self.memory[:, images]
        around = self._about(position, kept, samples)
        weight = torch.exp(-(((position - around[:, None]) / WIDTH) ** 2) / 2) * (samples > 0)
        t = torch.exp((around[:, None] - position).clamp(-3, 3))
        both = fit_line(t, kept, samples, weight, self.goal)
        placed = []
        for side in sides:
            # Fewer samples are the first of all: what they show of the place is in the count of all once more.
            own = weight * (side_of == side) * (samples / self.samples) ** 2
            enough = (own * samples).sum(1) > OWN_PART * (weight * samples).sum(1)
            own = torch.where(enough[:, None], own, weight)
            placed.append(_Line(around, fit_line(t, kept, samples, own, self.goal, both), self.goal))
        return placed, both.information

    def _about(self, position: Tensor, kept: Tensor, samples: Tensor) -> Tensor:
        """Roughly where shares are near gamma [n]."""
        probit = self._probit(kept, samples)
        share = (kept + 0.5) / (samples + 1)
        # Inverse variances, less for shares far from gamma.
        weight = samples * torch.exp(-(probit**2)) / (share * (1 - share))
        weight = weight * torch.exp(-(((probit - self.goal) / BANDWIDTH) ** 2) / 2) + 1e-9 * (samples > 0)
        return _average(position, weight)

    def _narrow(self, reached: Tensor) -> None:
        """Move both limits to where their tests just pass: with few samples first, then with all."""
        failed = [torch.full_like(self.low, math.inf), torch.full_like(self.low, -math.inf)]
        open_images = [reached.nonzero()[:, 0]] * 2
        few = [self._look(part) for part in FEW_PARTS]
        for until in few + [0] * TRIES:
            aims = [self._aim(images, side, failed[side]) for side, images in enumerate(open_images)]
            for side, (aim, worth) in enumerate(aims):
                limit, images = (self.high if side else self.low), open_images[side]
                if not until:
                    images, aim = images[worth], aim[worth]
                    open_images[side] = images
                if len(images) == 0:
                    continue
                passed, _ = self._count(images, aim, side, until)
                better = passed & ((aim < limit[images]) if side else (aim > limit[images]))
                limit[images[better]] = aim[better]
                if not until:
                    failed[side][images[~passed]] = aim[~passed]

    def _aim(self, images: Tensor, side: int, failed: Tensor) -> tuple[Tensor, Tensor]:
        """Where to test a limit next, and whether that can improve it enough."""
        sign = 1 - 2 * side
        limit = self.high if side else self.low
        (line,), _ = self._lines(images, side)
        step = self.error / line.line.slope
        aim = line.reaches(float(self.passing[side])) - sign * AIM * step
        # Between what is surely before and surely beyond the crossing, halfway where the line leads outside.
        before, beyond = self._bracket(images)
        aim = torch.where((aim > before) & (aim < beyond), aim, (before + beyond) / 2)
        # Short of what failed with all samples, which is a fact about these directions.
        barrier = failed[images] - sign * 0.5 * step
        aim = torch.minimum(aim, barrier) if side == 0 else torch.maximum(aim, barrier)
        gap = (aim - limit[images]) * sign
        outside = (aim > self.grid[-1]) if side else (aim < self.grid[0])
        return aim.clamp(self.grid[0], self.grid[-1]), (gap > (CLOSE_ENOUGH - AIM) * step) & ~outside

    def _bracket(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest positions on either side of the first crossing whose counts leave no doubt; the grid's ends else."""
        position, kept, samples, _ = self.memory[:, images]
        doubt = SURE * self.error * torch.sqrt(self.samples / samples.clamp_min(1))
        excess = self._probit(kept, samples) - self.goal
        beyond = torch.where((samples > 0) & (excess < -doubt), position, self.grid[-1] + 1).amin(1)
        surely = (samples > 0) & (excess > doubt) & (position < beyond[:, None])
        return torch.where(surely, position, self.grid[0] - 1).amax(1), beyond

    def _widen(self, first: Tensor, side: int) -> None:
        """Limits that were not found near the crossing: the next point of the grid that shows one."""
        limit = self.high if side else self.low
        images = (torch.isinf(limit) & (first < len(self.grid))).nonzero()[:, 0]
        for i in range(len(self.grid)) if side else reversed(range(len(self.grid))):
            position = self.grid[i]
            here = images[first[images] <= i] if side else images[(first[images] > i) & (position < self.high[images])]
            if len(here) == 0:
                continue
            passed, _ = self._count(here, position.expand(len(here)), side, 0, torch.zeros_like(here, dtype=torch.bool))
            limit[here[passed]] = position
            images = images[torch.isinf(limit[images])]

    def _estimate(self, first: Tensor) -> Tensor:
        """Where the share crosses gamma, by the local lines; by bisection where the limits are not close to a line."""
        estimate, slope, telling = self._crossing(torch.arange(len(self.piece)))
        usual = USUAL_WIDTH + 6 * self.error / slope
        regular = torch.isfinite(self.low + self.high) & (self.high - self.low < usual)
        poor = (regular & (telling < TELLING * 2 * self.samples)).nonzero()[:, 0]
        if len(poor):
            aim = torch.minimum(torch.maximum(estimate, self.low), self.high)[poor]
            for side in (0, 1):
                self._count(poor, aim, side)
            estimate[poor] = self._crossing(poor)[0]
        regular &= (estimate > self.low) & (estimate < self.high)
        odd = (~regular).nonzero()[:, 0]
        if len(odd):
            estimate[odd] = self._bisect(odd, first)
        return estimate

    def _crossing(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where both sides' lines cross gamma on average, their slope, and what the counts tell."""
        (first, second), telling = self._lines(images, 0, 1)
        return (first.reaches(self.goal) + second.reaches(self.goal)) / 2, first.line.slope, telling

    def _share_below(self, images: Tensor, position: Tensor) -> Tensor:
        """Whether fewer than gamma of both sides' noisy images keep the class."""
        sigma = position.exp()
        kept = self.piece.kept(images, sigma, 0, self.samples) + self.piece.kept(images, -sigma, 0, self.samples)
        # The guard against rounding makes gamma = 0.7 of 1000 samples the count 700, not 701.
        return kept < math.ceil(self.test.share * 2 * self.samples - 1e-9)

    def _bisect(self, images: Tensor, first: Tensor) -> Tensor:
        """First crossing of the samples' own curve, from the first doubtful point of the scan on; -inf and inf where it
        lies outside of the grid."""
        low = torch.full((len(images),), -math.inf, dtype=torch.float64)
        high = torch.full((len(images),), math.inf, dtype=torch.float64)
        start = (first[images] - 1).clamp(min=0)
        # Down from there while the curve is below already, then up while it is not.
        for step in (-1, 1):
            place = start.clone()
            rows = torch.arange(len(images))
            while len(rows):
                here = self.grid[place[rows]]
                below = self._share_below(images[rows], here)
                high[rows[below]], low[rows[~below]] = here[below], here[~below]
                place[rows] += step
                on = below if step < 0 else ~below
                rows = rows[on & (place[rows] >= 0) & (place[rows] < len(self.grid))]
        for _ in range(12):
            rows = torch.isfinite(low + high).nonzero()[:, 0]
            if len(rows) == 0:
                break
            middle = (low[rows] + high[rows]) / 2
            below = self._share_below(images[rows], middle)
            high[rows] = torch.where(below, middle, high[rows])
            low[rows] = torch.where(below, low[rows], middle)
        inside = (low + high) / 2
        return torch.where(torch.isinf(high), math.inf, torch.where(torch.isinf(low), -math.inf, inside))

    def _recrosses(self) -> Tensor:
        """Whether a point of the scan beyond the upper limit shows a share above gamma again."""
        found = torch.zeros(len(self.piece), dtype=torch.bool)
        images = torch.isfinite(self.high).nonzero()[:, 0]
        for i, position in enumerate(self.grid):
            distance = position - self.high[images]
            near = (distance > 0) & ((distance < SECOND_NEAR) | (i % SECOND_STRIDE == 0))
            here = images[near & ~found[images]]
            if len(here):
                must_pass = torch.zeros_like(here, dtype=torch.bool)
                passed, _ = self._count(here, position.expand(len(here)), 0, self._look(SCAN_PART), must_pass)
                found[here[passed]] = True
        return found
