"""What the stage `boundary` stores of lines, array by array."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.results.shared import DEGREES, PIXELS, put_summary
from pipeline.store import Writer

# What is known of lines: description, units, axes. Normals are fitted and turned at the first lines only, since each
# takes thousands of forward passes.
COLUMNS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "t": ("share of the way at which the class first changes", "1", ("line",)),
    "pair": ("classes that meet there, that of the start first; -1 for none", "1", ("line", "side")),
    "gap": ("logit of the first of them less that of the second", "1", ("line",)),
    "level": ("decision level, softmax probability of each of the two", "1", ("line",)),
    "third": ("smaller logit of the two less the largest other one", "1", ("line",)),
    "skewness": ("angle between line and normal", DEGREES, ("line",)),
    "other": ("angle between line and the normal of another line's crossing", DEGREES, ("line",)),
    "couple": ("lines of one number lend each other their normals", "1", ("line",)),
    "length": ("length of the line", PIXELS, ("line",)),
    "distance": ("distance from the start to the crossing", PIXELS, ("line",)),
    "nearest": ("distance from the start to the nearest boundary found", PIXELS, ("line",)),
    "energy_normal": ("share of the normal's squared length in principal directions", "1", ("line",)),
    "energy_line": ("share of the line's squared length in principal directions", "1", ("line",)),
    "angle": ("angle of directions that may stand for the normal", DEGREES, ("fitted", "direction", "other direction")),
    "fit_error": ("angle that the scatter of the samples leaves a fitted normal", DEGREES, ("fitted", "fit")),
    "turning": ("angle by which normals turn, median of the walks", DEGREES, ("turned", "radius")),
    "turning_found": ("share of walks after which the pair of classes still meets", "1", ("turned", "radius")),
    "curvature": ("tangent of that angle over the radius", "1 / pixel range", ("turned", "radius")),
    "turning_radius": ("radius at which that angle reaches the threshold, inf if beyond all", PIXELS, ("turned",)),
}


def no_lines(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Columns of no lines, for sizes of the axes besides that of lines."""
    return {name: np.empty((0, *(sizes[dim] for dim in dims[1:]))) for name, (_, _, dims) in COLUMNS.items()}


def put_lines(
    file: Writer,
    kind: str,
    lines: Mapping[str, np.ndarray],
    summaries: Mapping[str, Mapping[str, Any]],
    correlations: Mapping[str, Mapping[str, Any]],
) -> None:
    """Store columns of lines of one kind, their summaries, and rank correlations of skewness with some of them."""
    for name, (text, units, dims) in COLUMNS.items():
        file.put(f"{kind}/{name}", lines[name], text, dims, units)
        if name in summaries:
            put_summary(file, f"{kind}/summary/{name}", summaries[name], text, units, dims[1:])
    for name, found in correlations.items():
        what = f"Spearman's rank correlation of skewness with {name}"
        put_summary(file, f"{kind}/correlation/{name}", found, what, "1")


def put_differences(file: Writer, differences: Mapping[str, Mapping[str, Any]]) -> None:
    """Store differences of means, lines between natural images less those to adversarial ones."""
    for name, found in differences.items():
        text, units, _ = COLUMNS[name]
        put_summary(file, f"difference/{name}", found, f"natural less adversarial, {text}", units)


def put_trace(file: Writer, t: np.ndarray, probability: np.ndarray, places: np.ndarray, images: np.ndarray) -> None:
    """Store probabilities [line, point, class] and images [line, place, ...] along the first lines of adversarial/."""
    file.put("trace/t", t, "0 at the natural, 1 at the adversarial image", ("point",))
    file.put("trace/probability", probability, "softmax of each class", ("line", "point", "class"))
    file.put("trace/places", places, "where on the line the images are", ("place",))
    file.put("trace/images", images, "images", ("line", "place", "channel", "row", "column"), PIXELS)
