import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.running import launch as launcher
from pipeline.running.arguments import on_cluster, option, working_folder
from pipeline.running.launch import locks, main, users_of

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


@pytest.fixture(autouse=True)
def no_cluster(tmp_path_factory, monkeypatch) -> None:
    """A SLURM that does not answer; a real one without its configuration would look for that for a minute."""
    program = tmp_path_factory.mktemp("bin") / "squeue"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def launch(folder: Path, *arguments: str, start_new_session: bool = False) -> subprocess.Popen:
    command = [sys.executable, "-m", "pipeline.running.launch", "--cores", "1", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=start_new_session,
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
    looking = launch(project, "--dry-run")
    assert looking.wait(60) == 0, looking.stdout.read()
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


def stand_in(folder: Path, *words: str, script: str = "import time; time.sleep(60)") -> subprocess.Popen:
    """A process whose arguments end in the words."""
    return subprocess.Popen([sys.executable, "-c", script, *words], cwd=folder)


@pytest.fixture
def no_run(monkeypatch) -> list[list[str]]:
    """Notes the commands that would be run."""
    commands: list[list[str]] = []
    monkeypatch.setattr(launcher, "_run", lambda command: commands.append(command) or 0)
    return commands


def stale_lock(folder: Path) -> Path:
    lock = folder / ".snakemake" / "locks" / "0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    return lock


def ids(processes) -> list[int]:
    return [process.pid for process in processes]


@pytest.mark.parametrize(
    "words",
    [
        ["/somewhere/bin/snakemake", "--cores", "1"],
        ["-u", "-W", "ignore", "-m", "snakemake"],
        ["-m", "pipeline.running.engine", "--cores", "1"],
        ["/lib/snakemake/__main__.py", "all"],
    ],
)  # fmt: skip
def test_every_way_to_start_snakemake_is_seen_before_it_has_locks(tmp_path, no_run, capsys, words):
    engine = stand_in(tmp_path, *words)
    try:
        wait_until(lambda: ids(users_of(tmp_path)[0]) == [engine.pid])
        assert main(["--directory", str(tmp_path)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    finally:
        engine.kill()
        engine.wait()
    assert not no_run


def test_strangers_other_folders_and_zombies_do_not_count(tmp_path, no_run):
    lock = stale_lock(tmp_path)
    (tmp_path / "other").mkdir()
    others = [
        stand_in(tmp_path, "snakemake.py"),
        stand_in(tmp_path / "other", "snakemake"),
        stand_in(tmp_path, "snakemake", "--directory", str(tmp_path / "other")),
        subprocess.Popen(["sh", "-c", "sleep 60 & wait", "snakemake"], cwd=tmp_path, start_new_session=True),
        stand_in(tmp_path, "snakemake", script="pass"),
    ]
    try:
        wait_until(lambda: Path(f"/proc/{others[-1].pid}/stat").read_text().split()[2] == "Z")
        wait_until(lambda: users_of(tmp_path) == ([], []))
        assert main(["-d", str(tmp_path)]) == 0
    finally:
        os.killpg(others[3].pid, signal.SIGKILL)
        for process in others:
            process.kill()
            process.wait()
    assert not lock.exists()
    assert no_run == [[sys.executable, "-m", "pipeline.running.engine", "-d", str(tmp_path)]]


def test_snakemake_on_its_way_into_the_folder_counts(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "other").mkdir()
    engine = stand_in(tmp_path, "snakemake", "--directory", "work")
    try:
        wait_until(lambda: ids(users_of(tmp_path / "work")[0]) == [engine.pid])
        assert users_of(tmp_path / "other")[0] == []
    finally:
        engine.kill()
        engine.wait()


def orphan(folder: Path, seconds: float) -> subprocess.Popen:
    script = folder / ".snakemake" / "scripts" / "tmp1.job.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"import time; time.sleep({seconds})")
    return subprocess.Popen([sys.executable, script])


def test_orphans_get_time_to_end(tmp_path, no_run, capsys, monkeypatch):
    lock = stale_lock(tmp_path)
    job = orphan(tmp_path, 60)
    wait_until(lambda: ids(users_of(tmp_path)[1]) == [job.pid])
    monkeypatch.setattr(launcher, "ORPHANS_END_S", 0.5)
    assert main(["-d", str(tmp_path)]) == 1
    text = capsys.readouterr().err
    assert str(job.pid) in text
    assert str(tmp_path) in text
    assert lock.exists()
    job.kill()
    job.wait()

    job = orphan(tmp_path, 1)
    monkeypatch.setattr(launcher, "ORPHANS_END_S", 10)
    assert main(["-d", str(tmp_path)]) == 0
    job.wait()
    assert "removed the stale lock" in capsys.readouterr().err
    assert not lock.exists()


def test_a_live_engine_is_named_for_a_cluster_run_too(tmp_path, no_run, capsys):
    lock = stale_lock(tmp_path)
    engine = stand_in(tmp_path, "snakemake")
    try:
        wait_until(lambda: users_of(tmp_path)[0])
        assert main(["-d", str(tmp_path), "--executor", "slurm"]) == 1
    finally:
        engine.kill()
        engine.wait()
    assert str(engine.pid) in capsys.readouterr().err
    assert main(["-d", str(tmp_path), "--executor", "slurm"]) == 0
    assert "snakemake --unlock" in capsys.readouterr().err
    assert lock.exists()


@pytest.mark.parametrize(
    ("number", "answer"), [(signal.SIGTERM, "Will exit after"), (signal.SIGINT, "Terminating processes on user request")]
)  # fmt: skip
def test_signals_are_passed_on(project, number, answer):
    # Without a terminal, so that nothing but the launcher passes the signal on.
    run = launch(project, start_new_session=True)
    wait_until((project / "started").exists)
    run.send_signal(number)
    time.sleep(0.5)
    (project / "go").touch()
    text, _ = run.communicate(timeout=60)
    assert run.returncode != 0, text
    assert not locks(project)
    assert answer in text


def test_ctrl_c_reaches_snakemake_once(project):
    # A terminal whose Ctrl-C reaches the whole group, though standard input comes from elsewhere.
    go = "import os, sys; os.dup2(os.open('/dev/null', 0), 0); os.execv(sys.argv[1], sys.argv[1:])"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(
            sys.executable, [sys.executable, "-c", go, sys.executable, "-m", "pipeline.running.launch", "--cores", "1"]
        )
    wait_until((project / "started").exists)
    os.write(terminal, b"\x03")
    text = b""
    with contextlib.suppress(OSError):  # the terminal goes with its last process
        while piece := os.read(terminal, 4096):
            text += piece
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1, text.decode()
    assert b"Terminating processes on user request" in text
    assert b"running event loop" not in text
    assert not locks(project)


def test_a_cluster_run_keeps_its_lock(project):
    lock = stale_lock(project)
    run = launch(project, "--executor", "dryrun", "--dry-run", "--nolock")
    text, _ = run.communicate(timeout=60)
    assert "snakemake --unlock" in text
    assert lock.exists()


def squeue(folder: Path, monkeypatch, *rows: tuple[str, str]) -> None:
    """Put a `squeue` first that lists jobs with their logs, in columns as SLURM's."""
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "squeue"
    program.write_text("#!/bin/sh\ncat <<END\n" + "".join(f"{job:64}{log:4096}\n" for job, log in rows) + "END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")


def test_jobs_that_slurm_still_has_are_named(tmp_path, no_run, capsys, monkeypatch):
    lock = stale_lock(tmp_path)
    ours = f"{tmp_path}/.snakemake/slurm_logs/rule_train/%A_%a.log"
    squeue(tmp_path, monkeypatch, ("7_[2-9]", ours), ("8", f"{tmp_path}2/.snakemake/a.log"), ("9", ours), ("10", ""))
    assert main(["-d", str(tmp_path), "--executor", "slurm"]) == 1
    text = capsys.readouterr().err
    assert "(7_[2-9], 9)" in text
    assert "scancel 7_[2-9] 9`" in text
    assert not no_run
    assert lock.exists()
    # A run on this machine does not ask.
    assert main(["-d", str(tmp_path)]) == 0


def test_a_lock_is_removed_when_slurm_has_no_job_of_the_folder(tmp_path, no_run, capsys, monkeypatch):
    lock = stale_lock(tmp_path)
    squeue(tmp_path, monkeypatch, ("8", "/elsewhere/.snakemake/slurm_logs/rule_train/8.log"))
    assert main(["-d", str(tmp_path), "--executor", "slurm"]) == 0
    assert "removed the stale lock" in capsys.readouterr().err
    assert not lock.exists()


def test_a_lock_taken_on_another_machine_stays(tmp_path, no_run, capsys, monkeypatch):
    lock = stale_lock(tmp_path)
    squeue(tmp_path, monkeypatch)
    (tmp_path / ".snakemake" / "run").write_text("name-digest\nlogin7\n")
    assert main(["-d", str(tmp_path), "--executor", "slurm"]) == 0
    assert "processes of login7 cannot be seen" in capsys.readouterr().err
    assert lock.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], False),
        (["--executor", "local"], False),
        (["--executor", "slurm"], True),
        (["--executor=slurm"], True),
        (["-e", "slurm"], True),
        (["-eslurm"], True),
        (["--exec", "slurm"], True),
        (["--", "--executor", "slurm"], False),
        (["--workflow-profile", "profiles/slurm"], True),
        (["--workflow-profile", "slurm"], True),
        (["--workflow-profile", "profiles/slurm/config.yaml"], True),
        (["--profile=profiles/slurm"], True),
        (["--profile", "profiles/slurm", "--profile", "profiles/default"], True),
        (["--workflow-profile", "profiles/default"], False),
        (["--workflow-profile", "none"], False),
        (["--workflow-profile", "profiles/slurm", "--executor", "local"], False),
    ],
)  # fmt: skip
def test_clusters_are_recognised(monkeypatch, arguments, expected):
    monkeypatch.chdir(ROOT)
    assert on_cluster(arguments, ROOT) == expected


