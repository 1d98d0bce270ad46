"""The record of a run: what it says of code and files, what later runs keep of it, and what `verify` finds."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.provenance import history, surroundings, verify
from pipeline.provenance.history import PROVENANCE, read_provenance, record, result_files
from pipeline.provenance.surroundings import code_state, hardware, versions
from pipeline.running.usage import Usage
from pipeline.store import Provenance, StoreError, reading, writing

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Notes:
    """What Snakemake notes of a job."""

    rule: str | None = "make"
    code: str | None = '        "../scripts/stage/make.py"\n'
    params: list[Any] | None = field(default_factory=lambda: ["'cpu'", "{'code': 'abc', 'seed': 5, 'sigma': 0.5}"])
    log: list[str] | None = field(default_factory=lambda: ["logs/make.log"])
    starttime: float | None = 1e9
    endtime: float | None = 1e9 + 1


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with results of each kind; calling it writes the record of a run whose jobs Snakemake noted."""
    monkeypatch.setattr(history, "code_state", lambda root: {"commit": "c0ffee", "dirty": False, "changes": None})
    monkeypatch.setattr(history, "versions", dict)
    monkeypatch.setattr(history, "hardware", dict)
    (tmp_path / "results" / "figures").mkdir(parents=True)
    with writing(tmp_path / "results" / "sigma.h5", Provenance({"seed": 5})) as file:
        file.put("sigma", range(1000), "widths", ("image",))
    (tmp_path / "results" / "figures" / "a.png").write_bytes(b"a picture")
    notes = {f"results/{name}": Notes() for name in ("sigma.h5", "figures/a.png")}

    def write(outcome="success", config=None, began=0.0):
        config = config or {"seed": 1}
        record(tmp_path, ROOT, config, lambda path: notes.get(path), outcome, ["snakemake", "-c1"], began)
        return read_provenance(tmp_path)

    write.folder, write.notes = tmp_path, notes
    return write


