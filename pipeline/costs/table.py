"""docs/costs.md from what was measured: `python -m pipeline.costs.table > docs/costs.md`."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.costs.measured import (
    LEAST_MB,
    LEAST_MB_GPU,
    LEAST_MINUTES,
    MOST_MINUTES,
    SAFETY_MEMORY,
    SAFETY_TIME,
    measured_costs,
)

HEAD = """# Costs

Written by `python -m pipeline.costs.table` from `pipeline/costs/costs.json`.

```bash
make estimate ARGS="--configfile my.yaml"
```

prices a configuration before it runs: jobs, core-hours, GPU-hours, disk and wall time, of those jobs alone that would
run. `--on 32 128` in ARGS says on how many cores. Each job ends its log with a line `used: {...}`: seconds by the clock
and of the processor, peak memory, device. Of a rule, seconds are `fixed + rate * work`; its work is counted from the
configuration (`pipeline/costs/work_of_networks.py`, `pipeline/costs/work_of_studies.py`) in seconds that network passes
take on one core (`pipeline/costs/passes.json`, by `benchmarks.network_passes`). Both numbers are fitted to finished
runs:

<!-- not run: stands for folders of finished runs -->
```bash
python -m pipeline.costs.fit --run NAME FOLDER [CONFIG ...] --check NAME FOLDER [CONFIG ...] > pipeline/costs/costs.json
```

Do so with runs on your own machine, and `make estimate`, memory and time limits follow. Changed costs rerun nothing.
By the clock a job of several threads is taken to last its seconds over their number, which was not measured. Rules that
have far more to do than in any measured run are pointed out: what they cost is extrapolated.
"""


def page(costs: Mapping[str, Any]) -> str:
    """The page for the content of costs.json."""
    return "\n".join([HEAD, *_measured(costs), *_requests(), *_checks(costs), *_table(costs)]) + "\n"


def _measured(costs: Mapping[str, Any]) -> Iterator[str]:
    runs = ", ".join(f"{name} ({jobs} jobs)" for name, jobs in costs["runs"].items())
    yield f"Measured on {', '.join(costs['cpu'])}, {costs['date']}, runs: {runs}. "
    gpus = ", ".join(costs["gpu"]) or "none, so GPU-hours are priced as hours of one processor core, an upper bound"
    yield f"GPUs measured: {gpus}."
    yield ""
    yield f"Seconds are processor time, but of {costs['by_clock']} of the jobs seconds by the clock, since their"
    yield "logs do not say it. The machine had other work meanwhile, which raises both."
    yield ""


def _requests() -> Iterator[str]:
    yield f"Jobs ask a scheduler for {SAFETY_MEMORY:g} times the memory of the model, at least {LEAST_MB} MB, and"
    yield f"{LEAST_MB_GPU} MB where they may use a GPU, whose libraries take memory that was never measured; and"
    yield f"for {SAFETY_TIME:g} times the seconds, at least {LEAST_MINUTES} minutes and at most"
    yield f"{MOST_MINUTES // 60} hours. Each new attempt doubles both, up to that."
    yield ""


def _checks(costs: Mapping[str, Any]) -> Iterator[str]:
    if not costs["checks"]:
        return
    yield "## Runs that the fit has not seen"
    yield ""
    yield "| run | jobs | measured | predicted | predicted / measured | disk, predicted / measured |"
    yield "|---|---|---|---|---|---|"
    for name, found in costs["checks"].items():
        seconds = f"{found['measured_s']:.0f} s | {found['predicted_s']:.0f} s"
        yield f"| {name} | {found['jobs']} | {seconds} | {found['ratio']:.2f} | {found['disk_ratio']:.2f} |"
    yield ""
    for name, found in costs["checks"].items():
        large = {rule: one for rule, one in found["rules"].items() if one["measured_s"] > 0.02 * found["measured_s"]}
        listed = ", ".join(f"{rule} {one['ratio']:.2f} ({one['measured_s']:.0f} s)" for rule, one in large.items())
        yield f"{name}, rules of more than 2 % of the time: {listed}."
        yield ""


def _table(costs: Mapping[str, Any]) -> Iterator[str]:
    yield "## By rule"
    yield ""
    yield "Spread: factor by which whole runs missed what other runs predicted of the rule, pulled toward that of all"
    yield f"rules, {costs['spread']:.2f}; whole runs missed by a factor of {costs['whole_runs']:.2f}. Memory and disk"
    yield "are of the largest job that was measured; a memory of 0 was never seen."
    yield ""
    yield "| rule | device | jobs | median s | longest s | memory MB | GPU MB | disk MB | fixed s | rate | spread |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for rule, kinds in costs["rules"].items():
        for kind, one in kinds.items():
            line = one["seconds"]
            cells = [
                *(rule, kind, str(one["jobs"])),
                *(f"{one[name]:.3g}" for name in ("median_s", "longest_s")),
                f"{one['most_memory_mb']:.0f}",
                f"{one['most_gpu_memory_mb']:.0f}" if kind == "gpu" else "",
                f"{one['most_disk_mb']:.2g}",
                f"{line['fixed']:.3g}",
                f"{line['rate']:.3g}" if line["rate"] else "",
                f"{one['spread']:.2f}",
            ]
            yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(page(measured_costs()))
