"""Damage to bytes, to texts of YAML and to configurations: as accidents make it, and as somebody would who means harm."""

import copy
import datetime
import os
from collections.abc import Callable
from typing import Any

import numpy as np

Generator = np.random.Generator

# Sizes, counts and addresses of binary formats at their limits.
INTEGERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]


def damaged(content: bytes, generator: Generator, others: list[bytes]) -> bytes:
    """Bytes after one to four of: flips, other values, cuts, insertions, copies, limits of integers, parts of others."""
    data = bytearray(content)
    for _ in range(generator.integers(1, 5)):
        if not data:
            return bytes(data)
        # Half of the damage goes to the first kilobytes, where formats say what follows.
        most = min(len(data), 4096) if generator.random() < 0.5 else len(data)
        at = int(generator.integers(most))
        length = int(min(len(data) - at, 1 << generator.integers(0, 12)))
        match generator.integers(9):
            case 0:
                data[at] ^= 1 << int(generator.integers(8))
            case 1:
                data[at] = int(generator.integers(256))
            case 2:
                del data[at:]
            case 3:
                del data[at : at + length]
            case 4:
                data[at:at] = generator.bytes(length)
            case 5:
                data[at : at + length] = bytes(length)
            case 6:
                width = int(generator.choice([1, 2, 4, 8]))
                value = int(INTEGERS[generator.integers(len(INTEGERS))]) % (1 << 8 * width)
                data[at : at + width] = value.to_bytes(width, "little" if generator.random() < 0.8 else "big")
            case 7:
                to = int(generator.integers(len(data)))
                data[to : to + length] = data[at : at + length]
            case _:
                other = others[generator.integers(len(others))]
                data[at : at + length] = other[at : at + length]
    return bytes(data)


SNIPPETS = [
    "&a ", "*a", "&a [*a]", "<<: *a\n", "!!python/name:os.system", "!!python/object/apply:os.system [ls]", "!!binary aGk=",
    "!!set {a, b}", "!!float 1", "!x ", "? ", "? [a]\n: b\n", "- ", "[", "]", "{", "}", "[[[[[[[[", "{{{{{{{{", ": ", ",", "#", "'",
    '"', "|\n  x\n", ">-\n  x\n", "---\n", "...\n", "%YAML 1.1\n", "\t", "\n", " ", "  ", "\r", "\0", "\x07", "\ufeff", "\u2028", "\ud83d\ude00",
    ".inf", "-.inf", ".nan", "1e999", "-0.0", "0x" + "f" * 300, "9" * 400, "1:59:59", "2001-02-30", "2001-01-01 01:01:01", "0o17",
    "017", "1_0", "~", "null", "yes", "off", "=", "__use_yte__: true\n", "?1+1", "${HOME}", "{dataset}", "$(ls)", "`ls`", "../..",
    "\\x41", '"\\ud800"', "seed: 1\n", "models: {}\n", "datasets:\n", "x" * 11_000, "[" * 60 + "]" * 60,
]  # fmt: skip


def damaged_text(text: str, generator: Generator, others: list[str]) -> bytes:
    """A text of YAML after one to four changes of letters, lines, indentation, or snippets of YAML's rarer syntax."""
    if generator.random() < 0.1:
        return damaged(text.encode(), generator, [other.encode() for other in others])
    for _ in range(generator.integers(1, 5)):
        lines = text.split("\n")
        row = int(generator.integers(len(lines)))
        snippet = SNIPPETS[generator.integers(len(SNIPPETS))]
        column = int(generator.integers(len(lines[row]) + 1))
        match generator.integers(8):
            case 0:
                lines[row] = lines[row][:column] + snippet + lines[row][column:]
            case 1:
                key, colon, _ = lines[row].partition(": ")
                lines[row] = f"{key}{colon}{snippet}"
            case 2:
                lines[row : row + 1] = [lines[row], lines[row]]
            case 3:
                lines[row] = " " * int(generator.integers(6)) + lines[row].lstrip()
            case 4:
                del lines[row : row + int(generator.integers(1, 6))]
            case 5:
                other = others[generator.integers(len(others))].split("\n")
                start = int(generator.integers(len(other)))
                lines[row:row] = other[start : start + int(generator.integers(1, 12))]
            case 6:
                lines[row] = lines[row][:column] + chr(int(generator.integers(1, 0xD7FF))) + lines[row][column + 1 :]
            case _:
                lines = lines[: row + 1]
        text = "\n".join(lines)
    return text.encode("utf-8", "surrogatepass")


def _endless() -> list:
    value: list = []
    value.append(value)
    return value


def _bomb() -> list:
    value: list = ["x"] * 9
    for _ in range(9):
        value = [value] * 9
    return value


def _deep(levels: int) -> Any:
    value: Any = 0
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


