"""Runs a target on many inputs, in processes whose time, memory and end are seen from outside."""

import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# One input may take this: ten times what the largest takes on an idle core, since cores are shared.
SECONDS = 30
BATCH = 50
# Of a few sentences, some of which list what is valid.
MOST_LETTERS = 6000
SPARE_BYTES = 3 << 30
ACCEPTED, REFUSED, FINDING = 0, 1, 2


class CleanError(Exception):
    """What a target raises for an input that was refused, with the sentence that a user would read."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others write.

    Attributes:
        name: of it. prepare: makes, in a folder, what the run needs; called once. run: takes what `prepare` gave, the
            folder and a generator; makes an input of it and reads that. It ends well or raises `CleanError`.
    """

    name: str
    prepare: Callable[[Path], object]
    run: Callable[[object, Path, np.random.Generator], None]


@dataclass
class Outcome:
    """Numbers of inputs, the slowest one in seconds of processor time, the largest in MB, and what went wrong."""

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    findings: list[str] = field(default_factory=list)


def fuzz(target: Target, folder: Path, inputs: int, first: int = 0) -> Outcome:
    """Run a target on inputs number `first` and following, which are the same on every machine."""
    outcome = Outcome()
    prepared = target.prepare(folder)
    told = folder / "told"
    number, end = first, first + inputs
    while number < end:
        told.write_text("")
        child = os.fork()
        if child == 0:
            _run(target, prepared, folder, range(number, min(number + BATCH, end)), told)
        status, usage = os.wait4(child, 0)[1:]
        outcome.megabytes = max(outcome.megabytes, usage.ru_maxrss / 1024)
        lines = [json.loads(line) for line in told.read_text().splitlines()]
        # An input that ended its process is the one after the last that was told of.
        if code := os.waitstatus_to_exitcode(status):
            lines.append([FINDING, 0.0, f"ended its process with status {code}"])
        for kind, seconds, text in lines:
            outcome.inputs += 1
            outcome.accepted += kind == ACCEPTED
            outcome.refused += kind == REFUSED
            outcome.seconds = max(outcome.seconds, seconds)
            if kind == FINDING:
                outcome.findings.append(f"{target.name} {number}: {text}")
                print(outcome.findings[-1], file=sys.stderr, flush=True)
            number += 1
    return outcome


def _run(target: Target, prepared: object, folder: Path, numbers: range, told: Path) -> None:
    """Tells what became of each input, a line each, and ends the process."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, used + SPARE_BYTES))
        logging.disable()
        warnings.simplefilter("ignore")
        with open(told, "a") as lines:
            for number in numbers:
                started = time.process_time()
                signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
                signal.setitimer(signal.ITIMER_REAL, 20 * SECONDS)
                kind, text = _outcome(target, prepared, folder, number)
                print(json.dumps([kind, time.process_time() - started, text]), file=lines, flush=True)
        status = 0
    finally:
        # Whatever happens, the parent's code must not go on here.
        os._exit(status)


def _outcome(target: Target, prepared: object, folder: Path, number: int) -> tuple[int, str]:
    try:
        target.run(prepared, folder, np.random.default_rng([number, *target.name.encode()]))
    except CleanError as error:
        sentence = str(error)
        if sentence and len(sentence) < MOST_LETTERS:
            return REFUSED, ""
        return FINDING, f"no sentence: {sentence[:2000]!r}"
    except BaseException:
        return FINDING, traceback.format_exc()[-3000:]
    return ACCEPTED, ""


def report(outcomes: dict[str, Outcome]) -> str:
    """A table of outcomes, in Markdown."""
    lines = [
        "| target | inputs | accepted | refused | findings | slowest, s | largest, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in outcomes.items():
        lines.append(
            f"| {name} | {one.inputs} | {one.accepted} | {one.refused} | {len(one.findings)} | {one.seconds:.2f} "
            f"| {one.megabytes:.0f} |"
        )
    return "\n".join(lines)


def main(targets: dict[str, Target], names: list[str], inputs: int, first: int, folder: Path) -> int:
    """Fuzz some targets, print their outcomes and findings, and return 1 if there are findings."""
    outcomes = {}
    for name in names or targets:
        started = time.monotonic()
        outcomes[name] = fuzz(targets[name], folder, inputs, first)
        print(f"{name}: {inputs} inputs in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(report(outcomes))
    print(json.dumps({name: len(one.findings) for name, one in outcomes.items()}), file=sys.stderr)
    return int(any(one.findings for one in outcomes.values()))
