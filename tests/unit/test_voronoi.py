import math

import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay
from scipy.stats import binomtest
from sklearn.neighbors import KNeighborsClassifier

from neighborhoods.boundary.angles import compare_angles, crossing_angles
from neighborhoods.boundary.delaunay import DelaunayWeights, plane_boundary
from neighborhoods.boundary.lines import pairs_of_classes
from neighborhoods.boundary.normals import degrees_between, skewness
from neighborhoods.boundary.voronoi import (
    NearestPoint,
    delaunay_neighbours,
    first_change,
    gabriel_neighbours,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def scattered(count, dimension, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, dimension, generator=generator, dtype=torch.float64)
    return points, torch.arange(count) % classes


def segments(count, dimension, seed=1):
    return torch.rand(2, count, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).unbind(0)


def nearest_by_sklearn(points, labels):
    return KNeighborsClassifier(1, algorithm="brute").fit(points.numpy(), labels.numpy())


def test_angles_to_the_normal():
    normal = torch.tensor([[0.0, 2.0], [0.0, -1.0], [0.0, 1.0], [0.0, 1.0]])
    line = torch.tensor([[0.0, 3.0], [1.0, 1.0], [4.0, 0.0], [1e-9, 1.0]], dtype=torch.float64)
    expected = [0, 45, 90, math.degrees(1e-9)]
    assert degrees_between(line, normal).numpy() == pytest.approx(expected, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("dimension", [1, 2, 5, 60])
def test_classes_and_scores_of_the_nearest_point(dimension):
    points, labels = scattered(90, dimension, 4)
    x = segments(200, dimension)[0]
    model = NearestPoint(points, labels)
    assert (model(x).argmax(1).numpy() == nearest_by_sklearn(points, labels).predict(x.numpy())).all()
    squares = (x[:, None] - points).square().sum(2)
    brute = torch.stack([squares[:, labels == label].amin(1) for label in range(4)], 1)
    assert (-model(x)).numpy() == pytest.approx(brute.numpy(), abs=1e-14)


def test_scores_have_the_gradient_of_the_nearest_point():
    points, labels = scattered(40, 3, 2)
    x = segments(20, 3)[0].requires_grad_(True)
    assert torch.autograd.gradcheck(NearestPoint(points, labels), (x,))


def test_images_and_other_labellings_are_taken_as_they_are():
    points, labels = scattered(30, 12, 3)
    shuffled = torch.randperm(30, generator=torch.Generator().manual_seed(3))
    x = segments(50, 12)[0]
    plain = NearestPoint(points, labels)(x)
    images = NearestPoint(points[shuffled].reshape(30, 1, 3, 4), labels[shuffled])(x.reshape(50, 1, 3, 4))
    assert images.numpy() == pytest.approx(plain.numpy(), abs=1e-14)


@pytest.mark.parametrize("dimension", [2, 3, 8, 100])
def test_first_changes_agree_with_a_dense_scan(dimension):
    points, labels = scattered(150, dimension, 3)
    start, end = segments(60, dimension)
    found = first_change(NearestPoint(points, labels), start, end)
    judge = nearest_by_sklearn(points, labels)
    places = np.linspace(0, 1, 801)
    line = (end - start)[:, None] * torch.from_numpy(places)[:, None]
    seen = judge.predict((start[:, None] + line).reshape(-1, dimension).numpy()).reshape(60, 801)
    changed = seen != seen[:, :1]
    t = found.t.numpy()
    known = np.isfinite(t)
    assert known.sum() > 20
    assert not changed[~known].any()
    assert not (changed & (places < t[:, None]))[known].any(), "no change before the first"
    assert (changed & (places >= t[:, None])).any(1)[known].mean() > 0.9, "most classes last for a step of the scan"
    # On both sides of the place found the class differs; 1e-9 of a segment is far above rounding, far below a cell.
    first, span = start[known].numpy(), (end - start)[known].numpy()
    before, beyond = (judge.predict(first + (t[known, None] + step) * span) for step in (-1e-9, 1e-9))
    assert (before == seen[known, 0]).all()
    assert (beyond != before).all()
    inner, outer = (labels[which[known]].numpy() for which in (found.inner, found.outer))
    assert (inner == before).all()
    assert (outer == beyond).all()
    distances = [(found.point - points[which]).norm(dim=1)[known] for which in (found.inner, found.outer)]
    assert distances[0].numpy() == pytest.approx(distances[1].numpy(), rel=1e-12)
    nearest = torch.cdist(found.point[known], points).amin(1)
    assert distances[0].numpy() == pytest.approx(nearest.numpy(), rel=1e-7), "cdist loses digits to cancellation"
    normal = points[found.outer[known]] - points[found.inner[known]]
    cosine = (normal * (end - start)[known]).sum(1) / normal.norm(dim=1) / (end - start)[known].norm(dim=1)
    assert found.angle[known].deg2rad().cos().numpy() == pytest.approx(cosine.numpy(), abs=1e-12)


def test_faces_along_a_line_of_points_are_counted():
    points = torch.arange(6.0)[:, None]
    labels = torch.tensor([0, 0, 0, 1, 0, 1])
    start, end = torch.tensor([[0.2], [0.2], [4.9]]), torch.tensor([[5.0], [2.4], [4.1]])
    found = first_change(NearestPoint(points, labels), start, end)
    assert found.faces.tolist() == [3, 2, 1]
    assert found.inner.tolist() == [2, -1, 5]
    assert found.outer.tolist() == [3, -1, 4]
    assert found.point[[0, 2], 0].tolist() == pytest.approx([2.5, 4.5])
    assert found.t.isnan().tolist() == [False, True, False]


def test_through_a_vertex_the_segment_goes_into_the_cell_beyond():
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    found = first_change(NearestPoint(points, torch.tensor([0, 1, 1, 0])), points[:1], points[3:])
    assert found.t.isnan().all(), "the other class is met at a single place only"
    assert found.faces.tolist() == [1]


def test_rotations_and_translations_change_no_crossing():
    points, labels = scattered(200, 7, 3)
    start, end = segments(80, 7)
    turn = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)).Q
    before = first_change(NearestPoint(points, labels), start, end)
    moved = [values @ turn + 30 for values in (points, start, end)]
    after = first_change(NearestPoint(moved[0], labels), *moved[1:])
    assert after.inner.tolist() == before.inner.tolist()
    assert after.outer.tolist() == before.outer.tolist()
    # Coordinates of 30 leave 1e-14 of those of 1; a flat crossing makes t less certain by 1 / cos(angle).
    assert after.t.numpy() == pytest.approx(before.t.numpy(), abs=1e-11, nan_ok=True)
    assert after.angle.numpy() == pytest.approx(before.angle.numpy(), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(("count", "dimension"), [(28, 2), (32, 3), (25, 4)])
def test_neighbours_by_linear_programme_are_those_of_the_triangulation(count, dimension):
    points, _ = scattered(count, dimension, 1)
    pairs = torch.combinations(torch.arange(count))[:: dimension - 1]
    edges = Delaunay(points.numpy()).simplices[:, list(zip(*np.triu_indices(dimension + 1, 1), strict=True))]
    known = {tuple(sorted(edge)) for edge in edges.reshape(-1, 2).tolist()}
    found = delaunay_neighbours(points, pairs)
    assert found.tolist() == [tuple(pair) in known for pair in pairs.tolist()]
    assert found[gabriel_neighbours(points, pairs)].all()


def test_corners_of_a_square_share_no_face_across():
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    pairs = torch.tensor([[0, 1], [0, 3], [1, 2]])
    assert delaunay_neighbours(points, pairs).tolist() == [True, False, False]
    assert gabriel_neighbours(points, pairs).tolist() == [True, False, False]


def test_gabriel_neighbours_cross_their_face_orthogonally_in_784_dimensions():
    generator = torch.Generator().manual_seed(2)
    # Near a subspace of few dimensions, so that there are pairs of both kinds.
    points = torch.randn(600, 9, generator=generator) @ torch.randn(9, 784, generator=generator)
    points = (points + 0.1 * torch.randn(600, 784, generator=generator)).double()
    labels = torch.randint(3, (600,), generator=generator)
    pairs = pairs_of_classes(labels, 200)
    neighbours = gabriel_neighbours(points, pairs)
    assert 10 < int(neighbours.sum()) < len(pairs) - 10
    start, end = points[pairs[:, 0]], points[pairs[:, 1]]
    found = first_change(NearestPoint(points, labels), start, end)
    assert found.angle[neighbours].max() < 1e-4
    assert found.t[neighbours].numpy() == pytest.approx(np.full(int(neighbours.sum()), 0.5), abs=1e-9)
    assert (torch.stack([found.inner, found.outer], 1)[neighbours] == pairs[neighbours]).all()
    assert (found.faces[neighbours] == 1).all()
    # Every other segment meets the cell of a third point.
    assert not (torch.stack([found.inner, found.outer], 1)[~neighbours] == pairs[~neighbours]).all(1).any()


def test_a_third_of_the_delaunay_edges_of_the_plane_are_not_gabriel():
    points = scattered(20_000, 2, 1)[0]
    simplices = torch.from_numpy(Delaunay(points.numpy()).simplices).long()
    edges = torch.cat([simplices[:, [0, 1]], simplices[:, [1, 2]], simplices[:, [0, 2]]]).sort(1).values.unique(dim=0)
    inner = ((points[edges] > 0.1) & (points[edges] < 0.9)).flatten(1).all(1)
    edges = edges[inner][torch.randperm(int(inner.sum()), generator=torch.Generator().manual_seed(0))[:2000]]
    share = 1 - gabriel_neighbours(points, edges).double().mean()
    # Mean numbers of neighbours are 6 and 4; 2000 edges have a standard error of 1.05 %.
    assert float(share) == pytest.approx(1 / 3, abs=3 * 0.0105)


@pytest.mark.parametrize("dimension", [2, 3, 4])
def test_delaunay_weights_against_every_simplex(dimension):
    points, labels = scattered(30, dimension, 3)
    weights = DelaunayWeights(points, labels)
    x = 1.2 * segments(300, dimension)[0] - 0.1
    found = weights(x)
    simplices = Delaunay(points.numpy()).simplices
    corners = np.concatenate([points.numpy()[simplices], np.ones((*simplices.shape, 1))], 2).transpose(0, 2, 1)
    right = np.concatenate([x.numpy(), np.ones((300, 1))], 1).T
    # Barycentric coordinates of every point in every simplex [M, d + 1, 300].
    coordinates = np.linalg.solve(corners, np.broadcast_to(right, (len(simplices), *right.shape)))
    inside = (coordinates > -1e-12).all(1)
    expected = np.full((300, 3), np.nan)
    for query in np.flatnonzero(inside.any(0)):
        which = inside[:, query].argmax()
        expected[query] = np.bincount(labels.numpy()[simplices[which]], coordinates[which, :, query], 3)
    assert found.numpy() == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert 0 < np.isnan(expected[:, 0]).sum() < 300
    lengths = [np.linalg.norm(points.numpy()[a] - points.numpy()[b]) for s in simplices for a in s for b in s]
    assert weights.longest_edge == pytest.approx(max(lengths))


def test_the_two_largest_weights_tie_on_the_boundary():
    points, labels = scattered(80, 2, 3)
    weights = DelaunayWeights(points, labels)
    boundary = plane_boundary(weights)
    share = torch.rand(len(boundary.level), 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    between = boundary.segments[:, 0] + share * (boundary.segments[:, 1] - boundary.segments[:, 0])
    level = boundary.level[:, 0] + share[:, 0] * (boundary.level[:, 1] - boundary.level[:, 0])
    top = weights(between).topk(2, dim=1).values
    assert top[:, 0].numpy() == pytest.approx(top[:, 1].numpy(), abs=1e-9)
    assert top[:, 0].numpy() == pytest.approx(level.numpy(), abs=1e-9)
    assert level.min() < 0.49, "some triangles have corners of three classes"
    # Nowhere else: where the class by weight differs between the ends of a short segment, a piece of boundary is near.
    x = 0.2 + 0.6 * segments(4000, 2)[0]
    y = x + 0.01 * torch.randn(4000, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    differ = weights(x).argmax(1) != weights(y).argmax(1)
    a, b = boundary.segments.unbind(1)
    along = (((x[:, None] - a) * (b - a)).sum(2) / (b - a).square().sum(1)).clamp(0, 1)
    gap = (x[:, None] - a - along[:, :, None] * (b - a)).norm(dim=2).amin(1)
    assert int(differ.sum()) > 100
    assert bool((gap <= (y - x).norm(dim=1) + 1e-9)[differ].all())


@pytest.mark.parametrize("count", [300, 3000])
def test_the_boundary_comes_near_that_of_the_labels(count):
    points = scattered(count, 2, 1)[0] * 2 - 1
    weights = DelaunayWeights(points, (points.norm(dim=1) > 0.6).long())
    gap = (plane_boundary(weights).segments.norm(dim=2) - 0.6).abs()
    # The end of a segment is the middle of an edge that the circle crosses. Edges near the hull may be longer.
    assert float(gap.max()) <= weights.longest_edge / 2
    assert float(gap.mean()) < 0.6 / math.sqrt(count), "the mean distance of neighbours is about 2 / sqrt(count)"


def test_a_network_of_one_face_is_crossed_where_the_plane_says():
    class Flat(torch.nn.Module):
        def forward(self, x):
            height = x.flatten(1)[:, 0] - 0.4
            return torch.stack([-height, height], 1)

    start = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.2, 0.0]]).double()
    end = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.6, 0.0]]).double()
    found = skewness(Flat(), start, end)
    assert found.crossing.t.numpy() == pytest.approx([0.4, 0.75], abs=1e-5)
    # Coordinates of the ends are rounded to single precision.
    assert found.angle.numpy() == pytest.approx([0, 45], abs=1e-5)
    assert found.crossing.point[:, 0].numpy() == pytest.approx([0.4, 0.4], abs=1e-5)
    assert (found.normal[:, 0] > 0).all(), "into the new class"


