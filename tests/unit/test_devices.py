import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline import devices
from pipeline.devices import DeviceError, candidates, choose_device, gpus_of_a_job, halve_on_out_of_memory
from pipeline.errors import UserError

# Takes a GPU of a fake list of three, notes when it had it, and lets go.
WORKER = """
import os, sys, time
from pathlib import Path
from pipeline.devices import choose_device
with choose_device("auto", Path(sys.argv[1]), find_gpus=lambda: ["0", "1", "2"]) as device:
    begin = time.monotonic()
    print(device, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    time.sleep(float(sys.argv[2]))
    print(begin, time.monotonic(), flush=True)
"""


@pytest.fixture(autouse=True)
def no_scheduler(monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def worker(folder, seconds):
    return subprocess.Popen([sys.executable, "-c", WORKER, folder, str(seconds)], stdout=subprocess.PIPE, text=True)


def test_ten_jobs_on_three_gpus_never_share_one(tmp_path):
    jobs = [worker(tmp_path, 0.3) for _ in range(10)]
    spans: dict[str, list[tuple[float, float]]] = {}
    for job in jobs:
        text, _ = job.communicate(timeout=60)
        device, gpu, begin, end = text.split()
        assert device == "cuda"
        spans.setdefault(gpu, []).append((float(begin), float(end)))
    assert sum(map(len, spans.values())) == 10
    assert set(spans) <= {"0", "1", "2"}
    for held in spans.values():
        held.sort()
        assert all(first[1] <= second[0] for first, second in zip(held, held[1:], strict=False))


def test_a_killed_job_frees_its_gpu(tmp_path):
    holder = worker(tmp_path, 60)
    holder.stdout.readline()
    with pytest.raises(DeviceError, match="became free"), choose_device("cuda:0", tmp_path, 0.1, lambda: ["0"]):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with choose_device("cuda:0", tmp_path, 10, lambda: ["0"]) as device:
        assert device == "cuda"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (["0", "1"], False)),
        ({"CUDA_VISIBLE_DEVICES": ""}, ([], False)),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ([], False)),
        ({"CUDA_VISIBLE_DEVICES": "3"}, (["3"], True)),
        ({"CUDA_VISIBLE_DEVICES": "3,4"}, (["3", "4"], False)),
        ({"CUDA_VISIBLE_DEVICES": "3,4", "SLURM_JOB_ID": "9"}, (["3", "4"], True)),
    ],
)  # fmt: skip
def test_a_schedulers_choice_is_respected(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert candidates(lambda: ["0", "1"]) == expected


def test_a_reserved_gpu_needs_no_lock(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    with choose_device("auto", tmp_path / "locks") as device:
        assert device == "cuda"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert not (tmp_path / "locks").exists()


def test_listed_gpus_are_restored(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    with choose_device("cuda:1", tmp_path) as device:
        assert (device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "4")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"


def test_without_a_gpu(tmp_path):
    with choose_device("auto", tmp_path, find_gpus=list) as device:
        assert device == "cpu"
    with choose_device("cpu", tmp_path, find_gpus=lambda: ["0"]) as device:
        assert device == "cpu"
    for setting in ("cuda", "cuda:2"):
        with pytest.raises(DeviceError, match=f"'{setting}' asks for a GPU and none was found"):
            with choose_device(setting, tmp_path, find_gpus=list):
                pass


def test_jobs_ask_for_a_gpu_where_there_is_one():
    assert gpus_of_a_job("auto", list) == 0
    assert gpus_of_a_job("auto", lambda: ["0"]) == 1
    assert gpus_of_a_job("cpu", lambda: ["0"]) == 0
    assert gpus_of_a_job("cuda", list) == 1


def test_gpus_are_listed_by_the_driver(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A (UUID: x)'\necho 'GPU 1: NVIDIA B (UUID: y)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.visible_gpus() == ["0", "1"]


def test_out_of_memory_halves_the_batch():
    tried = []

    def compute(batch_size):
        tried.append(batch_size)
        if batch_size > 30:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        return batch_size

    def fail(batch_size):
        raise RuntimeError("shape")

    assert halve_on_out_of_memory(compute, 100) == 25
    assert tried == [100, 50, 25]
    with pytest.raises(UserError, match="out of memory at a batch size of 40"):
        halve_on_out_of_memory(compute, 100, minimum=40)
    with pytest.raises(RuntimeError, match="shape"):
        halve_on_out_of_memory(fail, 4)


def test_waiting_for_a_gpu_ends_when_one_is_free(tmp_path):
    holder = worker(tmp_path, 0.5)
    holder.stdout.readline()
    begin = time.monotonic()
    with choose_device("cuda:0", tmp_path, 20, lambda: ["0"]):
        pass
    holder.wait()
    assert time.monotonic() - begin < 20
