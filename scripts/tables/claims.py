"""Decide the published claims from the results that this run holds, and write the ledger."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from neighborhoods.claims import NOT_RUN, Finding, combined
from neighborhoods.evidence import STATISTICS
from pipeline.ledger import Claim, Part, load
from pipeline.results import Stored, write_csv
from pipeline.store import Provenance, reading


def decide(
    *,
    results: Sequence[str],
    output: str,
    root: str,
    datasets: Mapping[str, str],
    studies: Mapping[str, Mapping[str, Any]],
    artefacts: Mapping[str, str],
    confidence: float,
    provenance: Provenance,
) -> None:
    """One row for each part of a claim, and one more for a sentence of several parts.

    Args:
        results: result files of this run, by their paths from its folder. root: checkout that holds the ledger.
        datasets, studies: dataset and study of logits of each role. artefacts: paths of those that this run makes, by
            name.
    """
    held = set(results)
    rows: list[dict[str, Any]] = []
    for claim in load(Path(root), datasets, studies):
        size = _training_images(claim, held)
        found = [_decide(claim, part, held, confidence) for part in claim.parts]
        # A number of the source holds for the training that it was made with.
        enough = claim.comparable and (size is None or size >= claim.train)
        # Datasets of photos come without training images: their networks were trained elsewhere.
        images = "" if size is None else f"{size} training images" if size else "trained elsewhere"
        scale = ", ".join(filter(None, (claim.scale, images)))
        shown = [artefacts[name] for name in claim.artefacts if name in artefacts]
        for part, finding in zip(claim.parts, found, strict=True):
            name = f"{claim.id}/{part.name}" if part.name else claim.id
            evidence = [path for path in part.results if path in held] if finding else []
            rows.append(_row(claim, name, part.published, finding, enough, scale, evidence + shown * bool(evidence)))
        if claim.sentence:
            whole = combined(found)
            rows.append(_row(claim, claim.id, len(found), whole if any(found) else None, enough, scale, shown))
    write_csv(output, rows)


def _training_images(claim: Claim, held: set[str]) -> int | None:
    if claim.data not in held:
        return None
    with reading(claim.data) as file:
        return len(file.read("y_train"))


def _decide(claim: Claim, part: Part, held: set[str], confidence: float) -> Finding | None:
    # A trend over networks makes do with those that were measured; every other statistic needs all of its files.
    several = claim.statistic == "rank_trend"
    paths = [path for path in part.results if path in held]
    if not paths or not (several or len(paths) == len(part.results)):
        return None
    if not all(path in held and _weights_are(path, sha256) for path, sha256 in part.weights.items()):
        return None
    number = {} if part.published is None else {"published": part.published}
    settings = {"confidence": confidence, "comparisons": claim.comparisons, **number, **part.arguments}
    with ExitStack() as stack:
        cells = [Stored(stack.enter_context(reading(path))) for path in paths]
        return STATISTICS[claim.statistic](cells, **settings)


def _weights_are(path: str, sha256: str) -> bool:
    with reading(path) as file:
        return file.has_attribute("weights_sha256") and file.attribute("weights_sha256") == sha256


def _row(
    claim: Claim,
    name: str,
    published: float | None,
    finding: Finding | None,
    enough: bool,
    scale: str,
    evidence: Sequence[str],
) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name, "source": claim.source, "claim": claim.claim, "published": published}
    row |= {key: getattr(finding, key, None) for key in ("measured", "low", "high", "n")}
    row |= {"scale": scale, "verdict": finding.verdict if finding and enough else NOT_RUN}
    return row | {"evidence": "; ".join(evidence)}


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        decide(
            results=snakemake.input,
            output=snakemake.output[0],
            root=snakemake.params.root,
            provenance=run.provenance,
            **run.settings,
        )
