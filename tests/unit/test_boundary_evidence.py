"""Verdicts on the claims of Part III follow the arrays they are decided from."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from neighborhoods.evidence import boundary as evidence
from neighborhoods.evidence.verdicts import NOT_AS_PRINTED, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from neighborhoods.statistics.intervals import NO_VALUES

LEVEL = {"confidence": 0.95}


def test_faces_are_counted_in_every_spectrum():
    faces = np.array([1, 2, 5])
    cell = {"faces": faces, "orthant/count": np.repeat(faces[:, None], 10, 1)}
    found = evidence.counted_faces([cell], "orthant", "count", 0.8, **LEVEL)
    low = stats.beta.ppf(0.025, 30, 1)
    assert (found.measured, found.n, found.verdict) == (1.0, 30, REPRODUCED)
    assert found.low == pytest.approx(low)
    cell["orthant/count"] = cell["orthant/count"] - 1
    assert evidence.counted_faces([cell], "orthant", "count", 0.8, **LEVEL).verdict == NOT_REPRODUCED
    ranks = {"faces": faces, "orthant/normals_rank": faces}
    assert evidence.counted_faces([ranks], "orthant", "normals_rank", 0.8, **LEVEL).verdict == UNDECIDED


def test_the_size_of_dropped_values_is_a_factor():
    spread = np.array([[0.999, 1.001], [1.0, 1.0]])
    for level, verdict in ((0.584, REPRODUCED), (0.65, NOT_REPRODUCED)):
        cell = {"orthant/corrected": level * spread}
        found = evidence.dropped_size([cell], "orthant", 0.5838, 1.02, **LEVEL)
        assert found.verdict == verdict
        assert found.measured == pytest.approx(level, rel=1e-6)
    missing = {"orthant/corrected": np.full((2, 2), math.nan)}
    assert evidence.dropped_size([missing], "orthant", 0.5838, 1.02, **LEVEL) is None


def spectra(attack, dropped):
    """Around each crossing: two radii, two kinds of samples, two projections."""
    shape = (len(attack), 2, 2, 2)
    values = np.zeros(shape)
    values[:, 1, 1, 0] = attack
    counts = np.full(shape, 7)
    counts[:, 1, 1, 0] = dropped
    return {
        "samples": np.array(["gaussian", "flat"]),
        "projections": np.array(["line", "descent"]),
        "natural/attack": values,
        "natural/dropped": counts,
    }


WHERE = {"group": "natural", "radius": -1, "sample": "flat", "projection": "line"}


def test_the_direction_left_is_that_of_the_named_spectra():
    values = np.array([0.95, 0.96, 0.97, 0.96])
    found = evidence.left_direction([spectra(values, 1)], column="attack", least=0.9, **WHERE, **LEVEL)
    interval = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(interval)
    assert found.verdict == REPRODUCED
    low = evidence.left_direction([spectra(values / 2, 1)], column="attack", least=0.9, **WHERE, **LEVEL)
    assert low.verdict == NOT_REPRODUCED
    assert evidence.left_direction([spectra(values[:1], 1)], column="attack", least=0.9, **WHERE, **LEVEL) is None
    assert (
        evidence.left_direction(
            [spectra(values, 1)], column="attack", least=0.9, **{**WHERE, "sample": "none"}, **LEVEL
        )
        is None
    )


def test_dropped_values_are_counted_and_missing_ones_left_out():
    cell = spectra(np.zeros(12), np.array([2] * 11 + [-1]))
    found = evidence.dropped_values([cell], count=2, share=0.5, **WHERE, **LEVEL)
    assert (found.measured, found.n, found.verdict) == (1.0, 11, REPRODUCED)
    assert evidence.dropped_values([cell], count=1, share=0.5, **WHERE, **LEVEL).verdict == NOT_REPRODUCED


def test_normals_turn_with_the_radius():
    rows = np.array([[0.1, 1.0, 5.0], [0.2, 1.0, 6.0], [math.nan, 2.0, math.nan], [0.0, 0.5, 4.0]])
    cell = {"natural/turning": rows, "radii": np.array([0.1, 1.0, 3.0])}
    found = evidence.turned_more([cell], "natural", 1.0, **LEVEL)
    assert (found.n, found.measured) == (3, pytest.approx(np.mean([4.9, 5.8, 4.0])))
    flat = evidence.flat_around([cell], "natural", 0.1, 1.0, 0.5, **LEVEL)
    # Where the pair of classes meets no more at that radius, but does at another, the boundary is not flat.
    assert (flat.measured, flat.n, flat.verdict) == (0.75, 4, UNDECIDED)
    cell["natural/turning"] = np.vstack([rows, np.full((1, 3), math.nan)])
    assert evidence.flat_around([cell], "natural", 0.1, 1.0, 0.5, **LEVEL).n == 4
    assert evidence.flat_around([cell], "natural", 0.2, 1.0, 0.5, **LEVEL) is None


def neighbours(slanted, others, delaunay):
    return {
        "neighbours/voronoi/skewness": np.array([0.0, slanted, math.nan]),
        "others/voronoi/skewness": np.array(others),
        "others/delaunay": np.array(delaunay, bool),
    }


def test_neighbours_cross_orthogonally_but_not_as_printed():
    decide = evidence.neighbours_orthogonal
    assert decide([neighbours(1e-9, [30.0, 20.0], [True, True])], **LEVEL).verdict == NOT_AS_PRINTED
    # One is enough, and only pairs that were tested and found to be neighbours tell.
    assert decide([neighbours(1e-9, [30.0, 20.0, 10.0], [False, True])], **LEVEL).verdict == NOT_AS_PRINTED
    assert decide([neighbours(1e-9, [0.0, 20.0], [True, False])], **LEVEL).verdict == REPRODUCED
    assert decide([neighbours(1e-9, [30.0, 20.0], [False, False])], **LEVEL).verdict == UNDECIDED
    assert decide([neighbours(1e-9, [30.0, 20.0], [])], **LEVEL).verdict == UNDECIDED
    assert decide([neighbours(1.0, [30.0], [True])], **LEVEL).verdict == NOT_REPRODUCED


def test_other_classes_and_gaussian_places_under_dropout():
    values = np.array([0.9, 0.8, 0.95, 0.7])
    p, n = np.array([0.5] * 9 + [1e-9]), np.full(10, 300)
    cell = {"natural/third/value": values, "natural/normality/first/shapiro_p": p, "natural/normality/first/n": n}
    found = evidence.through_others([cell], "natural", 0.5, **LEVEL)
    assert found.verdict == REPRODUCED
    assert found.measured == pytest.approx(values.mean())
    assert evidence.through_others([cell], "natural", 0.99, **LEVEL).verdict == UNDECIDED
    found = evidence.gaussian_places([cell], "natural", "first", 0.5, 50, **LEVEL)
    assert (found.measured, found.verdict) == (pytest.approx(0.9), REPRODUCED)
    limits = stats.binomtest(9, 10).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high))


@pytest.mark.parametrize(
    ("p", "places", "verdict"),
    [
        (0.5, 300, REPRODUCED),
        # Rejected on every line, if at no level that holds for all of them.
        (0.006, 300, NOT_REPRODUCED),
        # Nothing follows from a test that cannot reject.
        (0.5, 8, UNDECIDED),
        (0.006, 8, NOT_REPRODUCED),
    ],
)
def test_not_to_be_rejected_takes_places_enough(p, places, verdict):
    parts = {"shapiro_p": np.full(20, p), "n": np.full(20, places)}
    cell = {f"n/normality/first/{key}": value for key, value in parts.items()}
    assert evidence.gaussian_places([cell], "n", "first", 0.5, 50, **LEVEL).verdict == verdict


@pytest.mark.parametrize(
    ("mean", "error", "verdict"),
    [
        (0.2, 0.05, REPRODUCED),
        (0.0, 0.05, UNDECIDED),
        (-0.3, 0.05, NOT_REPRODUCED),
        (9.0, 0.05, NOT_REPRODUCED),
        # From 1.35 to 74, where the largest of the wedges is 6.
        (math.log(10), 1.0, UNDECIDED),
    ],
)
def test_a_wedge_recreates_ratios_up_to_its_own(mean, error, verdict):
    parts = {**asdict(NO_VALUES), "mean": mean, "standard_error": error, "n": 60, "clusters": 60}
    network = {f"sides/{key}": value for key, value in parts.items()}
    wedges = {"crossings/wedge/centreline/face_ratio": np.array([[[1.2, 1.2]], [[4.0, 9.0]], [[math.inf, math.nan]]])}
    found = evidence.wedges_like([network, wedges], "sides", "wedge/centreline", **LEVEL)
    assert found.verdict == verdict
    assert found.low < math.exp(mean) < found.high
    alone = {**network, "sides/standard_error": math.nan, "sides/n": 1, "sides/clusters": 1}
    assert evidence.wedges_like([alone, wedges], "sides", "wedge/centreline", **LEVEL) is None
    none = {"crossings/wedge/centreline/face_ratio": np.full((1, 1, 2), math.nan)}
    assert evidence.wedges_like([network, none], "sides", "wedge/centreline", **LEVEL) is None


def test_skewness_relates_to_size_by_its_sign():
    def cell(value, n):
        return {"adversarial/correlation/nearest/value": value, "adversarial/correlation/nearest/n": n}

    found = evidence.related([cell(-0.5, 60)], "adversarial", "nearest", -1, **LEVEL)
    assert found.verdict == REPRODUCED
    assert np.arctanh(found.high) - np.arctanh(found.low) == pytest.approx(
        2 * 1.959964 * math.sqrt(1.125 / 57), rel=1e-6
    )
    assert evidence.related([cell(0.5, 60)], "adversarial", "nearest", -1, **LEVEL).verdict == NOT_REPRODUCED
    assert evidence.related([cell(math.nan, 60)], "adversarial", "nearest", -1, **LEVEL) is None
