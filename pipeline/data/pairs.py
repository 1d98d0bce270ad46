"""Reading two classes of a dataset as points of a linear classifier."""

import numpy as np

from pipeline.errors import UserError
from pipeline.results.shared import read_split


def read_pair(
    path: str, split: str, pair: str, images: int | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Points [N, D] in [0, 1] of two classes in the file's order, classes -1 and +1 [N], and the shape of an image.

    Args:
        split: "train" or "test". pair: the classes by number, e.g. 2v3; the second one is +1.
        images: the first so many of both, or as many as the smaller class has: were one class larger, a machine of
            small cost would put everything into it. None for all.

    Raises:
        UserError: a class that there is not, or one without images.
    """
    found = read_split(path, split)
    classes = [int(name) for name in pair.split("v")]
    if max(classes) >= len(found.classes):
        raise UserError(f"tilting: expected classes 0 to {len(found.classes) - 1}, found {pair}")
    rows = [np.flatnonzero(found.labels == label) for label in classes]
    for label, members in zip(classes, rows, strict=True):
        if not len(members):
            raise UserError(f"tilting: expected {split} images of class {label}, found none")
    if images is not None:
        rows = [members[: min(images, *map(len, rows))] for members in rows]
    chosen = found.images[np.concatenate(rows)]
    x = chosen / 255 if chosen.dtype == np.uint8 else chosen.astype(np.float64)
    return x.reshape(len(x), -1), np.repeat([-1.0, 1.0], [len(part) for part in rows]), chosen.shape[1:]
