"""Regular expressions for wildcards."""

import re
from collections.abc import Iterable

# Matches nothing.
NOTHING = "(?!)"


def one_of(names: Iterable[str]) -> str:
    """Regular expression that matches these names as a whole and no other; nothing where there are none.

    What names share at their beginnings, and what follows several letters alike, is written once: Snakemake reads the
    expression for each file of each job, so that thousands of names side by side would cost the square of their number.
    """
    names = set(names)
    return _any(names) if names else NOTHING


def _any(names: set[str]) -> str:
    """Pattern of one or more names."""
    prefix = _shared(min(names), max(names))
    tails: dict[str, set[str]] = {}
    for name in names:
        rest = name[len(prefix) :]
        tails.setdefault(rest[:1], set()).add(rest[1:])
    ends = tails.pop("", None) is not None
    # Letters that the same may follow stand in one class.
    letters: dict[str, list[str]] = {}
    for letter in sorted(tails):
        letters.setdefault(_any(tails[letter]), []).append(re.escape(letter))
    choices = [(found[0] if len(found) == 1 else f"[{''.join(found)}]") + rest for rest, found in letters.items()]
    if not choices:
        return re.escape(prefix)
    inner = choices[0] if len(choices) == 1 and not ends else f"(?:{'|'.join(choices)}){'?' if ends else ''}"
    return re.escape(prefix) + inner


def _shared(one: str, other: str) -> str:
    """What both begin with."""
    length = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:length]
