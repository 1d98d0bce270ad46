import numpy as np
import pytest
import torch
from scipy import optimize, stats

from neighborhoods.statistics.probit import PLACE_WIDTH, SLOPE_WIDTH, USUAL_SLOPE, fit_line

GOAL = stats.norm.ppf(0.7)


def penalized(parameters, t, kept, samples, weight):
    place, log_slope = parameters
    q = GOAL + np.exp(log_slope) * (t - place)
    likelihood = weight * (kept * stats.norm.logcdf(q) + (samples - kept) * stats.norm.logsf(q))
    prior = ((log_slope - np.log(USUAL_SLOPE)) / SLOPE_WIDTH) ** 2 + ((place - 1) / PLACE_WIDTH) ** 2
    return prior / 2 - likelihood.sum()


def drawn(slope, samples, seed, places=10, images=6):
    generator = np.random.default_rng(seed)
    true = generator.uniform(0.9, 1.1, (images, 1))
    t = np.sort(true + generator.normal(0, 1.5 / slope, (images, places)), 1)
    count = np.full(t.shape, samples)
    kept = generator.binomial(count, stats.norm.cdf(GOAL + slope * (t - true)))
    return [torch.from_numpy(values.astype(float)) for values in (t, kept, count, generator.uniform(0.2, 1, t.shape))]


@pytest.mark.parametrize("slope", [0.5, 2.0, 10.0, 50.0, 200.0])
@pytest.mark.parametrize("samples", [16, 1000])
def test_the_line_is_the_optimum_that_scipy_finds(slope, samples):
    t, kept, count, weight = drawn(slope, samples, seed=samples)
    found = fit_line(t, kept, count, weight, GOAL)
    for row in range(len(t)):
        data = [values[row].numpy() for values in (t, kept, count, weight)]
        start = [float(found.place[row]), float(found.slope[row].log())]
        best = optimize.minimize(
            penalized, start, args=tuple(data), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10}
        )
        # From elsewhere too: the start must not decide.
        other = optimize.minimize(
            penalized,
            [1.0, np.log(slope)],
            args=tuple(data),
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-10},
        )
        assert penalized(start, *data) == pytest.approx(min(best.fun, other.fun), abs=1e-3)


@pytest.mark.parametrize("slope", [1.0, 30.0])
def test_the_place_spreads_as_the_information_says(slope):
    images, samples = 400, 200
    t, kept, count, _ = drawn(slope, samples, seed=1, images=images)
    generator = np.random.default_rng(1)
    true = generator.uniform(0.9, 1.1, (images, 1))[:, 0]
    found = fit_line(t, kept, count, torch.ones_like(t), GOAL)
    share = 0.7
    at_the_place = np.sqrt(share * (1 - share)) / stats.norm.pdf(GOAL) / slope
    standard = (found.place.numpy() - true) / (at_the_place / found.information.sqrt().numpy())
    # The spread of 400 values is known to 3.5 %; the slope is estimated too.
    assert standard.std() == pytest.approx(1, abs=0.15)


def test_along_another_line_the_slope_stays():
    t, kept, count, weight = drawn(5.0, 100, seed=2)
    both = fit_line(t, kept, count, weight, GOAL)
    alone = fit_line(t, kept, count, weight, GOAL, along=both)
    torch.testing.assert_close(alone.slope, both.slope)
    # The place is the optimum for that slope already.
    torch.testing.assert_close(alone.place, both.place, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kept", [0.0, 20.0])
def test_counts_all_alike_give_a_finite_line(kept):
    t = torch.linspace(0.5, 2, 6, dtype=torch.float64).expand(3, 6)
    count = torch.full_like(t, 20)
    found = fit_line(t, torch.full_like(t, kept), count, torch.ones_like(t), GOAL)
    for values in (found.place, found.slope, found.information):
        assert bool(torch.isfinite(values).all())


def test_lines_do_not_depend_on_the_others():
    parts = [torch.cat(pair) for pair in zip(drawn(1.0, 50, 3), drawn(80.0, 50, 4), strict=True)]
    together = fit_line(*parts, GOAL)
    for row in range(len(parts[0])):
        single = fit_line(*(values[row : row + 1] for values in parts), GOAL)
        assert float(single.place[0]) == float(together.place[row])
        assert float(single.slope[0]) == float(together.slope[row])
