import copy
import os
import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.config.attack_settings import ATTACK_SETTINGS, EVERY_SETTING, settings_of
from pipeline.config.reference import reference
from pipeline.config.schema import ConfigError, load_schema, resolve

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def schema():
    return load_schema()


@pytest.fixture(scope="module")
def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture
def config(default):
    return copy.deepcopy(default)


def errors(config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(config)
    return caught.value.lines


def put(config, path, value):
    *parents, last = path.split(".")
    for key in parents:
        config = config[key]
    config[last] = value


def test_the_schema_is_valid_and_closed_and_described():
    schema = load_schema()
    Draft202012Validator.check_schema(schema)

    def walk(node, path):
        if node.get("type") == "object":
            assert "additionalProperties" in node, path
            assert node["additionalProperties"] is not True, path
        for key, sub in node.get("properties", {}).items():
            assert sub.get("description"), f"{path}.{key} has no description"
            walk(sub, f"{path}.{key}")
        for key in ("additionalProperties", "items"):
            if isinstance(node.get(key), dict):
                walk(node[key], f"{path}.{key}")

    walk(schema, "")


def test_defaults_are_filled_in_and_the_input_is_left_alone(config):
    before = copy.deepcopy(config)
    resolved = resolve(config)
    assert config == before
    assert resolved["persistence"]["scan_factor"] == 1.5
    assert resolved["models"]["fc-100-20-10"]["training"]["optimizer"] == "adam"
    assert resolve(resolved) == resolved


def test_text_and_integers_take_the_type_of_the_schema(config):
    put(config, "persistence.gamma", "0.8")
    put(config, "persistence.samples", "500")
    put(config, "persistence.sigma_max", 10)
    put(config, "models.fc-100-20-10.training.penalty", ["1e-7"])
    put(config, "mirror", "null")
    resolved = resolve(config)
    assert resolved["persistence"]["gamma"] == 0.8
    assert resolved["persistence"]["samples"] == 500
    assert isinstance(resolved["persistence"]["sigma_max"], float)
    assert resolved["models"]["fc-100-20-10"]["training"]["penalty"] == [1e-7]
    assert resolved["mirror"] is None


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("persistence.gama", 0.8, "persistence.gama: unknown key; the nearest valid one is 'gamma'"),
        ("persistence.gamma", "high", "persistence.gamma: expected number, found 'high'"),
        ("persistence.gamma", 1.2, "persistence.gamma: expected a value below 1, found 1.2"),
        ("persistence.samples", -5, "persistence.samples: expected a value of at least 10, found -5"),
        ("attacks.igsm-all.epsilon", -0.1, "attacks.igsm-all.epsilon: expected a value above 0, found -0.1"),
        ("attacks.igsm-all.method", "igms", "lbfgs, torchattacks.CLASS or package.module:function, found 'igms'; the nearest valid one is 'igsm'"),
        ("attacks.igsm-all.c", 0.5, "attacks.igsm-all.c: igsm does not take it, only epsilon, step_size, steps"),
        ("attacks.igsm-all.epsilon", 1.5, "attacks.igsm-all.epsilon: expected a value of at most 1, found 1.5"),
        ("attacks.fgsm.steps", 3, "attacks.fgsm.steps: fgsm does not take it, only epsilon"),
        ("attacks.igsm-adaptive.epsilon", 0.1, "attacks.igsm-adaptive.epsilon: neighborhoods.attacks.adaptive:adaptive does not take it, only arguments"),
        ("attacks.new", {"method": "deepfool"}, "attacks.new.targets: deepfool needs none, found 'all'"),
        ("attacks.new", {"method": "jsma", "targets": "none"}, "attacks.new.targets: jsma needs all or random or one, found 'none'"),
        ("attacks.new", {"method": "jsma", "theta": 0}, "attacks.new.theta: expected a value above or below 0"),
        ("attacks.new", {"method": "rfgsm", "epsilon": 0.01}, "attacks.new.step_size: expected a value below epsilon (0.01), found 0.01"),
        ("attacks.new", {"method": "apgd_ce", "epsilon": 2, "norm": "linf"}, "attacks.new.epsilon: expected a value of at most 1, found 2.0"),
        ("seed", "x", "seed: expected integer, found 'x'"),
        ("seed", True, "seed: expected integer, found True"),
        ("experiments", None, "experiments: expected array, found None"),
        ("models", [1], "models: expected object, found [1]"),
        ("device", "gpu", "device: expected text that matches ^(auto|cpu|cuda(:[0-9]+)?)$, found 'gpu'"),
        ("datasets.mnist5k.train", 4500, "train and test to add up to at most 5000 images of mnist5k, found 4500 + 1000"),
        ("persistence.sigma_min", 200, "persistence.sigma_min: expected a value below persistence.sigma_max (100.0)"),
        ("boundary.radii", [1.0, 0.1], "boundary.radii: expected ascending values, found [1.0, 0.1]"),
        ("factors.epsilons", [1.0, 0.1], "factors.epsilons: expected ascending values, found [1.0, 0.1]"),
        ("spectra.radii", [1.0, 0.1], "spectra.radii: expected ascending values, found [1.0, 0.1]"),
        ("level_sets.radii", [1.0, 0.1], "level_sets.radii: expected ascending values, found [1.0, 0.1]"),
        (
            "datasets.mnist5k.settings",
            {"boundary": {"radii": [3.0, 1.0, 2.0]}},
            "datasets.mnist5k.settings.boundary.radii: expected ascending values, found [3.0, 1.0, 2.0]",
        ),
        ("models.fc-100-20-10.training.penalty", [0, 0], "expected 1 value or 3, one for each layer with weights, found 2"),
        ("figures.formats", ["png", "png"], "figures.formats: expected no entry twice"),
        ("artefacts", ["bell/figure_9"], "artefacts[0]: there is no 'bell/figure_9' in figures.catalogue or tables; the nearest valid one is 'bell/figure_09'"),
        ("figures.catalogue.bell/figure_10.plot", "persistence_histogramm", "found 'persistence_histogramm'; the nearest valid one is 'persistence_histogram'"),
        ("claims.datasets.mnist", "mnist4k", "claims.datasets.mnist: there is no dataset 'mnist4k' in datasets; the nearest valid one is 'mnist5k'"),
        ("tables.bell/attacks.attacks", ["fgsn"], "tables.bell/attacks.attacks[0]: there is no attack 'fgsn' in attacks; the nearest valid one is 'fgsm'"),
        ("figures.catalogue.beyond/sensitivity.attacks", ["igsm-5"], "figures.catalogue.beyond/sensitivity.attacks[0]: there is no attack 'igsm-5'"),
        ("sensitivity.gammas", [], "sensitivity.gammas: expected at least 1 entry, found 0"),
        ("models.c-4-short.weights", "a.pt", "figures.catalogue.bell/figure_24.model: expected a model that is trained here, found weights of a file"),
        ("models.a/b", {"architecture": "bell_cnn"}, "models: 'a/b' cannot name a result file"),
    ],
)  # fmt: skip
def test_each_mistake_gets_one_line_with_its_key(config, path, value, expected):
    put(config, path, value)
    (line,) = errors(config)
    assert line.startswith("configuration: ")
    assert expected in line
    assert "\n" not in line


