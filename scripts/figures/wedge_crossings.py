"""Draw persistence along lines across wedges, and how much the sides of the boundary differ (Bell, definition 30.9)."""

from collections.abc import Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from pipeline.figures.style import ADVERSARIAL, EXACT, NATURAL, drawing, save
from pipeline.store import Reader, reading

LINES = {"centreline": "centreline", "parallel": "x-ε-parallel line, ε = 1"}
DASHES = ("-", "--", "-.", ":", (0, (1, 3)))
MARKERS = "osD^v"
PANEL_HEIGHT = 1.75


def draw(*, wedges: str, outputs: Sequence[str], style: str) -> None:
    """Persistence along both lines through the widest wedge; face numbers inside over outside for each opening."""
    with reading(wedges) as file, drawing(style):
        size = (plt.rcParams["figure.figsize"][0], PANEL_HEIGHT * 3 + 0.5)
        figure, panels = plt.subplots(3, 1, figsize=size)
        opening = float(file.read("crossings/wedge/opening")[-1])
        for axes, (line, title) in zip(panels, LINES.items(), strict=False):
            _along(axes, file, line)
            axes.set(
                title=f"{title}, opening {opening:g}°",
                xlabel="x₁ from the crossing",
                ylabel="persistence σ*\n(unit of x₁)",
            )
        _ratios(panels[2], file)
        for colour, name in ((NATURAL, "outside"), (ADVERSARIAL, "inside")):
            panels[0].plot([], [], color=colour, label=name)
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=4,
            title=EXACT,
        )
        save(figure, outputs)


def _along(axes: Axes, file: Reader, line: str) -> None:
    group = f"crossings/wedge/{line}"
    offset, faces = file.read("crossings/offset"), file.read("crossings/faces")
    sigma, inside = (file.read(f"{group}/{part}")[-1] for part in ("sigma", "inside"))
    for k, row, within, dashes in zip(faces, sigma, inside, cycle(DASHES), strict=False):
        axes.plot([], [], color="k", linestyle=dashes, label=f"k = {k}")
        for side, colour, where in ((~within, NATURAL, "outside"), (within, ADVERSARIAL, "inside")):
            axes.plot(offset[side], row[side], color=colour, linestyle=dashes, label=f"_k = {k}, {where}")
    axes.axvline(0, color="k", linewidth=0.6)
    axes.set(ylim=(0, None))


def _ratios(axes: Axes, file: Reader) -> None:
    """Along centrelines, where cones make the ratio the same at every offset."""
    faces = file.read("crossings/faces")
    for shape, dashes, fill in (("wedge", "-", "full"), ("sector", ":", "none")):
        opening = file.read(f"crossings/{shape}/opening")
        if not len(opening):
            continue
        ratio = file.read(f"crossings/{shape}/centreline/face_ratio")[..., 0]
        colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(faces)))
        for column, (k, colour, marker) in enumerate(zip(faces, colours, cycle(MARKERS), strict=False)):
            label = f"k = {k}" if shape == "wedge" else f"_k = {k}, {shape}"
            look = {"color": colour, "linestyle": dashes, "marker": marker, "markersize": 3, "fillstyle": fill}
            axes.plot(opening, ratio[:, column], label=label, linewidth=0.8, **look)
    axes.axhline(1, color="k", linewidth=0.6)
    axes.set(yscale="log", ylim=(0.5, None))
    axes.set(xlabel="opening of two faces (degrees)", ylabel="face number,\ninside / outside")
    axes.set_title("centrelines; filled: definition 30.8, open: sector")
    axes.legend(loc="lower left", ncols=5, handlelength=0.8, columnspacing=1, borderaxespad=0)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(wedges=snakemake.input.wedges, outputs=snakemake.output, **run.settings)
