"""The configuration: text to types, defaults filled in, every mistake found at once.

`resolve` is the only way from what Snakemake read to what rules use. Values arrive as text from
`--config` and from YAML's `1e-7`, so they are converted by the schema's type first; integers become
floats where the schema says number, since 1 and 1.0 would count as a change.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pipeline.attack_settings import attack_mistakes, without_foreign_settings
from pipeline.catalogue import (
    ATLAS,
    PLOT_KERNEL,
    PLOT_PAIR,
    PLOT_SINGLE,
    PUBLISHED_WEIGHTS,
    ROW_PLOTS,
)
from pipeline.errors import UserError
from pipeline.network_checks import network_mistakes
from pipeline.tilting_settings import tilting_mistakes
from pipeline.wording import mapping as _mapping
from pipeline.wording import nearest as _nearest

SCHEMA = Path(__file__).resolve().parent.parent / "schemas" / "config.schema.yaml"
MNIST5K_IMAGES = 5000
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
}
# Which attacks an entry of the tables must name, by its kind; one attack unless listed.
TABLE_NEEDED = {
    "network_layers": None,
    **dict.fromkeys(ATLAS, None),
    "detection": "attacks",
    "attack_comparison": "attacks",
    "persistence_by_attack": "attack_rows",
}


class ConfigError(UserError):
    """One or more mistakes in the configuration; `lines` holds a sentence for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def load_schema(path: Path = SCHEMA) -> dict[str, Any]:
    """The schema as plain data; what a dataset may set anew has the types and bounds of its section."""
    schema = yaml.safe_load(path.read_text(encoding="utf-8"))
    sections = schema["properties"]
    dataset = sections["datasets"]["additionalProperties"]["properties"]
    for name, settings in dataset["settings"]["properties"].items():
        known = {key: _without_default(sub) for key, sub in sections[name]["properties"].items()}
        settings.update(additionalProperties=False, properties=known)
    return schema


def _without_default(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "default"}


