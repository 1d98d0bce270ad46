"""`python -m tests.fuzz [target ...] [--inputs N] [--first N]`: damaged inputs for everything that reads files of others."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz import configs, files
from tests.fuzz.harness import main

TARGETS = {**files.TARGETS, **configs.TARGETS}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", choices=[*TARGETS, []], help=f"of {', '.join(TARGETS)}; all of them for none"
    )
    parser.add_argument("--inputs", type=int, default=10_000, help="inputs of each target")
    parser.add_argument("--first", type=int, default=0, help="number of the first input, e.g. of a finding")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(TARGETS, given.targets, given.inputs, given.first, Path(folder)))
