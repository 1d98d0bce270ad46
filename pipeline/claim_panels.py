"""What the figure of all claims draws: where each measured interval lies beside the limits that its claim sets."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
INDENT = "  "
NOT_RUN = "not run at this scale"
# Colour and marker of each verdict; colours of natural and adversarial images mean nothing else.
LOOKS = {
    "reproduced": ("C3", "o"),
    "not reproduced": ("C5", "X"),
    "not reproducible as printed": ("C4", "D"),
    "undecided": ("C6", "v"),
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
    return {verdict: found[verdict] for verdict in LOOKS}


def labelled(rows: Sequence[Row]) -> list[tuple[str, Row | None]]:
    """Lines of a picture of some claims: each claim, then its measured parts, indented, with their rows.

    A claim of several parts says how many this run decides, and has the row of its sentence, if any.
    """
    lines: list[tuple[str, Row | None]] = []
    for claim in dict.fromkeys(row.claim for row in rows):
        own = [row for row in rows if row.claim == claim]
        parts = [row for row in own if row.x is not None]
        whole = next((row for row in own if not row.part and row.x is None), None)
        if len(own) == 1 and parts:
            lines.append((claim, parts[0]))
            continue
        asked = [row for row in own if row is not whole] or own
        run = sum(row.verdict != NOT_RUN for row in asked)
        lines.append((f"{claim}: {run} of {len(asked)} run", whole if len(own) > 1 else own[0]))
        lines += [(f"{INDENT}{row.part}", row) for row in parts]
    return lines


def place(
    measured: float, low: float, high: float, least: float, most: float, published: float | None = None
) -> tuple[float, float, float]:
    """Where an interval lies beside limits, one of which may be infinite, as `Row` has it.

    Where the published number is the geometric mean of both limits, these are a factor, and places those of logarithms.
    Intervals of no width lie at the end of the scale on their side.
    """
    values = (measured, low, high)
    if math.isfinite(least) and math.isfinite(most):
        factor = published is not None and least > 0 and math.isclose(least * most, published**2, rel_tol=1e-6)
        if factor and low > 0:
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
        measured, low, high = (float(row[key]) for key in ("measured", "low", "high"))
        where = place(measured, low, high, least, most, float(row["published"]) if row["published"] else None)
    x, left, right = where or (None, None, None)
    two_sided = math.isfinite(least) and math.isfinite(most)
    return Row(claim, part, limit["group"], row["verdict"], row["n"], x, left, right, two_sided)
