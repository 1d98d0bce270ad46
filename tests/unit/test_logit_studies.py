import copy
import importlib
import inspect
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from pipeline.config.schema import ConfigError, resolve
from pipeline.plan.catalogue import SCRIPTS
from pipeline.plan.logit_studies import (
    judged_checkpoints,
    network_files,
    networks_of,
    student_targets,
    study_graph,
)
from pipeline.plan.study_artefacts import plot_inputs
from pipeline.provenance.specs import compute_spec
from pipeline.running.job import NOT_ARGUMENTS

ROOT = Path(__file__).resolve().parents[2]
STUDY = "mnist5k"


@pytest.fixture(scope="module")
def raw():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def names_of_file(path: str) -> tuple[str, tuple[str, ...]]:
    """Stage and names of a result of the study, read off its path."""
    stage, _, name = path.removeprefix(f"results/logits/{STUDY}/").removesuffix(".h5").partition("/")
    if not name:
        return stage, (STUDY,)
    if stage == "targets":
        rest, seed = name.rsplit("-s", 1)
        teacher, epoch = rest.rsplit("-e", 1)
        return stage, (STUDY, teacher, epoch, seed)
    if stage in ("teachers", "students"):
        return stage, (STUDY, *name.rsplit("-s", 1))
    return stage, (STUDY, name)


def specs(config):
    results = [path for path, inputs in study_graph(config, STUDY).items() if inputs]
    found = {path: names_of_file(path) for path in results}
    return {path: compute_spec(config, ROOT, stage, *names) for path, (stage, names) in found.items()}


def changed(raw, overlay):
    """What an overlay on the default configuration reruns by itself, without what follows from its inputs."""
    new = copy.deepcopy(raw)
    update_config(new, {"logits": {"studies": {STUDY: overlay}}})
    before, after = specs(resolve(raw)), specs(resolve(new))
    return {path.removeprefix(f"results/logits/{STUDY}/") for path in after if after[path] != before.get(path)}


def mistakes(raw, overlay):
    new = copy.deepcopy(raw)
    update_config(new, {"logits": {"studies": {STUDY: overlay}}})
    with pytest.raises(ConfigError) as error:
        resolve(new)
    return error.value.lines


def test_every_script_takes_what_its_spec_holds(raw):
    paths = ("data", "networks", "teacher", "targets", "order", "standard", "adversarial")
    files = {*paths, "standard_attacked", "adversarial_attacked", "output", "provenance", "device"}
    for path, spec in specs(resolve(raw)).items():
        name = SCRIPTS[names_of_file(path)[0]].removesuffix(".py").replace("/", ".")
        module = importlib.import_module(name)
        (script,) = (
            found
            for key, found in vars(module).items()
            if inspect.isfunction(found) and found.__module__ == name and not key.startswith("_")
        )
        parameters = inspect.signature(script).parameters
        given = spec.keys() - NOT_ARGUMENTS
        needed = {key for key, each in parameters.items() if each.default is inspect.Parameter.empty}
        assert given <= parameters.keys(), f"{name} does not take {given - parameters.keys()}"
        assert needed <= given | files, f"{name} needs {needed - given - files}"


def test_one_manipulation_reruns_its_student_alone(raw):
    found = changed(raw, {"students": {"fix-3": {"rest": "average"}}})
    assert found == {f"students/fix-3-s{seed}.h5" for seed in range(3)}


