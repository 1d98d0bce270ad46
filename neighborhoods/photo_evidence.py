"""Statistics that decide published claims about photos, as those of `evidence`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.claims import UNDECIDED, Finding, equivalence
from neighborhoods.statistics import ratio

Cell = Mapping[str, Any]
GROUPS = ("natural", "adversarial")


def mean_ratio(
    cells: Sequence[Cell], published: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Natural over adversarial persistence is within a factor of the published ratio of means, whatever its unit.

    The measured ratio has an interval over origin images; the source gives no number of images, so that its ratio
    counts as exact. None where an attack never succeeded or one origin image gives no interval; undecided where a value
    is censored, since the means are then bounds.
    """
    (natural, origins), (adversarial, others) = (
        (np.asarray(cells[0][f"{group}/sigma"], float), np.asarray(cells[0][f"{group}/index"])) for group in GROUPS
    )
    if len(natural) == 0 or len(adversarial) == 0:
        return None
    found = ratio(natural, adversarial, origins, others, 1 - (1 - confidence) / comparisons)
    if np.isnan(found.low):
        return None
    answer = equivalence(np.log(found.low / published), np.log(found.high / published), float(np.log(factor)))
    censored = any(str(status) != "ok" for group in GROUPS for status in cells[0][f"{group}/status"])
    if censored or not found.low < found.high:
        answer = UNDECIDED
    return Finding(found.value, found.low, found.high, len(natural) + len(adversarial), answer)
