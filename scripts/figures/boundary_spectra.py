"""Draw singular values of samples projected onto the boundary, and whether the attack is what remains of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import Reader, reading

GROUPS = {"natural": ("between natural images", NATURAL), "adversarial": ("natural to adversarial", ADVERSARIAL)}
LINES: dict[str, Any] = {"descent": "-", "line": "--"}
MARKERS = {"gaussian": "^", "flat": "o"}
SHOWN = 2
LIMITS = (3e-4, 8)


def draw(*, spectra: str, outputs: Sequence[str], style: str) -> None:
    """Above: values of the first crossing of each kind at the first and last radius. Below: cosines of all of them."""
    with reading(spectra) as file:
        groups = {name: _read(file, name) for name in GROUPS}
        radii = file.read("radii")
        samples, ways = ([str(word) for word in file.read(name)] for name in ("samples", "projections"))
        random = float(file.read("random_cosine"))
    chosen = sorted({0, len(radii) - 1})
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, 2.7 * height))
        upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(2, 1)))
        panels = upper.subplots(len(GROUPS), SHOWN, sharex=True, sharey=True, squeeze=False)
        for row, (name, (text, colour)) in zip(panels, GROUPS.items(), strict=True):
            for axes, i in zip(row, chosen, strict=False):
                _spectra(axes, groups[name], i, radii[i], samples, ways, colour)
                axes.set_title(f"{text},\nradius {radii[i]:g}", fontsize=plt.rcParams["legend.fontsize"])
            row[0].set_ylabel("singular value / radius")
        for axes in panels[-1]:
            axes.set_xlabel("value, from the smallest")
        _cosines(lower.subplots(), groups, radii, samples, ways, random)
        handles = [
            Line2D([], [], color=OTHER, label="Gaussian sample"),
            Line2D([], [], color="k", label="flat sample (in colour)"),
            *(Line2D([], [], color="k", linestyle=LINES[way], label=f"projected by {way}") for way in ways),
        ]
        title = "a single crossing of each kind"
        place: dict[str, Any] = {"loc": "outside upper center", "ncols": 2, "title": title}
        upper.legend(handles=handles, handlelength=2, **place)
        save(figure, outputs)


def _read(file: Reader, name: str) -> dict[str, Any]:
    group = {key: file.read(f"{name}/{key}") for key in ("centred", "dropped", "attack")}
    summary = {key: file.read(f"{name}/summary/{key}") for key in file.names(f"{name}/summary")}
    return {**group, "summary": summary}


def _spectra(
    axes: Axes,
    group: Mapping[str, Any],
    place: int,
    radius: float,
    samples: Sequence[str],
    ways: Sequence[str],
    colour: str,
) -> None:
    axes.set(xscale="log", yscale="log", ylim=LIMITS)
    if not len(group["centred"]):
        axes.text(0.5, 0.5, "no crossing", transform=axes.transAxes, ha="center")
        return
    notes = []
    for s, sample in enumerate(samples):
        own = OTHER if sample == "gaussian" else colour
        for w, way in enumerate(ways):
            values = group["centred"][0, place, s, w][::-1] / radius
            count = int(group["dropped"][0, place, s, w])
            number = np.arange(1, len(values) + 1)
            name = f"_{sample} sample, projected by {way}"
            axes.plot(number, values, color=own, linestyle=LINES[way], linewidth=0.9, label=name)
            lost = slice(0, max(count, 0))
            axes.scatter(
                number[lost],
                values[lost],
                s=9,
                marker=MARKERS[sample],
                facecolors="none",
                edgecolors=own,
                clip_on=False,
                label=f"{name}, dropped",
            )
        notes.append(
            f"{sample}: " + ", ".join(str(count) if count >= 0 else "–" for count in group["dropped"][0, place, s])
        )
    head = f"dropped ({', '.join(ways)})"
    size = plt.rcParams["xtick.labelsize"]
    axes.text(0.98, 0.04, "\n".join([head, *notes]), transform=axes.transAxes, fontsize=size, va="bottom", ha="right")


def _cosines(
    axes: Axes,
    groups: Mapping[str, Mapping[str, Any]],
    radii: np.ndarray,
    samples: Sequence[str],
    ways: Sequence[str],
    random: float,
) -> None:
    names = [(i, sample, way) for way in ways for sample in samples for i in range(len(radii))]
    for shift, (name, (text, colour)) in zip((-0.12, 0.12), GROUPS.items(), strict=True):
        summary = groups[name]["summary"]
        mean, low, high = (
            np.array([float(summary[f"{i}/{sample}/{way}/{key}"]) for i, sample, way in names])
            for key in ("mean", "mean_low", "mean_high")
        )
        n = len(groups[name]["attack"])
        spread = np.nan_to_num(np.abs([mean - low, high - mean]))
        places = np.arange(len(names)) + shift
        axes.errorbar(
            places,
            mean,
            spread,
            color=colour,
            marker="o",
            markersize=3.5,
            capsize=2,
            linestyle="none",
            label=f"{text}, n = {n}",
        )
    axes.axhline(random, color="k", linewidth=0.8, linestyle=":", label="random direction")
    axes.set(ylim=(0, 1.05), ylabel="|cosine| of the line and\nthe first direction,\nimage removed")
    axes.set_xticks(range(len(names)), [f"{radii[i]:g}" for i, _, _ in names])
    axes.set(xlim=(-0.5, len(names) - 0.5))
    small = plt.rcParams["xtick.labelsize"]
    below: dict[str, Any] = {"ha": "center", "va": "top", "size": small, "xycoords": "axes fraction"}
    groups_below = [f"{sample},\nby {way}" for way in ways for sample in samples]
    for place, text in enumerate(groups_below):
        middle = (place + 0.5) / len(groups_below)
        axes.annotate(text, (middle, 0), (0, -2.2 * small), textcoords="offset points", **below)
    axes.set_xlabel("radius (pixel range = 1)", labelpad=3 * small)
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(spectra=snakemake.input.spectra, outputs=snakemake.output, **run.settings)