def test_the_epoch_of_one_student_asks_for_its_targets_and_no_training_of_teachers(raw):
    config = resolve(raw)
    checkpoints = config["logits"]["studies"][STUDY]["checkpoints"]
    taken = {epoch for teacher, epoch in judged_checkpoints(config, STUDY) if teacher == "adversarial"}
    epoch = next(each for each in checkpoints if each not in taken)
    found = changed(raw, {"students": {"fix-1": {"epoch": epoch}}})
    assert found == {
        *(f"targets/adversarial-e{epoch:03d}-s{seed}.h5" for seed in range(3)),
        f"robustness/adversarial-e{epoch:03d}.h5",
    }
    # The student's own spec is what it was: another input makes it run again.
    new = copy.deepcopy(raw)
    update_config(new, {"logits": {"studies": {STUDY: {"students": {"fix-1": {"epoch": epoch}}}}}})
    assert student_targets(resolve(new), STUDY, "fix-1", 0) != student_targets(config, STUDY, "fix-1", 0)


def test_another_attack_of_training_spares_the_standard_networks(raw):
    found = changed(raw, {"adversarial": {"step_size": 0.04}})
    assert found == {f"teachers/adversarial-s{seed}.h5" for seed in range(3)}


def test_another_attack_of_the_evaluation_trains_nothing(raw):
    found = changed(raw, {"robustness": {"steps": 20}})
    assert found
    assert all(path.startswith("robustness/") for path in found)


def test_another_seed_leaves_trained_networks_alone(raw):
    found = changed(raw, {"seeds": [0, 1, 2, 3]})
    trained = {path for path in found if path.split("/")[0] in ("teachers", "targets", "students")}
    assert trained
    assert all(path.endswith("-s3.h5") for path in trained)


def test_networks_of_a_seed_have_the_same_start_and_order(raw):
    found = specs(resolve(raw))
    students = {spec["seed"] for path, spec in found.items() if "/students/" in path and path.endswith("-s1.h5")}
    assert len(students) == 1
    assert students != {found[f"results/logits/{STUDY}/students/normal-s2.h5"]["seed"]}


def test_the_figure_of_manipulated_logits_shows_students_of_the_logits_that_it_shows(raw):
    entry = {"plot": "manipulated_logits", "study": STUDY, "students": ["fix-1", "late", "hybrid", "kl"]}
    files = plot_inputs(resolve(raw), entry)["students"]
    # The late one learns from another checkpoint.
    assert files == [f"results/logits/{STUDY}/students/{name}-s0.h5" for name in ("fix-1", "hybrid", "kl")]


def test_everything_judged_has_a_file_a_seed(raw):
    config = resolve(raw)
    made = set(study_graph(config, STUDY))
    for network in networks_of(config, STUDY):
        files = network_files(config, STUDY, network)
        assert len(files) == len(config["logits"]["studies"][STUDY]["seeds"])
        assert set(files) <= made


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"dataset": "mnist6k"}, "dataset: there is no dataset 'mnist6k' in datasets"),
        ({"model": "strided"}, "model: there is no model 'strided' in models"),
        ({"checkpoints": [1, 5, 15, 999]}, "checkpoints: expected epochs of the training (1 to 15), found [999]"),
        ({"checkpoints": [15, 1, 5, 8]}, "checkpoints: expected ascending epochs, found [15, 1, 5, 8]"),
        ({"teacher_epoch": {"standard": 4}}, "teacher_epoch.standard: expected one of the checkpoints"),
        ({"adversarial": {"warm_up": 16}}, "warm_up: expected at most the epochs of the training (15), found 16"),
        ({"students": {"fix-3": {"epoch": 4}}}, "students.fix-3.epoch: expected one of the checkpoints"),
        ({"students": {"adversarial-e005": {}}}, "expected a name that no teacher and no checkpoint of one has"),
        ({"students": {"standard": {}}}, "expected a name that no teacher and no checkpoint of one has"),
        ({"training": {"drops": [5, 3]}}, "training.drops: expected ascending epochs"),
        ({"distillation": {"drops": [5, 3]}}, "distillation.drops: expected ascending epochs"),
        ({"robustness": {"check_images": 501}}, "check_images: expected at most robustness.images (500), found 501"),
        ({"robustness": {"checked": ["nrmal"]}}, "checked[0]: there is no network 'nrmal' in the study; the nearest"),
        ({"students": {"normal": {"keep": 0}}}, "students.normal.keep: expected a value of at least 1"),
        (
            {"students": {"normal": {"keep": 11}}},
            "students.normal.keep: expected at most the classes of mnist5k (10), found 11",
        ),
        (
            {"validation": 400},
            "validation: expected fewer than the 4000 images of the train split in 10 classes, found 400 of each",
        ),
        ({"students": {"normal": {"loss": "l2"}}}, "expected one of l1, kl, found 'l2'"),
        ({"students": None}, "students: expected object, found None"),
    ],
)
def test_each_mistake_is_named(raw, overlay, expected):
    assert any(expected in line for line in mistakes(raw, overlay)), mistakes(raw, overlay)


