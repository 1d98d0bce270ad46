"""Write the page on which the space of two boundaries turns, and one turns into the other (Tanay, figure 7)."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.figures.page import colours, rounded, write_page
from pipeline.store import reading

SCRIPT = Path(__file__).with_name("tilting_rotation.js")


def write(*, tilting: str, outputs: Sequence[str], style: str) -> None:
    """Images along the centroids' direction and two axes, and a boundary that the slider turns between two lambdas."""
    with reading(tilting) as file:
        first, _, second = file.attribute("pair").partition("v")
        data = {
            "names": [first, second],
            "colours": colours(style),
            "label": file.read("plane/label").tolist(),
            "points": rounded(file.read("rotation/coordinates")),
            "weight": file.read("rotation/weight").tolist(),
            "offset": file.read("rotation/offset").tolist(),
            "alpha": rounded(file.read("rotation/alpha")),
        }
    low, high = data["alpha"]
    body = f"""<p>Images of {first} and {second} in the space of the centroids' direction z and the weights of two
linear support vector machines, at log10 of lambda {low:g} and {high:g}. Drag to turn the space; the slider turns the
boundary from the first to the second, and between them it is interpolated.</p>
<input type="range" id="turn" min="0" max="40" step="1" value="0" aria-label="share of the turn">
<p id="state"></p>
<div id="space" style="height: 560px"></div>"""
    title = f"Rotation of the boundary between {first} and {second}"
    write_page(outputs[0], title, body, SCRIPT.read_text(encoding="utf-8"), data)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        write(tilting=snakemake.input.tilting, outputs=snakemake.output, **run.settings)
