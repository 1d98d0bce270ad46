"""Write how often attacks succeed, how large their changes are and what they cost."""

from collections.abc import Sequence

from neighborhoods.statistics import Summary, clopper_pearson, summarize
from pipeline.results import write_csv
from pipeline.store import Provenance, reading


def tabulate(
    *, results: Sequence[str], names: Sequence[str], attacks: Sequence[str], output: str, provenance: Provenance
) -> None:
    """One row for each network and attack; targets of one image are one cluster.

    Args:
        results: files of attacks, network by network. names: of the networks. attacks: their names.
    """
    rows = []
    cells = [(name, attack) for name in names for attack in attacks]
    for (name, attack), path in zip(cells, results, strict=True):
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
        rows.append(row | _columns("queries", summarize(queries, index)))
    write_csv(output, rows)


def _columns(name: str, summary: Summary) -> dict[str, float]:
    values = {"": summary.mean, "_se": summary.standard_error, "_low": summary.mean_low, "_high": summary.mean_high}
    return {f"{name}{ending}": value for ending, value in values.items()}


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        tabulate(
            results=snakemake.input.attacks,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
