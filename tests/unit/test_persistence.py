"""Persistence and stability against closed forms. Tolerances are stated in standard errors of the estimate."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from neighborhoods.networks import fully_connected
from neighborhoods.persistence import persistence, stability, stability_curve

GAMMA = 0.7


def orthant(k: int):
    """Class 1 where the first k coordinates are all positive."""

    def model(x):
        inside = x.flatten(1)[:, :k].amin(1)
        return torch.stack([-inside, inside], 1)

    return model


def point(k: int, distance: float, images: int, n: int = 784) -> torch.Tensor:
    x = torch.zeros(images, n)
    x[:, :k] = distance
    return x


def closed_form(k: int, gamma: float = GAMMA, distance: float = 1.0) -> float:
    """Bell, proposition 4.3, as ERRATA writes it."""
    return distance / stats.norm.ppf(gamma ** (1 / k))


def relative_error(k: int, samples: int, gamma: float = GAMMA) -> float:
    """Standard error of log sigma* by the delta method: sqrt(gamma (1 - gamma) / N) / |dP / dlog sigma|."""
    z = stats.norm.ppf(gamma ** (1 / k))
    slope = k * stats.norm.cdf(z) ** (k - 1) * stats.norm.pdf(z) * z
    return math.sqrt(gamma * (1 - gamma) / samples) / slope


def test_published_values_of_the_closed_form():
    published = {1: 1.907, 2: 1.020, 3: 0.823, 5: 0.674, 10: 0.552, 20: 0.475, 50: 0.408, 100: 0.372}
    for k, value in published.items():
        assert closed_form(k) == pytest.approx(value, abs=5e-4)
    # ERRATA: 25, 8, 2.5, .8 % for 10^2 ... 10^5 samples.
    assert [relative_error(1, 10**n) for n in (2, 3, 4, 5)] == pytest.approx([0.25, 0.08, 0.025, 0.008], rel=0.05)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
def test_orthants_in_784_dimensions(k):
    images, samples = 40, 1000
    result = persistence(orthant(k), point(k, 1.0, images), GAMMA, samples, seed=k)
    assert result.status == ["ok"] * images
    # The mean over images has this standard error; the second term allows for the estimate's bias, of order SE^2.
    error = relative_error(k, samples)
    assert abs(float(result.sigma.log().mean()) - math.log(closed_form(k))) < 4 * error / math.sqrt(images) + error**2


def test_outside_a_cone_points_persist_longer():
    # P = 1 - prod Phi(d_i / s) from outside at the corner's opposite side: here 1 - Phi(-1 / s)^k.
    k, images, samples, sigma_max = 3, 20, 1000, 50.0
    result = persistence(orthant(k), point(k, -1.0, images, n=8), GAMMA, samples, sigma_max=sigma_max)
    # At sigma -> inf the share tends to 1 - 2^-3 = .875 > .7: never crossed.
    assert result.status == ["censored_high"] * images
    assert bool((result.low > closed_form(k)).all())
    gamma = 0.9
    exact = 1 / -stats.norm.ppf((1 - gamma) ** (1 / k)) if (1 - gamma) ** (1 / k) < 0.5 else None
    result = persistence(orthant(k), point(k, -1.0, images, n=8), gamma, 4000)
    assert exact is not None
    # Coverage of each of 20 intervals at 95 %: at least 15 with a chance above 0.9997.
    assert int(((result.low <= exact) & (exact <= result.high)).sum()) >= 15


@pytest.mark.parametrize(("k", "gamma"), [(1, 0.7), (5, 0.7), (2, 0.9)])
def test_intervals_hold_their_level(k, gamma):
    # Identical images get independent noise, so one call replicates the experiment.
    images, samples = 1000, 200
    result = persistence(orthant(k), point(k, 1.0, images, n=k), gamma, samples, 0.95, seed=3)
    exact = closed_form(k, gamma)
    covered = float(((result.low <= exact) & (exact <= result.high)).double().mean())
    assert covered >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / images)
    # Exact binomial tests are conservative, but not by much: above .99 the interval would be too wide.
    assert covered < 0.99


def shells(x):
    """Class 1 within radius 1 and between radii 2 and 3, in 64 dimensions scaled so that |z| is about 1."""
    radius = x.flatten(1).norm(dim=1) / 8
    inside = (radius < 1) | ((radius > 2) & (radius < 3))
    return torch.stack([~inside, inside], 1).float()


def test_the_first_of_several_crossings_counts():
    result = persistence(shells, torch.zeros(10, 64), GAMMA, 1000)
    # P = chi2 distribution function at 64 / sigma^2 near the first crossing.
    exact = 8 / math.sqrt(stats.chi2.ppf(GAMMA, 64))
    assert result.status == ["ok"] * 10
    assert result.sigma.numpy() == pytest.approx(exact, rel=0.02)
    assert float(stability(shells, torch.zeros(1, 64), 2.5, 1000).frequency[0, 1]) > GAMMA


def test_a_constant_classifier_is_censored_high():
    calls = []

    def constant(x):
        calls.append(len(x))
        return torch.ones(len(x), 3).cumsum(1)

    result = persistence(constant, torch.zeros(4, 10), samples=500, sigma_max=8.0)
    assert result.status == ["censored_high"] * 4
    assert result.sigma.tolist() == [8.0] * 4
    assert result.low.tolist() == [8.0] * 4
    assert result.high.tolist() == [math.inf] * 4
    assert sum(calls) < 4 * 500 * 40


def test_a_point_on_the_boundary_is_censored_low():
    result = persistence(orthant(1), point(1, 0.0, 5), samples=1000, sigma_min=1e-3)
    assert result.status == ["censored_low"] * 5
    assert result.low.tolist() == [0.0] * 5
    assert result.sigma.tolist() == [1e-3] * 5
    assert bool((result.high <= 1e-3).all())


def test_a_limit_beyond_the_range_is_infinite():
    # sigma* = 1.907 lies below sigma_max, the upper limit does not.
    result = persistence(orthant(1), point(1, 1.0, 30), samples=100, sigma_max=2.2, seed=1)
    ok = torch.tensor([status == "ok" for status in result.status])
    assert int((result.high[ok] == math.inf).sum()) > 0
    assert bool((result.low <= result.sigma).all() & (result.sigma <= result.high).all())


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return fully_connected((1, 8, 8), (30, 20), 10).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def assert_equal(first, second, count=None):
    assert torch.equal(first.sigma[:count], second.sigma[:count])
    assert torch.equal(first.low[:count], second.low[:count])
    assert torch.equal(first.high[:count], second.high[:count])
    assert first.status[:count] == second.status[:count]


def test_chunks_and_batches_do_not_matter(network, images):
    model = lambda x: network(x)  # noqa: E731  (a callable, not a module)
    reference = persistence(model, images, samples=300)
    assert_equal(persistence(model, images, samples=300, batch_size=7), reference)
    assert_equal(persistence(model, images, samples=300, memory_mb=1), reference)
    assert_equal(persistence(model, images[:5], samples=300), reference, 5)


def test_a_first_linear_layer_applied_once_changes_nothing_but_rounding(network, images):
    fast = persistence(network, images, samples=300)
    slow = persistence(lambda x: network(x), images, samples=300)
    # A sample whose two leading logits tie within rounding may differ: one of 300 moves sigma by far less than 5 %.
    assert fast.sigma.numpy() == pytest.approx(slow.sigma.numpy(), rel=0.05)
    assert float((fast.sigma != slow.sigma).double().mean()) < 0.2


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_sigma_scales_with_the_image_and_its_classifier(factor):
    # Powers of two scale without rounding, so even the bisection takes the same path.
    x = point(2, 1.0, 5, n=16)
    base = persistence(orthant(2), x, samples=200, sigma_min=0.01, sigma_max=10)
    scaled = persistence(orthant(2), x * factor, samples=200, sigma_min=0.01 * factor, sigma_max=10 * factor)
    assert scaled.sigma.numpy() == pytest.approx(base.sigma.numpy() * factor, rel=5e-3)


def test_a_larger_gamma_never_persists_longer(network, images):
    # The same seed gives the same noise, so this holds for each image, up to the bisection's precision.
    sigmas = [persistence(network, images, gamma, 500).sigma for gamma in (0.5, 0.7, 0.9)]
    assert bool((sigmas[0] * 1.002 >= sigmas[1]).all() & (sigmas[1] * 1.002 >= sigmas[2]).all())


def test_another_seed_gives_other_noise(network, images):
    assert not torch.equal(
        persistence(network, images, samples=200).sigma, persistence(network, images, samples=200, seed=1).sigma
    )


def test_a_module_is_measured_in_evaluation_mode_and_put_back():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.9), nn.Linear(16, 3))
    x = torch.rand(3, 4)
    model.eval()
    expected = persistence(model, x, samples=100)
    statistics = model[2].running_mean.clone()
    model.train()
    assert_equal(persistence(model, x, samples=100), expected)
    assert model.training
    assert torch.equal(model[2].running_mean, statistics)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"gamma": 0.0}, "gamma must lie in"),
        ({"gamma": 1.0}, "gamma must lie in"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"confidence": 1.0}, "confidence must lie in"),
        ({"sigma_min": 2.0, "sigma_max": 1.0}, "sigma_min < sigma_max"),
        ({"scan_factor": 1.0}, "scan_factor"),
        ({"x": torch.zeros(0, 3)}, "expected floating-point images"),
        ({"x": torch.zeros(2, 3, dtype=torch.int64)}, "expected floating-point images"),
        ({"x": torch.full((2, 3), math.nan)}, "must be finite"),
        ({"model": lambda x: x.sum(1)}, "logits"),
        ({"model": lambda x: x * math.nan}, "logits must be finite"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        persistence(**{"model": orthant(1), "x": torch.ones(2, 3), **arguments})


def test_frequencies_of_a_half_space():
    sigmas, samples, images = [0.3, 0.5, 1.0, 3.0], 2000, 25
    curve = stability_curve(orthant(1), point(1, 1.0, images), sigmas, samples)
    assert curve.frequency.shape == (images, 4, 2)
    exact = stats.norm.cdf(1 / np.array(sigmas))
    covered = (curve.low[..., 1].numpy() <= exact) & (exact <= curve.high[..., 1].numpy())
    # Images are independent, sigmas of one image are not: 25 at 95 %, fewer than 19 with a chance below 1e-3 each.
    assert np.all(covered.sum(0) >= 19)
    assert curve.frequency.sum(2).numpy() == pytest.approx(1)


def test_intervals_of_frequencies_are_scipys(network, images):
    found = stability(network, images, 0.5, samples=50, confidence=0.9)
    for share, low, high in zip(found.frequency.flatten(), found.low.flatten(), found.high.flatten(), strict=True):
        exact = stats.binomtest(round(float(share) * 50), 50).proportion_ci(0.9, "exact")
        assert (float(low), float(high)) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_without_noise_the_class_is_certain(network, images):
    curve = stability_curve(network, images, [0.0], samples=20)
    assert torch.equal(curve.frequency[:, 0].argmax(1), network(images).argmax(1))
    assert bool((curve.frequency[:, 0].amax(1) == 1).all())


def test_stability_refuses_bad_sigmas(network, images):
    for sigmas in ([], [-1.0]):
        with pytest.raises(ValueError, match="sigma"):
            stability_curve(network, images, sigmas)
