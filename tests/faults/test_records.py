"""Snakemake's own bookkeeping, cut off by a power failure."""

import os
import time
from base64 import urlsafe_b64encode

import pytest

from pipeline.running.records import bring_back, mark_unrecorded
from tests.conftest import job_counts
from tests.faults.branch import PERSISTENCE


def note_of(result: str) -> str:
    return urlsafe_b64encode(result.encode()).decode()


@pytest.mark.parametrize("content", ["", '{"rule": "bracket_persis'])
def test_a_result_whose_note_is_damaged_is_made_again(undisturbed, branch, content):
    """Else Snakemake would keep it under all settings, since it has nothing to compare them with."""
    note = branch.folder / ".snakemake/metadata" / note_of(PERSISTENCE)
    note.write_text(content)
    status, printed = branch.run(PERSISTENCE, options=("--dry-run",), overlay="persistence: {gamma: 0.8}")
    assert status == 0, printed
    assert f"{PERSISTENCE}: what Snakemake noted of it is damaged, so it is made again" in printed
    assert job_counts(printed)["bracket_persistence"] == 1
    if content:
        return
    status, printed = branch.run(PERSISTENCE)
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []


def test_long_names_are_put_together(tmp_path):
    name = "results/" + 300 * "a" + ".h5"
    whole = note_of(name)
    note = tmp_path / ".snakemake/metadata" / f"@{whole[:254]}" / whole[254:]
    note.parent.mkdir(parents=True)
    note.write_text("{")
    (tmp_path / ".snakemake/metadata/d2hvbGU=").write_text("{}")
    assert mark_unrecorded(tmp_path) == [name]
    assert (tmp_path / ".snakemake/incomplete" / f"@{whole[:254]}" / whole[254:]).is_file()
    assert mark_unrecorded(tmp_path) == []
    assert mark_unrecorded(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    "name", ["x", ".nfs000000012", "tmp123." + note_of("results/a.h5"), note_of("results/a.h5") + "~"]
)
def test_what_is_no_note_stays(tmp_path, name):
    """Files that editors and network file systems leave among notes."""
    stranger = tmp_path / ".snakemake/metadata" / name
    stranger.parent.mkdir(parents=True)
    stranger.touch()
    assert mark_unrecorded(tmp_path) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [stranger]


def test_a_result_whose_time_another_user_set_stays(tmp_path, monkeypatch):
    for name in ("mine.h5", "theirs.h5"):
        path = tmp_path / "results" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (time.time() + 1000,) * 2)
    set_time = os.utime

    def refuse(path, times):
        if path.name == "theirs.h5":
            raise PermissionError
        set_time(path, times)

    monkeypatch.setattr(os, "utime", refuse)
    assert bring_back(tmp_path) == ["results/mine.h5"]
    assert (tmp_path / "results/mine.h5").stat().st_mtime <= time.time()
