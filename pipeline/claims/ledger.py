"""The ledger of published claims: which stored results decide each, by which statistic.

`published/claims.yaml` says how it is written, and `published/claims/` holds it. Nothing here decides anything.
"""

import itertools
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.claims.published_numbers import read_numbers, take
from pipeline.errors import UserError
from pipeline.yaml_files import read_yaml

LEDGER = Path("published") / "claims.yaml"
NEEDED = {"id", "source", "claim"}
# How an entry is decided: by a statistic of results, or by none, with why.
DECIDED, UNMEASURED = {"statistic", "results"}, {"unmeasured"}
OPTIONAL = {
    "test",
    "parts",
    "published",
    "sentence",
    "role",
    "train",
    "artefacts",
    "elsewhere",
    "as_published",
    "stands_in",
}
PART_KEYS = {"network", "networks", "attack", "line", "trained", "test", "published", "train"}
# Of claims that rest on no network.
ANY_SCALE = "no network"

# What paths of studies hold, besides the study itself (`pipeline.plan.study_comparison.names_of`).
STUDY_FIELDS = re.compile(
    r"study|seed|standard|adversarial(_by_epoch)?|students_by_(epoch|kept|kept_average)|(l1|kl)_(e\d{3}|late)"
    r"|normal|(correct-)?fix-\d+|hybrid"
)


@dataclass(frozen=True)
class Part:
    """One thing that a claim says, decided by itself.

    Attributes:
        name: what is added to the claim's id; empty for a claim of one part.
        results: result files that it is decided from, by their paths; some may not be among a run's.
        arguments: of the statistic.
        weights: SHA-256 that the weights of a network must have, by the path of its file.
        published: the number that the source prints, if any. places: of all its numbers that decide the part.
        scale: in words, of what is no study; empty where nothing plays the role.
        train: training images below which the part is not decided. points: training points of its network of the path
            kernel, None for others.
        networks: names of several networks, of one result each; else empty.
    """

    name: str
    results: tuple[str, ...]
    arguments: Mapping[str, Any]
    weights: Mapping[str, str]
    published: float | None
    places: tuple[str, ...]
    scale: str
    train: int
    points: int | None
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """An entry of the ledger.

    Attributes:
        id, source, claim: as the ledger has them. statistic: name of the function that decides each part; empty where
            no result of any run does, and `unmeasured` says why.
        parts: at least one. sentence: whether the parts are decided together, and also as a whole.
        data: file of the dataset that plays the role the claim is about, None for claims without.
        source_images: training images that the source has, 0 where unknown or where others stand in for its data.
        comparable: whether it can be decided on the study that plays the role: numbers only on one that is trained as
            the source's.
        scale: of the study, in words; empty for claims without.
        artefacts: figures and tables that show the same. unmeasured: why no result of any run decides it, else empty.
        original: id of the claim about the source's own data, where this is about other data. group: file of the
            ledger that it stands in.
    """

    id: str
    source: str
    claim: str
    statistic: str
    parts: tuple[Part, ...]
    sentence: bool
    data: str | None
    source_images: int
    comparable: bool
    scale: str
    artefacts: tuple[str, ...]
    unmeasured: str
    original: str
    group: str

    @property
    def comparisons(self) -> int:
        """Parts that are decided at once."""
        return len(self.parts) if self.sentence else 1

    def decidable(self, part: Part, images: int | None) -> bool:
        """Whether a part may be decided, as numbers may that hold for the training that they were made with.

        Args:
            images: training images of the dataset; None where it is not there, or none plays the role.
        """
        size = part.points if self.data is None else images
        return self.comparable and (not part.train or (size is not None and size >= part.train))


def load(
    root: Path,
    datasets: Mapping[str, str],
    studies: Mapping[str, Mapping[str, Any]] | None = None,
    kernels: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Claim]:
    """Claims of the ledger of a checkout.

    Args:
        root: the checkout. datasets: dataset of each role, e.g. {"mnist": "mnist5k"}; claims about a role without one
            have no results. studies: study of logits of each role, as `study_comparison.claim_studies` gives them;
            claims about a study have no results without one. kernels: of each network of the path kernel
            its scale in words, and how many training points it has (`train`).

    Raises:
        UserError: an entry lacks a key, has an unknown one, or names a number that is not published.
    """
    ledger, numbers = read_yaml(root / LEDGER), read_numbers(root)
    claims = [
        _claim(each, ledger, numbers, datasets, studies or {}, kernels or {})
        for path in ledger_files(root)[1:]
        for entry in read_yaml(path)
        for each in _everywhere({**entry, "group": path.stem})
    ]
    ids = [claim.id for claim in claims]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise UserError(f"{LEDGER}: expected every id once, found more of {', '.join(repeated)}")
    return claims


def ledger_files(root: Path) -> list[Path]:
    """Files of the ledger of a checkout: the one that says how it is written, then those of the claims in order."""
    names = read_yaml(root / LEDGER)["files"]
    return [root / LEDGER, *(root / LEDGER.with_suffix("") / f"{name}.yaml" for name in names)]


def results_of(claims: list[Claim]) -> set[str]:
    """Every result file that the claims are decided from."""
    paths = {path for claim in claims for part in claim.parts for path in (*part.results, *part.weights)}
    return paths | {claim.data for claim in claims if claim.data}


