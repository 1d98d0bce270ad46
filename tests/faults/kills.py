"""Kills at random moments, of jobs, of Snakemake and of what started it: `python -m tests.faults.kills --kills 50`.

A trial runs the branch, kills something five times, each time in the run that takes up what the last one left, then lets
a run end and compares every result with an undisturbed run's. The seed decides victims and moments and is printed, so
that a trial can be made again; what a moment hits hangs on the machine.
"""

import argparse
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.faults.branch import LIMIT_S, Branch, end, engine_of, kill

KILLS = 5  # of a trial
# Twice as many of the commonest: a job that the kernel ends for its memory, and a machine that goes down.
VICTIMS = (
    *[("a job", signal.SIGKILL)] * 2,
    *[("everything", signal.SIGKILL)] * 2,
    ("a job", signal.SIGTERM),
    ("Snakemake", signal.SIGKILL),
    ("Snakemake", signal.SIGTERM),
    ("Snakemake", signal.SIGINT),
    ("the launcher", signal.SIGKILL),
    ("the launcher", signal.SIGTERM),
    ("the launcher", signal.SIGINT),
)


@dataclass
class Outcome:
    """What a trial came to: kills by victim, and everything that is not as it should be."""

    kills: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    longest_s: float = 0.0


def trial(folder: Path, seed: int, undisturbed: dict[str, str], span_s: float, kills: int = KILLS) -> Outcome:
    """Kill at random, run to the end, compare.

    Args:
        undisturbed: digests of all results of a run that nothing disturbed.
        span_s: seconds that an undisturbed run takes; moments are drawn from the first half of them.
    """
    draw, branch, outcome = random.Random(seed), Branch(folder), Outcome()
    number = 0
    while number < kills:
        victim, signal_sent = draw.choice(VICTIMS)
        moment = draw.uniform(0.2, span_s / 2)
        before = len(branch.text()) if branch.log.exists() else 0
        process = branch.start()
        try:
            begin = time.monotonic()
            hit = _kill(branch, process, victim, signal_sent, moment)
            outcome.kills[f"{victim} {signal_sent.name}" if hit else "ended before"] += 1
            process.wait(LIMIT_S)
            if not hit:
                # From the beginning, so that there is something to kill.
                shutil.rmtree(folder / "results")
                continue
            number += 1
            outcome.longest_s = max(outcome.longest_s, time.monotonic() - begin)
        except (subprocess.TimeoutExpired, TimeoutError):
            number += 1
            outcome.wrong.append(f"seed {seed}, kill {number} ({victim}, {signal_sent.name}): it hangs")
        finally:
            _end_what_a_killed_launcher_leaves(branch, process, victim)
        printed = branch.text()[before:]
        outcome.wrong += [f"seed {seed}, kill {number}: {line}" for line in unexplained(printed)]
    status, printed = branch.run()
    outcome.wrong += [f"seed {seed}, rerun: {line}" for line in unexplained(printed)]
    if status != 0:
        outcome.wrong.append(f"seed {seed}: the rerun ends with status {status}")
    made = branch.hashes()
    for name in sorted(undisturbed.keys() | made.keys()):
        if made.get(name) != undisturbed.get(name):
            outcome.wrong.append(f"seed {seed}: {name} differs from the undisturbed run's")
    outcome.wrong += [f"seed {seed}: {path} is left behind" for path in branch.leftovers()]
    return outcome


def _kill(
    branch: Branch, process: subprocess.Popen[bytes], victim: str, number: signal.Signals, moment_s: float
) -> bool:
    """Wait, then kill; False if the run ended before."""
    deadline = time.monotonic() + moment_s
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    while process.poll() is None:
        engine, scripts = engine_of(process), branch.scripts()
        if victim == "the launcher":
            kill(process.pid, number)
        elif victim == "Snakemake" and engine:
            kill(engine.pid, number)
        elif victim == "a job" and scripts:
            kill(scripts[0].pid, number)
        elif victim == "everything":
            for one in [process.pid, *([engine.pid] if engine else []), *(script.pid for script in scripts)]:
                kill(one, number)
        else:
            time.sleep(0.01)
            continue
        return True
    return False


def _end_what_a_killed_launcher_leaves(branch: Branch, process: subprocess.Popen[bytes], victim: str) -> None:
    """Snakemake outlives a launcher that was killed: the next run must name it, and it is ended then."""
    end(process)
    left = [one for one in psutil.process_iter(["cmdline"]) if str(branch.folder) in (one.info["cmdline"] or [])]
    if victim == "the launcher" and left:
        status, printed = branch.run()
        if "another run of this workflow works in" not in printed:
            # It may have ended in between.
            assert status == 0, printed
    for one in left:
        if one.is_running():
            kill(one.pid, signal.SIGKILL)
            psutil.wait_procs([one], 30)


def unexplained(printed: str) -> list[str]:
    """Tracebacks in what a run printed."""
    return [line for line in printed.splitlines() if re.match(r"\s*Traceback \(most recent call last\)", line)]


def main() -> int:
    """Run trials and print what they came to; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, default=None, help="where to work; a temporary folder by default")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="faults-"))
    begin = time.monotonic()
    reference = Branch(folder / "undisturbed")
    status, printed = reference.run()
    if status != 0:
        print(printed, file=sys.stderr)
        return 1
    span_s = time.monotonic() - begin
    print(f"undisturbed: {span_s:.0f} s, {len(reference.hashes())} results", flush=True)
    total = Outcome()
    seed = arguments.seed - 1
    while (done := total.kills.total() - total.kills["ended before"]) < arguments.kills:
        seed += 1
        outcome = trial(folder / str(seed), seed, reference.hashes(), span_s)
        print(f"seed {seed}: {dict(outcome.kills)}, {len(outcome.wrong)} wrong", flush=True)
        for line in outcome.wrong:
            print(f"  {line}", flush=True)
        total.kills += outcome.kills
        total.wrong += outcome.wrong
        total.longest_s = max(total.longest_s, outcome.longest_s)
        if not outcome.wrong:
            shutil.rmtree(folder / str(seed))
    print(f"{done} kills ({dict(sorted(total.kills.items()))}), {len(total.wrong)} wrong,", end=" ")
    print(f"longest run {total.longest_s:.0f} s, in all {time.monotonic() - begin:.0f} s")
    if not total.wrong and arguments.folder is None:
        shutil.rmtree(folder)
    return bool(total.wrong)


if __name__ == "__main__":
    sys.exit(main())
