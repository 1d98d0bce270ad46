"""Reading what several stages need: images, labels and network weights out of result files."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.store import Reader, StoreError, Writer, publishing, reading

IMAGE_DIMS = ("image", "channel", "row", "column")
DEGREES = "degree"
PIXELS = "1, pixel range [0, 1]"


@dataclass(frozen=True)
class Split:
    """Images [N, channels, rows, columns] or points [N, features], labels [N], a random order [N], class names."""

    images: np.ndarray
    labels: np.ndarray
    order: np.ndarray
    classes: list[str]


@dataclass(frozen=True)
class StoredNetwork:
    """What rebuilds a network: keyword arguments of its architecture, and its arrays by name."""

    settings: dict[str, Any]
    weights: dict[str, np.ndarray]


@dataclass(frozen=True)
class Successes:
    """Lines from attacked to adversarial images, possibly none.

    Attributes:
        rows: of the attack [n]. x, x_adv: images [n, ...]. index: position of each x in the test split [n].
        attacked: positions of all attacked images, with or without success, once or more.
    """

    rows: NDArray[np.intp]
    x: np.ndarray
    x_adv: np.ndarray
    index: NDArray[np.int64]
    attacked: NDArray[np.int64]


@dataclass(frozen=True)
class StoredPath:
    """A recorded training run: how to build its network, weights [steps + 1, P], rows of the train split used."""

    settings: dict[str, Any]
    weights: np.ndarray
    rows: np.ndarray
    learning_rate: float
    loss: str


class Stored(Mapping[str, Any]):
    """Arrays and root attributes of a result file by name, read when asked for.

    Attributes:
        absent: names that were looked for and are not there.
    """

    def __init__(self, file: Reader) -> None:
        self._file = file
        self.absent: list[str] = []

    def __getitem__(self, name: str) -> Any:
        return self._file.attribute(name) if self._file.has_attribute(name) else self._file.read(name)

    def __contains__(self, name: object) -> bool:
        there = isinstance(name, str) and name in self._file
        if not there:
            self.absent.append(str(name))
        return there

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.names())

    def __len__(self) -> int:
        return len(self._file.names())


def put_split(file: Writer, split: str, x: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> None:
    """Store one split of a dataset, and a random order in which its samples are drawn.

    Args:
        split: "train" or "test".
        x: images [N, channels, rows, columns], uint8 or floats in [0, 1], or points [N, features].
        labels: true classes [N].
        generator: draws the order.
    """
    units = "1/255" if x.dtype == np.uint8 else "1"
    dims = IMAGE_DIMS if x.ndim == 4 else ("image", "feature")
    file.put(f"x_{split}", x, f"{split} samples", dims, units)
    file.put(f"y_{split}", labels.astype(np.int64), f"true class of the {split} samples", ("image",))
    order = generator.permutation(len(labels))
    file.put(f"order_{split}", order, f"order in which {split} samples are drawn", ("image",))


def read_split(path: str | Path, split: str) -> Split:
    """The "train" or "test" split of a dataset.

    Raises:
        StoreError: an array is missing or damaged, or labels are outside the classes.
    """
    with reading(path) as file:
        images = file.read(f"x_{split}")
        labels = file.read(f"y_{split}", ("image",))
        order = file.read(f"order_{split}", ("image",))
        classes = [str(name) for name in file.read("classes", ("class",))]
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(classes)):
        raise StoreError(
            f"{path}: labels y_{split} must lie in 0..{len(classes) - 1}, found {labels.min()} to {labels.max()}"
        )
    return Split(images, labels, order, classes)


def put_network(
    file: Writer,
    settings: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    accuracy: float,
    interval: tuple[float, float],
    n_test: int,
) -> None:
    """Store a network: how to build it, its weights, and its test accuracy with interval and number of images."""
    file.attribute("network", settings)
    file.attribute("test_accuracy", accuracy)
    file.attribute("test_accuracy_interval", list(interval))
    file.attribute("test_images", n_test)
    for name, array in weights.items():
        file.put(f"weights/{name}", array, "trained parameter", [f"axis{i}" for i in range(array.ndim)])


def put_summary(
    file: Writer, group: str, summary: Mapping[str, Any], what: str, units: str, dims: Sequence[str] = ()
) -> None:
    """Store the fields of a summary below a group, as scalars or as arrays with `dims`; counts get the unit 1."""
    for key, value in summary.items():
        counted = key in ("n", "clusters") or key.startswith("censored")
        file.put(f"{group}/{key}", value, f"{key} of {what}", dims, "1" if counted else units)


def put_summaries(
    file: Writer, group: str, summaries: Sequence[Mapping[str, Any]], what: str, units: str, dims: Sequence[str]
) -> None:
    """Store the fields of one summary or more, of equal fields, as arrays with one axis."""
    columns = {key: np.array([one[key] for one in summaries]) for key in summaries[0]}
    put_summary(file, group, columns, what, units, dims)


def put_persistence(file: Writer, group: str, result: Any, index: np.ndarray, label: np.ndarray) -> None:
    """Store a `Persistence` of test images, or of adversarial images made from them, and how it was measured.

    Args:
        index: position in the test split of each image or of its origin [images]. label: its true class [images].
    """
    columns = {
        "sigma": (result.sigma, "estimated persistence", PIXELS),
        "low": (result.low, "lower limit of persistence", PIXELS),
        "high": (result.high, "upper limit of persistence, inf if beyond the range", PIXELS),
        "certified_radius": (result.certified_radius, "certified radius of the classifier smoothed at `low`", PIXELS),
        "recrosses": (result.recrosses, "whether the share rises above gamma again beyond", "1"),
        "status": (result.status, "ok, or censored_low or censored_high by the range of sigma", "1"),
        "predicted": (result.predicted, "class whose share is counted", "1"),
        "index": (index, "position in the test split of the image or of its origin", "1"),
        "label": (label, "true class of the image or of its origin", "1"),
        "evaluations": (result.evaluations, "noisy images classified", "1"),
    }
    for name, (values, text, units) in columns.items():
        file.put(f"{group}/{name}", values, text, ("image",), units)


def put_persistence_summary(file: Writer, group: str, result: Any, summary: Mapping[str, float]) -> None:
    """Store the summary of a `Persistence` below its group, with the number of censored values.

    These count as lying at the end of the range: the mean is a restricted one.
    """
    censored = {kind: result.status.count(kind) for kind in ("censored_low", "censored_high")}
    put_summary(file, f"{group}/summary", {**summary, **censored}, "persistence", PIXELS)


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, whole or not at all; columns in the order they first occur, numbers in full precision.

    Raises:
        StoreError: the file cannot be written.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with publishing(Path(path)) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _plain(value) for key, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, (np.ndarray, np.generic)) else value


def read_job_seconds(path: str | Path) -> float:
    """Wall time of a job from Snakemake's benchmark file: its first run, starting up included.

    Raises:
        StoreError: the file holds no time.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return float(next(csv.DictReader(file, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: expected a benchmark file of Snakemake with a column s, found none") from error


def read_network(path: str | Path) -> StoredNetwork:
    """A trained network.

    Raises:
        StoreError: weights are missing or damaged.
    """
    with reading(path) as file:
        return StoredNetwork(file.json_attribute("network"), file.read_group("weights"))


def read_checkpoint(path: str | Path, epoch: int | None = None) -> StoredNetwork:
    """A network as it was after an epoch of its training, counted from 1; None for the trained one.

    Raises:
        StoreError: no checkpoint of that epoch was kept, or weights are missing or damaged.
    """
    if epoch is None:
        return read_network(path)
    group = f"checkpoints/{epoch:03d}"
    with reading(path) as file:
        if group not in file:
            kept = {name.split("/")[0] for name in file.names("checkpoints")} if "checkpoints" in file else ()
            found = ", ".join(str(int(name)) for name in sorted(kept)) or "none"
            raise StoreError(f"{path}: expected a checkpoint of epoch {epoch}, found {found}")
        return StoredNetwork(file.json_attribute("network"), file.read_group(group))


def one_success_each(success: NDArray[np.bool_], origin: NDArray[np.int64], seed: int) -> NDArray[np.intp]:
    """Rows of an attack [n]: of each origin with any success a random one of them, by origin.

    The first one would be the one with the lowest target nearly always.
    """
    works = np.random.default_rng(seed).permutation(np.flatnonzero(success))
    return works[np.unique(origin[works], return_index=True)[1]]


def read_successes(path: str | Path, lines: int, seed: int) -> Successes:
    """A random success of each origin of an attack (`one_success_each`): the first of them in the attack's order.

    Raises:
        StoreError: a part is missing or damaged.
    """
    with reading(path) as file:
        x, x_adv, success, index = (file.read(name) for name in ("x", "x_adv", "success", "index"))
    rows = np.sort(one_success_each(success, index, seed))[:lines]
    return Successes(rows, x[rows], x_adv[rows], index[rows], attacked=index)


def read_path(path: str | Path) -> StoredPath:
    """A path of weights.

    Raises:
        StoreError: a part is missing or damaged.
    """
    with reading(path) as file:
        return StoredPath(
            settings=file.json_attribute("network"),
            weights=file.read("weights", ("step", "parameter")),
            rows=file.read("rows", ("sample",)),
            learning_rate=file.attribute("learning_rate"),
            loss=file.attribute("loss"),
        )
