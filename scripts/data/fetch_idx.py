"""Fetch the official files of MNIST or Fashion-MNIST and store both splits."""

from pathlib import Path

import numpy as np

from pipeline.download import fetch_gzip
from pipeline.idx import COLLECTIONS, FILES, parse_idx
from pipeline.results import put_split
from pipeline.store import Provenance, writing


def fetch_idx(
    *,
    output: str,
    source: str,
    train: int | None,
    test: int | None,
    seed: int,
    provenance: Provenance,
    mirror: str | None = None,
    downloads: str = "downloads",
) -> None:
    """Write the official splits, or as many of their first images as asked for, with a random order of each."""
    collection = COLLECTIONS[source]
    folder = Path(downloads) / collection.folder
    # A mirror may hold several collections in folders of their own, or one by itself.
    if mirror and not mirror.startswith(("http://", "https://")) and (Path(mirror) / collection.folder).is_dir():
        mirror = str(Path(mirror) / collection.folder)
    elif mirror and mirror.startswith(("http://", "https://")):
        mirror = f"{mirror.rstrip('/')}/{collection.folder}"
    arrays = {
        key: parse_idx(fetch_gzip(name, collection.md5[key], collection.homes, folder, mirror))
        for key, name in FILES.items()
    }
    generator = np.random.default_rng(seed)
    with writing(output, provenance) as file:
        file.put("classes", list(collection.classes), "name of each class", ("class",))
        for split, count in (("train", train), ("test", test)):
            images, labels = arrays[f"x_{split}"][:count, None], arrays[f"y_{split}"][:count]
            put_split(file, split, images, labels, generator)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        fetch_idx(output=snakemake.output[0], mirror=snakemake.params.mirror, provenance=run.provenance, **run.settings)
