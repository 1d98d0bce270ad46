"""Figures and tables of studies of logits: which results each shows, and what else decides it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.plan.logit_studies import (
    robustness_path,
    student_epoch,
    student_path,
    study_graph,
    study_path,
    target_path,
    teacher_of,
    teacher_path,
)
from pipeline.plan.study_comparison import accuracy_rows, names_of, read_published, scale_of, source_of
from pipeline.plan.teachers import TEACHERS

Config = Mapping[str, Any]

# Analyses that plots of all networks show, and plots that show students.
STUDY_PLOTS = {
    "max_logits": ("distributions",),
    "logit_gaps": ("distributions",),
    "gap_epochs": ("distributions",),
    "network_disagreement": ("images", "answers"),
    "confident_images": ("images",),
    "nearest_by_logits": ("images",),
    "overlap": ("answers",),
}
STUDENT_PLOTS = ("manipulated_logits", "teacher_epochs", "distillation_losses")
STUDY_TABLES = ("logit_accuracies", "training_times")

BENCHMARKS = "results/benchmarks/"


def plot_inputs(config: Config, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Results that a plot of a study shows, by the names that its script gives them."""
    study, plot = entry["study"], entry["plot"]
    if plot in STUDY_PLOTS:
        return {name: study_path(study, name) for name in STUDY_PLOTS[plot]}
    own = config["logits"]["studies"][study]
    names = names_of(study, own)
    match plot:
        case "manipulated_logits":
            first = own["seeds"][0]
            return {
                "targets": target_path(study, "adversarial", own["teacher_epoch"]["adversarial"], first),
                "students": [student_path(study, student, first) for student in _shown(config, entry)],
                "robustness": [robustness_path(study, one["name"]) for one in _manipulated(config, study)],
                "teacher": robustness_path(study, teacher_of(config, study, "adversarial")),
            }
        case "teacher_epochs":
            return {
                "students": [robustness_path(study, name) for name in names["students_by_epoch"]],
                "teachers": [robustness_path(study, name) for name in names["adversarial_by_epoch"]],
            }
        case "distillation_losses":
            students = [one["name"] for one in _plain(config, study)]
            return {
                "robustness": [robustness_path(study, name) for name in students],
                "students": [student_path(study, name, seed) for name in students for seed in own["seeds"]],
            }
    raise ValueError(f"plot {plot!r} is not one of a study")


def plot_settings(config: Config, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a plot of a study needs to know of the networks whose results it shows."""
    study = entry["study"]
    match entry["plot"]:
        case "manipulated_logits":
            return {"networks": _manipulated(config, study), "shown": _shown(config, entry)}
        case "teacher_epochs":
            epochs = [one["epoch"] for one in _plain(config, study) if one["loss"] == "l1"]
            return {"student_epochs": epochs, "teacher_epochs": epochs}
        case "distillation_losses":
            return {"networks": [{key: one[key] for key in ("epoch", "loss")} for one in _plain(config, study)]}
    return {}


def table_inputs(config: Config, entry: Mapping[str, Any]) -> list[str]:
    """Results that a table of studies shows, row by row."""
    if entry["table"] == "training_times":
        return [path for row in _trainings(config, entry) for path in row["times"]]
    return [
        robustness_path(study, teacher_of(config, study, network) if network in TEACHERS else network)
        for study in entry["studies"]
        for network in entry["networks"]
    ]


def table_settings(config: Config, root: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a table of studies says of its rows."""
    published = read_published(root)
    if entry["table"] == "training_times":
        rows = [{key: value for key, value in row.items() if key != "times"} for row in _trainings(config, entry)]
        for row in rows:
            source = source_of(config, row["study"], published)
            row["published"] = [source, row["what"]] if row["what"] in published["table3"][source] else None
        return {"rows": rows}
    table = entry["published"]
    rows = [
        row for study in entry["studies"] for row in accuracy_rows(config, study, entry["networks"], table, published)
    ]
    return {"networks": rows, "published_table": table}


def results_behind(config: Config, entry: Mapping[str, Any]) -> set[str]:
    """Every result that a figure or table of studies rests on, intermediate ones too."""
    if "plot" in entry:
        found = plot_inputs(config, entry).values()
        open_paths = {path for one in found for path in ([one] if isinstance(one, str) else one)}
        studies = [entry["study"]]
    else:
        open_paths = {_result_of(path) for path in table_inputs(config, entry)}
        studies = entry["studies"]
    graph = {path: inputs for study in studies for path, inputs in study_graph(config, study).items()}
    paths: set[str] = set()
    while open_paths:
        path = open_paths.pop()
        paths.add(path)
        open_paths |= set(graph.get(path, ())) - paths
    return paths


def _result_of(path: str) -> str:
    """The result that a file of Snakemake's times belongs to."""
    if path.startswith(BENCHMARKS):
        return "results/" + path.removeprefix(BENCHMARKS).removesuffix(".tsv") + ".h5"
    return path


def _times_of(result: str) -> str:
    return BENCHMARKS + result.removeprefix("results/").removesuffix(".h5") + ".tsv"


def _trainings(config: Config, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of jobs that do the same: each way of training, and students."""
    rows = []
    for study in entry["studies"]:
        own = config["logits"]["studies"][study]
        made = {
            ("train_teacher", teacher): [teacher_path(study, teacher, seed) for seed in own["seeds"]]
            for teacher in TEACHERS
        }
        made["distil_student", "distillation"] = [
            student_path(study, student, seed) for student in own["students"] for seed in own["seeds"]
        ]
        for (rule, what), paths in made.items():
            if paths:
                scale = scale_of(config, study, what if what in TEACHERS else "students")
                row = {"study": study, "rule": rule, "what": what, "jobs": len(paths), "scale": scale}
                rows.append(row | {"times": [_times_of(path) for path in paths]})
    return rows


def _manipulated(config: Config, study: str) -> list[dict[str, Any]]:
    """The normal student, and those that learn the same logits with only the largest as they were."""
    own = config["logits"]["studies"][study]
    found = []
    for name, one in own["students"].items():
        unchanged = one["loss"] == "l1" and one["order"] is None
        if _same_teacher(config, study, name) and unchanged and (one["keep"] or not one["correct"]):
            found.append({"name": name, "keep": one["keep"], "rest": one["rest"], "correct": one["correct"]})
    return found


def _shown(config: Config, entry: Mapping[str, Any]) -> list[str]:
    """Students whose logits are shown: those asked for that learn from the same checkpoint."""
    study = entry["study"]
    listed = entry.get("students") or [one["name"] for one in _manipulated(config, study) if one["keep"]]
    return [name for name in listed if _same_teacher(config, study, name)]


def _same_teacher(config: Config, study: str, student: str) -> bool:
    """Whether a student learns from the adversarial checkpoint that stands for its way of training."""
    own = config["logits"]["studies"][study]
    same = own["students"][student]["teacher"] == "adversarial"
    return same and student_epoch(config, study, student) == own["teacher_epoch"]["adversarial"]


def _plain(config: Config, study: str) -> list[dict[str, Any]]:
    """Students of unmanipulated logits by their teacher's epoch and loss, as `names_of` chooses them."""
    own = config["logits"]["studies"][study]
    names = names_of(study, own)
    found = []
    for loss in ("l1", "kl"):
        chosen = {value for key, value in names.items() if key.startswith(f"{loss}_e") and isinstance(value, str)}
        found += [{"name": name, "epoch": student_epoch(config, study, name), "loss": loss} for name in chosen]
    return sorted(found, key=lambda one: (one["loss"] == "kl", one["epoch"]))
