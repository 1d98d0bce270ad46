"""Statistics that decide published claims about photos, as those of `evidence`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.claims import Finding, equivalence
from neighborhoods.statistics import ratio

Cell = Mapping[str, Any]


def mean_ratio(
    cells: Sequence[Cell], published: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Natural over adversarial persistence is within a factor of the published ratio of means, whatever its unit.

    The measured ratio has an interval over origin images; the source gives no number of images, so that its ratio
    counts as exact. None where one origin image gives no interval.
    """
    (natural, origins), (adversarial, others) = (
        (np.asarray(cells[0][f"{group}/sigma"], float), np.asarray(cells[0][f"{group}/index"]))
        for group in ("natural", "adversarial")
    )
    found = ratio(natural, adversarial, origins, others, 1 - (1 - confidence) / comparisons)
    if np.isnan(found.low):
        return None
    answer = equivalence(np.log(found.low / published), np.log(found.high / published), float(np.log(factor)))
    return Finding(found.value, found.low, found.high, len(natural) + len(adversarial), answer)
