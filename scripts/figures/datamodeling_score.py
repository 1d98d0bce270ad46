"""Draw how well shares of training images predict networks retrained on random halves of them."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import drawing, save, with_interval
from pipeline.store import reading

OWN, OTHERS, EACH = "C3", "C5", "0.6"


def draw(*, importance: str, outputs: Sequence[str], style: str) -> None:
    """Bars of the linear datamodeling score with intervals, and the rank correlation of each query as dots."""
    with reading(importance) as file:
        methods = [str(name) for name in file.read("method")]
        scores = file.read_group("score")
        subsets = len(file.read("kept"))
    queries = scores["by_query"].shape[1]
    with drawing(style):
        figure, axes = plt.subplots()
        places = np.arange(len(methods))
        bars = np.abs(np.stack([scores["low"], scores["high"]]) - scores["score"])
        colours = [OWN] + [OTHERS] * (len(methods) - 1)
        look: dict[str, Any] = {"color": colours, "height": 0.6, "capsize": 2, "alpha": 0.8}
        axes.barh(places, scores["score"], xerr=bars, label="_score", **look)
        spread = np.linspace(-0.2, 0.2, queries)
        for place, name, values in zip(places, methods, scores["by_query"], strict=True):
            axes.scatter(values, place + spread, s=2, color=EACH, linewidths=0, zorder=2, label=f"_{name}, by query")
        numbers = zip(scores["score"], scores["low"], scores["high"], strict=True)
        labels = [f"{name}\n{with_interval(*values)}" for name, values in zip(methods, numbers, strict=True)]
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
        axes.axvline(0, color="k", linewidth=0.6)
        axes.set_xlabel(f"rank correlation with retraining\n(n = {queries} queries, {subsets} random halves)")
        axes.set_xlim(min(0, scores["by_query"].min() - 0.02), 1)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(importance=snakemake.input.importance, outputs=snakemake.output, **run.settings)
