"""Draw networks between the start and the end of a training: accuracy, loss, gradient and norm (Bell, figure 24)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from pipeline.figures.style import ADVERSARIAL, NATURAL, drawing, save, with_interval
from pipeline.store import Reader, reading

CURVES = (("test_correct", NATURAL, "natural images"), ("robust", ADVERSARIAL, "attacked"))
LOSS, SLOPE, NORM = "C5", "C6", "C3"


def draw(*, interpolated: str, outputs: Sequence[str], style: str) -> None:
    """Shares of right answers with intervals, loss and its derivative, norms. The first training is bold."""
    with reading(interpolated) as file, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(width, 2.3 * height), sharex=True)
        t = file.read("t")
        for name, colour, text in CURVES:
            share, low, high = (file.read(f"{name}/{part}") for part in ("share", "low", "high"))
            label = f"{text}, n = {int(file.read(f'{name}/n'))}"
            top.plot(t, share[0], color=colour, label=label)
            top.fill_between(t, low[0], high[0], color=colour, alpha=0.25, linewidth=0, label=f"_{text}")
            top.plot(t, share[1:].T, color=colour, linewidth=0.5, alpha=0.6, label=f"_{text}, other trainings")
        top.set(ylabel="share classified right", ylim=(0, 1.02))
        _above(top, ncols=2)
        twin = middle.twinx()
        twin.spines["right"].set_visible(True)
        for axes, name, colour, text, look in (
            (middle, "loss", LOSS, "training loss", "-"),
            (twin, "slope", SLOPE, "its derivative along the line", "--"),
        ):
            values = file.read(name)
            axes.plot(t, values[1:].T, look, color=colour, linewidth=0.5, alpha=0.6, label=f"_{text}, other trainings")
            axes.plot(t, values[0], look, color=colour, label=text)
        middle.set(ylabel="cross-entropy (nat)", ylim=(0, None))
        twin.set_ylabel("derivative (nat / weight)")
        lines = [*middle.get_legend_handles_labels()[0], *twin.get_legend_handles_labels()[0]]
        middle.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        norm = file.read("norm")
        bottom.plot(t, norm[1:].T, color=NORM, linewidth=0.5, alpha=0.6, label="_norm, other trainings")
        bottom.plot(t, norm[0], color=NORM, label=f"change {_interval(file, 'norm_change')}")
        bottom.set(xlabel="t, from the start (0) to the end of training (1)", ylabel="‖w(t)‖ (weight units)")
        bottom.set(ylim=(0, None), xlim=(0, 1))
        _above(bottom)
        save(figure, outputs)


def _above(axes: Axes, ncols: int = 1) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=ncols, handletextpad=0.4, columnspacing=1.0)


def _interval(file: Reader, name: str) -> str:
    mean, low, high = (float(file.read(f"summary/{name}/{key}")) for key in ("mean", "mean_low", "mean_high"))
    n = int(file.read(f"summary/{name}/n"))
    return f"{with_interval(100 * mean, 100 * low, 100 * high, 1)} %, n = {n} trainings"


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(interpolated=snakemake.input.interpolated, outputs=snakemake.output, **run.settings)
