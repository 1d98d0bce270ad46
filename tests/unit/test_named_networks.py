import copy
import importlib
import inspect
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from pipeline.config.schema import ConfigError, resolve
from pipeline.plan.named_networks import named_network, named_path, names_shown, networks_behind
from pipeline.provenance.specs import compute_spec
from pipeline.running.job import NOT_ARGUMENTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def raw():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def with_overlay(raw, overlay):
    new = copy.deepcopy(raw)
    update_config(new, overlay)
    return new


def test_a_name_stands_for_a_checkpoint_a_student_or_a_model(raw):
    own = {"mine": {"dataset": "mnist5k", "model": "c-4"}, "late": {"study": "mnist5k", "network": "late", "seed": 2}}
    config = resolve(with_overlay(raw, {"manifolds": {"epsilon": 0.1, "networks": own}}))
    study = config["logits"]["studies"]["mnist5k"]
    teacher = named_network(config, "manifolds", "adversarial")
    assert teacher.file == "results/logits/mnist5k/teachers/adversarial-s0.h5"
    assert teacher.epoch == study["teacher_epoch"]["adversarial"]
    assert teacher.epsilon == study["adversarial"]["epsilon"]
    assert named_network(config, "manifolds", "late").file == "results/logits/mnist5k/students/late-s2.h5"
    assert named_network(config, "manifolds", "late").epoch is None
    mine = named_network(config, "manifolds", "mine")
    assert (mine.data, mine.file) == ("results/data/mnist5k.h5", "results/models/mnist5k/c-4.h5")
    assert named_path(config, "manifolds", "mine") == "results/manifolds/mnist5k/mine.h5"


def test_all_that_a_network_rests_on_is_asked_for(raw):
    config = resolve(raw)
    found = networks_behind(config, "manifolds", ["hybrid"])
    assert found == {
        "results/data/mnist5k.h5",
        "results/manifolds/mnist5k/hybrid.h5",
        "results/logits/mnist5k/students/hybrid-s0.h5",
        *(f"results/logits/mnist5k/teachers/{name}-s0.h5" for name in ("standard", "adversarial")),
        *(
            f"results/logits/mnist5k/targets/{name}-e{config['logits']['studies']['mnist5k']['teacher_epoch'][name]:03d}-s0.h5"
            for name in ("standard", "adversarial")
        ),
    }


def test_a_figure_shows_its_own_names_or_all(raw):
    config = resolve(raw)
    assert names_shown(config, "manifolds", {}) == list(config["manifolds"]["networks"])
    assert names_shown(config, "manifolds", {"named": ["hybrid"]}) == ["hybrid"]


def test_perturbations_are_those_of_the_study_unless_told_otherwise(raw):
    spec = compute_spec(resolve(raw), ROOT, "manifolds", "mnist5k", "standard")
    epsilon = resolve(raw)["logits"]["studies"]["mnist5k"]["adversarial"]["epsilon"]
    assert (spec["epsilon"], spec["step_size"]) == (epsilon, epsilon / 4)
    own = resolve(with_overlay(raw, {"manifolds": {"epsilon": 0.05, "step_size": 0.02}}))
    assert compute_spec(own, ROOT, "manifolds", "mnist5k", "standard")["epsilon"] == 0.05
    assert "networks" not in spec


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"study": "mnist5k", "network": "standart"}, "networks.a.network: expected one of standard, adversarial"),
        ({"study": "mnist", "network": "standard"}, "networks.a.study: there is no study 'mnist' in logits.studies"),
        ({"study": "mnist5k"}, "networks.a.network: required key is missing"),
        ({"model": "c-4"}, "networks.a.dataset: required key is missing"),
        ({"study": "mnist5k", "model": "c-4"}, "networks.a: expected either study and network, or dataset and model"),
        ({"study": "mnist5k", "network": "standard", "seed": 7}, "networks.a.seed: expected one of the study's seeds"),
        ({"dataset": "mnist5k", "model": "c-5"}, "networks.a.model: there is no model 'c-5' in models"),
        ({"dataset": "mnist5k", "model": "c-4"}, "manifolds.epsilon: expected a number, which a has from no study"),
    ],
)
def test_each_mistake_is_named(raw, entry, expected):
    with pytest.raises(ConfigError) as error:
        resolve(with_overlay(raw, {"manifolds": {"networks": {"a": entry}}}))
    assert any(expected in line for line in error.value.lines), error.value.lines


@pytest.mark.parametrize(
    ("module", "function", "stage", "names"),
    [
        ("scripts.manifolds.measure", "measure", "manifolds", ("mnist5k", "standard")),
        ("scripts.logit_model.respond", "respond", "logit_model", ("mnist5k", "standard")),
        ("scripts.logit_model.evaluate", "evaluate", "logit_surfaces", ()),
    ],
)
def test_every_script_takes_what_its_spec_holds(raw, module, function, stage, names):
    taken = inspect.signature(getattr(importlib.import_module(module), function)).parameters
    spec = compute_spec(resolve(raw), ROOT, stage, *names)
    given = {key for key in spec if key not in NOT_ARGUMENTS}
    needed = {name for name, one in taken.items() if one.default is inspect.Parameter.empty}
    assert given <= set(taken)
    assert needed <= given | {"data", "model", "output", "provenance", "device"}


@pytest.mark.parametrize(
    ("overlay", "stages"),
    [
        ({"manifolds": {"samples": 12}}, {"manifolds"}),
        ({"logit_model": {"bound": 2.0}}, {"logit_model"}),
        ({"logit_model": {"surfaces": {"error": 0.2}}}, {"logit_surfaces"}),
        ({"logits": {"studies": {"mnist5k": {"adversarial": {"epsilon": 0.1}}}}}, {"manifolds"}),
        ({"logits": {"studies": {"mnist5k": {"robustness": {"steps": 10}}}}}, set()),
        ({"figures": {"style": "talk"}}, set()),
    ],
)
def test_a_setting_changes_what_depends_on_it_alone(raw, overlay, stages):
    asked = {"manifolds": ("mnist5k", "hybrid"), "logit_model": ("mnist5k", "standard"), "logit_surfaces": ()}
    before, after = resolve(raw), resolve(with_overlay(raw, overlay))
    changed = {
        stage
        for stage, names in asked.items()
        if compute_spec(before, ROOT, stage, *names) != compute_spec(after, ROOT, stage, *names)
    }
    assert changed == stages
