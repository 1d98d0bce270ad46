import copy
import json
import math
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from pipeline.config.schema import resolve
from pipeline.costs.fit import Record, check, fit, fitted, main
from pipeline.costs.measured import LEAST_MB, LEAST_MB_GPU, LEAST_MINUTES, Requests, cost_of, measured_costs, priced
from pipeline.costs.table import page
from pipeline.costs.work import Work
from pipeline.costs.workload import COUNTED, work_of
from pipeline.data.sizes import Sizes, sizes_of
from pipeline.running.usage import Usage

ROOT = Path(__file__).resolve().parents[2]
CELL = {"dataset": "mnist5k", "model": "c-4", "attack": "lbfgs"}
FC = CELL | {"model": "fc-100-20-10"}
STUDY = {
    "study": "mnist5k",
    "teacher": "adversarial",
    "student": "normal",
    "judged": "normal",
    "seed": "0",
    "epoch": "005",
}
KERNEL = {"network": "mnist-fc"}
NAMED = {"group": "mnist5k", "name": "standard"}


@pytest.fixture(scope="module")
def config():
    return resolve(yaml.safe_load((ROOT / "config.yaml").read_text()))


def changed(config, path, value):
    other = copy.deepcopy(config)
    entry = other
    *parents, last = path.split("/")
    for key in parents:
        entry = entry[key]
    entry[last] = value
    return other


def record(run, work, seconds, rule="train", memory=400.0, device="cpu"):
    used = Usage(seconds, seconds, memory, device, 0.0, "a processor", "a host")
    return Record(rule, run, Work(work, 0.0, work), used, 1.0)


# Twice as much of each takes twice as many seconds of work: exactly, but for what does not depend on it (at most 20 %).
TWICE = [
    ("train", CELL, "models/c-4/training/epochs", 42, 0),
    ("train", CELL, "datasets/mnist5k/train", 2000, 0),
    ("attack", CELL, "attacks/lbfgs/max_steps", 400, 0.2),
    ("attack", CELL, "attacks/lbfgs/images", 120, 0.2),
    ("attack", CELL | {"attack": "igsm-all"}, "attacks/igsm-all/steps", 80, 0.2),
    ("bracket_persistence", CELL, "persistence/samples", 2000, 0.01),
    ("bracket_persistence", FC, "attacks/lbfgs/images", 120, 0.01),
    ("measure_natural", FC | {"images": "120"}, "persistence/samples", 2000, 0.01),
    ("sweep_stability", CELL, "stability/points", 200, 0.2),
    ("trace_interpolation", CELL, "interpolation/pairs", 16, 0.01),
    ("trace_interpolation", CELL, "interpolation/points", 42, 0.01),
    ("compare_sides", CELL, "asymmetry/images", 30, 0.01),
    ("decompose_boundary", CELL, "spectra/lines", 12, 0),
    ("trace_dropout", CELL, "dropout/masks", 600, 0.01),
    ("decompose_sensitivity", CELL, "factors/images", 120, 0.2),
    ("train_teacher", STUDY, "logits/studies/mnist5k/training/epochs", 30, 0),
    ("distil_student", STUDY, "logits/studies/mnist5k/distillation/epochs", 36, 0),
    ("measure_robustness", STUDY, "logits/studies/mnist5k/robustness/images", 1000, 0),
    ("measure_robustness", STUDY, "logits/studies/mnist5k/seeds", [0, 1, 2, 3, 4, 5], 0),
    ("integrate_kernel", KERNEL, "path_kernel/networks/mnist-fc/steps", 200, 0),
    ("integrate_kernel", KERNEL, "path_kernel/networks/mnist-fc/train_samples", 2000, 0.2),
    ("rank_importance", KERNEL | {"network": "mnist-16"}, "path_kernel/networks/mnist-16/steps", 80, 0),
    ("measure_cones", {}, "cones/points", 40, 0),
    ("measure_wedges", {}, "wedges/samples", 12000, 0),
    ("sample_norms", {}, "norms/points", [200000, 10000], 0),
]


@pytest.mark.parametrize(("rule", "names", "path", "value", "rest"), TWICE, ids=lambda value: str(value)[:30])
def test_work_grows_as_the_job_does(config, rule, names, path, value, rest):
    before = config
    if path == "datasets/mnist5k/train":
        before, value = changed(config, path, 2000), 4000
    elif path == "asymmetry/images":
        before, value = changed(config, path, 15), 30
    more, less = (work_of(one, rule, names).seconds for one in (changed(before, path, value), before))
    assert 2 * (1 - rest) <= more / less <= 2.0001 * (1 + rest / 10)


def test_every_counted_rule_is_a_rule_and_can_be_counted(config):
    rules = set(re.findall(r"^rule (\w+):", "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk")), re.M))
    assert set(COUNTED) <= rules
    names = CELL | STUDY | NAMED | KERNEL | {"images": "60", "pair": "2v3"}
    for rule in COUNTED:
        work = work_of(config, rule, names)
        assert work.seconds > 0 or rule == "import_hdf5", rule
        assert work.memory_mb >= 0, rule
        assert work.disk_mb >= 0, rule
    assert work_of(config, "draw_norms", {}) == Work()


