"""Orphans must never publish: a job whose Snakemake is gone stops, and writes nothing.

When Snakemake is killed with SIGKILL its job scripts live on. One of them could replace a newer result
with an older one, and Snakemake would never know. The Snakefile therefore announces its own process in
the environment that jobs inherit, and a job counts as orphaned once that process is no longer among its
ancestors (a killed parent's children are handed to another process at once, and process ids that are
used again cannot become ancestors, so no clock is involved).
"""

import os
import sys
import threading
import time
from pathlib import Path

import psutil

LAUNCHER = "ADVERSARIAL_NEIGHBORHOODS_LAUNCHER"


def announce(root: Path) -> None:
    """Prepare the environment that jobs inherit. Called by the Snakefile.

    It names this process as the one that the jobs belong to, and puts the checkout before every installed
    package, so that jobs never import an installed copy; the working folder, for functions of one's own, comes second.
    """
    os.environ[LAUNCHER] = str(os.getpid())
    first = [str(root), os.getcwd()]
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in first]
    os.environ["PYTHONPATH"] = os.pathsep.join([*dict.fromkeys(first), *others])


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


def watch(interval_s: float = 0.5) -> None:
    """End this process soon after it is orphaned, so that it holds no core and no GPU for nothing."""

    def poll() -> None:
        while not orphaned():
            time.sleep(interval_s)
        sys.stderr.write("the workflow that started this job has ended: the job stops and publishes nothing\n")
        sys.stderr.flush()
        os._exit(1)

    if LAUNCHER in os.environ:
        threading.Thread(target=poll, name="orphan-watch", daemon=True).start()
