"""Fit what jobs cost to finished runs, and write pipeline/costs/costs.json.

    python -m pipeline.costs.fit --run NAME FOLDER [CONFIG ...] --check NAME FOLDER [CONFIG ...] > costs.json

with as many runs as there are. Those to check are left out of the fit, and predicted from it.

Every job's log says what it used (`pipeline.running.usage`). Two numbers of each rule are fitted, what any of its jobs
takes and what each unit of its work adds, by the logarithms of what was measured. The spread of a rule is that of whole
runs over what was predicted from the other runs alone: of a configuration that the fit has not seen. All rules of a run
miss together, too, since machines differ and have other work: `whole_runs` is that factor, of runs and checks.
"""

import argparse
import json
import logging
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from pipeline.costs.dry_run import PlannedJob, plan
from pipeline.costs.measured import Line, priced
from pipeline.costs.workload import COUNTED, Work, work_of
from pipeline.errors import UserError
from pipeline.running.usage import Usage, read_benchmark, read_usage

log = logging.getLogger(__name__)

MB = 1e6
# Work that differs by a smaller factor tells nothing of the rate.
DIFFERENT = 1.5
# Of a run, jobs of at most so many times the others' work are predicted from these: small ones cannot tell a rate.
REACH = 4.0
# Deviations of logarithms up to which squares count.
USUAL = 0.3
# Less work, or arrays of fewer megabytes, tell nothing of how seconds or memory grow with them, since what a script's
# start takes varies by more; they then grow as those of all rules.
ENOUGH_S = 0.1
ENOUGH_MB = 200.0
# Share of jobs, the cheapest, that tells what the start of a script takes.
CHEAPEST = 0.1


@dataclass(frozen=True)
class Record:
    """A job that was measured: its rule, the run that it belongs to, its work, and what it used and stored."""

    rule: str
    run: str
    work: Work
    used: Usage
    disk_mb: float

    @property
    def kind(self) -> str:
        return "cpu" if self.used.device == "cpu" else "gpu"

    @property
    def seconds(self) -> float:
        """Of the processor; of the clock where the job held a GPU or Snakemake's benchmark stands in."""
        return self.used.cpu_s if self.kind == "cpu" else self.used.wall_s


QUANTITIES = {
    "seconds": (lambda record: record.seconds, lambda record: record.work.seconds),
    "memory_mb": (lambda record: record.used.memory_mb, lambda record: record.work.memory_mb),
    "disk_mb": (lambda record: record.disk_mb, lambda record: record.work.disk_mb),
}


def collect(name: str, arguments: Sequence[str]) -> list[Record]:
    """Records of all jobs of a finished run whose logs, or else benchmarks, say what they used.

    Args:
        name: of the run. arguments: those of Snakemake that it was made with.

    Raises:
        UserError: no log of the run says what its job used.
    """
    found = plan([*arguments, "--forceall"])
    records, silent = [], 0
    for job in found.jobs:
        used = _used(job)
        if used is None:
            silent += 1
            continue
        stored = sum(path.stat().st_size for path in job.outputs if path.exists())
        records.append(Record(job.rule, name, work_of(found.config, job.rule, job.names), used, stored / MB))
    if not records:
        raise UserError(f"{name}: expected logs of a finished run that say what its jobs used, found none")
    if silent:
        log.warning("%s: %d of %d jobs do not say what they used and are left out", name, silent, len(found.jobs))
    return records


def _used(job: PlannedJob) -> Usage | None:
    used = read_usage(job.log) if job.log and job.log.exists() else None
    if used is None and job.benchmark and job.benchmark.exists():
        return read_benchmark(job.benchmark)
    return used


