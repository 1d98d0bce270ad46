"""Draw every row of the ledger: published against measured with intervals, and how many rows have each verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.claim_panels import FARTHEST, INDENT, LOOKS, NOT_RUN, TITLES, Row, counts, labelled, read_rows
from pipeline.figure import drawing, save

# Inches of a line with a label of 7 points, of one without, and of what stands around the lines.
LINE, THIN, AROUND = 0.125, 0.018, 1.5
SHADE = "0.88"
XLABEL = "deviation (tolerance = 1), or distance from\nthe limit on the side claimed (half width = 1)"


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
    lines = sum(len(rows) for rows in measured.values()) + 6 * len(measured)
    width, _ = plt.rcParams["figure.figsize"]
    heights = (len(by_group) * 1.4 * LINE, max(lines * THIN, 1.0))
    figure, (above, below) = plt.subplots(2, 1, figsize=(width, sum(heights) + AROUND + 0.6), height_ratios=heights)
    _strip(above, by_group)
    start, ticks = 0, []
    for rows in measured.values():
        _intervals(below, rows, start + np.arange(len(rows)), thin=True)
        ticks.append(start + (len(rows) - 1) / 2)
        start += len(rows) + 6
    below.set_yticks(ticks, [TITLES.get(group, group) for group in measured])
    below.set_ylim(start, -4)
    _finish(below)
    _legend(figure, [row for rows in by_group.values() for row in rows])
    return figure


def _details(rows: Sequence[Row], group: str) -> Figure:
    """Every claim of a group with its measured parts, a labelled line each."""
    lines = labelled(rows)
    width, _ = plt.rcParams["figure.figsize"]
    heights = (0.4, max(len(lines), 3) * LINE)
    size = (2 * width, sum(heights) + AROUND)
    figure, (above, below) = plt.subplots(2, 1, figsize=size, height_ratios=heights)
    _strip(above, {group: rows})
    places = np.array([y for y, (_, row) in enumerate(lines) if row is not None and row.x is not None])
    drawn = [row for _, row in lines if row is not None and row.x is not None]
    _intervals(below, drawn, places, thin=False)
    beside = below.get_yaxis_transform()
    for y, (_, row) in enumerate(lines):
        if row is not None and row.x is not None:
            below.text(1.03, y, f"n = {row.n}", transform=beside, va="center", fontsize=7)
        elif row is not None and row.verdict != NOT_RUN:
            colour, marker = LOOKS[row.verdict]
            below.plot(
                1.04, y, marker, color=colour, markersize=4, transform=beside, clip_on=False, label="whole sentence"
            )
            below.text(1.07, y, "whole", transform=beside, va="center", fontsize=7)
    below.set_yticks(range(len(lines)), [label for label, _ in lines])
    for text, (label, _) in zip(below.get_yticklabels(), lines, strict=True):
        text.set_fontweight("normal" if label.startswith(INDENT) else "bold")
    below.set_ylim(len(lines) - 0.5, -0.5)
    _finish(below)
    _legend(figure, rows)
    return figure


def _strip(axes: Axes, by_group: Mapping[str, Sequence[Row]]) -> None:
    """Stacked bars: how many rows of each group have each verdict, written into them where there is room."""
    names = list(by_group)
    found = [counts(rows) for rows in by_group.values()]
    most = max(sum(each.values()) for each in found) or 1
    left = np.zeros(len(names))
    for verdict, (colour, _) in LOOKS.items():
        values = np.array([each[verdict] for each in found])
        ink = "w" if verdict == NOT_RUN else "k"
        axes.barh(range(len(names)), values, 0.8, left, color=colour, label=verdict)
        for y, (value, x) in enumerate(zip(values, left, strict=True)):
            if value > 0.06 * most:
                axes.text(x + value / 2, y, str(value), color=ink, ha="center", va="center", fontsize=7)
        left += values
    axes.set_yticks(range(len(names)), [TITLES.get(name, name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"rows of the ledger, n = {sum(map(len, by_group.values()))}")


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
        axes.errorbar(
            x,
            y[chosen],
            xerr=np.abs([low - x, high - x]),
            color=colour,
            marker=marker,
            markersize=1.5 if thin else 3.5,
            elinewidth=0.5 if thin else 1.0,
            linestyle="none",
            label=verdict,
        )


def _finish(axes: Axes) -> None:
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(-1.6 * FARTHEST, 1.6 * FARTHEST)
    axes.set_xticks([-100, -1, 0, 1, 100], ["−100", "−1", "0", "1", "100"])
    axes.axvline(0, color="k", linewidth=0.6, zorder=1)
    axes.set_xlabel(XLABEL)
    axes.tick_params(axis="y", length=0)


def _legend(figure: Figure, rows: Sequence[Row]) -> None:
    found = counts(rows)
    handles = [
        Line2D(
            [], [], color=colour, marker=marker, linestyle="none", markersize=4, label=f"{verdict} ({found[verdict]})"
        )
        for verdict, (colour, marker) in LOOKS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, columnspacing=1.0, handletextpad=0.2)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        draw(claims=snakemake.input.claims, limits=snakemake.input.limits, outputs=snakemake.output, **run.settings)
