"""How every figure is opened, coloured and saved."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pipeline.figures.numbers import write_numbers
from pipeline.store import publishing

STYLES = Path(__file__).resolve().parents[2] / "styles"

# Positions in the style file's colour cycle: the same two colours in every figure.
NATURAL = "C0"
ADVERSARIAL = "C1"
OTHER = "C2"

# Two classes of a problem, which are neither.
CLASSES = ("C6", "C4")

# What figures say instead of an n and an interval.
EXACT = "exact, nothing sampled"

# Without these, two equal runs would give files that differ in a date.
_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


@contextlib.contextmanager
def drawing(style: str) -> Iterator[None]:
    """Draw with a style file of `styles/`, and close what was drawn."""
    with matplotlib.rc_context():
        plt.style.use(STYLES / f"{style}.mplstyle")
        try:
            yield
        finally:
            plt.close("all")


def save(figure: Figure, outputs: Sequence[str]) -> None:
    """Write a figure, or the numbers it draws, to each path, whole or not at all; equal figures give equal bytes.

    Args:
        outputs: paths that end in .png, .pdf or .svg, and in .csv for the numbers.

    Raises:
        StoreError: a file cannot be written.
    """
    for output in map(Path, outputs):
        kind = output.suffix.removeprefix(".")
        with publishing(output) as temporary:
            if kind == "csv":
                write_numbers(figure, temporary)
            else:
                figure.savefig(temporary, format=kind, metadata=_METADATA[kind])


def with_interval(center: float, low: float, high: float, digits: int = 2) -> str:
    """A number and its interval as text, e.g. `0.63 [0.58, 0.69]`."""
    return f"{center:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
