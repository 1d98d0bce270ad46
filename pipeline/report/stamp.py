"""What the report was made from, as one digest: it takes a tenth of a second, where the report takes several."""

import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.running.arguments import working_folder

ROOT = Path(__file__).resolve().parents[2]
# What the report shows or is shaped by, besides results.
SOURCES = (
    "Snakefile",
    "config.yaml",
    "rules",
    "scripts",
    "report",
    "schemas",
    "published",
    "pipeline",
    "styles",
    "envs",
)
# The report itself, and a picture of the rules.
NOT_SHOWN = ("report", "report.html", "rulegraph.png")


def report_stamp(arguments: Sequence[str], root: Path = ROOT) -> str:
    """Digest of all that the report of a run with these arguments shows.

    Sources of the checkout, and files and profiles that the arguments name, count by content; results and Snakemake's
    records of their jobs by name, size and time.
    """
    folder = working_folder(arguments)
    digest = hashlib.blake2b(digest_size=16)
    version = importlib.metadata.version("snakemake")
    _add(digest, sys.version, version, str(folder), *arguments)
    words = [part for word in arguments for part in (word, word.partition("=")[2])]
    # os.path takes what can be no path, such as a long value of --config, for one that does not exist.
    named = [Path(part) for part in words if os.path.isfile(part)]
    profiles = [file for part in words if os.path.isdir(part) for file in sorted(Path(part).glob("*.yaml"))]
    for place in [*(root / name for name in SOURCES), *named, *profiles]:
        for path in _files(place):
            _add(digest, str(path), path.read_bytes())
    results = folder / "results"
    for place in (results, folder / ".snakemake" / "metadata"):
        for path in _files(place):
            if place == results and path.relative_to(results).parts[0] in NOT_SHOWN:
                continue
            status = path.stat()
            _add(digest, str(path), str(status.st_size), str(status.st_mtime_ns))
    return digest.hexdigest()


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def _add(digest: hashlib.blake2b, *parts: str | bytes) -> None:
    for part in parts:
        content = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        digest.update(f"{len(content)}:".encode() + content)
