"""Several runs in one folder, and several jobs for few GPUs."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.faults.branch import FIGURE, Branch, end, engine_of, wait_for
from tests.faults.kills import unexplained

# Takes a GPU of a pretended list of three, writes when it has and had it, and works for a while.
JOB = """
import os, sys, time
from pathlib import Path
from pipeline.running.devices import choose_device
os.environ.pop("CUDA_VISIBLE_DEVICES", None)
with choose_device("auto", Path(sys.argv[1]), find_gpus=lambda: ["0", "1", "2"]) as device:
    print(device, os.environ["CUDA_VISIBLE_DEVICES"], time.monotonic(), flush=True)
    time.sleep(0.4)
    print(time.monotonic(), flush=True)
"""


def test_ten_jobs_share_three_gpus_though_some_are_killed(tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", JOB, tmp_path], stdout=subprocess.PIPE, text=True) for _ in range(10)
    ]
    draw, spans, killed = random.Random(0), {}, 0
    for number, job in enumerate(started):
        lines = [job.stdout.readline()]
        if draw.random() < 0.3 or number == 0:
            job.send_signal(signal.SIGKILL)
            killed += 1
        lines += job.stdout.readlines()
        job.wait(60)
        device, gpu, begin = lines[0].split()
        assert device == "cuda"
        # Of a killed one only the beginning is known.
        spans.setdefault(gpu, []).append((float(begin), float(lines[1] if len(lines) > 1 else begin)))
    assert killed >= 1
    assert set(spans) <= {"0", "1", "2"}
    assert sum(map(len, spans.values())) == 10
    for held in spans.values():
        held.sort()
        assert all(first[1] <= second[0] for first, second in zip(held, held[1:], strict=False))


@pytest.mark.parametrize("count", [2, pytest.param(6, marks=pytest.mark.long)])
def test_of_runs_that_start_at_the_same_moment_one_works(undisturbed, branch, count):
    (branch.folder / FIGURE).unlink()
    logs = [Branch(branch.folder) for _ in range(count)]
    for number, one in enumerate(logs):
        one.log = branch.folder.parent / f"{number}.log"
    runs = [one.start(FIGURE) for one in logs]
    try:
        ended = [run.wait(120) for run in runs]
    finally:
        for run in runs:
            end(run)
    assert sorted(ended) == [0, *[1] * (count - 1)], [one.text() for one in logs]
    for status, one in zip(ended, logs, strict=True):
        assert unexplained(one.text()) == []
        if status:
            (sentence,) = one.text().splitlines()
            assert sentence.startswith("another run of this workflow ")
            assert sentence.endswith("; wait for it or end it")
            assert str(branch.folder) in sentence
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []


@pytest.mark.long
def test_a_second_run_names_the_first_and_harms_nothing(undisturbed, branch):
    (branch.folder / "results/data/mnist5k.h5").unlink()
    first = branch.start(options=("--forceall",))
    try:
        engine = wait_for(lambda: engine_of(first))
        time.sleep(3)
        second = Branch(branch.folder)
        second.log = branch.folder.parent / "second.log"
        status, printed = second.run()
        assert status == 1
        assert f"another run of this workflow works in {branch.folder} (process {engine.pid}" in printed
        assert first.wait(300) == 0, branch.text()
    finally:
        end(first)
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []


@pytest.mark.long
def test_a_stopped_run_still_counts(branch):
    """As under Ctrl-Z."""
    (branch.folder / FIGURE).unlink()
    first = branch.start(FIGURE)
    try:
        wait_for(branch.scripts)
        os.killpg(first.pid, signal.SIGSTOP)
        second = Branch(branch.folder)
        second.log = branch.folder.parent / "second.log"
        status, printed = second.run(FIGURE)
        os.killpg(first.pid, signal.SIGCONT)
        assert status == 1
        assert "another run of this workflow works in" in printed
        assert first.wait(120) == 0
    finally:
        end(first)
