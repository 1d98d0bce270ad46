"""Truncated and bit-flipped results of every kind: whoever reads one names it, and deleting it is all there is to do."""

import os
from pathlib import Path

import pytest

from tests.faults.branch import ATTACK, DATA, FIGURE, MODEL, NATURAL, OUTPUTS, PERSISTENCE, TABLE, TEACHER
from tests.faults.kills import unexplained

# Each kind of file and a result that is made from it.
READERS = {
    DATA: MODEL,
    MODEL: ATTACK,
    NATURAL: PERSISTENCE,
    ATTACK: TABLE,
    PERSISTENCE: FIGURE,
    TEACHER: OUTPUTS,
}


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One bit of the largest array's middle, or of what lies there."""
    middle = len(content) * 2 // 3
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]


def zeroed(content: bytes) -> bytes:
    """As after a power cut that spared the file's length."""
    return content[:512] + bytes(len(content) - 512)


def empty(content: bytes) -> bytes:
    return b""


def damage(path: Path, how) -> None:
    """Change bytes and keep times: as a failing disk does it."""
    before = path.stat()
    path.write_bytes(how(path.read_bytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CASES = [(path, how) for path in READERS for how in (cut, flipped, zeroed, empty)]
IN_CI = (ATTACK, cut)


@pytest.mark.parametrize(
    ("damaged", "how"),
    [pytest.param(*case, marks=() if case == IN_CI else pytest.mark.long) for case in CASES],
    ids=lambda part: Path(part).parent.name if isinstance(part, str) else part.__name__,
)
def test_a_damaged_result_is_named_by_its_reader(undisturbed, branch, damaged, how):
    (branch.folder / READERS[damaged]).unlink()
    damage(branch.folder / damaged, how)
    status, printed = branch.run(READERS[damaged])
    assert status == 1
    sentences = [line for line in printed.splitlines() if f"{damaged}: " in line and line.startswith("scripts/")]
    assert sentences, printed
    assert any(word in sentences[0] for word in ("damaged", "truncated", "empty")), sentences[0]
    assert unexplained(printed) == []
    assert not (branch.folder / READERS[damaged]).exists()
    (branch.folder / damaged).unlink()
    status, printed = branch.run(damaged, READERS[damaged])
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []
