"""What figures of students share: accuracies of several networks with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.logits import TRAINING
from pipeline.store import StoreError, reading

TEACHER = TRAINING["adversarial"]
STUDENT, KL, PERMUTED, AVERAGED = "C3", "C4", "C3", "C5"


@dataclass(frozen=True)
class Accuracies:
    """Accuracies in % of several networks [networks]: means over seeds, with intervals for other seeds and images.

    Attributes:
        images, seeds: behind each of them.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    images: int
    seeds: int

    @property
    def bars(self) -> np.ndarray:
        """Lengths of error bars, below and above [2, networks]."""
        return np.stack([self.mean - self.low, self.high - self.mean])


def read_accuracies(paths: Sequence[str], of: str) -> Accuracies:
    """Accuracies out of files of robustness; `of` is "natural" or "adversarial".

    Raises:
        StoreError: a part is missing, or the files are of different numbers of images or seeds.
    """
    found, sizes = [], set()
    for path in paths:
        with reading(path) as file:
            found.append([100 * float(file.read(f"{of}/{key}")) for key in ("mean", "mean_low", "mean_high")])
            sizes.add(file.read("broken_by", ("seed", "image")).shape)
    if len(sizes) != 1:
        raise StoreError(f"expected networks of as many seeds, tried on as many images, found {sorted(sizes)}")
    ((seeds, images),) = sizes
    mean, low, high = np.array(found).T
    return Accuracies(mean, low, high, images, seeds)


def curve(axes: Axes, x: Sequence[float], accuracies: Accuracies, **look: Any) -> None:
    """A line through means with bars of their intervals."""
    look = {"marker": "o", "markersize": 3, "capsize": 2, "linewidth": 1.0, "elinewidth": 0.7, **look}
    # Limits that are unknown leave the mean without a bar.
    axes.errorbar(x, accuracies.mean, np.nan_to_num(accuracies.bars), **look)


def level(axes: Axes, accuracies: Accuracies, colour: str, style: str, label: str) -> None:
    """A horizontal line at one network's mean, with the band of its interval."""
    axes.axhline(float(accuracies.mean[0]), color=colour, linestyle=style, linewidth=1.0, label=label)
    low, high = float(accuracies.low[0]), float(accuracies.high[0])
    if np.isfinite([low, high]).all():
        axes.axhspan(low, high, color=colour, alpha=0.15, linewidth=0, label=f"_{label}")


def counted(accuracies: Accuracies) -> str:
    """Images and seeds behind accuracies and their intervals in words."""
    return f"n = {accuracies.images} test images, {accuracies.seeds} seeds; intervals over both"
