"""What a job costs: seconds of a processor, memory and disk, from what jobs of its rule cost when they were measured.

`costs.json` holds, for each rule and kind of device, seconds = fixed + rate * work, and memory and disk alike, with the
work that `pipeline.costs.workload` counts. `pipeline.costs.fit` writes it; nothing in it is typed.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.costs.workload import COUNTED, Work, work_of

COSTS = Path(__file__).with_name("costs.json")

# Jobs ask a scheduler for this many times what the model says, since nodes differ; for twice as much at each attempt.
SAFETY_MEMORY = 1.5
SAFETY_TIME = 4.0
# The least that a job asks for: minutes, and megabytes of memory of the host. CUDA's own libraries take some of these,
# which no run here measured.
LEAST_MINUTES = 10
LEAST_MB = 1000
LEAST_MB_GPU = 4000
# No job asks for more, which partitions would refuse: beyond a day an estimate promises nothing.
MOST_MINUTES = 24 * 60


@dataclass(frozen=True)
class Cost:
    """What a job costs.

    Attributes:
        seconds: of one processor core; of the GPU where `kind` is "gpu". memory_mb: at its peak.
        disk_mb: of its outputs.
        spread: standard deviation of the logarithm of what such jobs took over what the model said before it had seen
            them.
        kind: "cpu" or "gpu", what was measured. measured: whether jobs of this rule were.
        beyond: how many times as much work as the largest measured job.
    """

    seconds: float
    memory_mb: float
    disk_mb: float
    spread: float
    kind: str
    measured: bool
    beyond: float


@dataclass(frozen=True)
class Line:
    """fixed + rate * work."""

    fixed: float
    rate: float

    def at(self, work: float) -> float:
        return self.fixed + self.rate * work


@cache
def measured_costs() -> Mapping[str, Any]:
    """What costs.json holds."""
    found: Mapping[str, Any] = json.loads(COSTS.read_text(encoding="utf-8"))
    return found


def cost_of(config: Mapping[str, Any], rule: str, names: Mapping[str, str], gpu: bool = False) -> Cost:
    """What a job of a rule costs.

    Args:
        config: resolved configuration. rule: its name. names: the job's wildcards.
        gpu: whether it runs on a GPU. Where no GPU was measured, the cost is that on a processor core.
    """
    return priced(measured_costs(), rule, work_of(config, rule, names), gpu)


def priced(costs: Mapping[str, Any], rule: str, work: Work, gpu: bool = False) -> Cost:
    """What so much work of a rule costs by the content of a file of costs."""
    by_kind = costs["rules"].get(rule)
    kind = "gpu" if gpu and by_kind and "gpu" in by_kind else "cpu"
    entry = by_kind.get(kind) if by_kind else None
    measured = entry is not None
    if entry is None:
        # Rules that nobody has measured yet cost what others of their kind do.
        entry = costs["pooled"]["counted" if rule in COUNTED else "light"]
    seconds, memory, disk = (Line(**entry[name]) for name in ("seconds", "memory_mb", "disk_mb"))
    beyond = work.seconds / entry["most_work"] if entry["most_work"] else 1.0
    return Cost(
        seconds.at(work.seconds),
        memory.at(work.memory_mb),
        disk.at(work.disk_mb),
        math.log(entry["spread"]),
        kind,
        measured,
        beyond,
    )


class Requests:
    """What jobs of a configuration ask a scheduler for: nearly equal jobs the same, and more at each attempt."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._costs: dict[tuple[str, tuple[tuple[str, str], ...]], Cost] = {}

    def memory_mb(self, rule: str, names: Mapping[str, str], attempt: int, gpu: bool = False) -> int:
        """Megabytes.

        Args:
            rule: its name. names: the job's wildcards. attempt: from 1 on. gpu: whether the rule can use a GPU.
        """
        least = LEAST_MB_GPU if gpu and self._config["device"] != "cpu" else LEAST_MB
        wanted = max(least, SAFETY_MEMORY * self._cost(rule, names).memory_mb)
        # Of two leading binary digits: 1000, 1500, 2000, 3000, 4000, 6000 ...
        step = 500 * 2 ** max(0, math.ceil(math.log2(wanted / 2000)))
        return math.ceil(wanted / step) * step * 2 ** (attempt - 1)

    def minutes(self, rule: str, names: Mapping[str, str], attempt: int) -> int:
        """Minutes: the least there is times a power of two. Arguments as for `memory_mb`."""
        wanted = SAFETY_TIME * self._cost(rule, names).seconds / 60
        doubled = max(0, math.ceil(math.log2(max(wanted, LEAST_MINUTES) / LEAST_MINUTES)))
        return min(LEAST_MINUTES * 2 ** (doubled + attempt - 1), MOST_MINUTES)

    def _cost(self, rule: str, names: Mapping[str, str]) -> Cost:
        # Where wildcards do not count, and Snakemake asks again and again, nothing is computed twice.
        key = (rule, tuple(names.items()) if rule in COUNTED else ())
        if key not in self._costs:
            self._costs[key] = cost_of(self._config, rule, names)
        return self._costs[key]