def resolve(config: Mapping[str, Any], schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A complete configuration with the schema's types and every default written out.

    Args:
        config: what Snakemake read and merged; it is not changed.
        schema: JSON schema; the project's own when left out.

    Raises:
        ConfigError: with one line for each mistake.
    """
    schema = load_schema() if schema is None else schema
    resolved = _complete(copy.deepcopy(dict(config)), schema)
    attacks = resolved.get("attacks")
    if isinstance(attacks, Mapping):
        resolved["attacks"] = {name: without_foreign_settings(entry) for name, entry in attacks.items()}
    errors = sorted(Draft202012Validator(schema).iter_errors(resolved), key=lambda error: list(map(str, error.path)))
    lines = [line for error in errors for line in _lines(error)]
    lines += list(_cross_check(resolved))
    # What somebody wrote, since defaults are filled in for every method.
    lines += list(attack_mistakes(_mapping(config.get("attacks")), _mapping(attacks)))
    if lines:
        raise ConfigError(list(dict.fromkeys(f"configuration: {line}" for line in lines)))
    return resolved


def _complete(value: Any, schema: Mapping[str, Any]) -> Any:
    """Convert by the schema's types and fill in defaults, going down as far as both agree."""
    if isinstance(value, Mapping):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties")
        filled = {key: copy.deepcopy(sub["default"]) for key, sub in known.items() if "default" in sub}
        filled.update(value)
        result = {}
        for key, item in filled.items():
            sub = known.get(key, other)
            result[key] = _complete(item, sub) if isinstance(sub, Mapping) else item
        return result
    if isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        return [_complete(item, items) for item in value]
    return _converted(value, schema.get("type"))


def _converted(value: Any, kind: Any) -> Any:
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and kind in ("number", "integer"):
        try:
            return float(value) if kind == "number" else int(value)
        except ValueError:
            return value
    if isinstance(value, str) and kind == "boolean" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and isinstance(kind, list) and "null" in kind:
        others = [name for name in kind if name != "null"]
        return None if value.lower() in ("null", "none", "") else _converted(value, others[0])
    return value


def _lines(error: ValidationError) -> Iterator[str]:
    """One readable line a mistake; the wording of jsonschema shows whole sub-schemas."""
    where = _where(error.absolute_path)
    found = error.instance
    limit: Any = error.validator_value
    if error.validator == "additionalProperties":
        valid = list(error.schema.get("properties", {}))
        for key in sorted(set(found) - set(valid)):
            yield f"{_join(where, key)}: unknown key{_nearest(key, valid)}"
    elif error.validator == "required":
        for key in limit:
            if key not in found:
                yield f"{_join(where, key)}: required key is missing"
    elif error.validator == "enum":
        yield f"{where}: expected one of {', '.join(map(str, limit))}, found {found!r}{_nearest(found, limit)}"
    elif error.validator == "type":
        names = " or ".join(limit) if isinstance(limit, list) else limit
        yield f"{where}: expected {names}, found {found!r}"
    elif error.validator in _BOUNDS:
        yield f"{where}: expected a value {_BOUNDS[error.validator]} {limit}, found {found!r}"
    elif "propertyNames" in error.absolute_schema_path:
        yield f"{where}: {found!r} cannot name a result file, expected a name that matches {limit}"
    elif error.validator == "pattern":
        yield f"{where}: expected text that matches {limit}, found {found!r}"
    elif error.validator in ("minItems", "minProperties"):
        yield f"{where}: expected at least {limit} {'entry' if limit == 1 else 'entries'}, found {len(found)}"
    elif error.validator == "uniqueItems":
        yield f"{where}: expected no entry twice, found {found!r}"
    else:
        yield f"{where}: {error.message}"


_BOUNDS = {
    "minimum": "of at least",
    "maximum": "of at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}


def _where(path: Any) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top level)"


def _join(where: str, key: Any) -> str:
    return str(key) if where == "(top level)" else f"{where}.{key}"


def _cross_check(config: Mapping[str, Any]) -> Iterator[str]:
    """What a schema cannot say: that names exist and numbers fit together. Wrong types are skipped here,
    the schema has named them."""
    yield from _check_names(config)
    yield from _check_numbers(config)
    yield from _check_ascending(config)
    yield from _check_interpolated(config)
    yield from network_mistakes(config)
    yield from tilting_mistakes(config)


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
        of_networks = () if table.get("table") in ATLAS else ("dataset", "rows")
        for key in (*of_networks, needed):
            if table and key and key not in table:
                yield f"tables.{name}.{key}: required key is missing"
    for where, entry in places:
        listed, valid = _mapping(entry).get("attacks"), config.get("attacks")
        for i, attack in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(valid, Mapping) and isinstance(attack, str) and attack not in valid:
                yield f"{where}.attacks[{i}]: there is no attack '{attack}' in attacks{_nearest(attack, valid)}"
    artefacts = config.get("artefacts")
    for i, name in enumerate(artefacts if isinstance(artefacts, list) else []):
        known = [*catalogue, *tables]
        if isinstance(name, str) and name not in known:
            yield f"artefacts[{i}]: there is no '{name}' in figures.catalogue or tables{_nearest(name, known)}"


def _check_path_kernel(config: Mapping[str, Any], catalogue: Mapping[str, Any]) -> Iterator[str]:
    section = _mapping(config.get("path_kernel"))
    networks, datasets = _mapping(section.get("networks")), config.get("datasets")
    for name, network in networks.items():
        dataset = _mapping(network).get("dataset")
        if isinstance(datasets, Mapping) and isinstance(dataset, str) and dataset not in datasets:
            where = f"path_kernel.networks.{name}.dataset"
            yield f"{where}: there is no dataset '{dataset}' in datasets{_nearest(dataset, datasets)}"
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
        if dataset.get("source") != "mnist5k" or not (isinstance(train, int) and isinstance(test, int)):
            continue
        if train + test > MNIST5K_IMAGES:
            yield (
                f"datasets.{name}.train: expected train and test to add up to at most {MNIST5K_IMAGES} "
                f"images of mnist5k, found {train} + {test}"
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


def reference(schema: Mapping[str, Any] | None = None) -> str:
    """The configuration reference in Markdown, generated from the schema."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8")) if schema is None else schema
    lines = ["# Configuration reference", "", "Generated from `schemas/config.schema.yaml` by `make docs`.", ""]
    lines += [re.sub(r"\s+", " ", str(schema["description"])).strip(), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += list(_rows(schema, ""))
    return "\n".join(lines) + "\n"


def _rows(schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, sub in schema.get("properties", {}).items():
        path = f"{prefix}{key}"
        yield f"| `{path}` | {_type_text(sub)} | {_default_text(sub)} | {_meaning(sub)} |"
        yield from _rows(sub, f"{path}.")
        if isinstance(entry := sub.get("additionalProperties"), Mapping):
            yield from _rows(entry, f"{path}.NAME.")
        if isinstance(items := sub.get("items"), Mapping):
            yield from _rows(items, f"{path}[].")


def _type_text(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "any")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    holder = schema.get("items", schema) if kind == "array" else schema
    if "enum" in holder:
        text += ": " + ", ".join(f"`{value}`" for value in holder["enum"])
    bounds = [f"{_BOUNDS[name]} {holder[name]}" for name in _BOUNDS if name in holder]
    return f"{text} ({', '.join(bounds)})" if bounds else text


def _default_text(schema: Mapping[str, Any]) -> str:
    if "default" not in schema or schema["default"] == {}:
        return ""
    return f"`{yaml.safe_dump(schema['default'], default_flow_style=True).strip().removesuffix('...').strip()}`"


def _meaning(schema: Mapping[str, Any]) -> str:
    return re.sub(r"\s+", " ", str(schema.get("description", ""))).strip().replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