def test_unknown_names_are_found_in_experiments_and_catalogue(config):
    config["experiments"][0]["dataset"] = "mnist5"
    config["figures"]["catalogue"]["bell/figure_10"]["attack"] = "igsm"
    lines = errors(config)
    assert len(lines) == 2
    assert any(
        "experiments[0].dataset: there is no dataset 'mnist5' in datasets; the nearest" in line for line in lines
    )
    assert any("figures.catalogue.bell/figure_10.attack: there is no attack 'igsm'" in line for line in lines)


def test_three_mistakes_at_once_are_three_lines(config):
    put(config, "persistence.gamma", 1.2)
    put(config, "sed", 1)
    config["experiments"][1]["model"] = "fc"
    lines = errors(config)
    assert len(lines) == 3
    for key in ("persistence.gamma", "sed", "experiments[1].model"):
        assert any(key in line for line in lines)


def test_a_missing_section_is_named():
    lines = errors({})
    assert {line.split(": ")[1] for line in lines} == {"datasets", "models", "attacks", "experiments"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from(
    ["seed", "datasets", "datasets.mnist5k", "datasets.mnist5k.train", "models.fc-100-20-10", "attacks.igsm-all",
     "models.fc-100-20-10.training.penalty", "persistence", "persistence.gamma", "experiments", "artefacts", "figures",
     "figures.catalogue", "figures.style", "nonsense"]
)  # fmt: skip


@given(path=PATHS, value=JSON)
def test_whatever_is_written_is_resolved_or_refused_cleanly(schema, default, path, value):
    config = copy.deepcopy(default)
    put(config, path, value)
    try:
        resolved = resolve(config, schema)
    except ConfigError as error:
        assert error.lines
        assert all(line.startswith("configuration: ") for line in error.lines)
    else:
        Draft202012Validator(schema).validate(resolved)


def test_the_reference_in_docs_is_current():
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), "run `make reference`"


