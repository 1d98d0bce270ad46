"""Broken configurations stop before any job, with one line for each mistake."""

import pytest

from tests.conftest import Checkout

BROKEN = {
    "typo": ("persistence: {gama: 0.7}", ["persistence.gama: unknown key; the nearest valid one is 'gamma'"]),
    "wrong type": ("persistence: {samples: many}", ["persistence.samples: expected integer, found 'many'"]),
    "unknown dataset": (
        "experiments: [{dataset: mnist6k, model: fc-100-20-10, attack: igsm-all, measure: [persistence]}]",
        ["experiments[0].dataset: there is no dataset 'mnist6k' in datasets; the nearest valid one is 'mnist5k'"],
    ),
    "gamma 1.2": ("persistence: {gamma: 1.2}", ["persistence.gamma: expected a value below 1, found 1.2"]),
    "negative epsilon": (
        "attacks: {igsm-all: {epsilon: -0.1}}",
        ["attacks.igsm-all.epsilon: expected a value above 0, found -0.1"],
    ),
    "a setting of another attack": (
        "attacks: {lbfgs: {epsilon: 0.1}}",
        ["attacks.lbfgs.epsilon: lbfgs does not take it, only mode, c, max_steps, search_steps"],
    ),
    "negative samples": (
        "persistence: {samples: -1}",
        ["persistence.samples: expected a value of at least 10, found -1"],
    ),
    "seed x": ("seed: x", ["seed: expected integer, found 'x'"]),
    "nothing asked for": (
        "experiments: []\nartefacts: []\npath_kernel: {run: []}",
        ["experiments: expected at least 1 entry, since artefacts"],
    ),
    "three at once": (
        "seed: x\npersistence: {gamma: 1.2}\nartefacts: [bell/figure_99]",
        ["seed: expected integer", "persistence.gamma: expected a value below 1", "artefacts[0]: there is no"],
    ),
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("broken") / "checkout")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_configuration_is_refused(checkout, name):
    overlay, expected = BROKEN[name]
    run = checkout.forked_snakemake("--cores", "2", "--configfile", checkout.overlay(overlay))
    assert run.returncode == 1
    lines = [line for line in run.stdout.splitlines() if "configuration:" in line]
    assert len(lines) == len(expected), run.stdout
    for sentence in expected:
        assert any(sentence in line for line in lines), run.stdout
    assert "Traceback" not in run.stdout
    assert not (checkout.folder / "results").exists()


def test_a_broken_value_on_the_command_line_is_refused(checkout):
    run = checkout.snakemake("--cores", "2", "--config", "persistence={gamma: high}")
    assert run.returncode == 1
    assert "persistence.gamma: expected number, found 'high'" in run.stdout
    assert "Traceback" not in run.stdout
