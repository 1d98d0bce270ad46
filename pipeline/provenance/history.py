"""results/provenance.json: what made every result, and a hash that says whether a file is still what was made.

Snakemake calls this in the process that ran the workflow, after every run that did something, failed ones included.
A result gets its hash in the run that made it, and keeps it until it is made again: a file that was edited or damaged
since is therefore never taken for a result (`pipeline.provenance.verify` finds it). Nothing reads this file
to decide what to do.
"""

import ast
import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pipeline.provenance.surroundings import code_state, hardware, versions
from pipeline.running.usage import Usage, read_usage
from pipeline.store import StoreError, publishing

PROVENANCE = Path("results/provenance.json")
FORMAT = 1

# What a run leaves for readers. Times of jobs (results/benchmarks) differ between equal runs, and a report
# shows what lies beside it.
KINDS = frozenset({".h5", ".png", ".pdf", ".svg", ".csv", ".html"})
NOT_RESULTS = frozenset({"benchmarks", "report", "report.html", "rulegraph.png"})

SECRET = re.compile(r"(?<=://)[^/@\s\"]+@")


class Record(Protocol):
    """What Snakemake notes of the job that made a file."""

    rule: str | None
    code: str | None
    params: list[Any] | None
    log: list[str] | None
    starttime: float | None
    endtime: float | None


def result_files(folder: Path) -> list[Path]:
    """Result files of a run's folder, relative to it, sorted; what is unfinished or hidden does not count."""
    results = folder / PROVENANCE.parent
    found = []
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.suffix in KINDS and not hidden and parts[0] not in NOT_RESULTS and path.is_file():
            found.append(path.relative_to(folder))
    return sorted(found)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_provenance(folder: Path) -> dict[str, Any]:
    """What results/provenance.json of a folder says.

    Raises:
        StoreError: it is missing, damaged, or of another format.
    """
    path = folder / PROVENANCE
    if not path.is_file():
        raise StoreError(f"{path}: no such file; `make run` writes it when it has made something")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StoreError(f"{path}: not readable JSON ({' '.join(str(error).split())})") from error
    results = found.get("results") if isinstance(found, dict) and found.get("format") == FORMAT else None
    if not isinstance(results, dict) or not all(_is_entry(entry) for entry in results.values()):
        raise StoreError(f"{path}: expected a record of format {FORMAT} with a hash for each result, found another")
    return found


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("sha256"), str)


def record(
    folder: Path,
    root: Path,
    config: Mapping[str, Any],
    made_by: Callable[[str], Record | None],
    outcome: str,
    command: Sequence[str],
    began: float,
) -> None:
    """Write what a run left; a record that cannot be written costs a warning, never the run.

    Args:
        folder: working folder of the run. root: the checkout. config: resolved configuration.
        made_by: Snakemake's notes by a result's path. outcome: "success" or "error".
        command: words of the command line. began: when the run read its rules, seconds since 1970; of results that are
            older and in no record nobody knows the commit.
    """
    try:
        before = read_provenance(folder)["results"]
    except StoreError as error:
        before = {}
        if (folder / PROVENANCE).exists():
            print(f"{error}; hashes of earlier runs are lost, and results count as they are now", file=sys.stderr)
    code = code_state(root)
    results = {}
    for path in result_files(folder):
        name = path.as_posix()
        try:
            results[name] = _entry(folder, name, made_by(name), before.get(name), code, began)
        except OSError as error:
            print(f"{name}: not recorded ({error})", file=sys.stderr)
    found = {
        "format": FORMAT,
        "run": {"finished": _time(datetime.now(UTC).timestamp()), "outcome": outcome, "command": list(command)},
        "code": code,
        "versions": versions(),
        "hardware": hardware(),
        "seed": config["seed"],
        "config": config,
        "results": results,
    }
    text = json.dumps(found, indent=1, default=str)
    try:
        with publishing(folder / PROVENANCE) as temporary:
            temporary.write_text(SECRET.sub("", text) + "\n", encoding="utf-8")
    except StoreError as error:
        print(f"the run's record was not written: {error}", file=sys.stderr)


def _entry(
    folder: Path,
    name: str,
    notes: Record | None,
    before: Mapping[str, Any] | None,
    code: Mapping[str, Any],
    began: float,
) -> dict[str, Any]:
    """Where a file comes from, and its hash: the one it had when the job that made it was first seen."""
    made = {"started": _time(notes.starttime), "finished": _time(notes.endtime)} if notes else {}
    if before and (not notes or {key: before.get(key) for key in made} == made):
        return dict(before)
    path = folder / name
    spec = _spec(notes)
    script = re.search(r"scripts/[\w/]+\.py", (notes and notes.code) or "")
    used = _used(folder, notes)
    by_this_run = notes is not None and notes.starttime is not None and notes.starttime >= began
    commit = code["commit"] if by_this_run else None
    return {
        "sha256": file_hash(path),
        "bytes": path.stat().st_size,
        "rule": notes.rule if notes else None,
        "script": script[0] if script else None,
        "spec": hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest() if spec else None,
        "seed": spec.get("seed"),
        "code": commit and "+".join(filter(None, [commit, code["changes"]])),
        "device": used and used.device,
        "cpu": used and used.cpu,
        "host": used and used.host,
        **made,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _spec(notes: Record | None) -> dict[str, Any]:
    """The param that decided the result, which Snakemake notes as the text of a dict."""
    for text in (notes and notes.params) or ():
        try:
            value = ast.literal_eval(str(text))
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, dict) and "code" in value:
            return value
    return {}


def _used(folder: Path, notes: Record | None) -> Usage | None:
    """What the job's log says that it used; None where it does not."""
    for log in (notes and notes.log) or ():
        with contextlib.suppress(OSError):
            if found := read_usage(folder / log):
                return found
    return None
