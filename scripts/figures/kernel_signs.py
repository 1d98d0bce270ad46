"""Draw for which losses and outputs the coefficients of training points keep their signs (Bell, section 17.3)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.style import drawing, save, with_interval
from pipeline.store import reading

NAMES = {
    "cross_entropy-log_softmax": "cross-entropy,\nlog-softmax",
    "cross_entropy-logits": "cross-entropy,\nlogits",
    "binary_cross_entropy-probabilities-single": "cross-entropy,\nsigmoid",
    "squared_error-logits": "squared error,\none-hot",
    "squared_error-logits-single": "squared error,\none output",
}


def draw(*, kernel: str, outputs: Sequence[str], style: str) -> None:
    """Share of the training points whose coefficient turns; at the side, how far coefficients move at all."""
    with reading(kernel) as file:
        cases = [str(name) for name in file.read("signs/cases")]
        found = {case: file.read_group(f"signs/{case}") for case in cases}
    with drawing(style):
        figure, axes = plt.subplots()
        for place, case in enumerate(cases):
            value, low, high = (float(found[case][key]) for key in ("value", "low", "high"))
            axes.errorbar(
                value, place, xerr=[[value - low], [high - value]], color="C2", marker="o", markersize=4, capsize=2,
                label=f"_{NAMES[case]}",
            )  # fmt: skip
            text = f"{with_interval(value, low, high, 3)}, drift {float(found[case]['drift']):.2g}"
            gap = float(found[case]["gap"])
            if gap == gap:
                text += f"\none machine: error {gap:.1e}"
            axes.annotate(text, (0.5, place), (0, 5), "data", "offset points", ha="center", va="bottom", size=7)
        n = int(found[cases[0]]["n"])
        axes.set(xlim=(-0.03, 1.03), ylim=(len(cases) - 0.5, -0.9))
        axes.set_xlabel(f"share of training points whose coefficient\nchanges sign in training, n = {n} each")
        axes.set_yticks(range(len(cases)), [NAMES[case] for case in cases])
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(kernel=snakemake.input.kernel, outputs=snakemake.output, **run.settings)
