"""Claims of Bell's Part II are decided by shares, areas and means of stored arrays."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from neighborhoods.evidence.kernel import (
    differing_nearest,
    mean_above,
    overlapping,
    separated,
    share_agreeing,
    turning,
    varies,
)
from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED
from neighborhoods.statistics.intervals import NO_VALUES

LEVEL = {"confidence": 0.95}


def test_all_of_them_are_found_by_name():
    for function in (differing_nearest, mean_above, overlapping, separated, share_agreeing, turning, varies):
        assert STATISTICS[function.__name__] is function


@pytest.mark.parametrize(("apart", "answer"), [(0, REPRODUCED), (2, REPRODUCED), (9, UNDECIDED), (60, NOT_REPRODUCED)])
def test_agreement_is_a_share_of_queries(apart, answer):
    generator = np.random.default_rng(0)
    network = generator.normal(size=(100, 3))
    prediction = network.copy()
    prediction[:apart, 1] += 0.02
    found = share_agreeing([{"network": network, "prediction": prediction}], tolerance=0.01, share=0.9, **LEVEL)
    limits = stats.binomtest(100 - apart, 100).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high))
    assert (found.measured, found.n, found.verdict) == (1 - apart / 100, 100, answer)


def test_nearest_points_differ():
    kernel, pixel = np.arange(200).reshape(100, 2), np.arange(200).reshape(100, 2)
    pixel[:80, 0] += 1
    cell = {"neighbours/kernel": kernel, "neighbours/pixel": pixel, "neighbours/value": pixel}
    assert differing_nearest([cell], by="kernel", share=0.5, **LEVEL).verdict == REPRODUCED
    assert differing_nearest([cell], by="kernel", share=0.5, **LEVEL).measured == 0.8
    assert differing_nearest([cell], by="value", share=0.5, **LEVEL).verdict == NOT_REPRODUCED
    assert differing_nearest([{}], by="kernel", share=0.5, **LEVEL) is None


def scored(shift, n=80):
    quantiles = stats.norm.ppf((np.arange(n) + 0.5) / n)
    values = np.concatenate([quantiles + shift, quantiles])
    group = np.repeat(["natural", "far"], n)
    return {"group": group, "origin": np.arange(2 * n), "score/sum": values}


@pytest.mark.parametrize(
    ("shift", "above", "imperfect"),
    [
        (1, REPRODUCED, REPRODUCED),
        (0, UNDECIDED, UNDECIDED),
        (-1, NOT_REPRODUCED, NOT_REPRODUCED),
        # Perfect, the wrong way round.
        (-9, NOT_REPRODUCED, NOT_REPRODUCED),
        (9, REPRODUCED, UNDECIDED),
    ],
)  # fmt: skip
def test_areas_decide_which_points_score_higher(shift, above, imperfect):
    found = separated([scored(shift)], score="sum", group="far", **LEVEL)
    # Equal normal laws: the area is Phi(shift / sqrt 2); discrete quantiles miss it by little.
    assert found.measured == pytest.approx(stats.norm.cdf(shift / 2**0.5), abs=0.01)
    assert (found.verdict, found.n) == (above, 160)
    assert overlapping([scored(shift)], score="sum", group="far", perfect=0.99, **LEVEL).verdict == imperfect
    assert separated([scored(shift)], score="sum", group="noise", **LEVEL) is None
    assert overlapping([scored(shift)], score="sum", group="noise", perfect=0.99, **LEVEL) is None


def test_enough_points_without_overlap_are_told_apart_perfectly():
    assert overlapping([scored(9, 800)], score="sum", group="far", perfect=0.99, **LEVEL).verdict == NOT_REPRODUCED


def test_more_comparisons_widen_the_interval():
    one, four = (separated([scored(0.3)], "sum", "far", comparisons=count, **LEVEL) for count in (1, 4))
    assert four.low < one.low < one.high < four.high


def test_a_kernel_varies_or_does_not():
    quantiles = stats.gamma.ppf((np.arange(100) + 0.5) / 100, 4)
    cell = {"distance": np.array([0.0, 1.0]), "shifted/0/values": quantiles, "shifted/1/values": 5 + quantiles / 100}
    assert varies([cell], distance=0.0, at_least=0.1, **LEVEL).verdict == REPRODUCED
    assert varies([cell], distance=1.0, at_least=0.1, **LEVEL).verdict == NOT_REPRODUCED
    assert varies([cell], distance=2.0, at_least=0.1, **LEVEL) is None


@pytest.mark.parametrize(("mean", "answer"), [(1.0, REPRODUCED), (0.76, UNDECIDED), (0.5, NOT_REPRODUCED)])
def test_means_lie_above_a_number_with_their_interval(mean, answer):
    parts = {**asdict(NO_VALUES), "mean": mean, "standard_error": 0.05, "n": 40, "clusters": 40}
    cell = {f"g/{key}": np.array(value) for key, value in parts.items()}
    found = mean_above([cell], group="g", at_least=0.75, **LEVEL)
    assert found.high - found.measured == pytest.approx(stats.t.ppf(0.975, 39) * 0.05)
    assert found.verdict == answer
    assert mean_above([cell], group="h", at_least=0.75, **LEVEL) is None


@pytest.mark.parametrize(
    ("value", "constant", "answer"),
    [(0.0, True, REPRODUCED), (0.4, True, NOT_REPRODUCED), (0.4, False, REPRODUCED), (0.0, False, NOT_REPRODUCED)],
)
def test_signs_turn_or_stay(value, constant, answer):
    cell = {"signs/a/n": np.array(500), "signs/a/value": np.array(value)}
    found = turning([cell], case="a", constant=constant, share=0.01, **LEVEL)
    assert (found.verdict, found.n) == (answer, 500)
    assert turning([cell], case="b", constant=constant, share=0.01, **LEVEL) is None
