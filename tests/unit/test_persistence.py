"""Persistence and stability against closed forms. Tolerances are stated in standard errors of the estimate."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from torch import nn

from neighborhoods.networks import fully_connected
from neighborhoods.persistence import (
    persistence,
    persistence_of_gammas,
    stability,
    stability_curve,
)
from neighborhoods.sampling import noise_directions

GAMMA = 0.7


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    # Several threads gain nothing on tensors this small, and wait in busy loops when other processes need the cores.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    # The median crossing is off by the estimate's standard error over sqrt(200), times 1.25 for a median, four times.
    step = 1e-4
    slope = abs(chance(exact * (1 + step)) - chance(exact * (1 - step))) / (2 * step)
    error = math.sqrt(gamma * (1 - gamma) / samples) / slope
    assert abs(float(result.sigma.median().log()) - math.log(exact)) < 4 * 1.25 * error / math.sqrt(images) + error**2


def test_outside_a_cone_points_persist_longer_than_inside():
    k, images, samples = 3, 20, 1000
    # At sigma -> inf the share from outside tends to 1 - 2^-3 = .875 > .7: never crossed.
    outside = persistence(orthant(k), point(k, -1.0, images, n=8), GAMMA, samples, sigma_max=50.0)
    assert outside.status == ["censored_high"] * images
    assert bool((outside.low > closed_form(k)).all())
    inside = persistence(orthant(k), point(k, 1.0, images, n=8), 0.9, samples)
    outside = persistence(orthant(k), point(k, -1.0, images, n=8), 0.9, samples)
    assert bool((outside.low > inside.high).all())


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
    images, samples = 10, 1000
    result = persistence(shells, torch.zeros(images, 64), GAMMA, samples, precision=5e-3)
    # P = chi2 distribution function at 64 / sigma^2 near the first crossing.
    exact = 8 / math.sqrt(stats.chi2.ppf(GAMMA, 64))
    assert result.status == ["ok"] * images
    # Standard error of log sigma*: that of the share over 2 q f(q), the slope of F(64 / sigma^2) in log sigma.
    quantile = stats.chi2.ppf(GAMMA, 64)
    error = math.sqrt(GAMMA * (1 - GAMMA) / samples) / (2 * quantile * stats.chi2.pdf(quantile, 64))
    # Four of them for each of ten images, and half the width at which the search stops.
    assert result.sigma.log().numpy() == pytest.approx(math.log(exact), abs=4 * error + 0.0025)
    # A bisection from outside would have found the crossing beyond radius 3.
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


def tail_chances(gamma, samples):
    """Chances of at most and of at least 0, 1, ..., samples."""
    k = np.arange(samples + 1)
    return stats.binom.cdf(k, samples, gamma), stats.binom.sf(k - 1, samples, gamma)


def order_statistics(gamma, samples, confidence, seed, image):
    """sigma, low and high of a half-space at distance one in one dimension, from its noise alone.

    A direction z leaves the half-space at sigma = -1 / z, so that the curve is a step function of known steps: fewer than
    `count` samples keep the class from the step on at which samples - count + 1 have left.
    """
    z = np.sort(noise_directions((1,), samples, seed, image).numpy().astype(float)[:, 0])
    leaves = np.where(z < 0, -1 / np.minimum(z, -1e-300), np.inf)
    # Counts that the exact two-sided test of "P equals gamma" does not reject.
    k, (below, above) = np.arange(samples + 1), tail_chances(gamma, samples)
    accepted = k[(below > (1 - confidence) / 2) & (above > (1 - confidence) / 2)]
    counts = math.ceil(round(gamma * samples, 6)), accepted[-1] + 1, accepted[0]
    return tuple(0.0 if count > samples else leaves[samples - count] if count else np.inf for count in counts)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.05, 0.97),
    st.integers(1, 400),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    st.integers(0, 2**40),
    st.sampled_from([5e-3, 1e-4]),
)
def test_a_half_spaces_results_are_order_statistics_of_its_noise(gamma, samples, confidence, seed, precision):
    # A tail that equals its level, as for gamma = 1/2 of two samples, may be counted either way.
    assume(all(np.abs(tail - (1 - confidence) / 2).min() > 1e-12 for tail in tail_chances(gamma, samples)))
    sigma_min, sigma_max = 0.05, 40.0
    result = persistence(
        orthant(1), torch.ones(2, 1, dtype=torch.float64), gamma, samples, confidence, seed,
        sigma_min=sigma_min, sigma_max=sigma_max, precision=precision,
    )  # fmt: skip
    for image in range(2):
        sigma, low, high = order_statistics(gamma, samples, confidence, seed, image)
        found = float(result.sigma[image]), float(result.low[image]), float(result.high[image])
        rounding = 1 + 1e-9
        if sigma <= sigma_min:
            assert (result.status[image], found[0]) == ("censored_low", sigma_min)
        elif sigma >= sigma_max:
            assert (result.status[image], found[0]) == ("censored_high", sigma_max)
        else:
            assert result.status[image] == "ok"
            # The middle of a bracket of this relative width that holds the step.
            assert abs(math.log(found[0] / sigma)) <= math.log1p(precision) / 2 * rounding + 1e-9
        # Limits are rounded outward by the precision, never inward, and beyond the range they are 0 and inf.
        if low <= sigma_min:
            assert found[1] == 0
        else:
            assert min(low, sigma_max) / (1 + precision) / rounding <= found[1] <= min(low, sigma_max) * rounding
        if high >= sigma_max:
            assert found[2] == math.inf
        else:
            assert max(high, sigma_min) / rounding <= found[2] <= max(high, sigma_min) * (1 + precision) * rounding


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.2, 0.95), min_size=1, max_size=4), st.integers(50, 400), st.integers(0, 2**31))
def test_several_gammas_give_what_each_gives_alone(gammas, samples, seed):
    x = point(3, 1.0, 3, n=5).double()
    together = persistence_of_gammas(orthant(3), x, gammas, samples, seed=seed, precision=1e-3)
    assert len(together) == len(gammas)
    for gamma, found in zip(gammas, together, strict=True):
        alone = persistence(orthant(3), x, gamma, samples, seed=seed, precision=1e-3)
        assert found.status == alone.status
        # The orthant is star-shaped, so each count is crossed once: both brackets of width 1e-3 hold the same step.
        for name in ("sigma", "low", "high"):
            assert getattr(found, name).numpy() == pytest.approx(getattr(alone, name).numpy(), rel=1.01e-3)
    # From the same samples a larger share is never kept for longer.
    sigmas = torch.stack([together[i].sigma for i in np.argsort(gammas)])
    assert bool((sigmas[1:] <= sigmas[:-1] * 1.001).all())


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


def layers(*more):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10), *more).eval()


@pytest.mark.parametrize(
    "more", [(), (nn.ReLU(), nn.Linear(10, 4)), (nn.BatchNorm1d(10), nn.Dropout(), nn.Linear(10, 4))]
)
def test_a_first_linear_layer_applied_once_changes_nothing_in_double_precision(images, more):
    model, x = layers(*more).double(), images.double()
    fast, slow = persistence(model, x, samples=300), persistence(lambda x: model(x), x, samples=300)
    # Rounding of 1e-15 would have to fall between two samples to be seen; the same steps of the search follow.
    assert_equal(fast, slow)
    assert torch.equal(fast.evaluations, slow.evaluations)
    sigmas = [0.0, 0.2, 3.0]
    curves = [stability_curve(m, x, sigmas, samples=300).frequency for m in (model, lambda x: model(x))]
    assert torch.equal(*curves)


def test_a_first_linear_layer_applied_once_changes_nothing_but_rounding(network, images):
    fast = persistence(network, images, samples=300)
    slow = persistence(lambda x: network(x), images, samples=300)
    # A sample whose two leading logits tie within rounding may differ: one of 300 moves sigma by far less than 5 %.
    assert fast.sigma.numpy() == pytest.approx(slow.sigma.numpy(), rel=0.05)
    assert float((fast.sigma != slow.sigma).double().mean()) < 0.2


def test_the_shortcut_is_not_taken_where_it_would_be_wrong(images):
    class Doubled(nn.Linear):
        def forward(self, x):
            return super().forward(x.abs())

    torch.manual_seed(0)
    own = nn.Sequential(nn.Flatten(), Doubled(64, 4)).double()
    hooked = layers().double()
    hooked.register_forward_pre_hook(lambda module, inputs: (inputs[0].abs(),))
    x = images.double() - 0.5
    for model in (own, hooked):
        assert_equal(persistence(model, x, samples=200), persistence(lambda x, m=model: m(x), x, samples=200))


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_sigma_scales_with_the_image_and_its_classifier(factor):
    # Powers of two scale without rounding, so even the bisection takes the same path.
    x = point(2, 1.0, 5, n=16)
    base = persistence(orthant(2), x, samples=200, sigma_min=0.01, sigma_max=10, precision=5e-3)
    scaled = persistence(
        orthant(2), x * factor, samples=200, sigma_min=0.01 * factor, sigma_max=10 * factor, precision=5e-3
    )
    assert scaled.sigma.numpy() == pytest.approx(base.sigma.numpy() * factor, rel=5e-3)


def test_a_larger_gamma_never_persists_longer(network, images):
    # The same seed gives the same noise, so this holds for each image, up to the bisection's precision.
    sigmas = [persistence(network, images, gamma, 500, precision=1e-3).sigma for gamma in (0.5, 0.7, 0.9)]
    assert bool((sigmas[0] * 1.001 >= sigmas[1]).all() & (sigmas[1] * 1.001 >= sigmas[2]).all())


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([0.125, 0.5, 2.0, 16.0]), st.integers(0, 1000))
def test_sigma_scales_with_a_networks_input(factor, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x = torch.rand(3, 6, dtype=torch.float64)
    base = persistence(network, x, samples=150, sigma_min=0.01, sigma_max=10, precision=1e-3)
    scaled = persistence(
        lambda x: network(x / factor),
        x * factor,
        samples=150,
        sigma_min=0.01 * factor,
        sigma_max=10 * factor,
        precision=1e-3,
    )
    # The grids differ by rounding, so the curve's steps are found to the precision of either search.
    assert scaled.status == base.status
    assert scaled.sigma.numpy() == pytest.approx(base.sigma.numpy() * factor, rel=1.01e-3)


def test_the_estimate_is_a_crossing_of_the_share_of_a_plain_loop(network, images):
    model, x, gamma, samples, precision = network, images[:4], GAMMA, 400, 5e-3
    result = persistence(model, x, gamma, samples, seed=4, precision=precision)
    with torch.no_grad():
        for i in range(4):
            z = noise_directions(x.shape[1:], samples, seed=4, image=i)
            own = int(model(x[i : i + 1]).argmax())

            def kept(sigma, z=z, own=own, image=x[i]):
                return sum(int((model(image + sigma * part).argmax(1) == own).sum()) for part in z.split(50))

            assert result.status[i] == "ok"
            assert int(result.predicted[i]) == own
            sigma = float(result.sigma[i])
            # A sample in 400 may fall otherwise by the rounding of single precision.
            assert kept(sigma / (1 + precision)) >= gamma * samples - 1
            assert kept(sigma * (1 + precision)) <= gamma * samples + 1
            # Before the estimate the share stays above gamma: it is the first crossing.
            assert all(kept(s) >= gamma * samples - 1 for s in np.linspace(0, 0.99 * sigma, 25))


def test_evaluations_count_the_noisy_images(images):
    seen = []

    def counting(x):
        seen.append(len(x))
        return orthant(2)(x)

    result = persistence(counting, images, samples=300)
    # The images themselves are classified once, without noise.
    assert int(result.evaluations.sum()) == sum(seen) - len(images)
    assert result.samples == 300


def test_a_larger_sample_narrows_the_interval_by_the_root():
    widths = []
    for samples in (250, 4000):
        result = persistence(orthant(2), point(2, 1.0, 60, n=2), GAMMA, samples, precision=1e-3)
        widths.append(float((result.high / result.low).log().mean()))
    # Sixteen times the samples: a quarter, but for the discreteness of counts (5 of 250) and for skewness.
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.12)
    # Both sides together are 2 x 1.96 standard errors wide, and once the precision on either side.
    assert widths[1] == pytest.approx(2 * 1.96 * relative_error(2, 4000), rel=0.12)


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


def test_few_samples_decide_no_limit_of_a_high_confidence():
    # 128 of 140 samples, scaled up, once settled limits five standard errors above gamma; the other twelve disagreed.
    gamma, samples, confidence = 0.5, 140, 1 - 1e-7
    x = torch.ones(200, 1, dtype=torch.float64)
    result = persistence(orthant(1), x, gamma, samples, confidence, sigma_min=0.05, sigma_max=40.0, precision=1e-3)
    for image, found in enumerate(result.low.tolist()):
        low = min(order_statistics(gamma, samples, confidence, 0, image)[1], 40.0)
        assert low / 1.001 * (1 - 1e-9) <= found <= low * (1 + 1e-9)


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
        ({"precision": 0.0}, "precision"),
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


def test_every_interval_of_a_half_space_holds_at_a_level_for_all():
    sigmas, images, samples = [0.3, 0.7, 1.907, 5.0, 50.0], 40, 1000
    # Bonferroni: one false alarm in a thousand runs among all intervals.
    confidence = 1 - 1e-3 / (images * len(sigmas))
    curve = stability_curve(orthant(1), point(1, 1.0, images, n=3), sigmas, samples, confidence)
    exact = stats.norm.cdf(1 / np.array(sigmas))
    for column, share in ((1, exact), (0, 1 - exact)):
        assert ((curve.low[..., column].numpy() <= share) & (share <= curve.high[..., column].numpy())).all()
    # At sigma* the share is gamma.
    assert float(curve.frequency[:, 2, 1].mean()) == pytest.approx(
        0.7, abs=4 * math.sqrt(0.21 / (images * samples)) + 1e-4
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 60), st.lists(st.floats(0, 5), min_size=1, max_size=4), st.integers(0, 2**31))
def test_frequencies_are_counts_of_a_plain_loop(n, samples, sigmas, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).double()
    x = torch.rand(n, 5, dtype=torch.float64)
    curve = stability_curve(model, x, sigmas, samples, seed=seed)
    expected = np.zeros((n, len(sigmas), 3))
    with torch.no_grad():
        for i in range(n):
            for z in noise_directions((5,), samples, seed, i).double():
                for j, sigma in enumerate(sigmas):
                    expected[i, j, int(model((x[i] + sigma * z)[None]).argmax())] += 1
    assert np.array_equal(np.rint(curve.frequency.numpy() * samples), expected)
    # Shares of at most 60, in double precision.
    assert curve.frequency.sum(2).numpy() == pytest.approx(1, abs=1e-12)
    assert bool(((curve.low <= curve.frequency) & (curve.frequency <= curve.high)).all())


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


def test_a_single_sigma_is_a_curve_of_one(network, images):
    alone, curve = stability(network, images, 0.4, samples=60), stability_curve(network, images, [0.1, 0.4], samples=60)
    for name in ("frequency", "low", "high"):
        assert torch.equal(getattr(alone, name), getattr(curve, name)[:, 1])
    assert alone.samples == curve.samples == 60


def test_stability_refuses_bad_sigmas(network, images):
    for sigmas in ([], [-1.0], [0.1, math.nan], [[0.1]]):
        with pytest.raises(ValueError, match="sigma"):
            stability_curve(network, images, sigmas)
