import math

import numpy as np
import pytest
import torch

from neighborhoods.boundary.normals import (
    degrees_between,
    energy_share,
    margin_normals,
    sampled_normals,
    skewness,
    turning,
    turning_radius,
)
from neighborhoods.boundary.points import cross, descend, first_change, towards
from neighborhoods.networks.architectures import fully_connected


class Linear:
    """Logits of classes with weights [classes, n] and biases."""

    def __init__(self, weights, biases):
        self.weights, self.biases = weights, biases

    def __call__(self, x):
        return x.flatten(1) @ self.weights.T + self.biases


class Ellipsoid:
    """Class 1 inside {x^T A x < 1}, A diagonal."""

    def __init__(self, axes):
        self.a = torch.as_tensor(axes, dtype=torch.float64) ** -2

    def __call__(self, x):
        inside = 1 - (x.flatten(1) ** 2 @ self.a)
        return torch.stack([-inside, inside], 1)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def linear():
    return Linear(gaussian(5, 30, seed=1), gaussian(5, seed=2))


def on_the_boundary(model, points):
    """The tie of the two leading classes at each point, relative to the slope: a distance."""
    logits = model(points.point)
    leading = logits.topk(2, dim=1)
    assert torch.equal(leading.indices.sort(1).values, points.pair.sort(1).values)
    return (leading.values[:, 0] - leading.values[:, 1]).abs()


def test_crossings_of_a_linear_classifier_are_where_two_of_its_lines_meet(linear):
    start, end = gaussian(200, 30, seed=3) * 2, gaussian(200, 30, seed=4) * 2
    found = cross(linear, start, end)
    own, other = linear(start).argmax(1), linear(end).argmax(1)
    assert bool((found.found == (own != other)).all())  # cells are convex: the class never comes back
    rows = found.found
    at_start, at_end = linear(start), linear(end)
    # Logits are linear in t; another class overtakes at t = m(0) / (m(0) - m(1)), the first of them counts.
    lead_0, lead_1 = (z.gather(1, own[:, None]) - z for z in (at_start, at_end))
    t = torch.where(lead_1 < 0, lead_0 / (lead_0 - lead_1), math.inf)
    assert found.t[rows].numpy() == pytest.approx(t.amin(1)[rows].numpy(), abs=1e-12)
    assert torch.equal(found.pair[rows], torch.stack([own, t.argmin(1)], 1)[rows])
    assert float(found.gap[rows].abs().max()) < 1e-9
    assert found.level[rows].numpy() == pytest.approx(linear(found.point[rows]).softmax(1).amax(1).numpy(), rel=1e-9)
    assert bool((found.pair[~rows] == -1).all())
    assert bool(torch.isnan(found.point[~rows]).all())


def test_descent_on_a_linear_classifier_of_two_classes_is_the_orthogonal_projection():
    model = Linear(gaussian(2, 30, seed=1), gaussian(2, seed=2))
    x = gaussian(100, 30, seed=5)
    found = descend(model, x)
    w = model.weights[0] - model.weights[1]
    b = model.biases[0] - model.biases[1]
    expected = x - ((x @ w + b) / (w @ w))[:, None] * w
    assert bool(found.found.all())
    assert float((found.point - expected).norm(dim=1).max()) < 1e-6
    assert float(on_the_boundary(model, found).max() / w.norm()) < 1e-6
    assert bool(torch.isinf(found.third).all())


def test_descent_with_many_classes_ends_where_two_lead(linear):
    found = descend(linear, gaussian(300, 30, seed=6))
    assert bool(found.found.all())
    assert float(on_the_boundary(linear, found).max()) < 1e-6
    assert float(found.third.min()) > -1e-9


