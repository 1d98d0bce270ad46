"""Draw how far persistence hangs on gamma, on the kind of noise and on IGSM's epsilon."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.panels import counted
from pipeline.figures.style import ADVERSARIAL, NATURAL, drawing, save, with_interval
from pipeline.store import Reader, StoreError, reading

COLOURS = {"natural": NATURAL, "adversarial": ADVERSARIAL}
MARKERS = {"natural": "o", "adversarial": "^"}
PERSISTENCE = "mean persistence σ*\n(pixel range = 1)"
LIMITS = ("mean", "mean_low", "mean_high")


def draw(
    *, sensitivity: str, attacks: Sequence[str], persistence: Sequence[str], outputs: Sequence[str], style: str
) -> None:
    """Means against gamma; the ball's persistence over the Gaussian's; means against epsilon. Bars are intervals."""
    with reading(sensitivity) as file, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(width, 2.3 * height))
        gammas, usual = file.read("gamma"), float(file.read("usual_gamma"))
        for name, colour in COLOURS.items():
            means = [_limits(file, f"mean/{gamma:g}/{name}") for gamma in gammas.tolist()]
            n, clusters = (int(file.read(f"mean/{usual:g}/{name}/{key}")) for key in ("n", "clusters"))
            _points(top, gammas.tolist(), means, name, f"{name}, {counted(n, clusters)}")
            sigma, ball = (file.read(f"{noise}/{name}/sigma") for noise in ("gaussian", "ball"))
            mean, low, high = (math.exp(value) for value in _limits(file, f"change/ball/{name}"))
            at = sigma[:, gammas.tolist().index(usual)]
            look = {"s": 8, "marker": MARKERS[name], "facecolors": "none", "edgecolors": colour, "linewidths": 0.5}
            middle.scatter(
                at,
                ball[:, 0] / at,
                label=f"{name}, n = {len(at)}: × {with_interval(mean, low, high, digits=3)}",
                **look,
            )
        middle.axhline(1, color="k", linewidth=0.8)
        top.set(xlabel="γ", ylabel=PERSISTENCE, ylim=(0, None), xticks=gammas)
        middle.set(xscale="log", xlabel="σ* under Gaussian noise (pixel range = 1)", ylabel="ball / Gaussian")
        epsilons = [_epsilon(path) for path in attacks]
        order = np.argsort(epsilons)
        ticks = [f"{epsilon:g}" for epsilon in epsilons]
        for name in COLOURS:
            means = []
            for number, path in enumerate(persistence):
                with reading(path) as cell:
                    means.append(_limits(cell, f"{name}/summary"))
                    ticks[number] += f"\n{int(cell.read(f'{name}/summary/n'))}"
            _points(bottom, [epsilons[i] for i in order], [means[i] for i in order], name, name)
        bottom.set(xlabel="ε of IGSM; n natural; n adversarial", ylabel=PERSISTENCE, ylim=(0, None))
        bottom.set_xticks(epsilons, ticks)
        for axes in (top, middle, bottom):
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handletextpad=0.3, columnspacing=1.0)
        middle.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, handletextpad=0.3)
        save(figure, outputs)


def _limits(file: Reader, group: str) -> tuple[float, float, float]:
    mean, low, high = (float(file.read(f"{group}/{key}")) for key in LIMITS)
    return mean, low, high


def _points(axes: Axes, at: Sequence[float], means: list[tuple[float, float, float]], name: str, label: str) -> None:
    mean, low, high = np.array(means).T
    bars = np.stack([mean - low, high - mean])
    axes.errorbar(at, mean, bars, color=COLOURS[name], marker=MARKERS[name], markersize=3, capsize=2, label=label)


def _epsilon(path: str) -> float:
    with reading(path) as file:
        settings = file.json_attribute("spec").get("settings", {})
    if "epsilon" not in settings:
        raise StoreError(f"{path}: expected an attack with an epsilon, found one with {', '.join(settings) or 'none'}")
    return float(settings["epsilon"])


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(
            sensitivity=snakemake.input.sensitivity,
            attacks=snakemake.input.attacks,
            persistence=snakemake.input.persistence,
            outputs=snakemake.output,
            **run.settings,
        )