def _everywhere(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """An entry, and one more for each other role that it is tried on, which says nothing of the source's data."""
    common = {key: value for key, value in entry.items() if key != "elsewhere"}
    if "stands_in" in entry:
        common["source"] = _on_other_data(entry["source"], entry["stands_in"])
    yield common
    for role, name in entry.get("elsewhere", {}).items():
        own = {
            "role": role,
            "id": f"{entry['id']}-{name}",
            "original": entry["id"],
            "source": _on_other_data(entry["source"], name),
            "stands_in": name,
        }
        yield {**common, **own}


def _on_other_data(source: str, name: str) -> str:
    return f"{source}, on {name}, which it does not have"


def _claim(
    entry: Mapping[str, Any],
    ledger: Mapping[str, Any],
    numbers: Mapping[str, Mapping[str, float]],
    datasets: Mapping[str, str],
    studies: Mapping[str, Mapping[str, Any]],
    kernels: Mapping[str, Mapping[str, Any]],
) -> Claim:
    names = ledger["networks"]
    where = f"{LEDGER}: {entry.get('id', 'an entry without id')}"
    needed = NEEDED | (UNMEASURED if "unmeasured" in entry else DECIDED)
    if (missing := needed - entry.keys()) or (unknown := entry.keys() - needed - OPTIONAL - {"original", "group"}):
        wrong = f"lacks {', '.join(sorted(missing))}" if missing else f"has unknown keys {', '.join(sorted(unknown))}"
        raise UserError(f"{where} {wrong}")
    role = str(entry.get("role"))
    dataset, study = datasets.get(role), studies.get(role)
    parts = entry.get("parts", {"": {}})
    if isinstance(parts, list):
        parts = {name: {"network": name} for name in parts}
    made = []
    for name, part in parts.items():
        if unknown := part.keys() - PART_KEYS:
            raise UserError(f"{where}: part {name} has unknown keys {', '.join(sorted(unknown))}")
        try:
            published = take(part.get("published", entry.get("published")), numbers, part)
            results = _results(entry, part, names, datasets, study["names"] if study else {})
            kernel = _kernel(entry, part, names, kernels)
        except KeyError as error:
            raise UserError(f"{where}: part {name} names {error}, which is not there") from error
        arguments = {**published.arguments, **entry.get("test", {}), **part.get("test", {})}
        weights = _weights(entry, part, names, datasets)
        made.append(
            Part(
                name=str(name),
                results=results,
                arguments=arguments,
                weights=weights,
                published=published.value,
                places=published.places,
                scale=kernel["scale"],
                train=part.get("train", entry.get("train", 0)),
                points=kernel.get("train"),
                networks=tuple(part.get("networks", ())) if len(entry.get("results", ())) == 1 else (),
            )
        )
    return Claim(
        id=entry["id"],
        source=entry["source"],
        claim=" ".join(entry["claim"].split()),
        statistic=entry.get("statistic", ""),
        parts=tuple(made),
        sentence=entry.get("sentence", False),
        data=f"results/data/{dataset}.h5" if dataset else None,
        source_images=0 if "stands_in" in entry else _source_images(entry, ledger),
        comparable="as_published" not in entry or bool(study and entry["as_published"] in study["as_published"]),
        scale=study["scale"] if study and any("{study}" in template for template in entry.get("results", ())) else "",
        artefacts=tuple(entry.get("artefacts", ())),
        unmeasured=entry.get("unmeasured", ""),
        original=entry.get("original", entry["id"]),
        group=entry["group"],
    )


def _results(
    entry: Mapping[str, Any],
    part: Mapping[str, Any],
    names: Mapping[str, Any],
    datasets: Mapping[str, str],
    study: Mapping[str, str | list[str]],
) -> tuple[str, ...]:
    """Paths of a part, template by template; none where nothing plays the role or the study lacks a network."""
    networks = part.get("networks", [part.get("network")])
    values = {"dataset": datasets.get(entry.get("role", ""), ""), "attack": part.get("attack", "")}
    templates = entry.get("results", ())
    models = [_model(names[network]) if network else "" for network in networks]
    # Names of students, or fields of the study that name networks.
    trained = _listed(part.get("trained", ""))
    found = [
        [path for model in models for path in _filled(template, {"network": model, **values}, study)]
        for whole in templates
        for template in (whole.replace("{trained}", name) for name in trained)
    ]
    played = "role" not in entry or entry["role"] in datasets
    return tuple(f"results/{path}.h5" for paths in found for path in paths) if played and all(found) else ()


def _filled(template: str, values: Mapping[str, str | list[str]], study: Mapping[str, str | list[str]]) -> list[str]:
    """A path for each combination of the names that a study has for a template's fields, the last field fastest."""
    fields = list(dict.fromkeys(field for _, field, _, _ in string.Formatter().parse(template) if field))
    if unknown := [field for field in fields if field not in values and not STUDY_FIELDS.fullmatch(field)]:
        raise KeyError(unknown[0])
    choices = [_listed(values[field] if field in values else study.get(field, [])) for field in fields]
    return [template.format(**dict(zip(fields, names, strict=True))) for names in itertools.product(*choices)]


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _source_images(entry: Mapping[str, Any], ledger: Mapping[str, Any]) -> int:
    source = entry["group"].partition("_")[0]
    return int(ledger.get("source_images", {}).get(source, {}).get(entry.get("role"), 0))


def _kernel(
    entry: Mapping[str, Any],
    part: Mapping[str, Any],
    names: Mapping[str, Any],
    kernels: Mapping[str, Mapping[str, Any]],
) -> Mapping[str, Any]:
    """Scale of what plays no role: a network of the path kernel, or none."""
    if "role" in entry or "unmeasured" in entry:
        return {"scale": ""}
    if "network" not in part:
        return {"scale": ANY_SCALE}
    # Some results are of trainings of their own.
    for template in entry["results"]:
        path = template.removeprefix("path_kernel/").replace("{network}", _model(names[part["network"]]))
        if path in kernels:
            return kernels[path]
    return kernels.get(_model(names[part["network"]]), {"scale": ""})


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
