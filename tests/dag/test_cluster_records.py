"""Results of a cluster's jobs whose Snakemake was killed: what they were made with is known to the next run."""

import os
import signal
import stat
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import Checkout

TARGET = "results/data/gaussians.h5"
SMOKE = ("--configfile", "config/smoke.yaml")
# A scheduler: it prints an id, and starts the job when it is told to.
SUBMIT = """#!/bin/sh
(while [ ! -e {folder}/go ]; do sleep 0.1; done; sh "$1"; touch {folder}/ended) > {folder}/job.log 2>&1 < /dev/null &
echo 1
"""


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def wait_for(condition, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.skipif(find_spec("snakemake_executor_plugin_cluster_generic") is None, reason="needs the generic executor")
def test_a_result_of_a_killed_run_s_job_is_used_and_changed_settings_are_seen(tmp_path):
    checkout = Checkout(tmp_path / "checkout")
    submit = program(tmp_path / "submit", SUBMIT.format(folder=tmp_path))
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "none", "--jobs", "1", "--keep-incomplete"]
    command += ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", submit]
    command += ["--cluster-generic-status-cmd", program(tmp_path / "status", "#!/bin/sh\necho running\n")]
    run = subprocess.Popen(
        [*command, *SMOKE, "--", TARGET], cwd=checkout.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    marks = checkout.folder / ".snakemake" / "incomplete"
    wait_for(lambda: any(marks.glob("*")) and all("1" in path.read_text() for path in marks.glob("*")))
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    (tmp_path / "go").touch()
    wait_for((tmp_path / "ended").exists)
    assert (checkout.folder / TARGET).exists(), (tmp_path / "job.log").read_text()
    checkout.snakemake("--unlock", *SMOKE)
    assert checkout.jobs(*SMOKE, "--", TARGET) == {}
    assert checkout.jobs(*SMOKE, "--config", "seed=1", "--", TARGET) == {"make_gaussians": 1}
