"""What a job used: one line at the end of its log, from which costs are estimated (`pipeline.costs.measured`).

Snakemake's benchmarks measure memory by looking every few seconds and miss short peaks. None of this enters a result,
since it differs between equal runs.
"""

import csv
import json
import os
import platform
import re
import resource
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

MEBI = 2**20
# Snakemake looks at a job's memory so often.
BLIND_S = 2.0
MARK = "used: "
LINE = re.compile(rf"{MARK}(\{{.*\}})$", re.M)


@dataclass(frozen=True)
class Usage:
    """What a process has used since it started, imports included.

    Attributes:
        wall_s: seconds by the clock.
        cpu_s: processor seconds of the process and its children.
        memory_mb: largest resident memory of the process, or of a child if that is larger, in units of 10^6 bytes.
        device: "cpu" or the GPU's name.
        gpu_memory_mb: largest memory of tensors on the GPU; 0 where none was used.
        cpu: the processor's name.
        host: the machine's name.
    """

    wall_s: float
    cpu_s: float
    memory_mb: float
    device: str
    gpu_memory_mb: float
    cpu: str
    host: str

    def line(self) -> str:
        """What goes to the log."""
        return f"{MARK}{json.dumps(asdict(self), sort_keys=True)}"


def usage(device: str) -> Usage:
    """What this process has used so far.

    Args:
        device: "cpu" or the name of the GPU that it computed on.
    """
    times = os.times()
    cpu_s = times.user + times.system + times.children_user + times.children_system
    return Usage(
        round(_wall_s(), 2),
        round(cpu_s, 2),
        round(_peak_memory() / 1e6, 1),
        device,
        round(_peak_gpu_memory() / 1e6, 1),
        cpu_model(),
        platform.node(),
    )


def read_usage(log: Path) -> Usage | None:
    """What the job of a log file used; None when it does not say, as of jobs that failed and of old versions.

    Raises:
        OSError: the log cannot be read.
    """
    found = LINE.findall(log.read_text(encoding="utf-8", errors="replace"))
    if not found:
        return None
    try:
        return Usage(**json.loads(found[-1]))
    except (TypeError, ValueError):
        return None


def read_benchmark(file: Path) -> Usage | None:
    """What Snakemake's benchmark says of a job, for runs whose logs say nothing; None when it says nothing either.

    Its processor time lags behind, so seconds by the clock stand in: too many where cores are shared. Memory is what
    it saw at most, 0 for jobs that are over before it looks.

    Raises:
        OSError: the file cannot be read.
    """
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    try:
        wall_s, memory_mb = float(rows[-1]["s"]), float(rows[-1]["max_rss"]) * MEBI / 1e6
    except (IndexError, KeyError, TypeError, ValueError):
        return None
    return Usage(wall_s, wall_s, memory_mb if wall_s > BLIND_S else 0.0, "cpu", 0.0, "", "")


@cache
def cpu_model() -> str:
    """The processor's name."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _wall_s() -> float:
    stat = Path("/proc/self/stat")
    if stat.exists():
        # Since the machine started: a clock that was moved does not matter. psutil rounds this to a second.
        started = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    return max(0.0, time.time() - psutil.Process().create_time())


def _peak_memory() -> int:
    """Bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    # On Linux a process inherits the peak of the one that started it, which is Snakemake's; this one is its own.
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"), re.M)):
        own = int(found[1]) * 1024
    return max(own, children)


def _peak_gpu_memory() -> int:
    """Bytes."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return max(torch.cuda.max_memory_allocated(index) for index in range(torch.cuda.device_count()))
