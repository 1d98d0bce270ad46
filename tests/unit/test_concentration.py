"""Norms of Gaussian and uniform points against their exact laws, and Bell's bounds against both."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neighborhoods.persistence.concentration import (
    BLOCK_VALUES,
    ball_norm_law,
    ball_norms,
    ball_shell_bound,
    gaussian_annulus_bound,
    gaussian_norm_law,
    gaussian_norms,
    moments,
)
from pipeline.store import Provenance, reading
from scripts.figures import norms as figure
from scripts.norms.sample import sample

# Kolmogorov-Smirnov tests with fixed seeds: a right sampler fails one in a thousand choices of seeds.
LEVEL = 1e-3


@pytest.mark.parametrize(("dimension", "points"), [(1, 4000), (3, 4000), (784, 4000), (196_608, 150)])
def test_gaussian_norms_follow_the_chi_law(dimension, points):
    sigma = 7 / math.sqrt(dimension)
    norms = gaussian_norms(dimension, points, sigma, seed=2)
    assert norms.shape == (points,)
    assert stats.kstest(norms, stats.chi(dimension, scale=sigma).cdf).pvalue > LEVEL
    assert stats.kstest(norms, gaussian_norm_law(dimension, sigma).cdf).pvalue > LEVEL


@pytest.mark.parametrize("dimension", [1, 3, 784, 196_608])
def test_ball_norms_follow_the_radial_law(dimension):
    norms = ball_norms(dimension, 4000, 7.0, seed=1)
    assert norms.max() <= 7
    assert stats.kstest(norms, lambda t: (t / 7) ** dimension).pvalue > LEVEL


def test_the_radial_law_is_that_of_points_in_a_ball():
    # Points of a cube that fall into the ball are uniform there, with no radial law used.
    cube = np.random.default_rng(0).uniform(-1, 1, (20_000, 3))
    norms = np.linalg.norm(cube, axis=1)
    accepted = 2 * norms[norms < 1]
    assert stats.ks_2samp(accepted, ball_norms(3, 10_000, 2.0)).pvalue > LEVEL
    assert stats.kstest(accepted, ball_norm_law(3, 2.0).cdf).pvalue > LEVEL


@pytest.mark.parametrize("dimension", [1, 2, 784, 196_608])
def test_the_laws_have_the_moments_of_theory(dimension):
    n, radius = dimension, 7.0
    sigma = radius / math.sqrt(n)
    ball, gaussian = ball_norm_law(n, radius), gaussian_norm_law(n, sigma)
    assert ball.mean() == pytest.approx(radius * n / (n + 1), rel=1e-12)
    assert ball.std() == pytest.approx(radius * math.sqrt(n / (n + 2)) / (n + 1), rel=1e-9)
    # The second moment is sigma^2 n exactly; for large n the deviation is sigma / sqrt(2) but for a part 1 / (8 n).
    assert gaussian.mean() ** 2 + gaussian.var() == pytest.approx(radius**2, rel=1e-12)
    if n > 100:
        assert gaussian.std() == pytest.approx(sigma / math.sqrt(2) * (1 - 1 / (8 * n)), rel=2e-6)


def test_norms_of_figure_19_have_the_moments_of_their_laws():
    n, points = 784, 20_000
    draws = {
        "gaussian": (gaussian_norms(n, points, 7 / math.sqrt(n)), gaussian_norm_law(n, 7 / math.sqrt(n))),
        "ball": (ball_norms(n, points, 7.0), ball_norm_law(n, 7.0)),
    }
    for norms, law in draws.values():
        found = moments(norms)
        assert found.mean == pytest.approx(law.mean(), abs=4 * found.mean_error)
        assert found.deviation == pytest.approx(law.std(), abs=4 * found.deviation_error)
    # More spread for the Gaussian: sqrt(n / 2) times as much, that is 19.8.
    spreads = [moments(norms).deviation for norms, _ in draws.values()]
    assert spreads[0] / spreads[1] == pytest.approx(math.sqrt(n / 2), rel=0.05)


def test_standard_errors_are_those_of_repetitions():
    generator = np.random.default_rng(0)
    # Exponential values, the limit of norms in a ball: their kurtosis of 9 makes the error twice that of normal values.
    samples = generator.exponential(size=(2000, 400))
    found = [moments(row) for row in samples]
    # The deviation of 2000 repetitions is known to 1.6 % (normal) or a few percent; the plug-in error is biased by some.
    assert np.std([m.mean for m in found]) == pytest.approx(np.mean([m.mean_error for m in found]), rel=0.08)
    assert np.std([m.deviation for m in found]) == pytest.approx(np.mean([m.deviation_error for m in found]), rel=0.12)


def test_blocks_do_not_show():
    dimension = BLOCK_VALUES // 4
    norms = gaussian_norms(dimension, 5, 1.0, seed=3)
    assert len(set(norms.tolist())) == 5
    # Norms vary by 1 / sqrt(2) around sqrt(n - 1/2).
    assert norms == pytest.approx(math.sqrt(dimension - 0.5), abs=4.5 / math.sqrt(2))
    assert (gaussian_norms(dimension, 4, 1.0, seed=3) == norms[:4]).all(), "equal seeds give equal first blocks"


@given(st.integers(1, 10**6), st.floats(1e-3, 1e3), st.floats(0, 1))
def test_equation_8_holds_with_epsilon_over_sigma(dimension, sigma, part):
    epsilon = part * sigma * math.sqrt(dimension)
    law, center = gaussian_norm_law(dimension, sigma), sigma * math.sqrt(dimension)
    share = law.cdf(center + epsilon) - law.cdf(center - epsilon)
    # The distribution function is right to about 1e-10 in a million dimensions.
    assert share >= gaussian_annulus_bound(epsilon, sigma) - 1e-9


def test_equation_8_as_printed_fails():
    # With epsilon itself, sigma = 10 and epsilon = 10 would give at least 1 - 2 exp(-100 / 16) = .996; the share is .84.
    sigma, epsilon, n = 10.0, 10.0, 784
    law, center = gaussian_norm_law(n, sigma), sigma * math.sqrt(n)
    share = law.cdf(center + epsilon) - law.cdf(center - epsilon)
    assert share < 0.85 < 1 - 2 * math.exp(-(epsilon**2) / 16)
    assert share > gaussian_annulus_bound(epsilon, sigma)


@given(st.integers(1, 10**6), st.floats(1e-3, 1e3), st.floats(0, 1))
def test_equation_9_holds(dimension, radius, part):
    # 1 - (1 - delta / r)^n >= 1 - exp(-delta n / r).
    share = -math.expm1(dimension * math.log1p(-part)) if part < 1 else 1.0
    assert share >= ball_shell_bound(part * radius, dimension, radius) - 1e-12
    law = ball_norm_law(dimension, radius)
    assert 1 - law.cdf(radius * (1 - part)) == pytest.approx(share, abs=1e-7)


def test_samples_and_laws_are_stored_and_drawn(tmp_path):
    path, output = tmp_path / "norms.h5", tmp_path / "norms.png"
    settings = {"dimensions": [50, 400], "points": [2000, 500], "radius": 7.0, "bins": 20, "seed": 3}
    sample(output=str(path), provenance=Provenance(), **settings)
    with reading(path) as file:
        for n, count in zip(settings["dimensions"], settings["points"], strict=True):
            assert float(file.read(f"{n}/sigma")) == pytest.approx(7 / math.sqrt(n))
            for name in ("gaussian", "ball"):
                part = file.read_group(f"{n}/{name}")
                assert part["norm"].shape == (count,)
                assert (part["density"] * np.diff(part["edges"])).sum() == pytest.approx(1)
                assert abs(part["mean"] - part["theory/mean"]) < 4 * part["mean_error"]
                assert abs(part["deviation"] - part["theory/deviation"]) < 4 * part["deviation_error"]
                # Nearly all of the exact law lies between the smallest and the largest of these many points.
                assert np.trapezoid(part["theory/density"], part["theory/norm"]) == pytest.approx(1, abs=0.02)
    figure.draw(norms=str(path), outputs=[str(output)], style="paper")
    assert output.stat().st_size > 10_000


@pytest.mark.parametrize(
    "call",
    [
        lambda: gaussian_norms(0, 5, 1.0),
        lambda: gaussian_norms(5, 0, 1.0),
        lambda: gaussian_norms(5, 5, math.inf),
        lambda: ball_norms(5, 5, -1.0),
        lambda: gaussian_norm_law(3, 0.0),
        lambda: ball_norm_law(0, 1.0),
        lambda: gaussian_annulus_bound(1.0, 0.0),
        lambda: ball_shell_bound(2.0, 3, 1.0),
        lambda: moments([1.0]),
        lambda: moments([1.0, 1.0]),
        lambda: moments([1.0, math.nan]),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match=r"expected|must"):
        call()
