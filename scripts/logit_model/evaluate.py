"""Evaluate the analytic model of logits as printed and as derived (Seguin, appendix C, figures C.1 to C.3)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from neighborhoods.logits import expansion as logit_expansion
from neighborhoods.logits import model as logit_model
from pipeline.store import Provenance, Writer, writing

LOGITS = "nat"
SIGNS = {"plus": 1, "minus": -1}
VERSIONS = {
    "printed": (logit_model.f_printed, logit_model.g_printed, logit_model.psi_printed, logit_model.kappa_printed),
    "derived": (logit_model.f_derived, logit_model.g_derived, logit_model.psi_derived, logit_model.kappa_derived),
}

# Class of the label of a correctly classified and of a misclassified image.
LABELS = {"correct": 0, "wrong": 1}

Family = Callable[[Tensor], Tensor]


def evaluate(
    *,
    output: str,
    classes: int,
    beta_max: float,
    points: int,
    error: float,
    epsilon: float,
    table_betas: Sequence[float],
    reaches: Sequence[float],
    provenance: Provenance,
) -> None:
    """Write printed/ and derived/ (stationary logits, their conditions, losses and surfaces) and minimum/.

    Surfaces are those of the positive roots, as in the source, with unit weights: Omega(epsilon) = epsilon. They are
    nan where no real logits meet the condition on beta.
    """
    beta = torch.linspace(beta_max / points, beta_max, points, dtype=torch.float64)
    table = torch.tensor(table_betas, dtype=torch.float64)
    with writing(output, provenance) as file:
        file.put("beta", beta, "largest logit", ("beta",), LOGITS)
        file.put("table_beta", table, "largest logit, for the table", ("row",), LOGITS)
        for name, value, text in (
            ("classes", classes, "number of classes N"),
            ("error", error, "share of misclassified images"),
            ("epsilon", epsilon, "weight Omega(epsilon) of both kinds of images"),
        ):
            file.put(name, value, text, ())
        for version, functions in VERSIONS.items():
            file.put(f"{version}/kappa", functions[3](beta, classes), "kappa", ("beta",))
            for root, sign in SIGNS.items():
                for side, family in _families(version, classes, sign).items():
                    _put_family(file, f"{version}/{root}/{side}", family, beta, table)
            families = _families(version, classes, 1)
            _put_surfaces(file, version, families["correct"], families["wrong"], beta, error, epsilon)
        crossing = logit_model.ranges(
            lambda at: logit_model.g_printed(at, classes) > logit_model.psi_printed(at, classes), beta
        )
        text = "ranges of beta with g > psi, printed positive roots"
        file.put("printed/g_above_psi", np.reshape(crossing, (-1, 2)), text, ("range", "end"), LOGITS)
        _put_minima(file, table, classes, reaches)


def _families(version: str, classes: int, sign: int) -> dict[str, Family]:
    """Functions from beta [n] to logits [n, N], by the kind of image; `level` is a second one of misclassified ones."""
    f, g, psi, _ = VERSIONS[version]
    families: dict[str, Family] = {
        "correct": lambda beta: logit_model.correct_logits(beta, f(beta, classes, sign), classes),
        "wrong": lambda beta: logit_model.wrong_logits(beta, g(beta, classes, sign), psi(beta, classes, sign), classes),
    }
    if version == "derived":
        level = logit_model.level_derived
        families["level"] = lambda beta: logit_model.wrong_logits(beta, level(beta, classes, sign), 0 * beta, classes)
    return families


def _put_family(file: Writer, group: str, family: Family, beta: Tensor, table: Tensor) -> None:
    """Logits of one formula, the condition on beta, and what they are to equation 3 and to the exact loss."""
    label = LABELS["correct"] if group.endswith("correct") else LABELS["wrong"]
    found = logit_model.ranges(lambda at: logit_model.admissible(family(at)), beta)
    text = "ranges of beta in which its condition holds, within the grid"
    file.put(f"{group}/admissible", np.reshape(found, (-1, 2)), text, ("range", "end"), LOGITS)
    for suffix, dims, at in (("", ("beta",), beta), ("_table", ("row",), table)):
        logits = family(at)
        names = ("f",) if label == LABELS["correct"] else ("g", "psi")
        for place, name in enumerate(names, 1):
            file.put(f"{group}/{name}{suffix}", logits[:, place], f"{name}, nan where it is not real", dims, LOGITS)
        loss = logit_expansion.exact_loss(logits, label)
        file.put(f"{group}/loss{suffix}", loss, "exact cross-entropy", dims, "nat")
        there = logit_expansion.stationarity(logits, label)
        text = "norm of the gradient, beta fixed, of"
        file.put(f"{group}/cubic_gradient{suffix}", there.cubic, f"{text} equation 3", dims)
        file.put(f"{group}/exact_gradient{suffix}", there.exact, f"{text} the exact loss", dims)
        text = "to equation 3: 1 minimum, 0 saddle, -1 maximum, -9 no stationary point"
        file.put(f"{group}/kind{suffix}", there.kind, text, dims)
        kept = logit_model.admissible(logits)
        file.put(f"{group}/kept{suffix}", kept, "whether its condition on beta holds", dims)
        text = "shares of minima, saddles and maxima where the condition holds, nan where it never does"
        file.put(f"{group}/kind_shares{suffix}", logit_expansion.kind_shares(there.kind, kept), text, ("kind",))


def _put_surfaces(
    file: Writer, version: str, correct_family: Family, wrong_family: Family, beta: Tensor, error: float, epsilon: float
) -> None:
    correct, wrong = (logit_model.where_admissible(family(beta)) for family in (correct_family, wrong_family))
    losses = logit_expansion.exact_loss(correct, 0), logit_expansion.exact_loss(wrong, 1)
    dims = ("beta_correct", "beta_wrong")
    surface = logit_model.mean_field_loss(losses[0], losses[1], error)
    file.put(f"{version}/surface/loss", surface, "mean exact loss of the population", dims, "nat")
    allowed = torch.isfinite(surface).double().mean()
    file.put(f"{version}/surface/allowed", allowed, "share of the plane in which both conditions hold", ())
    for name, printed in (("equation_10", True), ("equation_10_complete", False)):
        change = logit_model.gap_change(correct, wrong, error=error, weights=(epsilon, epsilon), printed=printed)
        text = "change of the gap" + (", as printed" if printed else ", with the term that the source leaves out")
        file.put(f"{version}/surface/{name}", change.change, text, dims, LOGITS)
        file.put(f"{version}/surface/{name}_relative", change.relative, f"{text}, over the gap", dims)


def _put_minima(file: Writer, table: Tensor, classes: int, reaches: Sequence[float]) -> None:
    file.put("minimum/reach", reaches, "lower limit -reach of the logits that are searched", ("reach",), LOGITS)
    for side, label in LABELS.items():
        found = [
            [logit_expansion.constrained_minimum(beta, classes, label, reach) for reach in reaches]
            for beta in table.tolist()
        ]
        for name, text, units in (
            ("loss", "least exact loss with the largest logit fixed", "nat"),
            ("gradient", "norm of its gradient there", "1"),
        ):
            values = [[getattr(one, name) for one in row] for row in found]
            file.put(f"minimum/{side}/{name}", values, text, ("row", "reach"), units)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        evaluate(output=snakemake.output[0], provenance=run.provenance, **run.settings)
