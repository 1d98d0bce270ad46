"""Sequential tests of a binomial share that may stop at any look and keep their level exactly."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

FIRST_LOOK = 30

# Share of the error spent by look n of N is (n/N)^3 for the most part, so that the last look loses little against a
# test of fixed size; a small part proportional to n lets the first looks settle clear cases.
EARLY_PART = 0.05


@dataclass(frozen=True)
class SequentialTest:
    """Two one-sided tests of "the share is `share`", each of level `error` over all looks together.

    Attributes:
        looks: numbers of samples after which counts are looked at, increasing, the last one all samples [L].
        above: smallest count at each look that shows a larger share (more than the samples where none does) [L].
        below: largest count that shows a smaller share (-1 where none does) [L].
    """

    share: float
    looks: tuple[int, ...]
    above: tuple[int, ...]
    below: tuple[int, ...]


@lru_cache(maxsize=64)
def sequential_test(share: float, samples: int, error: float) -> SequentialTest:
    """Group-sequential exact binomial tests (error spending of Lan and DeMets 1983).

    The boundaries come from the exact distribution of the counts that crossed none before, so that the chance that the
    count ever reaches `above`, when the share is at most `share`, is at most `error`, and likewise for `below`: whoever
    stops at any of the looks, for whatever reason, errs no more often.

    Args:
        share: in (0, 1). samples: at the last look. error: level of each one-sided test.

    Raises:
        ValueError: an argument is out of range.
    """
    if not 0 < share < 1 or not 0 < error < 1 or samples < 1:
        raise ValueError(f"expected share and error in (0, 1) and samples from 1, found {share}, {error}, {samples}")
    looks = [samples]
    while looks[0] >= 2 * FIRST_LOOK:
        looks.insert(0, max(FIRST_LOOK, looks[0] // 2))
    above = _upper_boundary(share, looks, error)
    # Few kept samples are many lost ones.
    below = [look - count for look, count in zip(looks, _upper_boundary(1 - share, looks, error), strict=True)]
    return SequentialTest(share, tuple(looks), tuple(above), tuple(below))


def _upper_boundary(share: float, looks: list[int], error: float) -> list[int]:
    """Smallest counts [L] at which the chance of having crossed stays within what may be spent by each look."""
    alive: NDArray[np.float64] = np.ones(1)
    spent, before, boundary = 0.0, 0, []
    for look in looks:
        step = stats.binom.pmf(np.arange(look - before + 1), look - before, share)
        # By fast Fourier transform for many samples: a rounding of 1e-16 can be negative.
        alive = np.maximum(signal.convolve(alive, step), 0.0)
        time = look / looks[-1]
        budget = error * ((1 - EARLY_PART) * time**3 + EARLY_PART * time) - spent
        # tail[c] is the chance of crossing here when the boundary is c.
        tail = np.append(np.cumsum(alive[::-1])[::-1], 0.0)
        count = int(np.argmax(tail <= budget))
        spent += float(tail[count])
        alive = alive[:count]
        boundary.append(count)
        before = look
        if not len(alive):
            raise AssertionError("a boundary at no sample: the error is at least 1")
    return boundary
