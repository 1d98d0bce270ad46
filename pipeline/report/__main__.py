"""`make report`: write results/report.html from the results there are.

`python -m pipeline.report [--if-changed] [arguments of Snakemake]`
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError
from pipeline.report.stamp import ROOT, report_stamp
from pipeline.running.arguments import working_folder


def main(arguments: Sequence[str]) -> int:
    """Write the report of a run with these arguments of Snakemake; 1 if it cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report", allow_abbrev=False, add_help=False)
    parser.add_argument("--if-changed", action="store_true", help="only where it would be another one")
    own, others = parser.parse_known_args(arguments)
    stamp = report_stamp(others)
    if own.if_changed and _written(working_folder(others)) == stamp:
        return 0
    # Snakemake takes a second to import, which most runs with nothing to do need not spend.
    from pipeline.report.pages import START, write_report
    from pipeline.report.run import read_run

    try:
        run = read_run(others)
        shown, missing = write_report(run, ROOT, stamp)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    lacking = f"; {missing} are not there yet, and it says which" if missing else ""
    print(f"report: {run.folder / START} ({shown} figures and tables{lacking})")
    return 0


def _written(folder: Path) -> str | None:
    """The stamp of the report that is there."""
    try:
        return (folder / "results" / "report" / ".stamp").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