def test_a_line_is_found_again():
    work = np.array([0.1, 1.0, 5.0, 20.0])
    line = fitted(2.0 + 3.0 * work, work, 1.0)
    assert (line.fixed, line.rate) == pytest.approx((2.0, 3.0), rel=1e-3)


def test_a_job_with_nothing_to_do_does_not_decide_the_rate():
    work = np.array([0.1, 10.0, 20.0, 20.0, 20.0, 20.0])
    seconds = 2.0 + 3.0 * work
    seconds[-1] = 2.0
    line = fitted(seconds, work, 1.0)
    # Least squares of the relative error would give a seventh of the rate.
    assert line.at(20.0) == pytest.approx(62.0, rel=0.25)


def test_work_that_is_alike_leaves_the_start_to_other_rules():
    line = fitted([5.0, 5.2], [1.0, 1.1], 2.0)
    assert line.fixed == 2.0
    assert line.at(1.05) == pytest.approx(5.1, rel=0.01)
    # A start that is longer than the job.
    assert fitted([1.0], [1.0], 2.0).fixed < 1.0
    assert fitted([4.0, 9.0], [0.0, 0.0], 2.0).at(5.0) == pytest.approx(6.0)


def test_a_job_of_hardly_any_work_tells_no_rate():
    # What a start takes varies by a tenth; on a thousandth of a second of work that would be a rate of hundreds.
    others = [record("a", work, 2 + 3 * work) for work in (1.0, 4.0, 16.0)]
    small = [record("a", 0.001, 2.2, "measure_cones"), record("a", 0.0008, 2.4, "measure_cones")]
    costs = fit(others + small)
    assert priced(costs, "measure_cones", Work(0.001)).seconds == pytest.approx(2.3, rel=0.05)
    assert priced(costs, "measure_cones", Work(10.0)).seconds == pytest.approx(32, rel=0.2)


def test_jobs_that_only_snakemake_measured_are_told_apart():
    by_clock = Record("train", "a", Work(1.0), Usage(5.0, 5.0, 0.0, "cpu", 0.0, "", ""), 1.0)
    assert fit([record("a", 4.0, 14.0), by_clock])["by_clock"] == 1


def test_the_spread_is_that_of_runs_that_the_others_predicted():
    # Three runs whose machines differ by known factors and that agree otherwise.
    factors = {"a": 1.0, "b": 2.0, "c": 0.5}
    records = [
        record(run, work, factor * (2 + 3 * work)) for run, factor in factors.items() for work in (0.5, 2.0, 8.0)
    ]
    spread = fit(records)["rules"]["train"]["cpu"]["spread"]
    left_out = []
    for run, factor in factors.items():
        rest = np.mean([math.log(other) for name, other in factors.items() if name != run])
        left_out.append(math.log(factor) - rest)
    assert math.log(spread) == pytest.approx(math.sqrt(np.mean(np.square(left_out))), rel=0.1)


def test_a_rule_that_was_never_measured_costs_what_others_do():
    costs = fit([record("a", work, 2 + 3 * work) for work in (1.0, 4.0)] + [record("a", 0.0, 1.5, "draw_norms")])
    known = priced(costs, "train", Work(2.0))
    assert known.measured
    assert known.seconds == pytest.approx(8.0, rel=0.01)
    assert not priced(costs, "attack", Work(2.0)).measured
    assert priced(costs, "draw_something", Work()).seconds == pytest.approx(1.5, rel=0.01)
    assert priced(costs, "train", Work(40.0)).beyond == pytest.approx(10)


def test_a_gpu_has_a_price_of_its_own_once_it_was_measured():
    on_cpu = [record("a", work, 2 + 3 * work) for work in (1.0, 4.0)]
    assert priced(fit(on_cpu), "train", Work(2.0), gpu=True).kind == "cpu"
    on_gpu = [record("b", work, 5 + 0.1 * work, device="some GPU") for work in (1.0, 4.0, 40.0)]
    cost = priced(fit(on_cpu + on_gpu), "train", Work(20.0), gpu=True)
    assert cost.kind == "gpu"
    assert cost.seconds == pytest.approx(7.0, rel=0.02)


def test_a_check_compares_what_a_run_took_with_what_was_said():
    costs = fit([record("a", work, 2 + 3 * work) for work in (1.0, 4.0)])
    found = check(costs, [record("b", 2.0, 16.0)])
    assert found["ratio"] == pytest.approx(0.5, rel=0.01)
    assert found["rules"]["train"]["measured_s"] == 16.0
    assert found["disk_ratio"] == pytest.approx(1.0, rel=0.01)


