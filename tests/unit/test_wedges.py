"""Wedges against quadratic programming, integrals and the properties of projections; their stage and its figure."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from neighborhoods.cones.as_printed import distance_from_nearest, project_in_turn
from neighborhoods.cones.closed_forms import orthant_persistence, wedge_persistence, wedge_share
from neighborhoods.cones.crossings import (
    axis_persistence,
    axis_share,
    centreline,
    cross,
    opening_angle,
    parallel_line,
    parallel_start,
    side_ratio,
)
from neighborhoods.cones.wedges import (
    contains,
    faces_met,
    nearest_in_cone,
    nearest_in_orthant,
    nearest_in_sector,
    nearest_in_wedge,
    random_normals,
    sector_normals,
    wedge_normals,
)

GAMMA = 0.7
NORMALS = {"wedge": wedge_normals, "sector": sector_normals}
NEAREST = {"wedge": nearest_in_wedge, "sector": nearest_in_sector}
LOWEST = {"wedge": -1.4, "sector": 0.05}


pytestmark = pytest.mark.usefixtures("one_thread")


def programmed(points, normals):
    """Nearest points one by one, by SciPy's non-negative least squares of the dual."""
    return np.stack([point + normals.T @ optimize.nnls(normals.T, -point)[0] for point in points])


def queries(rng, count, dimension, faces):
    """Points of several sizes on all sides of the apex."""
    points = rng.standard_normal((count, dimension)) * rng.choice([0.1, 1, 10], (count, 1))
    points[:, 1:faces] += rng.choice([-2, 0, 2], (count, 1))
    return points


@pytest.mark.parametrize("shape", ["wedge", "sector"])
@pytest.mark.parametrize(("dimension", "faces"), [(6, 2), (9, 9), (12, 6), (30, 20)])
def test_nearest_points_of_both_shapes_are_those_of_quadratic_programming(shape, dimension, faces):
    rng = np.random.default_rng(dimension)
    angles = rng.uniform(LOWEST[shape], 1.4, faces - 1)
    points = queries(rng, 1000, dimension, faces)
    exact = programmed(points, NORMALS[shape](angles, dimension))
    found = NEAREST[shape](torch.from_numpy(points), angles).numpy()
    # Coordinates of at most 50; condition numbers of the faces' products below 1e4.
    assert np.abs(found - exact).max() < 1e-9
    general = nearest_in_cone(torch.from_numpy(points), NORMALS[shape](angles, dimension)).numpy()
    assert np.abs(general - exact).max() < 1e-9


@pytest.mark.parametrize(("faces", "dimension"), [(1, 4), (3, 3), (10, 20), (40, 6)])
def test_nearest_points_of_general_cones_are_those_of_quadratic_programming(faces, dimension):
    rng = np.random.default_rng(faces)
    normals = rng.standard_normal((faces, dimension))
    # A cone that is more than the apex, although it has more faces than dimensions.
    normals[:, 0] = np.abs(normals[:, 0]) + 1
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = rng.standard_normal((1000, dimension))
    found = nearest_in_cone(torch.from_numpy(points), normals)
    assert np.abs(found.numpy() - programmed(points, normals)).max() < 1e-9


def test_a_cone_that_is_only_its_apex_and_one_with_a_face_twice():
    rng = np.random.default_rng(0)
    normals = np.concatenate([np.eye(3), -np.eye(3)])
    points = torch.from_numpy(rng.standard_normal((50, 3)))
    assert nearest_in_cone(points, normals).abs().max() < 1e-12
    twice = random_normals(3, 5, 0.4, seed=1)[[0, 1, 1, 2, 2]]
    points = rng.standard_normal((200, 5))
    found = nearest_in_cone(torch.from_numpy(points), twice).numpy()
    assert np.abs(found - programmed(points, twice)).max() < 1e-9