def test_descent_to_a_given_pair_starts_from_either_side(linear):
    x = gaussian(300, 30, seed=7)
    own = linear(x).argmax(1)
    for pair in (torch.stack([own, (own + 1) % 5], 1), torch.stack([(own + 1) % 5, own], 1)):
        found = descend(linear, x, pair)
        rows = found.found
        assert 50 < int(rows.sum()) < 300  # elsewhere a third class leads where the two tie
        assert float(on_the_boundary(linear, points_at(found, rows)).max()) < 1e-6
        assert torch.equal(found.pair[rows], pair[rows])


def points_at(points, rows):
    return type(points)(**{name: value[rows] for name, value in vars(points).items()})


def test_descent_on_an_ellipsoid_ends_on_it():
    model = Ellipsoid([1.0, 2.0, 0.5, 1.5])
    x = gaussian(200, 4, seed=8)
    found = descend(model, x)
    assert bool(found.found.all())
    assert ((found.point**2 @ model.a) - 1).abs().max() < 1e-6
    normal = margin_normals(model, found)
    outward = found.point * model.a
    outward = outward / outward.norm(dim=1, keepdim=True)
    sign = torch.where(found.pair[:, 0] == 1, 1.0, -1.0)[:, None]  # out of the first class
    assert (normal - sign * outward).abs().max() < 1e-9


def test_single_precision_is_told_by_the_gap():
    torch.manual_seed(0)
    model = fully_connected((1, 6, 6), [20], 4).eval()
    x = gaussian(50, 1, 6, 6).float() * 3
    found = descend(model, x)
    assert bool(found.found.all())
    assert found.point.dtype == torch.float32
    assert found.gap.dtype == torch.float64
    # A rounding of the point, 6e-8 of its length of about 18, times the slope of the margin.
    assert float(found.gap.abs().max()) < 1e-5


def test_points_that_lie_on_the_boundary_to_a_rounding_are_found():
    torch.manual_seed(0)
    model = fully_connected((1, 6, 6), [20], 4).eval()
    found = descend(model, gaussian(50, 1, 6, 6).float() * 3)
    again = descend(model, found.point, found.pair)
    assert bool(again.found.all())
    assert float((again.point - found.point).abs().max()) < 1e-4


def test_points_without_a_way_are_not_found():
    class Flat:
        def __call__(self, x):
            return torch.stack([x.sum(1) * 0 + 1, x.sum(1) * 0], 1)

    found = descend(Flat(), gaussian(3, 4))
    assert not bool(found.found.any())
    crossing = cross(Flat(), gaussian(3, 4), gaussian(3, 4, seed=1))
    assert not bool(crossing.found.any())
    assert bool(torch.isnan(crossing.t).all())
    assert bool(torch.isnan(margin_normals(Flat(), crossing)).all())


def test_the_first_of_several_changes_counts():
    class Stripes:
        def __call__(self, x):
            wave = torch.cos(x[:, 0] * math.pi)
            return torch.stack([wave, -wave], 1)

    start, end = torch.zeros(1, 2).double(), torch.tensor([[5.0, 0.0]]).double()
    low, high = first_change(Stripes(), start, end)
    assert float(high) == pytest.approx(0.1, abs=1e-12)
    assert float(low) <= float(high)


def test_samples_go_to_the_parent_of_another_class():
    model = Linear(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).double(), torch.zeros(2).double())
    first, second = torch.tensor([1.0, 0.3]).double(), torch.tensor([-2.0, -0.4]).double()
    x = gaussian(40, 2, seed=9) * 0.3
    found = towards(model, x, first, second)
    assert found.point[:, 0].numpy() == pytest.approx(np.zeros(40), abs=1e-12)
    parent = torch.where(x[:, :1] >= 0, second, first)
    expected = x + (x[:, :1] / (x[:, :1] - parent[:, :1])) * (parent - x)
    assert found.point.numpy() == pytest.approx(expected.numpy(), abs=1e-12)
    with pytest.raises(ValueError, match="both in class 0"):
        towards(model, x, first, first)


