"""Draw the shape of a training path: its length against its chord, its norm, and where gradients point."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import drawing, save, with_interval
from pipeline.store import Reader, reading

COLOURS = ("C3", "C5", "C4", "C6", "C2")
MARKERS = ("o", "s", "^", "D", "v")


def draw(*, geometry: str, outputs: Sequence[str], style: str) -> None:
    """Lengths and norm; cosines along the path; cosines beside it."""
    with reading(geometry) as file, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(width, 2.5 * height))
        _lengths(top, file)
        _cosines(middle, file)
        _beside(bottom, file)
        save(figure, outputs)


def _lengths(axes: Axes, file: Reader) -> None:
    for name, colour, look in (("norm", COLOURS[0], "-"), ("arc", COLOURS[1], "-"), ("chord", COLOURS[2], "--")):
        axes.plot(file.read(name), look, color=colour, label={"norm": "norm of the weights"}.get(name, name))
    lines = [f"arc / chord {_interval(file, 'arc_over_chord', 3)}", f"change of norm {_interval(file, 'norm_change')}"]
    axes.set(xlabel="step", ylabel="length (weight units)", ylim=(0, None))
    axes.legend(title="\n".join(lines), ncols=3, **_above())


def _cosines(axes: Axes, file: Reader) -> None:
    for name, colour, text in (
        ("to_end", COLOURS[0], "to the end"),
        ("successive", COLOURS[1], "to the next gradient"),
    ):
        axes.plot(file.read(name), color=colour, label=f"{text}, mean {_interval(file, name, 3)}")
    limit, level = float(file.read("random_cosine")), float(file.read("confidence"))
    axes.axhspan(-limit, limit, color="0.7", linewidth=0, label=f"random directions, {100 * level:g} %")
    axes.set(xlabel="step", ylabel="cosine of −gradient", ylim=(-0.1, 1.05))
    axes.legend(**_above())


def _beside(axes: Axes, file: Reader) -> None:
    steps, fractions = file.read("beside/step").tolist(), file.read("beside/fraction")
    samples = file.read("beside/cosine").shape[2]
    across = np.arange(len(fractions))
    for i, step in enumerate(steps):
        means = np.array([_limits(file, f"beside/{step}/{fraction:g}") for fraction in fractions])
        bars = np.abs(means[:, 1:] - means[:, :1]).T
        place = across + 0.08 * (i - (len(steps) - 1) / 2)
        look: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "markersize": 3,
            "capsize": 2,
        }
        axes.errorbar(place, means[:, 0], bars, label=f"step {step}", **look)
    limit = float(file.read("random_cosine"))
    axes.axhspan(-limit, limit, color="0.7", linewidth=0, label="_random directions")
    ceiling = 1 / np.sqrt(1 + fractions**2)
    axes.plot(across, ceiling, "k:", linewidth=0.8, label="parallel to the direct way")
    axes.set_xticks(across, [f"{fraction:g}" for fraction in fractions])
    axes.set(xlabel="distance from the path / distance to the end", ylabel=f"cosine to the end\n(n = {samples} each)")
    axes.set(ylim=(-0.1, 1.05))
    axes.legend(ncols=3, columnspacing=1.0, **_above())


def _above() -> dict[str, Any]:
    return {"loc": "lower center", "bbox_to_anchor": (0.45, 1.0), "handletextpad": 0.4}


def _limits(file: Reader, group: str) -> tuple[float, float, float]:
    mean, low, high = (float(file.read(f"{group}/{key}")) for key in ("mean", "mean_low", "mean_high"))
    return mean, low, high


def _interval(file: Reader, name: str, digits: int = 2) -> str:
    n = int(file.read(f"summary/{name}/n"))
    return f"{with_interval(*_limits(file, f'summary/{name}'), digits)}, n = {n}"


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(geometry=snakemake.input.geometry, outputs=snakemake.output, **run.settings)
