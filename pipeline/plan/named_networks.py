"""Networks that a section of the configuration names: of a study of logits, or of `models`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.plan.logit_studies import student_path, study_graph, teacher_path
from pipeline.plan.paths import data_path, model_path
from pipeline.plan.teachers import TEACHERS
from pipeline.wording import mapping, nearest

Config = Mapping[str, Any]

# Sections whose key `networks` names networks.
SECTIONS = ("logit_model", "manifolds")


@dataclass(frozen=True)
class NamedNetwork:
    """Where a network and its images are stored.

    Attributes:
        data, file: results. epoch: of the checkpoint that counts, None for the trained network. epsilon: largest change
            of a pixel under which a study's networks are measured, None for networks of `models`.
    """

    data: str
    file: str
    epoch: int | None
    epsilon: float | None


def named_network(config: Config, section: str, name: str) -> NamedNetwork:
    """The network that a section knows by a name."""
    entry = config[section]["networks"][name]
    if "model" in entry:
        dataset = entry["dataset"]
        return NamedNetwork(data_path(dataset), model_path(dataset, entry["model"]), None, None)
    study, network = config["logits"]["studies"][entry["study"]], entry["network"]
    seed = study["seeds"][0] if entry["seed"] is None else entry["seed"]
    data, epsilon = data_path(study["dataset"]), study["adversarial"]["epsilon"]
    if network in TEACHERS:
        file = teacher_path(entry["study"], network, seed)
        return NamedNetwork(data, file, study["teacher_epoch"][network], epsilon)
    return NamedNetwork(data, student_path(entry["study"], network, seed), None, epsilon)


def named_path(config: Config, section: str, name: str) -> str:
    """Where what a section measures of a named network is stored: below its study, or else its dataset."""
    entry = config[section]["networks"][name]
    return f"results/{section}/{entry.get('study', entry.get('dataset'))}/{name}.h5"


def names_shown(config: Config, section: str, entry: Mapping[str, Any]) -> list[str]:
    """Names of the section's networks that a figure or table shows: its own, or all."""
    return list(entry.get("named") or config[section]["networks"])


def networks_behind(config: Config, section: str, names: list[str]) -> set[str]:
    """Results of a section for some of its networks, and all that they rest on."""
    paths: set[str] = set()
    for name in names:
        found, entry = named_network(config, section, name), config[section]["networks"][name]
        graph = study_graph(config, entry["study"]) if "study" in entry else {}
        paths.add(named_path(config, section, name))
        waiting = {found.data, found.file}
        while waiting:
            path = waiting.pop()
            paths.add(path)
            waiting |= set(graph.get(path, ())) - paths
    return paths


def named_mistakes(config: Config) -> Iterator[str]:
    """Networks that are neither or both, and names that lead nowhere."""
    studies = mapping(config.get("logits")).get("studies")
    for section in SECTIONS:
        for name, entry in mapping(mapping(config.get(section)).get("networks")).items():
            where, entry = f"{section}.networks.{name}", mapping(entry)
            if entry and ("model" in entry) == ("study" in entry):
                both = "both" if "study" in entry else "neither"
                yield f"{where}: expected either study and network, or dataset and model, found {both}"
            for needed, with_it in (("dataset", "model"), ("network", "study")):
                if with_it in entry and needed not in entry:
                    yield f"{where}.{needed}: required key is missing"
            for key, valid in (("dataset", "datasets"), ("model", "models")):
                known = mapping(config.get(valid))
                if isinstance(entry.get(key), str) and known and entry[key] not in known:
                    yield f"{where}.{key}: there is no {key} '{entry[key]}' in {valid}{nearest(entry[key], known)}"
            study = entry.get("study")
            if not (isinstance(study, str) and isinstance(studies, Mapping)):
                continue
            if study not in studies:
                yield f"{where}.study: there is no study '{study}' in logits.studies{nearest(study, studies)}"
            elif isinstance(studies[study], Mapping):
                yield from _network_mistakes(where, entry, studies[study])
    settings = mapping(config.get("manifolds"))
    for name, entry in mapping(settings.get("networks")).items():
        if "model" in mapping(entry) and settings.get("epsilon", 0) is None:
            yield f"manifolds.epsilon: expected a number, which {name} has from no study, found null"


def _network_mistakes(where: str, entry: Mapping[str, Any], study: Mapping[str, Any]) -> Iterator[str]:
    known = (*TEACHERS, *mapping(study.get("students")))
    network, seed, seeds = entry.get("network"), entry.get("seed"), study.get("seeds")
    if isinstance(network, str) and network not in known:
        yield f"{where}.network: expected one of {', '.join(known)}, found '{network}'{nearest(network, known)}"
    if isinstance(seed, int) and isinstance(seeds, list) and seed not in seeds:
        yield f"{where}.seed: expected one of the study's seeds ({', '.join(map(str, seeds))}), found {seed}"
