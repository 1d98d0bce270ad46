import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.store import Provenance, StoreError, reading, seal, verify, writing

PROVENANCE = Provenance({"seed": 3, "code": "abc"}, "scripts/x", "cpu")


def write_example(path: Path) -> None:
    with writing(path, PROVENANCE) as file:
        file.put("sigma", np.linspace(0, 1, 50_000), "widths", ("image",), "1, pixel range [0, 1]")
        file.put("group/status", ["ok", "censored_low", "größer"], "states", ("image",))
        file.put("scalar", 3, "a count", ())
        file.attribute("network", {"hidden": [1, 2]})


def test_values_come_back_with_their_labels(tmp_path):
    path = tmp_path / "deep" / "a.h5"
    write_example(path)
    with reading(path) as file:
        assert np.array_equal(file.read("sigma", ("image",)), np.linspace(0, 1, 50_000))
        assert file.read("group/status").tolist() == ["ok", "censored_low", "größer"]
        assert file.read("scalar") == 3
        assert file.names("group") == ["status"]
        assert json.loads(file.attribute("spec")) == {"seed": 3, "code": "abc"}
        assert file.attribute("seed") == 3
        assert json.loads(file.attribute("network")) == {"hidden": [1, 2]}
    with h5py.File(path) as plain:
        assert dict(plain["sigma"].attrs)["units"] == "1, pixel range [0, 1]"
        assert json.loads(plain["sigma"].attrs["dims"]) == ["image"]
        assert json.loads(plain.attrs["libraries"])["h5py"] == h5py.__version__


@given(hnp.arrays(st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
                  hnp.array_shapes(min_dims=0, max_dims=3, max_side=5)))  # fmt: skip
def test_any_array_survives_bit_for_bit(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("store") / "a.h5"
    with writing(path, PROVENANCE) as file:
        file.put("x", array, "anything", [f"axis{i}" for i in range(array.ndim)])
    with reading(path) as file:
        back = file.read("x")
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_equal_content_gives_equal_bytes(tmp_path):
    write_example(tmp_path / "a.h5")
    write_example(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.h5"
    write_example(path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="interrupted"), writing(path, PROVENANCE) as file:
        file.put("x", [1.0], "half of it", ("image",))
        raise RuntimeError("interrupted")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.h5"]


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / ".a.h5.12345.tmp").write_text("half")
    (tmp_path / ".b.h5.12345.tmp").write_text("another file's")
    write_example(tmp_path / "a.h5")
    assert sorted(os.listdir(tmp_path)) == [".b.h5.12345.tmp", "a.h5"]


def test_an_orphan_never_publishes(tmp_path):
    # The launcher named here is no ancestor of the writer: just what remains after Snakemake was killed.
    path = tmp_path / "a.h5"
    write_example(path)
    before = path.read_bytes()
    code = (
        "import sys; from pipeline.store import *\n"
        "try:\n"
        "    with writing(sys.argv[1], Provenance()) as file: file.put('x', [1], 'late', ('image',))\n"
        "except StoreError as error: print(error)\n"
    )
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    environment = {**os.environ, "ADVERSARIAL_NEIGHBORHOODS_LAUNCHER": str(dead.pid), "PYTHONPATH": "."}
    run = subprocess.run([sys.executable, "-c", code, path], env=environment, capture_output=True, text=True)
    assert "not published" in run.stdout, run.stderr
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.h5"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"file/a\.h5: cannot be written"),
        writing(tmp_path / "file" / "a.h5", PROVENANCE),
    ):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.store._flush", lambda path: open("/dev/full", "w").write("x" * 10**6))
    with pytest.raises(StoreError, match="No space left"), writing(tmp_path / "a.h5", PROVENANCE) as file:
        file.put("x", [1.0], "data", ("image",))
    assert os.listdir(tmp_path) == []


def test_missing_things_are_named(tmp_path):
    path = tmp_path / "a.h5"
    with pytest.raises(StoreError, match=r"a\.h5: no such file"), reading(path):
        pass
    write_example(path)
    with reading(path) as file:
        with pytest.raises(StoreError, match="'y' is missing.*group, scalar, sigma"):
            file.read("y")
        with pytest.raises(StoreError, match="group 'weights' is missing"):
            file.names("weights")
        with pytest.raises(StoreError, match="attribute 'accuracy' is missing"):
            file.attribute("accuracy")
        with pytest.raises(StoreError, match=r"must have axes \['pixel'\], found \['image'\]"):
            file.read("sigma", ("pixel",))


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("not HDF5")
    with (
        pytest.raises(StoreError, match="expected a result file of this workflow, found something else"),
        reading(path),
    ):
        pass
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="the file is empty; delete it and run again"), reading(path):
        pass
    with h5py.File(path, "w") as file:
        file["x"] = [1]
    with pytest.raises(StoreError, match="an HDF5 file without its digest"), reading(path):
        pass
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = [1]
    seal(path)
    with pytest.raises(StoreError, match="root attribute 'spec' is missing"), reading(path):
        pass
    write_example(path)
    with h5py.File(path, "a") as file:
        file["bare"] = [1]
    with (
        pytest.raises(StoreError, match="truncated or damaged, expected the SHA-256 [0-9a-f]{64}, found"),
        reading(path),
    ):
        pass
    seal(path)
    with reading(path) as file, pytest.raises(StoreError, match="'bare' has no text attribute 'description'"):
        file.read("bare")


def test_the_digest_is_that_of_the_bytes_after_the_user_block(tmp_path):
    path = tmp_path / "a.h5"
    write_example(path)
    content = path.read_bytes()
    expected = hashlib.sha256(content[512:]).hexdigest()
    assert verify(path) == expected
    assert content[:512].rstrip(b"\0").endswith(expected.encode() + b"\n")


def test_other_programs_read_the_files(tmp_path):
    path = tmp_path / "a.h5"
    write_example(path)
    with h5py.File(path, "r") as file:
        assert file.userblock_size == 512
        assert file["sigma"][-1] == 1.0
    # The signature where the format has it be looked for: at 0, 512, 1024, ...
    assert path.read_bytes()[512:520] == b"\x89HDF\r\n\x1a\n"


def test_truncated_files_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    write_example(path)
    content = path.read_bytes()
    sizes = [0, 1, 100, 511, 512, 513, *(int(len(content) * share) for share in (0.1, 0.5, 0.9)), len(content) - 1]
    for size in sizes:
        path.write_bytes(content[:size])
        with pytest.raises(StoreError, match=r"a\.h5: .* (empty|truncated|damaged)"), reading(path):
            pass
    path.write_bytes(content + b"\0")
    with pytest.raises(StoreError, match="damaged"), reading(path):
        pass


def test_every_flipped_bit_is_seen(tmp_path):
    path = tmp_path / "a.h5"
    write_example(path)
    content = path.read_bytes()
    positions = np.random.default_rng(0).integers(0, len(content), 200)
    for position in (*range(0, 512, 3), *positions):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"a\.h5: .*damaged.*; delete it and run again"), reading(path):
            pass


def test_dims_must_name_every_axis(tmp_path):
    with pytest.raises(ValueError, match="dims"), writing(tmp_path / "a.h5", PROVENANCE) as file:
        file.put("x", np.zeros((2, 2)), "square", ("row",))
    with pytest.raises(ValueError, match="dtype object"), writing(tmp_path / "a.h5", PROVENANCE) as file:
        file.put("x", np.array([None]), "nothing", ("row",))
    assert os.listdir(tmp_path) == []
