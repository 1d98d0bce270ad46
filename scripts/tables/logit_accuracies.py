"""Write accuracies of networks and students beside the published ones, and at which scale (Seguin, tables 1 and 2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pipeline.results.shared import write_csv
from pipeline.store import Reader, reading

ACCURACIES = ("natural", "adversarial")
# Attacks on a few images: what measures adversarial accuracy, and what it is checked by.
CHECKS = ("apgd", "autoattack", "odi")


def tabulate(
    *,
    robustness: Sequence[str],
    published: str,
    output: str,
    networks: Sequence[Mapping[str, Any]],
    published_table: str,
) -> None:
    """One row a network; columns end in _low and _high for limits of intervals, for other seeds and other images.

    Deviations are ours less the published, in percentage points. Where full AutoAttack and PGD from other starts (ODI)
    were tried on some images, accuracies of the first seed on these stand beside that under APGD. The column `scale`
    says what was trained and measured, and whether as in the source.

    Args:
        robustness: accuracies of each network. networks: for each, `network`, `study`, `teacher_epoch` (of the teacher,
            also of a student's), `scale` in words, `published` (dataset and line of the source's table, None where it
            has none) and `as_published` (whether it is trained so), as `study_comparison.accuracy_rows` gives them.
    """
    with open(published, encoding="utf-8") as file:
        reported = yaml.safe_load(file)[published_table]
    rows = []
    for entry, path in zip(networks, robustness, strict=True):
        row: dict[str, Any] = {key: entry[key] for key in ("study", "network", "teacher_epoch")}
        dataset, line = entry["published"] or ("", None)
        with reading(path) as result:
            measured = {of: _measured(result, of) for of in ACCURACIES}
            seeds, images = (int(result.read(f"natural/{key}")) for key in ("seeds", "n"))
            checked = _checked(result)
        row |= {"images": images, "seeds": seeds, "published_dataset": dataset}
        for of in ACCURACIES:
            row |= measured[of]
            beside = reported[dataset][line][of] if line else {"value": None, "deviation": None}
            apart = row[f"{of}_pct"] - beside["value"] if line else None
            row |= {f"published_{of}_pct": beside["value"], f"published_{of}_sd": beside["deviation"]}
            row |= {f"{of}_less_published": apart}
        rows.append(row | checked | {"scale": f"{entry['scale']}, {images} test images{_judged(entry)}"})
    write_csv(output, rows)


def _measured(result: Reader, of: str) -> dict[str, Any]:
    mean, low, high = (100 * float(result.read(f"{of}/{key}")) for key in ("mean", "mean_low", "mean_high"))
    by_seed = " ".join(f"{100 * value:.4g}" for value in result.read(f"{of}/measured", ("seed",)))
    return {f"{of}_pct": mean, f"{of}_low": low, f"{of}_high": high, f"{of}_by_seed": by_seed}


def _checked(result: Reader) -> dict[str, Any]:
    known = "check/apgd/n" in result
    means = {f"{of}_pct_of_checked": 100 * float(result.read(f"check/{of}/mean")) if known else None for of in CHECKS}
    return {"checked_images": int(result.read("check/apgd/n")) if known else 0} | means


def _judged(entry: Mapping[str, Any]) -> str:
    if entry["published"] is None:
        return ""
    source = entry["published"][0]
    return f": trained as the source's on {source}" if entry["as_published"] else f": no reproduction of {source}"


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(
            robustness=snakemake.input.robustness,
            published=snakemake.params.published,
            output=snakemake.output[0],
            **run.settings,
        )
