"""Draw the orthants of one, two and three faces and the point whose persistence is measured (Bell, figure 7)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from pipeline.figures.style import ADVERSARIAL, EXACT, drawing, save
from pipeline.store import Reader, reading

VIEWS = (1, 2, 3)


def draw(*, cones: str, outputs: Sequence[str], style: str) -> None:
    """A panel for each number of faces: faces in colour, dashed perpendiculars of length 1."""
    with reading(cones) as file, drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, height * 0.62), layout="none")
        # The layout engine leaves no room for the labels of 3-d axes.
        grid = figure.add_gridspec(1, len(VIEWS), left=0.03, right=0.95, bottom=0.16, top=0.9, wspace=0.25)
        for number, faces in enumerate(VIEWS):
            _view(figure.add_subplot(grid[number], projection="3d", computed_zorder=False), file, faces)
        figure.supxlabel(f"coordinates (distance from each face = 1); {EXACT}", size=plt.rcParams["xtick.labelsize"])
        save(figure, outputs)


def _view(axes: Axes3D, file: Reader, faces: int) -> None:
    polygons, point, feet = (file.read(f"views/{faces}/{part}") for part in ("faces", "point", "feet"))
    for polygon in polygons:
        axes.add_collection3d(
            Poly3DCollection([polygon], color=ADVERSARIAL, alpha=0.3, linewidths=0, zorder=1, label="_face")
        )
        axes.plot(*polygon[[0, 1, 2, 3, 0]].T, color="0.3", linewidth=0.6, zorder=2, label="_face")
    for foot in feet:
        axes.plot(
            *np.stack([point, foot]).T, color="k", linestyle="--", linewidth=0.8, zorder=3, label="_perpendicular"
        )
    axes.plot(*point[:, None], marker="o", color="k", markersize=3, zorder=4, label="_point")
    limits = (polygons.min(), polygons.max())
    axes.set(xlim=limits, ylim=limits, zlim=limits, xticks=(0, 1), yticks=(0, 1), zticks=(1, 2))
    axes.set_box_aspect((1, 1, 1), zoom=1.1)
    axes.view_init(elev=22, azim=35)
    size = float(plt.rcParams["xtick.labelsize"])
    axes.tick_params(pad=-5, labelsize=size)
    axes.set_xlabel("$x_1$", labelpad=size / 2 - 14.5)
    axes.set_ylabel("$x_2$", labelpad=size / 2 - 14.5)
    # A label of the third axis this close to it would land on the other side of the box.
    axes.text2D(-0.08, 0.82, "$x_3$", transform=axes.transAxes)
    axes.set_title(f"k = {faces}", pad=0)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_visible(False)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(cones=snakemake.input.cones, outputs=snakemake.output, **run.settings)
