import json
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

from pipeline.errors import UserError
from pipeline.running.job import job

RUN = """
import json, sys, torch
from types import SimpleNamespace
from pipeline.errors import UserError
from pipeline.running.job import job

class Params(dict):
    spec = {"threads": 3, "seed": 5, "code": "x", "gamma": 0.7}

snakemake = SimpleNamespace(params=Params(device="cpu"), log=[sys.argv[1]], rule="bracket", scriptdir="/a/scripts/stage")
with job(snakemake) as run:
    BODY
"""


def run(tmp_path, body):
    log = tmp_path / "logs" / "a.log"
    code = textwrap.dedent(RUN).replace("BODY", body)
    done = subprocess.run([sys.executable, "-c", code, log], capture_output=True, text=True)
    return done, log.read_text()


def test_the_science_gets_its_settings_threads_and_provenance(tmp_path):
    done, _ = run(
        tmp_path, "print(json.dumps([run.settings, run.device, run.provenance.script, torch.get_num_threads()]))"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"seed": 5, "gamma": 0.7}, "cpu", "scripts/stage/bracket", 3]


@pytest.mark.parametrize(
    ("body", "sentence", "in_log"),
    [
        ("raise UserError('a.h5: no such file')", "scripts/stage/bracket: a.h5: no such file", False),
        ("raise ValueError('somewhere else')", "bracket failed: ValueError: somewhere else", True),
        ("from neighborhoods.networks.factories import load; load('nowhere:f')", "module nowhere cannot be imported", False),
        ("[][1]", "bracket failed: IndexError: list index out of range", True),
    ],
)  # fmt: skip
def test_a_failed_job_says_one_sentence(tmp_path, body, sentence, in_log):
    done, log = run(tmp_path, body)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert sentence in log
    assert ("Traceback" in log) == in_log


def test_provenance_of_a_script_does_not_depend_on_the_checkout():
    for folder in ("/home/someone/scripts-of-mine/scripts/stage", "/elsewhere/scripts/stage"):
        snakemake = SimpleNamespace(params=_Params(), log=[], rule="bracket", scriptdir=folder)
        with job(snakemake) as run:
            assert run.provenance.script == "scripts/stage/bracket"


@pytest.mark.parametrize("error", [UserError("a.h5: no such file"), ValueError("bad"), KeyError("x")])
def test_any_error_ends_the_job_with_status_1(tmp_path, error):
    snakemake = SimpleNamespace(params=_Params(), log=[str(tmp_path / "a.log")], rule="bracket", scriptdir="/scripts/a")
    with pytest.raises(SystemExit) as caught, job(snakemake):
        raise error
    assert caught.value.code == 1
    assert str(error).strip("'") in (tmp_path / "a.log").read_text()


class _Params(dict):
    spec = {"seed": 1}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried')", "bracket: the GPU's memory is exhausted"),
        ("raise MemoryError('Unable to allocate 3 GiB')", "bracket: the machine's memory is exhausted"),
        # As torch's allocator for the CPU says it; so many addresses there are not.
        ("torch.empty(2**60, dtype=torch.uint8)", "bracket: the machine's memory is exhausted"),
    ],
)
def test_exhausted_memory_is_a_sentence_that_says_what_to_do(tmp_path, body, sentence):
    done, _ = run(tmp_path, body)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_that_cannot_be_written_takes_nothing_from_the_job(tmp_path):
    (tmp_path / "logs").touch()  # a file where the folder should be
    code = textwrap.dedent(RUN).replace("BODY", "raise UserError('a.h5: no such file')")
    log = tmp_path / "logs" / "a.log"
    done = subprocess.run([sys.executable, "-c", code, log], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{log}: cannot be written (" in done.stderr
    assert "scripts/stage/bracket: a.h5: no such file" in done.stderr
    assert "Traceback" not in done.stderr