def test_points_projected_in_turn_are_the_nearest_of_orthogonal_faces_alone():
    x = torch.tensor([[-2.0, 0.5, 1.0], [-1.0, -3.0, 2.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    # Lemma 30.11.
    assert torch.equal(project_in_turn(x, np.eye(2, 3)), nearest_in_orthant(x, 2))
    assert distance_from_nearest(x, project_in_turn(x, np.eye(2, 3)), np.eye(2, 3)).tolist() == [0, 0, 0]
    # Faces at 60 degrees, x_1 >= 0 and x_2 >= x_1 tan(30): from (-1, -1) the first leads to (0, -1), the second to
    # (-sqrt(3) / 4, -1 / 4), which lies behind the first again; the nearest point is the apex.
    point, normals = torch.tensor([[-1.0, -1.0]], dtype=torch.float64), wedge_normals([math.pi / 6], 2)
    found = project_in_turn(point, normals)
    assert found.numpy() == pytest.approx(np.array([[-math.sqrt(3) / 4, -1 / 4]]))
    # Its length is 1/2, that of the point sqrt(2).
    assert distance_from_nearest(point, found, normals) == pytest.approx([0.5 / math.sqrt(2)])
    # Two planes settle at the nearest point; of more, some points settle in the wedge at another.
    assert distance_from_nearest(point, project_in_turn(point, normals, 100), normals) == pytest.approx([0], abs=1e-12)
    points, three = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 4))), wedge_normals([0.5, 0.5], 4)
    settled = project_in_turn(points, three, 300)
    assert (settled @ torch.from_numpy(three).T).min() > -1e-12
    apart = distance_from_nearest(points, settled, three)
    assert (apart < 1e-12).any()
    assert (apart > 1e-2).any()


def test_orthants_are_wedges_of_angle_zero():
    points = torch.from_numpy(np.random.default_rng(1).standard_normal((200, 8)))
    expected = nearest_in_orthant(points, 5)
    assert torch.equal(expected[:, :5], points[:, :5].clamp(min=0))
    assert torch.equal(expected[:, 5:], points[:, 5:])
    assert (nearest_in_wedge(points, [0.0] * 4) - expected).abs().max() < 1e-14
    assert (nearest_in_cone(points, np.eye(5, 8)) - expected).abs().max() < 1e-14


CONES = st.sampled_from(["wedge", "sector", "general"])


@given(CONES, st.integers(2, 8), st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_projections_onto_cones_have_their_properties(kind, faces, seed):
    rng = np.random.default_rng(seed)
    dimension = faces + 2
    if kind == "general":
        normals = random_normals(faces, dimension, rng.uniform(-0.9 / (faces - 1), 0.9), seed)

        def nearest(x):
            return nearest_in_cone(x, normals)
    else:
        angles = rng.uniform(LOWEST[kind], 1.4, faces - 1)
        normals = NORMALS[kind](angles, dimension)

        def nearest(x):
            return NEAREST[kind](x, angles)

    first, second = torch.from_numpy(queries(rng, 40, dimension, faces)).split(20)
    found, other = nearest(first), nearest(second)
    scale = 1e-10 * first.abs().max()
    assert (found @ torch.from_numpy(normals).T).min() > -scale
    assert (nearest(found) - found).abs().max() < scale
    assert ((found - other).norm(dim=1) <= (first - second).norm(dim=1) + scale).all()
    # Moreau (1962): the residual is orthogonal to the nearest point and lies in the polar cone.
    residual = first - found
    assert ((residual * found).sum(1).abs() < 1e-9 * (first**2).sum(1)).all()
    assert ((residual @ other.T) < 1e-9 * first.norm(dim=1)[:, None] * other.norm(dim=1) + scale).all()
    assert (nearest(3 * first) - 3 * found).abs().max() < 3 * scale


def test_membership_and_active_faces():
    angles = [0.5, 0.3]
    normals = wedge_normals(angles, 4)
    points = torch.tensor(
        [[1.0, 1.0, 1.0, 0.0], [-1.0, 1.0, 1.0, 5.0], [1.0, 0.0, 1.0, 0.0], [-1.0, -1.0, -1.0, 2.0]]
    ).double()
    assert contains(points, normals).tolist() == [True, False, False, False]
    met = faces_met(nearest_in_wedge(points, angles), normals)
    assert met.tolist() == [[False] * 3, [True, False, False], [False, True, False], [True] * 3]


def test_sector_normals_are_those_of_the_sector():
    angles = [0.9, 0.2]
    normals = sector_normals(angles, 5)
    points = np.random.default_rng(0).standard_normal((2000, 5))
    upper = points[:, :1] * np.tan(angles)
    inside = (points[:, 0] >= 0) & ((points[:, 1:3] >= 0) & (points[:, 1:3] <= upper)).all(1)
    assert inside.any()
    assert (contains(torch.from_numpy(points), normals).numpy() == inside).all()
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1)