def test_jobs_ask_for_more_at_each_attempt_and_for_no_less_than_the_least(config):
    requests = Requests(config)
    for rule, names in (("train", CELL), ("draw_norms", {}), ("measure_robustness", STUDY)):
        memory = [requests.memory_mb(rule, names, attempt) for attempt in (1, 2, 3)]
        minutes = [requests.minutes(rule, names, attempt) for attempt in (1, 2, 3)]
        for asked, least in ((memory, LEAST_MB), (minutes, LEAST_MINUTES)):
            assert asked[0] >= least
            assert asked == [asked[0], 2 * asked[0], 4 * asked[0]]
        cost = cost_of(config, rule, names)
        assert memory[0] >= 1.5 * cost.memory_mb
        assert minutes[0] * 60 >= 4 * cost.seconds
    assert requests.memory_mb("train", CELL, 1, gpu=True) >= LEAST_MB_GPU
    assert Requests(config | {"device": "cpu"}).memory_mb("draw_norms", {}, 1, gpu=True) < LEAST_MB_GPU


def test_nearly_equal_jobs_ask_for_the_same(config):
    # Of one rule and a hundred sizes within a tenth few requests come out, so that a scheduler can put them in arrays.
    asked = {
        (Requests(one).memory_mb("train", CELL, 1), Requests(one).minutes("train", CELL, 1))
        for one in (changed(config, "datasets/mnist5k/train", 3600 + 4 * i) for i in range(100))
    }
    assert len(asked) <= 2


def test_a_request_is_never_far_above_what_is_wanted(config, monkeypatch):
    for wanted in np.geomspace(2000, 2e6, 200):
        cost = type("Cost", (), {"memory_mb": wanted / 1.5, "seconds": 1.0})()
        monkeypatch.setattr("pipeline.costs.measured.cost_of", lambda *_, cost=cost: cost)
        asked = Requests(config).memory_mb("draw_norms", {}, 1)
        assert wanted - 1e-6 <= asked <= 1.5 * wanted


def test_the_page_of_costs_is_what_was_measured():
    assert (ROOT / "docs" / "costs.md").read_text() == page(measured_costs()), "run `make reference`"


def test_a_folder_without_a_run_is_refused_in_one_sentence(tmp_path, capsys):
    assert main(["--run", "mine", str(tmp_path / "nowhere")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "expected the folder of a finished run" in error


def test_what_was_measured_is_whole():
    costs = measured_costs()
    assert json.loads(json.dumps(costs)) == costs
    for kinds in costs["rules"].values():
        for entry in kinds.values():
            assert entry["spread"] >= 1
            for name in ("seconds", "memory_mb", "disk_mb"):
                assert entry[name]["fixed"] >= 0
                assert entry[name]["rate"] >= 0


def test_sizes_of_ones_own_file_are_those_that_its_rule_stores(tmp_path):
    file = tmp_path / "own.h5"
    with h5py.File(file, "w") as opened:
        opened["x_train"], opened["x_test"] = np.zeros((30, 12, 8, 3), np.uint8), np.zeros((6, 12, 8, 3), np.uint8)
        opened["y_train"], opened["y_test"] = np.arange(30) % 5, np.arange(6) % 5
    config = {"datasets": {"own": {"source": "hdf5", "file": str(file)}}}
    assert sizes_of(config, "own") == Sizes((3, 12, 8), 30, 6, 5)
    config["datasets"]["own"]["file"] = str(tmp_path / "missing.h5")
    assert sizes_of(config, "own").values == 784


@pytest.mark.parametrize(
    "parts",
    [
        {"y_train": h5py.Empty("u1")},
        {"classes": 5},
        {"x_train": 5.0},
        {"y_train": ["a", "b"]},
        {"y_train": [0.0, np.nan]},
        {"x_test": h5py.SoftLink("/x_train")},
    ],
    ids=str,
)
def test_a_made_up_file_of_ones_own_does_not_stop_the_reading_of_rules(tmp_path, parts):
    whole = {name: np.zeros((2, 1, 4, 4), np.uint8) for name in ("x_train", "x_test")} | {"y_train": np.zeros(2, int)}
    with h5py.File(tmp_path / "own.h5", "w") as opened:
        for name, value in (whole | parts).items():
            opened[name] = value
    assert sizes_of({"datasets": {"own": {"source": "hdf5", "file": str(tmp_path / "own.h5")}}}, "own").values == 784


def test_labels_that_no_memory_holds_are_not_read(tmp_path):
    with h5py.File(tmp_path / "own.h5", "w") as opened:
        opened["x_train"] = opened["x_test"] = np.zeros((2, 1, 4, 4), np.uint8)
        opened.create_dataset("y_train", (10**13,), "u1", chunks=(1000,))
    assert sizes_of({"datasets": {"own": {"source": "hdf5", "file": str(tmp_path / "own.h5")}}}, "own").values == 784


def test_sizes_are_those_of_the_configuration(config):
    assert sizes_of(config, "mnist5k") == Sizes((1, 28, 28), 4000, 1000, 10)
    assert sizes_of(changed(config, "datasets/mnist5k/train", 10**6), "mnist5k").train == 4000
    assert sizes_of(config, "gaussians") == Sizes((2,), 4000, 4000, 2)
    assert sizes_of(config, "imagenet20") == Sizes((3, 224, 224), 0, 20, 1000)
