"""What the measure of networks beside the analytic model of logits stores."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.results.shared import put_summary
from pipeline.store import Writer

LOGITS = "nat"

PREDICTIONS = {
    "equation_8": "equation 8 on printed surrogates",
    "printed": "equation 12 with the printed Jacobian on printed surrogates",
    "derived": "equation 12 with the derived Jacobian on printed surrogates",
    "derived_logits": "equation 12 with the derived Jacobian on the network's own logits",
    "identity": "epsilon times the loss's gradient in the logits: J J^T = 1",
}

# How predictions compare with the measured linear change, and the names of the estimate and its limits.
MEANS, ESTIMATES = ("mean", "mean_low", "mean_high"), ("value", "low", "high")
MEASURES = {
    "mean_cosine": ("cosine with the linear change of the logits", MEANS),
    "mean_signs": ("share of logits that change in the same direction", MEANS),
    "gap_sign": ("share of gaps that change in the same direction", ESTIMATES),
    "gap_rank": ("rank correlation of the gap's changes", ESTIMATES),
}

# Of regressions of the gap's change, or of its logarithm on that of the gap.
TERMS = {"line": ("constant", "gap"), "parabola": ("constant", "gap", "gap^2"), "power": ("constant", "exponent")}


def put_dependence(file: Writer, group: str, mean: Mapping[str, Any], found: Any) -> None:
    """Store the mean change of the gap and a `GapDependence`."""
    put_summary(file, f"{group}/mean", mean, "the gap's change", LOGITS)
    put_summary(file, f"{group}/shrinks", asdict(found.shrinks), "share of gaps that get smaller", "1")
    for name, terms in TERMS.items():
        fit = getattr(found, name)
        if fit is not None:
            text = f"coefficients ({', '.join(terms)}), gap and change in nat"
            for key in ("value", "low", "high"):
                file.put(f"{group}/{name}/{key}", getattr(fit, key), f"{key} of {text}", ("term",))
            file.put(f"{group}/{name}/explained", fit.explained, f"share of the variance that the {name} explains", ())
            file.put(f"{group}/{name}/n", fit.n, "images", ())


def put_prediction(file: Writer, name: str, predicted: Any, found: Any) -> None:
    """Store predicted changes of logits [image, class] and their `Agreement` with the measured linear ones."""
    group, text = f"prediction/{name}", PREDICTIONS[name]
    file.put(f"{group}/response", predicted, f"change of the logits by {text}", ("image", "class"), LOGITS)
    file.put(f"{group}/cosine", found.cosine, "cosine with the linear change of the logits", ("image",))
    file.put(f"{group}/signs", found.signs, "share of logits that change in the same direction", ("image",))
    for key, (what, _) in MEASURES.items():
        put_summary(file, f"{group}/{key}", asdict(getattr(found, key)), what, "1")


def put_model(file: Writer, name: str, model: Any, deviation: Any) -> None:
    """Store what a `Ridge` model of targets of a name is, and how far the printed Jacobian is off, by image."""
    group, text = f"model/{name}", f"targets: {name}"
    for key, value, what in (
        ("multiplier", model.multiplier, "lambda*"),
        ("images", len(model.targets), "rows of X"),
        ("rank", len(model.spectrum.values), "numerical rank of X"),
        ("explained", model.explained(), "share of the targets' variance in X omega"),
    ):
        file.put(f"{group}/{key}", value, f"{what}, {text}", ())
    file.put(f"{group}/omega", model.weights(), f"diagonal of Omega, {text}", ("row",))
    what = f"||J printed - J derived|| / ||J derived||, {text}"
    file.put(f"{group}/deviation", deviation, what, ("image",))
    file.put(f"{group}/median_deviation", float(np.median(deviation)), f"median of {what}", ())
