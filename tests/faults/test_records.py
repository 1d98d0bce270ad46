"""Snakemake's own bookkeeping, cut off by a power failure."""

from base64 import urlsafe_b64encode

import pytest

from pipeline.records import mark_unrecorded
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
