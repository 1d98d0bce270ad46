"""What SLURM knows of the jobs of a folder."""

import subprocess
from pathlib import Path

ASK_S = 30.0
# Wide enough for paths: what is longer is cut off and would not be recognised.
COLUMNS = "JobArrayID:64,STDOUT:4096"


def jobs_of(folder: Path) -> list[str] | None:
    """Ids of the jobs of a workflow in a folder that SLURM has not finished; None if SLURM cannot be asked.

    They are recognised by their logs, which Snakemake's executor puts below the folder's `.snakemake`.

    Args:
        folder: the working folder, with no link on its way.
    """
    command = ["squeue", "--me", "--noheader", "--Format", COLUMNS]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split(maxsplit=1) for line in listed.splitlines()]
    return [row[0] for row in rows if len(row) == 2 and row[1].startswith(f"{folder}/.snakemake/")]
