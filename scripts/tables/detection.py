"""Write how well persistence tells adversarial images from natural ones, for several networks and attacks."""

from collections.abc import Sequence

from neighborhoods.persistence.detection import auroc, detection_rate
from pipeline.results.shared import write_csv
from pipeline.store import reading


def tabulate(
    *,
    persistence: Sequence[str],
    names: Sequence[str],
    attacks: Sequence[str],
    false_positive_rate: float,
    output: str,
) -> None:
    """One row for each network and attack: the area under the ROC curve and the rate of detection, with intervals.

    Natural and adversarial images that come from one test image count as one cluster.
    """
    rows = []
    cells = [(name, attack) for name in names for attack in attacks]
    for (name, attack), path in zip(cells, persistence, strict=True):
        with reading(path) as file:
            natural, adversarial = file.read("natural/sigma"), file.read("adversarial/sigma")
            origins = file.read("natural/index"), file.read("adversarial/index")
            confidence = float(file.read("confidence"))
        row = {"network": name, "attack": attack, "natural_n": len(natural), "adversarial_n": len(adversarial)}
        if len(adversarial) == 0:
            rows.append(row)
            continue
        area = auroc(natural, adversarial, *origins, confidence=confidence)
        rate = detection_rate(natural, adversarial, false_positive_rate, *origins, confidence=confidence)
        rows.append(
            row
            | {
                "auroc": area.value,
                "auroc_se": area.standard_error,
                "auroc_low": area.low,
                "auroc_high": area.high,
                "clusters": area.clusters,
                "false_positive_rate": rate.false_positive_rate,
                "detected": rate.value,
                "detected_low": rate.low,
                "detected_high": rate.high,
                "confidence": confidence,
            }
        )
    write_csv(output, rows)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            persistence=snakemake.input.persistence,
            output=snakemake.output[0],
            **run.settings,
        )
