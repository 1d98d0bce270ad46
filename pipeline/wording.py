"""What sentences about a configuration are made with, and names that it may use."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import UserError

# Names in a sentence at most: ImageNet has 1000 classes.
LISTED = 40
# Letters of a name that is compared with others, and of a value in a sentence.
COMPARED = 100
SHOWN = 200


def nearest(found: Any, valid: Any) -> str:
    """The end of a sentence about a name that is not valid: the one that was probably meant, else all."""
    names = [str(name) for name in valid]
    wanted = shown(found) if not isinstance(found, str) else found
    matches = difflib.get_close_matches(wanted, names, n=5, cutoff=0.5) if len(wanted) <= COMPARED else []
    listed = ", ".join(names[:LISTED] + ["..."] * (len(names) > LISTED))
    # Of equally near ones the first in the alphabet: figure_08 for figure_8, not figure_18.
    best = min(matches, key=lambda name: (-difflib.SequenceMatcher(None, name, wanted).ratio(), name), default="")
    return f"; the nearest valid one is '{best}'" if matches else f"; valid are {listed}"


def shown(value: Any) -> str:
    """A value in a sentence, cut where it is long."""
    # Python writes integers of up to 4300 digits.
    huge = isinstance(value, int) and value.bit_length() > 4096
    text = f"an integer of {value.bit_length()} bits" if huge else repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def class_numbers(wanted: Sequence[int | str], classes: Sequence[str]) -> list[int]:
    """Numbers of classes that are given by number or name.

    Raises:
        UserError: there is no such class.
    """
    numbers = {name: i for i, name in enumerate(classes)} | {i: i for i in range(len(classes))}
    for name in wanted:
        if name not in numbers:
            raise UserError(f"there is no class {name!r} among {len(classes)} classes{nearest(name, classes)}")
    return [numbers[name] for name in wanted]


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, or an empty mapping where it is none: the schema names wrong types."""
    return value if isinstance(value, Mapping) else {}
