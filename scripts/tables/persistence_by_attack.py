"""Write success, distortion and persistence under several attacks beside the published values (Bell, Table 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from neighborhoods.evidence.verdicts import verdict
from neighborhoods.images import recounted
from neighborhoods.statistics.intervals import NO_VALUES, clopper_pearson, difference, ratio, summarize
from pipeline.results.shared import write_csv
from pipeline.store import reading

TOTAL = "total"
GROUPS = ("natural", "adversarial")
Columns = Mapping[str, np.ndarray]


def tabulate(
    *,
    attacks: Sequence[str],
    persistence: Sequence[str],
    published: str,
    output: str,
    names: Sequence[str],
    attack_names: Sequence[str],
    published_table: str,
) -> None:
    """One row for each network and attack, and one for all attacks on a network together where there are several.

    Columns end in _low and _high for limits of intervals, in _se for standard errors. Images made from one origin are
    one cluster. The natural images of a network are the same for all attacks: the total takes each once.

    Args:
        attacks, persistence: result files, network by network. published: file with the published numbers.
        names: of the networks. attack_names: as printed in the table.
    """
    with open(published, encoding="utf-8") as file:
        numbers = yaml.safe_load(file)
    reported, counted = numbers[published_table], numbers["imagenet_values"]
    rows = []
    files = iter(zip(attacks, persistence, strict=True))
    for name in names:
        cells = {attack: _read(*paths) for attack, paths in zip(attack_names, files, strict=False)}
        if len(cells) > 1:
            cells[TOTAL] = _together(list(cells.values()))
        for attack, cell in cells.items():
            beside = reported.get(name, {}).get(attack, {})
            rows.append({"network": name, "attack": attack} | _row(cell) | _published(beside, counted, cell))
    for row in rows:
        row["published_sign"] = _sign(row)
    write_csv(output, rows)


def _read(attack: str, persistence: str) -> dict[str, Any]:
    with reading(attack) as file:
        cell: dict[str, Any] = {name: file.read(name) for name in ("success", "distortion", "index")}
        cell["values"] = int(np.prod(file.read("x").shape[1:]))
    with reading(persistence) as file:
        names = ("sigma", "index", "status")
        cell |= {group: {name: file.read(f"{group}/{name}") for name in names} for group in GROUPS}
        cell["confidence"] = float(file.read("confidence"))
    return cell


def _together(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def joined(parts: Sequence[Columns]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    whole: dict[str, Any] = {
        name: np.concatenate([cell[name] for cell in cells]) for name in ("success", "distortion", "index")
    }
    whole |= {group: joined([cell[group] for cell in cells]) for group in GROUPS}
    once = np.sort(np.unique(whole["natural"]["index"], return_index=True)[1])
    whole["natural"] = {name: values[once] for name, values in whole["natural"].items()}
    return whole | {name: cells[0][name] for name in ("values", "confidence")}


def _row(cell: Mapping[str, Any]) -> dict[str, Any]:
    success, confidence = cell["success"], cell["confidence"]
    low, high = clopper_pearson(success.sum(), len(success), confidence)
    row: dict[str, Any] = {
        "attacked": len(success),
        "images": len(np.unique(cell["index"])),
        "successes": int(success.sum()),
    }
    row |= {"success": success.mean(), "success_low": low, "success_high": high}
    row |= _summary("distortion", cell["distortion"][success], cell["index"][success], confidence)
    for group in GROUPS:
        columns = cell[group]
        row |= _summary(group, columns["sigma"], columns["index"], confidence)
        for kind in ("censored_low", "censored_high"):
            row[f"{group}_{kind}"] = int((columns["status"] == kind).sum())
    row["confidence"] = confidence
    natural, adversarial = (cell[group] for group in GROUPS)
    if not success.any():
        return row
    apart = difference(
        summarize(adversarial["sigma"], adversarial["index"], confidence),
        summarize(natural["sigma"], natural["index"], confidence),
        confidence,
    )
    row |= {f"adversarial_minus_natural_{key}": getattr(apart, key) for key in ("mean", "low", "high")}
    times = ratio(natural["sigma"], adversarial["sigma"], natural["index"], adversarial["index"], confidence)
    row |= {"natural_over_adversarial": times.value, "natural_over_adversarial_low": times.low}
    return row | {"natural_over_adversarial_high": times.high}


def _summary(name: str, values: np.ndarray, clusters: np.ndarray, confidence: float) -> dict[str, Any]:
    found = summarize(values, clusters, confidence) if len(values) else NO_VALUES
    row: dict[str, Any] = {f"{name}_n": found.n, f"{name}_clusters": found.clusters, name: found.mean}
    row |= {f"{name}_se": found.standard_error, f"{name}_low": found.mean_low, f"{name}_high": found.mean_high}
    return row | {f"{name}_{key}": getattr(found, key) for key in ("median", "median_low", "median_high")}


def _published(beside: Mapping[str, float], counted: int, cell: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {f"published_{key}": value for key, value in beside.items()}
    if beside:
        seen = recounted(beside["distortion"], counted, cell["values"])
        row |= {f"published_distortion_of_{cell['values']}_values": seen}
        row |= {"published_ratio": beside["natural"] / beside["adversarial"], "published_unit": "unknown"}
    return row


def _sign(row: Mapping[str, Any]) -> str | None:
    if "published_natural" not in row or "adversarial_minus_natural_low" not in row:
        return None
    low, high = (float(row[f"adversarial_minus_natural_{key}"]) for key in ("low", "high"))
    return verdict(low, high, row["published_adversarial"] - row["published_natural"])


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            attacks=snakemake.input.attacks,
            persistence=snakemake.input.persistence,
            published=snakemake.params.published,
            output=snakemake.output[0],
            **run.settings,
        )
