"""Draw manipulated logits, and what students learn of robustness from them (Seguin, figure 4)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from pipeline.figures.students import AVERAGED, PERMUTED, TEACHER, counted, curve, level, read_accuracies
from pipeline.figures.style import OTHER, drawing, save
from pipeline.store import StoreError, reading

TRUE, MANIPULATED, KEPT = "C6", "C4", OTHER
# Characters of a line above a panel.
NAME = 9
# In k, so that bars of one k are told apart.
APART = 0.15
REST = {"permute": (PERMUTED, "o"), "average": (AVERAGED, "s")}


def draw(
    *,
    targets: str,
    students: Sequence[str],
    shown: Sequence[str],
    robustness: Sequence[str],
    networks: Sequence[Mapping[str, Any]],
    teacher: str,
    outputs: Sequence[str],
    style: str,
) -> None:
    """Above, logits of a train image that the teacher gets right and of one that it gets wrong; below, accuracies.

    Args:
        targets: the teacher's logits. students: students of the same teacher with the logits that they learned from,
            `shown` their titles. robustness: of students, `networks` their settings: `name`, `keep`, `rest`, `correct`.
            teacher: robustness of the teacher.
    """
    with reading(targets) as file:
        logits, label = file.read("logits", ("image", "class")), file.read("label", ("image",))
    learned = {"teacher": logits}
    for title, path in zip(shown, students, strict=True):
        with reading(path) as file:
            learned[title] = file.read("target_logits", ("image", "class"))
        if learned[title].shape != logits.shape:
            raise StoreError(f"{path}: expected logits of shape {logits.shape}, found {learned[title].shape}")
    right = logits.argmax(1) == label
    rows = {"right": np.flatnonzero(right), "wrong": np.flatnonzero(~right)}
    examples = {answer: images[0] for answer, images in rows.items() if len(images)}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        small = plt.rcParams["legend.fontsize"]
        figure = plt.figure(figsize=(width, 2.1 * height))
        above, below = figure.subfigures(2, 1, height_ratios=(1, 1.05), squeeze=False)[:, 0]
        panels = above.subplots(len(examples), len(learned), sharex=True, sharey="row", squeeze=False)
        for row, (answer, image) in zip(panels, examples.items(), strict=True):
            for axes, values in zip(row, learned.values(), strict=True):
                _bars(axes, values[image], logits[image], int(label[image]))
            row[0].set_ylabel(f"logit, teacher\n{answer}")
        for axes, title in zip(panels[0], learned, strict=True):
            # Names break at their hyphens, so that those of narrow panels do not meet.
            axes.set_title(_broken(title), size=small)
        above.supxlabel("class", size=plt.rcParams["axes.labelsize"])
        looks = {"true class": TRUE, "changed": MANIPULATED, "as the teacher's": KEPT}
        patches = [Patch(color=colour, label=text) for text, colour in looks.items()]
        above.legend(handles=patches, loc="outside upper center", ncols=len(patches))
        axes = below.subplots()
        _curves(axes, dict(zip(robustness, networks, strict=True)))
        own = read_accuracies([teacher], "adversarial")
        level(axes, own, TEACHER, ":", "teacher")
        axes.set(xlabel="largest logits kept, k", ylabel="adversarial accuracy (%)", ylim=(0, None))
        axes.set_xticks(range(1, logits.shape[1], max(1, logits.shape[1] // 10)))
        axes.set_xlim(0.5, logits.shape[1] - 0.5)
        place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.45, 1.0), "ncols": 2}
        axes.legend(title=counted(own), **place)
        save(figure, outputs)


def _broken(name: str) -> str:
    lines = [""]
    for part in re.split(r"(?<=-)", name):
        if lines[-1] and len(lines[-1] + part) > NAME:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _bars(axes: Axes, values: np.ndarray, before: np.ndarray, label: int) -> None:
    changed = values != before
    colours = np.where(np.arange(len(values)) == label, TRUE, np.where(changed, MANIPULATED, KEPT))
    edges = np.where(changed, MANIPULATED, colours)
    axes.bar(
        np.arange(len(values)), values, color=colours.tolist(), edgecolor=edges.tolist(), linewidth=0.8, label="_logit"
    )
    axes.axhline(0, color="k", linewidth=0.4)
    axes.set_xticks([0, len(values) - 1])


def _curves(axes: Axes, networks: Mapping[str, Mapping[str, Any]]) -> None:
    """Students by their files: those that keep k logits over k, and a level for each that keeps all."""
    for rest, (colour, marker) in REST.items():
        kept = {path: one["keep"] for path, one in networks.items() if one["rest"] == rest and not one["correct"]}
        paths = sorted((path for path, keep in kept.items() if keep), key=kept.__getitem__)
        if paths:
            look = {"color": colour, "marker": marker, "label": f"rest {rest}d"}
            curve(axes, [kept[path] for path in paths], read_accuracies(paths, "adversarial"), **look)
    for path, one in networks.items():
        own = read_accuracies([path], "adversarial")
        if one["correct"]:
            look = {"color": "k", "marker": "^", "linestyle": "none", "label": f"corrected, rest {one['rest']}d"}
            curve(axes, [one["keep"] - APART], own, **look)
        elif one["keep"] is None:
            level(axes, own, OTHER, "--", f"{one['name']} student")


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(
            targets=snakemake.input.targets,
            students=snakemake.input.students,
            robustness=snakemake.input.robustness,
            teacher=snakemake.input.teacher,
            outputs=snakemake.output,
            **run.settings,
        )