def damage(path: Path) -> None:
    """Flip a bit in the middle of a file, as a disk may, with its times kept."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_results_have_their_hash_rule_spec_and_seed(run):
    used = Usage(3.0, 2.5, 400.0, "NVIDIA H200", 900.0, "EPYC", "node7")
    (run.folder / "logs").mkdir()
    (run.folder / "logs" / "make.log").write_text(f"started\nscripts/make: {used.line()}\n")
    found = run("error")
    entry = found["results"]["results/sigma.h5"]
    assert entry["sha256"] == hashlib.sha256((run.folder / "results/sigma.h5").read_bytes()).hexdigest()
    assert (entry["rule"], entry["script"], entry["seed"]) == ("make", "scripts/stage/make.py", 5)
    spec = json.dumps({"code": "abc", "seed": 5, "sigma": 0.5}, sort_keys=True)
    assert entry["spec"] == hashlib.sha256(spec.encode()).hexdigest()
    assert (entry["device"], entry["host"], entry["code"]) == ("NVIDIA H200", "node7", "c0ffee")
    assert entry["finished"] == "2001-09-09T01:46:41.000000+00:00"
    assert found["run"]["outcome"] == "error"
    assert (found["seed"], found["config"]) == (1, {"seed": 1})


def test_results_of_an_earlier_run_do_not_get_the_commit_of_this_one(run):
    # As after a run that was killed, or in a folder that is older than the record.
    run.notes["results/figures/a.png"] = Notes(starttime=2e9, endtime=2e9 + 1)
    found = run(began=1.5e9)["results"]
    assert (found["results/sigma.h5"]["code"], found["results/figures/a.png"]["code"]) == (None, "c0ffee")
    run.notes.clear()
    assert run(began=1.5e9)["results"] == found, "what was recorded stays"
    (run.folder / PROVENANCE).unlink()
    assert run()["results"]["results/sigma.h5"]["code"] is None, "nobody knows who made it"


def test_only_results_count(run):
    for name in (
        "benchmarks/a.tsv",
        "report.html",
        "report/bell.html",
        ".sigma.h5.7.tmp",
        "figures/.b.png.9.tmp",
        "notes.txt",
    ):
        path = run.folder / "results" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (run.folder / "results" / "rulegraph.png").write_text("x")
    assert [path.as_posix() for path in result_files(run.folder)] == ["results/figures/a.png", "results/sigma.h5"]
    assert set(run()["results"]) == {"results/figures/a.png", "results/sigma.h5"}


def test_a_result_that_was_not_made_again_keeps_its_hash(run):
    first = run()["results"]
    damage(run.folder / "results/sigma.h5")
    (run.folder / "results/figures/a.png").write_bytes(b"another picture")
    run.notes["results/figures/a.png"] = Notes(starttime=2e9, endtime=2e9 + 1)
    second = run()["results"]
    assert second["results/sigma.h5"] == first["results/sigma.h5"]
    assert second["results/figures/a.png"]["sha256"] == hashlib.sha256(b"another picture").hexdigest()
    problems = verify.differences(run.folder, second)
    assert {name: kind for name, (kind, _) in problems.items()} == {"results/sigma.h5": "damaged"}


def test_what_a_failed_run_took_away_is_no_longer_listed(run):
    run()
    (run.folder / "results/sigma.h5").unlink()
    assert set(run("error")["results"]) == {"results/figures/a.png"}


def test_a_result_that_snakemake_knows_nothing_of_is_still_hashed(run):
    run.notes.clear()
    entry = run()["results"]["results/sigma.h5"]
    assert (entry["rule"], entry["spec"], entry["seed"]) == (None, None, None)
    assert len(entry["sha256"]) == 64


def test_passwords_in_addresses_are_left_out(run):
    run(config={"seed": 1, "mirror": "https://user:secret@data.example/x"})
    text = (run.folder / PROVENANCE).read_text()
    assert "secret" not in text
    assert "https://data.example/x" in text


def test_a_folder_that_cannot_be_written_costs_a_sentence_only(run, monkeypatch, capsys):
    def full(path, target):
        raise OSError(28, "No space left on device")

    run()
    before = (run.folder / PROVENANCE).read_bytes()
    monkeypatch.setattr("pipeline.store.os.replace", full)
    run("error")
    said = capsys.readouterr().err
    assert "the run's record was not written" in said
    assert "No space left on device" in said
    assert (run.folder / PROVENANCE).read_bytes() == before
    assert not list((run.folder / "results").glob(".*"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 0, "results": {}}', '{"format": 1, "results": {"a": 3}}'])
def test_a_damaged_record_is_named_and_replaced(run, text, capsys):
    (run.folder / PROVENANCE).write_text(text)
    with pytest.raises(StoreError, match=r"provenance\.json: (not readable|expected)"):
        read_provenance(run.folder)
    assert verify.main(["--directory", str(run.folder)]) == 1
    assert capsys.readouterr().out.count("\n") == 1
    assert len(run()["results"]) == 2
    assert "hashes of earlier runs are lost" in capsys.readouterr().err
    run()
    assert not capsys.readouterr().err


def test_verify_names_what_is_wrong_and_deletes_only_that(run, capsys):
    for name in ("b.png", "c.csv"):
        (run.folder / "results/figures" / name).write_text(name)
    run()
    where = ["--directory", str(run.folder)]
    assert verify.main(where) == 0
    assert "4 of 4 recorded results are as they were made" in capsys.readouterr().out
    damage(run.folder / "results/sigma.h5")
    (run.folder / "results/figures/a.png").unlink()
    (run.folder / "results/figures/b.png").write_text("edited")
    (run.folder / "results/figures/mine.png").write_text("drawn by hand")
    (run.folder / "results/notes.txt").write_text("not a result")
    assert verify.main(where) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in said[:4]] == [
        "results/figures/a.png: missing",
        "results/figures/b.png: changed",
        "results/figures/mine.png: unknown",
        "results/sigma.h5: damaged",
    ]
    assert "--remove" in said[-1]
    assert verify.main([*where, "--remove"]) == 1
    left = sorted(path.name for path in (run.folder / "results").rglob("*") if path.is_file())
    assert left == ["c.csv", "mine.png", "notes.txt", "provenance.json"]


def test_verify_never_deletes_beyond_the_results(run):
    run()
    outside = run.folder / "precious.h5"
    outside.write_text("precious")
    found = json.loads((run.folder / PROVENANCE).read_text())
    for name in ("precious.h5", "results/../precious.h5", str(outside)):
        found["results"][name] = {"sha256": "0" * 64}
    (run.folder / PROVENANCE).write_text(json.dumps(found))
    assert verify.main(["--directory", str(run.folder), "--remove"]) == 1
    assert outside.read_text() == "precious"


def test_the_state_of_the_code(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    assert code_state(tmp_path)["commit"] is None
    assert "not a git repository" in code_state(tmp_path)["reason"]
    git("init")
    (tmp_path / "a.py").write_text("one = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    clean = code_state(tmp_path)
    assert len(clean["commit"]) == 40
    assert (clean["dirty"], clean["changes"], clean["reason"]) == (False, None, None)
    (tmp_path / "overlay.yaml").write_text("seed: 1\n")
    assert code_state(tmp_path) == clean, "a configuration is recorded by its settings"
    (tmp_path / "a.py").write_text("one = 2\n")
    changed = code_state(tmp_path)
    (tmp_path / "b.py").write_text("two = 2\n")
    more = code_state(tmp_path)
    assert changed["dirty"]
    assert more["dirty"]
    assert len({changed["changes"], more["changes"]}) == 2
    (tmp_path / "part").mkdir()
    assert code_state(tmp_path / "part")["reason"] == "the checkout is part of another repository"


def test_without_git_the_reason_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_state(ROOT) == {"commit": None, "dirty": None, "changes": None, "reason": "git is not installed"}
    assert hardware()["gpus"] == []


def test_gpus_are_those_that_the_driver_lists(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 570.1'\necho 'NVIDIA H200, 143771 MiB, 570.1'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert hardware()["gpus"] == ["NVIDIA H200, 143771 MiB, 570.1"] * 2


def test_versions_are_those_that_run():
    import h5py

    found = versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["h5py"] == h5py.__version__


def test_the_answer_of_a_program_that_hangs_is_not_waited_for(monkeypatch):
    def hang(*arguments, **options):
        raise subprocess.TimeoutExpired("git", 30)

    monkeypatch.setattr(surroundings.subprocess, "run", hang)
    assert "gave no answer" in code_state(ROOT)["reason"]


def test_a_readable_result_with_other_bytes_is_changed_not_damaged(run):
    found = run()["results"]
    with writing(run.folder / "results/sigma.h5", Provenance({"seed": 6})) as file:
        file.put("sigma", range(5), "widths", ("image",))
    assert verify.differences(run.folder, found)["results/sigma.h5"][0] == "changed"
    with reading(run.folder / "results/sigma.h5") as file:
        assert file.attribute("seed") == 6
