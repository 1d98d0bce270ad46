"""Reading what several stages need: images, labels and network weights out of result files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.store import StoreError, reading

IMAGE_DIMS = ("image", "channel", "row", "column")


@dataclass(frozen=True)
class Split:
    """Images [N, channels, rows, columns], labels [N], a random order of them [N], and the class names."""

    images: np.ndarray
    labels: np.ndarray
    order: np.ndarray
    classes: list[str]


@dataclass(frozen=True)
class StoredNetwork:
    """What rebuilds a network: keyword arguments of its architecture, and its arrays by name."""

    settings: dict[str, Any]
    weights: dict[str, np.ndarray]


def read_split(path: str | Path, split: str) -> Split:
    """The "train" or "test" split of a dataset.

    Raises:
        StoreError: an array is missing or damaged, or labels are outside the classes.
    """
    with reading(path) as file:
        images = file.read(f"x_{split}", IMAGE_DIMS)
        labels = file.read(f"y_{split}", ("image",))
        order = file.read(f"order_{split}", ("image",))
        classes = [str(name) for name in file.read("classes", ("class",))]
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise StoreError(
            f"{path}: labels y_{split} must lie in 0..{len(classes) - 1}, found {labels.min()} to {labels.max()}"
        )
    return Split(images, labels, order, classes)


def read_network(path: str | Path) -> StoredNetwork:
    """A trained network.

    Raises:
        StoreError: weights are missing or damaged.
    """
    with reading(path) as file:
        return StoredNetwork(json.loads(file.attribute("network")), file.read_group("weights"))
