"""Distributions of logits against SciPy and small loops."""

import math

import numpy as np
import pytest
from scipy import stats

from neighborhoods.logits import distributions as logits

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(3, 2, 50, 7)) * 3


def test_gap_and_maximum_are_those_of_sorted_logits():
    for index in np.ndindex(Z.shape[:-1]):
        row = sorted(Z[index])
        assert logits.max_logit(Z)[index] == row[-1]
        assert logits.logit_gap(Z)[index] == row[-1] - row[-2]
    shuffled = Z[..., RNG.permutation(7)] + 5
    np.testing.assert_allclose(logits.logit_gap(shuffled), logits.logit_gap(Z), atol=1e-12)
    with pytest.raises(ValueError, match="two classes"):
        logits.logit_gap(np.zeros((3, 1)))


def test_skewness_is_scipys_and_its_influence_the_derivative():
    x = RNG.gamma(2, size=30)
    skew, influence = logits.skewness(x)
    assert skew == pytest.approx(stats.skew(x))
    assert influence.mean() == pytest.approx(0, abs=1e-12)

    def weighted(weight):
        centred = x - np.average(x, weights=weight)
        return np.average(centred**3, weights=weight) / np.average(centred**2, weights=weight) ** 1.5

    step = 1e-6
    for i in (0, 7, 29):
        weight = np.full(30, (1 - step) / 30)
        weight[i] += step
        # First differences: the error is of the order of the step.
        assert (weighted(weight) - skew) / step == pytest.approx(influence[i], abs=1e-3)
    assert np.isnan(logits.skewness(np.ones(5))[0])


def test_moments_are_means_over_seeds():
    values = RNG.gamma(2, size=(3, 2, 60))
    found = logits.moments(values, "standard", 2.5)
    np.testing.assert_allclose(found.mean.value, values.mean((0, 2)))
    np.testing.assert_allclose(found.log_mean.value, np.log(values.mean(2)).mean(0))
    np.testing.assert_allclose(found.skewness.value, stats.skew(values, axis=-1).mean(0))
    np.testing.assert_allclose(found.above.value, (values > 2.5).mean((0, 2)))
    assert np.isnan(logits.moments(-values, "standard", 0.0).log_mean.value).all()


def test_skewness_intervals_hold_for_a_known_law():
    # Gamma of shape 16: skewness 2 / sqrt(16).
    held = 0
    for _ in range(300):
        found = logits.moments(RNG.gamma(16, size=(3, 200)), "a", 0.0).skewness.estimate()
        held += bool(found.low <= 0.5 <= found.high)
    # 0.91 is three standard errors below 0.95.
    assert held / 300 >= 0.91


def test_shares_are_numpys_histogram():
    values = RNG.normal(size=(2, 3, 40))
    edges = np.linspace(-1, 1, 6)
    for index in np.ndindex(2, 3):
        counts = np.histogram(values[index], edges)[0]
        np.testing.assert_allclose(logits.shares(values, edges)[index], counts / 40)
    assert logits.shares(np.array([0.0, 1.0, 1.0]), [0, 0.5, 1]).tolist() == pytest.approx([1 / 3, 2 / 3])
    edges = logits.bin_edges(np.array([1.0, 4.0]), 4)
    np.testing.assert_allclose(edges, [0, 1, 2, 3, 4])
    assert logits.bin_edges(np.zeros(3), 2).tolist() == [0, 0.5, 1]
    # Networks that answer the same to all images still have a bin.
    edges = logits.quantile_edges(np.full((2, 3), 0.25), 4)
    assert logits.shares(np.full(3, 0.25), edges).tolist() == [1]


def test_the_peak_is_at_zero_where_the_first_bin_is_fullest():
    edges = np.linspace(0, 5, 11)
    at_zero = logits.peak_at_zero(RNG.exponential(size=(3, 400)), "a", edges)
    elsewhere = logits.peak_at_zero(np.clip(RNG.normal(2.5, 0.5, size=(3, 400)), 0, 5), "a", edges)
    assert at_zero.estimate().low > 0
    assert elsewhere.estimate().high < 0
    values = np.array([[0.1, 0.2, 0.7, 0.8, 0.9, 1.2]])
    # Bins of 0.5: two in the first, three in the second.
    assert logits.peak_at_zero(values, "a", edges).value == pytest.approx(-1 / 6)
    with pytest.raises(ValueError, match="from 0 on"):
        logits.peak_at_zero(values, "a", [1, 2, 3])


def test_accuracy_by_gap_is_counted_in_each_bin():
    gap = RNG.exponential(size=(3, 80))
    survives = RNG.random((3, 80)) < gap / 4
    edges = logits.quantile_edges(gap, 4)
    found = logits.accuracy_by_gap(gap, survives, "adversarial", edges, 0.9)
    assert found.n.sum() == gap.size
    for b in range(4):
        rates = []
        for s in range(3):
            here = (gap[s] >= edges[b]) & ((gap[s] < edges[b + 1]) | (b == 3))
            hits, n = int(survives[s, here].sum()), int(here.sum())
            interval = stats.binomtest(hits, n).proportion_ci(0.9)
            assert found.n[s, b] == n
            assert found.share[s, b] == pytest.approx(hits / n)
            assert (found.low[s, b], found.high[s, b]) == pytest.approx((interval.low, interval.high))
            rates.append(hits / n)
        assert found.mean[b] == pytest.approx(np.mean(rates))
        assert found.deviation[b] == pytest.approx(np.std(rates, ddof=1))
        everywhere = (gap >= edges[b]) & ((gap < edges[b + 1]) | (b == 3))
        assert found.gap[b] == pytest.approx(gap[everywhere].mean())


def test_empty_bins_have_no_accuracy():
    found = logits.accuracy_by_gap([[0.5, 0.6], [0.5, 2.5]], [[1, 0], [1, 1]], "a", [0, 1, 2, 3])
    assert found.n.tolist() == [[2, 0, 0], [1, 0, 1]]
    np.testing.assert_array_equal(np.isnan(found.mean), [False, True, False])
    np.testing.assert_array_equal(np.isnan(found.deviation), [False, True, True])
    with pytest.raises(ValueError, match="outcome"):
        logits.accuracy_by_gap(np.zeros((2, 3)), np.zeros((2, 2)), "a", [0, 1])


def test_the_trend_is_mann_and_whitneys_with_delongs_variance():
    gap = np.round(RNG.exponential(size=(1, 200)), 1)
    survives = RNG.random((1, 200)) < gap / 3
    trend = logits.accuracy_by_gap(gap, survives, "a", [0, 10]).trend
    alive, dead = gap[survives], gap[~survives]
    area = stats.mannwhitneyu(alive, dead).statistic / (len(alive) * len(dead))
    assert trend.value == pytest.approx(area)
    wins = (alive[:, None] > dead) + 0.5 * (alive[:, None] == dead)
    variance = wins.mean(1).var(ddof=1) / len(alive) + wins.mean(0).var(ddof=1) / len(dead)
    # Degrees of freedom of one sample instead of two: 200 images make 1 % of a difference.
    assert (trend.parts["image"] ** 2).sum() == pytest.approx(variance, rel=0.02)
    nobody = logits.accuracy_by_gap(gap, np.zeros((1, 200)), "a", [0, 10]).trend
    assert math.isnan(nobody.value)
