"""Mistakes about studies of logits, and what names them, beyond what a schema can say."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.plan.catalogue import CLASSES, TRAIN_IMAGES
from pipeline.plan.study_artefacts import STUDENT_PLOTS, STUDY_PLOTS
from pipeline.plan.teachers import TEACHERS
from pipeline.wording import mapping, nearest, shown

Config = Mapping[str, Any]

# Where the data of a role of `claims.studies` may come from. A file of one's own is taken for what it is said to be.
SOURCES = {"mnist": ("mnist5k", "mnist"), "cifar10": ("cifar10",), "cifar100": ("cifar100",)}
PUBLISHED_TABLES = ("table1", "table2")
# Losses of students without manipulation that plots need one of.
PLOT_LOSSES = {"teacher_epochs": ("l1",), "distillation_losses": ("l1", "kl")}


def study_mistakes(config: Config) -> Iterator[str]:
    """A line for each name that leads nowhere or to what cannot be shown, each epoch without a checkpoint, and each
    setting of a study that does not fit the others."""
    section = mapping(config.get("logits"))
    studies, run = section.get("studies"), section.get("run")
    if not isinstance(studies, Mapping):
        return
    for i, name in enumerate(run if isinstance(run, list) else []):
        yield from _unknown(f"logits.run[{i}]", name, studies)
    for name, entry in studies.items():
        where, entry = f"logits.studies.{name}", mapping(entry)
        yield from _named(config, where, entry)
        yield from _epochs(where, entry)
        yield from _students(where, entry)
        yield from _classes(config, where, entry)
        yield from _robustness(where, mapping(entry.get("robustness")), entry)
    for name, artefact in mapping(mapping(config.get("figures")).get("catalogue")).items():
        yield from _figure(f"figures.catalogue.{name}", mapping(artefact), studies)
    for name, artefact in mapping(config.get("tables")).items():
        yield from _table(f"tables.{name}", mapping(artefact), studies)
    for role, name in mapping(mapping(config.get("claims")).get("studies")).items():
        yield from _unknown(f"claims.studies.{role}", name, studies)
        dataset = mapping(studies.get(name)).get("dataset") if isinstance(name, str) else None
        source = mapping(mapping(config.get("datasets")).get(str(dataset))).get("source")
        if source not in (None, "hdf5", *SOURCES.get(role, (source,))):
            yield f"claims.studies.{role}: expected a study of {' or '.join(SOURCES[role])}, found one of {source}"


def _unknown(where: str, name: Any, studies: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(name, str) and name not in studies:
        yield f"{where}: there is no study '{name}' in logits.studies{nearest(name, studies)}"


def _listed(value: Any) -> list[tuple[int, str]]:
    return [(i, name) for i, name in enumerate(value if isinstance(value, list) else []) if isinstance(name, str)]


def _figure(where: str, entry: Mapping[str, Any], studies: Mapping[str, Any]) -> Iterator[str]:
    name, plot = entry.get("study"), str(entry.get("plot"))
    yield from _unknown(f"{where}.study", name, studies)
    if name is not None and plot not in (*STUDY_PLOTS, *STUDENT_PLOTS):
        yield f"{where}.study: {plot} shows no study, found {shown(name)}"
    study = studies.get(name) if isinstance(name, str) else None
    if not isinstance(study, Mapping):
        return
    students = mapping(study.get("students"))
    epoch = mapping(study.get("teacher_epoch")).get("adversarial")
    taught = {key: one for key, one in students.items() if mapping(one).get("teacher") == "adversarial"}
    same = [key for key, one in taught.items() if one.get("epoch") in (None, epoch)]
    for i, student in _listed(entry.get("students")):
        if student not in students:
            yield f"{where}.students[{i}]: there is no student '{student}' in {name}{nearest(student, students)}"
    if plot == "manipulated_logits" and not same:
        yield f"{where}.study: {plot} needs a student of the adversarial network of epoch {epoch}, found none in {name}"
    changed = ("keep", "correct", "order")
    plain = [one for one in taught.values() if one.get("temperature") == 1 and not any(map(one.get, changed))]
    for loss in PLOT_LOSSES.get(plot, ()):
        if loss not in [one.get("loss") for one in plain]:
            yield f"{where}.study: {plot} needs a student that learns unchanged logits by {loss}, found none in {name}"


def _table(where: str, entry: Mapping[str, Any], studies: Mapping[str, Any]) -> Iterator[str]:
    for i, name in _listed(entry.get("studies")):
        yield from _unknown(f"{where}.studies[{i}]", name, studies)
        if not isinstance(studies.get(name), Mapping):
            continue
        students = mapping(studies[name].get("students"))
        for k, network in _listed(entry.get("networks")):
            if network not in (*students, *TEACHERS):
                yield f"{where}.networks[{k}]: there is no student '{network}' in {name}{nearest(network, students)}"
    published = entry.get("published")
    if entry.get("table") == "logit_accuracies" and isinstance(published, str) and published not in PUBLISHED_TABLES:
        yield f"{where}.published: expected one of {', '.join(PUBLISHED_TABLES)}, found '{published}'"


def _named(config: Config, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    for key, section in (("dataset", "datasets"), ("model", "models")):
        name, valid = entry.get(key), config.get(section)
        if isinstance(name, str) and isinstance(valid, Mapping) and name not in valid:
            yield f"{where}.{key}: there is no {key} '{name}' in {section}{nearest(name, valid)}"


def _epochs(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    training, checkpoints = mapping(entry.get("training")), _whole(entry.get("checkpoints"))
    for key, training_of in (("training", training), ("distillation", mapping(entry.get("distillation")))):
        drops = _whole(training_of.get("drops"))
        if drops != sorted(drops):
            yield f"{where}.{key}.drops: expected ascending epochs, found {drops}"
    last, warm_up = training.get("epochs"), mapping(entry.get("adversarial")).get("warm_up")
    if checkpoints != sorted(checkpoints):
        yield f"{where}.checkpoints: expected ascending epochs, found {checkpoints}"
    if isinstance(last, int) and (beyond := [epoch for epoch in checkpoints if epoch > last]):
        yield f"{where}.checkpoints: expected epochs of the training (1 to {last}), found {beyond}"
    if isinstance(last, int) and isinstance(warm_up, int) and warm_up > last:
        yield f"{where}.adversarial.warm_up: expected at most the epochs of the training ({last}), found {warm_up}"
    asked = {f"teacher_epoch.{key}": epoch for key, epoch in mapping(entry.get("teacher_epoch")).items()}
    for name, student in mapping(entry.get("students")).items():
        asked[f"students.{name}.epoch"] = mapping(student).get("epoch")
    for key, epoch in asked.items():
        if isinstance(epoch, int) and checkpoints and epoch not in checkpoints:
            yield f"{where}.{key}: expected one of the checkpoints ({', '.join(map(str, checkpoints))}), found {epoch}"


def _whole(epochs: Any) -> list[int]:
    """A list of integers; empty where the schema finds something else."""
    return epochs if isinstance(epochs, list) and all(isinstance(epoch, int) for epoch in epochs) else []


def _students(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    for name in mapping(entry.get("students")):
        if name in TEACHERS or name.startswith(tuple(f"{teacher}-e" for teacher in TEACHERS)):
            yield f"{where}.students: expected a name that no teacher and no checkpoint of one has, found '{name}'"


def _classes(config: Config, where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Numbers of logits and images beyond those of the dataset, where its source tells how many it has."""
    dataset = mapping(mapping(config.get("datasets")).get(str(entry.get("dataset"))))
    source = str(dataset.get("source"))
    if (classes := CLASSES.get(source)) is None:
        return
    for name, student in mapping(entry.get("students")).items():
        keep = mapping(student).get("keep")
        if isinstance(keep, int) and keep > classes:
            yield f"{where}.students.{name}.keep: expected at most the classes of {source} ({classes}), found {keep}"
    test = dataset.get("test") if source == "mnist5k" else 0
    images = dataset.get("train") or TRAIN_IMAGES[source] - (test if isinstance(test, int) else 0)
    apart = entry.get("validation")
    if isinstance(apart, int) and isinstance(images, int) and apart * classes >= images > 0:
        yield (
            f"{where}.validation: expected fewer than the {images} images of the train split in {classes} classes, "
            f"found {apart} of each"
        )


def _robustness(where: str, judged: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    known = (*TEACHERS, *mapping(entry.get("students")))
    for i, name in _listed(judged.get("checked")):
        if name not in known:
            yield f"{where}.robustness.checked[{i}]: there is no network '{name}' in the study{nearest(name, known)}"
    images, checked = judged.get("images"), judged.get("check_images")
    if isinstance(images, int) and isinstance(checked, int) and checked > images:
        yield f"{where}.robustness.check_images: expected at most robustness.images ({images}), found {checked}"
