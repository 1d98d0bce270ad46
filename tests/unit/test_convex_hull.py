"""Distances to convex hulls against SciPy's non-negative least squares and closed forms."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from neighborhoods.path_kernel.convex_hull import class_distances, hull_distance


def by_nnls(points, x, weight=1e4):
    """min ||points^T a - x|| with a heavy row for sum a = 1."""
    matrix = np.vstack([points.T, np.full(len(points), weight)])
    a, _ = nnls(matrix, np.append(x, weight), maxiter=1000)
    return np.linalg.norm(points.T @ (a / a.sum()) - x)


@pytest.mark.parametrize(("n", "d"), [(30, 2), (20, 3), (15, 40), (40, 12), (1, 5)])
def test_limits_hold_scipys_distance(n, d):
    generator = torch.Generator().manual_seed(n)
    points = torch.randn(n, d, generator=generator, dtype=torch.float64)
    x = 2 * torch.randn(25, d, generator=generator, dtype=torch.float64)
    found = hull_distance(points, x, tolerance=1e-5)
    expected = np.array([by_nnls(points.numpy(), row) for row in x.numpy()])
    # The heavy row costs SciPy about 1e-4^2 of the distance.
    assert found.distance.numpy() == pytest.approx(expected, abs=2e-5)
    assert np.all(found.lower.numpy() <= expected + 1e-6)
    assert float((found.distance - found.lower).max()) <= 1e-5


def test_a_square_has_closed_distances():
    square = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]])
    x = torch.tensor([[0.5, 0.5], [0.25, 1], [2, 0.5], [2, 2], [-3, -4]])
    found = hull_distance(square, x, tolerance=1e-6)
    assert found.distance.tolist() == pytest.approx([0, 0, 1, 2**0.5, 5], abs=2e-6)


def test_points_on_a_line_have_no_faces():
    line = torch.stack([torch.linspace(0, 1, 7), torch.linspace(0, 2, 7)], 1)
    found = hull_distance(line, torch.tensor([[0.0, 2.5], [2.0, 4.0]]), tolerance=1e-6)
    # Nearest points are (1, 2) and (1, 2).
    assert found.distance.tolist() == pytest.approx([1.25**0.5, 5**0.5], abs=2e-6)


def test_limits_hold_before_convergence():
    generator = torch.Generator().manual_seed(0)
    points, x = torch.randn(2, 50, 30, generator=generator, dtype=torch.float64)
    rough, fine = hull_distance(points, x, 1e-9, steps=5), hull_distance(points, x, 1e-6, steps=5000)
    assert bool((rough.lower <= fine.distance + 1e-9).all())
    assert bool((rough.distance >= fine.lower - 1e-9).all())


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"found \(4, 2\), \(3, 3\)"):
        hull_distance(torch.zeros(4, 2), torch.zeros(3, 3))


def test_each_point_is_measured_against_the_class_that_it_is_given():
    generator = torch.Generator().manual_seed(0)
    x, points = torch.randn(40, 2, generator=generator), 3 * torch.randn(9, 2, generator=generator)
    y, predicted = torch.arange(40) % 2, torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 2])
    found = class_distances(x, y, points, predicted, 1e-5)
    for i in range(8):
        expected = hull_distance(x[y == predicted[i]], points[i : i + 1], 1e-5)
        assert float(found.distance[i]) == pytest.approx(float(expected.distance[0]), abs=1e-5)
    assert found.distance[8].isnan()
    assert found.lower[8].isnan()
