"""Parts that several figures share: class-frequency curves, strips of noisy images, histograms of persistence."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figure import ADVERSARIAL, NATURAL, OTHER, with_interval
from pipeline.store import Reader

# Classes that never reach this share are drawn but not named.
NAMED_FROM = 0.1

BINS = 30

_PERSISTENCE = ("sigma", *(f"summary/{key}" for key in ("median", "median_low", "median_high", "n", "clusters")))


def frequency_curves(
    axes: Axes,
    sigma: np.ndarray,
    values: Mapping[str, np.ndarray],
    classes: Sequence[str],
    colours: Mapping[int, str],
    nameable: Collection[int] | None = None,
    named_from: float = NAMED_FROM,
) -> None:
    """Share of each class against the noise, with bands; the classes of `colours` stand out, the others are grey.

    Args:
        sigma: [points].
        values: frequency, low and high, each [points, classes].
        colours: by number of the class.
        nameable: classes whose curves may be named, all for None; those are that reach the share `named_from`.
    """
    for number, name in enumerate(classes):
        colour = colours.get(number, OTHER)
        front = 2 if number in colours else 1
        share = values["frequency"][:, number]
        axes.plot(sigma, share, color=colour, zorder=front, linewidth=None if front == 2 else 0.7)
        axes.fill_between(
            sigma,
            values["low"][:, number],
            values["high"][:, number],
            color=colour,
            alpha=0.25,
            linewidth=0,
            zorder=front,
        )
        if share.max() >= named_from and (nameable is None or number in nameable):
            # At its peak for a class that rises and falls, else where the curve leaves the axes.
            peak = int(share.argmax())
            place = peak if 0.05 * len(sigma) < peak < 0.95 * len(sigma) else len(sigma) - 1
            size = plt.rcParams["xtick.labelsize"]
            axes.annotate(name, (sigma[place], share[place]), (0, 1), "data", "offset points", color=colour, size=size)
    axes.set(xlim=(0, sigma[-1]), ylim=(0, 1.05))


def image_strip(axes: Axes, images: np.ndarray, sigmas: np.ndarray) -> None:
    """Noisy images [examples, channels, rows, columns] side by side, with the noise of each below it."""
    strip = np.concatenate([np.pad(image, ((0, 0), (0, 0), (0, 2)), constant_values=1) for image in images], axis=2)
    axes.imshow(np.clip(strip, 0, 1).transpose(1, 2, 0).squeeze(), vmin=0, vmax=1, interpolation="nearest")
    side = images.shape[-1] + 2
    ticks = (np.arange(len(images)) + 0.5) * side - 1
    axes.set_xticks(ticks, [f"{value:.1f}" for value in sigmas])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def read_persistence(file: Reader) -> dict[str, dict[str, np.ndarray]]:
    """What `persistence_bars` draws, of the natural and of the adversarial images.

    Raises:
        StoreError: the file lacks a part.
    """
    return {name: {key: file.read(f"{name}/{key}") for key in _PERSISTENCE} for name in ("natural", "adversarial")}


def persistence_bars(
    axes: Axes, groups: Mapping[str, Mapping[str, np.ndarray]], notes: Mapping[str, str] | None = None
) -> None:
    """Both histograms of persistence, labelled with n and median; lines mark the medians, bands their intervals.

    Args:
        groups: as `read_persistence` gives them.
        notes: by group, a line that its label ends with.
    """
    top = max(np.quantile(group["sigma"], 0.99) for group in groups.values()) * 1.05
    edges = np.linspace(0, top, BINS + 1)
    for (name, group), colour in zip(groups.items(), (NATURAL, ADVERSARIAL), strict=True):
        median, low, high = (float(group[f"summary/{key}"]) for key in ("median", "median_low", "median_high"))
        n, clusters = int(group["summary/n"]), int(group["summary/clusters"])
        lines = [f"{name}, {counted(n, clusters)}", f"median {estimated(median, low, high)}"]
        if notes and notes.get(name):
            lines.append(notes[name])
        bars: dict[str, Any] = {"color": colour, "alpha": 0.5, "label": "\n".join(lines)}
        axes.hist(np.minimum(group["sigma"], top), edges.tolist(), weights=np.full(n, 1 / n), **bars)
        centre_line(axes, median, low, high, colour)
    axes.set(xlabel="persistence σ* (pixel range = 1)", ylabel="share of images per bin", xlim=(0, top))


def centre_line(axes: Axes, centre: float, low: float, high: float, colour: str) -> None:
    """A vertical line and the band of its interval, which a single origin does not give."""
    if math.isfinite(low) and math.isfinite(high):
        axes.axvspan(low, high, color=colour, alpha=0.25, linewidth=0)
    axes.axvline(centre, color=colour)


def counted(n: int, clusters: int) -> str:
    """The number of images as text, with that of the images they were made from where it differs."""
    return f"n = {n}" if n == clusters else f"n = {n} ({clusters} {'origin' if clusters == 1 else 'origins'})"


def estimated(centre: float, low: float, high: float, digits: int = 2) -> str:
    """A number and its interval as text, or the number alone where one origin gives no interval."""
    known = math.isfinite(low) and math.isfinite(high)
    return with_interval(centre, low, high, digits) if known else f"{centre:.{digits}f} (no interval)"


def reached(target: int, frequency: np.ndarray) -> int:
    """The class of a successful adversarial image.

    Args:
        target: the class aimed at, negative for none.
        frequency: share of each class [points, classes], least noise first.
    """
    return int(target) if target >= 0 else int(frequency[0].argmax())
