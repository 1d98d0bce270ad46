"""Draw the path kernel's residual against derivatives a step, for several rules, and against the step size."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.panels import decades
from pipeline.figures.style import drawing, save, with_interval
from pipeline.store import reading

RULES = {
    "left": ("equal pieces, left ends", "C2", "s"),
    "midpoint": ("equal pieces, midpoints", "C3", "^"),
    "gauss": ("Gauss-Legendre", "C4", "v"),
    "adaptive": ("adaptive Gauss-Legendre", "C5", "o"),
}
MEAN = ("mean", "mean_low", "mean_high")


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """Geometric means over the queries with intervals, both on logarithmic axes."""
    with reading(kernel) as file:
        rules, evaluations = file.read("rule"), file.read("evaluations").mean(1)
        by_rule = np.exp([[file.read(f"by_rule/{i}/{key}") for key in MEAN] for i in range(len(rules))])
        sizes = file.read("step_size")
        by_step = np.exp([[file.read(f"by_step/{i}/{key}") for key in MEAN] for i in range(len(sizes))])
        n = int(file.read("by_rule/0/n"))
        order = [float(file.read(f"order_summary/{key}")) for key in MEAN]
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (above, below) = plt.subplots(2, 1, figsize=(width, 1.9 * height))
        for rule, (name, colour, marker) in RULES.items():
            part = rules == rule
            _points(above, evaluations[part], by_rule[part], colour, marker, name)
        above.set(xscale="log", yscale="log", xlabel="derivatives a step and query", ylabel="residual (logit)")
        above.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, columnspacing=0.8, handletextpad=0.3)
        _points(below, sizes, by_step, "C2", "s", "one node at t = 0")
        slope = by_step[-1, 0] * (sizes / sizes[-1])
        below.plot(sizes, slope, color="k", linestyle="--", linewidth=0.8, label="proportional to the step size")
        below.set(xscale="log", yscale="log", xlabel="step size ε (learning rate)", ylabel="residual (logit)")
        below.set_xticks(sizes, [f"{size:g}" for size in sizes])
        below.minorticks_off()
        decades(below.yaxis)
        below.legend(title=f"exponent {with_interval(order[0], order[1], order[2])}, n = {n} queries")
        save(figure, outputs)


def _points(axes: plt.Axes, x: np.ndarray, values: np.ndarray, colour: str, marker: str, name: str) -> None:
    spread = np.abs(values[:, 1:] - values[:, :1]).T
    axes.errorbar(x, values[:, 0], spread, color=colour, marker=marker, markersize=3.5, capsize=2, label=name)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
