import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil

from pipeline import guard

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
