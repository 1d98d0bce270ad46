"""Geometry of tilted boundaries against closed forms and invariances."""

import math

import pytest
import torch

from neighborhoods.tilting import (
    adversarial_distance,
    boundary_offset,
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
