"""Whether what Snakemake read of a configuration is plain data of a size that can be looked at."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.wording import shown

MOST_VALUES = 500_000
MOST_DEPTH = 50
MOST_LETTERS = 10_000
MOST_MISTAKES = 20
BIGGEST = 1 << 63

# Also halves of surrogate pairs, which JSON can hold and no file can.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def foreign_values(config: Mapping[str, Any]) -> list[str]:
    """A sentence for each value that is no text, number, truth value, null, list or mapping, for each key that is no
    text, and for text or numbers that no setting can be; the first ones where there are many."""
    mistakes: list[str] = []
    for mistake in _foreign(config):
        mistakes.append(mistake)
        if len(mistakes) == MOST_MISTAKES:
            break
    return mistakes


def _foreign(config: Mapping[str, Any]) -> Iterator[str]:
    todo: list[tuple[str, Any, int]] = [("", config, 0)]
    seen = 0
    while todo:
        where, value, depth = todo.pop()
        seen += 1
        if seen > MOST_VALUES:
            yield f"(top level): expected at most {MOST_VALUES:,} values, found more"
            return
        if depth > MOST_DEPTH:
            yield f"{where[:100]}...: expected at most {MOST_DEPTH} levels, found more"
            return
        if isinstance(value, Mapping):
            for key, item in value.items():
                if isinstance(key, str) and not (problem := _wrong_text(key)):
                    todo.append((f"{where}.{key}" if where else key, item, depth + 1))
                elif isinstance(key, str):
                    yield f"{where or '(top level)'}: expected keys {problem}, found {shown(key)}"
                else:
                    yield f"{where or '(top level)'}: expected text as key, found {shown(key)}; put it into quotes"
        elif isinstance(value, list):
            todo += [(f"{where}[{i}]", item, depth + 1) for i, item in reversed(list(enumerate(value)))]
        elif problem := _wrong(value):
            yield f"{where}: expected {problem}, found {shown(value)}"


def _wrong(value: Any) -> str:
    if isinstance(value, str):
        problem = _wrong_text(value)
        return problem and f"text {problem}"
    if isinstance(value, int):
        return "" if -BIGGEST <= value < BIGGEST else "an integer of 64 bits"
    if value is None or isinstance(value, float):
        return ""
    return "text, a number, true, false, null, a list or a mapping"


def _wrong_text(text: str) -> str:
    if len(text) > MOST_LETTERS:
        return f"of at most {MOST_LETTERS:,} letters"
    return "in one line without control characters" if CONTROL.search(text) else ""
