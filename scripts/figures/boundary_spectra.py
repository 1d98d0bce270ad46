"""Draw singular values of samples projected onto the boundary, and whether the attack is what remains of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pipeline.figure import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import Reader, reading

GROUPS = {"natural": ("between natural images", NATURAL), "adversarial": ("natural to adversarial", ADVERSARIAL)}
LINES = {"descent": "-", "line": "--"}
MARKERS = {"gaussian": "^", "flat": "o"}
SHOWN = 2
LIMITS = (3e-3, 8)


def draw(*, spectra: str, outputs: Sequence[str], style: str) -> None:
    """Above: values of the first crossing of each kind at the first and last radius. Below: cosines of all crossings."""
    with reading(spectra) as file:
        groups = {name: _read(file, name) for name in GROUPS}
        radii, samples, ways = (file.read(name) for name in ("radii", "samples", "projections"))
        random = float(file.read("random_cosine"))
    chosen = sorted({0, len(radii) - 1})
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, 2.35 * height))
        grid = figure.add_gridspec(3, SHOWN, height_ratios=(1, 1, 0.9))
        for row, (name, (text, colour)) in enumerate(GROUPS.items()):
            for column, i in enumerate(chosen):
                axes = figure.add_subplot(grid[row, column])
                _spectra(axes, groups[name], i, radii[i], samples, ways, colour)
                axes.set_title(f"{text},\nradius {radii[i]:g}", fontsize=7)
                if column == 0:
                    axes.set_ylabel("singular value / radius")
                if row == 1:
                    axes.set_xlabel("number of the value")
        axes = figure.add_subplot(grid[2, :])
        _cosines(axes, groups, radii, samples, ways, random)
        handles = [
            Line2D([], [], color=OTHER, label="Gaussian sample"),
            Line2D([], [], color="k", label="flat sample (in colour)"),
            Line2D([], [], color="k", linestyle="--", label="along lines"),
            Line2D([], [], color="k", label="by descent"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=2, handlelength=2)
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
    axes.set(yscale="log", ylim=LIMITS)
    if not len(group["centred"]):
        axes.text(0.5, 0.5, "no crossing", transform=axes.transAxes, ha="center")
        return
    notes = []
    for s, sample in enumerate(samples):
        counts = []
        for w, way in enumerate(ways):
            values = group["centred"][0, place, s, w] / radius
            count = int(group["dropped"][0, place, s, w])
            own = OTHER if sample == "gaussian" else colour
            number = np.arange(1, len(values) + 1)
            axes.plot(number, values, color=own, linestyle=LINES[way], linewidth=0.9)
            if count > 0:
                lost = np.maximum(values[-count:], LIMITS[0] * 1.15)
                axes.scatter(number[-count:], lost, s=9, marker=MARKERS[sample], facecolors="none", edgecolors=own)
            counts.append(f"{count}" if count >= 0 else "–")
        notes.append(f"{sample}: {', '.join(counts)}")
    head = "dropped (" + ", ".join("along lines" if way == "line" else way for way in ways) + ")"
    axes.text(0.03, 0.04, "\n".join([head, *notes]), transform=axes.transAxes, fontsize=6, va="bottom")


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
    axes.set(ylim=(0, 1.05), ylabel="|cosine| of the first\ndirection, image removed,\nwith the line")
    axes.set_xticks(
        range(len(names)),
        [
            f"{radii[i]:g}\n{sample[:5]}.\n{way}" if sample == "gaussian" else f"{radii[i]:g}\n{sample}\n{way}"
            for i, sample, way in names
        ],
        fontsize=6,
    )
    axes.legend(loc="upper right", fontsize=6)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        draw(spectra=snakemake.input.spectra, outputs=snakemake.output, **run.settings)
