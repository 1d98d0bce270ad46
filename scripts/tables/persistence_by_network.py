"""Write accuracy, distortion and persistence of several networks beside the published values (Bell, Table 1)."""

from collections.abc import Sequence
from typing import Any

import yaml

from neighborhoods.evidence.verdicts import verdict
from pipeline.results.shared import write_csv
from pipeline.store import reading


def tabulate(
    *,
    models: Sequence[str],
    attacks: Sequence[str],
    persistence: Sequence[str],
    published: str,
    output: str,
    names: Sequence[str],
    published_table: str,
) -> None:
    """One row a network; columns end in _low and _high for limits of intervals, in _se for standard errors.

    published_sign says whether the interval of the difference supports the sign of the published one.
    """
    with open(published, encoding="utf-8") as file:
        reported = yaml.safe_load(file)[published_table]
    rows = []
    for name, model, attack, measured in zip(names, models, attacks, persistence, strict=True):
        row: dict[str, Any] = {"network": name}
        with reading(model) as result:
            low, high = result.json_attribute("test_accuracy_interval")
            row |= {"accuracy_pct": 100 * result.attribute("test_accuracy"), "accuracy_low": 100 * low}
            row |= {"accuracy_high": 100 * high, "accuracy_n": result.attribute("test_images")}
        with reading(attack) as result:
            row |= {"attacked": len(result.read("success")), "successes": int(result.read("success").sum())}
            if row["successes"]:
                row |= {"distortion": result.read("summary/mean")}
                row |= {"distortion_se": result.read("summary/standard_error")}
        with reading(measured) as result:
            for group in ("natural", "adversarial"):
                summary = result.read_group(f"{group}/summary")
                row |= {f"{group}_n": summary["n"], group: summary["mean"], f"{group}_se": summary["standard_error"]}
                row |= {f"{group}_low": summary["mean_low"], f"{group}_high": summary["mean_high"]}
                row |= {f"{group}_{key}": summary[key] for key in ("median", "median_low", "median_high")}
                row |= {f"{group}_{key}": summary[key] for key in ("censored_low", "censored_high")}
            for key in ("mean", "low", "high"):
                row[f"adversarial_minus_natural_{key}"] = result.read(f"difference/{key}")
        beside = reported.get(name, {})
        row |= {f"published_{key}": value for key, value in beside.items()}
        if beside:
            claimed = beside["adversarial"] - beside["natural"]
            low, high = (float(row[f"adversarial_minus_natural_{key}"]) for key in ("low", "high"))
            row["published_sign"] = verdict(low, high, claimed)
        rows.append(row)
    write_csv(output, rows)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            models=snakemake.input.models,
            attacks=snakemake.input.attacks,
            persistence=snakemake.input.persistence,
            published=snakemake.params.published,
            output=snakemake.output[0],
            **run.settings,
        )
