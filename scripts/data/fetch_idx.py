"""Fetch the official files of MNIST or Fashion-MNIST and store both splits."""

from pathlib import Path

import numpy as np

from pipeline.data.download import fetch_gzip, of_collection
from pipeline.data.idx import COLLECTIONS, FILES, parse_idx
from pipeline.results.shared import put_split
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
    folder, home = Path(downloads) / collection.folder, of_collection(mirror, collection.folder)
    arrays = {
        key: parse_idx(fetch_gzip(name, collection.md5[key], collection.homes, folder, home))
        for key, name in FILES.items()
    }
    generator = np.random.default_rng(seed)
    with writing(output, provenance) as file:
        file.put("classes", list(collection.classes), "name of each class", ("class",))
        for split, count in (("train", train), ("test", test)):
            images, labels = arrays[f"x_{split}"][:count, None], arrays[f"y_{split}"][:count]
            put_split(file, split, images, labels, generator)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        fetch_idx(output=snakemake.output[0], mirror=snakemake.params.mirror, provenance=run.provenance, **run.settings)
