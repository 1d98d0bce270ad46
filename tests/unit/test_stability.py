"""Class frequencies against closed forms and plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.persistence.measure import stability, stability_curve
from neighborhoods.persistence.noise import noise_directions
from tests.unit.persistence_cases import orthant, point


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return fully_connected((1, 8, 8), (30, 20), 10).eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1))


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
