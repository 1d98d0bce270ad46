"""What the analyses of logits read and store, array by array."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.plan.teachers import TEACHERS
from pipeline.results.shared import IMAGE_DIMS, put_summary
from pipeline.store import StoreError, Writer, reading

# Pairs of networks, and of which kinds differences are stored: the first less the second.
PAIRS = {
    "adversarial": "two adversarially trained networks",
    "standard": "two networks trained in the standard way",
    "mixed": "an adversarially trained network and a standard one",
}
APART = (("mixed", "adversarial"), ("mixed", "standard"), ("adversarial", "standard"))


@dataclass(frozen=True)
class Outputs:
    """Logits of the networks of one way of training.

    Attributes:
        logits: by split that was asked for, [seed, epoch, image, class]. label: likewise, true classes [image].
        epochs: of the checkpoints [epoch].
    """

    logits: dict[str, np.ndarray]
    label: dict[str, np.ndarray]
    epochs: np.ndarray

    def at(self, split: str, epoch: int) -> np.ndarray:
        """Logits [seed, image, class] of the checkpoint of an epoch, which `read_outputs` has looked for."""
        return self.logits[split][:, self.epochs.tolist().index(epoch)]


@dataclass(frozen=True)
class Attacked:
    """Networks of one way of training under attack.

    Attributes:
        logits, adversarial: of natural images and of what the attack made of them [seed, image, class].
        survives: whether an image is right and stays so [seed, image]. label: true classes [image].
    """

    logits: np.ndarray
    adversarial: np.ndarray
    survives: np.ndarray
    label: np.ndarray


def read_outputs(
    paths: Mapping[str, str], epochs: Mapping[str, int], splits: Sequence[str] = ("train", "test")
) -> dict[str, Outputs]:
    """Outputs by way of training.

    Args:
        paths: file of each of `TEACHERS`. epochs: a checkpoint that each has to hold.
        splits: those that are wanted; the train split of a large study takes gigabytes.

    Raises:
        StoreError: a part is missing or damaged, as a checkpoint, or the files are of other images or checkpoints.
    """
    dims, found = ("seed", "epoch", "image", "class"), {}
    for teacher in TEACHERS:
        with reading(paths[teacher]) as file:
            logits, label = (
                {split: file.read(f"{split}/{name}", axes) for split in splits}
                for name, axes in (("logits", dims), ("label", ("image",)))
            )
            found[teacher] = Outputs(logits, label, file.read("epochs", ("epoch",)))
        known = found[teacher].epochs.tolist()
        if epochs[teacher] not in known:
            raise StoreError(f"{paths[teacher]}: expected a checkpoint of epoch {epochs[teacher]}, found {known}")
    one, two = (found[teacher] for teacher in TEACHERS)
    same = all(np.array_equal(one.label[split], two.label[split]) for split in one.label)
    if not (same and np.array_equal(one.epochs, two.epochs)):
        raise StoreError(f"{paths[TEACHERS[1]]}: holds other images or checkpoints than {paths[TEACHERS[0]]}")
    return found


def read_attacked(path: str) -> Attacked:
    """Networks under attack.

    Raises:
        StoreError: a part is missing or damaged.
    """
    dims = ("seed", "image", "class")
    with reading(path) as file:
        return Attacked(
            logits=file.read("logits", dims),
            adversarial=file.read("adversarial_logits", dims),
            survives=file.read("broken_by", ("seed", "image")) == 0,
            label=file.read("label", ("image",)),
        )


def put_crossed(file: Writer, group: str, estimate: Any, what: str, dims: Sequence[str] = ()) -> None:
    """Store a `CrossedEstimate` below a group: value, standard error, degrees of freedom, interval and numbers."""
    columns = asdict(estimate)
    for key in ("n", "networks"):
        text = {"n": "images", "networks": "trainings"}[key]
        file.put(f"{group}/{key}", columns.pop(key), f"{text} behind {what}", ())
    put_summary(file, group, columns, what, "1", dims)


def put_accuracy_by_gap(file: Writer, group: str, found: Any, edges: np.ndarray) -> None:
    """Store an `AccuracyByGap` without its trend."""
    file.put(f"{group}/edges", edges, "edges of the bins of the natural logit gap", ("edge",))
    texts = {
        "n": "images in a bin",
        "share": "share of them that survives the attack",
        "low": "lower limit of that share, binomial",
        "high": "upper limit of that share, binomial",
    }
    for name, text in texts.items():
        file.put(f"{group}/{name}", getattr(found, name), text, ("seed", "bin"))
    file.put(f"{group}/gap", found.gap, "mean gap of the images of all seeds in a bin", ("bin",))
    file.put(f"{group}/mean", found.mean, "mean of the shares over seeds with images in the bin", ("bin",))
    file.put(f"{group}/deviation", found.deviation, "standard deviation of the shares over seeds", ("bin",))


def put_images(file: Writer, group: str, images: np.ndarray, dims: Sequence[str], text: str) -> None:
    """Store images with the axes `dims` before their own, where they are images; points are left out."""
    if images.ndim - len(dims) == len(IMAGE_DIMS) - 1:
        units = "1/255" if images.dtype == np.uint8 else "1"
        file.put(f"{group}/x", images, text, (*dims, *IMAGE_DIMS[1:]), units)
