"""A clock that was moved: nothing stale is kept, and nothing is made again that is right."""

import os
import time
from pathlib import Path

import h5py
import pytest

from tests.conftest import job_counts
from tests.faults.branch import ATTACK, PERSISTENCE, Branch

YEAR_S = 365 * 24 * 3600


def jobs(branch: Branch, *targets: str, **settings) -> dict[str, int]:
    """Jobs that a dry run would make."""
    status, printed = branch.run(*targets, options=("--dry-run",), **settings)
    assert status == 0, printed
    return job_counts(printed)


def age(path: Path, years: float) -> None:
    moment = time.time() + years * YEAR_S
    os.utime(path, (moment, moment))


@pytest.mark.parametrize(
    "pattern", ["mixed", pytest.param("past", marks=pytest.mark.long), pytest.param("future", marks=pytest.mark.long)]
)
def test_moved_times_of_results_rerun_nothing(branch, pattern):
    files = sorted(path for path in branch.folder.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        age(path, {"past": -20, "future": 20, "mixed": (-20, 20, 0)[number % 3]}[pattern])
    assert jobs(branch) == {}
    # What changed is seen all the same.
    assert jobs(branch, overlay="persistence: {gamma: 0.8}") == {
        "measure_natural": 1,
        "bracket_persistence": 1,
        "draw_persistence_histogram": 1,
        "tabulate_persistence": 1,
    }


@pytest.mark.long
def test_inputs_of_the_future_are_used_as_they_are(undisturbed, branch):
    """As where the folder is shared with a machine whose clock is ahead."""
    for name in ("data/mnist5k.h5", "models/mnist5k/fc10-4.h5", "attacks/mnist5k/fc10-4/lbfgs.h5"):
        age(branch.folder / "results" / name, 1)
    (branch.folder / PERSISTENCE).unlink()
    status, printed = branch.run()
    assert status == 0, printed
    assert "3 results had times in the future, results/attacks/mnist5k/fc10-4/lbfgs.h5 first" in printed
    assert branch.hashes() == undisturbed.hashes()
    assert jobs(branch) == {}


@pytest.mark.long
@pytest.mark.parametrize("years", [-2, 2])
def test_a_clock_that_jumps_between_jobs_changes_nothing(undisturbed, branch, years):
    (branch.folder / ATTACK).unlink()
    status, printed = branch.run(script="generate.py", clock_s=str(years * YEAR_S))
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []
    assert jobs(branch) == {}


@pytest.mark.long
def test_an_own_file_replaced_by_an_older_one_counts(branch, tmp_path):
    """As one that is copied with its times, or made while the clock was behind."""
    import numpy as np

    def write(seed: int) -> None:
        generator = np.random.default_rng(seed)
        with h5py.File(tmp_path / "own.h5", "w") as file:
            for split in ("train", "test"):
                file[f"x_{split}"] = generator.integers(0, 256, (40, 1, 4, 4), dtype=np.uint8)
                file[f"y_{split}"] = np.arange(40) % 4

    overlay = f"datasets: {{own: {{source: hdf5, file: {tmp_path / 'own.h5'}}}}}"
    target = "results/data/own.h5"
    write(0)
    status, printed = branch.run(target, overlay=overlay)
    assert status == 0, printed
    before = (branch.folder / target).read_bytes()
    write(1)
    age(tmp_path / "own.h5", -1)
    status, printed = branch.run(target, overlay=overlay)
    assert status == 0, printed
    assert (branch.folder / target).read_bytes() != before
    # A touch is no change.
    age(tmp_path / "own.h5", 1)
    assert jobs(branch, target, overlay=overlay) == {}
