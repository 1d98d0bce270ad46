"""Draw students that learn logits by L1 beside those that learn probabilities by KL (Seguin, figure A.7)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pipeline.figures.students import KL, STUDENT, counted, curve, read_accuracies
from pipeline.figures.style import drawing, save
from pipeline.store import reading

LOSSES = {"l1": (STUDENT, "o", "L1 of logits"), "kl": (KL, "s", "KL of softmax")}
ENDS = {"l1": "final L1 (logit)", "kl": "final KL (nat)"}


def draw(
    *,
    robustness: Sequence[str],
    students: Sequence[str],
    networks: Sequence[Mapping[str, Any]],
    outputs: Sequence[str],
    style: str,
) -> None:
    """Accuracies with intervals over seeds, and both losses at the end of training, over the teacher's epoch.

    Args:
        robustness: of each of `networks`, with its `epoch` and `loss`. students: their files, all seeds of the first
            network, then of the next.
    """
    histories = np.array([_ends(path) for path in students]).reshape(len(networks), -1, len(ENDS))
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(2, 2, figsize=(width, 1.5 * height), sharex=True)
        for loss, (colour, marker, text) in LOSSES.items():
            places = [place for place, entry in enumerate(networks) if entry["loss"] == loss]
            places.sort(key=lambda place: networks[place]["epoch"])
            epochs = [networks[place]["epoch"] for place in places]
            for axes, of in zip(panels[0], ("natural", "adversarial"), strict=True):
                accuracies = read_accuracies([robustness[place] for place in places], of)
                curve(axes, epochs, accuracies, color=colour, marker=marker, label=text)
                axes.set_ylabel(f"{of} accuracy (%)")
            for axes, values, name in zip(panels[1], np.moveaxis(histories[places], 2, 0), ENDS.values(), strict=True):
                axes.plot(
                    epochs, values, marker, color=colour, markersize=3, alpha=0.7, markeredgewidth=0, label=f"_{text}"
                )
                axes.set_ylabel(name)
        for axes in panels.flat:
            axes.set_ylim(0, None)
        figure.supxlabel("epoch of the teacher", size=plt.rcParams["axes.labelsize"])
        title = f"{counted(accuracies)}; below, each seed"
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, title=title)
        save(figure, outputs)


def _ends(path: str) -> list[float]:
    with reading(path) as file:
        return [float(file.read(f"history/{name}", ("epoch",))[-1]) for name in ENDS]


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(
            robustness=snakemake.input.robustness,
            students=snakemake.input.students,
            outputs=snakemake.output,
            **run.settings,
        )
