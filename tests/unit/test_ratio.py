"""Ratios of means and of variances against closed forms, plain loops and their own level."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neighborhoods.images import recounted, variance_ratio
from neighborhoods.statistics.intervals import ratio, summarize

SEED = st.integers(0, 2**32 - 1)


@given(SEED, st.integers(2, 30), st.integers(2, 30), st.floats(0.01, 100), st.floats(0.01, 100))
def test_without_clusters_the_error_is_the_textbook_one(seed, n, m, first_unit, second_unit):
    generator = np.random.default_rng(seed)
    first, second = first_unit * (1 + generator.random(n)), second_unit * (1 + generator.random(m))
    found = ratio(first, second)
    # Var ln(a/b) = var(a)/(n a^2) + var(b)/(m b^2) for independent means.
    variance = sum(values.var(ddof=1) / len(values) / values.mean() ** 2 for values in (first, second))
    assert found.value == pytest.approx(first.mean() / second.mean())
    assert found.log_error == pytest.approx(math.sqrt(variance))
    reach = math.exp(math.sqrt(variance) * stats.t.ppf(0.975, min(n, m) - 1))
    assert (found.low, found.high) == pytest.approx((found.value / reach, found.value * reach))
    assert found.clusters == n + m


@given(SEED, st.integers(3, 12))
def test_shared_clusters_are_those_of_a_plain_loop(seed, groups):
    generator = np.random.default_rng(seed)
    natural_of = np.arange(groups)
    adversarial_of = generator.integers(0, groups, 40)
    adversarial_of[:2] = (0, 1)
    natural, adversarial = 1 + generator.random(groups), 1 + generator.random(40)
    total = 0.0
    factors = [math.sqrt(g / (g - 1)) for g in (groups, len(set(adversarial_of.tolist())))]
    for group in range(groups):
        parts = [
            factor * np.sum(values[of == group] / values.mean() - 1) / len(values)
            for factor, values, of in zip(factors, (natural, adversarial), (natural_of, adversarial_of), strict=True)
        ]
        total += (parts[0] - parts[1]) ** 2
    found = ratio(natural, adversarial, natural_of, adversarial_of)
    assert found.log_error == pytest.approx(math.sqrt(total))
    assert found.clusters == groups


def test_a_sample_over_itself_is_one_without_error():
    values = np.array([1.0, 2.0, 4.0])
    found = ratio(values, values, range(3), range(3))
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1))


def test_the_relative_error_of_one_mean_is_summarizes():
    values, clusters = np.array([1.0, 2.0, 4.0, 3.0]), [0, 0, 1, 2]
    alone = summarize(values, clusters)
    # A constant sample adds nothing, so what is left is the numerator's own clustered error.
    found = ratio(values, np.ones(4), clusters, clusters)
    assert found.log_error == pytest.approx(alone.standard_error / alone.mean)


def test_the_inverse_ratio_has_the_inverse_interval():
    first, second = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 4.0, 9.0])
    forth, back = ratio(first, second), ratio(second, first)
    assert (back.value, back.low, back.high) == pytest.approx((1 / forth.value, 1 / forth.high, 1 / forth.low))


@pytest.mark.parametrize("spread", [0.3, 0.7])
def test_the_interval_holds_its_level_when_samples_share_images(spread):
    generator = np.random.default_rng(1)
    images, targets, trials = 25, 4, 1500
    covered = 0
    for _ in range(trials):
        # Log-normal persistences whose images count for both samples; 10 more images are natural only.
        own = generator.normal(0, spread, images + 10)
        natural = np.exp(own + generator.normal(0, spread, images + 10))
        adversarial = 0.5 * np.exp(own[:images, None] + generator.normal(0, spread, (images, targets))).ravel()
        found = ratio(natural, adversarial, np.arange(images + 10), np.arange(images).repeat(targets), 0.9)
        covered += found.low <= 2.0 <= found.high
    # The standard error of a share near 0.9 over 1500 trials is 0.008. The delta method is a few points short for values
    # as skewed as the wider ones, of 35 and 25 clusters.
    assert 0.84 < covered / trials < 0.93


def test_one_cluster_has_no_interval():
    found = ratio([1.0, 2.0], [1.0, 1.0, 4.0], [3, 3], [3, 4, 5])
    assert found.value == pytest.approx(0.75)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.clusters == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [1.0]), "at least one value"),
        (([1.0, np.nan], [1.0]), "finite values with a positive mean"),
        (([-1.0, 0.5], [1.0]), "finite values with a positive mean"),
        (([1.0], [1.0], [0]), "of both samples or of none"),
        (([1.0, 2.0], [1.0], [0], [1]), "a cluster for each"),
    ],
)
def test_bad_samples_of_a_ratio_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ratio(*arguments)


@given(SEED, st.floats(0.001, 0.1), st.floats(-0.5, 0.5))
def test_the_variance_ratio_is_numpys_and_leaves_shifts_out(seed, size, shift):
    generator = np.random.default_rng(seed)
    x = generator.random((3, 2, 4, 5))
    noise = size * generator.standard_normal(x.shape)
    expected = noise.reshape(3, -1).var(1) / x.reshape(3, -1).var(1)
    found = variance_ratio(torch.tensor(x), torch.tensor(x + noise + shift))
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(expected, rel=1e-6)


def test_the_variance_ratio_of_a_scaled_image_is_the_square():
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    assert variance_ratio(x, 1.1 * x).tolist() == pytest.approx([0.01] * 2)


def test_images_of_one_colour_have_no_variance_ratio():
    x = torch.full((2, 1, 2, 2), 0.5)
    changed = x.clone()
    changed[0, 0, 0, 0] = 1
    assert variance_ratio(x, changed)[0] == math.inf
    assert math.isnan(variance_ratio(x, changed)[1])


@pytest.mark.parametrize("shape", [(2, 4), (1, 3), (0,)])
def test_images_of_two_shapes_have_no_variance_ratio(shape):
    with pytest.raises(ValueError, match="of one shape"):
        variance_ratio(torch.zeros(2, 3), torch.zeros(shape))


def test_distortions_are_recounted_by_the_root():
    # Distortion with n values times sqrt(n) is the norm, whatever n is.
    assert recounted(0.0188, 196608, 150528) * math.sqrt(150528) == pytest.approx(0.0188 * math.sqrt(196608))
    with pytest.raises(ValueError, match="at least one value"):
        recounted(0.1, 0, 1)
