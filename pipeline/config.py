"""The configuration: text to types, defaults filled in, every mistake found at once.

`resolve` is the only way from what Snakemake read to what rules use. Values arrive as text from
`--config` and from YAML's `1e-7`, so they are converted by the schema's type first; integers become
floats where the schema says number, since 1 and 1.0 would count as a change.
"""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pipeline.attack_settings import attack_mistakes, without_foreign_settings
from pipeline.cross_checks import cross_check
from pipeline.errors import UserError
from pipeline.wording import mapping as _mapping
from pipeline.wording import nearest as _nearest
from pipeline.yaml_files import read_yaml

SCHEMA = Path(__file__).resolve().parent.parent / "schemas" / "config.schema.yaml"


class ConfigError(UserError):
    """One or more mistakes in the configuration; `lines` holds a sentence for each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


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
    schema = load_schema() if schema is None else schema
    resolved = _complete(copy.deepcopy(dict(config)), schema)
    attacks = resolved.get("attacks")
    if isinstance(attacks, Mapping):
        resolved["attacks"] = {name: without_foreign_settings(entry) for name, entry in attacks.items()}
    errors = sorted(Draft202012Validator(schema).iter_errors(resolved), key=lambda error: list(map(str, error.path)))
    lines = [line for error in errors for line in _lines(error)]
    lines += list(cross_check(resolved))
    # What somebody wrote, since defaults are filled in for every method.
    lines += list(attack_mistakes(_mapping(config.get("attacks")), _mapping(attacks)))
    if lines:
        raise ConfigError(list(dict.fromkeys(f"configuration: {line}" for line in lines)))
    resolved["artefacts"] = list(dict.fromkeys([*resolved["artefacts"], *resolved.pop("further_artefacts")]))
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
    elif error.validator in BOUNDS:
        yield f"{where}: expected a value {BOUNDS[error.validator]} {limit}, found {found!r}"
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
