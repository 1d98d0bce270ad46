"""What figures of boundary tilting share: which lambda is shown, the tilting plane, digits."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.style import CLASSES, OTHER
from pipeline.store import Reader, StoreError

# The classes' colours; other boundaries have the third.
SIDES = dict(zip((-1, 1), CLASSES, strict=True))


def nearest(file: Reader, wanted: Sequence[float]) -> list[int]:
    """Places of the alphas nearest to those wanted."""
    alpha = file.read("alpha")
    return [int(np.abs(alpha - value).argmin()) for value in wanted]


def boundary(theta: float, offset: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Two points of the line u cos(theta) + v sin(theta) + offset = 0, `reach` to both sides of its middle."""
    normal = np.array([np.cos(np.radians(theta)), np.sin(np.radians(theta))])
    along = np.array([-normal[1], normal[0]])
    ends = -offset * normal + np.outer([-reach, reach], along)
    return ends[:, 0], ends[:, 1]


def plane(axes: Axes, file: Reader, place: int, reach: float, size: float = 2) -> None:
    """Images of both classes in the tilting plane of one lambda, with the classifier's boundary."""
    label, points = file.read("plane/label"), file.read("plane/coordinates")[place]
    first, _, second = file.attribute("pair").partition("v")
    for side, name in ((-1, first), (1, second)):
        shown = points[label == side]
        axes.plot(
            *shown.T,
            "o",
            color=SIDES[side],
            markersize=size,
            markeredgewidth=0,
            alpha=0.8,
            label=f"{name}, n = {len(shown)}",
        )
    line = boundary(float(file.read("theta")[place]), float(file.read("plane/offset")[place]), 3 * reach)
    axes.plot(*line, color="black", linewidth=0.9, label="boundary")
    axes.axvline(0, color=OTHER, linewidth=0.5, linestyle=":", label="nearest centroid")
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")


def reach_of(file: Reader) -> float:
    """Half the side of a square that holds the projected images of every lambda."""
    return float(np.abs(file.read("plane/coordinates")).max()) * 1.05


def digit(axes: Axes, image: np.ndarray, path: str, bound: float | None = None) -> None:
    """One image [colours, rows, columns] in grey, or signed values on a diverging scale up to `bound`.

    Raises:
        StoreError: it has neither 1 colour nor 3.
    """
    if image.shape[0] not in (1, 3):
        raise StoreError(f"{path}: images must have 1 colour or 3 to be drawn, found {image.shape[0]}")
    if bound is None:
        shown = image.transpose(1, 2, 0).squeeze().clip(0, 1)
        axes.imshow(shown, vmin=0, vmax=1, interpolation="nearest", label=PICTURE)
    else:
        axes.imshow(image.mean(0), cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest", label=PICTURE)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.4, color="0.6")


def power(alpha: float) -> str:
    """10 to the power of alpha, as text of a figure."""
    return f"$10^{{{alpha:.3g}}}$"
