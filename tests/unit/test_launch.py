import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.launch import locks, main, on_cluster, option, users_of, working_folder

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
rule all:
    output: "out.txt"
    script: "wait.py"
"""
SCRIPT = """
import time
from pathlib import Path
Path("started").touch()
while not Path("go").exists():
    time.sleep(0.05)
Path(snakemake.output[0]).write_text("done")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "wait.py").write_text(SCRIPT)
    return folder


def launch(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "pipeline.launch", "--cores", "1", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def wait_until(condition, timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def child_of(process: subprocess.Popen) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def test_a_second_run_is_refused_and_a_stale_lock_is_removed(project, tmp_path):
    first = launch(project)
    wait_until((project / "started").exists)
    engine = child_of(first)
    second = launch(project)
    text, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"(process {engine}" in text
    assert "Traceback" not in text
    assert locks(project)
    # A run of the same workflow elsewhere is no obstacle.
    other = tmp_path / "other"
    other.mkdir()
    (other / "go").touch()
    elsewhere = launch(project, "--directory", str(other))
    assert elsewhere.wait(60) == 0, elsewhere.stdout.read()

    os.kill(engine, signal.SIGKILL)
    first.wait(30)  # its orphan keeps the pipe open
    assert first.returncode == 128 + signal.SIGKILL
    assert locks(project)
    # This script has no orphan watch: let it end.
    (project / "go").touch()
    third = launch(project, "--rerun-incomplete")
    text, _ = third.communicate(timeout=60)
    assert third.returncode == 0, text
    assert "removed the stale lock" in text
    assert (project / "out.txt").read_text() == "done"
    assert not locks(project)


def test_an_interrupt_is_passed_on(project):
    run = launch(project)
    wait_until((project / "started").exists)
    (project / "go").touch()
    run.send_signal(signal.SIGTERM)
    text, _ = run.communicate(timeout=60)
    assert run.returncode != 0, text
    assert not locks(project)


def test_a_cluster_run_keeps_its_lock(project):
    (project / ".snakemake/locks").mkdir(parents=True)
    lock = project / ".snakemake/locks/0.input.lock"
    lock.touch()
    run = launch(project, "--executor", "dryrun", "--dry-run", "--nolock")
    text, _ = run.communicate(timeout=60)
    assert "snakemake --unlock" in text
    assert lock.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], False),
        (["--executor", "local"], False),
        (["--executor", "slurm"], True),
        (["--executor=slurm"], True),
        (["-e", "slurm"], True),
        (["--workflow-profile", "profiles/slurm"], True),
        (["--profile=profiles/slurm"], True),
        (["--workflow-profile", "profiles/default"], False),
        (["--workflow-profile", "profiles/slurm", "--executor", "local"], False),
    ],
)  # fmt: skip
def test_clusters_are_recognised(monkeypatch, arguments, expected):
    monkeypatch.chdir(ROOT)
    assert on_cluster(arguments, ROOT) == expected


def test_the_front_end_decides_before_snakemake_starts(project, monkeypatch, capsys):
    started = []
    monkeypatch.setattr("pipeline.launch._run", lambda command: started.append(command) or 0)
    monkeypatch.setattr("pipeline.launch.ORPHANS_END_S", 0.3)
    arguments = ["--directory", str(project)]
    (project / ".snakemake/locks").mkdir(parents=True)
    (project / ".snakemake/scripts").mkdir()
    (project / ".snakemake/locks/0.input.lock").touch()
    script = project / ".snakemake/scripts/tmp.wait.py"
    script.write_text("import time; time.sleep(60)")
    orphan = subprocess.Popen([sys.executable, str(script)])
    try:
        wait_until(lambda: users_of(project)[1])
        assert main(arguments) == 1
        assert str(orphan.pid) in capsys.readouterr().err
        assert not started
    finally:
        orphan.kill()
        orphan.wait()
    assert main([*arguments, "--executor", "slurm"]) == 0
    assert locks(project)
    assert main(arguments) == 0
    assert not locks(project)
    assert len(started) == 2


def test_options_are_found_in_every_form(tmp_path):
    assert option(["--cores", "2"], "--directory", "-d") is None
    assert option(["-d", "a", "--directory=b"], "--directory", "-d") == "b"
    assert working_folder(["--directory", str(tmp_path)]) == tmp_path.resolve()
    assert working_folder([]) == Path.cwd()
