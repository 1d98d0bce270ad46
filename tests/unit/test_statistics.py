import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neighborhoods.statistics.intervals import (
    BOOTSTRAP_REPLICATES,
    NO_VALUES,
    clopper_pearson,
    clustered_difference,
    difference,
    share,
    student,
    summarize,
    summarize_finite,
)

CONFIDENCE = st.sampled_from([0.5, 0.9, 0.95, 0.999])
SEED = st.integers(0, 2**32 - 1)


@given(st.integers(1, 5000), st.floats(0, 1), CONFIDENCE)
def test_clopper_pearson_is_scipys(trials, share, confidence):
    successes = round(share * trials)
    low, high = clopper_pearson(successes, trials, confidence)
    exact = stats.binomtest(successes, trials).proportion_ci(confidence, "exact")
    # Two inversions of the incomplete beta function, each good to about 1e-12.
    assert (float(low), float(high)) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_clopper_pearson_of_effective_numbers_is_quantiles_of_beta_laws():
    k, n = np.array([0.0, 0.4, 7.3, 11.9, 12.4]), 12.4
    low, high = clopper_pearson(k, n, 0.9)
    assert low[1:] == pytest.approx(stats.beta.ppf(0.05, k[1:], n - k[1:] + 1), rel=1e-9)
    assert high[:-1] == pytest.approx(stats.beta.ppf(0.95, k[:-1] + 1, n - k[:-1]), rel=1e-9)
    assert (low[0], high[-1]) == (0.0, 1.0)


@given(st.floats(0.01, 1e6), CONFIDENCE)
def test_student_is_scipys(freedom, confidence):
    assert float(student(confidence, freedom)) == stats.t.ppf((1 + confidence) / 2, freedom)


def test_jobs_do_not_wait_for_scipys_statistics():
    code = "import sys; import neighborhoods.statistics.intervals; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_share_has_the_exact_interval_and_none_of_nothing():
    hits = np.arange(40) % 3 == 0
    exact = stats.binomtest(14, 40).proportion_ci(0.9, "exact")
    found = share(hits, 0.9)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((14 / 40, exact.low, exact.high, 40))
    none = share([])
    assert none.n == 0
    assert np.isnan([none.value, none.low, none.high]).all()


def test_only_finite_values_are_summarized():
    values, clusters = [1.0, math.nan, 3.0, math.inf, 5.0], [0, 0, 1, 1, 2]
    assert summarize_finite(values, clusters) == summarize([1.0, 3.0, 5.0], [0, 1, 2])
    assert summarize_finite([math.nan]) is NO_VALUES


@given(st.integers(1, 200), st.floats(0.001, 0.999), CONFIDENCE)
def test_clopper_pearson_covers_every_proportion(trials, proportion, confidence):
    # The exact chance of covering, summed over all counts: the definition of an exact interval.
    counts = np.arange(trials + 1)
    low, high = clopper_pearson(counts, trials, confidence)
    covers = (low <= proportion) & (proportion <= high)
    # The sum of 201 probabilities in double precision.
    assert stats.binom.pmf(counts[covers], trials, proportion).sum() >= confidence - 1e-9


@given(st.integers(1, 300), CONFIDENCE)
def test_clopper_pearson_grows_with_the_count_and_mirrors_failures(trials, confidence):
    low, high = clopper_pearson(np.arange(trials + 1), trials, confidence)
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()
    assert low == pytest.approx(1 - high[::-1], abs=1e-9)


def test_clopper_pearson_broadcasts_and_refuses():
    low, high = clopper_pearson(np.array([0, 5, 10]), 10)
    assert low[0] == 0
    assert high[2] == 1
    assert low[1] + high[1] == pytest.approx(1)
    assert clopper_pearson(np.zeros((3, 1)), np.array([5, 6]))[0].shape == (3, 2)
    for k, n in ((-1, 5), (6, 5), (0, 0), ([1, 7], 5)):
        with pytest.raises(ValueError, match="successes"):
            clopper_pearson(k, n)
    for confidence in (0, 1, 1.5, math.nan):
        with pytest.raises(ValueError, match="confidence"):
            clopper_pearson(1, 2, confidence)


@given(st.integers(2, 200), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), CONFIDENCE, SEED)
def test_without_clusters_the_textbook_formulas_hold(n, center, spread, confidence, seed):
    x = np.random.default_rng(seed).normal(center, spread, n)
    found = summarize(x, confidence=confidence)
    error = stats.sem(x)
    interval = stats.t.interval(confidence, n - 1, x.mean(), error)
    # Residuals are differences of numbers up to 1e3 + 5e3, each exact to 1e-16 of that.
    close = {"rel": 1e-9, "abs": 1e-10}
    assert found.mean == pytest.approx(x.mean(), **close)
    assert found.standard_error == pytest.approx(error, **close)
    assert (found.mean_low, found.mean_high) == pytest.approx(interval, **close)
    assert found.median == np.median(x)
    assert (found.n, found.clusters) == (n, n)
    assert found.median_low <= found.median_high


