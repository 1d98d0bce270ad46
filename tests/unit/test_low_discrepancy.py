"""Even normal directions: each standard normal, different shifts independent, together evenly spread."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.persistence.low_discrepancy import shifted_sobol_normals
from neighborhoods.persistence.measure import persistence
from neighborhoods.persistence.sampling import neighborhoods_of
from neighborhoods.training.minibatch import train


def points(count, dimensions, seed):
    return shifted_sobol_normals(count, dimensions, torch.Generator().manual_seed(seed)).double().numpy()


def test_every_point_is_standard_normal():
    # The same place of the sequence under many shifts.
    sample = np.stack([points(8, 3, seed)[5] for seed in range(4000)])
    for column in sample.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
    # Correlations of 4000 independent pairs: 5 standard errors.
    assert np.abs(np.corrcoef(sample.T) - np.eye(3)).max() < 5 / math.sqrt(4000)
    following = np.stack([points(8, 3, seed)[6] for seed in range(1, 4001)])
    assert np.abs(np.corrcoef(sample.T, following.T)[:3, 3:]).max() < 5 / math.sqrt(4000)


def test_a_power_of_two_fills_equal_cells_equally():
    for column in points(256, 16, 7).T:
        counts = np.histogram(stats.norm.cdf(column), bins=64, range=(0, 1))[0]
        assert (counts == 4).all()


@pytest.mark.parametrize("count", [31, 60, 100, 125, 1000])
def test_first_points_agree_no_more_than_independent_ones(count):
    # How often two coordinates have the same sign, for each of 120 pairs under 400 shifts.
    signs = np.sign(np.stack([points(count, 16, seed) for seed in range(400)]))
    first, second = np.triu_indices(16, 1)
    agreement = (np.swapaxes(signs, 1, 2) @ signs)[:, first, second]
    # Independent signs: n on average. A variance of 400 values is known to 7 %, and the largest of 120 lies 4 errors off.
    assert (agreement**2).mean(0).max() / count < 1.3


def test_far_tails_are_finite():
    assert np.isfinite(points(2**14, 2, 0)).all()


def test_shares_of_a_network_vary_less_than_binomial_ones():
    digits = load_digits()
    x = torch.tensor(digits.images[:, None] / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    torch.manual_seed(1)
    network = fully_connected((1, 8, 8), [40, 30], 10)
    train(network, x[:1500], y[:1500], x[1500:], y[1500:], epochs=10)
    network.eval().requires_grad_(False)
    repeats, samples = 300, 256
    variances = []
    for image in x[1500:1506]:
        # One image many times has as many independent shifts.
        images = image.expand(repeats, 1, 8, 8)
        sigma = persistence(network, images[:1], 0.7, 2000).sigma.expand(repeats)
        found = []
        for even in (True, False):
            (piece,) = neighborhoods_of(network, images, samples, 0, 512, 512, even=even)
            kept = piece.kept(torch.arange(repeats), sigma, 0, samples).double() / samples
            share = float(kept.mean())
            found.append(float(kept.var()) / (share * (1 - share) / samples))
        variances.append(found)
    # A variance of 300 values is known to 8 %, the mean of six to 3.5 %: independent directions are binomial.
    even, independent = np.mean(variances, 0)
    assert independent == pytest.approx(1, abs=0.14)
    assert even < 0.5
