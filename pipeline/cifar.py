"""The official binary version of CIFAR-10: records of a label and an image, in a tar file; nothing to unpickle."""

import io
import tarfile
from pathlib import Path

import numpy as np

from pipeline.download import DownloadError, digested

NAME = "cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
HOMES = ("https://www.cs.toronto.edu/~kriz",)
FOLDER = "cifar10"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEMBERS = {
    "train": tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("cifar-10-batches-bin/test_batch.bin",),
}
SHAPE = (3, 32, 32)


def read_archive(path: Path, md5: str = MD5) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images [N, 3, 32, 32] and labels [N], both uint8, of each split.

    Raises:
        DownloadError: the file is missing, damaged, or not such an archive.
    """
    content = digested(path, "md5", md5).read_bytes()
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            return {split: _records(b"".join(_member(archive, name) for name in MEMBERS[split])) for split in MEMBERS}
    except (tarfile.TarError, KeyError, OSError, EOFError, ValueError) as error:
        raise DownloadError(f"{path} is not the binary version of CIFAR-10 ({' '.join(str(error).split())})") from error


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is not a file")
    return file.read()


def _records(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + int(np.prod(SHAPE)))
    return records[:, 1:].reshape(-1, *SHAPE), records[:, 0]
