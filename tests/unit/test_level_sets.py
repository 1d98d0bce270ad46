"""Level sets, junctions of classes, paths and spectra on boundaries with known shapes."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize

from neighborhoods.boundary.connectedness import connect, pairs_of_equal_classes
from neighborhoods.boundary.junctions import class_distances, classes_within, sampled_classes, shortest_offsets
from neighborhoods.boundary.level_sets import (
    along_lines,
    constraint_rank,
    local_dimensions,
    probability_images,
    project_to_level,
    simplex,
)
from neighborhoods.boundary.points import cross, descend
from neighborhoods.boundary.projected_spectra import offsets, spectrum, spread_ratio
from neighborhoods.boundary.spectra import singular_values
from neighborhoods.cones.wedges import Wedge
from tests.unit.level_set_cases import gaussian


def linear(weights, biases=0.0):
    return lambda x: x.flatten(1) @ weights.T + biases


def five_classes():
    return linear(gaussian(5, 30, seed=1), gaussian(5, seed=2))


def crossings(model, n, dimension=30, seed=3):
    found = cross(model, 2 * gaussian(n, dimension, seed=seed), 2 * gaussian(n, dimension, seed=seed + 1))
    return found.at(found.found)


def sectors():
    """Three classes in the plane that meet at the origin at equal angles."""
    angles = torch.tensor([math.pi / 2, math.pi * 7 / 6, math.pi * 11 / 6], dtype=torch.float64)
    return linear(torch.stack([angles.cos(), angles.sin()], 1))


def between_sectors(distance):
    """Points of the edge between the first two sectors, so far from the origin."""
    direction = torch.tensor([-math.cos(math.pi / 6), math.sin(math.pi / 6)], dtype=torch.float64)
    return descend(sectors(), torch.as_tensor(distance, dtype=torch.float64)[:, None] * direction)


def sphere(x):
    """Class 1 inside the unit sphere."""
    inside = 1 - x.flatten(1).norm(dim=1)
    return torch.stack([-inside, inside], 1)


def discs(x):
    """Class 1 in two unit discs around (-2, 0) and (2, 0)."""
    centres = torch.tensor([[-2.0, 0.0], [2.0, 0.0]], dtype=x.dtype)
    inside = 1 - torch.cdist(x, centres).amin(1)
    return torch.stack([-inside, inside], 1)


def cut_plane(x):
    """Classes left and right of x = 0, and a third one for |y| < 1 / 2."""
    third = 10 * (0.5 - x[:, 1].abs())
    return torch.stack([-x[:, 0], x[:, 0], third], 1)


def test_points_projected_to_a_level_have_its_probabilities():
    model = five_classes()
    points = crossings(model, 100)
    rest = 1 - 2 * points.level
    near = points.point + 0.02 * gaussian(*points.point.shape, seed=5)
    found = project_to_level(model, near, points.pair, rest)
    rows = found.found
    assert float(rows.double().mean()) > 0.9  # elsewhere a third class is nearer than the samples
    p = model(found.point[rows]).softmax(1)
    pair = p.gather(1, points.pair[rows])
    # Probabilities follow logits with slopes below 1, and these are solved to 1.5e-8.
    assert (pair - points.level[rows, None]).abs().max() < 1e-7
    assert bool((p.amax(1) <= pair.amin(1) + 1e-7).all())
    assert bool(torch.isnan(found.point[~rows]).all())


def test_a_level_set_of_many_classes_lacks_two_dimensions_and_of_two_classes_one():
    for model, rank in ((five_classes(), 2), (linear(gaussian(2, 30, seed=1)), 1)):
        points = crossings(model, 40)
        jacobian = constraint_rank(model, points)
        assert jacobian.rank.unique().tolist() == [rank]
        assert bool(((jacobian.sine > 0.01) == (rank == 2)).all())
        deep = points.at(points.third.argsort(descending=True)[:2])
        local = local_dimensions(model, deep, torch.tensor([1e-3, 1e-2]), offsets("flat", 90, 30))
        assert local.boundary_dropped.unique().tolist() == [1]
        assert local.level_dropped.unique().tolist() == [rank]
        assert int(local.boundary_found.min()) == int(local.level_found.min()) == 90
        # A flat sample keeps its values in the directions that are left: those of the plane.
        values = local.boundary[:, 0, : 30 - 1] / math.sqrt(90) / 1e-3
        assert values.numpy() == pytest.approx(1, rel=1e-3)


def test_a_sphere_lacks_one_dimension_only_where_it_looks_flat():
    points = descend(sphere, gaussian(1, 20))
    local = local_dimensions(sphere, points, torch.tensor([1e-3, 1.0]), offsets("flat", 60, 20))
    assert local.boundary_dropped[0, 0] == 1
    assert local.boundary_dropped[0, 1] == 0


def test_probability_images_sum_to_one_and_the_simplex_has_its_corners():
    logits = gaussian(50, 5) * 3
    pair = logits.topk(2, dim=1).indices
    p = logits.softmax(1)
    image = probability_images(logits, pair)
    assert image.sum(1).numpy() == pytest.approx(1, abs=1e-12)
    assert image[:, :3].numpy() == pytest.approx(p.topk(3, dim=1).values.numpy(), abs=1e-12)
    two = probability_images(logits[:, :2], torch.tensor([[0, 1]]).expand(50, 2))
    assert two[:, 2:].abs().max() == 0
    assert simplex(torch.eye(3)).numpy() == pytest.approx(np.array([[0, 0], [1, 0], [0.5, 0.75**0.5]]), abs=1e-6)
    third = torch.tensor([0.5, 0.5, 0.5])  # equal odds, whatever the rest: the centre
    assert simplex(third).tolist() == pytest.approx([0.5, 0.75**0.5 / 3])


def test_lines_of_a_linear_classifier_are_straight_in_the_logits_of_their_curves():
    model = sectors()
    start, end = torch.tensor([[-1.0, 2.0]]).double(), torch.tensor([[-2.0, -1.0]]).double()
    pair = cross(model, start, end).pair
    t, curves = along_lines(model, start, end, pair, 11)
    logs = curves[0, :, :3].log()
    odds = logs[:, :1] - logs[:, 1:]
    line = odds[0] + t[:, None] * (odds[-1] - odds[0])
    assert odds.numpy() == pytest.approx(line.numpy(), abs=1e-9)
    assert float(curves.sum(2).sub(1).abs().max()) < 1e-12


def least_distance(gradients, bounds):
    """Least |d| with G d >= b by Lawson and Hanson's reduction to non-negative least squares."""
    stacked = np.vstack([gradients.T, bounds])
    target = np.append(np.zeros(gradients.shape[1]), 1.0)
    solution, _ = optimize.nnls(stacked, target)
    residual = stacked @ solution - target
    return np.linalg.norm(-residual[:-1] / residual[-1])


