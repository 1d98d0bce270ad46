"""Draw images, the perturbations an attack found, and the adversarial images they give (Bell, figures 1, 2, 4, 6)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.panels import resampling, shortened
from pipeline.figures.style import drawing, save
from pipeline.results.shared import IMAGE_DIMS
from pipeline.store import StoreError, reading

SIDE_BY_SIDE = 2

# Between two images, in widths of one.
GAP = 0.3

# Characters of two class names that find room above a sum.
ONE_LINE = 22

# How distortions and ratios are printed: those of photos are far smaller than those of digits.
SMALL = "#.3g"


def draw(
    *,
    attack: str,
    outputs: Sequence[str],
    style: str,
    examples: int = 6,
    amplify: float | None = None,
    target: int = -1,
) -> None:
    """Draw the first successful rows, those that reach a class no row before reached first; none is picked by hand.

    Args:
        amplify: how many times larger perturbations are shown, around mid grey; None lets the scale end at the largest
            change of a pixel. target: class aimed at, -1 for any.
    """
    with reading(attack) as file:
        x, x_adv = file.read("x", IMAGE_DIMS), file.read("x_adv", IMAGE_DIMS)
        names = ["label", "predicted", "distortion", "success", "target", "variance_ratio"]
        columns = {name: file.read(name) for name in names if name in file}
        classes = [shortened(str(name)) for name in file.read("classes")]
    wanted = columns["success"] & ((columns["target"] == target) | (target == -1))
    if not wanted.any():
        aimed = "" if target == -1 else f" with target {target}"
        raise StoreError(f"{attack}: no attack succeeded{aimed}, so there is no adversarial image to draw")
    if x.shape[1] not in (1, 3):
        raise StoreError(f"{attack}: images must have 1 colour or 3 to be drawn, found {x.shape[1]}")
    rows = _chosen(wanted, columns["predicted"], examples)
    titles = [_title(classes[columns["label"][row]], classes[columns["predicted"][row]]) for row in rows]
    notes = [_note(columns, row) for row in rows]
    change = x_adv[rows] - x[rows]
    photos = resampling(x.shape[-1]) != resampling(0)
    bound = float(np.abs(change).max()) if amplify is None else 0.5 / amplify
    # The perturbation of a colour image has a value for each colour, for which there is no diverging scale.
    scale = ScalarMappable(Normalize(-bound, bound, clip=True), "RdBu_r" if x.shape[1] == 1 else "gray")
    with drawing(style):
        across = min(SIDE_BY_SIDE, len(rows))
        lines = -(-len(rows) // across)
        # Photos need a column for each sum.
        width = plt.rcParams["figure.figsize"][0] * (across if photos else 1)
        point = plt.rcParams["font.size"] / 72
        side = width / across / (3 + 2 * GAP) * x.shape[2] / x.shape[3]
        text = 2.6 + max(title.count("\n") for title in titles) + max(note.count("\n") + 1 for note in notes)
        size = (width, lines * (0.9 * side + text * point) + 8.5 * point)
        # Wider than the gaps in a sum, so that two sums do not read as one.
        apart = {"wspace": 0.12}
        figure, panels = plt.subplots(lines, across, squeeze=False, figsize=size, gridspec_kw=apart)
        for axes in panels.ravel():
            axes.set_axis_off()
        for axes, row, title, note, perturbation in zip(panels.ravel(), rows, titles, notes, change, strict=False):
            _sum(axes, x[row], perturbation, x_adv[row], scale)
            axes.set_title(title, pad=2)
            place: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "top"}
            axes.text(0.5, -0.04, note, size=plt.rcParams["xtick.labelsize"], **place)
        heading = (
            f"original + perturbation = adversarial image\nsingle images, {len(rows)} of n = {wanted.sum()} successes"
        )
        figure.suptitle(heading, size=plt.rcParams["axes.titlesize"])
        bar = figure.colorbar(scale, ax=panels, location="bottom", shrink=0.6, aspect=30, pad=0.03)
        bar.locator = MaxNLocator(5)
        kind = "perturbation" if x.shape[1] == 1 else "perturbation of each colour"
        shown = "" if amplify is None else f",\nshown × {amplify:g} around mid grey"
        bar.set_label(f"{kind} (pixel range = 1){shown}")
        save(figure, outputs)


def _chosen(success: np.ndarray, predicted: np.ndarray, examples: int) -> np.ndarray:
    rows = np.flatnonzero(success)
    new = np.zeros(len(rows), bool)
    new[np.unique(predicted[rows], return_index=True)[1]] = True
    return np.sort(np.concatenate([rows[new], rows[~new]])[:examples])


def _note(columns: Mapping[str, np.ndarray], row: int) -> str:
    note = f"distortion {columns['distortion'][row]:{SMALL}}"
    if "variance_ratio" not in columns:
        return note
    return f"{note}\nvariance ratio {columns['variance_ratio'][row]:{SMALL}}"


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
        axes.imshow(shown, extent=extent, vmin=0, vmax=1, interpolation=resampling(shown.shape[1]), label=PICTURE)
        frame = plt.Rectangle(extent[::2], 1, height, fill=False, edgecolor="0.6", linewidth=0.4, label="_frame")
        axes.add_patch(frame)
        if place:
            axes.text(place * width - GAP / 2, height / 2, " +="[place], ha="center", va="center")
    axes.set(xlim=(0, 2 * width + 1), ylim=(0, height))


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(attack=snakemake.input.attack, outputs=snakemake.output, **run.settings)
