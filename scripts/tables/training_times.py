"""Write how long jobs took, rule by rule, beside the published hours of a training (Seguin, Table 3)."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import yaml

from neighborhoods.statistics.intervals import summarize
from pipeline.results.shared import read_job_seconds, write_csv

HOUR = 3600.0


def tabulate(*, times: Sequence[str], published: str, output: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """One row for the jobs of a rule that do the same; Student's interval of the mean over jobs.

    Seconds are wall times of whole jobs, starting up included.

    Args:
        times: what Snakemake measured of each job, row by row. rows: each with `study`, `rule`, `what` it does, how
            many `jobs`, `scale` in words, and `published` (dataset and column of the source's table, or None).

    Raises:
        ValueError: rows that name another number of jobs than there are times.
    """
    with open(published, encoding="utf-8") as file:
        reported = yaml.safe_load(file)["table3"]
    if (expected := sum(row["jobs"] for row in rows)) != len(times):
        raise ValueError(f"expected a time for each of {expected} jobs, found {len(times)}")
    remaining = iter(times)
    found = []
    for row in rows:
        seconds = summarize([read_job_seconds(path) for path in islice(remaining, row["jobs"])])
        measured = {"": seconds.mean, "_low": seconds.mean_low, "_high": seconds.mean_high}
        line = {key: row[key] for key in ("study", "rule", "what")} | {"jobs": seconds.n}
        line |= {f"seconds{ending}": value for ending, value in measured.items()}
        line |= {"hours": seconds.mean / HOUR}
        dataset, column = row["published"] or ("", None)
        line |= {"published_dataset": dataset, "published_hours": reported[dataset][column] if column else None}
        line |= {"published_hardware": reported["hardware"] if column else "", "scale": row["scale"]}
        found.append(line)
    write_csv(output, found)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            times=snakemake.input.times,
            published=snakemake.params.published,
            output=snakemake.output[0],
            **run.settings,
        )
