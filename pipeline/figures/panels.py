"""Parts that several figures share: histograms of persistence, estimates as text, how images and names are shown."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from pipeline.figures.style import ADVERSARIAL, NATURAL, with_interval
from pipeline.store import Reader, StoreError

# Pixels a side from which an image is drawn as a photo.
PHOTO_SIDE = 64

# Characters of a class name; those of ImageNet have up to 30.
LONGEST_NAME = 18

BINS = 30

# Points that studies of the path kernel compare with natural ones: colour, marker and line of each group.
KERNEL_GROUPS = {
    "natural": (NATURAL, "o", "-"),
    "adversarial": (ADVERSARIAL, "^", "-"),
    "inverted": ("C3", "s", "--"),
    "permuted": ("C4", "D", "-."),
    "noise": ("C5", "v", ":"),
    "far": ("C3", "s", "--"),
}

_SUMMARY = ("median", "median_low", "median_high", "n", "clusters", "censored_high")
_PERSISTENCE = ("sigma", *(f"summary/{key}" for key in _SUMMARY))


def resampling(side: int) -> str:
    """How images of so many pixels a side are scaled: pixels of digits stay square, photos are smoothed."""
    return "nearest" if side < PHOTO_SIDE else "antialiased"


def shortened(name: str) -> str:
    """A name of a class, cut where it is longer than a label may be."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"


def read_persistence(file: Reader) -> dict[str, dict[str, np.ndarray]]:
    """What `persistence_bars` draws, of the natural and of the adversarial images.

    Raises:
        StoreError: the file lacks a part, or no attack succeeded.
    """
    groups = {name: {key: file.read(f"{name}/{key}") for key in _PERSISTENCE} for name in ("natural", "adversarial")}
    if not all(len(group["sigma"]) for group in groups.values()):
        raise StoreError(f"{file.path}: no attack succeeded, so there is no persistence to draw")
    return groups


def persistence_bars(
    axes: Axes, groups: Mapping[str, Mapping[str, np.ndarray]], notes: Mapping[str, str] | None = None
) -> None:
    """Both histograms of persistence, labelled with n and median; lines mark the medians, bands their intervals.

    Args:
        groups: as `read_persistence` gives them.
        notes: by group, a line that its label ends with.
    """
    top = 1.05 * max(_reach(group["sigma"], int(group["summary/censored_high"])) for group in groups.values())
    edges = np.linspace(0, top, BINS + 1)
    for (name, group), colour in zip(groups.items(), (NATURAL, ADVERSARIAL), strict=True):
        median, low, high = (float(group[f"summary/{key}"]) for key in ("median", "median_low", "median_high"))
        n, clusters = int(group["summary/n"]), int(group["summary/clusters"])
        lines = [f"{name}, {counted(n, clusters)}", f"median {estimated(median, low, high)}"]
        if notes and notes.get(name):
            lines.append(notes[name])
        if (above := np.mean(group["sigma"] > top)) > 0.01:
            lines.append(f"{100 * above:.0f} % above the axis")
        bars: dict[str, Any] = {"color": colour, "alpha": 0.5, "label": "\n".join(lines)}
        axes.hist(np.minimum(group["sigma"], top), edges.tolist(), weights=np.full(n, 1 / n), **bars)
        centre_line(axes, median, low, high, colour, f"median, {name}")
    axes.set(xlabel="persistence σ* (pixel range = 1)", ylabel="share of images per bin", xlim=(0, top))


def _reach(sigma: np.ndarray, censored: int) -> float:
    """Where nearly all lie but for the largest, so many, at which the search ended; a few far ones do not count."""
    found = np.sort(sigma)[: len(sigma) - censored]
    lower, upper, most = np.quantile(found if len(found) else sigma, (0.25, 0.75, 0.99))
    return float(min(most, upper + 3 * (upper - lower))) or float(most)


def centre_line(axes: Axes, centre: float, low: float, high: float, colour: str, name: str) -> None:
    """A vertical line and the band of its interval, which a single origin does not give.

    Args:
        name: of the line, for the numbers of the figure.
    """
    if math.isfinite(low) and math.isfinite(high):
        axes.axvspan(low, high, color=colour, alpha=0.25, linewidth=0, label=f"_{name}")
    axes.axvline(centre, color=colour, label=f"_{name}")


def decades(axis: Axis) -> None:
    """A logarithmic axis, or that of a colour bar, with plain numbers at 1, 2 and 5 of each decade alone."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def counted(n: int, clusters: int) -> str:
    """The number of images as text, with that of the images they were made from where it differs."""
    return f"n = {n}" if n == clusters else f"n = {n} ({clusters} {'origin' if clusters == 1 else 'origins'})"


def estimated(centre: float, low: float, high: float, digits: int = 2) -> str:
    """A number and its interval as text, or the number alone where one origin gives no interval."""
    known = math.isfinite(low) and math.isfinite(high)
    return with_interval(centre, low, high, digits) if known else f"{centre:.{digits}f} (no interval)"
