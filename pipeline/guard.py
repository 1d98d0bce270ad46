"""Orphans must never publish: a job whose Snakemake is gone stops, and a job that a newer run replaces writes nothing.

When Snakemake is killed with SIGKILL its job scripts live on. One of them could replace a newer result
with an older one, and Snakemake would never know. The Snakefile therefore announces its own process in
the environment that jobs inherit, and a job counts as orphaned once that process is no longer among its
ancestors (a killed parent's children are handed to another process at once, and process ids that are
used again cannot become ancestors, so no clock is involved).

On a cluster each job has a Snakemake of its own, which lives as long as the job does, so that nothing ends when
the one that submitted it is killed. Such jobs may still publish, as what they compute may be wanted, until
another run takes over: it writes its own name into the working folder before its first job, and jobs that inherited
another name stop. A run's name holds a digest of its settings, too: jobs of a cluster read the configuration when they
start, and Snakemake would record what they compute as made with the settings that were there when they were submitted.
"""

import hashlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

LAUNCHER = "ADVERSARIAL_NEIGHBORHOODS_LAUNCHER"
RUN = "ADVERSARIAL_NEIGHBORHOODS_RUN"
# In the working folder, and read again from there each time: NFS shows what lies behind a fresh `open`.
RUN_FILE = Path(".snakemake") / "run"
ORPHANED = "the workflow that started this job has ended"
REPLACED = "a newer run of the workflow has taken over this folder"


class ChangedSettingsError(Exception):
    """The configuration differs from that of the run that submitted a job."""


def announce(root: Path, main: bool = True) -> None:
    """Prepare the environment that jobs inherit. Called by the Snakefile.

    It names this process as the one that the jobs belong to, and puts the checkout before every installed
    package, so that jobs never import an installed copy; the working folder, for functions of one's own, comes second.

    Args:
        root: the checkout.
        main: whether this is the Snakemake that a user started, rather than that of a job.

    Raises:
        SystemExit: this is the Snakemake of a job that a newer run has replaced; it must not touch any file.
    """
    os.environ[LAUNCHER] = str(os.getpid())
    first = [str(root), os.getcwd()]
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in first]
    os.environ["PYTHONPATH"] = os.pathsep.join([*dict.fromkeys(first), *others])
    if main:
        os.environ[RUN] = ""
    elif replaced():
        raise SystemExit(f"{REPLACED}: the job does not start")


def take_over(settings: Mapping[str, Any]) -> None:
    """Make this run the only one whose jobs may publish in the working folder. Called before its first job.

    Args:
        settings: the resolved configuration.
    """
    os.environ[RUN] = f"{uuid.uuid4().hex}-{_digest(settings)}"
    RUN_FILE.parent.mkdir(exist_ok=True)
    temporary = RUN_FILE.with_name(f"{RUN_FILE.name}.{os.getpid()}.tmp")
    temporary.write_text(f"{os.environ[RUN]}\n{socket.gethostname()}\n", encoding="utf-8")
    temporary.replace(RUN_FILE)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ChangedSettingsError in a job's Snakemake that found another configuration than its run did.

    Args:
        settings: the resolved configuration.
    """
    name = os.environ.get(RUN)
    if name and name.split("-")[-1] != _digest(settings):
        raise ChangedSettingsError("the configuration has changed since this job was submitted: start again")


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()


def replaced() -> bool:
    """Whether another run has taken over the working folder since the one that this job belongs to did."""
    name = os.environ.get(RUN)
    if not name:
        return False
    try:
        return RUN_FILE.read_text(encoding="utf-8").partition("\n")[0] != name
    except OSError:
        # Whoever removed Snakemake's folder has forgotten all runs.
        return True


def host_of_last_run(folder: Path) -> str | None:
    """The machine that the last run in a folder was started on; None if that is not known."""
    try:
        return (folder / RUN_FILE).read_text(encoding="utf-8").split("\n")[1] or None
    except (OSError, IndexError):
        return None


def obsolete() -> str | None:
    """Why a job must not publish its result; None if it may."""
    if orphaned():
        return ORPHANED
    return REPLACED if replaced() else None


def orphaned() -> bool:
    """Whether the Snakemake that started this process has ended. False when none has started it."""
    launcher = os.environ.get(LAUNCHER)
    if launcher is None:
        return False
    pid = os.getpid()
    if pid == int(launcher):
        return False
    while pid > 1:
        try:
            pid = psutil.Process(pid).ppid()
        except psutil.NoSuchProcess:
            return True
        if pid == int(launcher):
            return False
    return True


def watch(interval_s: float = 0.5, run_interval_s: float = 5.0) -> None:
    """End this process soon after it is orphaned or replaced, so that it holds no core and no GPU for nothing.

    Args:
        interval_s: seconds between looks at the process's ancestors.
        run_interval_s: seconds between looks at the working folder, which thousands of jobs may share.
    """

    def poll() -> None:
        looked = time.monotonic()
        while not orphaned():
            if time.monotonic() - looked >= run_interval_s:
                looked = time.monotonic()
                if replaced():
                    _end(REPLACED)
            time.sleep(interval_s)
        _end(ORPHANED)

    if LAUNCHER in os.environ:
        threading.Thread(target=poll, name="orphan-watch", daemon=True).start()


def _end(reason: str) -> None:
    sys.stderr.write(f"{reason}: the job stops and publishes nothing\n")
    sys.stderr.flush()
    os._exit(1)
