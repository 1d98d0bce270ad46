"""What the figure of all claims draws: where each measured interval lies beside the limits that its claim sets."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TITLES = {
    "bell_tables": "Bell, numbers of Part I",
    "bell_1": "Bell, Part I",
    "bell_photos": "Bell, photos",
    "bell_2": "Bell, Part II",
    "bell_3": "Bell, Part III",
    "note": "Note",
    "tanay": "Tanay",
    "seguin_teachers": "Seguin, teachers",
    "seguin_students": "Seguin, students",
    "seguin_logits": "Seguin, logits",
    "seguin_images": "Seguin, images",
    "seguin_manifolds": "Seguin, manifolds",
    "seguin_model": "Seguin, model",
    "anchors": "known elsewhere",
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
# Lines that a page has room for.
PAGE = 56
# Farther than so many units nothing is told apart.
FARTHEST = 100.0


@dataclass(frozen=True)
class Row:
    """A row of the ledger.

    Attributes:
        claim, part: of its id. group: file of the ledger. n: values behind it, empty where nothing was measured.
        x, low, high: place of the measured quantity in units of the tolerance, 0 the published number, or in half
            widths of the interval from the limit claimed, positive on the side claimed; None where nothing was
            measured or it has no finite interval, or the row counts the parts of a sentence.
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


@dataclass(frozen=True)
class Line:
    """A line of a picture: its label, the row whose interval it shows, a note beside it, and a sentence's verdict."""

    label: str
    row: Row | None
    note: str
    whole: str = ""


def labelled(rows: Sequence[Row]) -> list[list[Line]]:
    """Lines of each claim: its name with how many of its parts are decided, then its measured parts, indented."""
    found = []
    for claim in dict.fromkeys(row.claim for row in rows):
        own = [row for row in rows if row.claim == claim]
        parts = [row for row in own if row.x is not None]
        # Pictures have the source's name in their title.
        label = claim.removeprefix("seguin-")
        if len(own) == 1 and parts:
            found.append([Line(label, parts[0], f"n = {parts[0].n}")])
            continue
        whole = [row for row in own if not row.part and len(own) > 1]
        asked = [row for row in own if row not in whole]
        run = sum(row.verdict != NOT_RUN for row in asked)
        decided = next((row.verdict for row in whole if row.verdict != NOT_RUN), "")
        lines = [Line(label, None, f"{run} of {len(asked)}", decided)]
        found.append(lines + [Line(f"{INDENT}{row.part}", row, f"n = {row.n}") for row in parts])
    return found


def columns(rows: Sequence[Row]) -> list[list[Line]]:
    """Lines in one column, or in two of about the same length where a page has no room; claims stay whole."""
    claims = labelled(rows)
    total = sum(map(len, claims))
    if total <= PAGE:
        return [[line for lines in claims for line in lines]]
    cut = min(range(1, len(claims)), key=lambda place: abs(2 * sum(map(len, claims[:place])) - total))
    return [[line for lines in part for line in lines] for part in (claims[:cut], claims[cut:])]


def place(
    measured: float, low: float, high: float, least: float, most: float, published: float | None = None
) -> tuple[float, float, float]:
    """Where an interval lies beside limits, one of which may be infinite, as `Row` has it.

    Limits that do not lie equally far from the published number are a factor, and places those of logarithms: the
    number may be printed in another unit than theirs. Intervals of no width lie at the end of the scale on their side.
    """
    values = (measured, low, high)
    if math.isfinite(least) and math.isfinite(most):
        factor = published is not None and least > 0 and not math.isclose(least + most, 2 * published, rel_tol=1e-6)
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
    measured, low, high = (float(row[key] or math.nan) for key in ("measured", "low", "high"))
    if all(map(math.isfinite, (measured, low, high))) and (math.isfinite(least) or math.isfinite(most)):
        where = place(measured, low, high, least, most, float(row["published"]) if row["published"] else None)
    x, left, right = where or (None, None, None)
    two_sided = math.isfinite(least) and math.isfinite(most)
    return Row(claim, part, limit["group"], row["verdict"], row["n"], x, left, right, two_sided)
