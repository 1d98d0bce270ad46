import copy
from pathlib import Path

import pytest
import yaml

from pipeline.config import resolve
from pipeline.specs import artefact_paths, artefacts_of, compute_spec, figure_spec, measured_paths

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("mnist5k", "fc-100-20-10", "igsm-all")
STAGES = {"data": 1, "models": 2, "attacks": 3, "persistence": 3, "stability": 3}


@pytest.fixture(scope="module")
def raw():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def specs(config):
    resolved = resolve(config)
    found = {stage: compute_spec(resolved, ROOT, stage, *NAMES[:count]) for stage, count in STAGES.items()}
    return found | {name: figure_spec(resolved, ROOT, name) for name in resolved["artefacts"]}


def changed_by(raw, path, value):
    config = copy.deepcopy(raw)
    *parents, last = path
    place = config
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    before, after = specs(raw), specs(config)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("persistence", "gamma"), 0.8, {"persistence"}),
        (("persistence", "gamma"), 0.7, set()),
        (("persistence", "scan_factor"), 1.5, set()),
        (("stability", "points"), 50, {"stability"}),
        (("attacks", "igsm-all", "epsilon"), 0.2, {"attacks"}),
        (("attacks", "igsm-one", "epsilon"), 0.2, set()),
        (("models", "fc-100-20-10", "seed"), 1, {"models"}),
        (("models", "fc-100-20-10", "channels"), 8, set()),
        (("models", "fc-100-20-10", "training", "epochs"), 2, {"models"}),
        (("datasets", "mnist5k", "train"), 3000, {"data"}),
        (("figures", "style"), "talk", {"bell/figure_09", "bell/figure_10"}),
        (("figures", "formats"), ["png"], set()),
        (("figures", "catalogue", "bell/figure_09", "target"), 2, {"bell/figure_09"}),
        (("device",), "cpu", set()),
        (("mirror",), "elsewhere", set()),
        (("seed",), 1, set(STAGES)),
        (("threads",), 2, set(STAGES)),
    ],
)  # fmt: skip
def test_a_setting_changes_the_specs_that_depend_on_it_and_no_other(raw, path, value, expected):
    assert changed_by(raw, path, value) == expected


def test_specs_are_plain_and_sorted(raw):
    for spec in specs(raw).values():
        assert list(spec) == sorted(spec)
        assert yaml.safe_load(yaml.safe_dump(spec)) == spec


def test_cells_have_seeds_of_their_own(raw):
    seeds = [spec["seed"] for spec in specs(raw).values() if "seed" in spec]
    assert len(set(seeds)) == len(seeds) == len(STAGES)


def test_lists_choose_what_is_made(raw):
    config = resolve(raw)
    assert measured_paths(config, "stability") == ["results/stability/mnist5k/fc-100-20-10/igsm-one.h5"]
    assert artefact_paths(config, "bell") == [
        "results/figures/bell/figure_09.png",
        "results/figures/bell/figure_10.png",
    ]
    assert artefact_paths(config, "tanay") == []
    assert artefacts_of(config, "class_frequencies") == ["bell/figure_09"]


def test_a_stage_takes_its_names_only(raw):
    with pytest.raises(ValueError, match="does not take"):
        compute_spec(resolve(raw), ROOT, "data", "mnist5k", "fc-100-20-10")
