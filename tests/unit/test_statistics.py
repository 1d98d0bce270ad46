import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neighborhoods.statistics import clopper_pearson, summarize


@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_clopper_pearson_is_scipys(trials, share, confidence):
    successes = round(share * trials)
    low, high = clopper_pearson(successes, trials, confidence)
    exact = stats.binomtest(successes, trials).proportion_ci(confidence, "exact")
    assert (float(low), float(high)) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_clopper_pearson_broadcasts_and_refuses():
    low, high = clopper_pearson(np.array([0, 5, 10]), 10)
    assert low[0] == 0
    assert high[2] == 1
    assert low[1] + high[1] == pytest.approx(1)
    for k, n in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="successes"):
            clopper_pearson(k, n)
    with pytest.raises(ValueError, match="confidence"):
        clopper_pearson(1, 2, 1.5)


def test_without_clusters_the_textbook_formulas_hold():
    x = np.random.default_rng(0).normal(3, 2, 50)
    found = summarize(x)
    interval = stats.t.interval(0.95, 49, x.mean(), stats.sem(x))
    assert found.mean == pytest.approx(x.mean())
    assert found.standard_error == pytest.approx(stats.sem(x))
    assert (found.mean_low, found.mean_high) == pytest.approx(interval)
    assert found.median == np.median(x)
    assert (found.n, found.clusters) == (50, 50)


@given(st.integers(2, 20), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_repeating_values_within_clusters_adds_no_certainty(clusters, repeats, seed):
    x = np.random.default_rng(seed).normal(size=clusters)
    repeated = summarize(np.repeat(x, repeats), np.repeat(np.arange(clusters), repeats))
    single = summarize(x)
    assert repeated.standard_error == pytest.approx(single.standard_error)
    assert repeated.mean_low == pytest.approx(single.mean_low)
    assert (repeated.median_low, repeated.median_high) == pytest.approx((single.median_low, single.median_high))


def test_the_order_of_values_does_not_matter():
    generator = np.random.default_rng(1)
    x, clusters = generator.normal(size=40), generator.integers(0, 8, 40)
    order = generator.permutation(40)
    first, second = summarize(x, clusters), summarize(x[order], clusters[order])
    assert first.standard_error == pytest.approx(second.standard_error)
    assert first.median_low == second.median_low


def test_intervals_hold_their_level_under_clustering():
    # 25 clusters of 8 values, correlation 0.6 within: ignoring it would cover only about 60 %.
    generator = np.random.default_rng(2)
    replications, covered_mean, covered_median = 300, 0, 0
    for _ in range(replications):
        x = generator.normal(size=(25, 1)) * math.sqrt(0.6) + generator.normal(size=(25, 8)) * math.sqrt(0.4)
        found = summarize(x.ravel(), np.repeat(np.arange(25), 8))
        covered_mean += found.mean_low <= 0 <= found.mean_high
        covered_median += found.median_low <= 0 <= found.median_high
    # 3 standard errors of a share of 300; the bootstrap of 25 clusters is known to be a little short.
    assert covered_mean / replications >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / replications)
    assert covered_median / replications >= 0.92 - 3 * math.sqrt(0.92 * 0.08 / replications)


def test_a_single_cluster_has_no_error():
    found = summarize([1.0, 2.0], [5, 5])
    assert found.mean == 1.5
    assert math.isnan(found.standard_error)
    assert math.isnan(found.median_low)


@pytest.mark.parametrize(("x", "clusters"), [([], None), ([[1.0]], None), ([1.0, 2.0], [1]), ([math.inf], None)])
def test_bad_samples_are_refused(x, clusters):
    with pytest.raises(ValueError, match="value"):
        summarize(x, clusters)
