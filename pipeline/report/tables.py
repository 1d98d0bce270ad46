"""Tables as readers see them: numbers rounded, an estimate and the ends of its interval in one cell."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError

DIGITS = 4
# From here on the page shows no more, and the file has all.
MOST_ROWS = 200
ENDS = ("low", "high")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class TableError(UserError, ValueError):
    """A file of comma-separated values cannot be shown."""


@dataclass(frozen=True)
class Cell:
    """Text of a cell, and whether it is a number."""

    text: str
    number: bool


@dataclass(frozen=True)
class Table:
    """What a page shows of a file: names of columns, each with whether its first cell is a number, rows of cells, and
    how many rows the file has."""

    columns: list[tuple[str, bool]]
    rows: list[list[Cell]]
    total: int


def read_rows(path: Path, delimiter: str = ",") -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a file whose first line names the columns.

    Raises:
        TableError: it is missing, not readable as text, or its rows differ in length.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *lines = list(csv.reader(file, delimiter=delimiter)) or [[]]
    except FileNotFoundError as error:
        raise TableError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: not readable as a table ({error})") from error
    if uneven := [number for number, line in enumerate(lines, 2) if len(line) != len(header)]:
        raise TableError(f"{path}: line {uneven[0]} has not the {len(header)} values that the first line names")
    return header, [dict(zip(header, line, strict=True)) for line in lines]


def read_table(path: Path) -> Table:
    """A file as a table; `x`, `x_low` and `x_high` become one column, "0.5 [0.4, 0.6]".

    Raises:
        TableError: as for `read_rows`.
    """
    columns, rows = read_rows(path)
    intervals = {name: base for name in columns if (base := _estimate_of(name, columns))}
    shown = [name for name in columns if name not in {f"{base}_{end}" for base in intervals.values() for end in ENDS}]
    cells = [[_cell(row, name, intervals.get(name)) for name in shown] for row in rows[:MOST_ROWS]]
    numbers = [cell.number for cell in cells[0]] if cells else [False] * len(shown)
    titles = [(name.removesuffix("_mean") if name in intervals else name).replace("_", " ") for name in shown]
    return Table(list(zip(titles, numbers, strict=True)), cells, len(rows))


def _estimate_of(name: str, columns: Sequence[str]) -> str | None:
    """The name that the ends of a column's interval begin with: the column's own, or that before "_mean" or a unit."""
    for base in (name, name.removesuffix("_mean"), name.removesuffix("_pct")):
        if all(f"{base}_{end}" in columns for end in ENDS):
            return base
    return None


def _cell(row: dict[str, str], name: str, interval: str | None) -> Cell:
    text = row[name]
    if interval and text:
        low, high = (row[f"{interval}_{end}"] for end in ENDS)
        return Cell(with_interval(text, low, high), is_number(text))
    return Cell(rounded(text), is_number(text))


def is_number(text: str) -> bool:
    """Whether a cell's text is a number, infinite ones included."""
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def rounded(text: str) -> str:
    """A number with at most `DIGITS` significant digits, whole ones as they are; other text unchanged."""
    if not is_number(text):
        return "" if text.lower() == "nan" else text
    value = float(text)
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if re.fullmatch(r"[+-]?\d+", text):
        short = text
    elif 10**DIGITS <= abs(value) < 1e7:
        short = f"{value:.0f}"
    else:
        short = f"{value:.{DIGITS}g}"
    mantissa, _, exponent = short.partition("e")
    power = f" × 10{str(int(exponent)).translate(RAISED)}" if exponent else ""
    return f"{mantissa}{power}".replace("-", "−")


def with_interval(value: str, low: str, high: str) -> str:
    """An estimate and its interval as text; without the interval where it has none."""
    ends = [rounded(end) for end in (low, high)]
    return f"{rounded(value)} [{', '.join(ends)}]" if all(ends) else rounded(value)
