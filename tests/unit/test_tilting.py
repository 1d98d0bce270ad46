"""Geometry of tilted boundaries against closed forms and invariances."""

import math

import pytest
import torch

from neighborhoods.tilting.plane import (
    adversarial_distance,
    boundary_offset,
    boundary_tilt,
    centroids,
    deviation_angle,
    measured_distance,
    mirror_images,
    plane_coordinates,
    tilt_directions,
    tilted_classifier,
    toy_problem,
)


def problem(d: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.where(torch.arange(50) < 20, -1.0, 1.0).double()
    return torch.randn(50, d, generator=generator, dtype=torch.float64) + 0.4 * y[:, None], y


def weights(d: int = 7, count: int = 5) -> torch.Tensor:
    return torch.randn(count, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_plane_is_orthonormal_and_holds_the_weight():
    x, y = problem()
    z = centroids(x, y).direction
    w = weights()
    n = tilt_directions(w, z)
    torch.testing.assert_close(n @ z, torch.zeros(5).double(), rtol=0, atol=1e-14)
    theta = torch.deg2rad(deviation_angle(w, z))
    unit = w / w.norm(dim=1, keepdim=True)
    torch.testing.assert_close(theta.cos()[:, None] * z + theta.sin()[:, None] * n, unit, rtol=0, atol=1e-14)


def test_the_closed_form_is_the_signed_distance_to_mirror_images():
    x, y = problem()
    centre = centroids(x, y)
    for w in weights():
        expected = adversarial_distance(deviation_angle(w, centre.direction), centre.distance)
        signed, plain = measured_distance(x, y, w, torch.tensor(0.3))
        assert signed == pytest.approx(float(expected), abs=1e-13)
        assert plain >= signed


def test_mirror_images_are_involutions_across_the_boundary():
    x, _ = problem()
    w, b = weights()[0], torch.tensor(0.7).double()
    mirrored = mirror_images(x, w, b)
    torch.testing.assert_close(mirrored @ w + b, -(x @ w + b))
    torch.testing.assert_close(mirror_images(mirrored, w, b), x)


def test_the_boundary_in_the_plane_separates_as_in_all_of_space():
    x, y = problem()
    centre, w, b = centroids(x, y), weights()[:1], torch.tensor([0.2]).double()
    theta = torch.deg2rad(deviation_angle(w, centre.direction))
    places = plane_coordinates(x, centre.middle, centre.direction, tilt_directions(w, centre.direction)[0])
    line = places @ torch.cat([theta.cos(), theta.sin()]) + boundary_offset(w, b, centre.middle)
    torch.testing.assert_close(line, (x @ w[0] + b) / w.norm())


def test_a_weight_along_the_centroids_takes_its_neighbours_plane():
    x, y = problem()
    z = centroids(x, y).direction
    w = torch.stack([weights()[0], 2 * z, 3 * z])
    n = tilt_directions(w, z)
    torch.testing.assert_close(n[1:], n[:1].expand(2, -1))
    assert deviation_angle(w, z)[1:].max() < 1e-5


def test_angles_are_exact_where_the_cosine_is_not():
    z = torch.eye(2).double()[0]
    w = torch.tensor([[1.0, 1e-9], [0.0, 1.0], [-1.0, 0.0]]).double()
    torch.testing.assert_close(deviation_angle(w, z), torch.tensor([math.degrees(1e-9), 90.0, 180.0]).double())


@pytest.mark.parametrize("theta", [0.0, 45.0, 85.0])
def test_dimension_plays_no_part_in_the_toy_problem(theta):
    found = []
    for dimension in (2, 785):
        toy = toy_problem(dimension, 50)
        w, b = tilted_classifier(toy, theta)
        centre = centroids(toy.x, toy.y)
        assert (toy.y * (toy.x @ w + b) > 0).all()
        assert float(toy.direction @ toy.tilt) == pytest.approx(0, abs=1e-13)
        assert float(deviation_angle(w, centre.direction)) == pytest.approx(theta, abs=1e-6)
        found.append(measured_distance(toy.x, toy.y, w, b)[0] / math.sqrt(dimension))
        # Levels of brightness are 0.375 from the middle in the mean.
        assert found[-1] == pytest.approx(0.375 * math.cos(math.radians(theta)), rel=1e-12)


def test_degenerate_input_gets_one_sentence():
    x, y = problem()
    with pytest.raises(ValueError, match="found none labelled -1"):
        centroids(x[y > 0], y[y > 0])
    with pytest.raises(ValueError, match="found equal centroids"):
        centroids(torch.ones(4, 3), torch.tensor([-1.0, 1.0, -1.0, 1.0]))
    # Sums of tenths in two orders differ in the last digit.
    tenths = torch.tensor([[0.1], [0.2], [0.3], [0.3], [0.2], [0.1]], dtype=torch.float64)
    with pytest.raises(ValueError, match="found equal centroids"):
        centroids(tenths, torch.tensor([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]))
    z = centroids(x, y).direction
    with pytest.raises(ValueError, match="found all of them along it"):
        tilt_directions(torch.stack([z, z]), z)
    with pytest.raises(ValueError, match="found one that is zero"):
        deviation_angle(torch.zeros(7).double(), z)
    with pytest.raises(ValueError, match="found 1 and 5"):
        toy_problem(1, 5)


def test_a_tilt_agrees_with_the_closed_forms_where_images_scatter_little():
    toy = toy_problem(40, 60)
    weight, bias = tilted_classifier(toy, 35.0)
    first, second = toy.x[toy.y < 0], toy.x[toy.y > 0]
    tilt = boundary_tilt(first.reshape(-1, 4, 10).numpy(), second.reshape(-1, 4, 10).numpy(), 3 * weight, 3 * bias)
    assert tilt.angle.value == pytest.approx(35.0, abs=1e-4)
    assert tilt.untilted.value == pytest.approx(centroids(toy.x, toy.y).distance / 2, rel=1e-3)
    assert tilt.distance.value == pytest.approx(measured_distance(toy.x, toy.y, weight, bias)[0], rel=1e-12)
    assert (tilt.wrong.value, tilt.wrong.n) == (0.0, 120)
    # The classifier turned around has the angle to 180 degrees, and everything on the wrong side.
    turned = boundary_tilt(first, second, -weight, -bias)
    assert turned.angle.value == pytest.approx(145.0, abs=1e-4)
    assert turned.distance.value == pytest.approx(-tilt.distance.value, rel=1e-12)
    assert turned.wrong.value == 1.0


@pytest.mark.parametrize("theta", [0.0, 30.0, 80.0])
def test_intervals_of_a_tilt_hold_the_truth_where_means_scatter_as_far_as_they_lie_apart(theta):
    generator = torch.Generator().manual_seed(0)
    d, trials = 60, 150
    weight, mean = torch.zeros(d).double(), torch.zeros(d).double()
    weight[0], weight[1], mean[0] = math.cos(math.radians(theta)), math.sin(math.radians(theta)), 1.5
    held, plain, values = torch.zeros(3), [], []
    for _ in range(trials):
        first = 0.4 * torch.randn(25, d, generator=generator, dtype=torch.float64)
        second = mean + 0.5 * torch.randn(40, d, generator=generator, dtype=torch.float64)
        tilt = boundary_tilt(first, second, weight, -0.75 * float(weight[0]))
        truth = (theta, 0.75, 0.75 * math.cos(math.radians(theta)))
        found = (tilt.angle, tilt.untilted, tilt.distance)
        held += torch.tensor([one.low <= true <= one.high for one, true in zip(found, truth, strict=True)])
        values.append(tilt.angle.value)
        apart = second.mean(0) - first.mean(0)
        plain.append(float(deviation_angle(weight, apart / apart.norm())))
    # Four standard deviations of a binomial share below the level.
    assert float(held.min()) / trials > 0.95 - 4 * math.sqrt(0.95 * 0.05 / trials)
    if theta == 30:
        assert abs(sum(values) / trials - theta) < 1.5
        assert sum(plain) / trials > theta + 7


def test_what_has_no_tilt_gets_a_sentence():
    x = torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    for first, second, weight, bias, sentence in [
        (x[:2], x, x[0], 0.0, r"at least three images of each class .* found \(2, 4\) and \(5, 4\)"),
        (x, x[:, :3], x[0], 0.0, r"all of one shape, found \(5, 4\) and \(5, 3\)"),
        (x, x + 1, x[0, :3], 0.0, r"a finite weight of 4 numbers and one bias, found shapes \(3,\) and \(1,\)"),
        (x, x + 1, x[0], x[1], r"found shapes \(4,\) and \(4,\)"),
        (x, x * math.nan, x[0], 0.0, "images must be finite"),
        (x, x.flip(0), x[0], 0.0, "equal centroids"),
        (x, x + 1, 0 * x[0], 0.0, "a length above zero"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            boundary_tilt(first, second, weight, bias)
