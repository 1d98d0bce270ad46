import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from torch import nn

from neighborhoods.cones.closed_forms import orthant_persistence, wedge_persistence
from neighborhoods.cones.wedges import Wedge, wedge_normals
from neighborhoods.persistence.measure import (
    persistence,
)
from neighborhoods.persistence.noise import noise_directions
from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.statistics.sequential import sequential_test
from tests.unit.persistence_cases import GAMMA, closed_form, orthant, point, relative_error, shells


def wedge_point(normals: np.ndarray, distance: float) -> torch.Tensor:
    """A point at this signed distance from every face: [1, n]."""
    x = np.linalg.lstsq(normals, np.full(len(normals), distance), rcond=None)[0]
    return torch.from_numpy(x).float()[None]


def certificates(gamma, samples, confidence, seed, image, low, high):
    """Whether the limits of a half-space at distance one in one dimension pass their sequential tests, from the noise alone."""
    z = noise_directions((1,), samples, seed, image).numpy().astype(float)[:, 0]
    test = sequential_test(gamma, samples, (1 - confidence) / 2)
    looks = np.array(test.looks) - 1
    shows_more = (np.cumsum(1 + low * z > 0)[looks] >= test.above).any()
    shows_less = (np.cumsum(1 - high * z > 0)[looks] <= test.below).any() if math.isfinite(high) else True
    return bool(shows_more), bool(shows_less)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.55, 0.97),
    st.integers(40, 600),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    st.integers(0, 2**40),
)
def test_limits_are_certified_by_their_own_samples(gamma, samples, confidence, seed):
    x = torch.ones(4, 1, dtype=torch.float64)
    result = persistence(orthant(1), x, gamma, samples, confidence, seed, sigma_min=1e-2, sigma_max=1e3)
    for image in range(4):
        low, high = float(result.low[image]), float(result.high[image])
        shows_more, shows_less = certificates(gamma, samples, confidence, seed, image, low * (1 - 1e-12), high)
        assert shows_more or low == 0
        assert shows_less
        assert low <= float(result.sigma[image]) <= high or result.status[image] != "ok"


# Shares depend on the first k coordinates only: fewer dimensions, the same distribution, less noise to draw.
FEW = 16
SKEWED, SKEWED_IN_FEW = (wedge_normals([0.9, 0.6], dimensions) for dimensions in (784, FEW))
# Name: model, point and gamma, and the share of samples that keep the class as a function of sigma, by closed forms.
REGIONS = {
    **{f"inside {k} faces": (orthant(k), point(k, 1.0, 1, n=FEW), GAMMA, closed_form(k)) for k in (1, 2, 3, 5, 10)},
    **{
        f"outside {k} faces": (orthant(k), point(k, -1.0, 1, n=FEW), 0.95, float(orthant_persistence(-1.0, k, 0.95)))
        for k in (1, 2, 3)
    },
    "inside a skewed wedge": (Wedge(SKEWED), wedge_point(SKEWED, 1.0), GAMMA, wedge_persistence([1.0] * 3, SKEWED, GAMMA)),
    "outside a skewed wedge": (
        Wedge(SKEWED_IN_FEW), wedge_point(SKEWED_IN_FEW, -1.0), 0.95, wedge_persistence([-1.0] * 3, SKEWED, 0.95),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REGIONS)
def test_intervals_hold_their_level(name):
    model, x, gamma, exact = REGIONS[name]
    # Identical images get independent noise, so one call replicates the experiment.
    images, samples = 2000, 100
    result = persistence(model, x.expand(images, -1), gamma, samples, 0.95, seed=3)
    covered = float(((result.low <= exact) & (exact <= result.high)).double().mean())
    assert covered >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / images)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 10])
def test_intervals_are_not_much_wider_than_those_of_a_fixed_sample(k):
    images, samples = 200, 1000
    result = persistence(orthant(k), point(k, 1.0, images, n=k), GAMMA, samples, seed=k)
    width = float((result.high.log() - result.low.log()).mean())
    limits = clopper_pearson(GAMMA * samples, samples)
    fixed = abs(math.log(closed_form(k, float(limits[0]))) - math.log(closed_form(k, float(limits[1]))))
    assert fixed < width < 1.5 * fixed
    # The estimate uses both halves of the noise: no worse than a plain sample of one half.
    errors = result.sigma.log() - math.log(closed_form(k))
    assert float(errors.square().mean().sqrt()) < relative_error(k, samples)


class Smallest(nn.Module):
    """Logits of "inside all faces", from signed distances to them."""

    def forward(self, distances):
        inside = distances.amin(1)
        return torch.stack([-inside, inside], 1)


def behind_a_layer(normals):
    """A cone as a network that begins with a fully connected layer, where directions can be drawn evenly."""
    layer = nn.Linear(normals.shape[1], len(normals), bias=False)
    layer.weight.data = torch.as_tensor(normals, dtype=torch.float32)
    return nn.Sequential(nn.Flatten(), layer, Smallest()).eval()


@pytest.mark.parametrize("samples", [100, 1000])
@pytest.mark.parametrize(
    ("normals", "distance", "gamma"),
    [(np.eye(k, 784), 1.0, GAMMA) for k in (1, 2, 3, 5, 10, 20)] + [(np.eye(3, 784), -1.0, 0.95), (SKEWED, 1.0, GAMMA)],
)
def test_even_directions_hold_the_level_and_are_more_precise(normals, distance, gamma, samples):
    images = 2000 if samples == 100 else 300
    point_at = np.linalg.lstsq(normals, np.full(len(normals), distance), rcond=None)[0]
    x = torch.tensor(point_at, dtype=torch.float32).expand(images, -1)
    exact = wedge_persistence([distance] * len(normals), normals, gamma)
    errors = []
    for even in (True, False):
        result = persistence(behind_a_layer(normals), x, gamma, samples, seed=8, even=even)
        covered = float(((result.low <= exact) & (exact <= result.high)).double().mean())
        assert covered >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / images)
        errors.append(float((result.sigma.log() - math.log(exact)).square().mean().sqrt()))
    # Root mean squares of as many errors are known to 4 % at worst.
    assert errors[0] < 0.9 * errors[1]


