"""A job's progress: kept whole or not at all, taken up by the same job only, gone with the output."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline import guard
from pipeline.running.resume import Progress
from pipeline.store import Provenance, StoreError

ARRAYS = {
    "weights/a": np.arange(6.0).reshape(2, 3),
    "history/loss": np.array([0.5]),
    "weights/steps": np.array(3),
    "checkpoints/001/a": np.ones(4, np.float32),
}


def provenance(**spec):
    return Provenance(spec, "scripts/logits/train_teacher.py")


def same(found, arrays):
    assert set(found) == set(arrays)
    assert all(found[name].dtype == it.dtype and np.array_equal(found[name], it) for name, it in arrays.items())


def test_the_same_job_finds_what_it_kept_last(tmp_path):
    output = tmp_path / "deep" / "standard-s0.h5"
    assert Progress(output, provenance(seed=1), []).read() is None
    Progress(output, provenance(seed=1), []).keep(1, ARRAYS)
    later = {**ARRAYS, "weights/a": -ARRAYS["weights/a"], "checkpoints/002/a": np.zeros(4, np.float32)}
    progress = Progress(output, provenance(seed=1), [])
    progress.keep(2, later)
    step, found = Progress(output, provenance(seed=1), []).read()
    assert step == 2
    same(found, later)
    progress.remove()
    assert list(output.parent.iterdir()) == []
    assert progress.read() is None


def test_checkpoints_are_written_once(tmp_path):
    progress = Progress(tmp_path / "a.h5", provenance(), [])
    progress.keep(1, ARRAYS)
    (settled,) = tmp_path.glob(".a.h5.*.001.state")
    before = settled.stat()
    progress.keep(2, ARRAYS)
    assert (settled.stat().st_ino, settled.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_state_of_another_job_is_removed_and_that_of_another_output_is_not(tmp_path):
    Progress(tmp_path / "a.h5", provenance(seed=1), []).keep(1, ARRAYS)
    Progress(tmp_path / "b.h5", provenance(seed=1), []).keep(1, ARRAYS)
    assert Progress(tmp_path / "a.h5", provenance(seed=2), []).read() is None
    assert list(tmp_path.glob(".a.h5.*")) == []
    same(Progress(tmp_path / "b.h5", provenance(seed=1), []).read()[1], ARRAYS)


def test_a_state_made_from_other_inputs_is_not_taken_up(tmp_path):
    """As of a student whose teacher was trained anew: its own settings are the same, what it learns is not."""
    targets, data = tmp_path / "targets.h5", tmp_path / "data.h5"
    for path in (targets, data):
        path.write_bytes(b"first")
    Progress(tmp_path / "a.h5", provenance(), [data, targets]).keep(1, ARRAYS)
    same(Progress(tmp_path / "a.h5", provenance(), [data, targets]).read()[1], ARRAYS)
    targets.write_bytes(b"other")
    assert Progress(tmp_path / "a.h5", provenance(), [data, targets]).read() is None
    assert list(tmp_path.glob(".a.h5.*")) == []


def test_a_checkpoint_that_no_state_names_is_written_again(tmp_path):
    """What was left by a run that was killed between the two; on a GPU the next one need not come to the same bytes."""
    first = Progress(tmp_path / "a.h5", provenance(), [])
    first.keep(1, ARRAYS)
    state = next(path for path in tmp_path.iterdir() if path.name.count(".") == 4)
    before = state.read_bytes()
    first.keep(2, {**ARRAYS, "checkpoints/002/a": np.zeros(4, np.float32)})
    state.write_bytes(before)
    second = Progress(tmp_path / "a.h5", provenance(), [])
    assert second.read()[0] == 1
    again = {**ARRAYS, "checkpoints/002/a": np.full(4, 2.0, np.float32)}
    second.keep(2, again)
    same(Progress(tmp_path / "a.h5", provenance(), []).read()[1], again)


def test_a_full_disk_leaves_what_was_kept_and_gets_one_sentence(tmp_path):
    """A process of its own, whose files may not grow beyond 100 kB; the arrays take 800 kB."""
    Progress(tmp_path / "a.h5", provenance(), []).keep(1, ARRAYS)
    code = """
import resource, signal, sys
import numpy as np
from pipeline.running.resume import Progress
from pipeline.store import StoreError
from tests.unit.test_resume import provenance
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    Progress(sys.argv[1], provenance(), []).keep(2, {"weights/a": np.ones(100_000)})
except StoreError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.h5")], capture_output=True, text=True, check=True
    )
    assert "cannot be written (" in run.stdout
    step, found = Progress(tmp_path / "a.h5", provenance(), []).read()
    assert step == 1
    same(found, ARRAYS)
    assert not list(tmp_path.glob("*.tmp"))


# "bits": a header that asks for encryption, of which zipfile has another error.
@pytest.mark.parametrize("what", ["cut", "flipped", "header", "bits", "text", "empty", "lost"])
@pytest.mark.parametrize("part", ["state", "001.state"])
def test_a_damaged_state_is_dropped_with_a_line_in_the_log(tmp_path, caplog, what, part):
    progress = Progress(tmp_path / "a.h5", provenance(), [])
    progress.keep(3, ARRAYS)
    (path,) = (path for path in tmp_path.iterdir() if path.name.split(".", 4)[4] == part)
    content = path.read_bytes()
    # The middle of the first array: behind the header of its file, which takes 128 bytes.
    flipped = bytearray(content)
    flipped[content.index(b"\x93NUMPY") + 128] ^= 1
    # NumPy takes the header for a piece of Python, which cannot hold a null byte.
    header = bytearray(content)
    header[content.index(b"\x93NUMPY") + 12] = 0
    bits = bytearray(content)
    bits[content.index(b"PK\x01\x02") + 8] |= 1
    damaged = {
        "cut": content[: len(content) // 2],
        "flipped": bytes(flipped),
        "header": bytes(header),
        "bits": bytes(bits),
        "text": b"not an archive",
        "empty": b"",
    }
    if what == "lost":
        path.unlink()
    else:
        path.write_bytes(damaged[what])
    with caplog.at_level(logging.WARNING):
        assert progress.read() is None
    said = [record.message for record in caplog.records]
    assert said == [] if (what, part) == ("lost", "state") else "damaged, so that the job starts anew" in said[0]
    # All of it: what is written once must not stay damaged.
    assert list(tmp_path.iterdir()) == []
    progress.keep(1, ARRAYS)
    same(progress.read()[1], ARRAYS)


def test_what_a_killed_job_was_about_to_keep_goes_too(tmp_path):
    progress = Progress(tmp_path / "a.h5", provenance(), [])
    progress.keep(1, ARRAYS)
    (path, *_) = tmp_path.glob(".a.h5.*.001.state")
    (tmp_path / f".{path.name}.4711.tmp").write_bytes(b"half")
    progress.remove()
    assert list(tmp_path.iterdir()) == []


def test_an_orphan_keeps_nothing(tmp_path, monkeypatch):
    stranger = subprocess.Popen([sys.executable, "-c", ""])
    stranger.wait()
    monkeypatch.setenv(guard.LAUNCHER, str(stranger.pid))
    with pytest.raises(StoreError, match="the workflow that started this job has ended"):
        Progress(tmp_path / "a.h5", provenance(), []).keep(1, ARRAYS)
    assert os.listdir(tmp_path) == []