@given(st.integers(2, 12), st.integers(0, 60), SEED)
def test_the_standard_error_is_that_of_a_plain_loop_over_clusters(groups, extra, seed):
    # Liang and Zeger 1986: sum over clusters of the squared sum of residuals, for clusters of unequal size.
    generator = np.random.default_rng(seed)
    clusters = np.concatenate([np.arange(groups), generator.integers(0, groups, extra)])
    x = generator.normal(size=len(clusters)) + generator.normal(size=groups)[clusters]
    total = 0.0
    for group in range(groups):
        total += sum(value - x.mean() for value, own in zip(x, clusters, strict=True) if own == group) ** 2
    expected = math.sqrt(groups / (groups - 1) * total) / len(x)
    found = summarize(x, clusters)
    # Sums of 72 terms of size 1 in another order; the sum itself may nearly vanish.
    assert found.standard_error == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert found.mean_high - found.mean == pytest.approx(stats.t.ppf(0.975, groups - 1) * expected, rel=1e-6, abs=1e-12)


@given(st.integers(2, 20), st.integers(2, 9), SEED)
def test_repeating_values_within_clusters_adds_no_certainty(clusters, repeats, seed):
    x = np.random.default_rng(seed).normal(size=clusters)
    repeated = summarize(np.repeat(x, repeats), np.repeat(np.arange(clusters), repeats))
    single = summarize(x)
    # Equal but for the order of sums, in double precision.
    assert repeated.standard_error == pytest.approx(single.standard_error, rel=1e-9)
    assert repeated.standard_error == pytest.approx(stats.sem(x), rel=1e-9)
    assert repeated.mean_low == pytest.approx(single.mean_low)
    # The same seed draws the same clusters, so even the bootstrap agrees.
    assert (repeated.median_low, repeated.median_high) == pytest.approx((single.median_low, single.median_high))


def test_the_order_of_values_and_the_names_of_clusters_do_not_matter():
    generator = np.random.default_rng(1)
    x, clusters = generator.normal(size=40), generator.integers(0, 8, 40)
    order = generator.permutation(40)
    first = summarize(x, clusters)
    for second in (summarize(x[order], clusters[order]), summarize(x, [f"digit {c}" for c in clusters])):
        assert second.standard_error == pytest.approx(first.standard_error)
        assert (second.median_low, second.median_high) == (first.median_low, first.median_high)


@given(st.sampled_from([0.25, 2.0, 1024.0]), st.integers(-5, 5), SEED)
def test_units_do_not_matter(scale, shift, seed):
    x = np.random.default_rng(seed).normal(size=31)
    first, second = summarize(x), summarize(x * scale + shift)
    assert second.standard_error == pytest.approx(first.standard_error * scale, rel=1e-9)
    for name in ("mean", "mean_low", "mean_high", "median", "median_low", "median_high"):
        # A shift by 5 costs some digits of a small number.
        assert getattr(second, name) == pytest.approx(getattr(first, name) * scale + shift, abs=1e-12 * scale + 1e-12)


def bootstrap_quantile(n: int, level: float) -> int:
    """Rank (from 1) of the order statistic that is this quantile of the bootstrapped median, n odd.

    The median of a resample is at most the k-th value when more than half of the n draws are among the first k.
    """
    chance = stats.binom.sf((n + 1) // 2 - 1, n, np.arange(1, n + 1) / n)
    return 1 + int(np.searchsorted(chance, level))


@settings(max_examples=30)
@given(st.sampled_from([5, 21, 41, 101]), SEED, SEED)
def test_the_bootstrap_of_the_median_has_its_closed_form(n, seed, bootstrap_seed):
    x = np.sort(np.random.default_rng(seed).normal(size=n))
    found = summarize(x, seed=bootstrap_seed)
    # The share of replicates below a value has this standard error; five of them either way never occur.
    slack = 5 * math.sqrt(0.025 * 0.975 / BOOTSTRAP_REPLICATES)
    ranks = [bootstrap_quantile(n, level + side * slack) for level in (0.025, 0.975) for side in (-1, 1)]
    assert x[ranks[0] - 1] <= found.median_low <= x[ranks[1] - 1]
    assert x[ranks[2] - 1] <= found.median_high <= x[ranks[3] - 1]


def test_the_median_of_an_even_number_is_the_middle_of_two():
    # Of two values, resampled: the lower one, the middle, the upper one with chances 1/4, 1/2, 1/4.
    found = summarize([0.0, 1.0], confidence=0.4)
    assert (found.median_low, found.median, found.median_high) == (0.5, 0.5, 0.5)
    found = summarize([0.0, 1.0], confidence=0.6)
    assert (found.median_low, found.median_high) == (0.0, 1.0)


def test_intervals_of_the_median_hold_their_level():
    n, replications, covered = 41, 400, 0
    generator = np.random.default_rng(5)
    for _ in range(replications):
        found = summarize(generator.exponential(size=n))
        covered += found.median_low <= math.log(2) <= found.median_high
    # Between two order statistics the exact coverage is binomial, whatever the distribution.
    low, high = bootstrap_quantile(n, 0.025), bootstrap_quantile(n, 0.975)
    exact = float(stats.binom.cdf(high - 1, n, 0.5) - stats.binom.cdf(low - 1, n, 0.5))
    assert exact > 0.94
    # 3.3 standard errors of a share of 400, two-sided.
    assert abs(covered / replications - exact) < 3.3 * math.sqrt(exact * (1 - exact) / replications)


def test_intervals_hold_their_level_under_clustering():
    # 25 clusters of 8 values, correlation 0.6 within: ignoring it would cover only about 60 %.
    generator = np.random.default_rng(2)
    replications, covered_mean, covered_median, covered_naive = 300, 0, 0, 0
    for _ in range(replications):
        x = generator.normal(size=(25, 1)) * math.sqrt(0.6) + generator.normal(size=(25, 8)) * math.sqrt(0.4)
        found = summarize(x.ravel(), np.repeat(np.arange(25), 8))
        covered_mean += found.mean_low <= 0 <= found.mean_high
        covered_median += found.median_low <= 0 <= found.median_high
        covered_naive += abs(x.mean()) <= 1.96 * stats.sem(x.ravel())
    # 3 standard errors of a share of 300; the bootstrap of 25 clusters is known to be a little short.
    assert covered_mean / replications >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / replications)
    assert covered_median / replications >= 0.92 - 3 * math.sqrt(0.92 * 0.08 / replications)
    assert covered_naive / replications < 0.75, "the comparison should be able to fail"


