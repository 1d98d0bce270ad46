"""Time and memory of the workflow's own graph, before any science.

    python -m benchmarks.dag [--jobs 5000 15000] [--finished FOLDER] [--repeats 3]

Dry runs of configurations of about so many jobs: datasets, models and attacks, each combination measured in three
ways and drawn twice, tables, and a study of logits. Of each the time, the processor time and the largest memory of a
process; and how long a real run takes until its first job starts, when it is ended. With --finished also real runs
with nothing to do, of the default configuration in a folder where it has been made. Exits with 1 where a dry run of
about 5000 jobs or fewer takes 60 s or 2 GiB, or the shortest run with nothing to do 5 s.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = [sys.executable, "-m", "pipeline.running.launch", "--workflow-profile", "profiles/default", "--cores", "1"]
MODELS, ATTACKS, STUDENTS = 20, 8, 30
MEASURES = ("persistence", "stability", "interpolation")
PLOTS = ("persistence_histogram", "class_frequencies")
DRY_S, MEMORY_MIB, NOTHING_S = 60.0, 2048.0, 5.0
# The bars of dry runs are for up to so many.
BAR_JOBS = 6000


class Cost(NamedTuple):
    """What a command took, with all its processes: seconds, processor seconds, and the largest process's MiB."""

    wall_s: float
    processor_s: float
    peak_mib: float
    output: str


def large_config(jobs: int) -> dict[str, Any]:
    """A configuration of about so many jobs, to be merged with the default one."""
    of_a_dataset = MODELS * ATTACKS * (1 + len(MEASURES) + len(PLOTS)) + 2 * MODELS + 3
    datasets = [f"digits-{index}" for index in range(max(1, round(jobs / of_a_dataset)))]
    models = [f"network-{index}" for index in range(MODELS)]
    attacks = [f"attack-{index}" for index in range(ATTACKS)]
    cells = [(dataset, model, attack) for dataset in datasets for model in models for attack in attacks]
    rows = dict(zip(models, models, strict=True))
    figures = {
        f"large/{plot}-{'-'.join(cell)}": dict(zip(("plot", "dataset", "model", "attack"), (plot, *cell), strict=True))
        for cell in cells
        for plot in PLOTS
    }
    tables: dict[str, Any] = {}
    for dataset in datasets:
        shown = {"dataset": dataset, "rows": rows}
        tables[f"large/persistence-{dataset}"] = {**shown, "attack": attacks[0]}
        tables[f"large/detection-{dataset}"] = {**shown, "table": "detection", "attacks": attacks}
        tables[f"large/attacks-{dataset}"] = {**shown, "table": "attack_comparison", "attacks": attacks}
    return {
        "datasets": {name: {"source": "mnist5k", "train": 4000 - index} for index, name in enumerate(datasets)},
        "models": {
            name: {"architecture": "fully_connected", "hidden": [100 + index]} for index, name in enumerate(models)
        },
        "attacks": {
            name: {"method": "fgsm", "images": 20, "epsilon": 0.05 + 0.01 * index} for index, name in enumerate(attacks)
        },
        "experiments": [
            {"dataset": dataset, "model": model, "attack": attack, "measure": list(MEASURES)}
            for dataset, model, attack in cells
        ],
        "artefacts": [*figures, *tables],
        "figures": {"catalogue": figures},
        "tables": tables,
        "logits": {
            "run": ["mnist5k"],
            "studies": {
                "mnist5k": {"students": {f"keep-{index}": {"keep": 1 + index % 9} for index in range(STUDENTS)}}
            },
        },
    }


def cost(command: list[str]) -> Cost:
    """Run a command to its end.

    Raises:
        RuntimeError: it fails; with the end of its output.
    """
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} gave {process.returncode}: {text[-2000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def until_a_job(command: list[str]) -> float:
    """Seconds until a run starts its first job; the run is then ended."""
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        found = any(re.match(r"(local)?rule \w+:", line) for line in process.stdout)
        wall = time.perf_counter() - began
        process.terminate()
        process.stdout.read()
    if not found:
        raise RuntimeError(f"{' '.join(command)} started no job")
    return wall


def measure_large(jobs: int) -> bool:
    """Print what a dry run and the start of a run of so many jobs take; whether the dry run keeps the bars."""
    with tempfile.TemporaryDirectory() as folder:
        overlay = Path(folder) / "large.yaml"
        overlay.write_text(yaml.safe_dump(large_config(jobs)), encoding="utf-8")
        command = [*LAUNCH, "--directory", folder, "--configfile", str(overlay)]
        dry = cost([*command, "--dry-run", "--quiet", "rules"])
        total = re.search(r"^total\s+(\d+)", dry.output, flags=re.MULTILINE)
        found = int(total.group(1)) if total else 0
        print(f"dry run of {found} jobs: {_figures(dry)}", flush=True)
        print(f"first of {found} jobs starts after {until_a_job(command):.1f} s", flush=True)
    return found > BAR_JOBS or (dry.wall_s < DRY_S and dry.peak_mib < MEMORY_MIB)


def measure_nothing(folder: Path, repeats: int) -> bool:
    """Print what runs with nothing to do take; whether the shortest keeps the bar.

    Raises:
        RuntimeError: there was something to do.
    """
    runs = [cost([*LAUNCH, "--directory", str(folder)]) for _ in range(repeats)]
    if any("Nothing to be done" not in run.output for run in runs[1:] or runs):
        raise RuntimeError(f"expected a finished run of the default configuration in {folder}, found jobs to do")
    for run in runs:
        print(f"nothing to do: {_figures(run)}")
    return min(run.wall_s for run in runs) < NOTHING_S


def _figures(run: Cost) -> str:
    return f"{run.wall_s:.1f} s, processor time {run.processor_s:.1f} s, peak {run.peak_mib:.0f} MiB"


def main() -> int:
    """Measure, print, and say by the exit status whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="*", default=[5000, 15000])
    parser.add_argument("--finished", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load}")
    held = [measure_large(jobs) for jobs in arguments.jobs]
    if arguments.finished:
        held.append(measure_nothing(arguments.finished.resolve(), arguments.repeats))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
