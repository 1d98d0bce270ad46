"""The ledger of claims as a page shows it: rows by claim, and a picture of each interval."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from pipeline.report.tables import TableError, read_rows, rounded, with_interval

COLUMNS = ("id", "source", "claim", "published", "measured", "low", "high", "n", "scale", "verdict", "evidence")
# Verdicts in the order of a summary, with a mark that does not rest on colour.
MARKS = {
    "reproduced": "✓",
    "not reproduced": "✗",
    "not reproducible as printed": "≠",
    "undecided": "?",
    "not run at this scale": "–",
}
NOT_RUN = "not run at this scale"

# Of a picture, in pixels: width, height, and what is left free at both sides.
WIDTH, HEIGHT, MARGIN = 160, 22, 8


@dataclass(frozen=True)
class Row:
    """A row of results/claims.csv as shown.

    Attributes:
        id: as in the file. anchor: its id on the page. part: what of the claim it is about.
        published, measured: rounded, the latter with its interval. picture: SVG of them, empty without an
            interval, and for a whole sentence.
        n, scale, verdict: as in the file. evidence: paths of results, or words.
    """

    id: str
    anchor: str
    part: str
    published: str
    measured: str
    picture: Markup
    n: str
    scale: str
    verdict: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """A claim with all its rows; `scale` and `evidence` hold what its parts share, and the rows the rest."""

    id: str
    document: str
    source: str
    claim: str
    scale: str
    evidence: tuple[str, ...]
    rows: list[Row]


@dataclass(frozen=True)
class Ledger:
    """All claims, and how many rows of each document have each verdict."""

    groups: list[Group]
    documents: dict[str, Counter[str]]

    @property
    def total(self) -> Counter[str]:
        """Rows with each verdict."""
        return sum(self.documents.values(), Counter())


def read_ledger(path: Path, anchor: Callable[[str], str]) -> Ledger:
    """The ledger of a run.

    Args:
        path: results/claims.csv. anchor: makes an id that the page does not have yet from a name.

    Raises:
        TableError: it is missing, damaged, or has other columns or verdicts.
    """
    columns, rows = read_rows(path)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise TableError(f"{path}: expected the columns {', '.join(COLUMNS)}; found none named {', '.join(missing)}")
    if unknown := sorted({row["verdict"] for row in rows} - MARKS.keys()):
        raise TableError(f"{path}: expected verdicts among {', '.join(MARKS)}; found {unknown[0]!r}")
    documents: dict[str, Counter[str]] = {}
    for row in rows:
        documents.setdefault(_document(row["source"]), Counter())[row["verdict"]] += 1
    groups = itertools.groupby(rows, key=lambda row: (row["id"].partition("/")[0], row["source"], row["claim"]))
    return Ledger([_group(*key, list(members), anchor) for key, members in groups], documents)


def _document(source: str) -> str:
    return re.split(r",| \(", source)[0]


def _group(name: str, source: str, claim: str, rows: Sequence[dict[str, str]], anchor: Callable[[str], str]) -> Group:
    scales = {row["scale"] for row in rows}
    shared_scale = scales.pop() if len(scales) == 1 else ""

    def whole(row: dict[str, str]) -> bool:
        """Whether a row is of a whole sentence, which rests on its parts."""
        return row["id"] == name and len(rows) > 1

    parts = [_entries(row["evidence"]) for row in rows if not whole(row)]
    decided = [entries for entries in parts if any(is_result(entry) for entry in entries)]
    shared = [entry for entry in decided[0] if all(entry in entries for entries in decided)] if decided else []
    shown = [
        Row(
            row["id"],
            anchor(f"claim-{row['id']}"),
            row["id"].removeprefix(name).removeprefix("/") or ("all parts" if whole(row) else ""),
            rounded(row["published"]),
            with_interval(row["measured"], row["low"], row["high"]),
            # That counts parts, on no scale of their own.
            Markup("") if whole(row) else picture(row["published"], row["measured"], row["low"], row["high"]),
            row["n"],
            "" if shared_scale else row["scale"],
            row["verdict"],
            tuple(entry for entry in _entries(row["evidence"]) if entry not in shared),
        )
        for row in rows
    ]
    return Group(name, _document(source), source, claim, shared_scale, tuple(shared), shown)


def _entries(evidence: str) -> tuple[str, ...]:
    return tuple(filter(None, evidence.split("; ")))


def is_result(entry: str) -> bool:
    """Whether an entry of evidence is a result's path, and not words that say what would make one."""
    return entry.startswith("results/")


def picture(published: str, measured: str, low: str, high: str) -> Markup:
    """SVG of an interval (bar), its estimate (dot) and the published number (diamond), or zero where there is none.

    Empty without a finite interval.
    """
    found = [_finite(text) for text in (measured, low, high)]
    if None in found:
        return Markup()
    value, left, right = (number for number in found if number is not None)
    number = _finite(published)
    reference = 0.0 if number is None else number
    ends = (min(value, left, reference), max(value, right, reference))
    across = ends[1] - ends[0]

    def place(of: float) -> float:
        share = (of - ends[0]) / across if across else 0.5
        return round(MARGIN + share * (WIDTH - 2 * MARGIN), 1)

    middle = HEIGHT / 2
    said = f"measured {with_interval(measured, low, high)}"
    at = place(reference)
    if number is None:
        mark = f'<line class="zero" x1="{at}" x2="{at}" y1="2" y2="{HEIGHT - 2}"/>'
        said += ", the line is zero"
    else:
        mark = f'<path class="published" d="M{at} {middle - 6}l6 6l-6 6l-6-6z"/>'
        said += f", published {rounded(published)}"
    width = max(place(right) - place(left), 1)
    return Markup(
        f'<svg class="interval" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(said)}"><line class="axis" x1="0" x2="{WIDTH}" y1="{middle}" y2="{middle}"/>{mark}'
        f'<rect class="bar" x="{place(left)}" width="{round(width, 1)}" y="{middle - 2}" height="4"/>'
        f'<circle class="measured" cx="{place(value)}" cy="{middle}" r="3.5"/></svg>'
    )


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
