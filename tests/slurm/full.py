"""What takes minutes on a real SLURM, run by `make slurm`: the whole smoke run, 200 jobs, and jobs that SLURM ends."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Checkout
from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.conftest import output_of

ROOT = Path(__file__).resolve().parents[2]
PROBE = ["--snakefile", "tests/slurm/probe/Snakefile"]
JOBS = 200


@pytest.fixture
def probe(tmp_path: Path, run_on_slurm) -> Callable[..., subprocess.Popen[str]]:
    """Starts the probing workflow in the test's folder."""

    def start(*config: str, options: tuple[str, ...] = (), profile: str = "slurm") -> subprocess.Popen[str]:
        place = ["--directory", str(tmp_path), *options, "--config", *config]
        return run_on_slurm(ROOT, *PROBE, *place, profile=profile)

    return start


def running(slurm: Cluster) -> str:
    """The id of the job that runs, once one does."""

    def job() -> str:
        return slurm.command("squeue", "--noheader", "--states=running", "--format=%i")

    wait_for(job, "a running job", 120)
    return job()


def test_the_whole_smoke_run_gives_the_bytes_of_a_local_run(tmp_path: Path, smoke: Checkout, run_on_slurm):
    checkout = Checkout(tmp_path / "checkout")
    begin = time.monotonic()
    text = output_of(run_on_slurm(checkout.folder, "--configfile", "config/smoke.yaml"))
    print(f"\nsmoke run on SLURM: {time.monotonic() - begin:.0f} s")
    assert "(100%) done" in text

    def made(folder: Path) -> dict[str, bytes]:
        files = {path.relative_to(folder): path for path in (folder / "results").rglob("*") if path.is_file()}
        # Measurements of time and memory, and the record of where and when the run was.
        same = (name for name in files if "benchmarks" not in name.parts and name.name != "provenance.json")
        return {str(name): files[name].read_bytes() for name in same}

    on_slurm, local = made(checkout.folder), made(smoke.folder)
    assert on_slurm.keys() == local.keys()
    assert [name for name in local if on_slurm[name] != local[name]] == []


def test_two_hundred_jobs_in_arrays(tmp_path: Path, probe, slurm: Cluster):
    begin = time.monotonic()
    text = output_of(
        probe(f"jobs={JOBS}", options=("--slurm-array-jobs", "plain", "--jobs", str(JOBS)), profile="slurm")
    )
    on_slurm = time.monotonic() - begin
    arrays = re.findall(r"Submitted array job with .* and SLURM job ID (\d+)", text)
    assert arrays
    assert len(list((tmp_path / "plain").iterdir())) == JOBS
    begin = time.monotonic()
    command = ["--executor", "local", "--cores", "4", "--forceall"]
    output_of(probe(f"jobs={JOBS}", options=tuple(command), profile="default"))
    local = time.monotonic() - begin
    listed = slurm.command("squeue", "--states=all", "--noheader", "--array", "--format=%F %S %e")
    spans = [line.split()[1:] for line in listed.splitlines() if line.split()[0] in arrays]
    inside = [seconds(end) - seconds(start) for start, end in spans]
    print(
        f"\n{JOBS} empty jobs, four at once: {on_slurm:.0f} s in {len(arrays)} arrays, {local:.0f} s local; "
        f"{on_slurm / JOBS:.2f} and {local / JOBS:.2f} s a job; inside SLURM a job took {sum(inside) / len(inside):.1f} s"
    )


def seconds(stamp: str) -> float:
    return time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%S"))


def test_a_job_that_needs_more_time_gets_it(tmp_path: Path, probe):
    # One minute at first, two then.
    text = output_of(probe("jobs=1", "seconds=75"))
    assert "SLURM status is: 'TIMEOUT'" in text
    assert "Trying to restart job" in text
    assert (tmp_path / "plain" / "0.json").exists()


