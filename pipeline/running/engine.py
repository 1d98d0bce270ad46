"""Snakemake as `pipeline.running.launch` starts it, with sentences for two of its tracebacks: an interrupt in its first
second, when it is not yet ready for one, and a log that cannot be written since the disk is full."""

import logging
import sys


def main() -> None:
    """Run Snakemake's command line with the arguments of this process."""
    logging.raiseExceptions = False
    try:
        from snakemake import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit("interrupted before any job was started")


if __name__ == "__main__":
    main()
