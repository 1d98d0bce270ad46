"""Jobs, Snakemake and the launcher killed at work: the next run gives the bytes of an undisturbed one."""

import signal
import time

import pytest

from tests.faults.branch import FIGURE, PERSISTENCE, TEACHER, Branch, end, engine_of, kill, wait_for
from tests.faults.kills import trial, unexplained


def test_five_kills_at_random_moments_change_nothing(undisturbed, tmp_path):
    """`make faults` has fifty, from another seed each time."""
    outcome = trial(tmp_path / "kills", 0, undisturbed.hashes(), undisturbed.seconds)
    assert outcome.wrong == []
    assert outcome.kills.total() - outcome.kills["ended before"] == 5


def script_of(branch: Branch, name: str):
    """A condition: a job of a script runs."""
    return lambda: next((one for one in branch.scripts() if one.cmdline()[-1].endswith(f".{name}")), None)


@pytest.mark.long
def test_a_training_goes_on_after_its_last_epoch(undisturbed, branch):
    (branch.folder / TEACHER).unlink()
    state = branch.folder / TEACHER
    run = branch.start(TEACHER)
    try:
        script = wait_for(script_of(branch, "train_teacher.py"))
        wait_for(lambda: list(state.parent.glob(f".{state.name}.*.state")))
        kill(script.pid, signal.SIGKILL)
        assert run.wait(60) == 1
    finally:
        end(run)
    assert list(state.parent.glob(f".{state.name}.*.state"))
    status, printed = branch.run()
    assert status == 0, printed
    assert "goes on after step" in printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []


@pytest.mark.parametrize(
    ("script", "result", "when"),
    [
        ("bracket.py", PERSISTENCE, "after"),
        pytest.param("bracket.py", PERSISTENCE, "before", marks=pytest.mark.long),
        pytest.param("persistence_histogram.py", FIGURE, "before", marks=pytest.mark.long),
        pytest.param("persistence_histogram.py", FIGURE, "after", marks=pytest.mark.long),
        pytest.param("train_teacher.py", TEACHER, "before", marks=pytest.mark.long),
        pytest.param("train_teacher.py", TEACHER, "after", marks=pytest.mark.long),
    ],
)
def test_a_job_killed_while_it_publishes_is_made_again(undisturbed, branch, script, result, when):
    (branch.folder / result).unlink()
    status, printed = branch.run(result, script=script, dies=when)
    assert status == 1
    assert f"a job of {script} was ended from outside by SIGKILL" in printed
    assert "start again to go on" in printed
    assert unexplained(printed) == []
    assert not (branch.folder / result).exists()
    status, printed = branch.run(result)
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []


def test_a_setting_changed_between_kill_and_rerun_wins(undisturbed, branch):
    (branch.folder / PERSISTENCE).unlink()
    run = branch.start(PERSISTENCE, overlay="persistence: {gamma: 0.6, samples: 20000}")
    try:
        wait_for(script_of(branch, "bracket.py"))
        # Snakemake alone: its orphan would have a result of the other settings to publish.
        kill(engine_of(run).pid, signal.SIGKILL)
        assert run.wait(60) == 128 + signal.SIGKILL
        assert "Snakemake was ended by SIGKILL; what is finished is kept: start again to go on" in branch.text()
        status, printed = branch.run(PERSISTENCE)
    finally:
        end(run)
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []


@pytest.mark.long
def test_an_interrupt_at_any_moment_of_the_start_gets_no_traceback(branch):
    """From before the launcher is ready to Snakemake at work, in steps of a fifth of a second."""
    for step in range(1, 16):
        run = branch.start(options=("--dry-run",))
        time.sleep(0.2 * step)
        kill(run.pid, signal.SIGINT)
        try:
            run.wait(60)
        finally:
            end(run)
    assert unexplained(branch.text()) == []
