"""What Snakemake noted of each result, where a power cut left half a note.

Snakemake passes over a note that it cannot read, and would keep the result for ever, whatever settings change. Such a
result counts as unfinished instead, so that it is made again.
"""

import json
import os
from base64 import urlsafe_b64decode
from pathlib import Path

UNFINISHED = json.dumps({"external_jobid": None})


def mark_unrecorded(folder: Path) -> list[str]:
    """Mark results whose notes are damaged as unfinished, as Snakemake does before a job; their paths.

    Args:
        folder: working folder of a workflow, which holds `.snakemake`.
    """
    notes, marks = (folder / ".snakemake" / name for name in ("metadata", "incomplete"))
    marked = []
    for note in sorted(path for path in notes.rglob("*") if path.is_file() and not _whole(path)):
        name = note.relative_to(notes)
        mark = marks / name
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(UNFINISHED, encoding="utf-8")
        note.unlink()
        marked.append(_result(name))
    return marked


def _whole(note: Path) -> bool:
    """Whether a note ends as JSON does: what is cut off or was never written does not."""
    with open(note, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() == b"}"


def _result(name: Path) -> str:
    # Long names are cut into folders, which begin with an @.
    text = "".join(part.removeprefix("@") for part in name.parts)
    return urlsafe_b64decode(text).decode("utf-8", "replace")
