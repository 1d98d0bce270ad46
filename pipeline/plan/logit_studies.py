"""Studies of logits: which networks one trains, where their results lie, and what decides each (section `logits`)."""

from collections.abc import Mapping
from typing import Any

from pipeline.plan.paths import data_path
from pipeline.plan.teachers import TEACHERS, checkpoint_name

Config = Mapping[str, Any]

STAGES = ("teachers", "outputs", "targets", "students", "robustness", "distributions", "answers", "images")
# Of the teachers' logits, and the settings of the study that each depends on.
ANALYSES = {
    "distributions": ("bins", "accuracy_bins", "threshold"),
    "answers": ("exchanges",),
    "images": ("shown_class", "shown", "queries", "neighbours"),
}
# What a student is learned from, apart from its teacher's epoch.
MANIPULATION = ("loss", "temperature", "keep", "rest", "correct")


def study_path(study: str, name: str) -> str:
    """Where a result of a study is stored."""
    return f"results/logits/{study}/{name}.h5"


def teacher_path(study: str, teacher: str, seed: int | str) -> str:
    """Where a network trained on labels, in the standard way or adversarially, is stored with its checkpoints."""
    return study_path(study, f"teachers/{teacher}-s{seed}")


def outputs_path(study: str, teacher: str) -> str:
    """Where the logits of a teacher's checkpoints, of all seeds, are stored."""
    return study_path(study, f"outputs/{teacher}")


def target_path(study: str, teacher: str, epoch: int | str, seed: int | str) -> str:
    """Where the averaged logits of a teacher's checkpoint for the train split are stored."""
    name = f"{teacher}-e{epoch}" if isinstance(epoch, str) else checkpoint_name(teacher, epoch)
    return study_path(study, f"targets/{name}-s{seed}")


def student_path(study: str, student: str, seed: int | str) -> str:
    """Where a network that learned logits is stored."""
    return study_path(study, f"students/{student}-s{seed}")


def robustness_path(study: str, network: str) -> str:
    """Where the accuracies of a student, or of a teacher's checkpoint (`checkpoint_name`), are stored for all seeds."""
    return study_path(study, f"robustness/{network}")


def teacher_of(config: Config, study: str, teacher: str) -> str:
    """Name of the checkpoint that stands for a way of training."""
    return checkpoint_name(teacher, config["logits"]["studies"][study]["teacher_epoch"][teacher])


def student_epoch(config: Config, study: str, student: str) -> int:
    """Epoch of the teacher whose logits a student learns."""
    entry = config["logits"]["studies"][study]
    return epoch_taken(entry, entry["students"][student])


def epoch_taken(entry: Mapping[str, Any], student: Mapping[str, Any]) -> int:
    """Epoch of the teacher that a student of a study's settings has."""
    epoch: int = entry["teacher_epoch"][student["teacher"]] if student["epoch"] is None else student["epoch"]
    return epoch


def student_targets(config: Config, study: str, student: str, seed: int | str) -> dict[str, str]:
    """Logits that a student learns, and those that order their classes, if others do."""
    entry = config["logits"]["studies"][study]
    settings = entry["students"][student]
    found = {"targets": target_path(study, settings["teacher"], student_epoch(config, study, student), seed)}
    if settings["order"] is not None:
        found["order"] = target_path(study, settings["order"], entry["teacher_epoch"][settings["order"]], seed)
    return found


def judged_checkpoints(config: Config, study: str) -> list[tuple[str, int]]:
    """Checkpoints whose robustness is measured: those that stand for a way of training, and students' teachers."""
    entry = config["logits"]["studies"][study]
    found = {(teacher, entry["teacher_epoch"][teacher]) for teacher in TEACHERS}
    found |= {(one["teacher"], student_epoch(config, study, name)) for name, one in entry["students"].items()}
    return sorted(found)


def networks_of(config: Config, study: str) -> dict[str, tuple[str, int] | None]:
    """Everything whose robustness a study measures, by name: checkpoints as teacher and epoch, students as None."""
    checkpoints: dict[str, tuple[str, int] | None] = {
        checkpoint_name(*one): one for one in judged_checkpoints(config, study)
    }
    return checkpoints | dict.fromkeys(config["logits"]["studies"][study]["students"])


