"""Fetch the official archive of CIFAR-10 and store both splits."""

from functools import partial
from pathlib import Path

import numpy as np

from pipeline import cifar
from pipeline.download import fetch, of_collection
from pipeline.results import put_split
from pipeline.store import Provenance, writing


def fetch_cifar10(
    *,
    output: str,
    train: int | None,
    test: int | None,
    seed: int,
    provenance: Provenance,
    mirror: str | None = None,
    downloads: str = "downloads",
    md5: str = cifar.MD5,
) -> None:
    """Write the official splits, or as many of their first images as asked for, with a random order of each."""
    folder, home = Path(downloads) / cifar.FOLDER, of_collection(mirror, cifar.FOLDER)
    splits = fetch(cifar.NAME, partial(cifar.read_archive, md5=md5), cifar.HOMES, folder, home)
    generator = np.random.default_rng(seed)
    with writing(output, provenance) as file:
        file.put("classes", list(cifar.CLASSES), "name of each class", ("class",))
        for split, count in (("train", train), ("test", test)):
            images, labels = splits[split]
            put_split(file, split, images[:count], labels[:count], generator)


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        fetch_cifar10(
            output=snakemake.output[0], mirror=snakemake.params.mirror, provenance=run.provenance, **run.settings
        )
