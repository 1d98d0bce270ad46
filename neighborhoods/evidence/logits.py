"""Statistics that decide Seguin's claims about logits, on the arrays of stored results; as in `evidence`.

Each rests on one stored estimate of `crossed`: its value, standard error and degrees of freedom below a group. Where
the estimate has an axis, `place` is a position on it, or `teacher` names a way of training, the checkpoint that stands
for which is taken. `after` asks for a last checkpoint of at least that epoch: a short training does not decide claims
about a late one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neighborhoods.evidence.verdicts import Finding, beside, bonferroni, equivalence, within
from neighborhoods.logits.overlap import crossing
from neighborhoods.statistics.intervals import Estimate, share, student

Cell = Mapping[str, Any]


def crossed_side(
    cells: Sequence[Cell],
    group: str,
    expects: float,
    confidence: float,
    comparisons: int = 1,
    limit: float = 0.0,
    place: int | None = None,
    teacher: str | None = None,
    after: int = 0,
) -> Finding | None:
    """An estimate lies above a limit, or below it where a negative number is expected."""
    found = _stored(cells[0], group, _Where(place, teacher, after), confidence, comparisons)
    return None if found is None else _beside(found, limit, expects)


def crossed_near(
    cells: Sequence[Cell],
    group: str,
    margin: float,
    confidence: float,
    comparisons: int = 1,
    place: int | None = None,
    teacher: str | None = None,
    after: int = 0,
) -> Finding | None:
    """A difference is at most `margin` in size."""
    found = _stored(cells[0], group, _Where(place, teacher, after), confidence, comparisons)
    if found is None:
        return None
    return Finding(
        found.value, found.low, found.high, found.n, equivalence(found.low, found.high, margin), *within(0.0, margin)
    )


def crossed_number(
    cells: Sequence[Cell],
    group: str,
    published: float,
    margin: float,
    confidence: float,
    comparisons: int = 1,
    unit: float = 1.0,
    place: int | None = None,
    teacher: str | None = None,
    after: int = 0,
) -> Finding | None:
    """A published number lies within `margin` of the estimate, both in `unit`, e.g. 0.01 for %.

    Published numbers of this source have no interval for other images and seeds: they get that of the estimate. The
    interval reported is the estimate's own.
    """
    found = _stored(cells[0], group, _Where(place, teacher, after), confidence, comparisons)
    if found is None:
        return None
    value, low, high = (number / unit for number in (found.value, found.low, found.high))
    reach = np.sqrt(2) * (high - low) / 2
    answer = equivalence(value - published - reach, value - published + reach, margin)
    return Finding(value, low, high, found.n, answer, *within(published, margin))


def next_classes(
    cells: Sequence[Cell], images: str, training: str, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Wrong answers fall on classes that follow soon after the first: their mean rank is below that of random ones.

    Random wrong answers have the ranks 2 to N of N classes equally often, on the mean N / 2 + 1.
    """
    found = _stored(cells[0], f"wrong/{images}/{training}/rank", _Where(), confidence, comparisons)
    if found is None:
        return None
    classes = len(np.asarray(cells[0][f"wrong/{images}/{training}/share/value"]))
    return _beside(found, classes / 2 + 1, -1.0)


def overlap_crossing(
    cells: Sequence[Cell], published: float, margin: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The k from which adversarial pairs overlap more than standard ones is within `margin` of the published.

    Its limits are the k beyond which the difference has either sign, by its interval at each k.
    """
    cell = cells[0]
    if "overlap/same/adversarial_less_standard/value" not in cell:
        return None
    found = {
        key: np.asarray(cell[f"overlap/same/adversarial_less_standard/{key}"], float)
        for key in ("value", "standard_error", "freedom", "n")
    }
    half = _half(found["standard_error"], found["freedom"], confidence, comparisons)
    k, low, high = crossing(found["value"], found["value"] - half, found["value"] + half)
    if not np.isfinite(k):
        return None
    answer = equivalence(low - published, high - published, margin)
    return Finding(k, low, high, int(found["n"]), answer, *within(published, margin))


STATISTICS = (crossed_side, crossed_near, crossed_number, next_classes, overlap_crossing)


@dataclass(frozen=True)
class _Where:
    place: int | None = None
    teacher: str | None = None
    after: int = 0


def _stored(cell: Cell, group: str, where: _Where, confidence: float, comparisons: int) -> Estimate | None:
    """An estimate with its interval for several comparisons at once; None where it is not there or has no interval."""
    if f"{group}/value" not in cell:
        return None
    place: Any = where.place
    if where.teacher or where.after:
        epochs = np.asarray(cell["epochs"]).tolist()
        if epochs[-1] < where.after:
            return None
        if where.teacher:
            place = epochs.index(int(cell[f"teacher_epoch/{where.teacher}"]))
    value, error, freedom = (
        np.asarray(cell[f"{group}/{key}"], float) for key in ("value", "standard_error", "freedom")
    )
    if place is not None:
        if not -len(value) <= place < len(value):
            return None
        value, error, freedom = value[place], error[place], freedom[place]
    n = int(cell[f"{group}/n"])
    half = _half(error, freedom, confidence, comparisons)
    if np.isfinite(half):
        return Estimate(float(value), float(value - half), float(value + half), n)
    low = np.asarray(cell[f"{group}/low"], float)
    if value not in (0, 1) or not np.isfinite(low if place is None else low[place]):
        return None
    # A share of none or of all images, with an exact interval.
    return share(np.full(n, bool(value)), bonferroni(confidence, comparisons))


def _half(error: Any, freedom: Any, confidence: float, comparisons: int) -> Any:
    return student(bonferroni(confidence, comparisons), freedom) * error


def _beside(found: Estimate, limit: float, expects: float) -> Finding:
    return beside(found.value, found.low, found.high, found.n, limit, expects)
