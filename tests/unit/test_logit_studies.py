import copy
import importlib
import inspect
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from pipeline.catalogue import SCRIPTS
from pipeline.config import ConfigError, resolve
from pipeline.job import NOT_ARGUMENTS
from pipeline.logit_studies import (
    judged_checkpoints,
    network_files,
    networks_of,
    student_targets,
    study_graph,
)
from pipeline.specs import compute_spec

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
        ({"checkpoints": [1, 999]}, "expected epochs of the training"),
        ({"teacher_epoch": {"standard": 4}}, "teacher_epoch.standard: expected one of the checkpoints"),
        ({"students": {"normal": {"epoch": 4}}}, "students.normal.epoch: expected one of the checkpoints"),
        ({"students": {"adversarial-e005": {}}}, "expected a name that no checkpoint of a teacher has"),
        ({"training": {"drops": [5, 3]}}, "training.drops: expected ascending epochs"),
        ({"students": {"normal": {"keep": 0}}}, "students.normal.keep: expected a value of at least 1"),
        ({"students": {"normal": {"loss": "l2"}}}, "expected one of l1, kl, found 'l2'"),
    ],
)
def test_each_mistake_is_named(raw, overlay, expected):
    assert any(expected in line for line in mistakes(raw, overlay)), mistakes(raw, overlay)


def test_an_unknown_study_is_named(raw):
    new = copy.deepcopy(raw)
    new["logits"]["run"] = ["mnist5"]
    with pytest.raises(ConfigError, match=r"logits\.run\[0\]: there is no study 'mnist5' in logits\.studies"):
        resolve(new)