def test_a_single_cluster_has_no_error():
    found = summarize([1.0, 2.0], [5, 5])
    assert (found.n, found.clusters) == (2, 1)
    assert found.mean == found.median == 1.5
    for name in ("standard_error", "mean_low", "mean_high", "median_low", "median_high"):
        assert math.isnan(getattr(found, name))
    assert math.isnan(summarize([3.0]).standard_error)


def test_equal_values_have_no_spread():
    found = summarize([2.0] * 10)
    assert found.standard_error == 0
    assert found.mean_low == found.mean_high == found.median_low == found.median_high == 2


@pytest.mark.parametrize(
    ("x", "clusters"),
    [([], None), ([[1.0]], None), ([1.0, 2.0], [1]), ([1.0], [1, 2]), ([math.inf], None), ([1.0, math.nan], None)],
)
def test_bad_samples_are_refused(x, clusters):
    with pytest.raises(ValueError, match="value"):
        summarize(x, clusters)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(3, 40), spread=st.floats(0.1, 10), confidence=CONFIDENCE, seed=SEED)
def test_differences_of_the_same_images_are_those_of_the_paired_t_test(n, spread, confidence, seed):
    generator = np.random.default_rng(seed)
    shared, images = generator.normal(size=n), generator.permutation(n)
    first, second = (shared + generator.normal(1.0, spread, n) for _ in range(2))
    order = generator.permutation(n)
    found = clustered_difference(first, second[order], images, images[order], confidence)
    exact = stats.ttest_rel(first, second).confidence_interval(confidence)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    # Further values of an image are no further images.
    again = clustered_difference(np.tile(first, 2), second, np.tile(images, 2), images, confidence)
    assert (again.low, again.high) == pytest.approx((exact.low, exact.high))
    swapped = clustered_difference(second, first, images, images, confidence)
    assert (swapped.low, swapped.high) == pytest.approx((-exact.high, -exact.low))


def test_differences_of_samples_that_share_some_images_hold_their_level():
    # 40 images, of which each side has 30 and 20 are shared; 3 values of an image on one side. Their common part is
    # nearly all that varies, so that intervals for independent samples cover always.
    generator = np.random.default_rng(3)
    replications, covered, covered_independent = 400, 0, 0
    ones, others = np.repeat(np.arange(30), 3), np.arange(10, 40)
    for _ in range(replications):
        image = generator.normal(size=40)
        first, second = (image[own] + generator.normal(scale=0.3, size=len(own)) for own in (ones, others))
        found = clustered_difference(first, second, ones, others)
        covered += found.low <= 0 <= found.high
        apart = difference(summarize(first, ones), summarize(second, others))
        covered_independent += apart.low <= 0 <= apart.high
    # 3.3 standard errors of a share of 400.
    assert abs(covered / replications - 0.95) < 3.3 * math.sqrt(0.95 * 0.05 / replications)
    assert covered_independent / replications > 0.985, "the comparison should be able to fail"


def test_differences_without_spread_or_of_one_image_have_no_interval():
    assert math.isnan(clustered_difference([0.1, 0.4], [0.3, 0.6], [0, 1], [0, 1]).low)
    one = clustered_difference([1.0, 2.0], [0.0, 0.5], [7, 7], [7, 8])
    assert (one.mean, math.isnan(one.low)) == (1.25, True)
    for bad, images in (([], []), ([math.nan, 1.0], [0, 1]), ([1.0], [0, 1])):
        with pytest.raises(ValueError, match="value"):
            clustered_difference(bad, [1.0, 2.0], images, [0, 1])
