"""Persistence and stability against closed forms. Tolerances are stated in standard errors of the estimate."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from torch import nn

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.networks.inputs import TRIED
from neighborhoods.persistence.measure import (
    persistence,
    persistence_of_gammas,
    stability,
    stability_curve,
)
from neighborhoods.persistence.noise import noise_directions
from tests.unit.persistence_cases import GAMMA, closed_form, orthant, point, relative_error, shells

pytestmark = pytest.mark.usefixtures("one_thread")


def test_published_values_of_the_closed_form():
    published = {1: 1.907, 2: 1.020, 3: 0.823, 5: 0.674, 10: 0.552, 20: 0.475, 50: 0.408, 100: 0.372}
    for k, value in published.items():
        assert closed_form(k) == pytest.approx(value, abs=5e-4)
    # Errata: 25, 8, 2.5, .8 % for 10^2 ... 10^5 samples.
    assert [relative_error(1, 10**n) for n in (2, 3, 4, 5)] == pytest.approx([0.25, 0.08, 0.025, 0.008], rel=0.05)


def test_a_half_space_in_784_dimensions_at_distance_one():
    result = persistence(orthant(1), point(1, 1.0, 2), 0.7, samples=20_000)
    # Two standard deviations of log sigma* are 3.5 % here, the published number is rounded to .03 %.
    assert result.sigma.numpy() == pytest.approx(1.907, rel=4 * relative_error(1, 20_000))
    assert result.low.max() < 1.907 < result.high.min()


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
def test_orthants_in_784_dimensions(k):
    images, samples = 40, 1000
    result = persistence(orthant(k), point(k, 1.0, images), GAMMA, samples, seed=k)
    assert result.status == ["ok"] * images
    # The mean over images has this standard error; the second term allows for the estimate's bias, of order SE^2.
    error = relative_error(k, samples)
    assert abs(float(result.sigma.log().mean()) - math.log(closed_form(k))) < 4 * error / math.sqrt(images) + error**2


def first_crossing(chance, gamma: float) -> float:
    """Where a share that depends on sigma first falls to gamma: a fine scan, then Brent's method."""
    grid = np.geomspace(1e-2, 50, 5000)
    below = np.flatnonzero(chance(grid) < gamma)
    return (
        math.inf
        if len(below) == 0
        else optimize.brentq(lambda s: chance(s) - gamma, *grid[below[0] - 1 : below[0] + 1])
    )


@pytest.mark.parametrize(
    ("coordinates", "gamma"),
    [((-1.0, -1.0, -1.0), 0.9), ((-1.0, 3.0), 0.74), ((-1.0, 0.5, 3.0), 0.85), ((-1.0,), 0.6), ((-0.3, -1.0), 0.85)],
)
def test_outside_a_cone_the_share_is_one_less_a_product(coordinates, gamma):
    # Two of these shares dip below gamma and rise above it again: the first crossing counts.
    images, samples = 200, 1000
    x = torch.tensor([coordinates]).repeat(images, 1)

    def chance(sigma):
        return 1 - np.prod([stats.norm.cdf(c / sigma) for c in coordinates], axis=0)

    exact = first_crossing(chance, gamma)
    assert math.isfinite(exact)
    result = persistence(orthant(len(coordinates)), x, gamma, samples, seed=len(coordinates))
    covered = float(((result.low <= exact) & (exact <= result.high)).double().mean())
    assert covered >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / images)
    # The median crossing is off by the estimate's standard error over sqrt(200), times 1.25 for a median, four times; and
    # by a part of that error where the share flattens out just below gamma, which a line cannot follow.
    step = 1e-4
    slope = abs(chance(exact * (1 + step)) - chance(exact * (1 - step))) / (2 * step)
    error = math.sqrt(gamma * (1 - gamma) / samples) / slope
    assert (
        abs(float(result.sigma.median().log()) - math.log(exact)) < 4 * 1.25 * error / math.sqrt(images) + 0.25 * error
    )