def network_files(config: Config, study: str, network: str) -> list[str]:
    """Files of a checkpoint or student, one a seed."""
    checkpoint = networks_of(config, study)[network]
    seeds = config["logits"]["studies"][study]["seeds"]
    if checkpoint is None:
        return [student_path(study, network, seed) for seed in seeds]
    return [teacher_path(study, checkpoint[0], seed) for seed in seeds]


def analysis_inputs(config: Config, study: str, analysis: str) -> dict[str, str]:
    """What an analysis of a study's teachers reads, by the names that its script gives them."""
    found = {teacher: outputs_path(study, teacher) for teacher in TEACHERS}
    if analysis == "images":
        return found
    attacked = {f"{one}_attacked": robustness_path(study, teacher_of(config, study, one)) for one in TEACHERS}
    return found | attacked


def study_graph(config: Config, study: str) -> dict[str, list[str]]:
    """What each result of a study is made from, results of the study and its data."""
    entry = config["logits"]["studies"][study]
    data, seeds = data_path(entry["dataset"]), entry["seeds"]
    graph: dict[str, list[str]] = {data: []}
    for seed in seeds:
        graph |= {teacher_path(study, teacher, seed): [data] for teacher in TEACHERS}
        for student in entry["students"]:
            targets = student_targets(config, study, student, seed)
            graph[student_path(study, student, seed)] = list(targets.values())
            one = entry["students"][student]
            graph[targets["targets"]] = [teacher_path(study, one["teacher"], seed)]
            if "order" in targets:
                graph[targets["order"]] = [teacher_path(study, one["order"], seed)]
    for teacher in TEACHERS:
        graph[outputs_path(study, teacher)] = [teacher_path(study, teacher, seed) for seed in seeds]
    for network in networks_of(config, study):
        graph[robustness_path(study, network)] = network_files(config, study, network)
    for analysis in ANALYSES:
        graph[study_path(study, analysis)] = list(analysis_inputs(config, study, analysis).values())
    return graph


def study_settings(config: Config, stage: str, study: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Settings that decide a result of a study, without its network's.

    Args:
        stage: "teachers" (a teacher and a seed), "targets" (teacher, epoch, seed), "students" (student, seed),
            "outputs" (teacher), "robustness" (network), or one of `ANALYSES` (nothing).
        names: as the stage has them.
    """
    entry = config["logits"]["studies"][study]
    split = {"validation": entry["validation"]}
    match stage, names:
        case "teachers", (teacher, _):
            attack = {key: value for key, value in entry["adversarial"].items() if key != "warm_up"}
            robust = teacher == "adversarial"
            return {
                "training": entry["training"],
                "adversarial": attack if robust else None,
                "warm_up": entry["adversarial"]["warm_up"] if robust else 0,
                "checkpoints": entry["checkpoints"],
                **split,
            }
        case "outputs", (_,):
            return {"epochs": entry["checkpoints"], "seeds": entry["seeds"], **split}
        case "targets", (_, epoch, _):
            training = distillation_of(entry)
            augmentation = {key: training[key] for key in ("batch_size", "crop", "flip")}
            return {"epoch": int(epoch), "draws": entry["distillation"]["draws"], **augmentation, **split}
        case "students", (student, _):
            manipulation = {key: entry["students"][student][key] for key in MANIPULATION}
            return {"training": distillation_of(entry), **manipulation}
        case "robustness", (network,):
            checkpoint, judged = networks_of(config, study)[network], entry["robustness"]
            named = {teacher_of(config, study, one): one for one in TEACHERS}
            checked = named.get(network, network) in judged["checked"]
            return {
                "epsilon": entry["adversarial"]["epsilon"],
                "epoch": None if checkpoint is None else checkpoint[1],
                "seeds": entry["seeds"],
                "confidence": entry["analysis"]["confidence"],
                **{key: value for key, value in judged.items() if key != "checked"},
                "check_images": judged["check_images"] if checked else 0,
            }
        case _, () if stage in ANALYSES:
            chosen = {key: entry["analysis"][key] for key in (*ANALYSES[stage], "confidence")}
            return {"teacher_epoch": entry["teacher_epoch"], **chosen}
    raise ValueError(f"stage {stage!r} does not take the names {names}")


def distillation_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Training of a study's students: that of its teachers, with what `distillation` sets anew."""
    own = {key: value for key, value in entry["distillation"].items() if key != "draws"}
    return {**entry["training"], **own}
