"""Draw class frequencies under growing noise around images of several networks and attacks (Bell, figure 17)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D

from pipeline.figures.frequencies import frequency_panel, read_sweep, settle_names
from pipeline.figures.panels import shortened
from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save

ACROSS = 3


def draw(*, stability: Sequence[str], outputs: Sequence[str], style: str, panels: Sequence[Mapping[str, Any]]) -> None:
    """Draw a panel for each file: the first image of a group whose own class is the one asked for.

    Args:
        panels: for each file the `name` above its panel, the `group` ("natural" or "adversarial") and the `class`: of
            the natural image, or aimed at by the attack; -1 for any.
    """
    sweeps = [read_sweep(path) for path in stability]
    rows = [sweep.row(panel["group"], panel["class"]) for sweep, panel in zip(sweeps, panels, strict=True)]
    samples = sorted({sweep.samples for sweep in sweeps})
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        across = min(ACROSS, len(sweeps))
        lines = -(-len(sweeps) // across)
        figure = plt.figure(figsize=(width * (1 if across == 1 else 2), height * (0.25 + 1.1 * lines)))
        grid = figure.add_gridspec(2 * lines, across, height_ratios=[4.2, 1] * lines, wspace=0.08)
        for number, (sweep, panel, row) in enumerate(zip(sweeps, panels, rows, strict=True)):
            line, column = divmod(number, across)
            group, own = panel["group"], sweep.own_class(panel["group"], row)
            label = int(sweep.groups[group]["label"][row])
            colours = {label: NATURAL} if group == "natural" else {label: NATURAL, own: ADVERSARIAL}
            places = grid[2 * line, column], grid[2 * line + 1, column]
            axes = frequency_panel(figure, places, sweep, group, row, colours)
            ending = "" if own == label else f"\n→ {shortened(sweep.classes[own])}"
            axes.set_title(f"{panel['name']}\n{shortened(sweep.classes[label])}{ending}", color=colours[own], pad=3)
            axes.tick_params(labelleft=column == 0)
        large: dict[str, Any] = {"size": plt.rcParams["axes.labelsize"]}
        figure.supylabel(f"class frequency (n = {' or '.join(map(str, samples))} samples a point)", **large)
        figure.supxlabel("σ of the noise (pixel range = 1)", **large)
        names = {"class of the natural image": NATURAL, "class of the adversarial image": ADVERSARIAL}
        keys = [Line2D([], [], color=colour, label=name) for name, colour in names.items()]
        keys.append(Line2D([], [], color=OTHER, linewidth=0.7, label="other classes"))
        figure.legend(handles=keys, loc="outside upper center", ncols=3 if across > 1 else 1)
        settle_names(figure)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(stability=snakemake.input.stability, outputs=snakemake.output, **run.settings)
