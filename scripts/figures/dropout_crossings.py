"""Draw where lines change class while dropout is on, and how often they meet other classes (Bell, section 18)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch

from pipeline.figures.panels import shortened
from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import StoreError, reading

GROUPS = {"natural": "natural to natural", "adversarial": "natural to adversarial"}
TESTS = {"shapiro_p": "Shapiro", "agostino_p": "D'Agostino", "anderson_p": "Anderson"}
# Classes that neither end has, by how many points they hold; the rest share one colour.
FURTHER = ("C3", "C4", "C5", "C6")
BINS = 40


def draw(*, dropout: str, outputs: Sequence[str], style: str, pair: int) -> None:
    """A column for a line of either kind: classes under each mask, places of changes; below, shares of all lines."""
    with reading(dropout) as file:
        names = [shortened(str(name)) for name in file.read("classes")]
        groups = {name: file.read_group(name) for name in GROUPS}
    for name, group in groups.items():
        if pair >= len(group["plain"]):
            raise StoreError(f"{dropout}: holds {len(group['plain'])} {name} lines, there is no line {pair}")
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        size: dict[str, Any] = {"figsize": (width, 2.1 * height), "height_ratios": (2.2, 1.5, 1.3)}
        figure, panels = plt.subplot_mosaic([["ns", "as"], ["nh", "ah"], ["share", "share"]], **size)
        for (name, title), key in zip(GROUPS.items(), "na", strict=True):
            _strip(panels[f"{key}s"], groups[name], pair, names)
            panels[f"{key}s"].set_title(title, pad=3.7 * plt.rcParams["legend.fontsize"])
            _places(panels[f"{key}h"], groups[name], pair)
        panels["ns"].set_ylabel("mask, by first change")
        panels["nh"].set_ylabel("density")
        panels["as"].tick_params(labelleft=False)
        # Room for the legends above the highest bar of both.
        top = 1.75 * max(panels[name].get_ylim()[1] for name in ("nh", "ah"))
        for name, labels in (("nh", True), ("ah", False)):
            panels[name].set_ylim(top=top)
            panels[name].tick_params(labelleft=labels)
        _shares(panels["share"], groups)
        save(figure, outputs)


def _strip(axes: Axes, group: Mapping[str, np.ndarray], line: int, names: Sequence[str]) -> None:
    classes, plain = group["classes"][line], group["plain"][line]
    first, last = int(plain[0]), int(plain[-1])
    counts = np.bincount(classes.ravel(), minlength=len(names))
    further = [c for c in np.argsort(-counts, kind="stable") if counts[c] and c not in (first, last)]
    colours = dict.fromkeys(further, OTHER) | dict(zip(further, FURTHER, strict=False))
    colours |= {last: ADVERSARIAL, first: NATURAL}
    number = {c: i for i, c in enumerate(colours)}
    picture = np.vectorize(number.__getitem__)(classes[group["order"][line]])
    palette = ListedColormap([to_rgb(colour) for colour in colours.values()])
    shown: dict[str, Any] = {"cmap": palette, "vmin": -0.5, "vmax": len(colours) - 0.5, "interpolation": "nearest"}
    axes.imshow(picture, aspect="auto", extent=(0, 1, len(picture), 0), label="_class", **shown)
    axes.tick_params(labelbottom=False)
    listed = [first, last, *further[: len(FURTHER)]]
    patches = [Patch(color=colours[c], label=names[c]) for c in dict.fromkeys(listed)]
    if len(further) > len(FURTHER):
        patches.append(Patch(color=OTHER, label="others"))
    tight: dict[str, Any] = {"handlelength": 0.7, "handletextpad": 0.3, "columnspacing": 0.7, "borderpad": 0.1}
    axes.legend(handles=patches, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, **tight)


def _places(axes: Axes, group: Mapping[str, np.ndarray], line: int) -> None:
    here = group["line"] == line
    first = here & group["first"]
    edges = np.linspace(0, 1, BINS + 1).tolist()
    tests = {key: group[f"normality/first/{key}"][line] for key in ("n", *TESTS)}
    every: dict[str, Any] = {"histtype": "step", "color": "k", "linewidth": 0.7, "label": f"all, n = {here.sum()}"}
    axes.hist(group["place"][here], edges, density=True, **every)
    label = f"first, n = {tests['n']:.0f}"
    axes.hist(group["place"][first], edges, density=True, color="0.75", label=label)
    curve = group["normality/first/at"], group["normality/first/density"][line]
    axes.plot(*curve, color="C3", linewidth=0.9, label="normal fit")
    lines = [f"{name} p {_p_value(tests[key], key)}" for key, name in TESTS.items()]
    small = plt.rcParams["legend.fontsize"]
    axes.set_title("\n".join(lines), fontsize=small, loc="left")
    axes.set(xlim=(0, 1), xlabel="position on the line")
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.legend(loc="upper left", fontsize=small, handlelength=1, borderpad=0.1, borderaxespad=0.1)


def _p_value(value: float, key: str) -> str:
    if not np.isfinite(value):
        return "not known"
    # Anderson and Darling's is read off a table that ends at these.
    low, high = (0.01, 0.15) if key == "anderson_p" else (1e-4, 1.0)
    if value <= low:
        return f"≤ {low:g}"
    return f"≥ {high:g}" if value >= high else f"= {value:.2g}"


def _shares(axes: Axes, groups: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    at = 0
    for name, colour in zip(GROUPS, (NATURAL, ADVERSARIAL), strict=True):
        group = groups[name]
        for part, fill in (("third", colour), ("between", "none")):
            share, low, high = (group[f"{part}/{key}"] for key in ("value", "low", "high"))
            places = at + np.arange(len(share)) + (0.15 if part == "between" else -0.15)
            bars = np.stack([share - low, high - share])
            marker: dict[str, Any] = {"color": colour, "markerfacecolor": fill, "markersize": 3, "capsize": 1.5}
            axes.errorbar(places, share, bars, fmt="o", label=f"_{name}, {part}", **marker)
        at += len(group["third/value"])
    axes.set(ylabel="masks that meet\nclasses other", ylim=(0, 1.05))
    axes.set(xlabel="lines, natural to natural and to adversarial")
    axes.set_xticks(range(at), [str(i) for group in groups.values() for i in range(len(group["plain"]))])
    masks = groups["natural"]["classes"].shape[1]
    for fill, text in (("k", "than the ends without dropout"), ("none", "than the ends under the same mask")):
        axes.plot([], [], "o", color="k", markerfacecolor=fill, markersize=3, label=text)
    title = f"n = {masks} masks for each line"
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "borderpad": 0.1}
    axes.legend(title=title, handletextpad=0.1, **place)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(dropout=snakemake.input.dropout, outputs=snakemake.output, **run.settings)
