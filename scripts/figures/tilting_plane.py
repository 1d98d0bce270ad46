"""Draw training images of two classes in the tilting plane of a linear classifier (Tanay, figure 5)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.style import drawing, save
from pipeline.figures.tilting import nearest, plane, power, reach_of
from pipeline.store import reading


def draw(*, tilting: str, outputs: Sequence[str], style: str, alphas: Sequence[float]) -> None:
    """A panel for each lambda: images along z and n, the boundary, and that of the nearest centroid classifier."""
    with reading(tilting) as file, drawing(style):
        places, reach = nearest(file, alphas), reach_of(file)
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(1, len(places), figsize=(width, 1.25 * height), sharey=True, squeeze=False)
        alpha, theta, distance = (file.read(name) for name in ("alpha", "theta", "d_adv"))
        for axes, place in zip(panels[0], places, strict=True):
            plane(axes, file, place, reach, size=3)
            note = f"λ = {power(alpha[place])}, θ = {theta[place]:.1f}°, $d_{{adv}}$ = {distance[place]:.2f}"
            axes.set(title=note, xlabel="along z, centroid to centroid (pixel range = 1)")
        panels[0, 0].set_ylabel("along n (pixel range = 1)")
        title = f"single machines, each trained on n = {int(file.read('train/n'))} images"
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, title=title)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(tilting=snakemake.input.tilting, outputs=snakemake.output, **run.settings)
