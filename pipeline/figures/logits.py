"""Panels that figures of logits share, and the colours of the two ways of training."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.panels import estimated
from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER
from pipeline.store import Reader, StoreError

# Networks have the colour of the images that they are trained on.
TRAINING = {"standard": NATURAL, "adversarial": ADVERSARIAL}
# Pairs of networks: colour, marker and name.
PAIRS = {
    "adversarial": (ADVERSARIAL, "o", "both adversarial"),
    "standard": (NATURAL, "s", "both standard"),
    "mixed": (OTHER, "^", "one of each"),
}
STYLES = {"train": "-", "test": "--"}
QUANTITIES = {"max_logit": "largest logit", "gap": "logit gap"}
# Of the highest ridge, over the distance of two.
RIDGE = 1.6
# At most, along a curve.
BARS = 12


def read_crossed(file: Reader, group: str) -> dict[str, Any]:
    """Value, limits and numbers of a stored estimate, as arrays."""
    return {key: file.read(f"{group}/{key}") for key in ("value", "low", "high", "n", "networks")}


def as_text(found: Mapping[str, np.ndarray], at: int | tuple[()] = (), digits: int = 2) -> str:
    """An estimate and its interval as text, at a place of its axis or of a scalar."""
    value, low, high = (float(found[key][at]) for key in ("value", "low", "high"))
    return estimated(value, low, high, digits)


def band(axes: Axes, x: np.ndarray, estimate: Mapping[str, np.ndarray], **line: Any) -> None:
    """A line of an estimate over x with the band of its intervals."""
    axes.plot(x, estimate["value"], **line)
    axes.fill_between(
        x, estimate["low"], estimate["high"], color=line["color"], alpha=0.2, linewidth=0, label=f"_{line['label']}"
    )


def draw_epochs(file: Reader, quantity: str, columns: Sequence[tuple[str, str]]) -> Figure:
    """Distributions of a quantity over epochs: a column of ridges for each training and split; below, its moments.

    Args:
        file: distributions. quantity: a key of `QUANTITIES`. columns: way of training and split of each column.
    """
    epochs, edges = file.read("epochs", ("epoch",)), file.read(f"edges/{quantity}")
    heights = {one: file.read(f"{'/'.join(one)}/{quantity}/histogram") for one in columns}
    # Bins that hold less than a thousandth in every column are beyond the axis.
    last = 1 + max(int(np.flatnonzero((part > 1e-3).any(0)).max()) for part in heights.values())
    width, height = plt.rcParams["figure.figsize"]
    names = ["/".join(one) for one in columns]
    below = {"mean": f"mean\n{QUANTITIES[quantity]}", "skewness": "skewness"}
    rows: list[Any] = [names, *([part] * len(names) for part in below)]
    figure, panels = plt.subplot_mosaic(rows, figsize=(width, 2.0 * height), height_ratios=(2.2, 1, 1))
    top = max(float(part.max()) for part in heights.values())
    places = np.arange(len(epochs))
    highest = 0.1 + max(float((places + RIDGE * part.max(1) / top).max()) for part in heights.values())
    for (training, split), name in zip(columns, names, strict=True):
        axes = panels[name]
        _ridges(axes, edges, heights[training, split] / top, TRAINING[training], epochs)
        axes.set_ylim(-0.1, highest)
        axes.set(xlim=(edges[0], edges[last]), xlabel=QUANTITIES[quantity])
        axes.set_title(f"{training},\n{split} images")
        axes.set_yticks(places, [str(epoch) for epoch in epochs] if name == names[0] else [])
    panels[names[0]].set_ylabel("epoch")
    for part, label in below.items():
        for (training, split), name in zip(columns, names, strict=True):
            found = read_crossed(file, f"{name}/{quantity}/{part}")
            numbers = f"{training}, n = {found['n']} {split} images, {found['networks']} seeds"
            line = {"color": TRAINING[training], "linestyle": STYLES[split], "marker": "o", "markersize": 2.5}
            band(panels[part], epochs, found, label=numbers, **line)
        panels[part].set_ylabel(label)
    panels["mean"].tick_params(labelbottom=False)
    panels["skewness"].axhline(0, color="k", linewidth=0.5)
    panels["skewness"].set_xlabel("epoch (bands: intervals over images and seeds)")
    panels["mean"].legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), borderpad=0.1)
    return figure


def _ridges(axes: Axes, edges: np.ndarray, heights: np.ndarray, colour: str, epochs: np.ndarray) -> None:
    # Opaque, early epochs in front, so that ridges hide no numbers but those of later ones behind.
    light = tuple(0.45 + 0.55 * part for part in to_rgb(colour))
    for place, row in reversed(list(enumerate(heights))):
        steps: dict[str, Any] = {
            "baseline": place,
            "zorder": 2 + 0.01 * (len(heights) - place),
            "label": f"_epoch {epochs[place]}",
        }
        axes.stairs(place + RIDGE * row, edges, fill=True, color=light, **steps)
        axes.stairs(place + RIDGE * row, edges, color=colour, linewidth=0.5, **steps)


def draw_overlap(axes: Axes, file: Reader) -> None:
    """AO@k of the three kinds of pairs: solid for the same image, dashed for images exchanged within their class.

    Bands are standard deviations over pairs, as in the source; bars are intervals for other images and seeds.
    """
    for pair, (colour, marker, text) in PAIRS.items():
        for seen, style in (("same", "-"), ("exchanged", "--")):
            found = read_crossed(file, f"overlap/{seen}/{pair}")
            deviation = file.read(f"overlap/{seen}/{pair}/deviation")
            k = np.arange(1, len(deviation) + 1)
            name = text if seen == "same" else f"{text}, exchanged"
            label = name if seen == "same" else f"_{name}"
            axes.plot(k, found["value"], style, color=colour, label=label, linewidth=1)
            limits = found["value"] - deviation, found["value"] + deviation
            axes.fill_between(k, *limits, color=colour, alpha=0.25, linewidth=0, label=f"_{name}, deviation")
            # Of many classes only some bars are told apart.
            few = np.unique(np.geomspace(1, len(k), BARS).round().astype(int)) - 1
            some = few if len(k) > BARS else k - 1
            bars = np.stack([found["value"] - found["low"], found["high"] - found["value"]])
            point: dict[str, Any] = {
                "fmt": marker,
                "color": colour,
                "markersize": 2.5,
                "elinewidth": 0.7,
                "capsize": 1.2,
                "label": f"_{name}, mean",
            }
            axes.errorbar(k[some], found["value"][some], bars[:, some], **point)
    axes.set(xlabel="k", ylabel="average overlap AO@k")


def show(axes: Axes, image: np.ndarray) -> None:
    """An image [channel, row, column], bytes or in [0, 1], without axes."""
    pixels = image / (255 if image.dtype.kind == "u" else 1)
    axes.imshow(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0), vmin=0, vmax=1, label=PICTURE)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def images_of(file: Reader, group: str) -> np.ndarray:
    """Images stored below a group.

    Raises:
        StoreError: the data are points.
    """
    if f"{group}/x" not in file:
        raise StoreError(f"{file.path}: expected images below '{group}', found points")
    return file.read(f"{group}/x")