@pytest.mark.parametrize("shape", ["wedge", "sector"])
def test_a_plane_wedge_and_a_sector_of_one_opening_are_mirror_images(shape):
    opening = math.radians(50)
    angle = opening_angle(shape, opening)
    normals = NORMALS[shape]([angle], 2)
    # Inward normals enclose the supplement of the opening.
    assert math.acos(normals[0] @ normals[1]) == pytest.approx(math.pi - opening)
    middle = centreline(shape, [angle], 1.0, 2)
    distances = middle @ normals.T
    assert distances == pytest.approx(np.linalg.norm(middle) * math.sin(opening / 2))


@pytest.mark.parametrize("shape", ["wedge", "sector"])
def test_lines_cross_where_they_say(shape):
    angles = [0.7, 0.4, 1.1]
    normals = NORMALS[shape](angles, 6)
    small = np.array([-1e-6, 1e-6])
    middle = centreline(shape, angles, small, 6)
    assert contains(torch.from_numpy(middle), normals).tolist() == [False, True]
    assert (centreline(shape, angles, 2.0, 6)[:, 4:] == 0).all()
    line = parallel_line(parallel_start(shape, angles, 0.5) + small, 0.5, 6)
    assert contains(torch.from_numpy(line), normals).tolist() == [False, True]
    assert (line[:, 1:] == 0.5).all()


def conditional_share(shape, point, angles, sigma):
    """The measure as an adaptive integral over x_1."""
    slopes = np.tan(angles)

    def given_first(x):
        bounds = [(x * slopes, math.inf), (0, x * slopes)][shape == "sector"]
        each = np.diff([stats.norm.cdf((bound - point[1:]) / sigma) for bound in bounds], axis=0)[0]
        return stats.norm.pdf(x, point[0], sigma) * each.prod()

    end = max(point[0], 0) + 9 * sigma
    kinks = np.clip(np.append(point[1:] / slopes, point[0]), 0, end)
    return integrate.quad(given_first, 0, end, points=np.unique(kinks), limit=500, epsabs=1e-13)[0]


@pytest.mark.parametrize("shape", ["wedge", "sector"])
@pytest.mark.parametrize("faces", [2, 4, 20])
def test_shares_are_those_of_an_adaptive_integral_of_samples_and_of_genz(shape, faces):
    rng = np.random.default_rng(faces)
    for sigma in (0.2, 1.0, 4.0):
        angles = rng.uniform(LOWEST[shape], 1.3, faces - 1)
        point = rng.standard_normal(faces) + 1
        share = float(axis_share(shape, point[None], angles, [sigma])[0])
        # Both integrate analytic functions; 1e-9 is far above the errors that either states.
        assert share == pytest.approx(conditional_share(shape, point, angles, sigma), abs=1e-9)
        normals = NORMALS[shape](angles, faces)
        noisy = point + sigma * rng.standard_normal((100_000, faces))
        sampled = float(contains(torch.from_numpy(noisy), normals).double().mean())
        error = math.sqrt(max(sampled * (1 - sampled), 1e-5) / 100_000)
        assert share == pytest.approx(sampled, abs=4.5 * error)
        if shape == "wedge" and faces < 20:
            # Genz's integral is asked for an absolute error of 1e-5; five times that is a safe bound of it.
            assert float(wedge_share(normals @ point, normals, sigma)) == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize("gamma", [0.4, 0.7, 0.9])
def test_persistence_is_that_of_orthants_and_of_the_search_by_genz(gamma):
    points = np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    exact = orthant_persistence([1.0, -1.0], 3, gamma)
    # 36 halvings of a step of 10 %.
    assert axis_persistence("wedge", points, [0.0, 0.0], gamma) == pytest.approx(exact, rel=1e-10)
    angles = [-0.9, -0.4]
    normals = wedge_normals(angles, 3)
    for point in ([1.0, 0.5, 2.0], [-1.0, 0.5, 0.3], [0.5, -1.5, 2.0]):
        searched = wedge_persistence(normals @ point, normals, gamma)
        # Shares right to 5e-5 at slopes of at least .02 in ln sigma.
        assert axis_persistence("wedge", [point], angles, gamma)[0] == pytest.approx(searched, rel=3e-3)


