"""What a power cut or a wrong clock leaves in a working folder and Snakemake would misjudge."""

import binascii
import contextlib
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from typing import Any

UNFINISHED = json.dumps({"external_jobid": None})


def mark_unrecorded(folder: Path) -> list[str]:
    """Mark results whose notes are damaged as unfinished, as Snakemake does before a job; their paths.

    Snakemake passes over a note that it cannot read, and would keep the result for ever, whatever settings change.

    Args:
        folder: working folder of a workflow, which holds `.snakemake`.
    """
    notes, marks = (folder / ".snakemake" / name for name in ("metadata", "incomplete"))
    marked = []
    for note in sorted(path for path in notes.rglob("*") if path.is_file() and not _whole(path)):
        name = note.relative_to(notes)
        if (result := _result(name)) is None:
            continue
        mark = marks / name
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(UNFINISHED, encoding="utf-8")
        note.unlink()
        marked.append(result)
    return marked


def record_in_jobs() -> None:
    """Have the Snakemake of a cluster's job note what it made its result with. Called in that process.

    By itself it removes the mark of an unfinished result, and leaves the note to the Snakemake that submitted the job.
    If that one was killed meanwhile, the result has no note, and would be kept whatever settings change.
    """
    from snakemake.persistence import PersistenceBase
    from snakemake_interface_executor_plugins.settings import ExecMode

    finished = PersistenceBase.finished

    async def finished_with_note(self: Any, job: Any) -> None:
        settings = self.dag.workflow.workflow_settings
        mode, settings.exec_mode = settings.exec_mode, ExecMode.DEFAULT
        try:
            await finished(self, job)
        finally:
            settings.exec_mode = mode

    PersistenceBase.finished = finished_with_note


def bring_back(folder: Path) -> list[str]:
    """Give results with times in the future the present one; their paths.

    Snakemake fails a job that is done before the time of its input has come. The content decides what is made again,
    so that other times rerun nothing.
    """
    now = time.time()
    ahead = sorted(path for path in (folder / "results").rglob("*") if path.is_file() and path.stat().st_mtime > now)
    brought = []
    for path in ahead:
        # Only its owner may set a file's time.
        with contextlib.suppress(PermissionError):
            os.utime(path, (now, now))
            brought.append(str(path.relative_to(folder)))
    return brought


def _whole(note: Path) -> bool:
    """Whether a note ends as JSON does: what is cut off or was never written does not."""
    with open(note, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() == b"}"


def _result(name: Path) -> str | None:
    """The result that a note is of; None for a file that is no note, as network file systems and editors leave them."""
    # Long names are cut into folders, which begin with an @.
    text = "".join(part.removeprefix("@") for part in name.parts)
    try:
        result = urlsafe_b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return result if urlsafe_b64encode(result.encode()).decode() == text else None
