"""Pairs of networks trained in two ways: adversarial with adversarial, standard with standard, and one of each."""

from collections.abc import Callable, Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Network = tuple[str, int]

# Kinds of pairs, by the kinds of training of their networks.
KINDS = {
    "adversarial": ("adversarial", "adversarial"),
    "standard": ("standard", "standard"),
    "mixed": ("adversarial", "standard"),
}


def network_pairs(seeds: Mapping[str, int]) -> dict[str, list[tuple[Network, Network]]]:
    """All pairs of each of `KINDS` as ((kind, number), (kind, number)), of so many seeds of each kind of training.

    Raises:
        ValueError: fewer than two seeds of a kind.
    """
    if min(seeds[kind] for kind in ("adversarial", "standard")) < 2:
        raise ValueError(f"pairs of networks need at least two seeds of each kind, found {dict(seeds)}")
    found = {}
    for name, (one, two) in KINDS.items():
        first, second = range(seeds[one]), range(seeds[two])
        places = combinations(first, 2) if one == two else product(first, second)
        found[name] = [((one, i), (two, j)) for i, j in places]
    return found


def compared(
    networks: Mapping[str, NDArray[Any]],
    compare: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
) -> dict[str, NDArray[Any]]:
    """What a comparison gives for each pair of networks: [pair, ...] by kind of pair.

    Args:
        networks: by kind of training, what is compared [seed, ...]. compare: gives [...] for two networks.

    Raises:
        ValueError: as for `network_pairs`.
    """
    found = network_pairs({kind: len(values) for kind, values in networks.items()})
    return {
        name: np.stack([compare(networks[one][i], networks[two][j]) for (one, i), (two, j) in members])
        for name, members in found.items()
    }
