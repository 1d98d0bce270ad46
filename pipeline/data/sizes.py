"""How large a dataset's images are and how many, from its settings."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.data.photos import photos_below

# Shape of an image and images of both splits, of public datasets in full.
PUBLIC: dict[str, tuple[tuple[int, ...], int, int, int]] = {
    "mnist5k": ((1, 28, 28), 4000, 1000, 10),
    "mnist": ((1, 28, 28), 60000, 10000, 10),
    "fashion_mnist": ((1, 28, 28), 60000, 10000, 10),
    "cifar10": ((3, 32, 32), 50000, 10000, 10),
    "cifar100": ((3, 32, 32), 50000, 10000, 100),
}
IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Sizes:
    """Shape of an image, images of the splits, and classes."""

    shape: tuple[int, ...]
    train: int
    test: int
    classes: int

    @property
    def values(self) -> int:
        """Numbers of an image."""
        return math.prod(self.shape)


def sizes_of(config: Mapping[str, Any], dataset: str) -> Sizes:
    """Sizes of a dataset, of a file of one's own as it lies there."""
    entry = config["datasets"][dataset]
    match entry["source"]:
        case "gaussians":
            classes = len(entry["means"])
            points = classes * entry["per_class"]
            return Sizes((len(entry["means"][0]),), points, points, classes)
        case "hdf5":
            return _own_sizes(entry["file"])
        case "imagenet20" | "photos":
            found = 20 if entry["source"] == "imagenet20" else _photos(entry["folder"])
            side = entry["size"]
            return Sizes((3, side, side), entry["train"] or 0, _of(entry["test"], found), IMAGENET_CLASSES)
    shape, train, test, classes = PUBLIC[entry["source"]]
    return Sizes(shape, _of(entry["train"], train), _of(entry["test"], test), classes)


def _of(wanted: int | None, there: int) -> int:
    return there if wanted is None else min(wanted, there)


@cache
def _photos(folder: str) -> int:
    return len(photos_below(folder))


@cache
def _own_sizes(file: str) -> Sizes:
    """Those of an HDF5 file, with colours first as its rule puts them.

    A file that is missing or damaged counts as MNIST: its own rule says what is wrong with it.
    """
    # Not imported where no file has to be read: the workflow reads its rules at each start.
    from pipeline.data.foreign import Wanted, read_foreign
    from pipeline.store import StoreError

    try:
        found = read_foreign(file, Wanted(("y_train",), ("x_train", "x_test"), texts="classes"))
        train, *shape = found["x_train"].tolist()
        test, *_ = found["x_test"].tolist()
        classes = len(found["classes"]) if "classes" in found else int(found["y_train"].max()) + 1
    except (StoreError, ValueError, OverflowError):
        return Sizes(*PUBLIC["mnist"])
    if len(shape) == 2:
        shape = [1, *shape]
    elif len(shape) == 3 and shape[2] in (1, 3) and shape[0] not in (1, 3):
        shape = [shape[2], *shape[:2]]
    return Sizes(tuple(shape), train, test, classes)