def test_distances_to_classes_of_a_linear_classifier_are_those_of_quadratic_programs():
    weights, biases = gaussian(5, 30, seed=1), gaussian(5, seed=2)
    model = linear(weights, biases)
    points = crossings(model, 30)
    found = class_distances(model, points)
    assert bool((found.gather(1, points.pair) == 0).all())
    for i, place in enumerate(points.point):
        for c in set(range(5)) - set(points.pair[i].tolist()):
            others = [k for k in range(5) if k != c]
            gradients = (weights[c] - weights[others]).numpy()
            bounds = -(gradients @ place.numpy() + (biases[c] - biases[others]).numpy())
            exact = least_distance(gradients, bounds)
            # The search aims a thousandth of the lead beyond; rounding of the program aside it is never nearer.
            assert exact * (1 - 1e-6) <= float(found[i, c]) <= exact * (1 + 5e-3)


def test_shortest_offsets_solve_random_programs():
    normals, bounds = gaussian(200, 4, 6), gaussian(200, 4, seed=1).abs()
    program = shortest_offsets(normals, bounds)
    exact = [least_distance(g, b) for g, b in zip(normals.numpy(), bounds.numpy(), strict=True)]
    relative = program.offset.norm(dim=1).numpy() / exact - 1
    # Coordinate ascent is slow where normals are nearly parallel: a few programs are left at a smaller tolerance.
    assert np.quantile(np.abs(relative), 0.98) < 1e-9
    assert np.abs(relative).max() < 1e-2