def test_lines_that_stay_in_a_class_have_no_angle_and_are_counted():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    model = NearestPoint(points, torch.tensor([0, 1, 0]))
    start = torch.zeros(5, 2).double()
    end = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.3], [0.2, 0.1]]).double()
    angles = crossing_angles(model, model, start, end)
    assert (
        angles.network.angle.isnan().tolist()
        == angles.voronoi.angle.isnan().tolist()
        == [False, True, False, True, True]
    )
    found = compare_angles(angles, 0.9)
    exact = binomtest(2, 5).proportion_ci(0.9, "exact")
    for changed in (found.network_changed, found.voronoi_changed):
        assert (changed.value, changed.low, changed.high, changed.n) == pytest.approx((0.4, exact.low, exact.high, 5))
    assert found.network.n == found.voronoi.n == found.difference.n == 2


def test_the_network_of_nearest_points_has_the_angles_of_the_walk():
    points = scattered(60, 3, 1)[0]
    labels = (points[:, 0] > 0.5).long()
    model = NearestPoint(points, labels)
    pairs = pairs_of_classes(labels, 25)
    start, end = points[pairs[:, 0]], points[pairs[:, 1]]
    walked, scanned = first_change(model, start, end), skewness(model, start, end)
    # The scan does not see a class that a segment leaves within a 64th of its length.
    same = (walked.t - scanned.crossing.t).abs() < 1e-5
    assert int(same.sum()) > 5
    assert bool((scanned.crossing.t >= walked.t - 1e-9).all())
    assert scanned.angle[same].numpy() == pytest.approx(walked.angle[same].numpy(), abs=1e-4)