def test_outside_a_cone_points_persist_longer_than_inside():
    k, images, samples = 3, 20, 1000
    # At sigma -> inf the share from outside tends to 1 - 2^-3 = .875 > .7: never crossed.
    outside = persistence(orthant(k), point(k, -1.0, images, n=8), GAMMA, samples, sigma_max=50.0)
    assert outside.status == ["censored_high"] * images
    assert bool((outside.low > closed_form(k)).all())
    inside = persistence(orthant(k), point(k, 1.0, images, n=8), 0.9, samples)
    outside = persistence(orthant(k), point(k, -1.0, images, n=8), 0.9, samples)
    assert bool((outside.low > inside.high).all())


def test_the_first_of_several_crossings_counts():
    images, samples = 10, 1000
    result = persistence(shells, torch.zeros(images, 64), GAMMA, samples)
    # P = chi2 distribution function at 64 / sigma^2 near the first crossing.
    exact = 8 / math.sqrt(stats.chi2.ppf(GAMMA, 64))
    assert result.status == ["ok"] * images
    # Standard error of log sigma*: that of the share over 2 q f(q), the slope of F(64 / sigma^2) in log sigma.
    quantile = stats.chi2.ppf(GAMMA, 64)
    error = math.sqrt(GAMMA * (1 - GAMMA) / samples) / (2 * quantile * stats.chi2.pdf(quantile, 64))
    # Four of them for each of ten images, and half the width at which the search stops.
    assert result.sigma.log().numpy() == pytest.approx(math.log(exact), abs=4 * error + 0.0025)
    # A bisection from outside would have found the crossing beyond radius 4.
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
    # 1100 samples of 64 pixels are more than a quarter of a megabyte: with one megabyte, chunks of three images.
    reference = persistence(model, images, samples=1100)
    assert_equal(persistence(model, images, samples=1100, batch_size=7), reference)
    assert_equal(persistence(model, images, samples=1100, batch_size=5000), reference)
    assert_equal(persistence(model, images, samples=1100, memory_mb=1), reference)
    assert_equal(persistence(model, images[:5], samples=1100), reference, 5)
    assert_equal(persistence(model, images[:1], samples=1100), reference, 1)


def test_chunks_and_batches_do_not_matter_to_frequencies(network, images):
    model = lambda x: network(x)  # noqa: E731
    reference = stability_curve(model, images, [0.1, 0.7], samples=1100)
    for changed in ({"batch_size": 7}, {"memory_mb": 1}):
        assert torch.equal(
            stability_curve(model, images, [0.1, 0.7], samples=1100, **changed).frequency, reference.frequency
        )
    assert torch.equal(stability_curve(model, images[:1], [0.1, 0.7], samples=1100).frequency, reference.frequency[:1])


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 5), st.integers(0, 2**31))
def test_an_image_does_not_see_the_others(batch_size, samples, others, seed):
    # A comparison of coordinates has no rounding, so that every bit must agree.
    x = torch.rand(1 + others, 4, generator=torch.Generator().manual_seed(seed)) + 0.1
    reference = persistence(orthant(2), x[:1], samples=samples, seed=seed)
    assert_equal(persistence(orthant(2), x, samples=samples, seed=seed, batch_size=batch_size), reference, 1)


def test_noise_is_standard_normal_and_belongs_to_seed_and_image():
    z = noise_directions((3, 4), 5000, seed=1, image=2)
    assert z.shape == (5000, 3, 4)
    # A false alarm once in 10^4 seeds.
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-4
    # The correlation of 60,000 pairs has a standard error of .0041.
    for other in (noise_directions((3, 4), 5000, seed=1, image=3), noise_directions((3, 4), 5000, seed=2, image=2)):
        assert abs(np.corrcoef(z.flatten(), other.flatten())[0, 1]) < 4 * 0.0041
    assert torch.equal(z, noise_directions((3, 4), 5000, seed=1, image=2))


def test_the_global_random_state_is_neither_read_nor_moved(network, images):
    results = []
    for state in (1, 2):
        torch.manual_seed(state)
        before = torch.random.get_rng_state()
        results.append(persistence(network, images, samples=50))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert_equal(*results)


def test_evaluations_count_the_noisy_images(images):
    seen = []

    def counting(x):
        seen.append(len(x))
        return orthant(2)(x)

    result = persistence(counting, images, samples=300)
    # The images themselves are classified once, without noise, after a trial on the first ones.
    assert int(result.evaluations.sum()) == sum(seen) - len(images) - TRIED
    assert result.samples == 300


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
    stability(model, x, 0.5, samples=100)
    assert model.training
    model.eval()
    persistence(model, x, samples=100)
    assert not model.training