def test_three_classes_meet_within_the_distance_of_their_corner():
    distance = torch.tensor([0.05, 0.2, 0.5, 1.5])
    points = between_sectors(distance)
    nearest = class_distances(sectors(), points)
    assert nearest[:, 2].numpy() == pytest.approx(distance.numpy(), rel=2e-3)
    radii = torch.tensor([0.1, 0.3, 1.0, 3.0])
    counts = classes_within(nearest, radii)
    assert torch.equal(counts, 2 + (distance[:, None] * 1.002 < radii).long())
    sampled = sampled_classes(sectors(), points, radii, 500).sum(2)
    assert bool((sampled <= counts).all())  # samples invent nothing
    assert bool((sampled.diff(dim=1) >= 0).all())
    assert torch.equal(sampled[0, 1:], counts[0, 1:])  # in the plane they miss no sector that is wide enough


def test_samples_miss_what_the_search_finds_in_many_dimensions():
    weights = torch.zeros(3, 400, dtype=torch.float64)
    weights[:, :2] = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 8.0]])
    model = linear(weights, torch.tensor([0.0, 0.0, -4.0]))  # the third class begins at x_2 = 1 / 2
    place = torch.zeros(5, 400, dtype=torch.float64)
    points = descend(model, place + 1e-3, torch.tensor([[0, 1]]).expand(5, 2))
    radii = torch.tensor([1.0])
    assert class_distances(model, points)[:, 2].numpy() == pytest.approx(0.5, abs=5e-3)
    # A uniform direction has a component above 1 / 2 with a chance below 1e-23.
    assert bool((sampled_classes(model, points, radii, 100).sum(2) == 2).all())


def test_two_classes_meet_no_third():
    model = linear(gaussian(2, 30, seed=1))
    points = crossings(model, 10)
    assert class_distances(model, points).abs().max() == 0
    assert bool((sampled_classes(model, points, torch.tensor([1.0]), 10).sum(2) == 2).all())


def test_points_of_a_sphere_are_connected():
    start, end = (descend(sphere, gaussian(20, 5, seed=seed)) for seed in (1, 2))
    pair = torch.tensor([[0, 1]]).expand(20, 2)
    paths = connect(sphere, start.point, end.point, pair, 0.1)
    assert paths.status == ["connected"] * 20
    assert float(paths.longest.max()) <= 0.1
    arc = ((start.point * end.point).sum(1).clamp(-1, 1)).acos()
    assert bool((paths.steps >= arc / 0.1).all())


def test_points_of_two_discs_are_not_connected():
    start = descend(discs, torch.tensor([[-3.2, 0.3], [-2.1, 0.8]]).double())
    end = descend(discs, torch.tensor([[2.9, 0.2], [-1.8, -0.9]]).double())
    paths = connect(discs, start.point, end.point, torch.tensor([[0, 1], [0, 1]]), 0.1)
    assert paths.status == ["gap", "connected"]
    assert float(paths.longest[0]) >= 2 - 1e-6  # the discs are two apart


def test_a_third_class_cuts_a_boundary():
    ends = torch.tensor([[0.0, -2.0], [0.0, 2.0], [0.0, 1.0], [0.0, 3.0]]).double()
    paths = connect(cut_plane, ends[[0, 2]], ends[[1, 3]], torch.tensor([[0, 1], [0, 1]]), 0.1)
    assert paths.status == ["other class", "connected"]
    assert float(paths.longest[0]) == 4
    assert int(paths.steps[1]) == 32  # 2 in steps of 1 / 16


def test_too_few_rounds_leave_paths_unresolved_and_no_paths_are_none():
    start, end = (descend(sphere, gaussian(3, 5, seed=seed)).point for seed in (1, 2))
    pair = torch.tensor([[0, 1]]).expand(3, 2)
    paths = connect(sphere, start, end, pair, 0.01, rounds=2)
    assert paths.status == ["unresolved"] * 3
    assert paths.steps.tolist() == [4] * 3
    assert connect(sphere, start[:0], end[:0], pair[:0], 0.1).status == []
    with pytest.raises(ValueError, match="positive tolerance"):
        connect(sphere, start, end, pair, 0.0)


