"""Write the page on which a slider moves lambda, the tilting plane and the mirror images (Tanay, figure 6)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.figures.page import colours, levels, rounded, write_page
from pipeline.store import reading

SCRIPT = Path(__file__).with_name("tilting_path.js")


def write(*, tilting: str, outputs: Sequence[str], style: str) -> None:
    """Everything that the slider shows lies in the page: coordinates, boundaries, digits and errors of every lambda."""
    with reading(tilting) as file:
        first, _, second = file.attribute("pair").partition("v")
        label, digits = file.read("plane/label"), file.read("digits/label")
        rows = [int(np.flatnonzero(digits == side)[0]) for side in (-1, 1)]
        image = file.read("digits/image")
        data = {
            "names": [first, second],
            "colours": colours(style),
            "alpha": rounded(file.read("alpha")),
            "theta": rounded(file.read("theta")),
            "distance": rounded(file.read("d_adv")),
            "offset": rounded(file.read("plane/offset")),
            "train": rounded(100 * file.read("train/error")),
            "test": rounded(100 * file.read("test/error")),
            "label": label.tolist(),
            "points": rounded(file.read("plane/coordinates")),
            "side": image.shape[-1],
            "digits": levels(image[rows]),
            "mirror": levels(file.read("digits/mirror")[:, rows]),
        }
    body = f"""<p>Two classes of digits, {first} and {second}, in the plane of the centroids' direction z and the
weight of a linear support vector machine. Move the slider to change its regularisation.</p>
<input type="range" id="alpha" min="0" max="{len(data["alpha"]) - 1}" step="1" value="0" aria-label="log10 of lambda">
<p id="state"></p>
<div id="plane" style="height: 460px"></div>
<div id="digits"></div>
<div id="errors" style="height: 260px"></div>"""
    title = f"Tilting of the boundary between {first} and {second} over lambda"
    write_page(outputs[0], title, body, SCRIPT.read_text(encoding="utf-8"), data)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        write(tilting=snakemake.input.tilting, outputs=snakemake.output, **run.settings)
