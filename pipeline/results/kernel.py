"""What a study of the path kernel stores, array by array."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.results.shared import Split, put_summary
from pipeline.store import Writer

KERNEL, UNIT = "squared logits per squared weight, summed over the steps", "1, pixel range [0, 1]"
SCORES = {
    "sum": ("sum of kernel values over the training points", KERNEL),
    "cosine": ("mean over the training points of k(x, x') / sqrt(k(x, x) k(x', x'))", "1"),
    "variance": ("minus the variance of the Gaussian process", KERNEL),
    "relative_variance": ("minus the variance of the Gaussian process over its prior", "1"),
}
NEAREST = {"kernel": "distance in feature space", "value": "kernel value", "pixel": "Euclidean distance"}
# Points of the first and of the last group that are shown.
SHOWN = 2


def put_score(file: Writer, name: str, values: np.ndarray, summaries: Mapping[str, Mapping[str, float]]) -> None:
    """Store a score [point] and its summary in each group."""
    text, units = SCORES[name]
    file.put(f"score/{name}", values, f"{text}: the lower, the more foreign", ("point",), units)
    for group, summary in summaries.items():
        put_summary(file, f"summary/{name}/{group}", summary, text, units)


def put_roc(file: Writer, name: str, area: Mapping[str, Any], rates: tuple[np.ndarray, np.ndarray]) -> None:
    """Store an area under a ROC curve and the curve, for a score and a group `name` such as "sum/far"."""
    for key, value in area.items():
        file.put(f"auroc/{name}/{key}", value, f"{key} of the area under the ROC curve", ())
    for key, rate in zip(("false", "true"), rates, strict=True):
        file.put(f"roc/{name}/{key}", rate, f"{key} positive rate", ("threshold",))


def put_shown(file: Writer, group: np.ndarray, points: np.ndarray, values: np.ndarray) -> None:
    """Store some natural points, as many of the last group, and their kernel with training points [point, sample]."""
    shown = np.concatenate([np.flatnonzero(group == name)[:SHOWN] for name in ("natural", group[-1])])
    axes = [f"axis{i}" for i in range(points.ndim - 1)]
    file.put("shown/x", points[shown], "points whose values are listed", ("shown", *axes), UNIT)
    file.put("shown/group", group[shown], "their groups", ("shown",))
    file.put("shown/values", values[shown], "kernel with each training point", ("shown", "sample"), KERNEL)


def put_neighbours(file: Writer, test: Split, rows: np.ndarray, train: Split, lists: Mapping[str, np.ndarray]) -> None:
    """Store lists of neighbours, their classes, and the images of queries and nearest.

    Args:
        rows: queries, rows of the test split. lists: for each of `NEAREST`, rows of the train split [query, neighbour].
    """
    file.put("neighbours/count", lists["pixel"].shape[1], "neighbours of each list", ())
    file.put("neighbours/label", test.labels[rows], "class of each query", ("query",))
    pictures = {"query": test.images[rows]}
    for name, found in lists.items():
        text = f"rows of the train split, nearest by {NEAREST[name]}"
        file.put(f"neighbours/{name}", found, text, ("query", "neighbour"))
        file.put(f"neighbours/{name}_label", train.labels[found[:, 0]], "class of the nearest", ("query",))
        pictures[name] = train.images[found[:, 0]]
    if test.images.ndim == 4:
        units = "1/255" if test.images.dtype == np.uint8 else "1"
        dims = ("query", "channel", "row", "column")
        for name, images in pictures.items():
            file.put(f"neighbours/x_{name}", images, "images, or the nearest to them", dims, units)


def put_hull(file: Writer, columns: Mapping[str, np.ndarray]) -> None:
    """Store distances to the hull of the predicted class beside what the kernel says of that class [point]."""
    texts = {
        "distance": ("distance to the convex hull of the predicted class's training points", UNIT),
        "lower": ("lower limit of that distance", UNIT),
        "value": ("mean kernel value with these training points", KERNEL),
        "cosine": ("mean cosine with these training points", "1"),
    }
    for name, (text, units) in texts.items():
        file.put(f"hull/{name}", columns[name], text, ("point",), units)
