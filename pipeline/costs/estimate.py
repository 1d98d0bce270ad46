"""What a run would cost: `make estimate`.

    python -m pipeline.costs.estimate [--on CORES ...] [arguments of Snakemake]

Only jobs that would run are priced, by what jobs of their rules were measured to cost (`pipeline.costs.measured`).
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.costs.dry_run import Plan, PlannedJob, plan
from pipeline.costs.measured import Cost, cost_of, measured_costs
from pipeline.costs.network_work import pass_work
from pipeline.costs.schedule import critical_path, makespan
from pipeline.data.sizes import sizes_of
from pipeline.durations import duration
from pipeline.errors import UserError

DRAWS = 2000
# Of these, as many follow every chain of jobs.
CHAIN_DRAWS = 200
LEVEL = 0.95
# Jobs of more than so many times the largest work that was measured are pointed out.
FAR = 4.0


@dataclass(frozen=True)
class Range:
    """An estimate and the interval that holds 95 % of its draws."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RuleCost:
    """What the jobs of a rule cost: how many, seconds in all and of the longest, and the most memory of one."""

    rule: str
    jobs: int
    seconds: float
    longest_s: float
    memory_mb: float
    measured: bool
    beyond: float


@dataclass(frozen=True)
class Estimate:
    """What a run would cost.

    Attributes:
        rules: the costliest first. jobs: how many. core_s: processor seconds. gpu_able_s: those of rules that can use a
            GPU. gpu_s: seconds of jobs that ask for one. gpu_measured: whether a GPU was measured for all of these.
        disk_mb: of all outputs. chain_s: seconds of the longest chain of jobs. wall_s: seconds on so many cores, by
            their number. unknown: networks whose size is not known.
    """

    rules: list[RuleCost]
    jobs: int
    core_s: Range
    gpu_able_s: float
    gpu_s: Range
    gpu_measured: bool
    disk_mb: float
    chain_s: Range
    wall_s: dict[int, Range]
    unknown: list[str] = field(default_factory=list)


def estimate(planned: Plan, cores: Sequence[int]) -> Estimate:
    """What the jobs of a plan cost, and how long they take on these numbers of cores.

    Log-normal factors stand for errors: one of the whole run, and one of each rule with the rule's spread. Intervals
    are quantiles of `DRAWS` draws of these factors, of times by the clock of `CHAIN_DRAWS`.
    """
    jobs = planned.jobs
    costs = [cost_of(planned.config, job.rule, job.names, job.gpus > 0) for job in jobs]
    seconds = np.array([cost.seconds for cost in costs])
    factors = _factors(jobs, costs)
    drawn = _totals(jobs, seconds, factors)
    gpu = np.array([job.gpus > 0 for job in jobs], bool)
    after = [job.after for job in jobs]
    threads = [job.threads for job in jobs]
    # Threads share processor seconds; those of a GPU are by the clock already.
    shared = [max(job.threads, 1) if cost.kind == "cpu" else 1 for job, cost in zip(jobs, costs, strict=True)]
    clock = seconds / shared
    clocks = np.array([one * factors[job.rule][:CHAIN_DRAWS] for one, job in zip(clock, jobs, strict=True)])
    chain, chains = float(critical_path(clock, after)), critical_path(clocks, after)
    walls = {}
    for number in sorted(set(cores)):
        wall = makespan(clock.tolist(), after, threads, number, gpu.astype(int).tolist(), planned.gpus)
        # Of what no schedule beats: the longest chain, and all the work spread evenly.
        least, leasts = max(chain, seconds.sum() / number), np.maximum(chains, drawn[:CHAIN_DRAWS] / number)
        walls[number] = _range(wall, wall * leasts / least if least else leasts)
    return Estimate(
        _by_rule(jobs, costs),
        len(jobs),
        _range(seconds.sum(), drawn),
        float(sum(cost.seconds for job, cost in zip(jobs, costs, strict=True) if job.takes_gpu)),
        _range(seconds[gpu].sum(), _totals(jobs, seconds * gpu, factors)),
        all(cost.kind == "gpu" for job, cost in zip(jobs, costs, strict=True) if job.gpus),
        float(sum(cost.disk_mb for cost in costs)),
        _range(chain, chains),
        walls,
        _unknown_networks(planned),
    )


def _factors(jobs: Sequence[PlannedJob], costs: Sequence[Cost]) -> dict[str, NDArray[np.float64]]:
    """Factors [DRAWS] of each rule: its own times that of the whole run."""
    generator = np.random.default_rng(0)
    common = np.log(measured_costs()["whole_runs"]) * generator.standard_normal(DRAWS)
    spreads = {job.rule: cost.spread for job, cost in zip(jobs, costs, strict=True)}
    return {rule: np.exp(common + spreads[rule] * generator.standard_normal(DRAWS)) for rule in sorted(spreads)}


