"""What figures of manifolds share: how networks look, and bars of estimates over layers."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np

from pipeline.figures.logits import TRAINING
from pipeline.results.manifolds import Layers

TEACHERS = {"standard": (TRAINING["standard"], "s"), "adversarial": (TRAINING["adversarial"], "o")}

# Of other networks, by turns.
OTHERS = (("C3", "^"), ("C4", "v"), ("C5", "D"), ("C6", "P"), ("C2", "X"))

# Beyond every axis: where intervals without an end are drawn to.
FAR = 1e6


def looks_of(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each network: teachers have those of their training."""
    others = cycle(OTHERS)
    return {name: TEACHERS[name] if name in TEACHERS else next(others) for name in names}


def bars_of(layers: Layers) -> np.ndarray:
    """Lengths of error bars, below and above [2, layer]; nan without an estimate."""
    return np.stack([layers.value - layers.low, np.minimum(layers.high, FAR) - layers.value])
