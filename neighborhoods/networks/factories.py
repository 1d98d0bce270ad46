"""Somebody's own functions by name: `package.module:function`."""

import importlib
from collections.abc import Callable
from typing import Any


def load(name: str) -> Callable[..., Any]:
    """The function that `package.module:function` names.

    Raises:
        ValueError: the module cannot be imported or has no such function; the sentence says which.
    """
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # A module of one's own may fail in any way while it is imported.
        raise ValueError(
            f"'{name}': module {module_name} cannot be imported ({type(error).__name__}: {error})"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ValueError(f"'{name}': module {module_name} has no function {function_name}")
    return function