def fitted(values: Sequence[float], works: Sequence[float], start: float) -> Line:
    """The line, neither of whose numbers is negative, about which logarithms scatter least.

    Absolute deviations count where they are large: a job that found nothing to do, as after an attack that never
    succeeded, must not decide what others cost.

    Args:
        values: measured. works: the work behind each. start: what takes the place of the fixed part where the works are
            too much alike to tell it.
    """
    value, work = np.maximum(np.asarray(values, float), 1e-6), np.asarray(works, float)
    if not work.max() > 0:
        return Line(float(np.exp(np.log(value).mean())), 0.0)
    if work.max() < DIFFERENT * work.min():
        fixed = min(start, 0.9 * value.min())
        return Line(fixed, float(np.mean((value - fixed) / work)))
    scale = work.max()

    def surprise(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        fixed, rate = np.exp(parameters)
        return np.log(value / (fixed + rate * work / scale))

    first = np.log([max(value.min(), 1e-6), max(value.max() - value.min(), 0.01 * value.max())])
    found = least_squares(surprise, first, loss="soft_l1", f_scale=USUAL)
    fixed, rate = np.exp(found.x)
    return Line(float(fixed), float(rate / scale))


def fit(records: Sequence[Record], checked: Mapping[str, Sequence[Record]] | None = None) -> dict[str, Any]:
    """The content of costs.json.

    Args:
        records: what is fitted. checked: records of runs that are predicted instead, by their names.
    """
    costs = _fitted_costs(records)
    costs["checks"] = {name: check(costs, found) for name, found in (checked or {}).items()}
    missed = [-math.log(found["ratio"]) for found in costs["checks"].values()]
    starts = {name: _start(records, name) for name in QUANTITIES}
    whole = [*_whole_runs(records, starts), *missed]
    costs["whole_runs"] = _rounded(math.exp(_rms(whole) if whole else math.log(2)))
    return costs


def _fitted_costs(records: Sequence[Record]) -> dict[str, Any]:
    grouped = _groups(records)
    starts = {name: _start(records, name) for name in QUANTITIES}
    surprises = {key: _surprises(group, starts) for key, group in grouped.items()}
    every = [one for found in surprises.values() for one in found]
    pooled_spread = _rms(every) if every else math.log(2)
    rules: dict[str, dict[str, Any]] = defaultdict(dict)
    for (rule, kind), group in sorted(grouped.items()):
        # What is known of a rule is pulled toward what is known of all, the more the less there is.
        known = surprises[rule, kind]
        spread = math.sqrt((sum(one**2 for one in known) + pooled_spread**2) / (len(known) + 1))
        rules[rule][kind] = _entry(group, _lines(group, starts), spread)
    counted = [record for record in records if record.rule in COUNTED]
    light = [record for record in records if record.rule not in COUNTED]
    pooled = {
        name: _entry(some, _lines(some, starts), _rms(_residuals(some, starts)))
        for name, some in (("counted", counted or records), ("light", light or records))
    }
    return {
        "written_by": "python -m pipeline.costs.fit",
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": sorted({record.used.cpu for record in records} - {""}),
        "gpu": sorted({record.used.device for record in records if record.kind == "gpu"}),
        # What Snakemake's benchmarks say names no processor.
        "by_clock": sum(not record.used.cpu for record in records),
        "runs": {name: sum(record.run == name for record in records) for name in sorted({r.run for r in records})},
        "spread": _rounded(math.exp(pooled_spread)),
        "pooled": pooled,
        "rules": dict(rules),
    }


def check(costs: Mapping[str, Any], records: Sequence[Record]) -> dict[str, Any]:
    """Seconds that a run took and that costs say, in all and by rule, and the ratio of the two; that of disk, too."""
    taken: dict[str, float] = defaultdict(float)
    said: dict[str, float] = defaultdict(float)
    disk_mb = 0.0
    for record in records:
        cost = priced(costs, record.rule, record.work, record.kind == "gpu")
        taken[record.rule] += record.seconds
        said[record.rule] += cost.seconds
        disk_mb += cost.disk_mb
    order = sorted(taken, key=lambda rule: -taken[rule])
    rules = {rule: {"measured_s": _rounded(taken[rule]), "ratio": _rounded(said[rule] / taken[rule])} for rule in order}
    total = sum(taken.values())
    return {
        "jobs": len(records),
        "measured_s": _rounded(total),
        "predicted_s": _rounded(sum(said.values())),
        "ratio": _rounded(sum(said.values()) / total),
        "disk_ratio": _rounded(disk_mb / sum(record.disk_mb for record in records)),
        "rules": rules,
    }


def _start(records: Iterable[Record], quantity: str) -> Line:
    """What a job of hardly any work takes, and what a unit of work adds on the whole."""
    value, work = QUANTITIES[quantity]
    counted = [one for one in records if one.rule in COUNTED and work(one) > 0 and value(one) > 0] or list(records)
    values = [value(record) for record in counted]
    start = float(np.quantile(values, CHEAPEST))
    return Line(start, fitted(values, [work(record) for record in counted], start).rate)


def _lines(group: Sequence[Record], starts: Mapping[str, Line]) -> dict[str, Line]:
    lines = {}
    for name, (value, work) in QUANTITIES.items():
        # What Snakemake did not see in time is 0.
        seen = [one for one in group if name != "memory_mb" or value(one) > 0]
        if not seen:
            lines[name] = starts[name]
            continue
        values, works = [value(one) for one in seen], [work(one) for one in seen]
        rate = starts[name].rate
        rest = [max(one - rate * done, 0.0) for one, done in zip(values, works, strict=True)]
        if name == "memory_mb" and 0 < max(works) < ENOUGH_MB:
            lines[name] = Line(max(rest), rate)
        elif name == "seconds" and 0 < max(works) < ENOUGH_S:
            lines[name] = Line(float(np.median(rest)), rate)
        else:
            lines[name] = fitted(values, works, starts[name].fixed)
    return lines


def _groups(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    grouped: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        grouped[record.rule, record.kind].append(record)
    return grouped


def _left_out(group: Sequence[Record], starts: Mapping[str, Line]) -> Iterator[tuple[str, list[Record], Line]]:
    """Each run of a rule's records, its jobs within reach of the other runs, and what these say of seconds."""
    for run in sorted({record.run for record in group}):
        others = [record for record in group if record.run != run]
        most = REACH * max((record.work.seconds for record in others), default=0.0)
        left = [record for record in group if record.run == run and record.work.seconds <= most]
        if others and left:
            yield run, left, _lines(others, starts)["seconds"]


def _surprises(group: Sequence[Record], starts: Mapping[str, Line]) -> list[float]:
    """Logarithm of the total of each run's jobs over what the other runs say of them."""
    return [
        math.log(sum(one.seconds for one in left) / sum(line.at(one.work.seconds) for one in left))
        for _, left, line in _left_out(group, starts)
    ]


def _whole_runs(records: Sequence[Record], starts: Mapping[str, Line]) -> list[float]:
    """Logarithm of what all jobs of each run took over what the other runs say of them, as far as these can."""
    taken: dict[str, float] = defaultdict(float)
    said: dict[str, float] = defaultdict(float)
    for group in _groups(records).values():
        for run, left, line in _left_out(group, starts):
            taken[run] += sum(one.seconds for one in left)
            said[run] += sum(line.at(one.work.seconds) for one in left)
    return [math.log(taken[run] / said[run]) for run in taken]


def _residuals(group: Sequence[Record], starts: Mapping[str, Line]) -> list[float]:
    line = _lines(group, starts)["seconds"]
    return [math.log(record.seconds / line.at(record.work.seconds)) for record in group]


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(float(np.mean(np.square(values))))


def _entry(group: Sequence[Record], lines: Mapping[str, Line], spread: float) -> dict[str, Any]:
    seconds = [record.seconds for record in group]
    return {
        "jobs": len(group),
        "runs": len({record.run for record in group}),
        "spread": _rounded(math.exp(spread)),
        **{name: {"fixed": _rounded(line.fixed), "rate": _rounded(line.rate)} for name, line in lines.items()},
        "most_work": _rounded(max(record.work.seconds for record in group)),
        "median_s": _rounded(float(np.median(seconds))),
        "longest_s": _rounded(max(seconds)),
        "most_memory_mb": _rounded(max(record.used.memory_mb for record in group)),
        "most_gpu_memory_mb": _rounded(max(record.used.gpu_memory_mb for record in group)),
        "most_disk_mb": _rounded(max(record.disk_mb for record in group)),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def main(arguments: Sequence[str]) -> int:
    """Write costs of the runs named by the arguments to stdout; 1 if one of them was not measured."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.costs.fit", description=__doc__)
    given = {"action": "append", "nargs": "+", "default": [], "metavar": ("NAME", "FOLDER")}
    parser.add_argument("--run", required=True, **given)  # type: ignore[arg-type]
    parser.add_argument("--check", **given)  # type: ignore[arg-type]
    asked = parser.parse_args(arguments)
    try:
        records = [record for run in asked.run for record in _collected(run)]
        checked = {run[0]: _collected(run) for run in asked.check}
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    json.dump(fit(records, checked), sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def _collected(run: Sequence[str]) -> list[Record]:
    name, *rest = run
    if not rest or not Path(rest[0]).is_dir():
        raise UserError(f"{name}: expected the folder of a finished run, found {rest[0] if rest else 'none'}")
    folder, *configs = rest
    overlays = ["--configfile", *configs] if configs else []
    return collect(name, ["--workflow-profile", "profiles/default", "--directory", folder, *overlays])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
