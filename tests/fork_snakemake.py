"""Snakemake for many short runs: imported once and forked for each, which spares a run most of its start.

Each line of standard input is a JSON list of a working folder, Snakemake's arguments and a file for what it prints; each
line of standard output is the exit code of that run. The project's own modules are never imported here, so that every run
reads those of its folder.
"""

import json
import os
import signal
import sys

# What Snakemake imports when it first needs it.
import jsonschema  # noqa: F401
import nbformat  # noqa: F401
import smart_open  # noqa: F401
from snakemake import cli

TIMEOUT_S = 900


def run(folder: str, arguments: list[str], output: str) -> None:
    """`python -m snakemake` in a folder; ends in SystemExit, at the latest with an alarm."""
    signal.alarm(TIMEOUT_S)
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv[1:] = arguments
    for stream, place, mode in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
        os.dup2(os.open(place, mode), stream)
    os.dup2(1, 2)
    cli.main(arguments)


def main() -> None:
    """Serve runs, one at a time, until standard input ends."""
    cli.get_argument_parser()  # finds plug-ins
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
