"""Fetch the official archive of CIFAR-10 or CIFAR-100 and store both splits."""

from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.cifar import ARCHIVES, HOMES, read_archive
from pipeline.data.download import fetch, of_collection
from pipeline.results.shared import put_split
from pipeline.store import Provenance, writing


def fetch_cifar(
    *,
    output: str,
    source: str,
    train: int | None,
    test: int | None,
    seed: int,
    provenance: Provenance,
    mirror: str | None = None,
    downloads: str = "downloads",
    md5: str | None = None,
) -> None:
    """Write the splits of "cifar10" or "cifar100", or as many of their first images as asked for."""
    archive = ARCHIVES[source]
    check = partial(read_archive, archive=archive, md5=md5)
    found = fetch(archive.file, check, HOMES, Path(downloads) / source, of_collection(mirror, source))
    generator = np.random.default_rng(seed)
    with writing(output, provenance) as file:
        file.put("classes", found.classes, "name of each class", ("class",))
        for split, count in (("train", train), ("test", test)):
            images, labels = found.splits[split]
            put_split(file, split, images[:count], labels[:count], generator)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        fetch_cifar(
            output=snakemake.output[0], mirror=snakemake.params.mirror, provenance=run.provenance, **run.settings
        )
