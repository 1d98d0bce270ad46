"""Disks that are full or cannot be written: one sentence, nothing half-written, and right bytes once there is room."""

import shutil
import subprocess

import pytest

from tests.faults.branch import FIGURE, PERSISTENCE, TABLE, TEACHER, Branch
from tests.faults.kills import unexplained

RESULTS = {
    "bracket.py": PERSISTENCE,
    "train_teacher.py": TEACHER,
    "persistence_histogram.py": FIGURE,
    "persistence_by_network.py": TABLE,
}


def can_mount() -> bool:
    """Whether a process may have mounts of its own."""
    unshare = shutil.which("unshare")
    command = [str(unshare), "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    return unshare is not None and subprocess.run(command, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not can_mount(), reason="needs the right to mount a file system")


def mounted(mount: str) -> tuple[str, ...]:
    """A prefix: the command runs where a file system is mounted that no other process sees."""
    return ("unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")


def recovers(undisturbed: Branch, branch: Branch, result: str) -> None:
    """With room again the same command completes the same bytes."""
    assert not (branch.folder / result).exists()
    status, printed = branch.run(result)
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []


# Any library meets the limit, as it would a full disk; it can be set anywhere.
@pytest.mark.parametrize(
    ("script", "size"),
    [
        ("bracket.py", "3000"),
        pytest.param("bracket.py", "200", marks=pytest.mark.long),
        pytest.param("train_teacher.py", "20000", marks=pytest.mark.long),
        pytest.param("persistence_histogram.py", "4096", marks=pytest.mark.long),
        pytest.param("persistence_by_network.py", "100", marks=pytest.mark.long),
    ],
)
def test_a_file_that_cannot_grow_is_named(undisturbed, branch, script, size):
    result = RESULTS[script]
    (branch.folder / result).unlink()
    status, printed = branch.run(result, script=script, file_bytes=size)
    assert status == 1
    assert f"{result.rpartition('/')[2]}" in printed
    assert "cannot be written (" in printed
    assert "file too large" in printed.lower()
    assert unexplained(printed) == []
    recovers(undisturbed, branch, result)


@pytest.mark.long
def test_a_disk_that_gets_full_at_the_end_is_named(undisturbed, branch):
    (branch.folder / PERSISTENCE).unlink()
    status, printed = branch.run(PERSISTENCE, script="bracket.py", no_space="1")
    assert status == 1
    assert f"{PERSISTENCE}: cannot be written ([Errno 28] No space left on device)" in printed
    assert unexplained(printed) == []
    recovers(undisturbed, branch, PERSISTENCE)


@pytest.mark.long
@needs_mounts
@pytest.mark.parametrize(
    ("script", "kilobytes"),
    [("bracket.py", 8), ("train_teacher.py", 64), ("persistence_histogram.py", 8), ("persistence_by_network.py", 0)],
)
def test_a_full_disk_is_named(undisturbed, branch, script, kilobytes):
    result = RESULTS[script]
    (branch.folder / result).unlink()
    place = (branch.folder / result).parent
    # A tmpfs of no blocks would have no limit; one that is full has a file that fills it.
    fill = f"mount -t tmpfs -o size={kilobytes + 4}k none {place} && head -c 4096 /dev/zero > {place}/fill"
    status, printed = branch.run(result, prefix=mounted(fill))
    assert status == 1
    assert "cannot be written (" in printed
    assert "No space left on device" in printed
    assert unexplained(printed) == []
    recovers(undisturbed, branch, result)


@pytest.mark.long
@needs_mounts
@pytest.mark.parametrize("place", ["results", "."])
def test_what_is_read_only_is_named(undisturbed, branch, place):
    (branch.folder / PERSISTENCE).unlink()
    folder = branch.folder / place
    mount = f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
    status, printed = branch.run(PERSISTENCE, prefix=mounted(mount))
    assert status == 1
    assert f"{folder.resolve()} cannot be written: its file system is read-only" in printed
    assert unexplained(printed) == []
    recovers(undisturbed, branch, PERSISTENCE)


@pytest.mark.long
@needs_mounts
def test_a_disk_full_for_snakemake_too_is_survived(undisturbed, tmp_path):
    """Everything lies on a disk of 600 kB: data and a network have room, the rest has not."""
    branch, aside = Branch(tmp_path / "work"), tmp_path / "aside"
    aside.mkdir()
    branch.log = aside / "run.log"
    folder = branch.folder
    # The same mounts for both runs, since a tmpfs goes with the process that sees it.
    script = f'mount -t tmpfs -o size=600k none {folder}; "$@"; mount -o remount,size=100m {folder}; echo AGAIN; "$@"; '
    script += f"status=$?; cp -a {folder}/. {aside}; exit $status"
    status, printed = branch.run(prefix=("unshare", "--mount", "sh", "-c", script, "sh"))
    first, _, _ = printed.partition("AGAIN")
    assert f"the disk of {folder} is full: make room; what is finished is kept: start again to go on" in first
    assert unexplained(first) == []
    assert status == 0, printed
    assert Branch(aside).hashes() == undisturbed.hashes()
