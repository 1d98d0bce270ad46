"""Start Snakemake, and recover by itself from a run that was killed: `python -m pipeline.running.launch [arguments]`.

A killed Snakemake leaves its lock behind, and the next one would refuse to work. The lock is removed here,
but only when no process of this workflow works in the folder, and for runs on a cluster, whose jobs
this machine cannot see, only when SLURM says that it has none of this folder.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pipeline import guard
from pipeline.running import slurm
from pipeline.running.arguments import configuration_mistakes, on_cluster, only_looks, option, working_folder
from pipeline.running.records import bring_back, mark_unrecorded

# A job that is still importing notices only then.
ORPHANS_END_S = 60.0
ENGINE = "pipeline.running.engine"
FULL_DISK_BYTES = 1 << 20
KILLED_JOB = re.compile(r"/tmp\w+\.(\S+\.py)' died with <Signals\.(SIG\w+)")


def main(arguments: Sequence[str]) -> int:
    """Run Snakemake with the arguments and return its exit status; 1 if the folder is in use.

    Args:
        arguments: what Snakemake gets, as on its command line.

    A Snakemake that a signal ended gives 128 plus the signal's number, as in a shell.
    """
    if mistakes := configuration_mistakes(arguments):
        return _refuse(mistakes)
    folder = working_folder(arguments)
    for place in (folder, folder / "results", folder / "logs"):
        if place.exists() and not os.access(place, os.W_OK | os.X_OK):
            return _refuse(f"{place} cannot be written: its file system is read-only, or it belongs to another user")
    # Snakemake's own lock does not keep two apart that start at once: each looks before either writes.
    lock = FileLock(folder / ".snakemake" / "launch.lock", timeout=0)
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        if only_looks(arguments):
            return _run([sys.executable, "-m", ENGINE, *arguments])
        return _refuse(_in_use(folder))
    except OSError as error:
        return _refuse(f"{folder} cannot be written ({error.strerror})")
    except NotImplementedError:  # A file system without locks; Snakemake's own remains.
        return _run_in(folder, arguments)
    try:
        return _run_in(folder, arguments)
    finally:
        lock.release()


def _in_use(folder: Path) -> str:
    engines, scripts = users_of(folder)
    names = ", ".join(str(process.pid) for process in engines + scripts)
    what = f"works in {folder} (process {names})" if names else f"starts in {folder}"
    return f"another run of this workflow {what}; wait for it or end it"


def _run_in(folder: Path, arguments: Sequence[str]) -> int:
    # Listed before the processes are: a lock that a run takes from now on is never in this list.
    held = locks(folder)
    cluster = bool(held) and on_cluster(arguments, folder)
    submitted = slurm.jobs_of(folder) if cluster else []
    if submitted:
        return _refuse(
            f"SLURM has jobs of another run in {folder} ({', '.join(submitted)}): wait, and what they compute is used; "
            f"if that run was killed, `scancel {' '.join(submitted)}` ends them"
        )
    if _wait_for_orphans(folder):
        return _refuse(_in_use(folder))
    elsewhere = cluster and guard.host_of_last_run(folder) not in (None, socket.gethostname())
    if submitted is None or elsewhere:
        unseen = f"processes of {guard.host_of_last_run(folder)}" if elsewhere else "jobs of a cluster"
        print(
            f"{folder} is locked; {unseen} cannot be seen from here: when none is left, run `snakemake --unlock`",
            file=sys.stderr,
        )
    elif held:
        try:
            for path in held:
                path.unlink(missing_ok=True)
        except OSError as error:
            return _refuse(f"the stale lock of a killed run in {folder} cannot be removed: {error}")
        print(f"removed the stale lock that a killed run left in {folder}", file=sys.stderr)
    for name in mark_unrecorded(folder):
        print(f"{name}: what Snakemake noted of it is damaged, so it is made again", file=sys.stderr)
    if ahead := bring_back(folder):
        print(
            f"{len(ahead)} results had times in the future, {ahead[0]} first; they got the present",
            file=sys.stderr,
        )
    begin = time.time()
    status = _run([sys.executable, "-m", ENGINE, *arguments])
    for sentence in aftermath(status, folder, begin):
        print(sentence, file=sys.stderr)
    return status


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def locks(folder: Path) -> list[Path]:
    """Lock files of Snakemake in a folder."""
    return sorted(path for path in (folder / ".snakemake" / "locks").glob("*") if path.is_file())


def users_of(folder: Path) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Live processes of the workflow in a folder: Snakemake's own, and job scripts.

    This process and its ancestors do not count, nor do those of other users whose folder is secret.
    """
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    engines, scripts = [], []
    for process in psutil.process_iter():
        if process.pid in mine:
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            # A short-lived process of another kind may name the folder: only argument names of ours count.
            if any(Path(word).parent == folder / ".snakemake" / "scripts" for word in words):
                scripts.append(process)
            elif _is_snakemake(words) and _works_in(folder, Path(process.cwd()), words):
                engines.append(process)
    return engines, scripts


