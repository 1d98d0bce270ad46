"""Draw test images beside the nearest training images in kernel and in pixel space (Bell, figure 22)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.artist_numbers import PICTURE
from pipeline.figures.style import drawing, save, with_interval
from pipeline.store import StoreError, reading

COLUMNS = {"query": "test\nimage", "kernel": "kernel\ndistance", "value": "kernel\nvalue", "pixel": "pixel\ndistance"}
ROWS = 5


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """Rows are queries, columns the nearest by each measure; the title states how much lists of neighbours share."""
    with reading(kernel) as file:
        if "neighbours/x_query" not in file:
            raise StoreError(f"{kernel}: expected neighbours that are images, found points")
        images = {name: file.read(f"neighbours/x_{name}") for name in COLUMNS}
        classes, count = file.read("classes"), int(file.read("neighbours/count"))
        labels = {name: file.read(f"neighbours/{name}_label") for name in COLUMNS if name != "query"}
        labels["query"] = file.read("neighbours/label")
        notes = []
        for name, text in (("kernel", "kernel distance"), ("value", "kernel value")):
            centre, low, high = (
                float(file.read(f"neighbours/{name}_overlap/{key}")) for key in ("mean", "mean_low", "mean_high")
            )
            notes.append(f"{text}: {with_interval(centre, low, high)}")
    with drawing(style):
        width = plt.rcParams["figure.figsize"][0]
        rows = min(ROWS, len(images["query"]))
        figure, axes = plt.subplots(
            rows, len(COLUMNS), figsize=(width, 0.78 * rows + 1.0), squeeze=False, gridspec_kw={"hspace": 0.05}
        )
        for column, (name, title) in enumerate(COLUMNS.items()):
            for row in range(rows):
                place, image = axes[row, column], images[name][row] / (255 if images[name].dtype.kind == "u" else 1)
                place.imshow(image[0] if len(image) == 1 else image.transpose(1, 2, 0), vmin=0, vmax=1, label=PICTURE)
                place.set(xticks=[], yticks=[])
                place.spines[:].set_visible(False)
                place.set_ylabel(f"{classes[labels[name][row]]}", rotation=0, labelpad=6, va="center")
            axes[0, column].set_title(title)
        text = f"Share of the {count} nearest by pixels among the {count} nearest by\n" + "\n".join(notes)
        text += f"   (n = {len(images['query'])})"
        figure.suptitle(text, fontsize=plt.rcParams["legend.fontsize"])
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
