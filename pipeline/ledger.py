"""The ledger of published claims: which stored results decide each, by which statistic.

`published/claims.yaml` says how it is written. Nothing here decides anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import UserError

LEDGER = Path("published") / "claims.yaml"
NUMBERS = Path("published") / "bell.yaml"
KEYS = {"id", "source", "claim", "statistic", "test", "parts", "results", "published"}
OPTIONAL = {"sentence", "role", "train", "artefacts"}
PART_KEYS = {"network", "networks", "attack", "test", "published"}


@dataclass(frozen=True)
class Part:
    """One thing that a claim says, decided by itself.

    Attributes:
        name: what is added to the claim's id; empty for a claim of one part.
        results: result files that it is decided from, by their paths; some may not be among a run's.
        arguments: of the statistic.
        weights: SHA-256 that the weights of a network must have, by the path of its file.
        published: the number that the source prints, if any.
    """

    name: str
    results: tuple[str, ...]
    arguments: Mapping[str, Any]
    weights: Mapping[str, str]
    published: float | None


@dataclass(frozen=True)
class Claim:
    """An entry of the ledger.

    Attributes:
        id, source, claim: as the ledger has them. statistic: name of the function that decides each part.
        parts: at least one. sentence: whether the parts are decided together, and also as a whole.
        data: file of the dataset that plays the role the claim is about, None for claims without.
        train: training images below which the claim is not decided.
        artefacts: figures and tables that show the same.
    """

    id: str
    source: str
    claim: str
    statistic: str
    parts: tuple[Part, ...]
    sentence: bool
    data: str | None
    train: int
    artefacts: tuple[str, ...]

    @property
    def comparisons(self) -> int:
        """Parts that are decided at once."""
        return len(self.parts) if self.sentence else 1


def load(root: Path, datasets: Mapping[str, str]) -> list[Claim]:
    """Claims of the ledger of a checkout.

    Args:
        root: the checkout. datasets: dataset of each role, e.g. {"mnist": "mnist5k"}; claims about a role without one
            have no results.

    Raises:
        UserError: an entry lacks a key, has an unknown one, or names a number that is not published.
    """
    ledger, numbers = (yaml.safe_load((root / path).read_text(encoding="utf-8")) for path in (LEDGER, NUMBERS))
    claims = [_claim(entry, ledger["networks"], numbers, datasets) for entry in ledger["claims"]]
    ids = [claim.id for claim in claims]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise UserError(f"{LEDGER}: expected every id once, found more of {', '.join(repeated)}")
    return claims


def results_of(claims: list[Claim]) -> set[str]:
    """Every result file that the claims are decided from."""
    paths = {path for claim in claims for part in claim.parts for path in (*part.results, *part.weights)}
    return paths | {claim.data for claim in claims if claim.data}


def _claim(
    entry: Mapping[str, Any], names: Mapping[str, Any], numbers: Mapping[str, Any], datasets: Mapping[str, str]
) -> Claim:
    where = f"{LEDGER}: {entry.get('id', 'an entry without id')}"
    needed = KEYS - {"test", "parts", "published"}
    if (missing := needed - entry.keys()) or (unknown := entry.keys() - KEYS - OPTIONAL):
        wrong = f"lacks {', '.join(sorted(missing))}" if missing else f"has unknown keys {', '.join(sorted(unknown))}"
        raise UserError(f"{where} {wrong}")
    dataset = datasets.get(str(entry.get("role")))
    parts = entry.get("parts", {"": {}})
    if isinstance(parts, list):
        parts = {name: {"network": name} for name in parts}
    made = []
    for name, part in parts.items():
        if unknown := part.keys() - PART_KEYS:
            raise UserError(f"{where}: part {name} has unknown keys {', '.join(sorted(unknown))}")
        try:
            published = _published(part.get("published", entry.get("published")), part.get("network"), numbers)
            results = _results(entry, part, names, datasets)
        except KeyError as error:
            raise UserError(f"{where}: part {name} names {error}, which is not there") from error
        arguments = {**entry.get("test", {}), **part.get("test", {})}
        made.append(Part(str(name), results, arguments, _weights(entry, part, names, datasets), published))
    return Claim(
        id=entry["id"],
        source=entry["source"],
        claim=" ".join(entry["claim"].split()),
        statistic=entry["statistic"],
        parts=tuple(made),
        sentence=entry.get("sentence", False),
        data=f"results/data/{dataset}.h5" if dataset else None,
        train=entry.get("train", 0),
        artefacts=tuple(entry.get("artefacts", ())),
    )


def _results(
    entry: Mapping[str, Any], part: Mapping[str, Any], names: Mapping[str, Any], datasets: Mapping[str, str]
) -> tuple[str, ...]:
    if "role" in entry and entry["role"] not in datasets:
        return ()
    networks = part.get("networks", [part.get("network")])
    values = {"dataset": datasets.get(entry.get("role", ""), ""), "attack": part.get("attack", "")}
    models = [_model(names[network]) if network else "" for network in networks]
    return tuple(
        f"results/{template.format(network=model, **values)}.h5" for template in entry["results"] for model in models
    )


def _model(network: str | Mapping[str, str]) -> str:
    return network if isinstance(network, str) else network["model"]


def _weights(
    entry: Mapping[str, Any], part: Mapping[str, Any], names: Mapping[str, Any], datasets: Mapping[str, str]
) -> dict[str, str]:
    known = [names[network] for network in part.get("networks", [part.get("network")]) if network]
    if entry.get("role") not in datasets:
        return {}
    folder = f"results/models/{datasets[entry['role']]}"
    return {f"{folder}/{item['model']}.h5": item["weights"] for item in known if not isinstance(item, str)}


def _published(value: Any, network: str | None, numbers: Mapping[str, Any]) -> float | None:
    if not isinstance(value, Mapping):
        return None if value is None else float(value)
    line = numbers[value["table"]][network]
    line = line[value["line"]] if "line" in value else line
    return float(line[value["column"]]) / (float(line[value["over"]]) if "over" in value else 1.0)
