"""Start Snakemake, and recover by itself from a run that was killed: `python -m pipeline.launch [arguments]`.

A killed Snakemake leaves its lock behind, and the next one would refuse to work. The lock is removed here,
but only when no process of this workflow works in the folder, and never for runs on a cluster, whose jobs
this machine cannot see.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import yaml

ORPHANS_END_S = 10.0


def main(arguments: Sequence[str]) -> int:
    """Run Snakemake with the arguments and return its exit status; 1 if the folder is in use."""
    folder = working_folder(arguments)
    if on_cluster(arguments, folder):
        if locks(folder):
            print(
                f"{folder} is locked; jobs of a cluster cannot be seen from here: when none is left, "
                "run `snakemake --unlock`",
                file=sys.stderr,
            )
    elif users := _wait_for_orphans(folder):
        names = ", ".join(str(process.pid) for process in users)
        print(
            f"another run of this workflow works in {folder} (process {names}); wait for it or end it", file=sys.stderr
        )
        return 1
    elif stale := locks(folder):
        for path in stale:
            path.unlink(missing_ok=True)
        print(f"removed the stale lock that a killed run left in {folder}", file=sys.stderr)
    return _run([sys.executable, "-m", "snakemake", *arguments])


def option(arguments: Sequence[str], *names: str) -> str | None:
    """Value of an option given as `--name value`, `--name=value` or `-n value`; the last one counts."""
    found = None
    for i, word in enumerate(arguments):
        if word in names and i + 1 < len(arguments):
            found = arguments[i + 1]
        for name in names:
            if name.startswith("--") and word.startswith(f"{name}="):
                found = word.removeprefix(f"{name}=")
    return found


def working_folder(arguments: Sequence[str]) -> Path:
    """The folder Snakemake will work in."""
    return Path(option(arguments, "--directory", "-d") or ".").resolve()


def on_cluster(arguments: Sequence[str], folder: Path) -> bool:
    """Whether jobs run elsewhere: an executor other than local, in the arguments or in a profile."""
    executor = option(arguments, "--executor", "-e")
    for name in ("--profile", "--workflow-profile"):
        profile = option(arguments, name)
        for base in (Path(), folder) if profile else ():
            for file in ("config.v8+.yaml", "config.yaml"):
                path = base / str(profile) / file
                if executor is None and path.is_file():
                    executor = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("executor")
    return executor not in (None, "local")


def locks(folder: Path) -> list[Path]:
    """Lock files of Snakemake in a folder."""
    return sorted(path for path in (folder / ".snakemake" / "locks").glob("*") if path.is_file())


def users_of(folder: Path) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Live processes of the workflow in a folder: Snakemake's own, and job scripts."""
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
            elif _is_snakemake(words) and Path(process.cwd()).resolve() == folder:
                engines.append(process)
    return engines, scripts


def _is_snakemake(words: Sequence[str]) -> bool:
    return any(Path(word).name == "snakemake" or word.endswith("/snakemake/__main__.py") for word in words[:3])


def _wait_for_orphans(folder: Path) -> list[psutil.Process]:
    """Processes that use the folder, after orphaned job scripts had time to notice and end."""
    deadline = time.monotonic() + ORPHANS_END_S
    while True:
        engines, scripts = users_of(folder)
        if engines or not scripts or time.monotonic() > deadline:
            return engines + scripts
        time.sleep(0.2)


def _run(command: Sequence[str]) -> int:
    child = subprocess.Popen(command)

    def forward(number: int, frame: object) -> None:
        child.send_signal(number)

    # Ctrl-C reaches the whole terminal group already; what is sent to this process alone is passed on.
    signal.signal(signal.SIGINT, signal.SIG_IGN if sys.stdin.isatty() else forward)
    signal.signal(signal.SIGTERM, forward)
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
