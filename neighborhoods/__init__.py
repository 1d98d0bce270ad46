"""Measurements on the geometry of adversarial examples, for any network, data and attack.

Names are imported when they are first used: importing the package alone must not cost torch's import.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "persistence": "persistence",
    "persistence_of_gammas": "persistence",
    "stability": "persistence",
    "stability_curve": "persistence",
    "Persistence": "persistence",
    "Stability": "persistence",
    "igsm": "attacks",
    "verify": "attacks",
    "fully_connected": "networks",
    "bell_cnn": "networks",
    "train": "training",
    "lbfgs": "lbfgs",
    "clopper_pearson": "statistics",
    "summarize": "statistics",
}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'neighborhoods' has no attribute {name!r}")
    return getattr(import_module(f"neighborhoods.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