def test_every_overlay_fits_on_top_of_the_default(config):
    from snakemake.utils import update_config

    on_top_of = {"paper_gpu.yaml": ["paper.yaml"]}
    for overlay in sorted((ROOT / "config").glob("*.yaml")):
        merged = copy.deepcopy(config)
        for name in [*on_top_of.get(overlay.name, []), overlay.name]:
            update_config(merged, yaml.safe_load((ROOT / "config" / name).read_text()))
        resolved = resolve(merged)
        assert resolved["experiments"] or resolved["artefacts"], overlay.name


def test_further_artefacts_go_behind_the_others(config):
    config["artefacts"] = ["seguin/table1", "seguin/figure_01"]
    config["further_artefacts"] = ["bell/figure_04", "seguin/table1"]
    assert resolve(config)["artefacts"] == ["seguin/table1", "seguin/figure_01", "bell/figure_04"]
    assert resolve(resolve(config)) == resolve(config)
    config["further_artefacts"] = ["bell/figure_4"]
    (line,) = errors(config)
    assert "further_artefacts[0]: there is no 'bell/figure_4' in figures.catalogue or tables; the nearest" in line


@pytest.mark.parametrize("asked", ["artefacts", "logits.run", "path_kernel.run"])
def test_experiments_may_be_empty_where_something_else_is_asked_for(config, asked):
    lists = {"artefacts": ["seguin/table1"], "logits.run": ["mnist5k"], "path_kernel.run": ["mnist-fc"]}
    for path in ("experiments", *lists):
        put(config, path, [])
    (line,) = errors(config)
    assert (
        "experiments: expected at least 1 entry, since artefacts, logits.run, path_kernel.run ask for nothing" in line
    )
    put(config, asked, lists[asked])
    assert resolve(config)["experiments"] == []


def test_attacks_keep_the_settings_that_their_method_takes(config):
    put(config, "attacks.l2", {"method": "apgd_ce", "epsilon": 2, "norm": "l2"})
    put(config, "attacks.note", {"method": "fgm_l2", "epsilon": 3})
    attacks = resolve(config)["attacks"]
    assert attacks["l2"]["epsilon"] == 2.0
    assert attacks["note"]["epsilon"] == 3.0
    for entry in attacks.values():
        own = settings_of(entry["method"])
        assert EVERY_SETTING.intersection(entry) == set(own), entry["method"]


def test_the_schema_has_every_setting_of_an_attack_and_says_who_takes_it():
    properties = load_schema()["properties"]["attacks"]["additionalProperties"]["properties"]
    general = {"method", "targets", "images", "natural_images", "classes", "target_class", "batch_size"}
    assert set(properties) == EVERY_SETTING | general
    for name in EVERY_SETTING - {"epsilon", "arguments"}:
        users = {method for method, own in ATTACK_SETTINGS.items() if name in own} - {"bim"}
        named = set(re.findall(r"`([a-z0-9_]+)`", properties[name]["description"])) & set(ATTACK_SETTINGS)
        assert named == users, name


