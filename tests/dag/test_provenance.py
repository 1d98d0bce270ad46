"""The record of a run that ends with the job of a result, as one for a single target does."""

import subprocess
import sys
from pathlib import Path

from pipeline.provenance.history import read_provenance
from pipeline.store import reading

ROOT = Path(__file__).resolve().parents[2]


def test_the_last_result_of_a_run_is_recorded_with_its_job(tmp_path):
    target = "results/data/gaussians.h5"
    command = [
        sys.executable,
        "-m",
        "pipeline.running.launch",
        "--workflow-profile",
        "profiles/default",
        "--cores",
        "1",
    ]
    run = subprocess.run(
        [*command, "--directory", str(tmp_path), "--", target], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    entry = read_provenance(tmp_path)["results"][target]
    assert entry["rule"] == "make_gaussians"
    assert entry["started"] < entry["finished"]
    with reading(tmp_path / target) as file:
        assert entry["seed"] == file.attribute("seed")