VALUES: list[Callable[[], Any]] = [
    *(
        lambda value=value: value
        for value in (
            None, True, False, 0, 1, -1, 2, 3, 7, 10, 255, 256, 1000, 10**6, 2**31, 2**63 - 1, 2**63, -(2**63), 10**5000,
            0.0, -0.0, 1.0, 0.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf"), 2.0**70,
            "", " ", "0", "1", "-1", "1e-7", "1e999", "nan", "inf", "0x10", "1_000", "１２", "9" * 5000, "true", "null", "None",
            "a", "ü", "\u202e", "\ud800", "\0", "a\nb", "x" * 101, "x" * 10_001, "../../etc/passwd", "/etc/passwd", "a/b",
            "{dataset}", "{0.__class__}", "{__import__('os')}", "%s%n", "$(id)", "`id`", "; id", "$HOME", "~", "__class__",
            "os:system", "builtins:eval", "a.b:c\n", "torchattacks.PGD", "torchattacks.", "cuda:99999999999", "0v0", "1v2", "01v2",
            "99999999999999999999v1", "published", "$x^", "\\frac{", "<script>", b"bytes", (1, 2), {1, 2}, 1j, os.system,
            datetime.date(2001, 1, 1), datetime.datetime(2001, 1, 1, 1), range(3), object,
        )
    ),
    list, dict, _endless, _bomb, lambda: _deep(40), lambda: _deep(60), lambda: _deep(5000), lambda: [None], lambda: [[]],
    lambda: [1, "1", 1], lambda: ["a", "a"], lambda: [0.1, 0.1], lambda: {"a": 1}, lambda: {1: 2}, lambda: {None: None},
    lambda: {True: 1}, lambda: {"": {}}, lambda: {"a\n": {}}, lambda: {"a/b": {}}, lambda: {"x" * 300: {}}, lambda: {(1, 2): 3},
    lambda: list(range(2000)), lambda: [*range(1000), *map(str, range(1000))], lambda: [{}] * 50, lambda: {str(i): {} for i in range(200)},
]  # fmt: skip


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Paths of everything below a value."""
    found: list[tuple] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found.append((*path, key))
        found += places(item, (*path, key))
    return found


def damaged_config(config: dict[str, Any], generator: Generator, paths: list[tuple]) -> dict[str, Any]:
    """A configuration after some of: other values, missing, unknown and misspelt keys, parts in other places.

    One change in half of all cases, and small ones in a third, since much is refused for the first mistake.
    """
    config = copy.deepcopy(config)
    mild = generator.random() < 0.35
    for _ in range(generator.geometric(0.5)):
        path = paths[generator.integers(len(paths))]
        # By levels, so that sections are hit as often as what lies deep within them.
        path = path[: int(generator.integers(1, len(path) + 1))]
        parent = _at(config, path[:-1])
        if not isinstance(parent, (dict, list)) or _at(parent, path[-1:]) is MISSING:
            continue
        key = path[-1]
        if mild:
            parent[key] = _nearly(parent[key], config, path, generator)
            continue
        match generator.integers(8):
            case 0 | 1 | 2:
                parent[key] = VALUES[generator.integers(len(VALUES))]()
            case 3:
                del parent[key]
            case 4:
                other = _at(config, paths[generator.integers(len(paths))])
                parent[key] = copy.deepcopy(other) if other is not MISSING else None
            case 5 if isinstance(parent, dict):
                text = str(key)
                at = int(generator.integers(len(text) + 1))
                parent[text[:at] + "aZ_-/.é \n"[generator.integers(9)] + text[at:]] = parent.pop(key)
            case 6 if isinstance(parent[key], str):
                # Names that exist elsewhere, so that references are crossed.
                names = [one[-1] for one in paths if isinstance(one[-1], str)]
                parent[key] = names[generator.integers(len(names))]
            case 6 if isinstance(parent[key], (int, float)) and not isinstance(parent[key], bool):
                parent[key] = parent[key] * generator.choice([-1, 0, 2, 1000, 10**9]).item()
            case _ if isinstance(parent[key], list):
                parent[key] = parent[key] * int(generator.integers(0, 4))
            case _ if isinstance(parent[key], dict):
                parent[key][VALUES[0]() if generator.random() < 0.1 else "unknown"] = VALUES[
                    generator.integers(len(VALUES))
                ]()
    return config


def _nearly(value: Any, config: dict[str, Any], path: tuple, generator: Generator) -> Any:
    """A value of the same kind: a near number, another truth value, a name from the same place elsewhere, fewer entries."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return max(0, value + int(generator.integers(-2, 3)))
    if isinstance(value, float):
        return value * float(generator.choice([0.5, 0.9, 1.1, 2.0]))
    if isinstance(value, str):
        same = [_at(config, one) for one in places(config) if one[-1] == path[-1]]
        names = [one for one in same if isinstance(one, str)]
        return names[generator.integers(len(names))] if names else value
    if isinstance(value, list):
        return [item for item in value if generator.random() < 0.7]
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if generator.random() < 0.9}
    return value


MISSING = object()


def _at(value: Any, path: tuple) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return value
