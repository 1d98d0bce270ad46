"""Set the closed form d_adv(0) cos(theta) beside distances measured from images to their mirror images."""

from collections.abc import Sequence

from pipeline.results.shared import write_csv
from pipeline.store import reading


def tabulate(*, tilting: Sequence[str], pairs: Sequence[str], output: str) -> None:
    """One row for each pair and lambda. Unsigned distances count images on the wrong side as positive."""
    rows = []
    for path, pair in zip(tilting, pairs, strict=True):
        with reading(path) as file:
            names = (
                "alpha",
                "theta",
                "d_adv",
                "measured/signed",
                "measured/plain",
                "residual/signed",
                "residual/plain",
            )
            columns = zip(*(file.read(name) for name in names), strict=True)
            zero, n = float(file.read("d_adv_zero")), int(file.read("train/n"))
        for alpha, theta, distance, signed, plain, apart, apart_plain in columns:
            row = {"pair": pair, "alpha": alpha, "theta_deg": theta, "d_adv_zero": zero, "d_adv": distance}
            row |= {"d_adv_measured": signed, "residual": apart, "images": n}
            rows.append(row | {"d_adv_unsigned": plain, "residual_unsigned": apart_plain})
    write_csv(output, rows)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        tabulate(tilting=snakemake.input.tilting, output=snakemake.output[0], **run.settings)
