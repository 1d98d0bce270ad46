import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from sklearn.decomposition import PCA

from neighborhoods.boundary.incidence import (
    compare_normals,
    incidence,
    probabilities_along,
    random_angle,
)
from neighborhoods.boundary.normals import energy_share
from neighborhoods.networks.principal import principal_directions
from neighborhoods.statistics.intervals import NO_VALUES, rank_correlation, summarize, summarize_columns

W = torch.tensor([[0.3, -0.5, 0.2, 0.0, 0.7, 0.1], [-0.4, 0.1, 0.2, 0.6, -0.2, 0.3]]).double()
B = torch.tensor([0.2, -0.1]).double()


def linear(x):
    return x.flatten(1) @ W.T + B


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def ends():
    """Lines from one class to the other."""
    x = gaussian(400, 2, 3)
    leads = (linear(x)[:, 0] > linear(x)[:, 1]).numpy()
    first, second = x[leads], x[~leads]
    return first[:81], second[:81]


def degrees(u, v):
    cosine = np.abs(np.sum(u * v, -1)) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, 0, 1)))


def test_lines_through_the_boundary_of_a_linear_classifier(ends):
    start, end = ends
    found = incidence(linear, start, end)
    w = (W[0] - W[1]).numpy()
    direction = (end - start).flatten(1).numpy()
    margin = (linear(start) @ torch.tensor([1.0, -1.0]).double()).numpy()
    assert found.lines.angle.numpy() == pytest.approx(degrees(direction, w), abs=1e-6)
    assert found.nearest.numpy() == pytest.approx(np.abs(margin) / np.linalg.norm(w), rel=1e-6)
    assert found.length.numpy() == pytest.approx(np.linalg.norm(direction, axis=1))
    # Flat boundaries: the way along the line is the shortest one over the cosine of the skewness.
    cosine = np.cos(np.radians(degrees(direction, w)))
    assert found.distance.numpy() == pytest.approx(np.abs(margin) / np.linalg.norm(w) / cosine, rel=1e-6)
    # All crossings have one normal, so that another line's gives the same angle; the 81st has no partner.
    assert found.other[:80].numpy() == pytest.approx(degrees(direction, w)[:80], abs=1e-6)
    assert math.isnan(float(found.other[80]))
    assert found.couple.tolist() == [i // 2 for i in range(81)]


def test_every_way_to_a_normal_agrees_where_the_boundary_is_flat(ends):
    found = incidence(linear, *ends)
    compared = compare_normals(linear, found, 10, [0.1, 1.0], 5)
    expected = np.zeros((10, 5, 5))
    expected[:, 3, :] = expected[:, :, 3] = found.lines.angle[:10, None].numpy()
    expected[:, 3, 3] = 0
    # The nearest point was found to 1e-6 of its distance; the other ways are exact but for rounding.
    assert compared.angle.numpy() == pytest.approx(expected, abs=1e-3)
    assert compared.error.shape == (10, 2)
    assert float(compared.error.max()) < 1e-6


def test_random_directions_are_nearly_orthogonal_to_any_line():
    assert random_angle(2).mean == pytest.approx(45)
    # In three dimensions the cosine is uniform: the mean of its arc is one radian.
    three = random_angle(3)
    assert three.mean == pytest.approx(math.degrees(1))
    assert (three.low, three.high) == pytest.approx((math.degrees(math.acos(0.975)), math.degrees(math.acos(0.025))))
    n, dimension = 20_000, 50
    u = gaussian(n, dimension, seed=1)
    angle = np.degrees(np.arccos((u[:, 0].abs() / u.norm(dim=1)).numpy()))
    null = random_angle(dimension)
    assert angle.mean() == pytest.approx(null.mean, abs=4 * angle.std() / math.sqrt(n))
    inside = ((angle > null.low) & (angle < null.high)).mean()
    assert inside == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / n))
    # To first order in 1 / dimension the missing angle is that of a normal coordinate of variance 1 / dimension.
    assert 90 - random_angle(10**6).mean == pytest.approx(math.degrees(math.sqrt(2 / math.pi) / 1e3), rel=1e-5)
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        random_angle(1)


