"""What a schema cannot say of a configuration: that names exist and numbers fit together."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.default_figures import default_mistakes
from pipeline.config.network_checks import network_mistakes
from pipeline.config.study_checks import study_mistakes
from pipeline.config.tilting_checks import tilting_mistakes
from pipeline.plan.catalogue import (
    ATLAS,
    MNIST5K_TEST_IMAGES,
    NAMED_PLOTS,
    NAMED_TABLES,
    PLOT_KERNEL,
    PLOT_PAIR,
    PLOT_SINGLE,
    PUBLISHED_WEIGHTS,
    ROW_PLOTS,
    TRAIN_IMAGES,
)
from pipeline.plan.named_networks import named_mistakes
from pipeline.plan.study_artefacts import STUDENT_PLOTS, STUDY_PLOTS, STUDY_TABLES
from pipeline.wording import mapping as _mapping
from pipeline.wording import nearest as _nearest

CELL = ("dataset", "model", "attack")
# Lists of a section that must ascend, also where a dataset has settings of its own.
ASCENDING = (("boundary", "radii"), ("spectra", "radii"), ("level_sets", "radii"), ("factors", "epsilons"))
# What an entry of the catalogue must name, by its plot; a cell unless listed.
NEEDED = {
    **dict.fromkeys(PLOT_KERNEL, ("network",)),
    **dict.fromkeys(PLOT_SINGLE, ()),
    "interpolated_weights": ("dataset", "model"),
    "boundary_plane": ("dataset", "model"),
    **dict.fromkeys(ROW_PLOTS, ("dataset", "attack", "rows")),
    "class_frequencies_of_cells": ("dataset", "panels"),
    "sensitivity": (*CELL, "attacks"),
    **dict.fromkeys(PLOT_PAIR, ("classes",)),
    **dict.fromkeys(ATLAS, ()),
    "weight_decay": (),
    "zoo": (),
    **dict.fromkeys(NAMED_PLOTS, ()),
    **dict.fromkeys((*STUDY_PLOTS, *STUDENT_PLOTS), ("study",)),
}
# Which attacks an entry of the tables must name, by its kind; one attack unless listed.
TABLE_NEEDED = {
    "network_layers": None,
    **dict.fromkeys(ATLAS, None),
    **dict.fromkeys(STUDY_TABLES, "studies"),
    **dict.fromkeys(NAMED_TABLES, None),
    "detection": "attacks",
    "attack_comparison": "attacks",
    "persistence_by_attack": "attack_rows",
}


def cross_check(config: Mapping[str, Any]) -> Iterator[str]:
    """What a schema cannot say: that names exist and numbers fit together. Wrong types are skipped here,
    the schema has named them."""
    yield from _check_asked(config)
    yield from _check_names(config)
    yield from _check_numbers(config)
    yield from _check_ascending(config)
    yield from _check_interpolated(config)
    yield from network_mistakes(config)
    yield from tilting_mistakes(config)
    yield from study_mistakes(config)
    yield from named_mistakes(config)


def _check_asked(config: Mapping[str, Any]) -> Iterator[str]:
    asked = {
        "artefacts": config.get("artefacts") or config.get("further_artefacts"),
        "logits.run": _mapping(config.get("logits")).get("run"),
        "path_kernel.run": _mapping(config.get("path_kernel")).get("run"),
    }
    if config.get("experiments") == [] and not any(asked.values()):
        yield f"experiments: expected at least 1 entry, since {', '.join(asked)} ask for nothing either, found 0"


def _check_names(config: Mapping[str, Any]) -> Iterator[str]:
    sections = {"dataset": "datasets", "model": "models", "attack": "attacks"}
    figures = _mapping(config.get("figures"))
    catalogue = _mapping(figures.get("catalogue"))
    experiments = config.get("experiments")
    places = [
        (f"experiments[{i}]", item) for i, item in enumerate(experiments if isinstance(experiments, list) else [])
    ]
    places += [(f"figures.catalogue.{name}", item) for name, item in catalogue.items()]
    places += [(f"tables.{name}", item) for name, item in _mapping(config.get("tables")).items()]
    places += [
        (f"figures.catalogue.{name}.panels.{title}", panel)
        for name, item in catalogue.items()
        for title, panel in _mapping(_mapping(item).get("panels")).items()
    ]
    for where, item in places:
        for key, section in sections.items():
            valid = config.get(section)
            name = _mapping(item).get(key)
            if isinstance(valid, Mapping) and isinstance(name, str) and name not in valid:
                yield f"{where}.{key}: there is no {key} '{name}' in {section}{_nearest(name, valid)}"
    for role, name in _mapping(_mapping(config.get("claims")).get("datasets")).items():
        valid = config.get("datasets")
        if isinstance(valid, Mapping) and isinstance(name, str) and name not in valid:
            yield f"claims.datasets.{role}: there is no dataset '{name}' in datasets{_nearest(name, valid)}"
    yield from _check_path_kernel(config, catalogue)
    tables = _mapping(config.get("tables"))
    for where, entries in (("tables", tables), ("figures.catalogue", catalogue)):
        for name, entry in entries.items():
            for key, kind in (("rows", "model"), ("attack_rows", "attack")):
                valid = config.get(sections[kind])
                for row, used in _mapping(_mapping(entry).get(key)).items():
                    if isinstance(valid, Mapping) and isinstance(used, str) and used not in valid:
                        yield (
                            f"{where}.{name}.{key}.{row}: there is no {kind} '{used}' in {sections[kind]}"
                            f"{_nearest(used, valid)}"
                        )
    for name, table in tables.items():
        table = _mapping(table)
        needed = TABLE_NEEDED.get(str(table.get("table")), "attack")
        of_networks = () if table.get("table") in (*ATLAS, *STUDY_TABLES, *NAMED_TABLES) else ("dataset", "rows")
        for key in (*of_networks, needed):
            if table and key and key not in table:
                yield f"tables.{name}.{key}: required key is missing"
    for where, entry in places:
        listed, valid = _mapping(entry).get("attacks"), config.get("attacks")
        for i, attack in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(valid, Mapping) and isinstance(attack, str) and attack not in valid:
                yield f"{where}.attacks[{i}]: there is no attack '{attack}' in attacks{_nearest(attack, valid)}"
    known, unclear = [*catalogue, *tables], default_mistakes(config)
    for key in ("artefacts", "further_artefacts"):
        artefacts = config.get(key)
        for i, name in enumerate(artefacts if isinstance(artefacts, list) else []):
            if isinstance(name, str) and name not in known:
                missing = f"there is no '{name}' in figures.catalogue or tables{_nearest(name, known)}"
                yield f"{key}[{i}]: {unclear.get(name, missing)}"


def _check_path_kernel(config: Mapping[str, Any], catalogue: Mapping[str, Any]) -> Iterator[str]:
    section = _mapping(config.get("path_kernel"))
    networks = _mapping(section.get("networks"))
    for name, network in networks.items():
        where, network = f"path_kernel.networks.{name}", _mapping(network)
        for key, section_name in (("dataset", "datasets"), ("model", "models")):
            valid, used = config.get(section_name), network.get(key)
            if isinstance(valid, Mapping) and isinstance(used, str) and used not in valid:
                yield f"{where}.{key}: there is no {key} '{used}' in {section_name}{_nearest(used, valid)}"
        if network and ("hidden" in network) == ("model" in network):
            yield f"{where}: expected either hidden or model, found {'both' if 'model' in network else 'none'}"
        if _mapping(_mapping(config.get("models")).get(str(network.get("model")))).get("principal"):
            yield f"{where}.model: expected a network without principal directions, which nothing fits here"
    run = section.get("run")
    asked = [(f"path_kernel.run[{i}]", name) for i, name in enumerate(run if isinstance(run, list) else [])]
    for name, entry in catalogue.items():
        for key in NEEDED.get(str(_mapping(entry).get("plot")), CELL):
            if isinstance(entry, Mapping) and key not in entry:
                yield f"figures.catalogue.{name}.{key}: required key is missing"
        asked.append((f"figures.catalogue.{name}.network", _mapping(entry).get("network")))
    for where, name in asked:
        if isinstance(name, str) and name not in networks:
            yield f"{where}: there is no network '{name}' in path_kernel.networks{_nearest(name, networks)}"


def _check_numbers(config: Mapping[str, Any]) -> Iterator[str]:
    persistence = _mapping(config.get("persistence"))
    low, high = persistence.get("sigma_min"), persistence.get("sigma_max")
    if isinstance(low, float) and isinstance(high, float) and not low < high:
        yield f"persistence.sigma_min: expected a value below persistence.sigma_max ({high}), found {low}"
    norms = _mapping(config.get("norms"))
    for section in ("cones", "wedges"):
        faces, dimension = (_mapping(config.get(section)).get(key) for key in ("faces", "dimension"))
        most = max([k for k in faces if isinstance(k, int)], default=0) if isinstance(faces, list) else 0
        if isinstance(dimension, int) and most > dimension:
            yield f"{section}.dimension: expected at least the largest of {section}.faces ({most}), found {dimension}"
    dimensions, points = norms.get("dimensions"), norms.get("points")
    if isinstance(dimensions, list) and isinstance(points, list) and len(dimensions) != len(points):
        yield f"norms.points: expected one number for each of norms.dimensions ({len(dimensions)}), found {len(points)}"
    for name, dataset in _mapping(config.get("datasets")).items():
        dataset = _mapping(dataset)
        train, test = dataset.get("train"), dataset.get("test")
        if dataset.get("source") == "hdf5" and dataset.get("file") is None:
            yield f"datasets.{name}.file: expected the path of an HDF5 file, found none"
        if dataset.get("source") == "photos" and dataset.get("folder") is None:
            yield f"datasets.{name}.folder: expected the path of a folder of photos, found none"
        own = _mapping(_mapping(dataset.get("settings")).get("persistence"))
        low, high = (own.get(key, persistence.get(key)) for key in ("sigma_min", "sigma_max"))
        if own and isinstance(low, float) and isinstance(high, float) and not low < high:
            where = f"datasets.{name}.settings.persistence.sigma_min"
            yield f"{where}: expected a value below sigma_max ({high}), found {low}"
        if dataset.get("source") != "mnist5k":
            continue
        asked = (1 if train is None else train, MNIST5K_TEST_IMAGES if test is None else test)
        if all(isinstance(images, int) for images in asked) and sum(asked) > TRAIN_IMAGES["mnist5k"]:
            yield (
                f"datasets.{name}.train: expected train and test to add up to at most {TRAIN_IMAGES['mnist5k']} "
                f"images of mnist5k, found {train or 'the rest'} + {asked[1]}"
            )
    for name, model in _mapping(config.get("models")).items():
        model = _mapping(model)
        both = "both" if "factory" in model else "none"
        if model and ("architecture" in model) == ("factory" in model):
            yield f"models.{name}: expected either architecture or factory, found {both}"
        if model.get("architecture") == "torchvision" and "name" not in model:
            yield f"models.{name}.name: expected the name of a classifier of torchvision, found none"
        publishes = model.get("architecture") in ("torchvision", "efficientnet_lite0")
        if model.get("weights") == PUBLISHED_WEIGHTS and not publishes:
            yield (
                f"models.{name}.weights: expected a file, since only torchvision and efficientnet_lite0 have published "
                f"weights that are known here, found '{PUBLISHED_WEIGHTS}'"
            )
        penalty = _mapping(model.get("training")).get("penalty")
        layers = weight_layers(model)
        if isinstance(penalty, list) and layers and len(penalty) not in (1, layers):
            yield (
                f"models.{name}.training.penalty: expected 1 value or {layers}, one for each layer with weights, "
                f"found {len(penalty)}"
            )


def _check_ascending(config: Mapping[str, Any]) -> Iterator[str]:
    places = {"": config}
    for name, dataset in _mapping(config.get("datasets")).items():
        places[f"datasets.{name}.settings."] = _mapping(_mapping(dataset).get("settings"))
    for where, settings in places.items():
        for section, key in ASCENDING:
            values = _mapping(settings.get(section)).get(key)
            numbers = [value for value in values if isinstance(value, (int, float))] if isinstance(values, list) else []
            if numbers != sorted(numbers):
                yield f"{where}{section}.{key}: expected ascending values, found {numbers}"


def _check_interpolated(config: Mapping[str, Any]) -> Iterator[str]:
    catalogue, models = _mapping(_mapping(config.get("figures")).get("catalogue")), _mapping(config.get("models"))
    for name, entry in catalogue.items():
        entry = _mapping(entry)
        given = _mapping(models.get(str(entry.get("model")))).get("weights")
        if entry.get("plot") == "interpolated_weights" and given is not None:
            yield f"figures.catalogue.{name}.model: expected a model that is trained here, found weights of a file"


def weight_layers(model: Mapping[str, Any]) -> int | None:
    """Number of layers with weights of a model's configuration; None when it is not valid."""
    hidden = model.get("hidden")
    if model.get("architecture") == "fully_connected" and isinstance(hidden, list):
        return len(hidden) + 1
    return 6 if model.get("architecture") == "bell_cnn" else None
