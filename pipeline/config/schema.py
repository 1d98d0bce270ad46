"""The configuration: text to types, defaults filled in, every mistake found at once.

`resolve` is the only way from what Snakemake read to what rules use. Values arrive as text from
`--config` and from YAML's `1e-7`, so they are converted by the schema's type first; integers become
floats where the schema says number, since 1 and 1.0 would count as a change.
"""

import copy
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from pipeline.config.attack_settings import attack_mistakes, without_foreign_settings
from pipeline.config.cross_checks import cross_check
from pipeline.config.default_figures import default_entries
from pipeline.config.values import foreign_values
from pipeline.errors import UserError
from pipeline.wording import mapping as _mapping
from pipeline.wording import nearest as _nearest
from pipeline.wording import shown
from pipeline.yaml_files import read_yaml

SCHEMA = Path(__file__).resolve().parents[2] / "schemas" / "config.schema.yaml"


class ConfigError(UserError):
    """One or more mistakes in the configuration; `lines` holds a sentence for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def _is_number(checker: Any, value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _unique(validator: Any, wanted: bool, found: Any, schema: Any) -> Iterator[ValidationError]:
    # jsonschema compares every pair of a list of several types.
    if wanted and isinstance(found, list):
        texts = {json.dumps(item, sort_keys=True) for item in found}
        if len(texts) < len(found):
            yield ValidationError("an entry stands twice")


# Unlike JSON, YAML has numbers that are not finite, and no setting may be one.
Validator = validators.extend(
    Draft202012Validator,
    {"uniqueItems": _unique},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"number": _is_number, "integer": _is_integer}),
)


def load_schema(path: Path = SCHEMA) -> dict[str, Any]:
    """The schema as plain data; what a dataset may set anew has the types and bounds of its section."""
    schema = read_yaml(path)
    sections = schema["properties"]
    dataset = sections["datasets"]["additionalProperties"]["properties"]
    for name, settings in dataset["settings"]["properties"].items():
        known = {key: _without_default(sub) for key, sub in sections[name]["properties"].items()}
        settings.update(additionalProperties=False, properties=known)
    return schema


def _without_default(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "default"}


def resolve(config: Mapping[str, Any], schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A complete configuration with the schema's types and every default written out; artefacts in one list.

    Args:
        config: what Snakemake read and merged; it is not changed.
        schema: JSON schema; the project's own when left out.

    Raises:
        ConfigError: with one line for each mistake.
    """
    # First, since nothing below ends where a value holds itself.
    if foreign := foreign_values(config):
        raise ConfigError([f"configuration: {line}" for line in foreign])
    schema = load_schema() if schema is None else schema
    resolved = _complete(_with_default_figures(copy.deepcopy(dict(config))), schema)
    attacks = resolved.get("attacks")
    if isinstance(attacks, Mapping):
        resolved["attacks"] = {name: without_foreign_settings(entry) for name, entry in attacks.items()}
    errors = sorted(Validator(schema).iter_errors(resolved), key=lambda error: list(map(str, error.path)))
    lines = [line for error in errors for line in _lines(error)]
    lines += list(cross_check(resolved))
    # What somebody wrote, since defaults are filled in for every method.
    lines += list(attack_mistakes(_mapping(config.get("attacks")), _mapping(attacks)))
    if lines:
        raise ConfigError(list(dict.fromkeys(f"configuration: {line}" for line in lines)))
    resolved["artefacts"] = list(dict.fromkeys([*resolved["artefacts"], *resolved.pop("further_artefacts")]))
    return resolved


def _with_default_figures(config: dict[str, Any]) -> dict[str, Any]:
    if entries := default_entries(config):
        figures = _mapping(config.get("figures"))
        config["figures"] = {**figures, "catalogue": {**_mapping(figures.get("catalogue")), **entries}}
    return config


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
    if isinstance(kind, list):
        others = [name for name in kind if name != "null"]
        if "null" in kind and isinstance(value, str) and value.lower() in ("null", "none", ""):
            return None
        # Text beside other kinds is text only if it is no number; numbers beside others stay as they are.
        return (
            _converted(value, others[0]) if "null" in kind and (isinstance(value, str) or len(others) == 1) else value
        )
    if isinstance(value, bool):
        return value
    if kind == "number" and isinstance(value, (int, str)):
        return _finite(value)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "integer" and isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return value
    if isinstance(value, str) and kind == "boolean" and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _finite(value: int | str) -> Any:
    """A number for what is or spells one, else the value as it is."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return value
    return number if math.isfinite(number) else value


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
        meant = _nearest(found, limit)
        # Else all valid ones would be listed twice.
        meant = meant if "nearest" in meant else ""
        yield f"{where}: expected one of {', '.join(map(str, limit))}, found {shown(found)}{meant}"
    elif error.validator == "type":
        names = " or ".join(limit) if isinstance(limit, list) else limit
        yield f"{where}: expected {names}, found {shown(found)}"
    elif error.validator in BOUNDS:
        yield f"{where}: expected a value {BOUNDS[error.validator]} {limit}, found {shown(found)}"
    elif "propertyNames" in error.absolute_schema_path:
        yield f"{where}: {shown(found)} cannot name a result file, expected a name that matches {limit}"
    elif error.validator == "pattern":
        yield f"{where}: expected text that matches {limit}, found {shown(found)}"
    elif error.validator in ("minItems", "minProperties"):
        yield f"{where}: expected at least {limit} {'entry' if limit == 1 else 'entries'}, found {len(found)}"
    elif error.validator == "uniqueItems":
        yield f"{where}: expected no entry twice, found {shown(found)}"
    else:
        yield f"{where}: {error.message[:300]}"


BOUNDS = {
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
