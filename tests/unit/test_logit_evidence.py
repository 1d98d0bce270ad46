"""Verdicts on Seguin's claims about logits follow the estimates they are decided from."""

import numpy as np
import pytest
from scipy import stats

from neighborhoods.evidence import logits as evidence
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED

LEVEL = {"confidence": 0.95}


def stored(group, value, error, freedom=5.0, n=100):
    value = np.asarray(value, float)
    columns = {
        "low": value - 3 * error,
        "value": value,
        "standard_error": np.full(value.shape, error),
        "freedom": np.full(value.shape, freedom),
    }
    return {f"{group}/{key}": column for key, column in columns.items()} | {f"{group}/n": np.array(n)}


@pytest.mark.parametrize(
    ("value", "expects", "limit", "verdict"),
    [(-2, -1, 0, REPRODUCED), (-2, 1, 0, NOT_REPRODUCED), (0.1, 1, 0, UNDECIDED), (2, 1, 5, NOT_REPRODUCED)],
)
def test_sides_follow_the_whole_interval(value, expects, limit, verdict):
    found = evidence.crossed_side([stored("gap", value, 0.5)], "gap", expects, limit=limit, **LEVEL)
    assert found.verdict == verdict
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 5, value, 0.5))
    assert found.n == 100
    wider = evidence.crossed_side([stored("gap", value, 0.5)], "gap", expects, comparisons=2, **LEVEL)
    assert (wider.low, wider.high) == pytest.approx(stats.t.interval(0.975, 5, value, 0.5))


def test_what_is_not_there_or_has_no_interval_is_not_decided():
    assert evidence.crossed_side([{}], "gap", 1, **LEVEL) is None
    assert evidence.crossed_side([stored("gap", 1.0, np.nan)], "gap", 1, **LEVEL) is None
    assert evidence.crossed_near([{}], "gap", 1.0, **LEVEL) is None
    assert evidence.crossed_number([{}], "gap", 1.0, 1.0, **LEVEL) is None
    assert evidence.next_classes([{}], "natural", "standard", **LEVEL) is None
    assert evidence.overlap_crossing([{}], 10, 3, **LEVEL) is None
    # Fewer classes than the k asked for.
    assert evidence.crossed_side([stored("ao", [1.0, 2.0], 0.1)], "ao", 1, place=4, **LEVEL) is None


def test_late_claims_need_late_checkpoints():
    cell = stored("skew", [0.1, -0.4, 2.0], 0.05) | {
        "epochs": np.array([1, 40, 100]),
        "teacher_epoch/adversarial": np.array(40),
    }
    late = evidence.crossed_side([cell], "skew", 1, place=-1, after=100, **LEVEL)
    assert late.measured == 2.0
    assert evidence.crossed_side([cell], "skew", 1, place=-1, after=101, **LEVEL) is None
    teacher = evidence.crossed_side([cell], "skew", -1, teacher="adversarial", **LEVEL)
    assert (teacher.measured, teacher.verdict) == (-0.4, REPRODUCED)


def test_shares_of_none_have_an_exact_interval():
    cell = stored("above", [0.5, 0.0], np.nan, n=200)
    assert evidence.crossed_side([cell], "above", -1, limit=0.1, place=1, **LEVEL) is None
    cell["above/low"] = np.array([np.nan, 0.0])
    found = evidence.crossed_side([cell], "above", -1, limit=0.1, place=1, **LEVEL)
    assert (found.low, found.high) == pytest.approx((0, stats.beta.ppf(0.975, 1, 200)))
    assert (found.n, found.verdict) == (200, REPRODUCED)
    assert evidence.crossed_side([cell], "above", -1, limit=0.1, place=0, **LEVEL) is None


@pytest.mark.parametrize(("value", "verdict"), [(0.05, REPRODUCED), (0.4, UNDECIDED), (2.0, NOT_REPRODUCED)])
def test_near_is_an_equivalence(value, verdict):
    assert evidence.crossed_near([stored("skew", value, 0.1)], "skew", 0.5, **LEVEL).verdict == verdict


def test_numbers_are_compared_in_their_unit():
    cell = stored("far", 0.115, 0.005, freedom=30)
    found = evidence.crossed_number([cell], "far", 11.8, 3.0, unit=0.01, **LEVEL)
    low, high = stats.t.interval(0.95, 30, 11.5, 0.5)
    assert (found.measured, found.low, found.high) == pytest.approx((11.5, low, high))
    # The deviation of 0.3 points is known to 1.44 points: both numbers have the error.
    assert found.verdict == REPRODUCED
    assert evidence.crossed_number([cell], "far", 11.8, 1.5, unit=0.01, **LEVEL).verdict == UNDECIDED
    assert evidence.crossed_number([cell], "far", 20.0, 3.0, unit=0.01, **LEVEL).verdict == NOT_REPRODUCED


@pytest.mark.parametrize(("rank", "verdict"), [(3.0, REPRODUCED), (6.0, UNDECIDED), (7.0, NOT_REPRODUCED)])
def test_next_classes_are_earlier_than_random_ones(rank, verdict):
    # Ranks 2 to 10 of ten classes are 6 on the mean.
    cell = stored("wrong/natural/standard/rank", rank, 0.1) | stored("wrong/natural/standard/share", np.ones(10), 0.1)
    assert evidence.next_classes([cell], "natural", "standard", **LEVEL).verdict == verdict


def test_the_crossing_has_limits_where_the_sign_is_sure():
    curve = (np.arange(1, 31) - 10.5) / 10
    cell = stored("overlap/same/adversarial_less_standard", curve, 0.01, freedom=1e9)
    found = evidence.overlap_crossing([cell], 10, 3, **LEVEL)
    assert (found.measured, found.low, found.high) == pytest.approx((10.5, 10, 11))
    assert found.verdict == REPRODUCED
    assert evidence.overlap_crossing([cell], 20, 3, **LEVEL).verdict == NOT_REPRODUCED
    wide = stored("overlap/same/adversarial_less_standard", curve, 0.5, freedom=1e9)
    assert evidence.overlap_crossing([wide], 10, 3, **LEVEL).verdict == UNDECIDED
    never = stored("overlap/same/adversarial_less_standard", -np.ones(5), 0.1)
    assert evidence.overlap_crossing([never], 10, 3, **LEVEL) is None
