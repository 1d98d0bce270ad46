"""Verdicts on published claims: what an interval says about a sign."""

import math

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"


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