def test_bad_points_are_refused_in_one_sentence(linear):
    with pytest.raises(ValueError, match="finite floating-point"):
        descend(linear, torch.full((2, 30), math.nan, dtype=torch.float64))
    with pytest.raises(ValueError, match="one shape"):
        cross(linear, gaussian(2, 30), gaussian(3, 30))
    with pytest.raises(ValueError, match="pair of classes"):
        descend(linear, gaussian(2, 30), torch.zeros(3, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="finite logits"):
        cross(lambda x: x * math.nan, gaussian(2, 30), gaussian(2, 30))


def test_skewness_of_a_plane_is_the_angle_to_its_normal():
    model = Linear(torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]).double(), torch.zeros(2).double())
    tilt = torch.deg2rad(torch.tensor([0.0, 1e-5, 20.0, 60.0, 89.9], dtype=torch.float64))
    direction = torch.stack([tilt.cos(), tilt.sin(), torch.zeros(5).double()], 1)
    found = skewness(model, -direction, direction)
    assert found.angle.numpy() == pytest.approx(np.array([0.0, 1e-5, 20.0, 60.0, 89.9]), abs=1e-9)
    back = skewness(model, direction, -direction)
    assert back.angle.numpy() == pytest.approx(found.angle.numpy(), abs=1e-9)
    assert torch.allclose(back.normal, -found.normal)


def test_angles_do_not_hang_on_length_or_sign():
    u, v = gaussian(20, 3, 4), gaussian(20, 3, 4, seed=1)
    angle = degrees_between(u, v)
    cosine = (u * v).flatten(1).sum(1).abs() / u.flatten(1).norm(dim=1) / v.flatten(1).norm(dim=1)
    assert angle.numpy() == pytest.approx(np.degrees(np.arccos(cosine.numpy())), abs=1e-9)
    assert torch.allclose(degrees_between(-3 * u, 0.1 * v), angle)
    assert bool(torch.isnan(degrees_between(u * 0, v)).all())


def test_least_squares_finds_the_normal_of_a_curved_boundary():
    model = Ellipsoid([1.0, 2.0, 0.5, 1.5])
    found = descend(model, gaussian(20, 4, seed=8))
    by_gradient = margin_normals(model, found)
    by_samples = sampled_normals(model, found, 0.01, 4000, seed=1).normal
    # The margin is even in z up to its slope, so that pairs of samples leave rounding alone.
    assert float(degrees_between(by_gradient, by_samples).max()) < math.degrees(1e-3)
    assert bool(((by_gradient * by_samples).sum(1) > 0).all())
    with pytest.raises(ValueError, match="at least 16 samples"):
        sampled_normals(model, found, 0.01, 14)


def test_the_error_of_a_fitted_normal_is_that_of_its_angle():
    class Kinked:
        """A margin that hangs on the first coordinate alone, so that the mean gradient is along it."""

        def __call__(self, x):
            first = x.flatten(1)[:, 0]
            return torch.stack([-torch.tanh(3 * first), torch.tanh(3 * first)], 1)

    at = descend(Kinked(), torch.full((1, 20), 0.1).double())
    fits = [sampled_normals(Kinked(), at, 1.0, 200, seed=seed) for seed in range(200)]
    angle = torch.stack([degrees_between(fit.normal, torch.eye(1, 20).double()) for fit in fits])
    error = torch.stack([fit.error for fit in fits])
    # The root mean square of 200 angles of 19 dimensions has a relative error of 1 / sqrt(2 x 19 x 200) = 1.1 %; the
    # formula counts 20 dimensions for 19 (2.6 %), and takes tangents for angles of about 10 degrees.
    assert float(error.square().mean().sqrt() / angle.square().mean().sqrt()) == pytest.approx(1, abs=0.07)


def test_a_crossing_survives_the_rounding_of_another_batch():
    class Rounding:
        """Whole batches see the boundary a rounding later than parts of them."""

        def __call__(self, x):
            lead = x[:, 0] - 0.3 - (1e-12 if len(x) == 7 else 0)
            return torch.stack([-lead, lead], 1)

    start, end = torch.zeros(7, 2).double(), torch.ones(7, 2).double()
    end[0] = 0  # never crosses, so that the others are a part of the batch
    found = cross(Rounding(), start, end)
    assert found.found.tolist() == [False] + [True] * 6
    assert found.pair[1:].tolist() == [[0, 1]] * 6


