"""Statistics that decide published claims about photos, as those of `evidence`.

Cells are one attack, or several whose images count together; natural images are the same in all and count once. The
source gives no numbers of images, so that its means count as exact; intervals are over origin images.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.evidence.verdicts import (
    NOT_AS_PRINTED,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Finding,
    bonferroni,
    equivalence,
    within_factor,
)
from neighborhoods.images import recounted
from neighborhoods.statistics.intervals import Ratio, ratio

Cell = Mapping[str, Any]
GROUPS = ("natural", "adversarial")


def mean_ratio(
    cells: Sequence[Cell], published: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Natural over adversarial persistence is within a factor of the published ratio of means, whatever its unit.

    None where an attack never succeeded or one origin image gives no interval; undecided where a value is censored,
    since the means are then bounds.
    """
    (natural, origins), (adversarial, others) = (_pooled(cells, f"{group}/", "sigma") for group in GROUPS)
    if len(natural) == 0 or len(adversarial) == 0:
        return None
    found = ratio(natural, adversarial, origins, others, bonferroni(confidence, comparisons))
    if np.isnan(found.low):
        return None
    answer = UNDECIDED if _censored(cells) else _near(found, published, factor)
    limits = within_factor(published, factor)
    return Finding(found.value, found.low, found.high, len(natural) + len(adversarial), answer, *limits)


def mean_persistence(
    cells: Sequence[Cell],
    of: str,
    published: float,
    beside: float,
    confidence: float,
    comparisons: int = 1,
    factor: float | None = None,
) -> Finding | None:
    """A published mean persistence is that in the range of pixels, to a factor.

    Where it is not, but the ratio to the other kind of images, which has no unit, is, the number cannot be reproduced
    as it is printed. None and undecided as for `mean_ratio`.

    Args:
        of: "natural" or "adversarial". beside: the published mean of the other kind. factor: None where the published
            unit is unknown: no mean agrees with the number or contradicts it, and what is measured stays undecided.
    """
    if of not in GROUPS:
        raise ValueError(f"expected natural or adversarial persistence, found {of!r}")
    (values, origins), (rest, others) = (
        _pooled(cells, f"{group}/", "sigma") for group in sorted(GROUPS, key=of.__ne__)
    )
    if len(values) == 0 or len(rest) == 0:
        return None
    level = bonferroni(confidence, comparisons)
    own, unitless = _over_one(values, origins, level), ratio(values, rest, origins, others, level)
    if np.isnan([own.low, unitless.low]).any():
        return None
    if factor is None:
        return Finding(own.value, own.low, own.high, len(values), UNDECIDED)
    answer = _near(own, published, factor)
    if answer == NOT_REPRODUCED and _near(unitless, published / beside, factor) == REPRODUCED:
        answer = NOT_AS_PRINTED
    if _censored(cells):
        answer = UNDECIDED
    return Finding(own.value, own.low, own.high, len(values), answer, *within_factor(published, factor))


def mean_distortion(
    cells: Sequence[Cell], published: float, counted: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The mean distortion of successes is within a factor of the published one, which counts `counted` values.

    None for fewer than two origin images with a success.
    """
    kept = [np.asarray(cell["success"], bool) for cell in cells]
    values, origins = _pooled(cells, "", "distortion", kept)
    if len(np.unique(origins)) < 2:
        return None
    found = _over_one(values, origins, bonferroni(confidence, comparisons))
    published = recounted(published, round(counted), math.prod(cells[0]["x"].shape[1:]))
    answer = _near(found, published, factor)
    return Finding(found.value, found.low, found.high, len(values), answer, *within_factor(published, factor))


STATISTICS = (mean_ratio, mean_persistence, mean_distortion)


def _pooled(
    cells: Sequence[Cell], group: str, name: str, kept: Sequence[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Values of all cells, and the origin image of each; of natural images those of the first."""
    chosen = cells[:1] if group == "natural/" else cells
    values, index = (
        [np.asarray(cell[f"{group}{key}"])[... if kept is None else kept[place]] for place, cell in enumerate(chosen)]
        for key in (name, "index")
    )
    return np.concatenate(values).astype(float), np.concatenate(index)


def _over_one(values: np.ndarray, origins: np.ndarray, level: float) -> Ratio:
    """A mean, which is positive, as its ratio to 1."""
    return ratio(values, np.ones(len(values)), origins, origins, level)


def _near(found: Ratio, published: float, factor: float) -> str:
    if not found.low < found.high:
        return UNDECIDED
    return equivalence(np.log(found.low / published), np.log(found.high / published), float(np.log(factor)))


def _censored(cells: Sequence[Cell]) -> bool:
    return any(str(status) != "ok" for cell in cells for group in GROUPS for status in cell[f"{group}/status"])
