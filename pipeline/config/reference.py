"""The configuration reference, written from the schema: `python -m pipeline.config.reference`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from pipeline.config.schema import BOUNDS, SCHEMA
from pipeline.yaml_files import read_yaml


def reference(schema: Mapping[str, Any] | None = None) -> str:
    """The configuration reference in Markdown, generated from the schema."""
    schema = read_yaml(SCHEMA) if schema is None else schema
    lines = ["# Configuration reference", "", "Generated from `schemas/config.schema.yaml` by `make reference`.", ""]
    lines += [re.sub(r"\s+", " ", str(schema["description"])).strip()]
    sections = {key: list(_rows({"properties": {key: sub}}, "")) for key, sub in schema.get("properties", {}).items()}
    lines += _table("Single settings", [row for rows in sections.values() if len(rows) == 1 for row in rows])
    for key, rows in sections.items():
        lines += _table(key, rows) if len(rows) > 1 else []
    return "\n".join(lines) + "\n"


def _table(title: str, rows: list[str]) -> list[str]:
    return ["", f"## {title}", "", "| key | type | default | meaning |", "|---|---|---|---|", *rows]


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
    bounds = [f"{BOUNDS[name]} {holder[name]}" for name in BOUNDS if name in holder]
    return f"{text} ({', '.join(bounds)})" if bounds else text


def _default_text(schema: Mapping[str, Any]) -> str:
    if "default" not in schema or schema["default"] == {}:
        return ""
    return f"`{yaml.safe_dump(schema['default'], default_flow_style=True).strip().removesuffix('...').strip()}`"


def _meaning(schema: Mapping[str, Any]) -> str:
    return re.sub(r"\s+", " ", str(schema.get("description", ""))).strip().replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
