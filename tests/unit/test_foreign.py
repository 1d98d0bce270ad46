"""HDF5 files of one's own that are damaged, too large for themselves, or that reach beyond themselves."""

import io
import subprocess
import sys
import time
import zlib

import h5py
import numpy as np
import pytest

from pipeline.data.foreign import ROOT, Wanted, ended_early, read_foreign, receive
from pipeline.store import StoreError

X = Wanted(("x",))


def file_with(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.mark.parametrize("dtype", ["u1", "i8", ">i4", "f2", "<f4", ">f8", "?"])
def test_numbers_come_back_bit_for_bit(tmp_path, dtype):
    array = np.random.default_rng(0).integers(0, 2, (7, 3, 5)).astype(dtype)
    found = read_foreign(file_with(tmp_path / "a.h5", x=array, y=array[0, 0, 0]), Wanted(("x", "y")))
    assert found["x"].dtype == array.dtype
    assert found["x"].tobytes() == array.tobytes()
    assert found["y"].shape == ()
    assert found["y"] == array[0, 0, 0]


def test_texts_and_groups_come_back(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["classes"] = np.array(["a", "ç", ""], h5py.string_dtype())
        file["weights/2/bias"] = [2.0]
        file["weights/1"] = [[1.0]]
    found = read_foreign(path, Wanted(texts="classes", group="weights"))
    assert list(found) == ["1", "2/bias", "classes"]
    assert found["classes"].tolist() == ["a", "ç", ""]
    assert found["2/bias"].tolist() == [2.0]
    assert "classes" not in read_foreign(path, Wanted(texts="names", group="weights"))


def external_storage(path):
    secret = path.with_name("secret")
    secret.write_bytes(bytes(range(16)))
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (16,), "u1", external=[(str(secret), 0, 16)])


def external_link(path):
    file_with(path.with_name("other.h5"), x=[1])
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "x")


def soft_link_to_external_link(path):
    file_with(path.with_name("other.h5"), x=[1])
    with h5py.File(path, "w") as file:
        file["y"] = h5py.ExternalLink("other.h5", "x")
        file["x"] = h5py.SoftLink("/y")


def virtual(path):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "x", (4,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)


def huge(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (1 << 40,), "f8", chunks=(1 << 10,), compression="gzip")


def huge_chunk(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (1,), "u1", maxshape=(None,), chunks=((1 << 32) - 1,))


def texts(path):
    file_with(path, x=np.array(["a"], h5py.string_dtype()))


def lists(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2,), h5py.vlen_dtype(np.int64))


def compound(path):
    file_with(path, x=np.zeros(2, [("a", "i4"), ("b", "f8")]))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_text("hello"), "not a readable HDF5 file"),
        (lambda path: path.write_bytes(b""), "not a readable HDF5 file"),
        (lambda path: path.mkdir(), "no such file"),
        (lambda path: None, "no such file"),
        (lambda path: file_with(path, y=[1]), r"dataset 'x' is missing \(the file holds: y\)"),
        (lambda path: file_with(path, x=h5py.Empty("f")), "dataset 'x' is empty"),
        (external_storage, "dataset 'x' lies in other files, which are not read"),
        (external_link, "'x' must be a dataset of this file, found a link"),
        (soft_link_to_external_link, "'x' must be a dataset of this file, found a link"),
        (virtual, "dataset 'x' lies in other files, which are not read"),
        (huge, r"dataset 'x' is said to be of shape \(1099511627776,\), which a file of [\d,]+ bytes cannot hold"),
        (huge_chunk, "which a file of [0-9,]+ bytes cannot hold"),
        (texts, "dataset 'x' must hold numbers, found object"),
        (lists, "dataset 'x' must hold numbers, found object"),
        (compound, "dataset 'x' must hold numbers, found"),
    ],
)
def test_what_cannot_be_read_gets_one_sentence(tmp_path, make, sentence):
    path = tmp_path / "a.h5"
    make(path)
    with pytest.raises(StoreError, match=sentence) as caught:
        read_foreign(path, X)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_bomb_of_zeros_is_refused_by_the_memory_there_is(tmp_path, monkeypatch):
    # 1 GB of zeros in about 1 MB: within what deflate can do, so that only memory decides.
    path = tmp_path / "a.h5"
    chunk = zlib.compress(bytes(1 << 24), 9)
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (1 << 30,), "u1", chunks=(1 << 24,), compression="gzip")
        for start in range(0, 1 << 30, 1 << 24):
            x.id.write_direct_chunk((start,), chunk)
    assert path.stat().st_size < 1.1e6
    monkeypatch.setenv("PYTHONPATH", str(stingy(tmp_path)))
    with pytest.raises(StoreError, match=r"its arrays take 1,[0-9,]+ bytes, and 1,000,000 can be spared in memory"):
        read_foreign(path, X)


def stingy(folder):
    """A folder whose `sitecustomize` makes a machine with 2 MB of free memory."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import psutil\nfrom types import SimpleNamespace\n"
        "psutil.virtual_memory = lambda: SimpleNamespace(available=2_000_000)\n"
    )
    return site


def test_a_file_that_crashes_or_hangs_its_reader_gets_one_sentence(tmp_path, monkeypatch):
    file_with(tmp_path / "a.h5", x=[1])
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site))
    (site / "sitecustomize.py").write_text("import h5py, os\nh5py.File = lambda *a, **k: os.abort()\n")
    with pytest.raises(StoreError, match=r"so damaged that reading it failed \(status -6\)"):
        read_foreign(tmp_path / "a.h5", X)
    (site / "sitecustomize.py").write_text(
        "import h5py, itertools, os, resource\n"
        "def busy(*arguments, **options):\n"
        "    resource.setrlimit(resource.RLIMIT_CPU, (int(sum(os.times()[:2])) + 1, resource.RLIM_INFINITY))\n"
        "    for _ in itertools.count(): pass\n"
        "h5py.File = busy\n"
    )
    started = time.monotonic()
    with pytest.raises(StoreError, match="reading it took too long"):
        read_foreign(tmp_path / "a.h5", X)
    assert time.monotonic() - started < 60
    assert "status 1" in ended_early(1)


def test_of_shapes_nothing_is_read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = np.zeros((3, 4, 5)), np.arange(3)
    found = read_foreign(tmp_path / "a.h5", Wanted(("y",), ("x",)))
    assert found["x"].tolist() == [3, 4, 5]
    assert found["y"].tolist() == [0, 1, 2]


def test_a_reader_that_is_killed_at_any_byte_says_nothing_wrong(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3, dtype=np.uint8)
        file["classes"] = np.array(["a", "ç"], h5py.string_dtype())
    sent = subprocess.run(
        [sys.executable, "-m", "pipeline.data.foreign", str(path), '{"arrays": ["x"], "texts": "classes"}'],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    arrays, problem = receive(io.BufferedReader(io.BytesIO(sent)))
    assert problem is None
    assert list(arrays) == ["x", "classes"]
    for end in range(len(sent)):
        assert receive(io.BufferedReader(io.BytesIO(sent[:end]))) == (None, None)
