"""Draw how networks differ on single images: ranks, wrong answers and likely classes (Seguin, figure 3)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.logits import PAIRS, TRAINING, draw_overlap, read_crossed
from pipeline.figures.panels import shortened
from pipeline.figures.style import drawing, save
from pipeline.store import Reader, reading

SHORT = {"adversarial": "adv-adv", "standard": "std-std", "mixed": "adv-std"}
RANKS = 10


def draw(*, images: str, answers: str, outputs: Sequence[str], style: str) -> None:
    """A: ranks of confidence of one class by two networks. B: shares far apart. C: wrong answers. D: overlap."""
    with reading(images) as first, reading(answers) as second, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplot_mosaic([["A", "B"], ["C", "C"], ["D", "D"]], figsize=(width, 2.9 * height))
        _ranks(panels["A"], first)
        _far(panels["B"], first)
        _wrong(panels["C"], second)
        draw_overlap(panels["D"], second)
        found = read_crossed(second, "overlap/same/mixed")
        title = f"D  n = {found['n']} images, {found['networks']} networks; dashed: images\nexchanged within classes"
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.45, 1.0), "ncols": 3}
        panels["D"].legend(title=title, columnspacing=1, handlelength=1.2, **place)
        save(figure, outputs)


def _ranks(axes: Axes, file: Reader) -> None:
    chosen, classes = int(file.read("shown_class")), file.read("classes")
    rows = file.read("label") == chosen
    one, two = (file.read(f"ranks/{name}")[0, rows] for name in ("adversarial", "standard"))
    far, limit = file.read("ranks/far")[rows], float(file.read("ranks/far_limit"))
    dots: dict[str, Any] = {"s": 5, "linewidths": 0}
    axes.scatter(one[~far], two[~far], color="0.6", label="_others", **dots)
    axes.scatter(one[far], two[far], color="C3", marker="^", label="_far apart", **{**dots, "s": 11})
    for sign in (-1, 1):
        axes.axline((0, sign * limit), slope=1, color="k", linewidth=0.5, linestyle=":", label="_limit")
    name = shortened(str(classes[chosen]))
    axes.set_title(f"A  class {name}, n = {rows.sum()},\nfirst seeds, far apart: {far.sum()}", loc="left", fontsize=7)
    axes.set(xlabel="rank, adversarial", ylabel="rank, standard", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))


def _far(axes: Axes, file: Reader) -> None:
    for place, (pair, (colour, _, text)) in enumerate(PAIRS.items()):
        found = {key: 100 * float(value) for key, value in read_crossed(file, f"far/{pair}").items()}
        axes.bar(place, found["value"], 0.6, color=colour, alpha=0.6, label=f"_{text}")
        bars = [[max(found["value"] - found["low"], 0)], [max(found["high"] - found["value"], 0)]]
        axes.errorbar(place, found["value"], bars, color="k", capsize=2, linewidth=0.8, label=f"_{text}")
        top = found["high"] if np.isfinite(found["high"]) else found["value"]
        above: dict[str, Any] = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "fontsize": 7}
        axes.annotate(f"{found['value']:.2g} %", (place, top), **above)
    found = read_crossed(file, "far/mixed")
    axes.set_title(f"B  n = {found['n']} images,\n{found['networks']} networks", loc="left", fontsize=7)
    axes.set_xticks(range(len(PAIRS)), [SHORT[pair] for pair in PAIRS])
    axes.set_ylabel("ranks > 50 % apart (%)")
    axes.margins(y=0.15)


def _wrong(axes: Axes, file: Reader) -> None:
    # Natural images filled, adversarial ones open.
    for step, (images, marker) in enumerate((("natural", "o"), ("adversarial", "s"))):
        for side, (training, colour) in enumerate(TRAINING.items()):
            found = read_crossed(file, f"wrong/{images}/{training}/share")
            share, low, high = (found[key][:RANKS] for key in ("value", "low", "high"))
            n = file.read(f"wrong/{images}/{training}/n")
            x = np.arange(1, len(share) + 1) + 0.17 * (2 * step + side - 1.5)
            bars = np.stack([share - low, high - share])
            point: dict[str, Any] = {"color": colour, "markersize": 3, "elinewidth": 0.7, "capsize": 1.2}
            point["markerfacecolor"] = colour if images == "natural" else "w"
            label = f"{training}, {images} images, n = {n.min()}–{n.max()}"
            axes.errorbar(x, share, bars, fmt=marker, label=label, **point)
    axes.set_xticks(range(1, len(share) + 1))
    axes.set(xlabel="rank in the true class's average logits", ylabel="share of wrong answers")
    title = "C  wrong answers (n of each seed)"
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.45, 1.0), "borderpad": 0.1}
    axes.legend(title=title, handletextpad=0.2, **place)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(images=snakemake.input.images, answers=snakemake.input.answers, outputs=snakemake.output, **run.settings)
