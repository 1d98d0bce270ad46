"""One undisturbed run of the branch, which all faults are compared with."""

import shutil
import time
from pathlib import Path

import pytest

from tests.faults.branch import FILES, Branch


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Branch:
    """A folder in which nothing went wrong. Tests leave it as it is."""
    branch = Branch(tmp_path_factory.mktemp("undisturbed"))
    begin = time.monotonic()
    status, printed = branch.run()
    branch.seconds = time.monotonic() - begin
    assert status == 0, printed
    assert len(branch.hashes()) == FILES
    assert branch.leftovers() == []
    return branch


@pytest.fixture
def branch(undisturbed: Branch, tmp_path: Path) -> Branch:
    """A copy with results, bookkeeping and file times."""
    shutil.copytree(undisturbed.folder, tmp_path / "copy")
    return Branch(tmp_path / "copy")
