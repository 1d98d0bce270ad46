"""Tabulate where the analytic model of logits differs between print and derivation, and how far networks follow it."""

from collections.abc import Sequence
from typing import Any

from pipeline.results.logit_model import ESTIMATES, MEASURES, TERMS
from pipeline.results.shared import write_csv
from pipeline.store import Reader, reading

Row = dict[str, Any]

ROOTS = {"plus": "+", "minus": "-"}
SIDES = {"correct": ("f",), "wrong": ("g", "psi")}
NUMBERS = {
    "cubic_gradient": "gradient of equation 3",
    "exact_gradient": "gradient of the exact loss",
    "loss": "exact loss",
    "kept": "condition on beta holds",
}
MINIMUM = {"loss": "least exact loss", "gradient": "its gradient there"}
KINDS = {1: "minimum", 0: "saddle", -1: "maximum", -9: "none"}

# By part of the table, what its columns show of the predictions of a network's results.
PREDICTIONS = {
    "equation 8": {"printed": "equation_8", "derived": "derived"},
    "equation 12": {"printed": "printed", "derived": "derived"},
    "equation 12, own logits": {"derived": "derived_logits"},
    "J J^T = 1": {"derived": "identity"},
}
MODEL = {
    "multiplier": ("lambda*", "derived"),
    "explained": ("share of the targets' variance explained", "derived"),
    "median_deviation": ("median of ||J printed - J derived|| / ||J derived||", "printed"),
}


def tabulate(*, model: str, responses: Sequence[str], names: Sequence[str], output: str) -> None:
    """Rows of formulas by beta, of the exact loss's infimum, and of each network's measurements, printed | derived."""
    rows: list[Row] = []
    with reading(model) as file:
        rows += _formulas(file) + _ranges(file) + _minima(file)
    for path, name in zip(responses, names, strict=True):
        with reading(path) as file:
            rows += [{"network": name, **row} for row in [*_model(file), *_predictions(file), *_dependence(file)]]
    first = dict.fromkeys(("part", "network", "quantity", "beta"), "")
    write_csv(output, [first | row for row in rows])


def _formulas(file: Reader) -> list[Row]:
    """Logits, gradients of equation 3 and of the exact loss, and the kind of point, at the betas of the table."""
    rows: list[Row] = []
    for root, sign in ROOTS.items():
        for side, logits in SIDES.items():
            columns = {
                version: {
                    name: file.read(f"{version}/{root}/{side}/{name}_table") for name in (*logits, *NUMBERS, "kind")
                }
                for version in ("printed", "derived")
            }
            for place, beta in enumerate(file.read("table_beta")):
                here: Row = {"part": f"{side}, root {sign}", "beta": beta}
                shown = {name: name for name in logits} | NUMBERS
                for name, text in shown.items():
                    values = {version: column[name][place] for version, column in columns.items()}
                    rows.append(here | {"quantity": text} | values)
                kinds = {version: KINDS[int(column["kind"][place])] for version, column in columns.items()}
                rows.append(here | {"quantity": "stationary point of equation 3"} | kinds)
    return rows


def _ranges(file: Reader) -> list[Row]:
    rows: list[Row] = []
    for root, sign in ROOTS.items():
        for side in SIDES:
            texts = {name: _intervals(file, f"{name}/{root}/{side}/admissible") for name in ("printed", "derived")}
            rows.append({"part": f"{side}, root {sign}", "quantity": "range of beta allowed", **texts})
        here = {"part": f"wrong, psi = 0, root {sign}", "quantity": "range of beta allowed"}
        rows.append(here | {"derived": _intervals(file, f"derived/{root}/level/admissible")})
    here = {"part": "wrong, root +", "quantity": "range of beta with g > psi"}
    return [*rows, here | {"printed": _intervals(file, "printed/g_above_psi")}]


def _intervals(file: Reader, name: str) -> str:
    return "; ".join(f"{low:.4g} to {high:.4g}" for low, high in file.read(name)) or "none"


def _minima(file: Reader) -> list[Row]:
    rows: list[Row] = []
    for side in SIDES:
        found = {text: file.read(f"minimum/{side}/{name}") for name, text in MINIMUM.items()}
        for column, reach in enumerate(file.read("minimum/reach")):
            for place, beta in enumerate(file.read("table_beta")):
                here: Row = {"part": f"{side}, logits from {-reach:g} to beta", "beta": beta}
                rows += [here | {"quantity": text, "derived": v[place, column]} for text, v in found.items()]
    return rows


def _model(file: Reader) -> list[Row]:
    row: Row
    rows: list[Row] = []
    for targets in ("surrogates", "logits"):
        for name, (text, column) in MODEL.items():
            row = {"part": f"ridge model of {targets}", "quantity": text}
            rows.append(row | {column: file.read(f"model/{targets}/{name}")})
    drawn, dropped, derived = (int(file.read(f"model/{name}")) for name in ("drawn", "dropped", "derived"))
    row = {"part": "surrogates", "quantity": "training images that have one", "n": drawn}
    rows.append(row | {"printed": drawn - dropped, "derived": derived})
    change = {"printed": file.read("population/equation_10"), "derived": file.read("population/equation_10_complete")}
    return [*rows, {"part": "equation 10 but for a common factor", "quantity": "change of the gap", **change}]


def _predictions(file: Reader) -> list[Row]:
    rows: list[Row] = []
    for group, (text, parts) in MEASURES.items():
        for part, columns in PREDICTIONS.items():
            row: Row = {"part": part, "quantity": text}
            for version, name in columns.items():
                row |= {"n": file.read(f"prediction/{name}/{group}/n")}
                row |= _estimate(file, f"prediction/{name}/{group}", parts, version)
            rows.append(row)
    return rows


def _estimate(file: Reader, group: str, parts: Sequence[str], version: str) -> Row:
    keys = (version, f"{version}_low", f"{version}_high")
    return {key: file.read(f"{group}/{part}") for key, part in zip(keys, parts, strict=True)}


def _dependence(file: Reader) -> list[Row]:
    rows: list[Row] = []
    for step in ("linear", "finite"):
        part = f"measured, {step} change of the gap"
        for name, terms in TERMS.items():
            group = f"dependence/{step}/{name}"
            if f"{group}/value" in file:
                limits = [file.read(f"{group}/{key}") for key in ESTIMATES]
                for place, term in enumerate(terms):
                    value, low, high = (column[place] for column in limits)
                    row: Row = {"part": part, "quantity": f"{name}: {term}", "n": file.read(f"{group}/n")}
                    rows.append(row | {"measured": value, "measured_low": low, "measured_high": high})
        group = f"dependence/{step}/shrinks"
        row = {"part": part, "quantity": "share of gaps that shrink", "n": file.read(f"{group}/n")}
        rows.append(row | _estimate(file, group, ESTIMATES, "measured"))
    return rows


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            model=snakemake.input.model,
            responses=snakemake.input.responses,
            output=snakemake.output[0],
            **run.settings,
        )