def profile(folder: Path, text: str, file: str = "config.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)
    return folder


def test_profiles_are_found_where_snakemake_finds_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    local = str(profile(tmp_path / "local", "executor: local"))
    profile(tmp_path / "home/snakemake/campus", "executor: slurm", "config.v8+.yaml")
    assert on_cluster(["--profile", "campus"], tmp_path)
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "campus")
    assert on_cluster([], tmp_path)
    assert not on_cluster(["--profile", "none"], tmp_path)
    # A workflow profile counts before the others, a later one before earlier ones.
    assert not on_cluster(["--profile", "campus", "--workflow-profile", local], tmp_path)
    assert not on_cluster(["--profile", "campus", "--profile", local], tmp_path)
    assert on_cluster(["--profile", local, "--profile", "campus"], tmp_path)
    profile(tmp_path / "repository/profiles/default", "executor: slurm")
    assert on_cluster(["--profile", "none", "--snakefile", "repository/Snakefile"], tmp_path)
    damaged = str(profile(tmp_path / "damaged", "executor: [slurm"))
    assert on_cluster(["--workflow-profile", damaged], tmp_path)


def test_the_front_end_decides_before_snakemake_starts(project, monkeypatch, capsys):
    started = []
    monkeypatch.setattr("pipeline.running.launch._run", lambda command: started.append(command) or 0)
    monkeypatch.setattr("pipeline.running.launch.ORPHANS_END_S", 0.3)
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
    for words in (["-da"], ["-d=a"], ["--direc", "a"], ["--directory=x", "--direc=a"]):
        assert option(words, "--directory", "-d") == "a"
    assert option(["--directory"], "--directory", "-d") is None
    assert working_folder(["--directory", str(tmp_path)]) == tmp_path.resolve()
    assert working_folder([]) == Path.cwd()
