"""Draw images and two boundaries in the space of the centroids' direction and two weights (Tanay, figure 7)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from pipeline.figures.style import drawing, save
from pipeline.figures.tilting import SIDES, power
from pipeline.store import reading

# Directions to look from, in degrees: elevation and azimuth. Each shows one of the tilts from the edge.
VIEWS = ((89, -90), (8, -80))
BOUNDARIES = ("C3", "C5")


def draw(*, tilting: str, outputs: Sequence[str], style: str) -> None:
    """Two views of the same space, each with both boundaries as discs around the point nearest to the middle."""
    with reading(tilting) as file, drawing(style):
        label, points = file.read("plane/label"), file.read("rotation/coordinates")
        weight, offset, alpha = (file.read(f"rotation/{name}") for name in ("weight", "offset", "alpha"))
        first, _, second = file.attribute("pair").partition("v")
        reach = float(np.abs(points).max())
        width = plt.rcParams["figure.figsize"][0]
        figure = plt.figure(figsize=(width, 0.72 * width))
        for column, (elevation, azimuth) in enumerate(VIEWS):
            axes = figure.add_subplot(1, 2, column + 1, projection="3d")
            for side, name in ((-1, first), (1, second)):
                shown = points[label == side]
                axes.scatter(
                    *shown.T, s=2, color=SIDES[side], linewidth=0, alpha=0.8, label=f"{name}, n = {len(shown)}"
                )
            for place, colour in enumerate(BOUNDARIES):
                disc = _disc(weight[place], offset[place], reach)
                axes.add_collection3d(
                    Poly3DCollection(
                        [disc], color=colour, alpha=0.3, linewidth=0, label=f"_boundary, λ = {power(alpha[place])}"
                    )
                )
                axes.plot(*disc.T, color=colour, linewidth=0.8, label=f"boundary, λ = {power(alpha[place])}")
            axes.view_init(elevation, azimuth)
            axes.set(xticks=[], yticks=[], zticks=[], xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
            axes.set_xlabel("z", labelpad=-14)
            axes.set_ylabel("n", labelpad=-14)
            axes.set_zlabel("n′", labelpad=-14)
            axes.set_box_aspect((1, 1, 1), zoom=1.15)
        title = f"single machines, each trained on n = {int(file.read('train/n'))} images"
        handles = axes.get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2, markerscale=2, title=title)
        save(figure, outputs)


def _disc(normal: np.ndarray, offset: float, radius: float) -> np.ndarray:
    """Rim of a disc in the plane normal . p + offset = 0 [points, 3]."""
    across = np.linalg.svd(normal[None])[2][1:]
    angle = np.linspace(0, 2 * np.pi, 49)
    rim = radius * (np.outer(np.cos(angle), across[0]) + np.outer(np.sin(angle), across[1]))
    return rim - offset * normal


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(tilting=snakemake.input.tilting, outputs=snakemake.output, **run.settings)
