"""What goes wrong in a job, chosen by its environment: Python imports this at its start when it lies on PYTHONPATH.

FAULT_SCRIPT names the script whose jobs are hit, `bracket.py`, and one of these says how:

- FAULT_FILE_BYTES: no file may grow beyond so many bytes, in any library; what a full disk does.
- FAULT_NO_SPACE: flushing a file to the disk fails as on a full one.
- FAULT_MEMORY_MB: the process may have so much more memory than it has at its start.
- FAULT_ROWS: a pretended GPU: layers run out of its memory when they get more rows than this.
- FAULT_CLOCK_S: the clock is so many seconds ahead, also in the times of results.
- FAULT_DIES: the process is killed "before" or "after" the first result is moved into place.
"""

import os
import sys


def _script() -> str:
    """Name of the job's script without what Snakemake puts before it; empty for other processes."""
    paths = [word for word in sys.orig_argv if f"{os.sep}.snakemake{os.sep}scripts{os.sep}" in word]
    return os.path.basename(paths[0]).partition(".")[2] if paths else ""


def _limit_files(size: int) -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _fill_disk() -> None:
    import errno

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.fsync = fsync


def _limit_memory(megabytes: int) -> None:
    import importlib
    import resource

    # What jobs import takes gigabytes of addresses.
    for module in ("neighborhoods.persistence.measure", "pipeline.results.shared"):
        importlib.import_module(module)

    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + (megabytes << 20),) * 2)


def _limit_rows(rows: int) -> None:
    import torch

    linear = torch.nn.functional.linear

    def limited(x, *arguments, **settings):  # type: ignore[no-untyped-def]
        if x.numel() // x.shape[-1] > rows:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return linear(x, *arguments, **settings)

    torch.nn.functional.linear = limited


def _move_clock(seconds: float) -> None:
    import time

    now, replace = time.time, os.replace

    def later(source: str, target: str, **settings: object) -> None:
        os.utime(source, (now() + seconds,) * 2)
        replace(source, target, **settings)  # type: ignore[arg-type]

    os.replace = later
    time.time = lambda: now() + seconds


def _die(when: str) -> None:
    import signal

    replace = os.replace

    def last(source: str, target: str, **settings: object) -> None:
        if when == "after":
            replace(source, target, **settings)  # type: ignore[arg-type]
        if str(target).endswith((".h5", ".png", ".csv")):
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "before":
            replace(source, target, **settings)  # type: ignore[arg-type]

    os.replace = last


if (wanted := os.environ.get("FAULT_SCRIPT")) and _script() == wanted:
    if size := os.environ.get("FAULT_FILE_BYTES"):
        _limit_files(int(size))
    if "FAULT_NO_SPACE" in os.environ:
        _fill_disk()
    if megabytes := os.environ.get("FAULT_MEMORY_MB"):
        _limit_memory(int(megabytes))
    if rows := os.environ.get("FAULT_ROWS"):
        _limit_rows(int(rows))
    if seconds := os.environ.get("FAULT_CLOCK_S"):
        _move_clock(float(seconds))
    if when := os.environ.get("FAULT_DIES"):
        _die(when)
