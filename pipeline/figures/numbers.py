"""The numbers that a figure draws, read from its matplotlib artists and written as one tidy CSV file.

A row is a point, a bar, a cell or a text of one panel. What lies in coordinates of the axes (marks of decoration)
holds no numbers and is left out, and so are the pixels of pictures: an RGB image, or one labelled `PICTURE`.

An artist's label names its series. A label that begins with an underscore, which legends leave out, does so too;
without one the series is called by its kind and its number in the panel.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FixedLocator

from pipeline.figures.artist_numbers import PICTURE, Rows, artist_rows, joined, legend_rows, text_rows

COLUMNS = (
    *("panel", "kind", "series", "part", "x", "y", "z", "x_low", "x_high", "y_low", "y_high"),
    *("z_low", "z_high", "value", "color", "text"),
)


def write_numbers(figure: Figure, path: Path) -> None:
    """Write every number that a figure draws; equal figures give equal bytes.

    Args:
        path: CSV file with `COLUMNS`; docs/provenance.md says what they hold for each kind.

    Raises:
        OSError: the file cannot be written.
        TypeError: an artist is of a kind that is not read.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for rows in _figure_rows(figure):
            columns = [_formatted(rows.get(name, "")) for name in COLUMNS]
            # A series without points has no rows.
            length = max({len(column) for column in columns} - {1}, default=1)
            writer.writerows(zip(*(column * length if len(column) == 1 else column for column in columns), strict=True))


def _formatted(values: Any) -> list[str]:
    """Shortest text that gives the number back in its own precision; nothing for what is not a number."""
    if isinstance(values, str):
        return [values]
    array = np.ma.asarray(values)
    hidden = np.ma.getmaskarray(array).ravel()
    texts = map(str, np.ma.getdata(array).ravel())
    return ["" if masked or text == "nan" else text for text, masked in zip(texts, hidden, strict=True)]


def _figure_rows(figure: Figure) -> Iterator[Rows]:
    """Blocks of rows; a column of a block is one value, or one for each row."""
    yield from _texts_around(figure)
    drawn = [axes for axes in figure.axes if not hasattr(axes, "_colorbar")]
    for number, axes in enumerate(drawn, 1):
        for rows in _panel_rows(axes):
            yield {"panel": number, **rows}


def _texts_around(figure: FigureBase) -> Iterator[Rows]:
    for text in figure.texts:
        yield from text_rows(text)
    for legend in figure.legends:
        yield from legend_rows(legend)
    for part in figure.subfigs:
        yield from _texts_around(part)


def _panel_rows(axes: Axes) -> Iterator[Rows]:
    if title := _title(axes):
        yield {"kind": "title", "text": title}
    yield from _axis_rows(axes)
    count: Counter[str] = Counter()
    inside = {id(child) for container in axes.containers for child in container.get_children()}
    titles_too = inside | {id(text) for text in (axes.title, axes._left_title, axes._right_title)}  # type: ignore[attr-defined]
    others = [artist for artist in axes.get_children() if id(artist) not in titles_too and artist.get_visible()]
    for artist in [*axes.containers, *others]:
        for rows in artist_rows(artist, axes):
            kind = rows["kind"]
            if kind not in ("text", "legend"):
                count[kind] += 1
                rows = {"series": _name(artist) or f"{kind} {count[kind]}", **rows}
            yield rows


def _title(axes: Axes) -> str:
    """The title of a panel, after that of the part of the figure it stands in."""
    around: Any = axes.get_figure(root=False)
    heading = "" if around is axes.get_figure(root=True) else around.get_suptitle()
    titles = [heading, *(axes.get_title(place) for place in ("left", "center", "right"))]
    return ", ".join(joined(title) for title in titles if title)


def _axis_rows(axes: Axes) -> Iterator[Rows]:
    """Label, limits, scale and chosen ticks of each axis, and the label of a colour bar."""
    if axes.axison:
        for name, axis in axes._axis_map.items():
            label = joined(axis.get_label_text()) or _shared_label(axes, name)
            low, high = axis.get_view_interval()
            limits = {f"{name}_low": low, f"{name}_high": high}
            yield {"kind": f"{name} axis", "series": axis.get_scale(), "text": label, **limits}
            if isinstance(axis.get_major_locator(), FixedLocator):
                places = axis.get_majorticklocs().tolist()
                for place, text in zip(places, axis.get_major_formatter().format_ticks(places), strict=True):
                    yield {"kind": f"{name} tick", name: place, "text": joined(text)}
    labels = {joined(bar.ax.get_xlabel() or bar.ax.get_ylabel()) for bar in _colour_bars(axes)}
    for label in sorted(labels - {""}):
        yield {"kind": "value axis", "text": label}


def _shared_label(axes: Axes, name: str) -> str:
    """The label that stands at another panel with the same axis, or below or beside all of them."""
    for other in axes._shared_axes[name].get_siblings(axes):  # type: ignore[attr-defined]
        if label := getattr(other, f"get_{name}label")():
            return joined(label)
    return "" if name == "z" else joined(getattr(axes.get_figure(root=False), f"get_sup{name}label")())


def _colour_bars(axes: Axes) -> Iterator[Any]:
    """Colour bars of the figure whose colours a panel has: its own, or one of the same map and limits."""
    root = axes.get_figure(root=True)
    bars = [other._colorbar for other in root.axes if hasattr(other, "_colorbar")] if root else []
    for artist in [*axes.collections, *axes.images]:
        for bar in bars:
            same = bar.mappable.cmap == artist.cmap and bar.mappable.get_clim() == artist.get_clim()
            if artist.get_array() is not None and same:
                yield bar


def _name(artist: Any) -> str:
    # `hist` labels the first bar, `bar` all of them.
    label = artist.get_label()
    if isinstance(artist, BarContainer) and artist.patches and label.startswith("_container"):
        label = artist.patches[0].get_label()
    if not isinstance(label, str) or label.startswith(("_child", "_nolegend_", "_container", PICTURE)):
        return ""
    return joined(label.removeprefix("_"))
