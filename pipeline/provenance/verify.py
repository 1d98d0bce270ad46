"""Compare every result with the hash it had when it was made: `make verify`."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.provenance.history import PROVENANCE, file_hash, read_provenance, result_files
from pipeline.store import StoreError, verify

REPAIRABLE = ("changed", "damaged")


def main(arguments: Sequence[str]) -> int:
    """Print a line for each result that is not as it was made; 0 when there is none, else 1."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.provenance.verify", description=__doc__)
    parser.add_argument("--directory", "-d", type=Path, default=Path(), help="working folder of the run")
    parser.add_argument("--remove", action="store_true", help="delete changed and damaged results, to be made again")
    options = parser.parse_args(arguments)
    try:
        recorded = read_provenance(options.directory)["results"]
    except StoreError as error:
        print(error)
        return 1
    problems = differences(options.directory, recorded)
    for name, (kind, reason) in problems.items():
        print(f"{name}: {kind} ({reason})")
    print(f"{len(set(recorded) - set(problems))} of {len(recorded)} recorded results are as they were made")
    broken = [name for name, (kind, _) in problems.items() if kind in REPAIRABLE]
    if options.remove:
        for name in broken:
            (options.directory / name).unlink(missing_ok=True)
        print(f"deleted {len(broken)}; the next run makes them again")
    elif broken:
        print(
            "`python -m pipeline.provenance.verify --remove` deletes changed and damaged results; "
            "the next run makes them again"
        )
    return 1 if problems else 0


def differences(folder: Path, recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Kind of problem and its reason for each result that is not as it was made, by path.

    Args:
        folder: working folder of the run. recorded: what is known of each result, by path relative to the folder.

    Returns:
        "missing": it was recorded and is gone. "damaged": it cannot be read. "changed": it can, but has other bytes.
        "unknown": nobody recorded it.
    """
    there = {path.as_posix() for path in result_files(folder)}
    problems = {}
    for name in sorted(there | set(recorded)):
        if name not in there:
            problems[name] = ("missing", "the next run makes it again if it is asked for")
        elif name not in recorded:
            problems[name] = ("unknown", f"made after {PROVENANCE} was written, or by no rule of this workflow")
        elif problem := _difference(folder / name, recorded[name]["sha256"]):
            problems[name] = problem
    return problems


def _difference(path: Path, expected: str) -> tuple[str, str] | None:
    try:
        found = file_hash(path)
        if found == expected:
            return None
        if path.suffix == ".h5":
            verify(path)
    except (StoreError, OSError) as error:
        return "damaged", str(error).removeprefix(f"{path}: ")
    return "changed", f"its hash begins with {found[:12]}, that of the result was {expected[:12]}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
