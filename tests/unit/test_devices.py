import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.errors import UserError
from pipeline.running import devices
from pipeline.running.devices import DeviceError, candidates, choose_device, gpus_of_a_job, halve_on_out_of_memory

# Takes a GPU of a fake list of three, notes when it had it, and lets go.
WORKER = """
import os, sys, time
from pathlib import Path
from pipeline.running.devices import choose_device
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
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles", "SLURM_JOB_ID": "9"}, ([], True)),
        # A job that asked SLURM for none may sit on a node that has some.
        ({"SLURM_JOB_ID": "9"}, ([], True)),
        ({"CUDA_VISIBLE_DEVICES": "0,1,-1,2"}, (["0", "1"], False)),
        ({"CUDA_VISIBLE_DEVICES": "GPU-8a, MIG-GPU-8a/1/0"}, (["GPU-8a", "MIG-GPU-8a/1/0"], False)),
    ],
)  # fmt: skip
def test_a_schedulers_choice_is_respected(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert candidates(lambda: ["0", "1"]) == expected


def test_a_reserved_gpu_needs_no_lock(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    with choose_device("auto", tmp_path / "locks", find_gpus=lambda: ["5"]) as device:
        assert device == "cuda"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"
    assert not (tmp_path / "locks").exists()


def test_listed_gpus_are_restored(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    with choose_device("cuda:1", tmp_path) as device:
        assert (device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "4")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"


def test_after_cuda_has_started_the_gpu_is_named_as_torch_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "_cuda_has_started", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    with choose_device("auto", tmp_path, 1, lambda: ["3", "4"]) as device:
        assert device == "cuda:0"
        with choose_device("auto", tmp_path, 1, lambda: ["3", "4"]) as other:
            assert other == "cuda:1"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"


def test_parts_of_a_gpu_can_be_locked(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-8a/1/0,MIG-GPU-8a/2/0")
    with choose_device("cuda:1", tmp_path) as device:
        assert (device, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "MIG-GPU-8a/2/0")


def test_locks_lie_in_a_private_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    with choose_device("cuda", find_gpus=lambda: ["0"]):
        (folder,) = tmp_path.iterdir()
    assert str(os.getuid()) in folder.name
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_a_gpu(tmp_path):
    with choose_device("auto", tmp_path, find_gpus=list) as device:
        assert device == "cpu"
    with choose_device("cpu", tmp_path, find_gpus=lambda: ["0"]) as device:
        assert device == "cpu"
    for setting in ("cuda", "cuda:2"):
        with pytest.raises(DeviceError, match=f"'{setting}' asks for a GPU and none was found"):
            with choose_device(setting, tmp_path, find_gpus=list):
                pass


@pytest.mark.parametrize(
    ("setting", "given", "sentence"),
    [
        ("gpu", None, "'gpu' is not known; use 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        ("cuda:x", None, "'cuda:x' is not known"),
        ("cuda:2", None, "'cuda:2' asks for a GPU and only 2 can be used, counted from 'cuda:0'; use 'auto' or 'cpu'"),
        ("cuda", "-1", r"none was found \(CUDA_VISIBLE_DEVICES is '-1'\)"),
    ],
)  # fmt: skip
def test_a_wrong_device_is_refused_with_a_sentence(monkeypatch, tmp_path, setting, given, sentence):
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    with pytest.raises(DeviceError, match=sentence), choose_device(setting, tmp_path, 0, lambda: ["0", "1"]):
        pass


def test_a_variable_alone_makes_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with choose_device("auto", tmp_path, find_gpus=list) as device:
        assert device == "cpu"
    assert gpus_of_a_job("auto", find_gpus=list) == 0
    # Who insists knows of a GPU that was not found.
    with choose_device("cuda", tmp_path, find_gpus=list) as device:
        assert device == "cuda"


def test_jobs_ask_for_a_gpu_where_there_is_one():
    assert gpus_of_a_job("auto", find_gpus=list) == 0
    assert gpus_of_a_job("auto", find_gpus=lambda: ["0"]) == 1
    assert gpus_of_a_job("cpu", find_gpus=lambda: ["0"]) == 0
    assert gpus_of_a_job("cuda", find_gpus=list) == 1


def test_jobs_of_a_cluster_ask_for_a_gpu_that_is_not_here():
    assert gpus_of_a_job("auto", cluster=True, find_gpus=list) == 1
    assert gpus_of_a_job("cpu", cluster=True, find_gpus=list) == 0


def test_gpus_are_listed_by_the_driver(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A (UUID: x)'\necho 'GPU 1: NVIDIA B (UUID: y)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(devices.importlib.metadata, "version", lambda package: "2.13.0")
    assert devices.visible_gpus() == ["0", "1"]
    monkeypatch.setattr(devices.importlib.metadata, "version", lambda package: "2.13.0+cpu")
    assert devices.visible_gpus() == []
    with pytest.raises(DeviceError, match="this build of torch has no CUDA"), choose_device("cuda", tmp_path):
        pass


def test_the_module_leaves_torch_alone():
    code = "import sys, pipeline.running.devices, pipeline.running.launch, pipeline.report.rulegraph; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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


def test_torchs_own_error_halves_the_batch():
    torch = pytest.importorskip("torch")

    def compute(batch_size):
        if batch_size > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return batch_size

    assert halve_on_out_of_memory(compute, 5) == 1


def test_waiting_for_a_gpu_ends_when_one_is_free(tmp_path):
    holder = worker(tmp_path, 0.5)
    holder.stdout.readline()
    begin = time.monotonic()
    with choose_device("cuda:0", tmp_path, 20, lambda: ["0"]):
        pass
    holder.wait()
    assert time.monotonic() - begin < 20
