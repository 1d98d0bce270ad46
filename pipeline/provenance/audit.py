"""Looks pinned packages up among known vulnerabilities: `python -m pipeline.provenance.audit requirements.txt ...`.

The data are those of OSV, which collects the advisories of the Python Package Index and others; all pins go there in
one question. Where it cannot be asked the audit says so and counts as passed, so that checks work without a network.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

OSV = "https://api.osv.dev/v1"
TIMEOUT_S = (3.0, 10.0)
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;#]+)", re.M)


def main(files: Sequence[str], osv: str = OSV) -> int:
    """Print each known vulnerability of a pinned release; 1 if another release mends one of them, else 0.

    Args:
        files: requirements in pip's format. osv: where the data are asked for.
    """
    pins = sorted({pin for file in files for pin in pinned(Path(file).read_text(encoding="utf-8"))})
    try:
        found = list(_known(pins, osv))
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        print(f"dependency audit skipped: {osv} cannot be asked ({type(error).__name__})")
        return 0
    for name, version, (advisory, mended) in found:
        state = f"mended in {', '.join(mended)}" if mended else "not mended yet"
        print(f"{name} {version}: {advisory}, {state}")
    print(f"dependency audit: {len(pins)} packages, {len(found)} known vulnerabilities")
    return int(any(mended for _, _, (_, mended) in found))


def pinned(requirements: str) -> Iterator[tuple[str, str]]:
    """Names and versions of a requirements file."""
    for match in PIN.finditer(requirements):
        yield _plain(match[1]), match[2]


def _plain(name: str) -> str:
    """A package's name as the index spells it, for which `-`, `_` and `.` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _known(pins: Sequence[tuple[str, str]], osv: str) -> Iterator[tuple[str, str, tuple[str, list[str]]]]:
    """Pins with each of their advisories and the releases that mend it."""
    questions: list[Any] = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in pins
    ]
    answer = requests.post(f"{osv}/querybatch", json={"queries": questions}, timeout=TIMEOUT_S)
    answer.raise_for_status()
    for (name, version), result in zip(pins, answer.json()["results"], strict=True):
        for vulnerability in result.get("vulns", []):
            details = requests.get(f"{osv}/vulns/{vulnerability['id']}", timeout=TIMEOUT_S)
            details.raise_for_status()
            yield name, version, (vulnerability["id"], _mended(details.json(), name))


def _mended(details: dict[str, Any], name: str) -> list[str]:
    return [
        event["fixed"]
        for affected in details.get("affected", [])
        if _plain(affected["package"]["name"]) == name
        for part in affected.get("ranges", [])
        if part.get("type") == "ECOSYSTEM"
        for event in part["events"]
        if "fixed" in event
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
