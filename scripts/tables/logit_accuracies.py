"""Write accuracies of networks and students beside the published ones, and at which scale (Seguin, tables 1 and 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from neighborhoods.seed_accuracies import right, share_over_seeds
from pipeline.results import write_csv
from pipeline.store import Provenance, reading

ACCURACIES = ("natural", "adversarial")


def tabulate(
    *,
    robustness: Sequence[str],
    published: str,
    output: str,
    networks: Sequence[Mapping[str, Any]],
    published_table: str,
    provenance: Provenance,
) -> None:
    """One row a network; columns end in _low and _high for limits of intervals, for other seeds and other images.

    Deviations are ours less the published, in percentage points. The column `scale` says what was trained and measured,
    and whether as in the source.

    Args:
        robustness: accuracies of each network. networks: for each, `network`, `study`, `scale` in words, `published`
            (dataset and line of the source's table, None where it has none) and `as_published` (whether it is trained
            so), as `pipeline.studies.accuracy_rows` gives them.
    """
    with open(published, encoding="utf-8") as file:
        reported = yaml.safe_load(file)[published_table]
    rows = []
    for entry, path in zip(networks, robustness, strict=True):
        row: dict[str, Any] = {"study": entry["study"], "network": entry["network"]}
        dataset, line = entry["published"] or ("", None)
        with reading(path) as result:
            broken_by = result.read("broken_by", ("seed", "image"))
        seeds, images = broken_by.shape
        row |= {"images": images, "seeds": seeds, "published_dataset": dataset}
        for of in ACCURACIES:
            row |= _measured(broken_by, of)
            beside = reported[dataset][line][of] if line else {"value": None, "deviation": None}
            apart = row[f"{of}_pct"] - beside["value"] if line else None
            row |= {f"published_{of}_pct": beside["value"], f"published_{of}_sd": beside["deviation"]}
            row |= {f"{of}_less_published": apart}
        rows.append(row | {"scale": f"{entry['scale']}, {images} test images{_judged(entry)}"})
    write_csv(output, rows)


def _measured(broken_by: np.ndarray, of: str) -> dict[str, Any]:
    hits = right(broken_by, of)
    found = share_over_seeds(hits)
    by_seed = " ".join(f"{100 * value:.4g}" for value in hits.mean(1))
    line = {"pct": 100 * found.value, "low": 100 * found.low, "high": 100 * found.high, "by_seed": by_seed}
    return {f"{of}_{key}": value for key, value in line.items()}


def _judged(entry: Mapping[str, Any]) -> str:
    if entry["published"] is None:
        return ""
    source = entry["published"][0]
    return f": trained as the source's on {source}" if entry["as_published"] else f": no reproduction of {source}"


if "snakemake" in globals():
    from pipeline.job import job

    with job(snakemake) as run:
        tabulate(
            robustness=snakemake.input.robustness,
            published=snakemake.params.published,
            output=snakemake.output[0],
            provenance=run.provenance,
            **run.settings,
        )