class SameSide(nn.Module):
    """Whether two coordinates have the same sign."""

    def forward(self, h):
        product = h[:, 0] * h[:, 11]
        return torch.stack([product, -product], 1)


@pytest.mark.parametrize(("gamma", "samples"), [(0.7, 31), (0.55, 60), (0.505, 1000)])
def test_even_directions_hold_the_level_where_coordinates_interact(gamma, samples):
    # The 1st and 12th coordinates of the Sobol sequence have equal signs in all of its first 32 points, or in none.
    layer = nn.Linear(17, 16, bias=False)
    layer.weight.data = torch.eye(16, 17) * torch.linspace(1, 0.9, 16)[:, None]
    # The share is p^2 + (1 - p)^2 with p = Phi(1 / sigma); coordinate 12 is scaled together with its noise.
    exact = 1 / special.ndtri((1 + math.sqrt(2 * gamma - 1)) / 2)
    images = 500
    result = persistence(nn.Sequential(nn.Flatten(), layer, SameSide()), torch.ones(images, 17), gamma, samples, seed=5)
    covered = float(((result.low <= exact) & (exact <= result.high)).double().mean())
    assert covered >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / images)


def test_a_second_crossing_is_flagged():
    result = persistence(shells, torch.zeros(5, 64), GAMMA, 500)
    assert result.recrosses.all()
    # A half-space's share falls all the way.
    assert not persistence(orthant(1), point(1, 1.0, 5), GAMMA, 500).recrosses.any()
    # Inside a small ball around the point and again far away: found however far.
    far = persistence(lambda x: shells(x / 3), torch.zeros(3, 64), GAMMA, 300)
    assert far.recrosses.all()


def test_a_share_that_stays_just_above_gamma_is_no_crossing():
    # Outside of two faces the share falls to 1 - 1/4; gamma lies below it.
    result = persistence(orthant(2), point(2, -1.0, 10, n=2), 0.7, 1000)
    assert result.status == ["censored_high"] * 10
    assert bool((result.high == math.inf).all())


def test_opposite_directions_make_the_estimate_more_precise():
    images, samples = 400, 500
    result = persistence(orthant(1), point(1, 1.0, images, n=1), GAMMA, samples, seed=11)
    error = float((result.sigma.log() - math.log(closed_form(1))).std())
    # Two independent halves would give relative_error / sqrt(2) = .71; opposite ones of a half-space, correlated by
    # -3/7, give sqrt((1 - 3/7) / 2) = .53 times it. The standard deviation of 400 errors is known to 3.5 %.
    assert error < 0.62 * relative_error(1, samples)


def test_a_scan_of_many_steps_forgets_only_old_counts():
    # Over 200 points of the grid lie below the crossing: more than the search remembers.
    fine = persistence(orthant(2), point(2, 1.0, 5, n=2), GAMMA, 300, scan_factor=1.02)
    assert fine.status == ["ok"] * 5
    assert bool(((fine.low < closed_form(2) * 1.3) & (fine.high > closed_form(2) / 1.3)).all())


def test_the_certified_radius_of_a_half_space_is_below_its_distance():
    images = 300
    result = persistence(orthant(1), point(1, 1.0, images, n=1), GAMMA, 1000)
    # At sigma* the radius would be the distance itself: sigma* Phi^-1(gamma) = 1.
    assert result.certified_radius.numpy() == pytest.approx(result.low.numpy() * stats.norm.ppf(GAMMA))
    wrong = float((result.certified_radius > 1).double().mean())
    assert wrong <= 0.025 + 2.6 * math.sqrt(0.025 * 0.975 / images)
    assert not persistence(orthant(2), point(2, 1.0, 3, n=2), 0.4, 100).certified_radius.any()
    # In one dimension the ball is an interval: all noise stays inside where its radius is below the distance, a share of
    # 1, yet the theorem is about Gaussian noise.
    assert persistence(orthant(1), point(1, 1.0, 3, n=1), GAMMA, 100, noise="ball").certified_radius.isnan().all()


@pytest.mark.parametrize(("k", "gamma"), [(1, 0.7), (3, 0.7)])
def test_algorithm_1_finds_the_closed_form(k, gamma):
    images, samples = 60, 1000
    result = persistence(orthant(k), point(k, 1.0, images, n=k), gamma, samples, method="algorithm1", precision=0.01)
    assert result.status == ["ok"] * images
    # It stops where the share is within .01 of gamma: that and the sampling error, as a mean over images.
    error = relative_error(k, samples) * math.sqrt(1 + (0.01 / math.sqrt(gamma * (1 - gamma) / samples)) ** 2)
    assert (
        abs(float(result.sigma.log().mean()) - math.log(closed_form(k, gamma)))
        < 4 * error / math.sqrt(images) + error**2
    )
    assert bool(result.low.isnan().all())
    assert int(result.evaluations.min()) >= 3 * samples


def test_algorithm_1_is_capped():
    constant = persistence(
        lambda x: torch.ones(len(x), 2).cumsum(1), torch.zeros(2, 3), method="algorithm1", sigma_max=10
    )
    assert constant.status == ["censored_high"] * 2
    assert constant.sigma.tolist() == [10.0] * 2
    boundary = persistence(orthant(1), point(1, 0.0, 2), method="algorithm1", sigma_min=0.01)
    assert boundary.status == ["censored_low"] * 2
