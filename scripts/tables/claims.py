"""Decide the published claims from the results that this run holds, and write the ledger."""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_RUN, Finding, combined
from pipeline.claims.ledger import Claim, Part, load
from pipeline.claims.rows import Ground, Grounds, without_number
from pipeline.claims.runs import offers
from pipeline.results.shared import Stored, write_csv
from pipeline.store import Provenance, reading

# What the figure of all claims needs beside the rows, in a file of its own.
LIMITS = ("group", "least", "most")


def decide(
    *,
    results: Sequence[str],
    outputs: Sequence[str],
    root: str,
    datasets: Mapping[str, str],
    studies: Mapping[str, Mapping[str, Any]],
    kernels: Mapping[str, Mapping[str, Any]],
    artefacts: Mapping[str, str],
    confidence: float,
    provenance: Provenance,
) -> None:
    """One row for each part of a claim, and one more for a sentence of several parts.

    Args:
        results: result files of this run, by their paths from its folder. outputs: the ledger, and the limits between
            which each measured quantity lies if its claim holds. root: checkout that holds the claims.
        datasets, studies: dataset and study of logits of each role. kernels: scale of each network of the path kernel,
            and its training points.
        artefacts: paths of those that this run makes, by name.
    """
    held = frozenset(results)
    claims = load(Path(root), datasets, studies, kernels)
    images = {path: _training_images(path) for path in {claim.data for claim in claims if claim.data} & held}
    grounds = Grounds(held, images, artefacts, offers(Path(root)))
    rows: list[dict[str, Any]] = []
    for claim in claims:
        size = images.get(claim.data or "")
        found, lacks = zip(*(_decide(claim, part, held, confidence) for part in claim.parts), strict=True)
        ready = [
            None if finding is None or not claim.decidable(part, size) else finding
            for part, finding in zip(claim.parts, found, strict=True)
        ]
        for place, (part, finding) in enumerate(zip(claim.parts, found, strict=True)):
            decided = ready[place] is not None
            ground = grounds.of_part(claim, place, measured=finding is not None, decided=decided, nothing=lacks[place])
            name = f"{claim.id}/{part.name}" if part.name else claim.id
            rows.append(_row(claim, name, part.published, finding, decided, ground))
        if claim.sentence:
            measured = [finding is not None for finding in found]
            whole = combined(ready) if any(measured) else None
            decided = whole is not None and whole.verdict != NOT_RUN
            decidable = [finding is not None for finding in ready]
            ground = grounds.of_sentence(claim, measured=measured, decidable=decidable, decided=decided)
            # Its numbers count parts, and no source prints how many.
            rows.append(_row(claim, claim.id, None, whole, decided, ground))
    limits = [{key: row[key] for key in ("id", *LIMITS)} for row in rows]
    write_csv(outputs[0], [{key: value for key, value in row.items() if key not in LIMITS} for row in rows])
    write_csv(outputs[1], limits)


def _training_images(path: str) -> int:
    # Datasets of photos come without training images: their networks were trained elsewhere.
    with reading(path) as file:
        return len(file.read("y_train"))


def _decide(claim: Claim, part: Part, held: frozenset[str], confidence: float) -> tuple[Finding | None, str]:
    """What results say of a part; and what they lack, in words, where all are there and say nothing."""
    # A trend over networks makes do with those that were measured; every other statistic needs all of its files.
    several = claim.statistic == "rank_trend"
    paths = [path for path in part.results if path in held]
    if not paths or not (several or len(paths) == len(part.results)):
        return None, ""
    if not all(path in held and _weights_are(path, sha256) for path, sha256 in part.weights.items()):
        return None, ""
    number = {} if part.published is None else {"published": part.published}
    settings = {"confidence": confidence, "comparisons": claim.comparisons, **number, **part.arguments}
    with ExitStack() as stack:
        cells = [Stored(stack.enter_context(reading(path))) for path in paths]
        finding = STATISTICS[claim.statistic](cells, **settings)
        absent = [name for cell in cells for name in cell.absent]
    return finding, "" if finding else without_number(paths, absent)


def _weights_are(path: str, sha256: str) -> bool:
    with reading(path) as file:
        return file.has_attribute("weights_sha256") and file.attribute("weights_sha256") == sha256


def _row(
    claim: Claim, name: str, published: float | None, finding: Finding | None, decided: bool, ground: Ground
) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name, "source": claim.source, "claim": claim.claim, "published": published}
    row |= {key: getattr(finding, key, None) for key in ("measured", "low", "high", "n")}
    row["group"] = claim.group
    row |= {"scale": ground.scale, "verdict": finding.verdict if finding and decided else NOT_RUN}
    row["evidence"] = ground.evidence
    limits = {key: getattr(finding, key, math.inf) for key in LIMITS[1:]}
    return row | {key: value if math.isfinite(value) else None for key, value in limits.items()}


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        decide(
            results=snakemake.input,
            outputs=snakemake.output,
            root=snakemake.params.root,
            provenance=run.provenance,
            **run.settings,
        )
