"""What sentences about a configuration are made with."""

import difflib
from collections.abc import Mapping
from typing import Any


def nearest(found: Any, valid: Any) -> str:
    """The end of a sentence about a name that is not valid: the one that was probably meant, else all."""
    matches = difflib.get_close_matches(str(found), [str(name) for name in valid], n=1, cutoff=0.5)
    return f"; the nearest valid one is '{matches[0]}'" if matches else f"; valid are {', '.join(map(str, valid))}"


def mapping(value: Any) -> Mapping[str, Any]:
    """The value, or an empty mapping where it is none: the schema names wrong types."""
    return value if isinstance(value, Mapping) else {}