def test_points_are_paired_within_equal_classes_once_each():
    pair = torch.tensor([[0, 1], [1, 0], [2, 1], [0, 1], [-1, -1], [1, 2], [1, 0]])
    rows = pairs_of_equal_classes(pair)
    assert len(rows) == 3
    assert len(rows.unique()) == rows.numel()
    assert torch.equal(pair[rows[:, 0]].sort(1).values, pair[rows[:, 1]].sort(1).values)
    group = torch.tensor([0, 1, 0, 0, 1, 0, 0])
    assert pairs_of_equal_classes(pair, group).tolist() == [[0, 1]]


def test_offsets_have_unit_variance_and_flat_ones_equal_values():
    for kind, spread in (("flat", 1e-6), ("gaussian", 1.5)):
        values = singular_values(offsets(kind, 120, 40)) / math.sqrt(120)
        assert float(values.square().mean()) == pytest.approx(1, rel=0.06)  # 120 x 40 squares: 2 % of standard error
        assert float(values.max() - values.min()) < spread
    with pytest.raises(ValueError, match="more than 41 samples"):
        offsets("flat", 40, 40)
    with pytest.raises(ValueError, match="at most 4096 values"):
        offsets("flat", 10000, 5000)


@pytest.mark.parametrize("kind", ["gaussian", "flat"])
@pytest.mark.parametrize("projection", ["line", "descent"])
def test_a_plane_drops_its_normal(kind, projection):
    weights = gaussian(2, 40, seed=1)
    model = linear(weights)
    start, end = gaussian(1, 40, seed=2), -gaussian(1, 40, seed=2)
    crossing = cross(model, start, end)
    point = crossing.point[0] + torch.linalg.qr(weights.diff(dim=0).T, mode="complete").Q[:, 1] * 3  # on the plane too
    cloud = 0.01 * offsets(kind, 200, 40)
    found = spectrum(model, point, (start[0], end[0]), cloud, projection, ratio=spread_ratio(kind, 200, 40))
    assert found.dropped == 1
    assert found.found == 200
    # Projection may leave a thousandth of the spread.
    assert found.smallest < 0.5
    assert found.normal_share == pytest.approx(1, abs=1e-4)
    assert found.normal_rank == pytest.approx(1, abs=1e-6)
    assert found.image == pytest.approx(1, abs=1e-3)
    if projection == "descent":  # which leaves the mean where it is; lines to the parents draw it in
        lost = found.raw.square().sum() - found.removed.square().sum()
        assert float(lost) == pytest.approx(float(point @ point), rel=1e-2)
    assert float(found.normals.square().sum()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("known", [True, False])
def test_places_without_a_gradient_have_no_normal(known):
    def model(x):
        # A step, flat on both sides, where the second coordinate is positive; a slope elsewhere.
        margin = torch.where(x[:, 1] > 0, torch.sign(x[:, 0]), x[:, 0] if known else torch.sign(x[:, 0]))
        return torch.stack([-margin, margin], 1)

    point = torch.eye(6).double()[2]
    parents = (point - torch.eye(6).double()[0], point + torch.eye(6).double()[0])
    found = spectrum(model, point, parents, 0.01 * offsets("flat", 200, 6), "line", ratio=0.1)
    assert found.found == 200
    assert found.dropped == 1
    if known:
        assert found.normals.tolist() == pytest.approx([1, 0, 0, 0, 0, 0], abs=1e-7)
    else:
        assert bool(torch.isnan(found.normals).all())


def test_normals_around_an_edge_span_its_faces():
    model = Wedge(np.eye(2, 30))
    point = torch.zeros(30, dtype=torch.float64)
    point[1], point[5] = 0.5, 1.0  # on the face x_1 = 0, half a unit from the other
    parents = (point - torch.eye(30).double()[0], point + torch.eye(30).double()[0])
    near, far = (
        spectrum(model, point, parents, radius * offsets("flat", 100, 30), "descent", ratio=0.1)
        for radius in (0.05, 1.0)
    )
    assert near.dropped == 1
    assert near.smallest < 0.5
    assert float(near.normals[1:].max()) < 1e-6
    assert float(far.normals[1]) > 0.3
    assert float(far.normals[2:].max()) < 1e-6
