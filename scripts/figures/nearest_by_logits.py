"""Draw test images beside those of the most similar logits, by way of training (Seguin, figure B.3)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.logits import TRAINING, as_text, images_of, read_crossed, show
from pipeline.figures.style import drawing, save
from pipeline.store import reading

ROWS, SHOWN = 5, 5


def draw(*, images: str, outputs: Sequence[str], style: str) -> None:
    """Rows are queries; then their nearest by both ways of training, those of another class framed.

    Titles state the pixel distance of the nearest over that of the query's class (geometric mean), and the share of the
    nearest that have the query's class.
    """
    with reading(images) as file:
        query, pictures = images_of(file, "nearest/query_shown"), {}
        label, shown, positions = file.read("label"), file.read("nearest/shown"), file.read("nearest/query")
        same, titles = {}, {}
        for name in TRAINING:
            pictures[name] = images_of(file, f"nearest/{name}")
            near = file.read(f"nearest/{name}/index")[0][shown]
            same[name] = label[near] == label[positions[shown]][:, None]
            found = {part: read_crossed(file, f"nearest/{name}/{part}") for part in ("log_distance", "same_class")}
            apart = as_text({key: np.exp(found["log_distance"][key]) for key in ("value", "low", "high")})
            titles[name] = f"{name}\ndistance {apart}\nsame class {as_text(found['same_class'])}"
        numbers = f"n = {found['same_class']['n']} queries, {found['same_class']['networks']} seeds each"
    rows, columns = min(ROWS, len(query)), min(SHOWN, pictures["standard"].shape[1])
    with drawing(style):
        width = plt.rcParams["figure.figsize"][0]
        size = (width, width / (2 * columns + 2) * rows + 1.0)
        # Narrow columns set the query and the two ways of training apart.
        ratios = [1, 0.25, *[1] * columns, 0.25, *[1] * columns]
        grid: dict[str, Any] = {
            "squeeze": False,
            "gridspec_kw": {"width_ratios": ratios, "wspace": 0.03, "hspace": 0.03},
        }
        figure, panels = plt.subplots(rows, len(ratios), figsize=size, **grid)
        for axes in panels[:, [1, 2 + columns]].flat:
            axes.set_axis_off()
        for row in range(rows):
            show(panels[row, 0], query[row])
            for side, (name, colour) in enumerate(TRAINING.items()):
                for column in range(columns):
                    axes = panels[row, 2 + side * (columns + 1) + column]
                    show(axes, pictures[name][row, column])
                    if not same[name][row, column]:
                        axes.spines[:].set(visible=True, color=colour, linewidth=1.5)
        panels[0, 0].set_title("query", fontsize=7)
        for side, title in enumerate(titles.values()):
            panels[0, 2 + side * (columns + 1) + columns // 2].set_title(title, fontsize=7)
        text = "\nDistance: of the nearest, over that of all of the query's class"
        figure.suptitle(f"{numbers}. Framed: of another class.{text}", fontsize=7)
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(images=snakemake.input.images, outputs=snakemake.output, **run.settings)