def test_names_in_panels_and_rows_of_attacks_are_checked(config):
    panels = {"a": {"model": "fc-100-20-1", "attack": "igsm-one"}, "b": {"model": "fc10-4", "attack": "igsm-two"}}
    config["figures"]["catalogue"]["x/cells"] = {
        "plot": "class_frequencies_of_cells",
        "dataset": "mnist5k",
        "panels": panels,
    }
    config["tables"]["x/attacks"] = {
        "table": "persistence_by_attack",
        "dataset": "mnist5k",
        "rows": {"net": "fc10-4"},
        "attack_rows": {"FGSM": "fgsn"},
    }
    config["tables"]["x/none"] = {"table": "persistence_by_attack", "dataset": "mnist5k", "rows": {"net": "fc10-4"}}
    lines = [line.removeprefix("configuration: ") for line in errors(config)]
    assert len(lines) == 4
    for start in (
        "figures.catalogue.x/cells.panels.a.model: there is no model 'fc-100-20-1' in models",
        "figures.catalogue.x/cells.panels.b.attack: there is no attack 'igsm-two' in attacks",
        "tables.x/attacks.attack_rows.FGSM: there is no attack 'fgsn' in attacks; the nearest valid one is 'fgsm'",
        "tables.x/none.attack_rows: required key is missing",
    ):
        assert any(line.startswith(start) for line in lines), lines


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


def endless():
    value = []
    value.append(value)
    return value


def bomb():
    value = ["x"] * 10
    for _ in range(12):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seed", endless(), "...: expected at most 50 levels, found more"),
        ("seed", nested(2000), "...: expected at most 50 levels, found more"),
        ("seed", bomb(), "(top level): expected at most 500,000 values, found more"),
        ("seed", 10**5000, "seed: expected an integer of 64 bits, found an integer of 16610 bits"),
        ("seed", 1 << 63, "seed: expected an integer of 64 bits, found 9223372036854775808"),
        ("seed", b"1", "seed: expected text, a number, true, false, null, a list or a mapping, found b'1'"),
        ("seed", os.system, "found <built-in function system>"),
        ("mirror", "a\0b", "mirror: expected text in one line without control characters, found 'a\\x00b'"),
        ("mirror", "\ud800", "mirror: expected text in one line without control characters, found '\\ud800'"),
        ("mirror", "x" * 10_001, "mirror: expected text of at most 10,000 letters, found 'xxx"),
        ("models", {"fc\n": {}}, "models: expected keys in one line without control characters, found 'fc\\n'"),
        ("models", {1: {}}, "models: expected text as key, found 1; put it into quotes"),
        ("models", {True: {}}, "models: expected text as key, found True; put it into quotes"),
    ],
    ids=range(13),
)
def test_what_is_no_plain_data_is_named_at_once(config, key, value, expected):
    config[key] = value
    (line,) = errors(config)
    assert expected in line
    assert len(line) < 400


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "-Infinity", "1e999"])
def test_numbers_are_finite(config, value):
    put(config, "persistence.gamma", value)
    assert "persistence.gamma: expected" in errors(config)[0]


def test_whole_floats_are_integers_where_the_schema_says_so(config):
    put(config, "persistence.samples", 500.0)
    samples = resolve(config)["persistence"]["samples"]
    assert (type(samples), samples) == (int, 500)
    put(config, "persistence.samples", 500.5)
    assert errors(config) == ["configuration: persistence.samples: expected integer, found 500.5"]


def test_entries_that_stand_twice_are_found_quickly_in_long_lists(config):
    # Of two types, which have no order, so that jsonschema would compare each with each.
    config["datasets"]["mnist5k"]["only"] = [*range(20_000), *map(str, range(20_000))]
    started = time.process_time()
    resolve(config)
    assert time.process_time() - started < 10
    config["datasets"]["mnist5k"]["only"] = [1, "1", 1]
    assert "datasets.mnist5k.only: expected no entry twice, found [1, '1', 1]" in errors(config)[0]


def test_names_are_short_enough_for_files(config):
    config["models"]["x" * 100] = config["models"]["fc-100-20-10"]
    resolve(config)
    config["models"]["x" * 101] = config["models"]["fc-100-20-10"]
    (line,) = errors(config)
    assert "cannot name a result file" in line


@pytest.mark.parametrize(("train", "test"), [(5000, None), (None, 5000), (4001, 1000)])
def test_more_images_than_mnist5k_has_are_refused(config, train, test):
    config["datasets"]["mnist5k"].update(train=train, test=test)
    assert "expected train and test to add up to at most 5000" in errors(config)[0]


@pytest.mark.parametrize("key", ["plot", "table"])
def test_kinds_of_artefacts_that_are_no_text_get_a_sentence(config, key):
    entries = config["figures"]["catalogue"] if key == "plot" else config["tables"]
    next(iter(entries.values()))[key] = {"a": []}
    assert any(f"{key}: expected" in line for line in errors(config))
