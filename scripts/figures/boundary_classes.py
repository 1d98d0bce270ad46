"""Draw how many classes meet near the boundary, its image in probability space, and paths between its points."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save, with_interval
from pipeline.store import Reader, reading

GROUPS = {"natural": ("between natural images", NATURAL), "adversarial": ("natural to adversarial", ADVERSARIAL)}
WAYS = {"searched": ("search", "-", "o"), "sampled": ("samples", "--", "^")}
PATHS = {
    "natural": "natural",
    "adversarial": "adversarial",
    "between": "one of each",
}
SETS = {"boundary": "boundary", "level": "level set"}
OUTCOMES = {"connected": "C3", "other class": "C5", "gap": "C4", "unresolved": OTHER}


def draw(*, level_sets: str, outputs: Sequence[str], style: str) -> None:
    """Shares with intervals against the radius; points and lines in the simplex; outcomes of paths."""
    with reading(level_sets) as file:
        groups = {name: _read(file, name) for name in GROUPS}
        radii, spreads = file.read("radii"), file.read("dimension_radii")
        paths = {name: file.read_group(f"paths/{name}") for name in PATHS}
        step = float(file.read("step"))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, 2.6 * height))
        above, middle, below = figure.subplots(3, 1, height_ratios=(1, 1, 0.62))
        _shares(above, groups, radii)
        _simplex(middle, groups, spreads)
        _outcomes(below, paths, step)
        save(figure, outputs)


def _read(file: Reader, name: str) -> dict[str, Any]:
    shares = {way: [file.read(f"{name}/{way}/share/{key}") for key in ("value", "low", "high")] for way in WAYS}
    places = {key: file.read(f"{name}/{key}") for key in ("simplex", "curves_simplex", "rank")}
    missing = {key: file.read(f"{name}/dimension/{key}_dropped") for key in SETS if f"{name}/dimension" in file}
    return {"n": int(file.read(f"{name}/n")), **shares, **places, "missing": missing}


def _shares(axes: Axes, groups: Mapping[str, Mapping[str, Any]], radii: np.ndarray) -> None:
    for name, (text, colour) in GROUPS.items():
        for way, (how, line, marker) in WAYS.items():
            share, low, high = groups[name][way]
            spread = np.abs([share - low, high - share])
            label = f"{text}, {how}, n = {groups[name]['n']}"
            axes.errorbar(
                radii, share, spread, color=colour, linestyle=line, marker=marker, markersize=3, capsize=2, label=label
            )
    axes.set(
        xscale="log", ylim=(0, 1.03), xlabel="radius (pixel range = 1)", ylabel="share with three\nclasses or more"
    )
    axes.set_xticks(radii, [f"{radius:g}" for radius in radii])
    axes.minorticks_off()
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=1)


def _simplex(axes: Axes, groups: Mapping[str, Mapping[str, Any]], spreads: np.ndarray) -> None:
    corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(0.75)], [0, 0]])
    centre = corners[:3].mean(0)
    axes.plot(*corners.T, color="k", linewidth=0.6, label="_simplex")
    for middle in (corners[:2].mean(0), corners[1:3].mean(0), (corners[0] + corners[2]) / 2):
        axes.plot(*np.array([centre, middle]).T, color="k", linewidth=0.8, linestyle=":", label="_equal classes")
    for name, (text, colour) in GROUPS.items():
        for curve in groups[name]["curves_simplex"]:
            axes.plot(*curve.T, color=colour, linewidth=0.5, alpha=0.8, label=f"_{text}, path")
        points = groups[name]["simplex"]
        axes.scatter(
            points[:, 0], points[:, 1], s=6, color=colour, linewidths=0, zorder=3, label=f"{text}, n = {len(points)}"
        )
    axes.set(aspect="equal", xlim=(-0.35, 1.35))
    small, text = plt.rcParams["xtick.labelsize"], _dimensions(groups, spreads)
    place: dict[str, Any] = {"xycoords": ("figure fraction", "axes fraction"), "annotation_clip": False}
    note = axes.annotate(text, (0.01, 1.05), fontsize=small, va="top", linespacing=1.4, **place)
    # Beside the triangle's top, where the other panels have their labels.
    note.set_in_layout(False)
    axes.axis("off")
    axes.text(-0.03, 0, "class\nleft", ha="right", va="center", fontsize=7)
    axes.text(1.02, 0, "class\nentered", ha="left", va="center", fontsize=7)
    axes.text(0.5, 0.9, "third class", ha="center", va="bottom", fontsize=7)


def _dimensions(groups: Mapping[str, Mapping[str, Any]], spreads: np.ndarray) -> str:
    """Dimensions that boundary and level set lack, in words."""
    ranks = np.concatenate([group["rank"] for group in groups.values()])
    lines = ["dimensions missing", f"by gradients: {', '.join(map(str, np.unique(ranks)))} (n = {len(ranks)})"]
    for i, spread in enumerate(spreads):
        for key, name in SETS.items():
            parts = [group["missing"][key][:, i] for group in groups.values() if key in group["missing"]]
            counts = [str(count) for count in np.concatenate(parts) if count >= 0] if parts else []
            lines.append(f"{name}, radius {spread:g}: {', '.join(counts) or '–'}")
    return "\n".join(lines)


def _outcomes(axes: Axes, paths: Mapping[str, Mapping[str, np.ndarray]], step: float) -> None:
    labels = []
    for place, (name, text) in enumerate(PATHS.items()):
        n = int(paths[name]["connected/n"])
        left = 0.0
        for outcome, colour in OUTCOMES.items():
            share = float(paths[name][f"{outcome.replace(' ', '_')}/value"]) if n else 0.0
            axes.barh(place, share, left=left, color=colour, height=0.6, label=outcome if place == 0 else f"_{outcome}")
            left += share
        share, low, high = (float(paths[name][f"connected/{key}"]) for key in ("value", "low", "high"))
        if n:
            axes.errorbar(
                share,
                place,
                xerr=[[share - low], [high - share]],
                color="k",
                capsize=2,
                linewidth=0.8,
                label="_connected",
            )
        note = with_interval(share, low, high) if n else "no pairs"
        labels.append(f"{text}, n = {n}\n{note}")
    axes.set_yticks(range(len(PATHS)), labels)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel=f"share of pairs of points (steps ≤ {step:g})")
    axes.legend(loc="lower center", bbox_to_anchor=(0.35, 1.0), ncols=4, columnspacing=0.7, handlelength=0.9)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(level_sets=snakemake.input.level_sets, outputs=snakemake.output, **run.settings)
