"""The workflow on a real SLURM of two nodes: results, GPUs, and what is left of a run that was killed."""

import itertools
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import Checkout
from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.conftest import output_of

ROOT = Path(__file__).resolve().parents[2]
PROBE = ["--snakefile", "tests/slurm/probe/Snakefile"]
ATTACKS = ("fc-100-20-10/igsm-one", "fc-100-20-10/igsm-all", "fc10-4/lbfgs", "c-2/igsm-untargeted")
# The data, three networks and four attacks: eight jobs, seven of which ask for a GPU.
EIGHT_JOBS = [f"results/attacks/mnist5k/{attack}.h5" for attack in ATTACKS]


def results(folder: Path) -> dict[str, bytes]:
    """Bytes of all HDF5 files below a folder, by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "results").rglob("*.h5")}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_eight_jobs_give_the_bytes_of_a_local_run(checkout: Checkout, smoke: Checkout, run_on_slurm, slurm: Cluster):
    text = output_of(run_on_slurm(checkout.folder, "--configfile", "config/smoke.yaml", "--", *EIGHT_JOBS))
    assert "8 of 8 steps (100%) done" in text
    assert text.count("Auto-selected partition 'gpu'") == 7
    made, local = results(checkout.folder), results(smoke.folder)
    assert len(made) == 8
    assert made == {name: local[name] for name in made}
    asked = slurm.command("squeue", "--states=all", "--noheader", "--Format=Partition:10,tres-per-job:20")
    rows = [line.split() for line in asked.splitlines()]
    assert all((row[0] == "gpu") == (row[1] == "gres:gpu:1") for row in rows)


def test_each_job_sees_the_gpu_it_asked_for(tmp_path: Path, run_on_slurm):
    wanted = ["--config", "jobs=1", "gpu_jobs=4", "seconds=4"]
    output_of(run_on_slurm(ROOT, *PROBE, "--directory", str(tmp_path), *wanted))
    seen = [json.loads(path.read_text()) for path in (tmp_path / "gpu").iterdir()]
    assert all(len(job["gpus"]) == 1 for job in seen)
    at_once = [
        (one, two)
        for one, two in itertools.combinations(seen, 2)
        if one["began"] < two["ended"] and two["began"] < one["ended"]
    ]
    assert at_once
    for one, two in at_once:
        assert (one["node"], one["gpus"]) != (two["node"], two["gpus"])
    assert json.loads((tmp_path / "plain" / "0.json").read_text())["gpus"] == []


def test_a_job_of_a_killed_run_does_not_replace_a_newer_result(checkout: Checkout, run_on_slurm, slurm: Cluster):
    # The script of the only job waits for a file before it publishes, as a long computation would.
    script = "scripts/data/make_gaussians.py"
    wait = (
        "    import time\n    from pathlib import Path\n    Path(f'started-{seed}').touch()\n"
        "    while not Path(f'go-{seed}').exists():\n        time.sleep(0.1)\n"
    )
    folder = checkout.folder
    source = (folder / script).read_text()
    publish = "    with writing("
    assert publish in source
    (folder / script).write_text(source.replace(publish, wait + publish, 1))
    target = "results/data/gaussians.h5"
    arguments = ["--configfile", "config/smoke.yaml"]

    old = run_on_slurm(folder, *arguments, "--config", "seed=1", "--", target)
    wait_for(lambda: list(folder.glob("started-*")), "the old job", 120)
    old_go = next(folder.glob("started-*")).name.replace("started", "go")
    engine = int(Path(f"/proc/{old.pid}/task/{old.pid}/children").read_text().split()[0])
    os.kill(engine, signal.SIGKILL)
    old.wait(60)

    # The job is SLURM's: it lives on, and a new run is told so.
    refused, _ = run_on_slurm(folder, *arguments, "--config", "seed=2", "--", target).communicate(timeout=60)
    job = slurm.command("squeue", "--noheader", "--format=%i")
    assert f"SLURM has jobs of another run in {folder} ({job})" in refused

    # Someone who knows better takes the lock away and starts Snakemake itself, with another seed.
    checkout.snakemake("--unlock", "--configfile", "config/smoke.yaml")
    new = run_on_slurm(folder, *arguments, "--config", "seed=2", "--", target, module="snakemake")
    wait_for(lambda: len(list(folder.glob("started-*"))) == 2, "the new job", 120)
    new_go = next(path.name for path in folder.glob("started-*") if path.name[8:] != old_go[3:]).replace(
        "started", "go"
    )
    (folder / new_go).touch()
    output_of(new)
    published = (folder / target).read_bytes()
    (folder / old_go).touch()
    wait_for(lambda: not slurm.command("squeue", "--noheader"), "the end of the old job", 60)
    time.sleep(1)
    assert (folder / target).read_bytes() == published
    states = slurm.command("squeue", "--states=all", "--noheader", f"--jobs={job}", "--format=%T")
    assert states == "FAILED"
