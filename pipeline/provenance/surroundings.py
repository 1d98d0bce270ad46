"""What a run was made with: the state of the code, versions, and the machine."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil

from pipeline.running.usage import cpu_model

TIMEOUT_S = 30


class _NotKnownError(Exception):
    """A program gave no answer; the text is one sentence."""


def code_state(root: Path) -> dict[str, Any]:
    """Commit of a checkout, and whether its code differs from it.

    Args:
        root: the checkout, or an unpacked archive without git's data.

    Returns:
        `commit` (None with a `reason`), `dirty` (None where that is not known), `changes`: a digest of the difference
        of tracked files and of Python and rule files that git does not know; None without any.
    """
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel").decode().strip()).resolve() != root.resolve():
            raise _NotKnownError("the checkout is part of another repository")
        commit = _git(root, "rev-parse", "HEAD").decode().strip()
        changes = _changes(root)
    except (_NotKnownError, OSError) as error:
        return {"commit": None, "dirty": None, "changes": None, "reason": str(error)}
    return {"commit": commit, "dirty": changes is not None, "changes": changes, "reason": None}


def _changes(root: Path) -> str | None:
    difference = _git(root, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--no-color")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py", "*.smk").split(b"\0")
    digest = hashlib.sha256(difference)
    for name in sorted(filter(None, new)):
        digest.update(name + b"\0" + (root / os.fsdecode(name)).read_bytes())
    return digest.hexdigest() if difference or any(new) else None


def _git(root: Path, *arguments: str) -> bytes:
    # Not the repository that a surrounding git command, such as a hook, works on.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return _answer(["git", "-C", str(root), *arguments], {**clean, "GIT_OPTIONAL_LOCKS": "0"})


def _answer(command: Sequence[str], environment: dict[str, str] | None = None) -> bytes:
    try:
        run = subprocess.run(command, capture_output=True, env=environment, timeout=TIMEOUT_S)
    except FileNotFoundError as error:
        raise _NotKnownError(f"{command[0]} is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _NotKnownError(f"{command[0]} gave no answer ({error})") from error
    if run.returncode:
        said = " ".join(run.stderr.decode(errors="replace").split())
        raise _NotKnownError(f"{command[0]} said: {said[:300]}")
    return run.stdout


def versions() -> dict[str, Any]:
    """Versions of Python, of the system and of every installed package."""
    packages = {item.metadata["Name"]: item.version for item in distributions() if item.metadata["Name"]}
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }


def hardware() -> dict[str, Any]:
    """The machine that Snakemake runs on; jobs of a cluster may have run elsewhere."""
    try:
        listed = _answer(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
        gpus = [line.strip() for line in listed.decode(errors="replace").splitlines() if line.strip()]
    except _NotKnownError:
        gpus = []
    return {
        "host": platform.node(),
        "cpu": cpu_model(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "gpus": gpus,
    }
