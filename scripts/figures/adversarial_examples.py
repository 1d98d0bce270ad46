"""Draw images, the perturbations an attack found for them, and the adversarial images they give (Bell, figure 2)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from pipeline.figure import drawing, save
from pipeline.results import IMAGE_DIMS
from pipeline.store import StoreError, reading

SIDE_BY_SIDE = 2

# Between two images, in widths of one.
GAP = 0.3

# Characters of two class names that find room above a sum.
ONE_LINE = 22


def draw(*, attack: str, outputs: Sequence[str], style: str, examples: int = 6) -> None:
    """Draw the first successful rows, those that reach a class no row before reached first; none is picked by hand."""
    with reading(attack) as file:
        x, x_adv = file.read("x", IMAGE_DIMS), file.read("x_adv", IMAGE_DIMS)
        columns = {name: file.read(name) for name in ("label", "predicted", "distortion", "success")}
        classes = [str(name) for name in file.read("classes")]
    if not columns["success"].any():
        raise StoreError(f"{attack}: no attack succeeded, so there is no adversarial image to draw")
    if x.shape[1] not in (1, 3):
        raise StoreError(f"{attack}: images must have 1 colour or 3 to be drawn, found {x.shape[1]}")
    rows = _chosen(columns["success"], columns["predicted"], examples)
    titles = [_title(classes[columns["label"][row]], classes[columns["predicted"][row]]) for row in rows]
    change = x_adv[rows] - x[rows]
    # The perturbation of a colour image has a value for each colour, for which there is no diverging scale.
    bound = float(np.abs(change).max())
    scale = ScalarMappable(Normalize(-bound, bound), "RdBu_r" if x.shape[1] == 1 else "gray")
    with drawing(style):
        across = min(SIDE_BY_SIDE, len(rows))
        lines = -(-len(rows) // across)
        width = plt.rcParams["figure.figsize"][0]
        point = plt.rcParams["font.size"] / 72
        side = width / across / (3 + 2 * GAP) * x.shape[2] / x.shape[3]
        text = 5 if any("\n" in title for title in titles) else 3.6
        size = (width, lines * (0.9 * side + text * point) + 6 * point)
        # Wider than the gaps in a sum, so that two sums do not read as one.
        apart = {"wspace": 0.12}
        figure, panels = plt.subplots(lines, across, squeeze=False, figsize=size, gridspec_kw=apart)
        for axes in panels.ravel():
            axes.set_axis_off()
        for axes, row, title, perturbation in zip(panels.ravel(), rows, titles, change, strict=False):
            _sum(axes, x[row], perturbation, x_adv[row], scale)
            axes.set_title(title, pad=2)
            note = f"distortion {columns['distortion'][row]:.3f}"
            place: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "top"}
            axes.text(0.5, -0.04, note, size=plt.rcParams["xtick.labelsize"], **place)
        figure.suptitle("original + perturbation = adversarial image", size=plt.rcParams["axes.titlesize"])
        bar = figure.colorbar(scale, ax=panels, location="bottom", shrink=0.6, aspect=30, pad=0.03)
        kind = "perturbation" if x.shape[1] == 1 else "perturbation of each colour"
        bar.set_label(f"{kind} (pixel range = 1)")
        save(figure, outputs)


def _chosen(success: np.ndarray, predicted: np.ndarray, examples: int) -> np.ndarray:
    rows = np.flatnonzero(success)
    new = np.zeros(len(rows), bool)
    new[np.unique(predicted[rows], return_index=True)[1]] = True
    return np.sort(np.concatenate([rows[new], rows[~new]])[:examples])


def _title(before: str, after: str) -> str:
    separator = " " if len(before + after) <= ONE_LINE else "\n"
    return f"{before}{separator}→ {after}"


def _sum(
    axes: Axes, original: np.ndarray, perturbation: np.ndarray, adversarial: np.ndarray, scale: ScalarMappable
) -> None:
    height, width = original.shape[1] / original.shape[2], 1 + GAP
    grey = len(original) == 1
    middle = scale.to_rgba(perturbation[0]) if grey else np.asarray(scale.norm(perturbation)).transpose(1, 2, 0)
    for place, image in enumerate((original, middle, adversarial)):
        shown = image if place == 1 else image.transpose(1, 2, 0).squeeze()
        extent = (place * width, place * width + 1, 0, height)
        axes.imshow(shown, extent=extent, vmin=0, vmax=1, interpolation="nearest")
        axes.add_patch(plt.Rectangle(extent[::2], 1, height, fill=False, edgecolor="0.6", linewidth=0.4))
        if place:
            axes.text(place * width - GAP / 2, height / 2, " +="[place], ha="center", va="center")
    axes.set(xlim=(0, 2 * width + 1), ylim=(0, height))


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        draw(attack=snakemake.input.attack, outputs=snakemake.output, **run.settings)
