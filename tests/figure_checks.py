"""What every figure must keep to be read in print; `conftest.readable_figures` asserts it of each one that a test draws.

A figure is printed at the size it is saved with: one column, the width of its style's figures, or two.
"""

import itertools
import re
from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from pipeline.figures.style import EXACT

# In points. Exponents and indices of formulas are smaller, as in print.
SMALLEST = 7.0
# In widths of a column, what a page leaves for one figure.
TALLEST = 2.75
# How far texts may reach into each other or beyond the figure, in pixels of a hundredth of an inch: boxes are wider than ink.
SLACK = 1.5
# Shares of red, green and blue that count as equal.
NEAR = 0.02

# A number of samples; figures of closed forms and of single inputs say so in words.
COUNTED = re.compile(rf"\bn = \d|{EXACT}")
UNCERTAIN = re.compile(rf"\[-?[\d.]+, -?[\d.]+\]|±|\bintervals?\b|\bsingle\b|{EXACT}")


def problems(figure: Figure) -> list[str]:
    """What makes a drawn figure hard to read or leaves a number without its n, in words; empty for a good one.

    Call it in the style that the figure was drawn in, after it was saved.
    """
    _measure(figure)
    width, height = figure.get_size_inches()
    column, _ = plt.rcParams["figure.figsize"]
    found = []
    if width > 2 * column + 1e-6:
        found.append(f"{width:.1f} inches wide, more than two columns")
    if height > TALLEST * column:
        found.append(f"{height:.1f} inches tall, more than a page")
    texts = list(_texts(figure))
    if not any(COUNTED.search(text.get_text()) for text in texts):
        found.append("states no n")
    if not _shows_uncertainty(figure, texts):
        found.append("shows no interval")
    boxes = [(text, text.get_window_extent()) for text in texts]
    for text, box in boxes:
        if text.get_fontsize() < SMALLEST:
            found.append(f"{_short(text)} has {text.get_fontsize():g} points")
        if not _inside(box, figure.bbox):
            found.append(f"{_short(text)} is cut at the edge")
    # The box of a slanted text is mostly empty.
    straight = [(text, box) for text, box in boxes if text.get_rotation() % 90 == 0]
    for (one, first), (two, second) in itertools.combinations(straight, 2):
        if _overlap(first, second):
            found.append(f"{_short(one)} and {_short(two)} overlap")
    for axes in figure.axes:
        found.extend(_unlabelled(axes))
        found.extend(f"the colour {to_hex(colour)} is not the style's" for colour in _colours(axes) if not _own(colour))
    return found


def _measure(figure: Figure) -> None:
    """Places everything as it was saved, in the pixels of the figure: a second layout could come out otherwise."""
    engine = figure.get_layout_engine()
    figure.set_layout_engine("none")
    figure.draw_without_rendering()
    figure.set_layout_engine(engine)


def _is_number(text: Text) -> bool:
    plain = re.sub(r"mathdefault|times|[$\\{}^]", "", text.get_text())
    return bool(re.fullmatch(r"[-−+\d.,e%°\s]+", plain)) and any(letter.isdigit() for letter in plain)


def _short(text: Text) -> str:
    return repr(text.get_text()[:40])


def _inside(box: Bbox, page: Bbox) -> bool:
    beyond = (page.x0 - box.x0, page.y0 - box.y0, box.x1 - page.x1, box.y1 - page.y1)
    return max(beyond) < SLACK / 2


def _overlap(one: Bbox, two: Bbox) -> bool:
    across = min(one.x1, two.x1) - max(one.x0, two.x0)
    up = min(one.y1, two.y1) - max(one.y0, two.y0)
    return across > 2 * SLACK and up > 2 * SLACK


def _texts(figure: Figure) -> Iterator[Text]:
    """Every text that is drawn, ticks beyond the limits of their axis left out."""
    ticks: set[int] = set()
    shown: list[Text] = []
    hidden: set[int] = set()
    for axes in figure.axes:
        if not axes.get_visible():
            hidden.update(id(text) for text in axes.findobj(Text))
        for axis in axes._axis_map.values():
            ticks.update(id(text) for text in axis.findobj(Text) if text is not axis.label)
            if not axes.axison:
                ticks.add(id(axis.label))
            elif axis.get_visible() and axes.name != "3d":
                for tick in axis._update_ticks():
                    shown.extend(text for text in (tick.label1, tick.label2) if text.get_visible())
                shown.append(axis.offsetText)
    others = [text for text in figure.findobj(Text) if id(text) not in ticks]
    seen: set[int] = set()
    for text in [*others, *shown]:
        if text.get_visible() and text.get_text().strip() and id(text) not in seen | hidden:
            seen.add(id(text))
            yield text


def _shows_uncertainty(figure: Figure, texts: list[Text]) -> bool:
    if any(UNCERTAIN.search(text.get_text()) for text in texts):
        return True
    for axes in figure.axes:
        if any(isinstance(container, ErrorbarContainer) for container in axes.containers):
            return True
        if axes.findobj(FillBetweenPolyCollection):
            return True
    return False


def _colours(axes: Axes) -> set[tuple[float, ...]]:
    """Of lines, points and bars; what a colour map gives to values is not among them."""
    found = [to_rgb(line.get_color()) for line in axes.lines]
    found += [to_rgb(patch.get_facecolor()) for patch in axes.patches if patch.get_fill()]
    plain = [marks for marks in axes.collections if marks.get_array() is None]
    found += [to_rgb(colour) for marks in plain for colour in [*marks.get_facecolor(), *marks.get_edgecolor()]]
    return set(found)


def _own(colour: tuple[float, ...]) -> bool:
    """Whether a colour is grey, of the style's cycle, perhaps mixed with white, or of the map for ordered values."""
    ink = 1 - np.array(colour)
    if np.ptp(ink) < NEAR:
        return True
    cycle = 1 - np.array([to_rgb(own) for own in plt.rcParams["axes.prop_cycle"].by_key()["color"]])
    shares = np.clip(cycle @ ink / (cycle**2).sum(1), 0, 1)
    ordered = 1 - plt.get_cmap("viridis")(np.linspace(0, 1, 256))[:, :3]
    return bool(min(np.abs(shares[:, None] * cycle - ink).max(1).min(), np.abs(ordered - ink).max(1).min()) < NEAR)


def _unlabelled(axes: Axes) -> list[str]:
    """Axes whose ticks have numbers and no label says what of."""
    found = []
    if not axes.get_visible() or not axes.axison or hasattr(axes, "_colorbar"):
        return []
    part = axes.get_figure(root=False)
    for name, axis in axes._axis_map.items():
        siblings = axes._shared_axes[name].get_siblings(axes)
        labels = [getattr(other, f"get_{name}label")() for other in siblings]
        root = axes.get_figure(root=True)
        around = [getattr(one, f"get_sup{name}label")() for one in (part, root)] if name != "z" else []
        ticks = [] if axes.name == "3d" else list(axis._update_ticks())
        texts = [text for tick in ticks for text in (tick.label1, tick.label2) if text.get_visible()]
        if any(map(_is_number, texts)) and not any(labels) and not any(around):
            found.append(f"the {name} axis of a panel has numbers and no label")
    return found
