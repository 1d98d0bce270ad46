"""Write how often attacks succeed, how large their changes are, what they cost and how long their jobs took."""

from collections.abc import Sequence

from neighborhoods.statistics.intervals import Summary, clopper_pearson, summarize
from pipeline.results.shared import read_job_seconds, write_csv
from pipeline.store import reading


def tabulate(
    *,
    results: Sequence[str],
    times: Sequence[str],
    names: Sequence[str],
    attacks: Sequence[str],
    output: str,
) -> None:
    """One row for each network and attack; targets of one image are one cluster.

    Args:
        results: files of attacks, network by network. times: what Snakemake measured of the job of each.
        names: of the networks. attacks: their names.
    """
    rows = []
    cells = [(name, attack) for name in names for attack in attacks]
    for (name, attack), path, time in zip(cells, results, times, strict=True):
        with reading(path) as file:
            index, success, distortion, queries = (
                file.read(column) for column in ("index", "success", "distortion", "queries")
            )
        low, high = clopper_pearson(success.sum(), len(success))
        row = {"network": name, "attack": attack, "attacked": len(success), "images": len(set(index.tolist()))}
        row |= {"success": success.mean(), "success_low": low, "success_high": high}
        row |= _columns("success_clustered", summarize(success.astype(float), index))
        if success.any():
            row |= _columns("distortion", summarize(distortion[success], index[success]))
        row |= _columns("queries", summarize(queries, index))
        seconds = read_job_seconds(time)
        rows.append(row | {"job_seconds": seconds, "seconds_per_image": seconds / len(success)})
    write_csv(output, rows)


def _columns(name: str, summary: Summary) -> dict[str, float]:
    values = {"": summary.mean, "_se": summary.standard_error, "_low": summary.mean_low, "_high": summary.mean_high}
    return {f"{name}{ending}": value for ending, value in values.items()}


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            results=snakemake.input.attacks,
            times=snakemake.input.times,
            output=snakemake.output[0],
            **run.settings,
        )
