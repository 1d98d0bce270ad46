import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline import guard
from pipeline.store import Provenance, StoreError, writing

JOB = "from pipeline import guard; guard.watch(0.05); import time; print('started', flush=True); time.sleep(60)"
# A launcher that announces itself as the Snakefile does, starts a job and waits.
LAUNCHER = textwrap.dedent(
    """
    import subprocess, sys
    from pathlib import Path
    from pipeline import guard
    guard.announce(Path("."))
    job = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
    job.stdout.readline()
    print(job.pid, flush=True)
    job.wait()
    """
)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_launcher() -> tuple[subprocess.Popen, int]:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, JOB], stdout=subprocess.PIPE, text=True)
    return launcher, int(launcher.stdout.readline())


def test_a_job_ends_when_its_launcher_is_killed():
    launcher, job = start_launcher()
    try:
        assert alive(job)
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
        deadline = time.monotonic() + 10
        while alive(job) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(job)
    finally:
        if alive(job):
            os.kill(job, signal.SIGKILL)


def test_a_job_goes_on_while_its_launcher_lives():
    launcher, job = start_launcher()
    try:
        time.sleep(0.6)
        assert alive(job)
    finally:
        os.kill(job, signal.SIGKILL)
        launcher.wait()


def test_without_a_launcher_nothing_is_orphaned(monkeypatch):
    monkeypatch.delenv(guard.LAUNCHER, raising=False)
    assert not guard.orphaned()


def test_parents_count_as_launchers_and_strangers_do_not(monkeypatch):
    monkeypatch.setenv(guard.LAUNCHER, str(os.getpid()))
    assert not guard.orphaned()
    monkeypatch.setenv(guard.LAUNCHER, str(os.getppid()))
    assert not guard.orphaned()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        monkeypatch.setenv(guard.LAUNCHER, str(stranger.pid))
        assert guard.orphaned()
    finally:
        stranger.kill()
        stranger.wait()


def test_the_checkout_comes_before_other_packages(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/elsewhere", str(tmp_path)]))
    monkeypatch.setenv(guard.LAUNCHER, "1")
    guard.announce(tmp_path)
    assert os.environ["PYTHONPATH"] == os.pathsep.join([str(tmp_path), os.getcwd(), "/elsewhere"])
    assert os.environ[guard.LAUNCHER] == str(os.getpid())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder, and an environment that is put back."""
    monkeypatch.chdir(tmp_path)
    for name in (guard.RUN, guard.LAUNCHER, "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.delenv(guard.LAUNCHER)
    return tmp_path


def publish(value):
    with writing("result.h5", Provenance()) as file:
        file.put("x", np.array([value]), "a number", ("number",))


def test_the_run_that_took_over_last_may_publish_and_earlier_ones_may_not(folder, monkeypatch):
    guard.take_over({"seed": 1})
    first = os.environ[guard.RUN]
    publish(1)
    first_bytes = (folder / "result.h5").read_bytes()
    guard.take_over({"seed": 2})
    publish(2)
    second_bytes = (folder / "result.h5").read_bytes()
    assert first_bytes != second_bytes
    monkeypatch.setenv(guard.RUN, first)
    with pytest.raises(StoreError, match="newer run"):
        publish(1)
    assert (folder / "result.h5").read_bytes() == second_bytes
    assert sorted(path.name for path in folder.iterdir()) == [".snakemake", "result.h5"]


def test_a_run_that_takes_over_while_a_result_is_flushed_wins(folder, monkeypatch):
    guard.take_over({"seed": 1})
    first = os.environ[guard.RUN]
    fsync = os.fsync

    def slowly(descriptor):
        fsync(descriptor)
        guard.take_over({"seed": 2})
        monkeypatch.setenv(guard.RUN, first)

    monkeypatch.setattr(os, "fsync", slowly)
    with pytest.raises(StoreError, match="newer run"):
        publish(1)
    assert [path.name for path in folder.iterdir()] == [".snakemake"]


def test_a_replaced_job_leaves_what_a_newer_one_is_writing(folder, monkeypatch):
    guard.take_over({"seed": 1})
    first = os.environ[guard.RUN]
    guard.take_over({"seed": 2})
    # As it lies there from another node, whose process ids are its own.
    unfinished = folder / f".result.h5.{os.getpid() + 1}.tmp"
    unfinished.touch()
    monkeypatch.setenv(guard.RUN, first)
    with pytest.raises(StoreError, match="newer run"):
        publish(1)
    assert unfinished.exists()


def test_two_runs_with_equal_settings_are_two_runs(folder, monkeypatch):
    guard.take_over({"seed": 1})
    first = os.environ[guard.RUN]
    guard.take_over({"seed": 1})
    assert not guard.replaced()
    monkeypatch.setenv(guard.RUN, first)
    assert guard.replaced()


def test_outside_of_runs_everything_may_be_published(folder, monkeypatch):
    guard.take_over({"seed": 1})
    guard.announce(folder, main=True)
    assert os.environ[guard.RUN] == ""
    publish(1)
    monkeypatch.delenv(guard.RUN)
    publish(2)


def test_the_snakemake_of_a_replaced_job_does_not_start(folder, monkeypatch):
    guard.take_over({"seed": 1})
    first = os.environ[guard.RUN]
    guard.announce(folder, main=False)
    guard.take_over({"seed": 2})
    monkeypatch.setenv(guard.RUN, first)
    with pytest.raises(SystemExit, match="does not start"):
        guard.announce(folder, main=False)


def test_a_job_starts_with_the_settings_of_its_run_alone(folder):
    guard.check_settings({"seed": 3})
    guard.take_over({"seed": 1, "datasets": {"b": 1, "a": 2}})
    guard.check_settings({"datasets": {"a": 2, "b": 1}, "seed": 1})
    with pytest.raises(guard.ChangedSettingsError, match="start again"):
        guard.check_settings({"seed": 2, "datasets": {"b": 1, "a": 2}})


def test_a_running_job_that_is_replaced_ends(folder):
    guard.take_over({"seed": 1})
    job = (
        "import os; from pipeline import guard; os.environ[guard.LAUNCHER] = str(os.getppid()); guard.watch(0.05, 0.1);"
    )
    wait = "import time; print('started', flush=True); time.sleep(60)"
    environment = os.environ | {"PYTHONPATH": str(Path(guard.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", job + wait], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(0.3)
        assert process.poll() is None
        guard.take_over({"seed": 2})
        assert process.wait(20) == 1
        assert "newer run" in process.stderr.read()


def test_the_machine_of_the_last_run_is_known(folder):
    assert guard.host_of_last_run(folder) is None
    guard.take_over({"seed": 1})
    assert guard.host_of_last_run(folder) == socket.gethostname()
