"""What figures of class frequencies share: reading a sweep, curves over noisy images, names that find room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.panels import resampling, shortened
from pipeline.figures.style import OTHER
from pipeline.store import StoreError, reading

GROUPS = ("natural", "adversarial")
PARTS = ("frequency", "low", "high", "examples", "index", "label", "target")

# Classes that never reach this share are not named.
NAMED_FROM = 0.1

# Of this many classes all are drawn; of more, these that reach the share of a name and no more than so many of them.
ALL_DRAWN = 12
MOST_GREY = 5

# Of a font's size: the widest text that may stand beyond its panel, and how far a name may move from its curve.
OUTSIDE = 1.2
STEPS = (0.0, 1.1, -1.1, 2.2, -2.2, 3.3, 4.4, 5.5)


@dataclass(frozen=True)
class Sweep:
    """Class frequencies around images under growing noise.

    Attributes:
        path: file that they are from. sigma: [points]. shown: sigma of each example. samples: noisy images a point.
        groups: "natural" and "adversarial", arrays by name with the images first: `frequency`, `low` and `high`
            [images, points, classes], `examples`, `index`, `label` and `target`.
    """

    path: str
    sigma: np.ndarray
    shown: np.ndarray
    classes: list[str]
    samples: int
    groups: Mapping[str, Mapping[str, np.ndarray]]

    def row(self, group: str, wanted: int) -> int:
        """The first image of a group whose own class is the wanted one, any for -1.

        The class of a natural image is its label, that of an adversarial one the class aimed at.

        Raises:
            StoreError: there is none.
        """
        column = "label" if group == "natural" else "target"
        rows = np.flatnonzero((self.groups[group][column] == wanted) | (wanted == -1))
        if not len(rows):
            what = f"successful adversarial image with target {wanted}" if group == "adversarial" else ""
            raise StoreError(f"{self.path}: holds no {what or f'natural image of class {wanted}'}")
        return int(rows[0])

    def own_class(self, group: str, row: int) -> int:
        """The class that an image of a group has before noise is added."""
        values = self.groups[group]
        if group == "natural":
            return int(values["label"][row])
        # Without a target it is the class that is most frequent under the least noise.
        target = int(values["target"][row])
        return target if target >= 0 else int(values["frequency"][row, 0].argmax())


def read_sweep(path: str, groups: Sequence[str] = GROUPS) -> Sweep:
    """The sweep of a result file, with some of its groups.

    Raises:
        StoreError: the file lacks a part.
    """
    with reading(path) as file:
        return Sweep(
            path,
            sigma=file.read("sigma"),
            shown=file.read("example_sigma"),
            classes=[str(name) for name in file.read("classes")],
            samples=int(file.read("samples")),
            groups={name: {part: file.read(f"{name}/{part}") for part in PARTS} for name in groups},
        )


def frequency_panel(
    figure: Figure,
    places: tuple[SubplotSpec, SubplotSpec],
    sweep: Sweep,
    group: str,
    row: int,
    colours: Mapping[int, str],
    named_from: float = NAMED_FROM,
    beside: Axes | None = None,
) -> Axes:
    """Curves of one image in the upper place, its noisy images in the lower one; the axes of the curves.

    Args:
        row: of the group. colours: of the classes that stand out, by number.
        named_from: as for `frequency_curves`. beside: axes to share both axes with.
    """
    values = {key: array[row] for key, array in sweep.groups[group].items()}
    axes = figure.add_subplot(places[0], sharex=beside, sharey=beside)
    frequency_curves(axes, sweep.sigma, values, sweep.classes, colours, named_from)
    axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
    image_strip(figure.add_subplot(places[1]), values["examples"], sweep.shown)
    return axes


def frequency_curves(
    axes: Axes,
    sigma: np.ndarray,
    values: Mapping[str, np.ndarray],
    classes: Sequence[str],
    colours: Mapping[int, str],
    named_from: float = NAMED_FROM,
) -> None:
    """Share of each class against the noise, with bands; the classes of `colours` stand out, the others are grey.

    Of many classes those that never come near the front are drawn as one dotted curve, their sum.

    Args:
        sigma: [points].
        values: frequency, low and high, each [points, classes].
        colours: by number of the class; what these are titles or a legend say.
        named_from: share from which the name of another class stands at its curve.
    """
    frequency = values["frequency"]
    drawn = _drawn(frequency.max(0), colours, named_from)
    for number in drawn:
        stands_out = number in colours
        colour = colours.get(number, OTHER)
        front = 2 if stands_out else 1
        share = frequency[:, number]
        name = f"_{classes[number]}"
        axes.plot(sigma, share, color=colour, zorder=front, linewidth=None if stands_out else 0.7, label=name)
        low, high = values["low"][:, number], values["high"][:, number]
        band: dict[str, Any] = {"color": colour, "alpha": 0.25 if stands_out else 0.15, "linewidth": 0}
        axes.fill_between(sigma, low, high, zorder=front, label=name, **band)
        if share.max() >= named_from and not stands_out:
            axes.add_artist(_Name(shortened(classes[number]), sigma, share))
    if rest := len(classes) - len(drawn):
        share = 1 - frequency[:, drawn].sum(1)
        name = f"sum of {rest} others"
        axes.plot(sigma, share, color=OTHER, linestyle=":", linewidth=1, label=f"_{name}")
        axes.add_artist(_Name(name, sigma, share))
    axes.set(xlim=(0, sigma[-1]), ylim=(0, 1.05))


def _drawn(peaks: np.ndarray, colours: Mapping[int, str], from_share: float) -> list[int]:
    """Classes with a curve of their own, by number."""
    if len(peaks) <= ALL_DRAWN:
        return list(range(len(peaks)))
    others = [number for number in np.argsort(-peaks, kind="stable") if number not in colours]
    grey = [int(number) for number in others[:MOST_GREY] if peaks[number] >= from_share]
    return sorted({*colours, *grey})


class _Name(Annotation):
    """The name of a curve beside it, which `settle_names` moves along the curve to where there is room."""

    def __init__(self, text: str, sigma: np.ndarray, share: np.ndarray) -> None:
        # At its peak for a class that rises and falls, else where the curve leaves the axes.
        peak = int(share.argmax())
        inside = 0.05 * len(sigma) < peak < 0.95 * len(sigma)
        best = peak if inside else len(sigma) - 1
        places = [best, *(int(place) for place in np.argsort(-share, kind="stable") if place != best)]
        self.places = [(float(sigma[place]), float(share[place])) for place in places]
        size = plt.rcParams["xtick.labelsize"]
        halo = [withStroke(linewidth=1.5, foreground="white")]
        super().__init__(
            text, self.places[0], (0, 1), "data", "offset points", color=OTHER, size=size, path_effects=halo, zorder=3
        )
        # The end of a curve lies at the edge of the axes, which clip what is added to them.
        self.set_clip_on(False)
        self.set_in_layout(False)

    def settle(self, taken: Sequence[Bbox]) -> Bbox:
        """Move to the first place along the curve, inside the panel, where the text meets none of the boxes taken."""
        assert self.axes is not None
        figure = self.axes.get_figure(root=True)
        assert figure is not None
        panel = self.axes.get_window_extent()
        point = figure.dpi / 72
        step = float(self.get_fontsize())
        extent = self.get_window_extent()
        # A digit stands beside the end of its curve, a name above it.
        limit = panel.x1 + (extent.width if extent.width <= OUTSIDE * step * point else 0)
        limit = min(limit, figure.bbox.x1 - point)
        for lift in STEPS:
            for place in self.places:
                x, y = self.axes.transData.transform(place)
                left = min(x, limit - extent.width)
                bottom = y + (1 + lift * step) * point
                box = Bbox.from_bounds(left, bottom, extent.width + step * point / 2, extent.height)
                if panel.y0 <= box.y0 and box.y1 <= panel.y1 + extent.height and not box.count_overlaps(taken):
                    self.xy = place
                    self.set_position(((left - x) / point, 1 + lift * step))
                    return box
        return extent


def settle_names(figure: Figure) -> None:
    """Move the names at curves so that none covers another. Call it when everything else is drawn."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        taken: list[Bbox] = []
        for name in axes.findobj(_Name):
            taken.append(name.settle(taken))


def image_strip(axes: Axes, images: np.ndarray, sigmas: np.ndarray) -> None:
    """Noisy images [examples, channels, rows, columns] side by side, with the noise of each below it."""
    gap = max(2, images.shape[-1] // 14)
    strip = np.concatenate([np.pad(image, ((0, 0), (0, 0), (0, gap)), constant_values=1) for image in images], axis=2)
    shown = np.clip(strip, 0, 1).transpose(1, 2, 0).squeeze()
    axes.imshow(shown, vmin=0, vmax=1, interpolation=resampling(images.shape[-1]), label=PICTURE)
    side = images.shape[-1] + gap
    ticks = (np.arange(len(images)) + 0.5) * side - gap / 2
    digits = 2 if sigmas.max() >= 0.1 else 3
    axes.set_xticks(ticks, [f"{round(float(value), digits):g}" for value in sigmas])
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
