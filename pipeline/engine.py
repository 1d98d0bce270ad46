"""Snakemake as `pipeline.launch` starts it: an interrupt in its first second, when it is not yet ready for one, gets a
sentence as later ones do, and no traceback."""

import sys


def main() -> None:
    """Run Snakemake's command line with the arguments of this process."""
    try:
        from snakemake import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit("interrupted before any job was started")


if __name__ == "__main__":
    main()
