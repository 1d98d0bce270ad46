"""What runs again after a change: exactly what depends on it. Dry runs on a finished smoke run."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Checkout

SMOKE = ("--configfile", "config/smoke.yaml")
CLAIMS = Counter(decide_claims=1, draw_claims=1)
BRACKETED = CLAIMS + Counter(
    bracket_persistence=3,
    draw_persistence_histogram=1,
    draw_persistence_histograms=1,
    tabulate_persistence=1,
    tabulate_detection=1,
)
PERSISTENCE = BRACKETED + Counter(measure_natural=3)
# Of the ledger, the smoke run's asymmetry has no part.
ASYMMETRY = Counter(compare_sides=1, draw_asymmetry=1)
INTERPOLATION = CLAIMS + Counter(trace_interpolation=1, draw_persistence_along_line=1)
STABILITY = CLAIMS + Counter(sweep_stability=1, draw_class_frequencies=1, draw_class_frequencies_by_target=1)
CONES = CLAIMS + Counter(measure_cones=1, draw_cone_views=1, draw_cone_persistence=1)
NORMS = CLAIMS + Counter(sample_norms=1, draw_norms=1)
ATTACKED = Counter(draw_adversarial_examples=1, draw_distortion_histogram=1)
KERNEL = CLAIMS + Counter(record_path=1, integrate_kernel=1, draw_kernel_agreement=1)
# One ledger rests on many results: unions, not sums.
MEASURED = PERSISTENCE | INTERPOLATION | STABILITY | ASYMMETRY
ALL = Counter(fetch_mnist5k=1, make_gaussians=1, train=3, attack=4, tabulate_layers=1)
ALL |= MEASURED | KERNEL | CONES | NORMS | ATTACKED
FIGURES = Counter({rule: count for rule, count in ALL.items() if rule.startswith("draw_")})
LBFGS = (
    ATTACKED
    + ASYMMETRY
    + CLAIMS
    + Counter(attack=1, bracket_persistence=1, tabulate_persistence=1, draw_persistence_histograms=1)
)
UNTARGETED = Counter(attack=1, bracket_persistence=1)


@pytest.fixture
def finished(smoke: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the finished run, times kept, that a test may change."""
    return Checkout.copy_of(smoke, tmp_path / "checkout")


def test_nothing_after_a_run(finished):
    assert finished.jobs(*SMOKE) == Counter()


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("persistence: {gamma: 0.8}", PERSISTENCE | ASYMMETRY | CONES),
        ("persistence: {samples: 300}", PERSISTENCE | INTERPOLATION | ASYMMETRY | CONES),
        ("persistence: {noise: ball}", PERSISTENCE | INTERPOLATION | ASYMMETRY),
        ("asymmetry: {images: 3}", ASYMMETRY),
        ("cones: {points: 4}", CONES),
        ("norms: {bins: 11}", NORMS),
        ("claims: {confidence: 0.9}", CLAIMS),
        ("sensitivity: {images: 7}", Counter()),
        ("attacks: {igsm-untargeted: {epsilon: 0.2}}",
         UNTARGETED),
        ("models: {c-2: {seed: 1}}", UNTARGETED + CLAIMS + Counter(train=1, measure_natural=1, tabulate_layers=1)),
        ("interpolation: {points: 7}", INTERPOLATION),
        ("path_kernel: {tolerance: 1e-5}", KERNEL - Counter(record_path=1)),
        ("path_kernel: {networks: {gaussians-16-16: {steps: 6}}}", KERNEL),
        ("attacks: {lbfgs: {c: 0.1}}", LBFGS),
        ("figures: {style: talk}", FIGURES),
        ("figures: {formats: [png]}", Counter()),
        ("figures: {formats: [png, pdf, svg]}", FIGURES),
        ("device: cpu", Counter()),
        ("mirror: /somewhere", Counter()),
        ("persistence: {confidence: 0.95, scan_factor: 1.5}\nmodels: {c-2: {hidden: []}}", Counter()),
        ("seed: 1", ALL),
    ],
)  # fmt: skip
def test_a_changed_setting_reruns_what_depends_on_it(finished, overlay, expected):
    assert finished.jobs(*SMOKE, finished.overlay(overlay)) == expected


def test_gamma_on_the_command_line_counts_like_one_in_a_file(finished):
    assert finished.jobs(*SMOKE, "--config", "persistence={gamma: 0.8}") == PERSISTENCE | ASYMMETRY | CONES


def test_swapped_values_are_a_change(finished):
    # Snakemake compares plain params as a set of values; a spec must see the swap.
    overlay = "attacks: {igsm-untargeted: {epsilon: 0.05, step_size: 0.3}}"
    assert finished.jobs(*SMOKE, finished.overlay(overlay))["attack"] == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("neighborhoods/persistence/measure.py", "def stability(", "# A comment.\ndef stability(", Counter()),
        ("scripts/persistence/bracket.py", '"""Bracket the persistence', '"""Measure the persistence', Counter()),
        ("neighborhoods/persistence/search.py", "GIVE_UP = 1.6", "GIVE_UP = 1.7",
         MEASURED | CONES),
        ("scripts/persistence/bracket.py", "difference(summary, other,", "difference(other, summary,", BRACKETED),
        ("neighborhoods/path_kernel/path.py", "1 << 18, 1024", "1 << 17, 1024", KERNEL),
        ("styles/paper.mplstyle", "font.size: 8", "font.size: 9", FIGURES),
        ("published/claims/bell_tables.yaml", "factor: 1.25", "factor: 1.3", CLAIMS),
        ("report/class_frequencies.rst", "How often", "How frequently", Counter()),
        ("neighborhoods/__init__.py", '__version__ = "', '__version__ = "1', Counter()),
        ("pipeline/provenance/seeds.py", ">> 1", ">> 2", ALL),
    ],
)  # fmt: skip
def test_changed_code_reruns_its_users(finished, file, old, new, expected):
    finished.edit(file, old, new)
    assert finished.jobs(*SMOKE) == expected


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
    assert finished.jobs(*SMOKE) == Counter(bracket_persistence=1)


def test_another_working_directory_finds_the_default_configuration(finished, tmp_path):
    jobs = finished.jobs("--directory", str(tmp_path / "elsewhere"))
    assert jobs["fetch_mnist5k"] == 1
    assert jobs["train"] == 13
    assert jobs["study_kernel"] == 2
