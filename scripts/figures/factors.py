"""Draw what moves with robustness across networks: head, features or margin, each with its interval (the Note)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.panels import decades
from pipeline.figures.style import drawing, save
from pipeline.store import Reader, StoreError, reading

Limits = tuple[float, float, float]

# Name, colour and marker of each quantity, panel by panel.
ROBUSTNESS = {
    "distance": ("measured distance", "k", "o"),
    "first_order": ("margin / gradient", "C6", "D"),
}
FACTORS = {
    "feature_margin": ("feature margin", "C3", "^"),
    "feature_gain": ("features' gain ‖Jᵀv‖", "C4", "v"),
    "spectral_norm": ("features' norm ‖J‖", "C5", "<"),
    "head_norm": ("head ‖Lᵢ − Lⱼ‖", "C2", "s"),
}
RANKS = {
    "first_order_and_distance": ("margin / gradient", "C6", "D"),
    "first_order_and_persistence": ("same, with persistence", "k", "X"),
    "feature_margin_and_distance": ("feature margin", "C3", "^"),
    "feature_gain_and_distance": ("features' gain", "C4", "v"),
}


def draw(*, factors: Sequence[str], outputs: Sequence[str], style: str, names: Sequence[str]) -> None:
    """Geometric means over images for each network, and Spearman's correlations with the distance within each."""
    if len(names) != len(factors) or not names:
        raise StoreError(f"expected a name for each of {len(factors)} files of factors, found {len(names)}")
    means: list[dict[str, Limits]] = []
    ranks: list[dict[str, Limits]] = []
    counts = []
    for path in factors:
        with reading(path) as file:
            parts = ("mean", "mean_low", "mean_high")
            means.append({name: _limits(file, f"summary/{name}", parts) for name in (*ROBUSTNESS, *FACTORS)})
            ranks.append({name: _limits(file, f"rank/{name}", ("value", "low", "high")) for name in RANKS})
            counts.append(int(file.read("summary/distance/n")))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(3, 1, figsize=(width, 2.5 * height), sharex=True, height_ratios=(2, 3, 3))
        for axes, shown in zip(panels, (ROBUSTNESS, FACTORS), strict=False):
            _points(axes, [{name: tuple(np.exp(value)) for name, value in row.items()} for row in means], shown)
            axes.set_yscale("log")
            decades(axes.yaxis)
        panels[0].set_ylabel("robustness\n(pixel range = 1)")
        panels[1].set_ylabel("factor, geometric mean")
        _points(panels[2], ranks, RANKS)
        panels[2].axhline(0, color="k", linewidth=0.6)
        panels[2].set(
            ylabel="Spearman's correlation\nwith the distance", ylim=(-1.05, 1.05), xlim=(-0.5, len(names) - 0.5)
        )
        labels = [f"{name}\nn = {n}" for name, n in zip(names, counts, strict=True)]
        panels[2].set_xticks(range(len(names)), labels, rotation=20)
        save(figure, outputs)


def _limits(file: Reader, group: str, parts: Sequence[str]) -> Limits:
    if f"{group}/{parts[0]}" not in file:
        return (np.nan, np.nan, np.nan)
    first, low, high = (float(file.read(f"{group}/{part}")) for part in parts)
    return first, low, high


def _points(axes: Axes, rows: Sequence[Mapping[str, Limits]], shown: Mapping[str, tuple[str, str, str]]) -> None:
    for place, (name, (text, colour, marker)) in enumerate(shown.items()):
        values = np.array([row[name] for row in rows])
        # Quantities of one network lie side by side.
        x = np.arange(len(rows)) + 0.14 * (place - (len(shown) - 1) / 2)
        spread = np.abs(values[:, 1:] - values[:, :1]).T
        axes.errorbar(
            x,
            values[:, 0],
            spread,
            color=colour,
            marker=marker,
            markersize=3.5,
            capsize=2,
            linestyle="none",
            label=text,
        )
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, columnspacing=0.8, handletextpad=0.2)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(factors=snakemake.input.factors, outputs=snakemake.output, **run.settings)
