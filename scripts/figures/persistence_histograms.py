"""Draw histograms of persistence for several networks side by side (Bell, figures 14 to 16)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt

from pipeline.figures.panels import persistence_bars, read_persistence
from pipeline.figures.style import drawing, save
from pipeline.store import Reader, StoreError, reading

# What the status of an image says about where its persistence lies.
CENSORED = {"censored_low": "below", "censored_high": "above"}


def draw(*, persistence: Sequence[str], outputs: Sequence[str], style: str, names: Sequence[str]) -> None:
    """Draw a panel for each network, each with its own scale: regularized networks persist many times longer."""
    if len(names) != len(persistence) or not names:
        raise StoreError(f"expected a name for each of {len(persistence)} files of persistence, found {len(names)}")
    panels = []
    for path in persistence:
        with reading(path) as file:
            panels.append(
                (read_persistence(file), {name: _censored(file, name) for name in ("natural", "adversarial")})
            )
    # Two by two for four, as three and one would look.
    across = 2 if len(panels) == 4 else min(3, len(panels))
    lines = -(-len(panels) // across)
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        size = (width * (1 if across == 1 else 2), 1.15 * height * lines)
        figure, grid = plt.subplots(lines, across, figsize=size, squeeze=False)
        for number, axes in enumerate(grid.ravel()):
            if number >= len(panels):
                axes.set_axis_off()
                continue
            persistence_bars(axes, *panels[number])
            # The name heads the legend, where a title would run into it.
            place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
            large = plt.rcParams["axes.titlesize"]
            axes.legend(title=names[number], title_fontsize=large, alignment="left", handlelength=1, **place)
        save(figure, outputs)


def _censored(file: Reader, group: str) -> str:
    counts = {side: int(file.read(f"{group}/summary/{status}")) for status, side in CENSORED.items()}
    return ", ".join(f"{count} {side} the range" for side, count in counts.items() if count)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(persistence=snakemake.input.persistence, outputs=snakemake.output, **run.settings)
