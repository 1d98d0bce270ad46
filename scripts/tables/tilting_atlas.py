"""Tabulate angle, adversarial distance and errors of pairs of classes over lambda."""

from collections.abc import Sequence

from pipeline.results.shared import write_csv
from pipeline.store import reading

COLUMNS = ("alpha", "theta", "d_adv", "train/error", "test/error", "train/low", "train/high", "test/low", "test/high",
           "measured/signed", "measured/plain", "cost", "bias", "gap")  # fmt: skip


def tabulate(*, tilting: Sequence[str], pairs: Sequence[str], output: str) -> None:
    """One row for each pair and lambda; errors are in %, distances in units of the pixel range."""
    rows = []
    for path, pair in zip(tilting, pairs, strict=True):
        with reading(path) as file:
            columns = {name: file.read(name) for name in COLUMNS}
            n = {split: int(file.read(f"{split}/n")) for split in ("train", "test")}
            best = int(file.read("test/best"))
        for place in range(len(columns["alpha"])):
            found = {name: values[place] for name, values in columns.items()}
            row = {"pair": pair, "alpha": found["alpha"], "theta_deg": found["theta"], "d_adv": found["d_adv"]}
            row |= {f"{split}_error_pct": 100 * found[f"{split}/error"] for split in n}
            for split, count in n.items():
                row |= {f"{split}_error_{limit}_pct": 100 * found[f"{split}/{limit}"] for limit in ("low", "high")}
                row[f"{split}_images"] = count
            row |= {"best": int(place == best), "d_adv_measured": found["measured/signed"]}
            row |= {"d_adv_unsigned": found["measured/plain"], "cost": found["cost"], "bias": found["bias"]}
            rows.append(row | {"duality_gap": found["gap"]})
    write_csv(output, rows)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(tilting=snakemake.input.tilting, output=snakemake.output[0], **run.settings)
