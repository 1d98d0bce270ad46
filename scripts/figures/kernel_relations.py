"""Draw the kernel against distances to convex hulls (Bell, section 16), and against the tangent kernels."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.panels import KERNEL_GROUPS
from pipeline.figures.style import drawing, save, with_interval
from pipeline.store import reading

ENDS = {"start": "at the start", "end": "at the end"}
PARTS = {"relative": "difference", "correlation": "correlation"}
MEAN = ("mean", "mean_low", "mean_high")


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """Above: mean cosine with a point's class against distance to the hull. Below: means over test points."""
    with reading(kernel) as file:
        group, distance, cosine = (file.read(name) for name in ("group", "hull/distance", "hull/cosine"))
        names = [str(name) for name in file.read("groups")]
        ranks = {part: file.read_group(f"hull/{part}/cosine") for part in ("natural", "all")}
        means = {
            (end, part): [float(file.read(f"tangent/{end}/{part}_summary/{key}")) for key in MEAN]
            for end in ENDS
            for part in PARTS
        }
        queries = int(file.read("tangent/start/relative_summary/n"))
        asymmetry, known = float(file.read("asymmetry")), int(file.read("asymmetry_n"))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, (above, below) = plt.subplots(2, 1, figsize=(width, 2.1 * height), height_ratios=[1.3, 1])
        for name in names:
            part, (colour, marker, _) = group == name, KERNEL_GROUPS[name]
            look = {"s": 9, "color": colour, "marker": marker, "alpha": 0.7, "linewidths": 0}
            above.scatter(distance[part], cosine[part], label=f"{name}, n = {part.sum()}", **look)
        above.set(xlabel="L2 distance to the hull of the predicted class")
        above.set_ylabel("mean cosine with that class")
        notes = []
        for part, found in ranks.items():
            value, low, high = (float(found[key]) for key in ("value", "low", "high"))
            notes.append(f"{part}: {with_interval(value, low, high)}, n = {int(found['n'])}")
        above.legend(
            title="Spearman's correlation\n" + "\n".join(notes), loc="lower center", bbox_to_anchor=(0.45, 1.0),
            ncols=2, handletextpad=0.1,
        )  # fmt: skip
        rows = list(means)
        for place, row in enumerate(rows):
            value, low, high = means[row]
            below.errorbar(
                value, place, xerr=[[value - low], [high - value]], color="C2", marker="o", markersize=4, capsize=2,
                label=f"_{PARTS[row[1]]}, {ENDS[row[0]]}",
            )  # fmt: skip
            text = with_interval(value, low, high, 3)
            below.annotate(text, (0.5, place), (0, 7), textcoords="offset points", ha="center", size=7)
        below.set(xlim=(-0.03, 1.05), ylim=(len(rows) - 0.5, -0.9))
        below.set_xlabel(f"path kernel against tangent kernel, n = {queries}\n(asymmetry {asymmetry:.2g}, n = {known})")
        below.set_yticks(range(len(rows)), [f"{PARTS[part]},\n{ENDS[end]}" for end, part in rows])
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
