"""The idx format of MNIST and its relatives, and where their official files are."""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UserError

DIGITS = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class Collection:
    """Four official files: MD5 of their unpacked content, public homes, sub-folder in a mirror, class names."""

    md5: dict[str, str]
    homes: tuple[str, ...]
    folder: str
    classes: tuple[str, ...]


FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}

COLLECTIONS = {
    "mnist": Collection(
        md5={
            "x_train": "6bbc9ace898e44ae57da46a324031adb",
            "y_train": "a25bea736e30d166cdddb491f175f624",
            "x_test": "2646ac647ad5339dbf082846283269ea",
            "y_test": "27ae3e4e09519cfbb04c329615203637",
        },
        homes=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        folder="mnist",
        classes=DIGITS,
    ),
    "fashion_mnist": Collection(
        md5={
            "x_train": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "y_train": "9018921c3c673c538a1fc5bad174d6f9",
            "x_test": "8181f5470baa50b63fa0f6fddb340f0a",
            "y_test": "15d484375f8d13e6eb1aabb0c3f46965",
        },
        homes=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
        ),
        folder="fashion-mnist",
        classes=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
}


def parse_idx(content: bytes) -> np.ndarray:
    """The uint8 array of an idx file: magic 0 0 8 ndim, big-endian sizes, then the values.

    Raises:
        UserError: the header is not that of unsigned bytes, or the length does not fit it.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise UserError("not an idx file of unsigned bytes")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise UserError("an idx file ends within its header")
    shape = tuple(np.frombuffer(content, ">u4", content[3], 4).astype(int).tolist())
    if len(content) - start != math.prod(shape):
        raise UserError(f"an idx file of shape {shape} does not hold {len(content) - start} bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
