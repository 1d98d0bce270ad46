"""The official binary versions of CIFAR-10 and CIFAR-100: records of labels and an image, in a tar file; nothing to
unpickle."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.download import DownloadError, digested

HOMES = ("https://www.cs.toronto.edu/~kriz",)
SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class Archive:
    """One of the two archives.

    Attributes:
        title: of the dataset. file, md5: name and checksum of the archive. members: files of each split within it.
        label_bytes: bytes before each image, of which the last is the class.
        classes: their names, or the file within the archive that has a name a line.
    """

    title: str
    file: str
    md5: str
    members: Mapping[str, tuple[str, ...]]
    label_bytes: int
    classes: tuple[str, ...] | str


ARCHIVES = {
    "cifar10": Archive(
        title="CIFAR-10",
        file="cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        members={
            "train": tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
            "test": ("cifar-10-batches-bin/test_batch.bin",),
        },
        label_bytes=1,
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    # Records begin with the superclass.
    "cifar100": Archive(
        title="CIFAR-100",
        file="cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        members={"train": ("cifar-100-binary/train.bin",), "test": ("cifar-100-binary/test.bin",)},
        label_bytes=2,
        classes="cifar-100-binary/fine_label_names.txt",
    ),
}


@dataclass(frozen=True)
class Cifar:
    """Images [N, 3, 32, 32] and labels [N], both uint8, by split, and the classes' names."""

    splits: dict[str, tuple[np.ndarray, np.ndarray]]
    classes: list[str]


def read_archive(path: Path, archive: Archive, md5: str | None = None) -> Cifar:
    """What an archive holds.

    Args:
        md5: of the file, None for the official one.

    Raises:
        DownloadError: the file is missing, damaged, or not such an archive.
    """
    content = digested(path, "md5", md5 or archive.md5).read_bytes()
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as file:
            splits = {
                split: _records(b"".join(_member(file, name) for name in names), archive.label_bytes)
                for split, names in archive.members.items()
            }
            if isinstance(archive.classes, str):
                return Cifar(splits, _member(file, archive.classes).decode().split())
            return Cifar(splits, list(archive.classes))
    except (tarfile.TarError, KeyError, OSError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DownloadError(f"{path} is not the binary version of {archive.title} ({reason})") from error


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is not a file")
    return file.read()


def _records(content: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    records = np.frombuffer(content, np.uint8).reshape(-1, label_bytes + int(np.prod(SHAPE)))
    return records[:, label_bytes:].reshape(-1, *SHAPE), records[:, label_bytes - 1]
