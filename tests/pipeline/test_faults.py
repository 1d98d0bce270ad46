"""Jobs and Snakemake itself killed at work: the next run gives the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import Checkout
from tests.pipeline.test_smoke import SMOKE, hashes


def start(checkout: Checkout, *arguments: str) -> subprocess.Popen:
    """Start the workflow as `make run` does."""
    command = [sys.executable, "-m", "pipeline.launch", "--cores", "2", *SMOKE, *arguments]
    log = open(checkout.folder / "run.log", "a")
    return subprocess.Popen(command, cwd=checkout.folder, stdout=log, stderr=subprocess.STDOUT)


def wait_for(condition, timeout: float = 60):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise TimeoutError


def job_script(checkout: Checkout, name: str) -> psutil.Process | None:
    """A running job of this checkout whose script has a given name."""
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(str(checkout.folder / ".snakemake/scripts") in word and word.endswith(f".{name}") for word in line):
            return process
    return None


def snakemake_of(process: psutil.Process) -> psutil.Process:
    return next(parent for parent in process.parents() if "snakemake" in parent.cmdline())


# One branch of the workflow, from data to a figure.
BRANCH = ("--", "results/figures/bell/figure_10.png")


@pytest.mark.parametrize("victim", ["job", "snakemake"])
def test_killed_at_work(smoke: Checkout, tmp_path: Path, victim):
    checkout = Checkout(tmp_path / "checkout")
    run = start(checkout, *BRANCH)
    try:
        script = wait_for(lambda: job_script(checkout, "bracket.py"))
        target = script if victim == "job" else snakemake_of(script)
        os.kill(target.pid, signal.SIGKILL)
        assert run.wait(120) != 0
        # An orphan stops by itself and publishes nothing.
        wait_for(lambda: job_script(checkout, "bracket.py") is None, 15)
        if victim == "snakemake":
            assert any((checkout.folder / ".snakemake/locks").iterdir())
        again = start(checkout, *BRANCH)
        assert again.wait(240) == 0, (checkout.folder / "run.log").read_text()
    finally:
        if run.poll() is None:
            run.kill()
    made, undisturbed = hashes(checkout.folder), hashes(smoke.folder)
    assert len(made) == 7
    assert made == {name: undisturbed[name] for name in made}


def test_a_setting_changed_between_kill_and_rerun_wins(smoke: Checkout, tmp_path: Path):
    # One branch alone: the first run would measure all networks with these samples.
    checkout = Checkout.copy_of(smoke, tmp_path / "checkout")
    (checkout.folder / "results/persistence/mnist5k/fc-100-20-10/igsm-all.h5").unlink()
    run = start(checkout, checkout.overlay("persistence: {gamma: 0.6, samples: 20000}"), *BRANCH)
    script = wait_for(lambda: job_script(checkout, "bracket.py"))
    os.kill(snakemake_of(script).pid, signal.SIGKILL)
    assert run.wait(60) != 0
    assert start(checkout).wait(240) == 0, (checkout.folder / "run.log").read_text()
    assert hashes(checkout.folder) == hashes(smoke.folder)