BARE = {
    "dataset": "mnist5k",
    "model": "strided-cnn",
    "training": {"epochs": 2},
    "adversarial": {"epsilon": 0.2, "step_size": 0.05},
    "checkpoints": [1, 2],
    "teacher_epoch": {"standard": 2, "adversarial": 2},
}


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"logits": {"studies": ["a"]}}, "logits.studies: expected object, found ['a']"),
        ({"logits": {"studies": {"mnist5k": None}}}, "logits.studies.mnist5k: expected object, found None"),
        ({"logits": {"run": ["mnist5"]}}, "logits.run[0]: there is no study 'mnist5' in logits.studies; the nearest"),
        (
            {"figures": {"catalogue": {"seguin/figure_01": {"study": "mnist"}}}},
            "figures.catalogue.seguin/figure_01.study: there is no study 'mnist' in logits.studies; the nearest",
        ),
        (
            {"figures": {"catalogue": {"seguin/figure_04": {"students": ["standard"]}}}},
            "seguin/figure_04.students[0]: there is no student 'standard' in mnist5k",
        ),
        (
            {"figures": {"catalogue": {"seguin/new": {"plot": "manipulated_logits", "study": "bare"}}}},
            "seguin/new.study: manipulated_logits needs a student of the adversarial network of epoch 2, found none",
        ),
        (
            {"figures": {"catalogue": {"seguin/figure_a6": {"study": "bare"}}}},
            "seguin/figure_a6.study: teacher_epochs needs a student that learns unchanged logits by l1, found none in bare",
        ),
        (
            {"tables": {"seguin/table1": {"published": "table9"}}},
            "tables.seguin/table1.published: expected one of table1, table2, found 'table9'",
        ),
        (
            {"tables": {"seguin/table1": {"networks": ["norml"]}}},
            "tables.seguin/table1.networks[0]: there is no student 'norml' in mnist5k; the nearest valid one is 'normal'",
        ),
        (
            {"tables": {"seguin/table1": {"studies": ["mnist"]}}},
            "tables.seguin/table1.studies[0]: there is no study 'mnist' in logits.studies; the nearest",
        ),
        (
            {"figures": {"catalogue": {"seguin/new": {"plot": "surrogate_logits", "study": "mnist5k"}}}},
            "figures.catalogue.seguin/new.study: surrogate_logits shows no study, found 'mnist5k'",
        ),
        ({"claims": {"studies": {"mnist": "mnist"}}}, "claims.studies.mnist: there is no study 'mnist'"),
        # Digits must not pass for CIFAR-10 in the ledger.
        (
            {"claims": {"studies": {"cifar10": "mnist5k"}}},
            "claims.studies.cifar10: expected a study of cifar10, found one of mnist5k",
        ),
    ],
)
def test_each_mistake_about_what_names_studies_gets_one_line(raw, overlay, expected):
    new = copy.deepcopy(raw)
    update_config(new, {"logits": {"studies": {"bare": copy.deepcopy(BARE)}}})
    update_config(new, copy.deepcopy(overlay))
    with pytest.raises(ConfigError) as error:
        resolve(new)
    (line,) = error.value.lines
    assert expected in line
