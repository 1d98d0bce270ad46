"""Closed-form and simulated capacities against integrals by sampling, Cover's count, and the theory."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from neighborhoods.manifolds.capacity import (
    ball_capacity,
    large_dimension_ball_capacity,
    point_capacity,
    separable,
    simulated_capacity,
)
from neighborhoods.manifolds.mean_field import mftma


@pytest.mark.parametrize("kappa", [0.0, 0.3, 2.0])
def test_the_capacity_of_points_is_gardners_integral(kappa):
    integral, _ = integrate.quad(lambda t: stats.norm.pdf(t) * (t + kappa) ** 2, -kappa, math.inf)
    assert point_capacity(kappa) == pytest.approx(1 / integral, rel=1e-9)
    assert ball_capacity(0.0, 3, kappa) == point_capacity(kappa)


@pytest.mark.parametrize(("radius", "dimension", "kappa"), [(0.3, 2, 0.0), (1.0, 5, 0.0), (2.0, 2, 0.0), (1.0, 3, 0.5)])
def test_the_capacity_of_balls_is_the_mean_squared_distance_to_a_cone(radius, dimension, kappa):
    # v . s <= -kappa for all s of the ball: R ||v_1|| + v_0 + kappa <= 0. Nearest points of that cone, radially.
    generator = np.random.default_rng(0)
    x = stats.chi(dimension).rvs(400_000, random_state=generator)
    h = generator.standard_normal(400_000) + kappa
    lam = np.maximum(h + radius * x, 0) / (1 + radius**2)
    distance = np.where(x >= lam * radius, lam**2 * (1 + radius**2), h**2 + x**2)
    error = distance.std() / math.sqrt(len(x))
    assert 1 / ball_capacity(radius, dimension, kappa) == pytest.approx(distance.mean(), abs=4 * error)


def test_limits_of_balls():
    # Tiny balls are points; a huge one fills D dimensions, of which one manifold takes away D, and half of a further one.
    assert ball_capacity(1e-7, 10) == pytest.approx(2, rel=1e-5)
    assert ball_capacity(1e7, 3) == pytest.approx(1 / 3.5, rel=1e-5)
    # In many dimensions ||t|| is sqrt(D) up to 1 / sqrt(2 D): the printed formula holds where R is small.
    assert large_dimension_ball_capacity(0.02, 10_000) == pytest.approx(ball_capacity(0.02, 10_000), rel=1e-3)


@pytest.mark.parametrize(("radius", "excess"), [(2, 0.08), (5, 0.16)])
def test_the_printed_formula_is_too_large_in_few_dimensions(radius, excess):
    assert large_dimension_ball_capacity(radius, 2) / ball_capacity(radius, 2) - 1 == pytest.approx(excess, abs=0.006)


def test_separability_is_that_of_a_linear_programme():
    generator = np.random.default_rng(3)
    found = []
    for features in (4, 8, 12, 16, 20):
        for _ in range(12):
            x = generator.standard_normal((10, 1, features)) + 0.5 * generator.standard_normal((10, 5, features))
            y = np.repeat(generator.permutation(np.repeat([-1.0, 1.0], 5)), 5)
            x = x.reshape(-1, features)
            rows = y[:, None] * np.column_stack([x, np.ones(len(x))])
            programme = optimize.linprog(
                np.zeros(features + 1), A_ub=-rows, b_ub=-np.ones(len(x)), bounds=(None, None), method="highs"
            )
            found.append(separable(x, y))
            assert found[-1] == (programme.status == 0)
    assert 10 < sum(found) < 50


@pytest.mark.parametrize("features", [3, 5, 7])
def test_points_are_separable_as_often_as_cover_counts(features):
    generator = np.random.default_rng(features)
    hits = [separable(generator.standard_normal((12, features)), generator.choice([-1.0, 1.0], 12)) for _ in range(400)]
    # Of 2^12 dichotomies of 12 points 2 sum_{k <= n} C(11, k) are separable by hyperplanes with a bias.
    share = float(stats.binom.cdf(features, 11, 0.5))
    assert np.mean(hits) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 400))


@pytest.mark.parametrize(("radius", "samples"), [(0.5, 6), (1.0, 4)])
def test_theory_and_simulation_of_gaussian_clouds_agree(radius, samples):
    generator = torch.Generator().manual_seed(0)
    centers, spread = (torch.randn(50, 400, size, generator=generator, dtype=torch.float64) for size in (1, samples))
    points = centers + radius * spread
    theory = mftma(points, n_t=500).capacity
    simulated = simulated_capacity(points, trials=120)
    assert theory.value == pytest.approx(simulated.value, rel=0.05)
    assert simulated.low < simulated.value < simulated.high
    assert len(simulated.features) == 120


def test_simulated_capacity_repeats_and_does_not_hang_on_frames():
    points = torch.randn(8, 20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one, again, other = (simulated_capacity(points, trials=10, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.features, again.features)
    assert not np.array_equal(one.features, other.features)
    # A bias takes up any shift.
    assert np.array_equal(simulated_capacity(points + 100, trials=10).features, one.features)
    assert simulated_capacity([*points], trials=10).value == one.value


def test_few_trials_have_no_interval():
    points = torch.randn(6, 20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = simulated_capacity(points, trials=5)
    assert (found.low, found.high) == (0, math.inf)


@pytest.mark.parametrize(
    ("points", "trials", "sentence"),
    [
        (torch.zeros(1, 5, 3), 10, "at least 2 manifolds"),
        (torch.zeros(4, 5, 3), 1, "at least 2 trials"),
        ([torch.zeros(4, 3), torch.zeros(5, 3)], 9, "equally many features"),
        (torch.ones(4, 5, 3), 9, "5 features leave not"),
        (torch.zeros(4, 5, 0), 9, "at least 2 manifolds"),
        (torch.full((4, 5, 3), math.nan), 9, "some of manifold 0 that are not"),
    ],
)
def test_bad_manifolds_get_one_sentence(points, trials, sentence):
    with pytest.raises(ValueError, match=sentence):
        simulated_capacity(points, trials=trials)


def test_bad_balls_get_one_sentence():
    for radius, dimension, kappa in ((-1, 2, 0), (1, 0, 0), (1, 2, -1), (math.nan, 2, 0)):
        with pytest.raises(ValueError, match="a dimension above 0"):
            ball_capacity(radius, dimension, kappa)
