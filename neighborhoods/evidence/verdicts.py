"""Verdicts on published claims: what intervals of measured quantities say about signs, numbers and sentences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from neighborhoods.statistics.intervals import clopper_pearson

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
NOT_AS_PRINTED, NOT_RUN = "not reproducible as printed", "not run at this scale"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NOT_AS_PRINTED, UNDECIDED, NOT_RUN)


def verdict(low: float, high: float, expected: float) -> str:
    """What an interval of a difference says about the claim that the difference has the sign of `expected`.

    Args:
        low, high: limits of the interval; nan leaves the claim undecided. expected: any number of the sign claimed.

    Returns:
        "supported" where the whole interval has that sign, "contradicted" where it has the other, else "undecided".

    Raises:
        ValueError: no sign is expected, or the limits are in the wrong order.
    """
    if not expected or math.isnan(expected) or low > high:
        raise ValueError(f"expected a sign and limits in order, found {expected}, {low} and {high}")
    if low > 0:
        return SUPPORTED if expected > 0 else CONTRADICTED
    if high < 0:
        return SUPPORTED if expected < 0 else CONTRADICTED
    return UNDECIDED


@dataclass(frozen=True)
class Finding:
    """A measured quantity and what it says about a claim.

    Attributes:
        measured: estimate. low, high: its interval, in the same unit.
        n: values behind it.
        verdict: one of `VERDICTS`.
        least, most: where the quantity lies if the claim holds, in the same unit; a figure shows them.
    """

    measured: float
    low: float
    high: float
    n: int
    verdict: str
    least: float = -math.inf
    most: float = math.inf


def signed(measured: float, low: float, high: float, n: int, expected: float) -> Finding:
    """A claim about the sign of a quantity: reproduced where its whole interval has the sign expected."""
    answer = {SUPPORTED: REPRODUCED, CONTRADICTED: NOT_REPRODUCED, UNDECIDED: UNDECIDED}
    least, most = (0.0, math.inf) if expected > 0 else (-math.inf, 0.0)
    return Finding(measured, low, high, n, answer[verdict(low, high, expected)], least, most)


def beside(measured: float, low: float, high: float, n: int, limit: float, expected: float) -> Finding:
    """A claim that a quantity lies above a limit, or below it where a negative number is expected."""
    apart = signed(measured - limit, low - limit, high - limit, n, expected)
    least, most = (limit, math.inf) if expected > 0 else (-math.inf, limit)
    return Finding(measured, low, high, n, apart.verdict, least, most)


def above(measured: float, low: float, high: float, n: int, limit: float) -> Finding:
    """A claim that a quantity lies above a number: reproduced where its whole interval does."""
    answer = REPRODUCED if low > limit else NOT_REPRODUCED if high < limit else UNDECIDED
    return Finding(measured, low, high, n, answer, least=limit)


def within(number: float, margin: float) -> tuple[float, float]:
    """Limits of what lies within `margin` of a number."""
    return number - margin, number + margin


def within_factor(number: float, factor: float) -> tuple[float, float]:
    """Limits of what is at most `factor` times larger or smaller than a positive number."""
    return number / factor, number * factor


def bonferroni(confidence: float, comparisons: int) -> float:
    """Level of each of several intervals that hold together at the level `confidence`."""
    return 1 - (1 - confidence) / comparisons


def proportion(count: int, n: int, share: float, confidence: float, comparisons: int = 1) -> Finding:
    """A claim that something holds for more than a share: so many of n do; Clopper and Pearson's interval.

    `comparisons` is the number of claims that are decided at once (Bonferroni).
    """
    low, high = (float(limit) for limit in clopper_pearson(count, n, bonferroni(confidence, comparisons)))
    return above(count / n, low, high, n, share)


def equivalence(low: float, high: float, margin: float) -> str:
    """Verdict on the claim that a deviation is at most `margin` in size, from the deviation's interval.

    Reproduced where the interval lies within the margins (two one-sided tests, Schuirmann 1987), not reproduced where
    it lies outside of them, else undecided: a wide interval never counts as agreement.

    Raises:
        ValueError: the margin is not positive, or the limits are in the wrong order.
    """
    if not margin > 0 or low > high:
        raise ValueError(f"expected a positive margin and limits in order, found {margin}, {low} and {high}")
    if -margin <= low and high <= margin:
        return REPRODUCED
    return NOT_REPRODUCED if low > margin or high < -margin else UNDECIDED


def combined(findings: Sequence[Finding | None]) -> Finding:
    """The verdict on a sentence that claims all of its parts.

    Not reproduced where one part is not, or not as printed where no part fails otherwise; reproduced where all are;
    "not run at this scale" where none contradicts it but some were not measured (None).

    Returns:
        A finding whose number is that of the parts reproduced, whose limits say how many can hold, and whose n is the
        number of parts measured.

    Raises:
        ValueError: a sentence without parts.
    """
    if not findings:
        raise ValueError("a sentence needs at least one part, found none")
    verdicts = [NOT_RUN if finding is None else finding.verdict for finding in findings]
    count = {name: verdicts.count(name) for name in VERDICTS}
    failed = count[NOT_REPRODUCED] + count[NOT_AS_PRINTED]
    if failed:
        answer = NOT_REPRODUCED if count[NOT_REPRODUCED] else NOT_AS_PRINTED
    elif count[NOT_RUN]:
        answer = NOT_RUN
    else:
        answer = REPRODUCED if count[REPRODUCED] == len(verdicts) else UNDECIDED
    reproduced, total = count[REPRODUCED], len(verdicts)
    return Finding(reproduced, reproduced, total - failed, total - count[NOT_RUN], answer)
