"""What runs again after a change: exactly what depends on it. Dry runs on a finished smoke run."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Checkout

SMOKE = ("--configfile", "config/smoke.yaml")
PERSISTENCE = Counter(bracket_persistence=2, draw_persistence_histogram=2)
FIGURES = Counter(draw_class_frequencies=1, draw_persistence_histogram=2)
ATTACKS = Counter(attack=3, bracket_persistence=2, sweep_stability=1) + FIGURES
ALL = Counter(fetch_mnist5k=1, train=2) + ATTACKS


@pytest.fixture
def finished(smoke: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished run, times kept, that a test may change."""
    return Checkout.copy_of(smoke, tmp_path / "checkout")


def test_nothing_after_a_run(finished):
    assert finished.jobs(*SMOKE) == Counter()


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("persistence: {gamma: 0.8}", PERSISTENCE),
        ("attacks: {igsm-untargeted: {epsilon: 0.2}}",
         Counter(attack=1, bracket_persistence=1, draw_persistence_histogram=1)),
        ("models: {c-2: {seed: 1}}",
         Counter(train=1, attack=1, bracket_persistence=1, draw_persistence_histogram=1)),
        ("figures: {style: talk}", FIGURES),
        ("figures: {formats: [png]}", Counter()),
        ("device: cpu", Counter()),
        ("mirror: /somewhere", Counter()),
        ("persistence: {confidence: 0.95, precision: 5e-3}\nmodels: {c-2: {hidden: []}}", Counter()),
        ("seed: 1", ALL),
    ],
)  # fmt: skip
def test_a_changed_setting_reruns_what_depends_on_it(finished, overlay, expected):
    assert finished.jobs(*SMOKE, finished.overlay(overlay)) == expected


def test_gamma_on_the_command_line_counts_like_one_in_a_file(finished):
    assert finished.jobs(*SMOKE, "--config", "persistence={gamma: 0.8}") == PERSISTENCE


def test_swapped_values_are_a_change(finished):
    # Snakemake compares plain params as a set of values; a spec must see the swap.
    overlay = "attacks: {igsm-untargeted: {epsilon: 0.05, step_size: 0.3}}"
    assert finished.jobs(*SMOKE, finished.overlay(overlay))["attack"] == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("neighborhoods/persistence.py", "def _check(", "# A comment.\ndef _check(", Counter()),
        ("scripts/persistence/bracket.py", '"""Bracket the persistence', '"""Measure the persistence', Counter()),
        ("neighborhoods/persistence.py", "SCAN_MARGIN = 4.0", "SCAN_MARGIN = 4.5",
         PERSISTENCE + Counter(sweep_stability=1, draw_class_frequencies=1)),
        ("scripts/persistence/bracket.py", "seed=seed + number", "seed=seed + 2 * number", PERSISTENCE),
        ("styles/paper.mplstyle", "font.size: 8", "font.size: 9", FIGURES),
        ("report/class_frequencies.rst", "How often", "How frequently", Counter()),
        ("neighborhoods/__init__.py", '__version__ = "', '__version__ = "1', Counter()),
        ("pipeline/seeds.py", ">> 1", ">> 2", ALL),
    ],
)  # fmt: skip
def test_changed_code_reruns_its_users(finished, file, old, new, expected):
    finished.edit(file, old, new)
    found = finished.jobs(*SMOKE)
    # What is drawn from a result that is made again is drawn again.
    if "sweep_stability" in expected or "bracket_persistence" in expected:
        expected = expected | (FIGURES if "sweep_stability" in expected else Counter(draw_persistence_histogram=2))
    assert found == expected


def test_touched_files_rerun_nothing(finished):
    later = time.time() + 5
    for path in finished.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path, (later, later))
    assert finished.jobs(*SMOKE) == Counter()


def test_a_fresh_clone_beside_kept_results_reruns_nothing(finished):
    for path in list(finished.folder.rglob("*.py")):
        text = path.read_bytes()
        path.unlink()
        path.write_bytes(text)
    assert finished.jobs(*SMOKE) == Counter()


def test_a_lost_result_is_made_again_with_what_needs_it(finished):
    os.remove(finished.folder / "results/persistence/mnist5k/c-2/igsm-untargeted.h5")
    assert finished.jobs(*SMOKE) == Counter(bracket_persistence=1, draw_persistence_histogram=1)


def test_another_working_directory_finds_the_default_configuration(finished, tmp_path):
    jobs = finished.jobs("--directory", str(tmp_path / "elsewhere"))
    assert jobs == Counter(fetch_mnist5k=1, train=1, attack=2, bracket_persistence=1, sweep_stability=1,
                           draw_class_frequencies=1, draw_persistence_histogram=1)  # fmt: skip