def test_persistence_on_the_boundary():
    # At the apex of an opening of 60 degrees a sixth of all noise stays inside; on a face half of the nearest does.
    for gamma, expected in ((0.16, math.inf), (0.17, 0.0)):
        assert axis_persistence("sector", np.zeros((1, 2)), [math.pi / 3], gamma)[0] == expected
    assert axis_persistence("wedge", [[0.0, 1.0]], [0.0], 0.7)[0] == 0
    # Phi(1 / sigma) / 2 = .4.
    assert axis_persistence("wedge", [[0.0, 1.0]], [0.0], 0.4)[0] == pytest.approx(1 / stats.norm.ppf(0.8), rel=1e-9)


def test_centrelines_look_alike_at_every_scale_and_orthants_have_their_faces():
    offsets = np.array([-2.0, -1.0, 1.0, 2.0])
    for faces in (2, 5):
        orthant = cross("wedge", "centreline", math.pi / 2, faces, offsets, 0.99)
        assert orthant.inside.tolist() == [False, False, True, True]
        assert orthant.faces[2:] == pytest.approx([faces] * 2, rel=1e-8)
        assert orthant.distance == pytest.approx([2 * math.sqrt(faces), math.sqrt(faces), 1, 2])
        for shape in ("wedge", "sector"):
            found = cross(shape, "centreline", 1.2, faces, offsets, 0.99)
            assert found.sigma[[0, 3]] == pytest.approx(2 * found.sigma[[1, 2]], rel=1e-8)
            # Inside a cone persistence is less than before a flat boundary, outside it is more.
            assert side_ratio(found.faces, found.inside).min() > 1


def test_a_plane_wedge_crosses_alike_in_both_readings():
    offsets = np.array([-0.5, 0.5])
    both = [cross(shape, "centreline", 1.0, 2, offsets, 0.9) for shape in ("wedge", "sector")]
    # Their centrelines have other slopes in x_1, but persistence over distance is that of one shape.
    slopes = [each.sigma / each.distance for each in both]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-8)


def test_flat_wedges_have_equal_sides():
    found = cross("wedge", "parallel", math.radians(179.99), 3, [-0.1, 0.1], GAMMA)
    # Off by the order of the 2e-4 radians that are missing to flatness.
    assert found.faces == pytest.approx([1, 1], abs=2e-3)


def test_ratios_pair_points_across_the_crossing():
    inside = [[False, False, True, True], [False, True, True, False]]
    ratio = side_ratio([[4.0, 2.0, 6.0, 8.0]] * 2, inside)
    assert ratio[0].tolist() == [3, 2]
    assert np.isnan(ratio[1]).all()


POINTS = torch.zeros(2, 3, dtype=torch.float64)


@pytest.mark.parametrize(
    "call",
    [
        lambda: nearest_in_orthant(POINTS, 4),
        lambda: nearest_in_orthant(POINTS[0], 1),
        lambda: nearest_in_wedge(POINTS, [2.0]),
        lambda: nearest_in_wedge(POINTS, [0.1] * 3),
        lambda: nearest_in_sector(POINTS, [-0.1]),
        lambda: nearest_in_cone(POINTS, np.eye(4)),
        lambda: contains(POINTS, 2 * np.eye(3)),
        lambda: sector_normals([], 3),
        lambda: sector_normals([-0.2], 3),
        lambda: opening_angle("sector", 2.0),
        lambda: parallel_start("wedge", [0.1], 0.0),
        lambda: axis_share("wedge", np.ones((2, 3)), [0.1], [1.0]),
        lambda: axis_share("wedge", np.ones((1, 3)), [0.1], [0.0]),
        lambda: axis_persistence("wedge", np.ones((1, 3)), [0.1], 1.0),
        lambda: cross("wedge", "centreline", 1.0, 1, [1.0], GAMMA),
        lambda: side_ratio([1.0], [True]),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match=r"expected|must|need"):
        call()
