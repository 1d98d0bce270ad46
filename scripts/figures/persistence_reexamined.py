"""Draw persistence, probabilities and images along one line to an adversarial image (Bell, section 32)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from pipeline.figures.panels import resampling, shortened
from pipeline.figures.style import ADVERSARIAL, NATURAL, OTHER, drawing, save
from pipeline.store import StoreError, reading

# Classes that reach this probability somewhere on the line are named.
NAMED = 0.1
STYLES = ("--", "-.", ":")


def draw(
    *, boundary: str, interpolation: str, outputs: Sequence[str], style: str, pair: int, gammas: Sequence[float] = ()
) -> None:
    """One line in three panels; a vertical line marks where the class first changes."""
    with reading(interpolation) as file:
        lines = {name: file.read(name) for name in ("t", "gamma", "sigma", "low", "high", "index", "target")}
        samples = int(file.read("samples"))
    with reading(boundary) as file:
        trace = file.read_group("trace")
        crossed = {name: file.read(f"adversarial/{name}") for name in ("index", "target", "t", "skewness", "pair")}
        classes = [shortened(str(name)) for name in file.read("classes")]
    if pair >= min(len(lines["index"]), len(trace["images"])):
        held = min(len(lines["index"]), len(trace["images"]))
        raise StoreError(f"{boundary}: holds {held} lines that {interpolation} holds too, there is no pair {pair}")
    if any(lines[name][pair] != crossed[name][pair] for name in ("index", "target")):
        raise StoreError(f"{boundary}: pair {pair} is another line than that of {interpolation}")
    if missing := sorted(set(gammas) - set(lines["gamma"])):
        raise StoreError(f"{interpolation}: holds gamma {list(lines['gamma'])}, not {missing[0]:g}")
    probability, images = trace["probability"][pair], trace["images"][pair]
    first, last = probability[0].argmax(), probability[-1].argmax()
    colours = {first: NATURAL, last: ADVERSARIAL}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (above, middle, below) = plt.subplots(
            3, 1, figsize=(width, 2 * height), sharex=True, height_ratios=(1, 1, 0.32)
        )
        for number, gamma in enumerate(lines["gamma"]):
            if gammas and gamma not in gammas:
                continue
            sigma, low, high = (lines[name][pair, :, number] for name in ("sigma", "low", "high"))
            bars = np.stack([sigma - low, np.where(np.isfinite(high), high, sigma) - sigma])
            above.errorbar(
                lines["t"], sigma, bars, marker="o", markersize=2.5, linewidth=0.8, elinewidth=0.8,
                color=f"{0.15 + 0.15 * number:.2f}", label=f"γ = {gamma:g}",
            )  # fmt: skip
        above.set_ylabel("persistence σ*\n(pixel range = 1)")
        above.set_ylim(bottom=0)
        above.legend(loc="lower left", title=f"n = {samples:,} samples a point")
        others = iter(STYLES * len(classes))
        for number in np.argsort(-probability.max(0)):
            named = number in colours or probability[:, number].max() >= NAMED
            middle.plot(
                trace["t"], probability[:, number], color=colours.get(number, OTHER),
                linestyle="-" if number in colours or not named else next(others),
                linewidth=1.2 if named else 0.4, label=classes[number] if named else f"_{classes[number]}",
            )  # fmt: skip
        middle.set(ylabel="softmax probability", ylim=(0, 1))
        middle.legend(title="class")
        side = 0.92 * width / (len(images) + 1.5)
        # A pixel of the image in points.
        zoom = 72 * side / images.shape[-1]
        for place, image in zip(trace["places"], images, strict=True):
            shown = OffsetImage(
                image.transpose(1, 2, 0).squeeze(), zoom=zoom, cmap="gray", interpolation=resampling(images.shape[-1])
            )
            shown.image.set_clim(0, 1)
            below.add_artist(AnnotationBbox(shown, (place, 0.5), frameon=False, pad=0, annotation_clip=False))
        below.set(xlabel="position between natural (0) and adversarial (1)", yticks=[], xlim=(-0.06, 1.06))
        below.spines["left"].set_visible(False)
        t, skewness = float(crossed["t"][pair]), float(crossed["skewness"][pair])
        one, two = (classes[number] for number in crossed["pair"][pair])
        for axes in (above, middle):
            axes.axvline(t, color="k", linewidth=0.6, linestyle=":", label="_crossing")
        below.plot(t, 1.1, color="k", marker="v", markersize=4, clip_on=False, label="_crossing")
        below.set_ylim(0, 1)
        above.set_title(f"{one} → {two} at t = {t:.2f}, {skewness:.1f}° from the normal")
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(
            boundary=snakemake.input.boundary,
            interpolation=snakemake.input.interpolation,
            outputs=snakemake.output,
            **run.settings,
        )
