"""Draw accuracies of students and of their teachers over the teacher's epoch (Seguin, figure A.6)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt

from pipeline.figures.students import STUDENT, TEACHER, counted, curve, read_accuracies
from pipeline.figures.style import drawing, save


def draw(
    *,
    students: Sequence[str],
    student_epochs: Sequence[int],
    teachers: Sequence[str],
    teacher_epochs: Sequence[int],
    outputs: Sequence[str],
    style: str,
) -> None:
    """Natural accuracy above, adversarial below; means over seeds with their intervals.

    Args:
        students, teachers: robustness of the student and of the teacher of each epoch.
    """
    kinds = {"teacher": (teachers, teacher_epochs, TEACHER, "s"), "student": (students, student_epochs, STUDENT, "o")}
    with drawing(style):
        width, height = plt.rcParams["figure.figsize"]
        figure, panels = plt.subplots(2, 1, figsize=(width, 1.6 * height), sharex=True)
        for axes, of in zip(panels, ("natural", "adversarial"), strict=True):
            for name, (paths, epochs, colour, marker) in kinds.items():
                accuracies = read_accuracies(paths, of)
                curve(axes, epochs, accuracies, color=colour, marker=marker, label=name)
            axes.set(ylabel=f"{of} accuracy (%)", ylim=(0, 102))
        panels[0].legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, title=counted(accuracies))
        panels[1].set_xlabel("epoch of the teacher")
        save(figure, outputs)


if "snakemake" in globals():
    from pipeline.running.job import job

    with job(snakemake) as run:
        draw(
            students=snakemake.input.students,
            teachers=snakemake.input.teachers,
            outputs=snakemake.output,
            **run.settings,
        )
