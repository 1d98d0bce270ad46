"""Formulas as printed beside their corrections, against exact laws and by hand."""

import numpy as np
import pytest
from scipy import stats

from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_AS_PRINTED, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from tests.unit.claim_cases import as_printed, capacities, cones, gap_surface, linear, norms, path, photos, surfaces

LEVEL = {"confidence": 0.95}


def test_the_bound_of_gaussian_norms_needs_sigma():
    annulus = STATISTICS["annulus"]
    found = annulus([norms(1)], dimension=784, sigma=10.0, margin=0.01, **LEVEL)
    assert found.verdict == NOT_AS_PRINTED
    # By the exact law of the norm: the largest gap between the share within epsilon and 1 - 2 exp(-epsilon^2 / 16).
    width = np.arange(1, 16, 0.5)
    law = stats.chi(784)
    share = law.cdf(28 + width) - law.cdf(28 - width)
    gap = (share - 1 + 2 * np.exp(-((10 * width) ** 2) / 16)).min()
    assert found.measured == pytest.approx(gap, abs=1e-3)
    # Where sigma is 1 both are the same, and no excess below a bound is seen.
    assert annulus([norms(1)], dimension=784, sigma=1.0, margin=0.01, **LEVEL).verdict == REPRODUCED
    # Points that are no Gaussian's break the corrected bound, too.
    spread = norms(1) | {"784/gaussian/norm": np.linspace(1, 13, 2000)}
    assert annulus([spread], dimension=784, sigma=10.0, margin=0.01, **LEVEL).verdict == NOT_REPRODUCED
    assert annulus([{}], dimension=784, sigma=1.0, margin=0.01, **LEVEL) is None


def test_a_search_without_a_cap_needs_finite_persistence():
    ends = STATISTICS["search_ends"]
    found = ends([cones(1, 9)], **LEVEL)
    # One of four families of points has none.
    assert (found.measured, found.n, found.verdict) == (0.75, 80, NOT_AS_PRINTED)
    # A cap that does not tell is no correction.
    assert ends([cones(1, 9, told=False)], **LEVEL).verdict == NOT_REPRODUCED


def test_one_constant_does_not_start_all_queries():
    start = np.array([[0.0, 0.0], [2.0, 0.0]])
    network = np.array([[1.0, 0.0], [0.0, 1.0]])
    cell = {"network": network, "prediction": network, "start": start}
    found = STATISTICS["constant_start"]([cell], tolerance=0.01, **LEVEL)
    # The mean start is off by 1 for both, in units of the outputs' standard deviation, one half.
    assert (found.measured, found.verdict) == (pytest.approx(2.0), NOT_AS_PRINTED)
    wrong = {**cell, "prediction": network + 1}
    assert STATISTICS["constant_start"]([wrong], tolerance=0.01, **LEVEL).verdict == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("accuracy", "loss", "answer"),
    [(0.8, 0.9, NOT_AS_PRINTED), (0.8, 0.5, REPRODUCED), (0.949, 0.9, UNDECIDED), (0.99, 0.9, NOT_REPRODUCED)],
)
def test_a_weak_penalty_cannot_cost_more_than_it_is(accuracy, loss, answer):
    cells = [linear(0.95, 0.5), linear(accuracy, loss)]
    assert STATISTICS["weak_penalty"](cells, strength=1.0, **LEVEL).verdict == answer
    # All 7840 weights are 0.01: their norm over their number is 1.1e-4, and so strong a penalty could.
    assert (
        STATISTICS["weak_penalty"]([linear(0.95, 0.5), linear(0.8, 0.5001)], strength=1.0, **LEVEL).verdict
        == REPRODUCED
    )
    assert (
        STATISTICS["weak_penalty"]([linear(0.95, 0.5), linear(0.8, 0.5002)], strength=1.0, **LEVEL).verdict
        == NOT_AS_PRINTED
    )


@pytest.mark.parametrize(
    ("natural", "adversarial", "answer"),
    [(0.3, 0.1, REPRODUCED), (30, 10, NOT_AS_PRINTED), (30, 0.1, NOT_REPRODUCED), (0.6, 0.2, UNDECIDED)],
)
def test_a_mean_is_judged_by_its_ratio_too(natural, adversarial, answer):
    settings = {"of": "natural", "published": 0.3, "beside": 0.1, "factor": 2.0, **LEVEL}
    found = STATISTICS["mean_persistence"]([photos(natural, adversarial)], **settings)
    assert (found.measured, found.verdict) == (pytest.approx(natural), answer)
    settings = {"of": "adversarial", "published": 0.1, "beside": 0.3, "factor": 2.0, **LEVEL}
    assert STATISTICS["mean_persistence"]([photos(0.3, 0.1)], **settings).verdict == REPRODUCED


def test_several_attacks_count_together_and_natural_photos_once():
    cells = [photos(3.0, 1.0), photos(3.0, 2.0)]
    found = STATISTICS["mean_ratio"](cells, published=2.0, factor=2.0, **LEVEL)
    assert (found.measured, found.n) == (pytest.approx(2.0), 30 + 60)
    censored = photos(3.0, 1.0) | {"adversarial/status": ["censored_high"] * 30}
    assert STATISTICS["mean_ratio"]([censored], published=3.0, factor=2.0, **LEVEL).verdict == UNDECIDED


