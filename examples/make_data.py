"""Write examples/mine.h5, a dataset in the layout that `source: hdf5` reads, from scikit-learn's digits."""

from pathlib import Path

import h5py
import numpy as np
from sklearn.datasets import load_digits


def main(output: Path) -> None:
    """1,797 digits of 8x8 pixels as bytes, the last 400 for testing."""
    digits = load_digits()
    pixels = np.round(digits.images / 16 * 255).astype(np.uint8)
    with h5py.File(output, "w") as file:
        for split, rows in (("train", slice(0, -400)), ("test", slice(-400, None))):
            file[f"x_{split}"] = pixels[rows]
            file[f"y_{split}"] = digits.target[rows]


if __name__ == "__main__":
    main(Path(__file__).parent / "mine.h5")
