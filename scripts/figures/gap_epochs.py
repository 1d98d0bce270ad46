"""Draw how logit gaps develop over epochs, by way of training and split (Seguin, figure B.1)."""

from collections.abc import Sequence

from pipeline.figures.logits import draw_epochs
from pipeline.figures.style import drawing, save
from pipeline.store import reading

COLUMNS = (("standard", "train"), ("adversarial", "train"), ("adversarial", "test"))


def draw(*, distributions: str, outputs: Sequence[str], style: str) -> None:
    """Above, distributions at each epoch (means over seeds); below, their mean and skewness with intervals."""
    with reading(distributions) as file, drawing(style):
        save(draw_epochs(file, "gap", COLUMNS), outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(distributions=snakemake.input.distributions, outputs=snakemake.output, **run.settings)
