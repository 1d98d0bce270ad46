"""Which device a job computes on; on a workstation with several GPUs, one that no other job uses."""

import contextlib
import importlib.metadata
import itertools
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from pipeline.errors import UserError

log = logging.getLogger(__name__)

POLL_S = 0.2
Result = TypeVar("Result")


class DeviceError(UserError, RuntimeError):
    """The device asked for is not there."""


def visible_gpus() -> list[str]:
    """Indices of the NVIDIA GPUs that torch could use on this machine, found without importing it."""
    if _torch_is_for_cpu():
        return []
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
        if listed.returncode == 0:
            return re.findall(r"^GPU (\d+):", listed.stdout, re.M)
    # A container may hold only nvidia3, which CUDA then counts as 0.
    nodes = [path for path in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(i) for i in range(len(nodes))]


def _torch_is_for_cpu() -> bool:
    try:
        return importlib.metadata.version("torch").endswith("+cpu")
    except importlib.metadata.PackageNotFoundError:
        return False


def candidates(find_gpus: Callable[[], Sequence[str]] = visible_gpus) -> tuple[list[str], bool]:
    """GPUs this process may use, and whether a scheduler has already set them aside for it.

    CUDA_VISIBLE_DEVICES counts as a scheduler's choice inside a SLURM job, or when it names one GPU. As for
    CUDA, its list ends before the first entry that is no GPU, such as -1 or SLURM's NoDevFiles. SLURM does not set it
    for a job that asked for no GPU: the node's GPUs are then those of other jobs.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        in_slurm = "SLURM_JOB_ID" in os.environ
        return [] if in_slurm else list(find_gpus()), in_slurm
    names = (name.strip() for name in given.split(","))
    listed = list(itertools.takewhile(re.compile(r"\d+|(GPU|MIG)-.+").fullmatch, names))
    return listed, "SLURM_JOB_ID" in os.environ or len(listed) == 1


@contextlib.contextmanager
def choose_device(
    setting: str,
    lock_folder: Path | None = None,
    timeout_s: float | None = None,
    find_gpus: Callable[[], Sequence[str]] = visible_gpus,
) -> Iterator[str]:
    """Hold a device for the block and yield its torch name, "cpu" or "cuda" (or "cuda:N").

    A free GPU is taken by a file lock and made the only visible one, which works until CUDA has started in
    this process. A killed process frees its GPU.

    Args:
        setting: "auto" (CUDA when there is one), "cpu", "cuda" (any GPU) or "cuda:N" (that one).
        lock_folder: where the locks lie; by default one folder a user, shared by all checkouts.
        timeout_s: how long to wait for a free GPU, in seconds; None waits for ever.
        find_gpus: lists the machine's GPUs.

    Raises:
        DeviceError: the setting is none of these, a GPU is asked for that is not there, or none became free
            in time.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", setting):
        raise DeviceError(f"device: '{setting}' is not known; use 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if setting == "cpu":
        yield "cpu"
        return
    listed, reserved = candidates(find_gpus)
    # CUDA_VISIBLE_DEVICES may be set where there is no GPU: 'auto' does not trust it alone.
    if setting == "auto" and not (listed and find_gpus()):
        yield "cpu"
        return
    wanted = setting.partition(":")[2]
    gpus = listed[int(wanted) :][:1] if wanted else listed
    if not gpus:
        raise DeviceError(f"device: '{setting}' asks for a GPU and {_found(listed)}; use 'auto' or 'cpu'")
    if reserved:
        yield "cuda" if not wanted else setting
        return
    folder = lock_folder or Path(tempfile.gettempdir()) / f"adversarial-neighborhoods-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock_one(gpus, folder, timeout_s) as gpu:
        if _cuda_has_started():
            yield f"cuda:{listed.index(gpu)}"
            return
        before = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        try:
            yield "cuda"
        finally:
            if before is None:
                os.environ.pop("CUDA_VISIBLE_DEVICES", None)
            else:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _found(listed: Sequence[str]) -> str:
    """What there is instead of the GPU asked for, and what hides it."""
    if listed:
        return f"only {len(listed)} can be used, counted from 'cuda:0'"
    reason = ""
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        reason = f" (CUDA_VISIBLE_DEVICES is '{given}')"
    elif _torch_is_for_cpu():
        reason = " (this build of torch has no CUDA)"
    return f"none was found{reason}"


@contextlib.contextmanager
def _lock_one(gpus: Sequence[str], folder: Path, timeout_s: float | None) -> Iterator[str]:
    started = time.monotonic()
    while True:
        for gpu in gpus:
            lock = FileLock(folder / f"gpu-{gpu.replace('/', '_')}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield gpu
            finally:
                lock.release()
            return
        if timeout_s is not None and time.monotonic() - started > timeout_s:
            raise DeviceError(f"no GPU of {', '.join(gpus)} became free within {timeout_s:g} s")
        time.sleep(POLL_S)


def _cuda_has_started() -> bool:
    torch = sys.modules.get("torch")
    return bool(torch and torch.cuda.is_initialized())


def device_kind(device: str) -> str:
    """The kind of a device, for provenance: "cpu" or the GPU's name."""
    if device == "cpu":
        return "cpu"
    import torch

    return torch.cuda.get_device_name(device)


def gpus_of_a_job(setting: str, cluster: bool = False, find_gpus: Callable[[], Sequence[str]] = visible_gpus) -> int:
    """How many GPUs a job that can use one should ask the scheduler for: none where 'auto' means the CPU.

    Args:
        setting: as for `choose_device`.
        cluster: whether jobs run on other machines. This one says nothing about those, so that 'auto' asks for a GPU;
            'cpu' is for clusters without.
        find_gpus: lists the machine's GPUs.
    """
    if setting == "cpu":
        return 0
    return int(cluster or setting != "auto" or bool(candidates(find_gpus)[0] and find_gpus()))


def halve_on_out_of_memory(function: Callable[..., Result], batch_size: int, minimum: int = 1) -> Result:
    """Call `function(batch_size=...)`, with half the batch after each out-of-memory error of the device.

    Args:
        function: what to compute; it must leave nothing behind when it fails.
        batch_size: the first size to try.
        minimum: the last size to try.

    Raises:
        UserError: there is too little memory even at `minimum`.
    """
    while True:
        try:
            return function(batch_size=batch_size)
        except RuntimeError as error:
            # torch.cuda.OutOfMemoryError is a RuntimeError with this text.
            if "out of memory" not in str(error):
                raise
            if batch_size <= minimum:
                raise UserError(f"the device ran out of memory at a batch size of {batch_size}") from error
            log.warning("out of memory at a batch size of %d, trying half", batch_size)
        if torch := sys.modules.get("torch"):
            torch.cuda.empty_cache()
        batch_size = max(minimum, batch_size // 2)


def halving(function: Callable[..., Result]) -> Callable[..., Result]:
    """The same function, whose every call goes through `halve_on_out_of_memory`, from its keyword `batch_size` on."""

    def run(*arguments: Any, batch_size: int, **settings: Any) -> Result:
        return halve_on_out_of_memory(partial(function, *arguments, **settings), batch_size)

    return run
