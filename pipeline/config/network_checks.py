"""Mistakes about the options of networks and about the stages that rest on them, beyond what a schema can say."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.plan.catalogue import OPTIONS, WITH_OPTIONS, WITHOUT_DROPOUT
from pipeline.wording import mapping, nearest


def network_mistakes(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each option of a network that its kind does not have, each network without dropout whose dropout is
    to be measured, and each name in the section `zoo` that leads nowhere."""
    models = mapping(config.get("models"))
    for name, model in models.items():
        kind = mapping(model).get("architecture", "a factory")
        for option in OPTIONS if kind not in WITH_OPTIONS else ():
            if mapping(model).get(option):
                yield f"models.{name}.{option}: expected {' or '.join(WITH_OPTIONS)} as architecture, found {kind}"
    experiments = config.get("experiments")
    for number, item in enumerate(experiments if isinstance(experiments, list) else []):
        measure, name = mapping(item).get("measure"), str(mapping(item).get("model"))
        model = mapping(models.get(name))
        without = model.get("architecture") in (*WITH_OPTIONS, *WITHOUT_DROPOUT) and not model.get("dropout")
        if isinstance(measure, list) and "dropout" in measure and without:
            yield f"experiments[{number}].measure: dropout needs a network with dropout, found none in models.{name}"
    yield from _zoo_mistakes(config, models)


def _zoo_mistakes(config: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[str]:
    zoo, datasets = mapping(config.get("zoo")), mapping(config.get("datasets"))
    chosen, dataset, reference = mapping(zoo.get("models")), zoo.get("dataset"), zoo.get("reference")
    for name, model in chosen.items():
        if models and isinstance(model, str) and model not in models:
            yield f"zoo.models.{name}: there is no model '{model}' in models{nearest(model, models)}"
    if datasets and isinstance(dataset, str) and dataset not in datasets:
        yield f"zoo.dataset: there is no dataset '{dataset}' in datasets{nearest(dataset, datasets)}"
    if chosen and isinstance(reference, str) and reference not in chosen:
        yield f"zoo.reference: expected one of zoo.models ({', '.join(chosen)}), found '{reference}'"
    catalogue, artefacts = mapping(mapping(config.get("figures")).get("catalogue")), config.get("artefacts")
    for name in artefacts if isinstance(artefacts, list) else []:
        entry = mapping(catalogue.get(name)) if isinstance(name, str) else {}
        if entry.get("plot") == "zoo" and not (chosen and dataset):
            yield f"zoo: expected a dataset and models, which {name} shows, found none"
