"""Store photos of a folder, or those of ImageNet that ship in a package, at the size that networks take."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neighborhoods.networks.vision import imagenet_classes
from pipeline.data.photos import Photos, chosen, decode, find_photos, packaged_imagenet
from pipeline.results.shared import put_split
from pipeline.store import Provenance, writing


def import_photos(
    *,
    output: str,
    train: int | None,
    test: int | None,
    only: Sequence[int | str],
    size: int,
    resize: int,
    interpolation: str,
    seed: int,
    provenance: Provenance,
    folder: str | None = None,
) -> None:
    """Write both splits with a random order of each; a folder without `train` gives a train split without photos."""
    found = {"test": packaged_imagenet()} if folder is None else find_photos(Path(folder))
    names = found["test"].classes if "test" in found else next(iter(found.values())).classes
    classes = imagenet_classes() if names is None else names
    generator = np.random.default_rng(seed)
    with writing(output, provenance) as file:
        file.put("classes", classes, "name of each class", ("class",))
        for split, most in (("train", train), ("test", test)):
            photos = Photos([], [], names)
            if split in found:
                photos = chosen(found[split], classes, only, most, seed)
            pixels = decode(photos.files, size, resize, interpolation)
            put_split(file, split, pixels, np.array(photos.labels, dtype=np.int64), generator)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        import_photos(
            output=snakemake.output[0],
            folder=snakemake.params.get("folder"),
            provenance=run.provenance,
            **run.settings,
        )