def test_a_job_that_needs_more_memory_gets_it(tmp_path: Path, probe):
    # 500 MB at first, 1000 then; it lives long enough to be seen by a poll.
    text = output_of(probe("jobs=1", "hold_mb=700", "seconds=5"))
    assert text.count("Trying to restart job") == 1
    assert (tmp_path / "plain" / "0.json").exists()


def test_a_job_that_never_has_enough_fails_with_one_sentence_and_a_rerun_completes(tmp_path: Path, probe):
    text = output_of(probe("jobs=2", "hold_mb=700", "seconds=5", options=("--retries", "0")), code=1)
    assert re.search(r"SLURM-job '\d+' failed, SLURM status is: '(FAILED|OUT_OF_MEMORY)'", text)
    assert "Traceback" not in text
    assert not list(tmp_path.glob("plain/*.json"))
    output_of(probe("jobs=2", "hold_mb=0"))
    assert len(list(tmp_path.glob("plain/*.json"))) == 2


def test_a_cancelled_job_is_tried_again(tmp_path: Path, probe, slurm: Cluster):
    run = probe("jobs=1", "seconds=15")
    slurm.command("scancel", running(slurm))
    text = output_of(run)
    assert "SLURM status is: 'CANCELLED'" in text
    assert (tmp_path / "plain" / "0.json").exists()


def test_a_job_of_a_failed_node_starts_again_on_another(tmp_path: Path, probe, slurm: Cluster):
    run = probe("jobs=1", "seconds=20")
    job = running(slurm)
    node = slurm.command("squeue", "--noheader", f"--jobs={job}", "--format=%N")
    slurm.end_node(node)
    slurm.command("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    failed = time.time()
    try:
        output_of(run)
    finally:
        slurm.start_node(node)
        slurm.command("scontrol", "update", f"nodename={node}", "state=resume", check=False)
    seen = json.loads((tmp_path / "plain" / "0.json").read_text())
    assert seen["node"] != node
    assert seen["began"] > failed


def test_a_drained_node_gets_no_more_jobs_and_those_requeued_go_elsewhere(tmp_path: Path, probe, slurm: Cluster):
    run = probe("jobs=1", "seconds=15")
    job = running(slurm)
    node = slurm.command("squeue", "--noheader", f"--jobs={job}", "--format=%N")
    slurm.command("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    slurm.command("scontrol", "requeue", job)
    try:
        output_of(run)
    finally:
        slurm.command("scontrol", "update", f"nodename={node}", "state=resume")
    assert json.loads((tmp_path / "plain" / "0.json").read_text())["node"] != node


def test_the_generic_profile_submits_asks_and_retries(tmp_path: Path, probe, slurm: Cluster):
    text = output_of(probe("jobs=1", "gpu_jobs=1", "hold_mb=700", "seconds=5", profile="cluster-generic"))
    assert "Trying to restart job" in text
    assert len(json.loads((tmp_path / "gpu" / "0.json").read_text())["gpus"]) == 1
    assert json.loads((tmp_path / "plain" / "0.json").read_text())["gpus"] == []


def test_gpus_can_be_asked_for_by_gres(tmp_path: Path, probe, slurm: Cluster):
    options = ("--default-resources", "gpu_gres=gpu:1", "mem_mb=500", "runtime=5")
    output_of(probe("jobs=1", "gpu_jobs=2", "seconds=3", options=options))
    seen = [json.loads(path.read_text())["gpus"] for path in (tmp_path / "gpu").iterdir()]
    assert [len(gpus) for gpus in seen] == [1, 1]
    assert json.loads((tmp_path / "plain" / "0.json").read_text())["gpus"] == []
    # What was asked for stands in the same column either way; only `--gpus` counts GPUs of the whole job.
    asked = slurm.command("squeue", "--states=all", "--noheader", "--Format=tres-per-node:20,tres-per-job:20")
    assert [line.split() for line in asked.splitlines()].count(["gres:gpu:1", "N/A"]) >= 2