@pytest.mark.parametrize("radius", [0.7, 3.0])
def test_normals_of_a_sphere_turn_by_its_curvature(radius):
    model = Ellipsoid([radius] * 6)
    found = descend(model, gaussian(10, 6, seed=3))
    radii = torch.tensor([0.01, 0.1, 0.3]).double() * radius
    turned = turning(model, found, radii, walks=7)
    assert bool((turned.found == 1).all())
    assert turned.angle.numpy() == pytest.approx(
        np.broadcast_to(np.degrees(np.arctan([0.01, 0.1, 0.3]))[None, :, None], (10, 3, 7)), rel=1e-6
    )
    assert turned.curvature.numpy() == pytest.approx(np.full((10, 3), 1 / radius), rel=1e-6)


def test_normals_of_a_cylinder_turn_across_it_alone():
    # Of radius 2 about the last axis: the shape operator has one zero among two values.
    model = Ellipsoid([2.0, 2.0, 1e9])
    found = descend(model, gaussian(5, 3, seed=3))
    turned = turning(model, found, torch.tensor([0.02]).double(), walks=400)
    # A direction at the angle a from the circle turns by cos(a) r / R; a is uniform, so the median is at 45 degrees.
    largest = math.degrees(0.01)
    assert turned.angle.max() <= largest * 1.001
    # The median of |cos| of 400 uniform angles has the standard error .5 / sqrt(400) / density(.71) = .028.
    assert turned.median.mean().item() == pytest.approx(largest * math.sqrt(0.5), abs=largest * 4 * 0.028)


@pytest.mark.parametrize("walks", [1, 2, 5, 6])
def test_the_middle_walk_counts_also_of_an_even_number(walks):
    found = descend(Ellipsoid([2.0, 2.0, 1e9]), gaussian(5, 3, seed=3))
    turned = turning(Ellipsoid([2.0, 2.0, 1e9]), found, torch.tensor([0.02]).double(), walks=walks)
    assert turned.median.numpy() == pytest.approx(np.median(turned.angle.numpy(), 2), rel=1e-12)


def test_lines_that_never_change_class_have_no_normals():
    model = Linear(torch.zeros(2, 6).double(), torch.tensor([1.0, 0.0]).double())
    for lines in (3, 0):
        found = cross(model, gaussian(lines, 6), gaussian(lines, 6, seed=1))
        fitted = sampled_normals(model, found, 0.1, 24)
        assert bool(torch.isnan(fitted.normal).all() and torch.isnan(fitted.error).all())
        turned = turning(model, found, torch.tensor([0.1, 1.0]).double(), walks=3)
        assert turned.angle.shape == (lines, 2, 3)
        assert bool(torch.isnan(turned.median).all())
        assert float(turned.found.sum()) == 0


def test_the_radius_at_which_normals_turn_is_interpolated():
    radii = torch.tensor([0.1, 1.0, 10.0])
    rows = [[0.0, 2.0, 10.0], [6.0, 7.0, 8.0], [0.0, 1.0, 2.0], [math.nan, 0.0, 10.0], [math.nan] * 3]
    angle = torch.tensor(rows).double()
    found = turning_radius(radii, angle, 5.0)
    assert found[:3].tolist() == pytest.approx([10 ** (3 / 8), 0.1, math.inf])
    assert float(found[3]) == pytest.approx(10**0.5)
    assert math.isnan(found[4])


def test_energy_in_principal_directions():
    basis = torch.linalg.qr(gaussian(10, 10)).Q
    vectors = torch.stack([basis[0], basis[9], basis[0] + basis[9], 5 * (basis[1] - basis[2])])
    assert energy_share(vectors, basis[:3]).tolist() == pytest.approx([1, 0, 0.5, 1])
