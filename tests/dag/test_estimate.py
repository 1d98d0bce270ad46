import math
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.config.schema import resolve
from pipeline.costs.dry_run import Plan, PlannedJob
from pipeline.costs.estimate import DRAWS, estimate, report
from pipeline.costs.measured import cost_of, measured_costs

ROOT = Path(__file__).resolve().parents[2]


def run(folder, *arguments):
    command = [sys.executable, "-m", "pipeline.costs.estimate", "--directory", str(folder), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def config():
    return resolve(yaml.safe_load((ROOT / "config.yaml").read_text()))


def planned(config, *, jobs=10, gpus=0):
    """Equal trainings that do not wait for each other, and a figure that waits for all."""
    cell = {"dataset": "mnist5k", "model": "c-4"}
    trained = [PlannedJob("train", cell, 1, True, gpus, None, None, (), ()) for _ in range(jobs)]
    figure = PlannedJob("draw_norms", {"artefact": "a"}, 1, False, 0, None, None, (), tuple(range(jobs)))
    return Plan(config, (*trained, figure), gpus=1)


def test_totals_are_sums_over_jobs(config):
    plan = planned(config)
    each = cost_of(config, "train", plan.jobs[0].names).seconds
    last = cost_of(config, "draw_norms", {}).seconds
    found = estimate(plan, [1, 5, 100])
    assert found.core_s.value == pytest.approx(10 * each + last)
    assert found.core_s.low < found.core_s.value < found.core_s.high
    assert found.gpu_able_s == pytest.approx(10 * each)
    assert found.wall_s[1].value == pytest.approx(found.core_s.value)
    assert found.wall_s[5].value == pytest.approx(2 * each + last)
    assert found.wall_s[100].value == pytest.approx(found.chain_s.value) == pytest.approx(each + last)
    assert [(one.rule, one.jobs) for one in found.rules] == [("train", 10), ("draw_norms", 1)]


def test_the_interval_of_one_rule_is_its_spread(config):
    cost = cost_of(config, "train", {"dataset": "mnist5k", "model": "c-4"})
    plan = Plan(config, planned(config).jobs[:10])
    found = estimate(plan, [1]).core_s
    # One log-normal factor of the run and one of the rule; quantiles of 2000 draws are known to 0.06 of a deviation.
    spread = math.hypot(cost.spread, math.log(measured_costs()["whole_runs"]))
    for limit, sign in ((found.low, -1), (found.high, 1)):
        assert math.log(limit / found.value) == pytest.approx(sign * 1.96 * spread, abs=0.2 * spread)
    assert DRAWS == 2000


def test_gpu_hours_that_nobody_measured_are_said_to_be(config):
    found = estimate(planned(config, gpus=1), [4])
    assert not found.gpu_measured
    assert found.gpu_s.value == pytest.approx(found.gpu_able_s)
    assert "no GPU was measured" in report(found)
    # One GPU is held by one job after the other.
    assert found.wall_s[4].value == pytest.approx(found.core_s.value)
    on_a_cluster = replace(planned(config, gpus=1), gpus=None)
    assert estimate(on_a_cluster, [10]).wall_s[10].value == pytest.approx(found.chain_s.value)
    assert re.search(r"GPU-hours +0 ", report(estimate(planned(config), [4])))


def test_threads_do_not_shorten_what_a_gpu_was_measured_to_take(config, monkeypatch):
    plan = planned(config, jobs=1, gpus=1)
    plan = replace(plan, jobs=(replace(plan.jobs[0], threads=2),))
    on_cpu = cost_of(config, "train", plan.jobs[0].names)
    assert estimate(plan, [4]).wall_s[4].value == pytest.approx(on_cpu.seconds / 2)
    monkeypatch.setattr("pipeline.costs.estimate.cost_of", lambda *_: replace(on_cpu, kind="gpu"))
    found = estimate(plan, [4])
    assert found.wall_s[4].value == pytest.approx(on_cpu.seconds)
    assert found.gpu_s.value == pytest.approx(on_cpu.seconds)


def test_intervals_are_said_to_leave_extrapolation_out(config, monkeypatch):
    plan = planned(config)
    assert "far more work" not in report(estimate(plan, [1]))
    cost = cost_of(config, "train", plan.jobs[0].names)
    monkeypatch.setattr("pipeline.costs.estimate.cost_of", lambda *_: replace(cost, beyond=100.0))
    assert "far more work than was measured, as marked" in report(estimate(plan, [1]))


def test_many_thousand_jobs_are_priced_in_seconds(config):
    start = time.process_time()
    report(estimate(planned(config, jobs=20_000), [2, 64]))
    # 3 s; without caching what equal jobs cost, and with draws of each job, minutes.
    assert time.process_time() - start < 20


def test_a_finished_run_costs_nothing_and_an_empty_folder_all_jobs(smoke, tmp_path):
    done = run(
        smoke.folder,
        "--snakefile",
        str(smoke.folder / "Snakefile"),
        "--configfile",
        str(smoke.folder / "config/smoke.yaml"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nothing to run: every result is there\n"
    fresh = run(tmp_path, "--configfile", "config/smoke.yaml", "--on", "3")
    assert fresh.returncode == 0, fresh.stderr
    jobs = sum(smoke.jobs("--forceall", "--configfile", "config/smoke.yaml").values())
    assert f"\njobs        {jobs}\n" in fresh.stdout
    assert " on 3 cores\n" in fresh.stdout
    for what in ("core-hours", "GPU-hours", "disk", "wall time"):
        assert f"\n{what}" in fresh.stdout
    assert not (tmp_path / "results").exists()
    # A target behind "--" is one whatever else is asked.
    one = run(tmp_path, "--configfile", "config/smoke.yaml", "--", "results/data/mnist5k.h5")
    assert "\njobs        1\n" in one.stdout, one.stderr


def test_a_mistake_is_told_in_its_own_words(tmp_path):
    (tmp_path / "bad.yaml").write_text("persistence: {gama: 0.8}\n")
    found = run(tmp_path, "--configfile", str(tmp_path / "bad.yaml"))
    assert found.returncode == 1
    assert "persistence.gama" in found.stderr
    assert "could not read this run" in found.stderr
    assert "Traceback" not in found.stderr + found.stdout
    absent = run(tmp_path, "--configfile", "none.yaml")
    assert (absent.returncode, absent.stderr) == (1, "configuration: none.yaml: expected a file, found none\n")
    few = run(tmp_path, "--on", "0")
    assert few.returncode == 1
    assert few.stderr == "--on: expected numbers of cores from 1 on, found 0\n"
