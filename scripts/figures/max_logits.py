"""Draw how the largest logits of train images develop over epochs, by way of training (Seguin, figures 1 and B.4)."""

from collections.abc import Sequence

from pipeline.figures.logits import draw_epochs
from pipeline.figures.style import drawing, save
from pipeline.store import reading


def draw(*, distributions: str, outputs: Sequence[str], style: str) -> None:
    """Above, distributions at each epoch (means over seeds); below, their mean and skewness with intervals."""
    with reading(distributions) as file, drawing(style):
        save(draw_epochs(file, "max_logit", [("standard", "train"), ("adversarial", "train")]), outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(distributions=snakemake.input.distributions, outputs=snakemake.output, **run.settings)