def _totals(
    jobs: Sequence[PlannedJob], seconds: NDArray[np.float64], factors: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Seconds of all jobs in each draw [DRAWS]."""
    sums: dict[str, float] = defaultdict(float)
    for job, one in zip(jobs, seconds, strict=True):
        sums[job.rule] += one
    return sum((one * factors[rule] for rule, one in sums.items()), np.zeros(DRAWS))


def _range(value: float, draws: NDArray[np.float64]) -> Range:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Range(float(value), float(low), float(high))


def _by_rule(jobs: Sequence[PlannedJob], costs: Sequence[Cost]) -> list[RuleCost]:
    groups: Mapping[str, list[Cost]] = defaultdict(list)
    for job, cost in zip(jobs, costs, strict=True):
        groups[job.rule].append(cost)
    rules = [
        RuleCost(
            rule,
            len(group),
            sum(cost.seconds for cost in group),
            max(cost.seconds for cost in group),
            max(cost.memory_mb for cost in group),
            all(cost.measured for cost in group),
            max(cost.beyond for cost in group),
        )
        for rule, group in groups.items()
    ]
    return sorted(rules, key=lambda one: (-one.seconds, one.rule))


def _unknown_networks(planned: Plan) -> list[str]:
    used = {
        (job.names["dataset"], job.names["model"]) for job in planned.jobs if {"dataset", "model"} <= set(job.names)
    }
    found = []
    for dataset, model in sorted(used):
        sizes = sizes_of(planned.config, dataset)
        if not pass_work(planned.config["models"][model], sizes.shape, sizes.classes).known:
            found.append(model)
    return sorted(set(found))


def report(found: Estimate) -> str:
    """The estimate as text."""
    if not found.jobs:
        return "nothing to run: every result is there"
    costs = measured_costs()
    width = max(len(one.rule) for one in found.rules)
    lines = [f"{'rule':{width}}  {'jobs':>6}  {'core-hours':>10}  {'longest job':>11}  {'memory':>9}"]
    for one in found.rules:
        note = "" if one.measured else "  never measured: priced as other rules"
        if one.measured and one.beyond > FAR:
            note = f"  {one.beyond:.0f} times as much work as was ever measured"
        hours = f"{one.seconds / 3600:.3g}"
        memory = f"{one.memory_mb:.0f} MB"
        lines.append(
            f"{one.rule:{width}}  {one.jobs:>6}  {hours:>10}  {duration(one.longest_s):>11}  {memory:>9}{note}"
        )
    lines += ["", f"jobs        {found.jobs}", f"core-hours  {_hours(found.core_s)}", f"GPU-hours   {_gpu(found)}"]
    lines.append(f"disk        {found.disk_mb / 1000:.2g} GB")
    for number, wall in found.wall_s.items():
        cores = f"{number} cores" if number > 1 else "1 core"
        lines.append(f"wall time   {_times(wall)} on {cores}")
    lines.append(f"            {_times(found.chain_s)} on any number of them: the longest chain of jobs")
    measured = sum(costs["runs"].values())
    lines += [
        "",
        f"Core-hours are processor time, fitted to {measured} jobs on {', '.join(costs['cpu'])} ({costs['date']});",
        f"other machines differ. In brackets: {LEVEL:.0%} of {DRAWS} draws, in which the whole run misses by a factor",
        "and the jobs of each rule by another, as much as runs missed what was predicted from other runs.",
    ]
    if any(one.measured and one.beyond > FAR for one in found.rules):
        lines.append("They do not hold what is added by jobs of far more work than was measured, as marked.")
    if found.unknown:
        names = ", ".join(found.unknown)
        lines.append(f"The size of these networks is not known, they are priced as residual networks: {names}.")
    return "\n".join(lines)


def _gpu(found: Estimate) -> str:
    able = f"{found.gpu_able_s / 3600:.3g} core-hours are of rules that can use one"
    if not found.gpu_s.value:
        return f"0 (no job asks for a GPU; {able})"
    if found.gpu_measured:
        return _hours(found.gpu_s)
    return f"at most {_hours(found.gpu_s)} (no GPU was measured: priced as on one processor core)"


def _hours(found: Range) -> str:
    value, low, high = (f"{one / 3600:.3g}" for one in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def _times(found: Range) -> str:
    return f"{duration(found.value)} [{duration(found.low)}, {duration(found.high)}]"


def main(arguments: Sequence[str]) -> int:
    """Print the estimate of a run with these arguments of Snakemake; 1 if it cannot be priced."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.costs.estimate", allow_abbrev=False)
    parser.add_argument("--on", type=int, nargs="+", metavar="CORES", default=[os.cpu_count() or 1, 16, 64])
    own, others = parser.parse_known_args(arguments)
    if min(own.on) < 1:
        print(f"--on: expected numbers of cores from 1 on, found {min(own.on)}", file=sys.stderr)
        return 1
    try:
        print(report(estimate(plan(others), own.on)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