def test_principal_directions_are_those_of_scikit_learn():
    x = gaussian(200, 3, 4) * torch.linspace(1, 4, 12).reshape(3, 4) + 7
    ours = principal_directions(x, 4)
    theirs = PCA(4, svd_solver="full").fit(x.flatten(1).numpy()).components_
    assert torch.allclose(ours @ ours.T, torch.eye(4).double(), atol=1e-12)
    assert np.abs((ours.numpy() * theirs).sum(1)) == pytest.approx(np.ones(4))
    with pytest.raises(ValueError, match="between 1 and 9"):
        principal_directions(x[:10], 10)


def test_energy_of_vectors_inside_across_and_at_random():
    plane = torch.linalg.qr(gaussian(20, 3)).Q
    basis = principal_directions(gaussian(500, 3, seed=1) @ plane.T + 0.01 * gaussian(500, 20, seed=2), 3)
    inside = gaussian(5, 3, seed=3) @ plane.T
    # Noise of 0.01 turns directions of unit variance by about 0.01 / sqrt(500).
    assert energy_share(inside, basis).numpy() == pytest.approx(np.ones(5), abs=1e-4)
    across = gaussian(5, 20, seed=4)
    across -= across @ plane @ plane.T
    assert energy_share(across, basis).numpy() == pytest.approx(np.zeros(5), abs=1e-4)
    share = energy_share(gaussian(4000, 20, seed=5), basis).numpy()
    # Beta(3 / 2, 17 / 2).
    assert share.mean() == pytest.approx(3 / 20, abs=4 * stats.beta(1.5, 8.5).std() / math.sqrt(4000))


def test_probabilities_along_a_line_are_the_softmax_of_its_logits(ends):
    start, end = (part[:3] for part in ends)
    t = torch.tensor([0.0, 0.25, 1.0])
    probability, images = probabilities_along(linear, start, end, t)
    assert torch.equal(images[:, 0], start)
    assert torch.equal(images[:, 2], end)
    expected = special.softmax(0.75 * linear(start).numpy() + 0.25 * linear(end).numpy(), axis=1)
    assert probability[:, 1].numpy() == pytest.approx(expected)


def test_rank_correlation_is_scipys_and_its_interval_covers():
    generator = np.random.default_rng(1)
    x = generator.normal(size=60)
    y = np.round(x + generator.normal(size=60))  # with ties
    found = rank_correlation(x, y)
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    z = np.arctanh(found.value)
    error = np.sqrt((1 + found.value**2 / 2) / 57)
    limits = np.tanh(stats.norm.interval(0.95, z, error))
    assert (found.low, found.high) == pytest.approx(tuple(limits))
    # A normal pair of correlation r has the rank correlation 6 / pi asin(r / 2).
    r, n, trials = 0.6, 50, 500
    truth = 6 / np.pi * np.arcsin(r / 2)
    hits = 0
    for _ in range(trials):
        one = generator.normal(size=n)
        interval = rank_correlation(one, r * one + math.sqrt(1 - r * r) * generator.normal(size=n))
        hits += interval.low <= truth <= interval.high
    assert hits / trials == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / trials))
    assert rank_correlation([1, 2, 3, 4], [2, 4, 6, 8]).low == 1
    assert math.isnan(rank_correlation([1, 2, 3], [2, 4, 6]).low)
    assert math.isnan(rank_correlation(x, np.ones(60)).value)
    known = rank_correlation(np.append(x, [np.nan, 3]), np.append(y, [1, np.inf]))
    assert known == found, "pairs with both values count"
    with pytest.raises(ValueError, match="equally many"):
        rank_correlation([1, 2], [1])


def test_columns_are_summarized_one_by_one():
    values = np.random.default_rng(2).normal(size=(30, 2, 2))
    values[3, 0, 1] = np.nan
    values[:, 1, 1] = np.nan
    clusters = np.arange(30) // 2
    found = summarize_columns(values, clusters, 0.9, 5)
    kept = np.arange(30) != 3
    expected = {
        (0, 0): summarize(values[:, 0, 0], clusters, 0.9, 5),
        (0, 1): summarize(values[kept, 0, 1], clusters[kept], 0.9, 5),
        (1, 1): NO_VALUES,
    }
    for place, summary in expected.items():
        for name, value in vars(summary).items():
            assert found[name][place] == pytest.approx(value, nan_ok=True)
    assert summarize_columns(np.empty((0, 3)))["n"].tolist() == [0, 0, 0]
