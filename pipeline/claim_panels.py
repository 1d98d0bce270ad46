"""What the figure of all claims draws: where each measured interval lies beside the limits that its claim sets."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neighborhoods.claims import NOT_AS_PRINTED, NOT_REPRODUCED, NOT_RUN, REPRODUCED, UNDECIDED, VERDICTS

TITLES = {
    "bell_1": "Bell, Part I",
    "bell_2": "Bell, Part II",
    "bell_3": "Bell, Part III",
    "note": "Note",
    "tanay": "Tanay",
    "seguin_accuracies": "Seguin, students",
    "seguin_logits": "Seguin, logits",
    "seguin_manifolds": "Seguin, manifolds",
    "seguin_model": "Seguin, model",
    "anchors": "Known elsewhere",
}
# Colour and marker of each verdict; colours of natural and adversarial images mean nothing else.
LOOKS = {
    REPRODUCED: ("C3", "o"),
    NOT_REPRODUCED: ("C5", "X"),
    NOT_AS_PRINTED: ("C4", "D"),
    UNDECIDED: ("C6", "v"),
    NOT_RUN: ("C2", "|"),
}
# Farther than so many units nothing is told apart.
FARTHEST = 100.0


@dataclass(frozen=True)
class Row:
    """A row of the ledger.

    Attributes:
        claim, part: of its id. group: file of the ledger. n: values behind it, empty where nothing was measured.
        x, low, high: place of the measured quantity in units of the tolerance, 0 the published number, or in half
            widths of the interval from the limit claimed, positive on the side claimed; None where nothing was
            measured, or the row counts the parts of a sentence.
        two_sided: whether the claim sets limits on both sides.
    """

    claim: str
    part: str
    group: str
    verdict: str
    n: str
    x: float | None
    low: float | None
    high: float | None
    two_sided: bool


def read_rows(claims: str | Path, limits: str | Path) -> list[Row]:
    """Rows of the ledger with their places; both files list the same ids in the same order."""
    with open(claims, newline="", encoding="utf-8") as one, open(limits, newline="", encoding="utf-8") as other:
        pairs = list(zip(csv.DictReader(one), csv.DictReader(other), strict=True))
    return [_row(row, limit) for row, limit in pairs]


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows have each verdict."""
    found = Counter(row.verdict for row in rows)
    return {verdict: found[verdict] for verdict in VERDICTS}


def place(measured: float, low: float, high: float, least: float, most: float) -> tuple[float, float, float]:
    """Where an interval lies beside limits, one of which may be infinite, as `Row` has it.

    With both limits positive and a published number at their geometric mean, the unit is that of logarithms. Intervals
    of no width lie at the end of the scale on their side.
    """
    values = (measured, low, high)
    if math.isfinite(least) and math.isfinite(most):
        if least > 0 and low > 0:
            least, most = math.log(least), math.log(most)
            values = (math.log(measured), math.log(low), math.log(high))
        centre, unit = (least + most) / 2, (most - least) / 2
        return tuple(_cut((value - centre) / unit) for value in values)  # type: ignore[return-value]
    limit, sign = (least, 1.0) if math.isfinite(least) else (most, -1.0)
    unit = (high - low) / 2
    scaled = sorted(
        _cut(sign * (value - limit) / unit if unit else sign * math.inf * (value - limit)) for value in values
    )
    return scaled[1], scaled[0], scaled[2]


def _cut(value: float) -> float:
    # A quantity on its limit, of an interval without width.
    return 0.0 if math.isnan(value) else max(-FARTHEST, min(FARTHEST, value))


def _row(row: dict[str, str], limit: dict[str, str]) -> Row:
    if row["id"] != limit["id"]:
        raise ValueError(f"expected the limits of {row['id']}, found those of {limit['id']}")
    claim, _, part = row["id"].partition("/")
    least, most = (float(limit[key] or sign * math.inf) for key, sign in (("least", -1), ("most", 1)))
    where = None
    if row["measured"] and (math.isfinite(least) or math.isfinite(most)):
        where = place(*(float(row[key]) for key in ("measured", "low", "high")), least, most)
    x, low, high = where or (None, None, None)
    two_sided = math.isfinite(least) and math.isfinite(most)
    return Row(claim, part, limit["group"], row["verdict"], row["n"], x, low, high, two_sided)
