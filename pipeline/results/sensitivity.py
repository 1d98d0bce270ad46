"""What the measure `factors` stores, array by array."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.results.shared import PIXELS, put_summary
from pipeline.store import Writer, reading

PER_PIXEL = "1 / (pixel range)"

# Columns of natural/, one value an image, and what they are. All are positive and summarised by their logarithms.
COLUMNS = {
    "distance": ("distance to the nearest boundary found", PIXELS),
    "first_order": ("margin over the margin's gradient, for the face nearest by that", PIXELS),
    "margin": ("logit of the class less that of the rival beyond that face", "1"),
    "feature_margin": ("distance to that face in feature space", "1"),
    "nearest_in_features": ("distance to the nearest face in feature space", "1"),
    "head_norm": ("norm of the difference of the two classes' weights", "1"),
    "feature_gain": ("norm of J^T v, v the unit normal of that face in feature space", PER_PIXEL),
    "margin_gradient": ("norm of the margin's gradient", PER_PIXEL),
    "spectral_norm": ("spectral norm of the features' Jacobian J", PER_PIXEL),
    "loss": ("cross-entropy", "nat"),
    "eta": ("norm of the loss gradient", f"nat {PER_PIXEL}"),
    "logit_gradient": ("norm of the loss gradient in the logits", "nat"),
    "tightness": ("norm of the loss gradient over the chain rule's bound", "1"),
}
COSINE = "cosine of the steepest rise of the loss and the steepest fall of the margin"

# Which columns are compared by rank; persistence may not be there for all images.
RANKS = {
    "first_order_and_distance": ("first_order", "distance"),
    "first_order_and_persistence": ("first_order", "persistence"),
    "feature_margin_and_distance": ("feature_margin", "distance"),
    "feature_gain_and_distance": ("feature_gain", "distance"),
    "eta_and_margin_gradient": ("eta", "margin_gradient"),
}

# How random directions and the loss gradient are told apart.
ALONG = {"gradient": "along the loss gradient", "random": "in all random directions, the worst"}


def persistence_of(path: str, index: np.ndarray) -> np.ndarray:
    """Persistence of natural images by their positions in the test split [n]; nan where it was not measured."""
    with reading(path) as file:
        known = dict(zip(file.read("natural/index").tolist(), file.read("natural/sigma").tolist(), strict=True))
    return np.array([known.get(place, np.nan) for place in index.tolist()])


def put_columns(file: Writer, values: Mapping[str, np.ndarray], cosine: np.ndarray) -> None:
    """Store what was measured of each image: `COLUMNS`, persistence and cosine [image]."""
    for name, (text, units) in COLUMNS.items():
        file.put(f"natural/{name}", values[name], text, ("image",), units)
    file.put("natural/persistence", values["persistence"], "persistence, nan if not measured", ("image",), PIXELS)
    file.put("natural/cosine", cosine, COSINE, ("image",))


def put_column_summary(file: Writer, name: str, summary: Mapping[str, float]) -> None:
    """Store the summary of a column's logarithms, or of the cosine."""
    what = COSINE if name == "cosine" else f"ln of {COLUMNS[name][0]}"
    put_summary(file, f"summary/{name}", summary, what, "1")


def put_steps(
    file: Writer,
    along: str,
    increase: np.ndarray,
    kept: np.ndarray,
    summaries: Mapping[str, np.ndarray],
    limits: tuple[np.ndarray, np.ndarray],
) -> None:
    """Store what steps of growing length do: increases of the loss and classes kept [epsilon, image].

    Args:
        along: a key of `ALONG`. summaries: of the increases at each length. limits: of the shares kept [epsilon].
    """
    text, dims = ALONG[along], ("epsilon", "image")
    file.put(f"flatness/{along}/increase", increase, f"increase of the loss {text}", dims, "nat")
    file.put(f"flatness/{along}/kept", kept, f"whether the class stays {text}", dims)
    _put_means(file, f"flatness/{along}/rise", summaries, f"the loss's increase {text}", "epsilon")
    for key, part in zip(("share", "share_low", "share_high"), (kept.mean(1), *limits), strict=True):
        file.put(f"flatness/{along}/{key}", part, f"{key} of images whose class stays {text}", ("epsilon",))


def put_clusters(file: Writer, right: Mapping[str, Any], spread: Mapping[str, Any], separation: np.ndarray) -> None:
    """Store the training images' clusters: share on the right side, spread, and pairs of classes."""
    put_summary(file, "clusters/classified", right, "the share of training images that the head gets right", "1")
    put_summary(file, "clusters/spread", spread, "between- over within-class spread in feature space", "1")
    text = "distance of two class means over the root mean square distance of their points from them"
    file.put("clusters/separation", separation, text, ("class", "rival"))


def put_growth(
    file: Writer, kind: str, gain: np.ndarray, relative: np.ndarray, summaries: Mapping[str, np.ndarray]
) -> None:
    """Store how one kind of perturbation grows [stage, image]; summaries are of logarithms, at each stage."""
    file.put(f"growth/{kind}/gain", gain, "norm behind a stage over that in the image", ("stage", "image"))
    text = "growth of the perturbation's norm over the signal's"
    file.put(f"growth/{kind}/relative", relative, text, ("stage", "image"))
    _put_means(file, f"growth/{kind}/log", summaries, f"ln of {text}", "stage")


def _put_means(file: Writer, group: str, summaries: Mapping[str, np.ndarray], text: str, dim: str) -> None:
    for name in ("mean", "mean_low", "mean_high", "median", "median_low", "median_high"):
        file.put(f"{group}/{name}", summaries[name], f"{name} of {text}", (dim,))
    file.put(f"{group}/n", summaries["n"], f"values behind each number of {text}", (dim,))