def test_balls_and_points():
    ball, point = STATISTICS["ball_formula"], STATISTICS["capacity_of_points"]
    assert ball([capacities(1.2)], points=2.0, **LEVEL).verdict == NOT_AS_PRINTED
    inexact = capacities(1.2) | {"balls/exact": np.array([[1.5, 3.0]])}
    assert ball([inexact], points=2.0, **LEVEL).verdict == NOT_REPRODUCED
    blurred = capacities(1.0) | {"balls/sampled_error": np.array([[0.1, 0.1]])}
    assert ball([blurred], points=2.0, **LEVEL).verdict == UNDECIDED
    for by, n in (("sampled", 1000), ("simulated", 50)):
        found = point([capacities(1.0)], by=by, published=2.0, factor=1.1, **LEVEL)
        assert (found.measured, found.n, found.verdict) == (2.0, n, REPRODUCED)


def test_the_gaps_formula_lacks_a_term():
    found = STATISTICS["gap_formula"]([gap_surface(9)], points=1.0, **LEVEL)
    missing = 2 * 8 / 9 * 0.01 * 81
    assert (found.measured, found.verdict) == (pytest.approx(100 * missing / (1 + missing)), NOT_AS_PRINTED)
    other = gap_surface(9) | {"printed/surface/equation_10_complete": np.full((4, 4), -9.0)}
    assert STATISTICS["gap_formula"]([other], points=1.0, **LEVEL).verdict == NOT_REPRODUCED


def test_what_is_printed_of_wedges_and_coefficients():
    cell = {"crossings/wedge/opening": [45.0, 120.0], "crossings/offset": [-1.0, 1.0]}
    cell |= {"crossings/wedge/centreline/inside": np.array([[[False, True]], [[False, True]]])}
    found = STATISTICS["centreline"]([cell], **LEVEL)
    # At an opening of 45 degrees the wedge begins at 45, and half of that lies outside; at 120 it begins at -30.
    assert (found.measured, found.verdict) == (0.5, NOT_AS_PRINTED)
    cell["crossings/wedge/centreline/inside"][0, 0, 1] = False
    assert STATISTICS["centreline"]([cell], **LEVEL).verdict == NOT_REPRODUCED
    signs = {"signs/a/drift": 1.0, "signs/b/drift": 0.0, "signs/a/n": 9}
    settings = {"case": "a", "corrected": "b", "tolerance": 0.01, **LEVEL}
    assert STATISTICS["constant_coefficients"]([signs], **settings).verdict == NOT_AS_PRINTED
    assert STATISTICS["constant_coefficients"]([signs | {"signs/b/drift": 1.0}], **settings).verdict == NOT_REPRODUCED
    assert STATISTICS["constant_coefficients"]([{}], **settings) is None


def test_errors_of_a_formula_and_of_its_correction():
    decide = STATISTICS["error_as_printed"]
    found = decide([as_printed(0.1, 0.001)], group="g", tolerance=0.01, **LEVEL)
    assert (found.measured, found.low, found.high, found.n, found.verdict) == (0.1, 0, 0.1, 2, NOT_AS_PRINTED)
    # A correction that fails as well is none.
    assert decide([as_printed(0.1, 0.02)], group="g", tolerance=0.01, **LEVEL).verdict == NOT_REPRODUCED
    assert decide([as_printed(0.01, 0.02)], group="g", tolerance=0.01, **LEVEL).verdict == REPRODUCED
    assert decide([{"g/printed": [], "g/corrected": []}], group="g", tolerance=0.01, **LEVEL) is None


@pytest.mark.parametrize(
    ("printed", "corrected", "points", "answer"),
    [
        (0.331, 0.265, 10**5, NOT_AS_PRINTED),
        (0.265, 0.331, 10**5, REPRODUCED),
        (0.331, 0.3, 10**5, NOT_REPRODUCED),
        (0.331, 0.265, 100, UNDECIDED),
    ],
)
def test_shares_of_skewed_wedges(printed, corrected, points, answer):
    cell = {"skewed/kept": round(0.265 * points), "skewed/points": points}
    cell |= {"skewed/printed": printed, "skewed/corrected": corrected}
    found = STATISTICS["skewed_share"]([cell], points=1.0, **LEVEL)
    assert (found.n, found.verdict) == (points, answer)
    assert found.low < found.measured < found.high


def test_stationary_logits_end_where_no_version_has_any():
    cell = {"beta": np.array([1.0, 2.0, 3.0])}
    for version, kept, gradient in (("printed", [1, 1, 1], [1, 1, 1]), ("derived", [1, 1, 0], [0, 0, 0])):
        cell |= {f"{version}/plus/correct/kept": kept, f"{version}/plus/correct/cubic_gradient": gradient}
    settings = {"root": "plus", "side": "correct", "tolerance": 1e-6, **LEVEL}
    found = STATISTICS["stationary_everywhere"]([cell], **settings)
    assert (found.measured, found.low, found.least, found.verdict) == (2, 1, 3, NOT_REPRODUCED)
    whole = cell | {"derived/plus/correct/kept": [1, 1, 1]}
    assert STATISTICS["stationary_everywhere"]([whole], **settings).verdict == REPRODUCED


def test_where_surrogates_cross():
    found = STATISTICS["positive_from"]([surfaces(3.7)], published=3.5, margin=0.5, **LEVEL)
    assert (found.measured, found.low, found.high, found.verdict) == (3.7, 3.7, 3.7, REPRODUCED)
    assert (
        STATISTICS["positive_from"](
            [{"beta": [1.0, 2.0], "printed/g_above_psi": []}], published=3.5, margin=1.0, **LEVEL
        )
        is None
    )


def test_limits_are_where_the_verdict_changes():
    tilt = STATISTICS["tilt_angle"]([path([80, 40.2, 1])], published=40.0, degrees=0.3, alpha=3.0, **LEVEL)
    assert (tilt.least, tilt.most) == pytest.approx((39.7, 40.3))
    norm = STATISTICS["printed_norm"]([norms(1)], dimension=784, published=7.0, factor=1.05, **LEVEL)
    assert norm.most < norm.measured
