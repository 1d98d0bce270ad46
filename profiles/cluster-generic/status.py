#!/usr/bin/env python3
"""Print what became of a SLURM job: `running`, `success` or `failed`. To adapt to another scheduler."""

import subprocess
import sys

# What squeue says of jobs that will not run again.
ENDS = {
    "COMPLETED": "success",
    **dict.fromkeys(
        ("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"), "failed"
    ),
}


def status(job: str) -> str:
    """What Snakemake wants to hear of a job.

    A scheduler that does not answer says nothing about the job, which then counts as running. One that has forgotten
    the job knows that it has ended; whether well is then seen by its files.
    """
    command = ["squeue", "--noheader", "--states=all", "--format=%T", "--jobs", job]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        return "success" if "Invalid job id" in asked.stderr else "running"
    return ENDS.get(asked.stdout.strip(), "running" if asked.stdout.strip() else "success")


if __name__ == "__main__":
    print(status(sys.argv[1]))
