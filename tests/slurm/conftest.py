"""A SLURM for the tests of this folder, where its packages are installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, missing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster; tests are skipped where there can be none, with the reason."""
    if absent := missing():
        pytest.skip(f"SLURM is not installed (no {', '.join(absent)}): python tests/slurm/cluster.py install")
    for plugin in ("slurm", "cluster_generic"):
        if find_spec(f"snakemake_executor_plugin_{plugin}") is None:
            pytest.skip(f"snakemake-executor-plugin-{plugin.replace('_', '-')} is not installed")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
    except (RuntimeError, OSError) as error:
        pytest.skip(f"SLURM does not start here: {error}")
    yield cluster
    cluster.stop()


@pytest.fixture
def run_on_slurm(slurm: Cluster):
    """Starts the workflow with a profile of a checkout; stdout and stderr are one text."""

    def start(
        checkout: Path, *arguments: str, profile: str = "slurm", module: str = "pipeline.running.launch"
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", module, *profile_arguments(checkout, profile), *arguments]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COV_CORE")}
        return subprocess.Popen(
            command, cwd=checkout, env=environment | slurm.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return start


def output_of(run: subprocess.Popen[str], code: int = 0, timeout_s: float = 1800) -> str:
    """What a run prints, once it has ended with an exit status; it is ended itself if it takes too long."""
    try:
        text, _ = run.communicate(timeout=timeout_s)
    finally:
        run.terminate()
    assert run.returncode == code, text
    return text


def profile_arguments(checkout: Path, profile: str) -> list[str]:
    """A profile of a checkout, with the short waits that one machine allows."""
    waits = {"slurm": ["--slurm-init-seconds-before-status-checks", "2"]}.get(profile, [])
    place = ["--workflow-profile", "none", "--profile", str(checkout / "profiles" / profile)]
    return [*place, *waits, "--latency-wait", "10"]
