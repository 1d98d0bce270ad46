"""Check somebody's own HDF5 dataset and store it in the project's layout."""

import numpy as np

from pipeline.data.foreign import Wanted, read_foreign
from pipeline.results.shared import put_split
from pipeline.store import Provenance, StoreError, writing

# Labels without names must not make any number of classes.
MOST_CLASSES = 100_000


def import_hdf5(*, file: str, output: str, seed: int, provenance: Provenance) -> None:
    """Read x_train, y_train, x_test, y_test (and `classes`, their names, if there).

    Images are uint8 or floats in [0, 1], [N, rows, columns], with colours first or last if there are any.
    """
    arrays = read_foreign(file, Wanted(("x_train", "y_train", "x_test", "y_test"), texts="classes"))
    images = {split: _images(arrays[f"x_{split}"], file, split) for split in ("train", "test")}
    if images["train"].shape[1:] != images["test"].shape[1:]:
        shapes = " and ".join(str(array.shape[1:]) for array in images.values())
        raise StoreError(f"{file}: x_train and x_test must hold images of one shape, found {shapes}")
    labels = {split: _labels(arrays[f"y_{split}"], len(images[split]), file, split) for split in images}
    names = arrays["classes"].tolist() if "classes" in arrays else None
    count = len(names) if names else min(1 + max(int(values.max()) for values in labels.values()), MOST_CLASSES)
    for split, values in labels.items():
        if values.min() < 0 or values.max() >= count:
            raise StoreError(f"{file}: y_{split} must lie in 0..{count - 1}, found {values.min()} to {values.max()}")
    first = min(int(values.min()) for values in labels.values())
    if names is None and first > 0:
        found = f"found none below {first}"
        raise StoreError(f"{file}: y_train and y_test must count from 0 where `classes` names none, {found}")
    generator = np.random.default_rng(seed)
    with writing(output, provenance) as target:
        target.put("classes", names or [str(i) for i in range(count)], "name of each class", ("class",))
        for split in images:
            put_split(target, split, images[split], labels[split], generator)


def _images(array: np.ndarray, file: str, split: str) -> np.ndarray:
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise StoreError(
            f"{file}: x_{split} must be [N, rows, columns] with 1 or 3 colours before or after, found {array.shape}"
        )
    if array.dtype != np.uint8:
        if array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
            raise StoreError(f"{file}: x_{split} must be uint8 or floats in [0, 1], found {array.dtype} beyond that")
        array = array.astype(np.float32)
    return array


def _labels(labels: np.ndarray, images: int, file: str, split: str) -> np.ndarray:
    if labels.shape != (images,) or labels.dtype.kind not in "iu":
        raise StoreError(f"{file}: y_{split} must be {images} integers, found {labels.dtype} of shape {labels.shape}")
    return labels


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        import_hdf5(file=snakemake.input.file, output=snakemake.output[0], provenance=run.provenance, **run.settings)
