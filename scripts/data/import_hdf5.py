"""Check somebody's own HDF5 dataset and store it in the project's layout."""

import h5py
import numpy as np

from pipeline.results import put_split
from pipeline.store import Provenance, StoreError, writing


def import_hdf5(*, file: str, output: str, seed: int, provenance: Provenance) -> None:
    """Read x_train, y_train, x_test, y_test (and `classes`, their names, if there).

    Images are uint8 or floats in [0, 1], [N, rows, columns], with colours first or last if there are any.
    """
    try:
        with h5py.File(file, "r", locking=False) as own:
            arrays = {name: _array(own, file, name) for name in ("x_train", "y_train", "x_test", "y_test")}
            names = [str(name) for name in own["classes"].asstr()[()]] if "classes" in own else None
    except OSError as error:
        raise StoreError(f"{file}: not a readable HDF5 file ({error})") from error
    count = len(names) if names else int(max(arrays["y_train"].max(), arrays["y_test"].max())) + 1
    generator = np.random.default_rng(seed)
    with writing(output, provenance) as target:
        target.put("classes", names or [str(i) for i in range(count)], "name of each class", ("class",))
        for split in ("train", "test"):
            images, labels = _images(arrays[f"x_{split}"], file, split), arrays[f"y_{split}"]
            _check_labels(labels, len(images), count, file, split)
            put_split(target, split, images, labels, generator)


def _array(own: h5py.File, file: str, name: str) -> np.ndarray:
    if not isinstance(own.get(name), h5py.Dataset):
        raise StoreError(f"{file}: dataset '{name}' is missing (the file holds: {', '.join(sorted(own)) or 'nothing'})")
    array = np.asarray(own[name][()])
    if len(array.shape) == 0 or len(array) == 0:
        raise StoreError(f"{file}: dataset '{name}' is empty")
    return array


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


def _check_labels(labels: np.ndarray, images: int, count: int, file: str, split: str) -> None:
    if labels.shape != (images,) or labels.dtype.kind not in "iu":
        raise StoreError(f"{file}: y_{split} must be {images} integers, found {labels.dtype} of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= count:
        raise StoreError(f"{file}: y_{split} must lie in 0..{count - 1}, found {labels.min()} to {labels.max()}")


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        import_hdf5(file=snakemake.input.file, output=snakemake.output[0], provenance=run.provenance, **run.settings)