def test_what_does_not_fit_is_named():
    points, labels = scattered(9, 2, 3)
    with pytest.raises(ValueError, match=r"each class from 0 on, found \[0, 2\]"):
        NearestPoint(points[:2], torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="finite points"):
        NearestPoint(points * torch.nan, labels)
    with pytest.raises(ValueError, match=r"points of 2 coordinates, found shape \(9, 3\)"):
        NearestPoint(points, labels)(torch.zeros(9, 3))
    with pytest.raises(ValueError, match="of one shape"):
        first_change(NearestPoint(points, labels), points, points[:3])
    for pairs in (torch.tensor([[0, 9]]), torch.tensor([[1, 1]]), torch.tensor([0, 1])):
        for test in (gabriel_neighbours, delaunay_neighbours):
            with pytest.raises(ValueError, match=r"pairs \[P, 2\] of different points in 0..8"):
                test(points, pairs)
    with pytest.raises(ValueError, match="d from 2 to 6"):
        DelaunayWeights(torch.zeros(9, 7), labels)
    with pytest.raises(ValueError, match="span their space"):
        DelaunayWeights(torch.arange(9.0)[:, None].expand(9, 2), labels)
    with pytest.raises(ValueError, match=r"points \[B, 2\], found shape \(4, 3\)"):
        DelaunayWeights(points, labels)(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="two dimensions, found 3"):
        plane_boundary(DelaunayWeights(scattered(9, 3, 3)[0], labels))
