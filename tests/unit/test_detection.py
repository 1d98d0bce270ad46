"""The ROC curve of persistence against scikit-learn, plain loops over pairs, closed forms and simulated coverage."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from neighborhoods.persistence.detection import auroc, detection_rate
from neighborhoods.statistics.intervals import clopper_pearson

SEED = st.integers(0, 2**32 - 1)
SIZE = st.integers(2, 30)


def sample(m, n, seed, levels=0):
    """Two groups, shifted; with few levels most pairs tie."""
    generator = np.random.default_rng(seed)
    x, y = generator.normal(0.7, 1, m), generator.normal(0, 1, n)
    return (np.round(x * levels), np.round(y * levels)) if levels else (x, y)


def pair(x, y):
    return (y < x) + (y == x) / 2


def plain_standard_error(x, y, a, b):
    """Obuchowski 1997, one cluster after the other."""
    value = np.mean([[pair(p, q) for q in y] for p in x])
    first, second, products = [], [], []
    for cluster in {*a, *b}:
        own, other = x[a == cluster], y[b == cluster]
        s = sum(np.mean([pair(p, q) for q in y]) - value for p in own)
        t = sum(np.mean([pair(p, q) for p in x]) - value for q in other)
        products.append(s * t)
        if len(own):
            first.append(s**2)
        if len(other):
            second.append(t**2)
    factors = [len(terms) / (len(terms) - 1) for terms in (first, second, products)]
    m, n = len(x), len(y)
    return math.sqrt(
        factors[0] * sum(first) / m**2 + factors[1] * sum(second) / n**2 + 2 * factors[2] * sum(products) / (m * n)
    )


@given(SIZE, SIZE, SEED, st.sampled_from([0, 1, 3]))
def test_the_area_is_scikit_learns(m, n, seed, levels):
    x, y = sample(m, n, seed, levels)
    found = auroc(x, y)
    # Smaller values are the positive class; sums of at most 900 halves in double precision.
    expected = roc_auc_score(np.repeat([0, 1], [m, n]), -np.concatenate([x, y]))
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert found.value == pytest.approx(stats.mannwhitneyu(x, y).statistic / (m * n), abs=1e-12)
    assert (found.n_natural, found.n_adversarial, found.clusters) == (m, n, m + n)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(SIZE, SIZE, SEED, st.sampled_from([0, 2]))
def test_without_clusters_the_standard_error_is_delongs(m, n, seed, levels):
    x, y = sample(m, n, seed, levels)
    order = pair(x[:, None], y)
    # DeLong et al. 1988: sample variances of the means over rows and columns.
    expected = math.sqrt(order.mean(1).var(ddof=1) / m + order.mean(0).var(ddof=1) / n)
    # A variance below 1e-14 counts as none.
    assert auroc(x, y).standard_error == pytest.approx(expected, abs=2e-7)


@settings(max_examples=50)
@given(st.integers(3, 12), SEED)
def test_with_clusters_it_is_that_of_a_plain_loop(groups, seed):
    generator = np.random.default_rng(seed)
    x, y = sample(15, 25, seed)
    # Some originals in both groups, some in one; at least two in each.
    a = np.concatenate([[0, 1], generator.integers(0, groups, 13)])
    b = np.concatenate([[1, 2], generator.integers(1, groups + 3, 23)])
    found = auroc(x, y, a, b)
    assert found.standard_error == pytest.approx(plain_standard_error(x, y, a, b), rel=1e-9)
    assert found.clusters == len({*a, *b})
    assert found.value == auroc(x, y).value
    # Names and the order of images do not matter.
    order = generator.permutation(25)
    again = auroc(x, y[order], [f"digit {i}" for i in a], [f"digit {i}" for i in b[order]])
    assert (again.standard_error, again.low, again.high) == pytest.approx((found.standard_error, found.low, found.high))


@given(SIZE, SIZE, st.integers(2, 9), SEED)
def test_repeating_images_within_clusters_adds_no_certainty(m, n, repeats, seed):
    x, y = sample(m, n, seed)
    single = auroc(x, y)
    repeated = auroc(x, np.repeat(y, repeats), None, np.repeat(np.arange(n), repeats))
    assert repeated.value == pytest.approx(single.value, abs=1e-12)
    assert repeated.standard_error == pytest.approx(single.standard_error, abs=2e-7)
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high), abs=1e-5)


@given(SIZE, SIZE, SEED, st.sampled_from([0, 1]))
def test_only_the_order_matters_and_swapping_mirrors(m, n, seed, levels):
    x, y = sample(m, n, seed, levels)
    found, swapped = auroc(x, y), auroc(y, x)
    stretched = auroc(torch.from_numpy(x).exp(), torch.from_numpy(y).exp())
    assert stretched == found
    mirrored = (1 - swapped.value, swapped.standard_error, 1 - swapped.high, 1 - swapped.low)
    assert (found.value, found.standard_error, found.low, found.high) == pytest.approx(mirrored, abs=1e-6)


def test_censored_values_tie():
    # Of four pairs one is in order, one out of order and two tie at either end of the range.
    assert auroc([0.001, 100.0], [0.001, 100.0]).value == 0.5
    assert auroc([math.inf, 1.0], [math.inf, 0.5]).value == 0.625
    assert auroc([100.0, 1.0], [100.0, 0.5]).value == 0.625


@pytest.mark.parametrize(("m", "n", "pairs"), [(1, 1, 1), (5, 40, 5), (60, 30, 30)])
def test_groups_that_do_not_overlap_get_an_exact_bound(m, n, pairs):
    found = auroc(np.arange(m) + 1.0, -np.arange(n) / n)
    low, _ = clopper_pearson(pairs, pairs)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(float(low), rel=1e-12)
    assert found.standard_error == 0 or m == 1
    other = auroc(-np.arange(n) / n, np.arange(m) + 1.0)
    assert (other.value, other.low, other.high) == (0, 0, pytest.approx(1 - float(low)))


def test_the_bound_counts_pairs_that_share_no_original():
    x, y = np.arange(12) + 1.0, -np.arange(12.0)
    # Twelve originals in both groups make six pairs; with six in both and six in either, eighteen make nine.
    for names, pairs in ((np.arange(12), 6), (np.arange(12) + 6, 9), (np.arange(12) + 12, 12), (np.arange(12) // 6, 2)):
        found = auroc(x, y, np.arange(12), names)
        assert found.low == pytest.approx(0.025 ** (1 / pairs), rel=1e-12)
    alone = auroc(x, y, np.zeros(12), np.zeros(12))
    assert (alone.low, alone.high) == (0, 1)
    assert math.isnan(alone.standard_error)


def test_where_all_values_are_equal_hoeffdings_inequality_is_left():
    found = auroc(np.ones(50), np.ones(80))
    assert (found.value, found.standard_error) == (0.5, 0)
    half = math.sqrt(math.log(40) / 100)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    # One original has no standard error, and its one pair says nothing.
    found = auroc([1.0, 3.0, 4.0], [2.0, 2.5], adversarial_clusters=[0, 0])
    assert math.isnan(found.standard_error)
    assert (found.low, found.high) == (0, 1)


@pytest.mark.parametrize("n", [30, 60])
@pytest.mark.parametrize("area", [0.5, 0.8, 0.95, 0.99])
def test_intervals_hold_their_level(n, area):
    # Normal and exponential scores: P(Y < X) = Phi(mu / sqrt 2) and r / (r + 1).
    replications = 600
    generator = np.random.default_rng(n)
    covered, narrow = np.zeros(2), 0
    for _ in range(replications):
        x, y = generator.normal(stats.norm.ppf(area) * math.sqrt(2), 1, n), generator.normal(0, 1, n)
        found = auroc(x, y)
        u, v = generator.exponential(area / (1 - area), n), generator.exponential(1, n)
        other = auroc(u, v)
        covered += [found.low <= area <= found.high, other.low <= area <= other.high]
        narrow += abs(found.value - area) < 1.28 * found.standard_error
    # 3 standard errors of a share of 600.
    assert (covered / replications > 0.95 - 3 * math.sqrt(0.95 * 0.05 / replications)).all()
    assert narrow / replications < 0.9, "the comparison should be able to fail"


def clustered(generator, area, originals=30, each=6):
    """Natural scores and several adversarial ones from each of the first originals, correlated through both."""
    own = generator.normal(size=2 * originals)
    x = stats.norm.ppf(area) * math.sqrt(2) + own
    shared = 0.5 * own[:originals, None] + 0.6 * generator.normal(size=(originals, 1))
    y = shared + math.sqrt(1 - 0.25 - 0.36) * generator.normal(size=(originals, each))
    return x, y.ravel(), np.arange(2 * originals), np.repeat(np.arange(originals), each)


@pytest.mark.parametrize("area", [0.5, 0.8, 0.95])
def test_intervals_hold_their_level_under_clustering(area):
    replications, generator = 400, np.random.default_rng(3)
    found = [auroc(*clustered(generator, area)) for _ in range(replications)]
    # 3 standard errors of a share of 400.
    covered = np.mean([one.low <= area <= one.high for one in found])
    assert covered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / replications)
    # The variance is estimated without bias but for 1 / clusters; that of 400 replications is known to 7 %.
    truth = np.var([one.value for one in found])
    assert np.mean([one.standard_error**2 for one in found]) == pytest.approx(truth, rel=0.25)


@pytest.mark.parametrize("both", [False, True])
def test_ignoring_clusters_would_be_wrong_either_way(both):
    generator = np.random.default_rng(4)
    values, aware, naive = [], [], []
    for _ in range(300):
        x, u = generator.normal(1, 1, 40), generator.normal(size=40)
        # Either each image's adversarial one goes with it, or each of eight originals is attacked five times.
        y = 0.8 * (x - 1) + 0.6 * u if both else 0.9 * np.repeat(u[:8], 5) + math.sqrt(0.19) * generator.normal(size=40)
        found = auroc(x, y, np.arange(40), np.arange(40) if both else 40 + np.arange(40) // 5)
        values.append(found.value)
        aware.append(found.standard_error**2)
        naive.append(auroc(x, y).standard_error ** 2)
    truth = np.var(values)
    # A variance from 300 replications is known to 8 %.
    assert np.mean(aware) == pytest.approx(truth, rel=0.25)
    assert np.mean(naive) > 1.4 * truth if both else np.mean(naive) < 0.6 * truth


@pytest.mark.parametrize(
    ("natural", "adversarial", "clusters", "sentence"),
    [
        ([], [1.0], None, "at least one natural value"),
        ([1.0], [], None, "at least one adversarial value"),
        ([1.0, math.nan], [1.0], None, "natural value"),
        ([1.0], [[1.0]], None, "adversarial value"),
        ([1.0, 2.0], [1.0], [1], "a cluster for each natural value"),
    ],
)
def test_bad_samples_are_refused(natural, adversarial, clusters, sentence):
    for measure in (auroc, detection_rate):
        with pytest.raises(ValueError, match=sentence):
            measure(natural, adversarial, natural_clusters=clusters)


def test_bad_levels_are_refused():
    for level in (0, 1, math.nan):
        with pytest.raises(ValueError, match="confidence"):
            auroc([1.0], [1.0], confidence=level)
        with pytest.raises(ValueError, match="false_positive_rate"):
            detection_rate([1.0], [1.0], level)


@given(st.integers(1, 200), SIZE, st.floats(0.01, 0.5), SEED, st.sampled_from([0, 2]))
def test_the_threshold_is_an_order_statistic(m, n, rate, seed, levels):
    x, y = sample(m, n, seed, levels)
    found = detection_rate(x, y, rate)
    rank = math.floor(rate * (m + 1) + 1e-9)
    assert found.threshold == (np.sort(x)[rank - 1] if rank else -math.inf)
    assert found.value == np.mean(y < found.threshold)
    assert found.false_positive_rate == np.mean(x < found.threshold) <= rate
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found.n_natural, found.n_adversarial, found.clusters) == (m, n, m + n)


def test_a_further_natural_image_is_seldom_flagged():
    # The r-th of m uniform values has the mean r / (m + 1), the chance that another one lies below.
    generator = np.random.default_rng(6)
    for m, rate, expected in ((39, 0.05, 2 / 40), (50, 0.05, 2 / 51), (99, 0.1, 0.1), (15, 0.05, 0.0)):
        thresholds = np.array([detection_rate(generator.random(m), [0.0], rate).threshold for _ in range(300)])
        chance = np.clip(thresholds, 0, 1)
        assert expected <= rate
        # 4 standard errors.
        assert chance.mean() == pytest.approx(expected, abs=4 * chance.std() / math.sqrt(300) + 1e-12)


@pytest.mark.parametrize(("m", "n"), [(30, 60), (100, 100), (300, 150)])
@pytest.mark.parametrize("area", [0.5, 0.8, 0.95])
def test_intervals_of_the_rate_hold_their_level(m, n, area):
    replications, generator = 200, np.random.default_rng(m)
    shift = stats.norm.ppf(area) * math.sqrt(2)
    truth = stats.norm.cdf(shift + stats.norm.ppf(0.05))
    covered = fixed = 0
    for _ in range(replications):
        x, y = generator.normal(shift, 1, m), generator.normal(0, 1, n)
        found = detection_rate(x, y)
        covered += found.low <= truth <= found.high
        low, high = clopper_pearson(round(found.value * n), n)
        fixed += low <= truth <= high
    # 2 standard errors of a share of 200; square-and-add with exact parts covers more than it says.
    assert covered / replications > 0.95 - 2 * math.sqrt(0.95 * 0.05 / replications)
    if area > 0.5:
        assert fixed / replications < 0.9, "a threshold taken for known would be wrong"


def test_intervals_of_the_rate_hold_their_level_under_clustering():
    replications, generator = 200, np.random.default_rng(8)
    truth = stats.norm.cdf(stats.norm.ppf(0.9) * math.sqrt(2) + stats.norm.ppf(0.1))
    covered = 0
    for _ in range(replications):
        x, y, a, b = clustered(generator, 0.9)
        found = detection_rate(x, y, 0.1, a, b)
        covered += found.low <= truth <= found.high
    assert covered / replications > 0.95 - 2 * math.sqrt(0.95 * 0.05 / replications)


@given(st.integers(20, 60), SIZE, st.integers(2, 9), SEED)
def test_repeating_images_adds_no_certainty_to_the_rate(m, n, repeats, seed):
    x, y = sample(m, n, seed)
    single = detection_rate(x, y, 0.2)
    repeated = detection_rate(x, np.repeat(y, repeats), 0.2, None, np.repeat(np.arange(n), repeats))
    assert repeated.value == pytest.approx(single.value, abs=1e-12)
    # The inverse of the incomplete beta function is good to about 1e-12.
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high), abs=1e-9)


def test_rates_at_the_ends():
    nothing = detection_rate(np.arange(10.0), -np.ones(10))
    assert (nothing.threshold, nothing.value, nothing.low) == (-math.inf, 0, 0)
    # Ten natural images set no threshold for 5 %; what lies below all of them may well be found by a true one.
    assert nothing.high == 1
    everything = detection_rate(np.arange(200.0), -np.ones(50))
    low, _ = clopper_pearson(50, 50)
    assert (everything.value, everything.high) == (1, 1)
    assert everything.low == pytest.approx(float(low), rel=1e-12)
    # Ties with the threshold are not below it: censored images of both groups are not found.
    assert detection_rate(np.full(100, 0.001), np.full(100, 0.001)).value == 0
    equal = detection_rate(np.full(100, math.inf), np.ones(100))
    assert (equal.value, equal.threshold) == (1, math.inf)