def test_a_frozen_layer_stays_frozen():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)).train()
    model[2].eval()
    persistence(model, torch.rand(2, 4), samples=20)
    assert [module.training for module in model] == [True, True, False, True]


@pytest.mark.parametrize("transform", [torch.log, lambda x: (30 * x).exp()])
def test_logits_that_are_not_finite_on_noisy_images_get_a_sentence(transform):
    # Finite at the image itself; the logarithm of a negative pixel is not, nor is a large exponential.
    for measure in (persistence, lambda model, x, samples: stability(model, x, 50.0, samples)):
        with pytest.raises(ValueError, match="logits must be finite, found others on noisy images"):
            measure(transform, torch.tensor([[0.9, 0.1, 0.1]]), samples=200)


def test_a_model_that_fails_is_put_back_too():
    class Failing(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 3:
                raise MemoryError("out of memory")
            return orthant(1)(x)

    model = Failing().train()
    for measure in (persistence, lambda m, x, samples: stability(m, x, 0.5, samples)):
        model.calls = 0
        with pytest.raises(MemoryError):
            measure(model, torch.ones(2, 3), samples=2000)
        assert model.training
        assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"gamma": 0.0}, "gamma must lie in"),
        ({"gamma": 1.0}, "gamma must lie in"),
        ({"gamma": -0.5}, "gamma must lie in"),
        ({"gamma": math.nan}, "gamma must lie in"),
        ({"samples": 0}, "samples must be at least 1, found 0"),
        ({"samples": -3}, "samples must be at least 1, found -3"),
        ({"confidence": 1.0}, "confidence must lie in"),
        ({"sigma_min": 2.0, "sigma_max": 1.0}, "sigma_min < sigma_max"),
        ({"sigma_min": 0.0}, "sigma_min < sigma_max"),
        ({"sigma_max": math.inf}, "sigma_min < sigma_max"),
        ({"scan_factor": 1.0}, "scan_factor"),
        ({"noise": "pink"}, "noise must be one of gaussian, ball"),
        ({"method": "newton"}, "method must be one of sequential, algorithm1"),
        ({"method": "algorithm1", "max_steps": 0}, "at least one step"),
        ({"method": "algorithm1", "noise": "ball"}, "algorithm1 knows gaussian noise only, found 'ball'"),
        ({"x": torch.zeros(0, 3)}, "expected floating-point images"),
        ({"x": torch.zeros(2, 3, dtype=torch.int64)}, "expected floating-point images"),
        ({"x": torch.ones(3)}, "expected floating-point images"),
        ({"x": torch.full((2, 3), math.nan)}, "images must be finite"),
        ({"x": torch.tensor([[1.0, 2.0], [math.inf, 0.0]])}, "images must be finite"),
        ({"model": lambda x: x.sum(1)}, r"must map \(2, 3\) to logits \[2, classes\], found \(2,\)"),
        ({"model": lambda x: x[:1]}, r"to logits \[2, classes\], found \(1, 3\)"),
        ({"model": lambda x: x[:, None]}, r"to logits \[2, classes\], found \(2, 1, 3\)"),
        ({"model": lambda x: x * math.nan}, "logits must be finite"),
        ({"model": lambda x: x * math.inf}, "logits must be finite"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        persistence(**{"model": orthant(1), "x": torch.ones(2, 3), **arguments})


@pytest.mark.parametrize("gammas", [[], [0.5, 1.5]])
def test_gammas_out_of_range_get_a_sentence(gammas):
    with pytest.raises(ValueError, match="gamma must lie in"):
        persistence_of_gammas(orthant(1), torch.ones(2, 3), gammas)


def test_several_gammas_give_what_each_gives_alone():
    x = point(3, 1.0, 6, n=5)
    for gamma, found in zip((0.6, 0.8), persistence_of_gammas(orthant(3), x, (0.6, 0.8), 300, seed=5), strict=True):
        assert_equal(found, persistence(orthant(3), x, gamma, 300, seed=5))
        assert found.gamma == gamma


def test_a_larger_gamma_never_persists_longer(network, images):
    results = [persistence(network, images, gamma, 500) for gamma in (0.5, 0.7, 0.9)]
    for smaller, larger in itertools.pairwise(results):
        assert bool((smaller.sigma > larger.sigma).all())


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([0.125, 0.5, 2.0, 16.0]), st.integers(0, 1000))
def test_sigma_scales_with_a_networks_input(factor, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x = torch.rand(3, 6, dtype=torch.float64)
    base = persistence(network, x, samples=150, sigma_min=0.01, sigma_max=10)
    scaled = persistence(
        lambda x: network(x / factor), x * factor, samples=150, sigma_min=0.01 * factor, sigma_max=10 * factor
    )
    # Powers of two scale without rounding; logarithms of sigma are rounded, and steps toward the best line enlarge that.
    assert scaled.status == base.status
    assert scaled.sigma.numpy() == pytest.approx(base.sigma.numpy() * factor, rel=1e-6)


def test_the_estimate_is_where_a_plain_loop_crosses(network, images):
    samples = 4000
    result = persistence(network, images[:3], GAMMA, samples, seed=4)
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(samples * 4, 1, 8, 8, generator=generator)
    with torch.no_grad():
        for i in range(3):
            own = network(images[i : i + 1]).argmax()
            assert result.predicted[i] == own
            for sigma, wanted in ((float(result.low[i]), 1), (float(result.high[i]), -1)):
                share = float((network(images[i] + sigma * z).argmax(1) == own).float().mean())
                # Independent noise: the share at a limit is on its side of gamma, within four standard errors.
                assert (share - GAMMA) * wanted > -4 * math.sqrt(0.21 / len(z))
            share = float((network(images[i] + float(result.sigma[i]) * z).argmax(1) == own).float().mean())
            # The estimate's own error is at most that of one half, and the loop's half of that.
            assert abs(share - GAMMA) < 4 * math.sqrt(0.21 / samples) * 1.12


def test_the_standard_error_of_a_mean_over_images_is_right(network, images):
    # Images have independent noise, so that over seeds the mean of n estimates varies as a mean of n independent ones.
    seeds = 60
    sigmas = torch.stack([persistence(network, images, GAMMA, 100, seed=seed).sigma.log() for seed in range(seeds)])
    alone = float(sigmas.var(0).mean()) / len(images)
    together = float(sigmas.mean(1).var())
    # Ratio of two variances with 59 and over 600 degrees of freedom: 99.9 % within these limits.
    low, high = stats.f.ppf([5e-4, 1 - 5e-4], seeds - 1, (seeds - 1) * len(images))
    assert low < together / alone < high


def test_algorithm_1_and_the_default_agree(network, images):
    ours = persistence(network, images, GAMMA, 2000).sigma.log()
    theirs = torch.stack(
        [persistence(network, images, GAMMA, 2000, seed=s, method="algorithm1").sigma.log() for s in range(6)]
    )
    error = torch.hypot(theirs.std(0) * math.sqrt(1 + 1 / 6), torch.tensor(0.02))
    assert bool(((ours - theirs.mean(0)).abs() < 4.5 * error).all())


@pytest.mark.parametrize("k", [1, 3])
def test_the_ball_has_the_gaussians_persistence_in_many_dimensions(k):
    # A coordinate of the ball in 784 dimensions is within 1e-3 of a standard normal one.
    images, samples = 40, 1000
    result = persistence(orthant(k), point(k, 1.0, images), GAMMA, samples, noise="ball")
    error = relative_error(k, samples)
    assert abs(float(result.sigma.log().mean()) - math.log(closed_form(k))) < 4 * error / math.sqrt(images) + error**2


def test_the_ball_in_one_dimension():
    # Uniform on [-sqrt(3) sigma, sqrt(3) sigma]: the share is 1/2 + 1 / (2 sqrt(3) sigma), gamma at sigma = 1 / (.4 sqrt(3)).
    result = persistence(orthant(1), point(1, 1.0, 200, n=1), GAMMA, 1000, noise="ball")
    exact = 1 / (0.4 * math.sqrt(3))
    # Standard error of log sigma*: sqrt(.21 / 1000) / .2, for each of 200 images.
    assert abs(float(result.sigma.log().mean()) - math.log(exact)) < 4 * 0.0725 / math.sqrt(200) + 0.0725**2
    assert float(((result.low <= exact) & (exact <= result.high)).double().mean()) > 0.9
