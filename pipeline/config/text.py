"""Whether a file of configuration is plain data, looked at before Snakemake reads it.

Snakemake runs expressions in files that ask for it (`__use_yte__`), takes the last of two equal keys, and answers what
its YAML library cannot build with a traceback. None of that is left when `text_mistakes` finds nothing. The scanner is
the one that Snakemake uses, so that both see the same text.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.values import MOST_DEPTH, MOST_LETTERS, MOST_VALUES, foreign_values

MOST_BYTES = 1 << 22
RUNS_CODE = "__use_yte__"
NO_KEYS = "expected keys at the top level, found none"
TAGS = ("!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")))


class _NoPlainDataError(Exception):
    """What a file holds that ends the search for further mistakes."""


@dataclass
class _Collection:
    """A mapping or list that is being read: its anchor, values so far, aliases followed, and keys of a mapping."""

    anchor: str | None
    keys: set[str] | None
    values: int = 1
    children: int = field(default=0)


def text_mistakes(path: Path) -> list[str]:
    """A sentence for each thing that keeps a file from being a configuration."""
    if not path.exists() or path.is_dir():
        return [f"{path}: expected a file, found {'a folder' if path.is_dir() else 'none'}"]
    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            return [f"{path}: expected at most {MOST_BYTES:,} bytes, found more"]
        text = raw.decode("utf-8")
        return [f"{path}: {mistake}" for mistake in dict.fromkeys(_mistakes(text))]
    except UnicodeDecodeError as error:
        return [f"{path}: expected UTF-8, found byte 0x{raw[error.start]:02x} at position {error.start}"]
    except OSError as error:
        return [f"{path}: cannot be read ({error.strerror})"]


def _mistakes(text: str) -> Iterator[str]:
    try:
        # As Snakemake does: whatever is JSON is read as that.
        found = json.loads(text, object_pairs_hook=_once)
        if isinstance(found, dict):
            yield from foreign_values(found)
        else:
            yield NO_KEYS
        return
    except _NoPlainDataError as error:
        yield str(error)
        return
    except RecursionError:
        yield f"expected at most {MOST_DEPTH} levels, found more"
        return
    except ValueError:
        pass
    plain = True
    try:
        for mistake in _yaml_mistakes(text):
            plain = False
            yield mistake
        if plain and not isinstance(yaml.safe_load(text), dict):
            yield NO_KEYS
    except _NoPlainDataError as error:
        yield str(error)
    except yaml.YAMLError as error:
        yield f"not valid YAML ({_place_and_problem(error)})"
    # Dates that do not exist, numbers of thousands of digits, and what else cannot be built.
    except Exception as error:
        yield f"a value cannot be read ({' '.join(str(error).split())[:150] or type(error).__name__})"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _NoPlainDataError(f"key {twice[:MOST_LETTERS]!r} stands twice in one mapping")
    return found


def _yaml_mistakes(text: str) -> Iterator[str]:
    open_collections: list[_Collection] = []
    # Values below each anchor, aliases followed; None while it is being read.
    sizes: dict[str, int | None] = {}
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            done = open_collections.pop()
            if done.anchor is not None:
                sizes[done.anchor] = done.values
            if open_collections:
                open_collections[-1].values += done.values
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        line = f"line {event.start_mark.line + 1 if event.start_mark else '?'}"
        parent = open_collections[-1] if open_collections else None
        is_key = parent is not None and parent.keys is not None and parent.children % 2 == 0
        if parent is not None:
            parent.children += 1
        if (tag := getattr(event, "tag", None)) is not None and tag not in TAGS:
            yield f"{line}: expected plain values, found the tag {tag}"
        if isinstance(event, yaml.ScalarEvent):
            yield from _scalar_mistakes(event.value, line)
            if is_key and parent is not None and parent.keys is not None:
                if event.value in parent.keys:
                    yield f"{line}: key '{event.value}' stands twice in one mapping"
                parent.keys.add(event.value)
            if event.anchor is not None:
                sizes[event.anchor] = 1
            if parent is not None:
                parent.values += 1
        elif isinstance(event, yaml.AliasEvent):
            if (size := sizes.get(str(event.anchor), 1)) is None:
                raise _NoPlainDataError(f"{line}: '*{event.anchor}' stands within what it names")
            if parent is not None:
                parent.values += size
        else:
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            open_collections.append(_Collection(event.anchor, set() if is_mapping else None))
            if event.anchor is not None:
                sizes[event.anchor] = None
            if len(open_collections) > MOST_DEPTH:
                raise _NoPlainDataError(f"{line}: expected at most {MOST_DEPTH} levels, found more")
        if sum(one.values for one in open_collections) > MOST_VALUES:
            raise _NoPlainDataError(f"{line}: expected at most {MOST_VALUES:,} values, aliases followed, found more")


def _scalar_mistakes(value: str, line: str) -> Iterator[str]:
    if value == RUNS_CODE:
        yield f"{line}: {RUNS_CODE} would run code, which a configuration must not"
    if len(value) > MOST_LETTERS:
        raise _NoPlainDataError(f"{line}: expected a value of at most {MOST_LETTERS:,} letters, found {len(value):,}")


def _place_and_problem(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f"line {mark.line + 1}: " if mark else ""
    return place + " ".join(str(problem or error).split())[:200]
