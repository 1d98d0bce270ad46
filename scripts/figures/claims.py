"""Draw every row of the ledger: published against measured with intervals, and how many rows have each verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures.claims import FARTHEST, INDENT, LOOKS, NOT_RUN, TITLES, Line, Row, columns, counts, read_rows
from pipeline.figures.style import drawing, save

# Inches of a line with a label of 7 points, of what stands around the lines, and of the picture of all.
LINE, AROUND, TALL = 0.125, 1.75, 9.2
SHADE = "0.88"
# Inches beside panels: bold labels are wider than their layout.
PAD = 0.08
XLABEL = "deviation (tolerance = 1), or distance from the limit\non the side claimed (half width of the interval = 1)"


def draw(*, claims: str, limits: str, outputs: Sequence[str], groups: Sequence[str], style: str) -> None:
    """Write a picture of all groups to the outputs named as no group, and one of each group to those named as it."""
    rows = read_rows(claims, limits)
    by_group = {group: [row for row in rows if row.group == group] for group in groups}
    with drawing(style):
        for group, own in by_group.items():
            save(_details(own, group), [path for path in outputs if Path(path).stem == group])
        save(_overview(by_group), [path for path in outputs if Path(path).stem not in by_group])


def _overview(by_group: Mapping[str, Sequence[Row]]) -> Figure:
    """Counts of verdicts by group, and all intervals, a thin line each, grouped alike."""
    measured = {group: [row for row in rows if row.x is not None] for group, rows in by_group.items()}
    measured = {group: rows for group, rows in measured.items() if rows}
    apart = max(6, sum(len(rows) for rows in measured.values()) // 25)
    above = len(by_group) * 1.3 * LINE
    figure = plt.figure(figsize=(plt.rcParams["figure.figsize"][0], TALL))
    strip, below = figure.subplots(2, 1, height_ratios=(above, TALL - AROUND - above))
    _strip(strip, by_group)
    start, ticks = 0, []
    for rows in measured.values():
        _intervals(below, rows, start + np.arange(len(rows)), thin=True)
        ticks.append(start + (len(rows) - 1) / 2)
        start += len(rows) + apart
    below.set_yticks(ticks, [TITLES.get(group, group) for group in measured])
    below.set_ylim(max(start - apart, 1) + 1, -2)
    _finish(below)
    _legend(figure, [row for rows in by_group.values() for row in rows])
    return figure


def _details(rows: Sequence[Row], group: str) -> Figure:
    """Every claim of a group with its measured parts, a labelled line each, in as many columns as a page needs."""
    found = columns(rows)
    width, _ = plt.rcParams["figure.figsize"]
    heights = (0.4, max(max(map(len, found)), 3) * LINE)
    size = (2 * width if len(found) > 1 else 1.5 * width, sum(heights) + AROUND)
    figure = plt.figure(figsize=size)
    figure.set_layout_engine("constrained", w_pad=PAD)
    grid = figure.add_gridspec(2, len(found), height_ratios=heights)
    _strip(figure.add_subplot(grid[0, :]), {group: rows})
    for place, lines in enumerate(found):
        _lines(figure.add_subplot(grid[1, place]), lines, heights[1] / LINE)
    _legend(figure, rows)
    return figure


def _lines(axes: Axes, lines: Sequence[Line], places: float) -> None:
    """One column of labelled lines, with n beside each interval, and the verdict on a sentence beside its claim."""
    drawn = [(y, line.row) for y, line in enumerate(lines) if line.row is not None and line.row.x is not None]
    _intervals(axes, [row for _, row in drawn], np.array([y for y, _ in drawn]), thin=False)
    beside = axes.get_yaxis_transform()
    for y, line in enumerate(lines):
        axes.text(1.09, y, line.note, transform=beside, va="center", fontsize=7)
        if line.whole:
            colour, marker = LOOKS[line.whole]
            axes.plot(1.05, y, marker, color=colour, markersize=4, transform=beside, clip_on=False, label="sentence")
    axes.set_yticks(range(len(lines)), [line.label for line in lines])
    for text, line in zip(axes.get_yticklabels(), lines, strict=True):
        text.set_fontweight("normal" if line.label.startswith(INDENT) else "bold")
    axes.set_ylim(places - 0.5, -0.5)
    _finish(axes)


def _strip(axes: Axes, by_group: Mapping[str, Sequence[Row]]) -> None:
    """Stacked bars: how many rows of each group have each verdict, written into them where there is room."""
    names = list(by_group)
    found = [counts(rows) for rows in by_group.values()]
    most = max(sum(each.values()) for each in found) or 1
    left = np.zeros(len(names))
    for verdict, (colour, _) in LOOKS.items():
        values = np.array([each[verdict] for each in found])
        axes.barh(range(len(names)), values, 0.8, left, color=colour, label=verdict)
        for y, (value, x) in enumerate(zip(values, left, strict=True)):
            if value > 0.08 * most:
                shade = "white" if verdict == NOT_RUN else "black"
                axes.text(x + value / 2, y, str(value), ha="center", va="center", fontsize=7, color=shade)
        left += values
    axes.set_yticks(range(len(names)), [TITLES.get(name, name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"rows of the ledger (n = {sum(len(rows) for rows in by_group.values())})")


def _intervals(axes: Axes, rows: Sequence[Row], y: np.ndarray, *, thin: bool) -> None:
    """Intervals over a shade of where they lie if their claim holds."""
    if not rows:
        return
    two_sided = np.array([row.two_sided for row in rows])
    left, right = np.where(two_sided, -1.0, 0.0), np.where(two_sided, 1.0, FARTHEST)
    axes.barh(y, right - left, 1.0, left, color=SHADE, label="where the claim holds", zorder=0)
    for verdict, (colour, marker) in LOOKS.items():
        chosen = [place for place, row in enumerate(rows) if row.verdict == verdict]
        if not chosen:
            continue
        x, low, high = (
            np.array([getattr(rows[place], key) for place in chosen], float) for key in ("x", "low", "high")
        )
        size, line = (1.5, 0.5) if thin else (3.5, 1.0)
        style: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "markersize": size,
            "elinewidth": line,
            "linestyle": "none",
        }
        axes.errorbar(x, y[chosen], xerr=np.abs([low - x, high - x]), label=verdict, **style)


def _finish(axes: Axes) -> None:
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(-1.6 * FARTHEST, 1.6 * FARTHEST)
    axes.set_xticks([-100, -1, 0, 1, 100], ["−100", "−1", "0", "1", "100"])
    axes.axvline(0, color="k", linewidth=0.6, zorder=1)
    axes.tick_params(axis="y", length=0)


def _legend(figure: Figure, rows: Sequence[Row]) -> None:
    found = counts(rows)
    figure.supxlabel(XLABEL, fontsize=8)
    handles = [
        Line2D(
            [], [], color=colour, marker=marker, linestyle="none", markersize=4, label=f"{verdict}: {found[verdict]}"
        )
        for verdict, (colour, marker) in LOOKS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, columnspacing=1.0, handletextpad=0.2)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(claims=snakemake.input.claims, limits=snakemake.input.limits, outputs=snakemake.output, **run.settings)
