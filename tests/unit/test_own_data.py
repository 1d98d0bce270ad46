import os

import h5py
import numpy as np
import pytest
from scipy import stats

from pipeline.results.shared import read_split
from pipeline.store import Provenance, StoreError
from scripts.data.import_hdf5 import import_hdf5
from scripts.data.make_gaussians import make_gaussians


def own_file(path, **changes):
    generator = np.random.default_rng(0)
    arrays = {
        "x_train": generator.integers(0, 256, (20, 8, 6), np.uint8),
        "y_train": np.arange(20) % 3,
        "x_test": generator.integers(0, 256, (6, 8, 6), np.uint8),
        "y_test": np.arange(6) % 3,
    } | changes
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file[name] = array
    return arrays


def run(path, tmp_path):
    output = tmp_path / "out.h5"
    import_hdf5(file=str(path), output=str(output), seed=0, provenance=Provenance())
    return output


@pytest.mark.parametrize("shape", [(8, 6), (1, 8, 6), (8, 6, 1), (8, 6, 3), (3, 8, 6)])
def test_layouts_are_recognised(tmp_path, shape):
    pixels = np.random.default_rng(1).integers(0, 256, (20, *shape), np.uint8)
    own_file(tmp_path / "a.h5", x_train=pixels, x_test=pixels[:6])
    split = read_split(run(tmp_path / "a.h5", tmp_path), "train")
    colours = 3 if 3 in shape else 1
    assert split.images.shape == (20, colours, 8, 6)
    expected = pixels.transpose(0, 3, 1, 2) if len(shape) == 3 and shape[-1] in (1, 3) else pixels
    assert np.array_equal(split.images.ravel(), expected.ravel())
    assert split.classes == ["0", "1", "2"]


def test_floats_and_class_names_are_kept(tmp_path):
    pixels = np.random.default_rng(1).random((20, 8, 6))
    own_file(tmp_path / "a.h5", x_train=pixels, classes=np.array(["a", "b", "ç"], h5py.string_dtype()))
    split = read_split(run(tmp_path / "a.h5", tmp_path), "train")
    assert split.images == pytest.approx(pixels[:, None], abs=1e-7)
    assert split.classes == ["a", "b", "ç"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"x_test": None}, "dataset 'x_test' is missing .*x_train, y_test, y_train"),
        ({"y_train": np.arange(20) - 1}, "y_train must lie in"),
        ({"classes": np.array(["a", "b"], h5py.string_dtype())}, r"y_train must lie in 0\.\.1, found 0 to 2"),
        ({"y_train": 1 + np.arange(20) % 3, "y_test": 1 + np.arange(6) % 3}, "must count from 0 .*found none below 1"),
        ({"y_train": np.arange(19)}, "y_train must be 20 integers"),
        ({"y_train": np.linspace(0, 1, 20)}, "y_train must be 20 integers"),
        ({"x_train": np.zeros((20, 48), np.uint8)}, "must be .N, rows, columns. with 1 or 3 colours"),
        ({"x_train": np.full((20, 8, 6), 2.0)}, "uint8 or floats in"),
        ({"x_train": np.full((20, 8, 6), np.nan)}, "uint8 or floats in"),
        ({"y_train": np.full(20, np.nan)}, "y_train must be 20 integers"),
        ({"y_train": np.full(20, 10**12)}, r"y_train must lie in 0\.\.99999, found 10+ to 10+"),
        ({"x_test": np.zeros((6, 9, 6), np.uint8)}, r"images of one shape, found \(1, 8, 6\) and \(1, 9, 6\)"),
        ({"x_train": np.zeros((0, 8, 6), np.uint8)}, "'x_train' is empty"),
    ],
)
def test_what_does_not_fit_gets_a_sentence_and_leaves_nothing(tmp_path, changes, sentence):
    own_file(tmp_path / "a.h5", **changes)
    with pytest.raises(StoreError, match=sentence):
        run(tmp_path / "a.h5", tmp_path)
    assert os.listdir(tmp_path) == ["a.h5"]


def test_another_kind_of_file_gets_a_sentence(tmp_path):
    (tmp_path / "a.h5").write_text("hello")
    with pytest.raises(StoreError, match="not a readable HDF5 file"):
        run(tmp_path / "a.h5", tmp_path)


def test_gaussians_have_their_means_and_variance(tmp_path):
    output = tmp_path / "g.h5"
    means = [[1.0, 4.0], [4.0, 1.0]]
    make_gaussians(output=str(output), means=means, variance=2.25, per_class=2000, seed=1, provenance=Provenance())
    split = read_split(output, "train")
    assert np.bincount(split.labels).tolist() == [2000, 2000]
    for label, mean in enumerate(means):
        points = split.images[split.labels == label]
        # Standard error of a mean: 1.5 / sqrt(2000); 4.5 of them for four comparisons.
        assert np.abs(points.mean(0) - mean).max() < 4.5 * 1.5 / np.sqrt(2000)
        low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], 1999) * 2.25 / 1999
        assert np.all((low < points.var(0, ddof=1)) & (points.var(0, ddof=1) < high))
