"""Draw the toy problem's classes and both boundaries in image space, one panel a dimension (Tanay, figure 4)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.style import EXACT, drawing, save
from pipeline.figures.tilting import SIDES, boundary
from pipeline.store import reading

LINES = ("-", "--")


def draw(*, toy: str, outputs: Sequence[str], style: str) -> None:
    """Bars of data along z, and the upright and the tilted boundary in the plane of z and n."""
    with reading(toy) as file, drawing(style):
        dimensions = file.read("dimension").tolist()
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(1, len(dimensions), figsize=(width, height), sharey=True, squeeze=False)
        for axes, dimension in zip(panels[0], dimensions, strict=True):
            label, points, theta, offset, distance = (
                file.read(f"{dimension}/{name}") for name in ("label", "coordinates", "theta", "offset", "d_adv")
            )
            reach = float(np.abs(points).max()) * 1.25
            for side, name in ((-1, "class I"), (1, "class J")):
                shown = points[label == side]
                axes.plot(*shown.T, color=SIDES[side], linewidth=5, solid_capstyle="butt", label=name)
            for tilted, line in enumerate(LINES):
                note = f"θ = {theta[tilted]:.0f}°, $d_{{adv}}$ = {distance[tilted]:.3f}"
                axes.plot(*boundary(theta[tilted], offset[tilted], 3), line, color="black", linewidth=0.9, label=note)
            axes.set(title=f"{dimension} pixels", xlabel="along z", xlim=(-reach, reach), ylim=(-reach, reach))
            axes.set_aspect("equal")
        panels[0, 0].set_ylabel("along n (root mean square)")
        figure.legend(
            *panels[0, 0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=2,
            title=EXACT,
        )
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(toy=snakemake.input.toy, outputs=snakemake.output, **run.settings)