def _is_snakemake(words: Sequence[str]) -> bool:
    program, *others = [Path(word).name for word in words] or [""]
    # An editor or a terminal session may bear the name, too, so Python must be what runs.
    python = program.lower().startswith(("python", "pypy"))
    script = any(word.endswith("/snakemake/__main__.py") for word in words)
    return program == "snakemake" or (python and (script or not {"snakemake", ENGINE}.isdisjoint(others)))


def aftermath(status: int, folder: Path, begin: float) -> list[str]:
    """What to say after Snakemake's own words, when it or one of its jobs was ended from outside.

    Args:
        status: exit status of the run. folder: where it worked. begin: when it was started, in seconds of the epoch.
    """
    kept = "what is finished is kept: start again to go on"
    if status > 128:
        return [f"Snakemake was ended by {signal.Signals(status - 128).name}; {kept}"]
    if status == 0:
        return []
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < FULL_DISK_BYTES:
        return [f"the disk of {folder} is full: make room; {kept}"]
    logs = [path for path in (folder / ".snakemake" / "log").glob("*.log") if path.stat().st_mtime >= begin]
    ended = [match for path in logs for match in KILLED_JOB.findall(path.read_text(encoding="utf-8", errors="replace"))]
    sentences = []
    for script, name in dict.fromkeys(ended):
        reason = (
            ", most likely since it ran out of memory (then fewer at once help: --cores)" if name == "SIGKILL" else ""
        )
        sentences.append(f"a job of {script} was ended from outside by {name}{reason}; {kept}")
    return sentences


def _works_in(folder: Path, current: Path, words: Sequence[str]) -> bool:
    """Whether a Snakemake works in a folder, also in its first second, before it goes to its `--directory`."""
    asked = Path(option(words, "--directory", "-d") or ".")
    places = [current / asked] if asked.is_absolute() else [current, current / asked]
    return folder in [place.resolve() for place in places]


def _wait_for_orphans(folder: Path) -> bool:
    """Whether processes use the folder, after orphaned job scripts had time to notice and end."""
    begin, told = time.monotonic(), False
    while True:
        engines, scripts = users_of(folder)
        waited = time.monotonic() - begin
        if engines or not scripts or waited > ORPHANS_END_S:
            return bool(engines or scripts)
        if waited > 2 and not told:
            names = ", ".join(str(process.pid) for process in scripts)
            print(f"waiting for jobs of a killed run in {folder} to end (process {names})", file=sys.stderr)
            told = True
        time.sleep(0.2)


def _run(command: Sequence[str]) -> int:
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, frame: object) -> None:
        if number == signal.SIGINT and _in_foreground():
            return
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    signal.signal(signal.SIGINT, forward)
    signal.signal(signal.SIGTERM, forward)
    child = subprocess.Popen(command)
    for number in early:
        child.send_signal(number)
    status = child.wait()
    return status if status >= 0 else 128 - status


def _in_foreground() -> bool:
    """Whether this process has the terminal, whose Ctrl-C then reaches Snakemake, too.

    A second interrupt would make Snakemake stop in the middle of ending its jobs.
    """
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted before Snakemake was started")
