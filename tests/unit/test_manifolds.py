"""Mean-field geometry of manifolds against plain loops, closed forms and invariances."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from torch import Tensor

from neighborhoods.manifolds.capacity import ball_capacity, point_capacity
from neighborhoods.manifolds.centers import shared_directions
from neighborhoods.manifolds.mean_field import anchor_geometry, anchor_points, ball_geometry, gaussian_vectors, mftma


def clouds(manifolds, features, samples, radius=1.0, shared=0.0, seed=0):
    """Gaussian clouds about Gaussian centres that may share two directions [manifolds, features, samples]."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    centers = normal(manifolds, features) + shared * normal(manifolds, 2) @ normal(2, features) + 3
    return centers[:, :, None] + radius * normal(manifolds, features, samples)


def by_loops(points, basis, vectors, kappa):
    """Capacities, radii and dimensions in the published conventions, one manifold and one vector at a time [3, P]."""
    points = [cloud.numpy() for cloud in points]
    everything = np.concatenate(points, axis=1).mean(axis=1, keepdims=True)
    rows = []
    for cloud, t in zip(points, vectors.numpy(), strict=True):
        rest = cloud - everything
        rest = rest - basis @ (basis.T @ rest)
        center = rest.mean(axis=1, keepdims=True)
        about = (rest - center) / np.linalg.norm(center)
        _, sizes, turn = np.linalg.svd(about, full_matrices=False)
        # Symmetric coordinates: the columns of the root of the points' Gram matrix.
        s = np.vstack([turn.T @ np.diag(sizes) @ turn, np.ones(about.shape[1])])
        rows.append(averages_by_loops(s, t, kappa))
    return np.array(rows).T


def averages_by_loops(s, t, kappa):
    anchors = []
    for vector in t:
        if (vector @ s).max() + kappa < 0:
            anchors.append(s[:, (vector @ s).argmax()])
            continue
        # With T' = T + kappa (0, 1) the constraint v . s <= -kappa is v' . s <= 0: non-negative least squares.
        weights, _ = optimize.nnls(s, vector + kappa * np.eye(len(s))[-1])
        anchors.append(s @ weights / weights.sum())
    anchors = np.array(anchors)
    lift = [max(v @ a + kappa, 0) ** 2 / (a @ a) for v, a in zip(t, anchors, strict=True)]
    spread = [np.sum(((a - anchors.mean(axis=0))[:-1] / a[-1]) ** 2) for a in anchors]
    cosine = [
        v[:-1] @ a[:-1] / np.linalg.norm(v[:-1]) / np.linalg.norm(a[:-1]) for v, a in zip(t, anchors, strict=True)
    ]
    return 1 / np.mean(lift), math.sqrt(np.mean(spread)), (len(s) - 1) * np.mean(cosine) ** 2


def correlation_by_loops(rows):
    pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i]]
    return float(np.mean([abs(a @ b) / math.sqrt((a @ a) * (b @ b)) for a, b in pairs]))


def least_correlated_by_loops(apart, generator):
    """Mean absolute correlation before, and the basis of the best rank, each rank from several starts."""
    frame = np.linalg.svd(apart.T, full_matrices=False)[0][:, : len(apart) - 1]
    x = torch.from_numpy(apart @ frame)
    directions = apart @ frame

    def cost(flat, rank):
        z = torch.tensor(flat, requires_grad=True)
        q = torch.linalg.qr(z.view(-1, rank)).Q
        rest = x - x @ q @ q.T
        cosines = torch.nn.functional.normalize(rest) @ torch.nn.functional.normalize(rest).T
        value = cosines.square().sum()
        return value.item(), torch.autograd.grad(value, z)[0].numpy()

    share = np.cumsum(np.linalg.svd(x)[1] ** 2)
    highest = min(int((share / share[-1] < 0.95).sum()) + 10, x.shape[1] - 1)
    bases, left, warm = [], [], np.zeros((x.shape[1], 0))
    for rank in range(1, highest + 1):
        found = []
        for _ in range(3):
            start = np.linalg.qr(np.column_stack([directions.T @ generator.standard_normal(len(x)), warm]))[0]
            end = optimize.minimize(cost, start.ravel(), args=(rank,), jac=True, method="L-BFGS-B", tol=1e-11)
            found.append(np.linalg.qr(end.x.reshape(-1, rank))[0])
        warm = max(
            found, key=lambda q: min(np.linalg.norm(row - q @ (q.T @ row)) / np.linalg.norm(row) for row in directions)
        )
        bases.append(frame @ warm)
        left.append(correlation_by_loops(directions - directions @ warm @ warm.T))
        if rank > 4 and left[-1] > left[-2] > left[-3] > left[-4]:
            break
    return correlation_by_loops(apart), bases[int(np.argmin(left))]


@pytest.fixture(scope="module")
def loops():
    """Manifolds whose centres share two directions, with the structure and correlation that plain loops find."""
    generator = np.random.default_rng(2)
    frame = np.linalg.qr(generator.standard_normal((80, 14)))[0]
    centers = frame[:, 2:] + 2 * frame[:, :2] @ generator.standard_normal((2, 12))
    spread = 0.05 * generator.standard_normal((12, 80, 6))
    points = torch.from_numpy(centers.T[:, :, None] + spread - spread.mean(2, keepdims=True))
    correlation, basis = least_correlated_by_loops(centers.T - centers.mean(1), generator)
    return points, basis, correlation


@pytest.mark.parametrize("kappa", [0.0, 0.4])
def test_values_are_those_of_plain_loops_in_the_published_conventions(loops, kappa):
    points, basis, correlation = loops
    vectors = gaussian_vectors(12, 40, 7, seed=3)
    found = mftma(points, kappa=kappa, n_t=40, seed=3)
    capacity, radius, dimension = by_loops(points, basis, vectors, kappa)
    assert found.removed == basis.shape[1] == 2
    # Two searches for the centres' structure end within 1e-5 of each other.
    assert found.manifolds.capacity.numpy() == pytest.approx(capacity, rel=1e-4)
    assert found.manifolds.radius.numpy() == pytest.approx(radius, rel=1e-4)
    assert found.manifolds.dimension.numpy() == pytest.approx(dimension, rel=1e-4)
    assert found.center_correlation.value == pytest.approx(correlation, rel=1e-9)
    assert found.capacity.value == pytest.approx(stats.hmean(capacity), rel=1e-4)
    assert found.radius.value == pytest.approx(radius.mean(), rel=1e-4)
    assert found.dimension.value == pytest.approx(dimension.mean(), rel=1e-4)


@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_anchor_points_are_those_of_the_primal_programme(kappa):
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(1, 7, 5, generator=generator, dtype=torch.float64) * 0.6
    vectors = torch.randn(1, 25, 6, generator=generator, dtype=torch.float64)
    anchors = anchor_points(points, vectors, kappa)[0].numpy()
    s = np.column_stack([points[0].numpy(), np.ones(7)])
    inside = 0
    for t, anchor in zip(vectors[0].numpy(), anchors, strict=True):
        constraint = {"type": "ineq", "fun": lambda v: -kappa - s @ v, "jac": lambda v: -s}
        v = optimize.minimize(
            lambda v, t: ((v - t) ** 2).sum() / 2, -s.mean(0) * 9, args=(t,), jac=lambda v, t: v - t,
            constraints=constraint, method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        ).x  # fmt: skip
        assert anchor[-1] == pytest.approx(1, abs=1e-12)
        if np.linalg.norm(v - t) < 1e-6:
            inside += 1
            assert anchor == pytest.approx(s[(s @ t).argmax()])
        else:
            # T - v = lambda s~, and the centre's coordinate of s~ is 1.
            assert anchor == pytest.approx((t - v) / (t - v)[-1], abs=1e-5)
    assert inside < 25


def test_single_points_have_the_capacity_of_points():
    points = clouds(8, 200, 1)
    for kappa in (0.0, 0.7):
        found = mftma(points, kappa=kappa, n_t=2000)
        assert found.capacity.value == pytest.approx(point_capacity(kappa), rel=0.005)
        assert found.radius.value == found.dimension.value == 0
    assert point_capacity() == pytest.approx(2, abs=1e-12)
    copies = points.expand(-1, -1, 4)
    assert mftma(copies, n_t=2000).capacity.value == pytest.approx(2, rel=0.005)
    assert mftma(copies, n_t=9).dimension.value == 0


@pytest.mark.parametrize("radius", [0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("dimension", [1, 2, 5, 20, 100])
def test_balls_have_the_capacity_of_the_exact_integral(radius, dimension):
    found = ball_geometry(radius, dimension, n_t=5000, seed=1)
    assert float(found.capacity) == pytest.approx(ball_capacity(radius, dimension), rel=0.02)


def test_small_balls_keep_their_radius_and_dimension():
    # Anchor points of small balls lie on the sphere, along t.
    found = ball_geometry(0.01, 8, n_t=5000)
    assert float(found.radius) == pytest.approx(0.01, rel=1e-3)
    assert float(found.dimension) == pytest.approx(8, abs=1e-9)


def test_a_dense_sample_of_a_circle_is_a_ball():
    # The polygon of 400 points lies within 1 - cos(pi / 400) = 3e-5 of its circle.
    angle = torch.arange(400, dtype=torch.float64) * (2 * math.pi / 400)
    circle = 0.8 * torch.stack([angle.cos(), angle.sin()], 1)[None]
    vectors = gaussian_vectors(1, 300, 3, seed=2)
    sampled = anchor_geometry(vectors, anchor_points(circle, vectors), 0.0, torch.tensor([2]))
    ball = ball_geometry(0.8, 2, n_t=300, seed=2)
    for name in ("capacity", "radius", "dimension"):
        assert float(getattr(sampled, name)) == pytest.approx(float(getattr(ball, name)), rel=1e-3)


def test_rotations_and_scales_leave_everything_as_it_is():
    points = clouds(8, 40, 6, radius=0.5, shared=1.0)
    turn = torch.linalg.qr(torch.randn(40, 40, generator=torch.Generator().manual_seed(5), dtype=torch.float64)).Q
    shift = torch.arange(40, dtype=torch.float64)[:, None]
    plain, turned = mftma(points), mftma(7 * turn @ points + shift)
    # The centres' structure is found to about 1e-6.
    for name in ("capacity", "radius", "dimension", "center_correlation"):
        assert getattr(turned, name).value == pytest.approx(getattr(plain, name).value, rel=1e-4)


def test_orders_and_seeds_move_values_within_their_errors():
    points = clouds(8, 40, 6, radius=0.5)
    one = mftma(points)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    samples = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    for other, back in ((mftma(points, seed=1), torch.arange(8)), (mftma(points[order][:, :, samples]), order)):
        for name in ("capacity", "radius", "dimension"):
            error = getattr(one.manifolds, f"{name}_error")
            apart = (getattr(other.manifolds, name) - getattr(one.manifolds, name)[back]).abs()
            # Standard errors are upper bounds; sqrt(2) for the difference, four of them for 8 manifolds.
            assert bool((apart <= 4 * math.sqrt(2) * error[back]).all())


def test_errors_bound_the_spread_over_seeds():
    points = clouds(3, 40, 6, radius=0.5)
    runs = [mftma(points, n_t=100, seed=seed).manifolds for seed in range(40)]
    for name in ("capacity", "radius", "dimension"):
        spread = torch.stack([getattr(run, name) for run in runs]).std(0)
        error = torch.stack([getattr(run, f"{name}_error") for run in runs]).mean(0)
        # The spread of 40 runs is itself known to 11 %.
        assert bool((spread < 1.35 * error).all())


def test_gaussian_vectors_are_standard_normal_and_even():
    vectors = gaussian_vectors(3, 200, 4, seed=1)
    for column in vectors.permute(0, 2, 1).reshape(-1, 200):
        shares = stats.norm.cdf(column.sort().values.numpy())
        assert bool((np.floor(shares * 200) == np.arange(200)).all())
    first = torch.stack([gaussian_vectors(1, 5, 2, seed=seed)[0, 0] for seed in range(2000)]).numpy()
    assert stats.kstest(first[:, 0], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(first.T)[0, 1]) < 4 / math.sqrt(2000)


def test_manifolds_of_different_sizes_are_measured_each_by_itself():
    points = clouds(6, 40, 9, radius=0.5)
    sizes = [9, 3, 5, 9, 1, 2]
    mixed = [cloud[:, :size] for cloud, size in zip(points, sizes, strict=True)]
    found = mftma(mixed, n_t=400)
    vectors = gaussian_vectors(6, 400, 10)
    everything = torch.cat(mixed, 1).mean(1, keepdim=True)
    basis = shared_directions(torch.stack([cloud.mean(1) for cloud in mixed], 1)).basis
    for i, cloud in enumerate(mixed):
        rest = cloud - everything
        rest = rest - basis @ (basis.T @ rest)
        center = rest.mean(1, keepdim=True)
        values, frame = torch.linalg.eigh((rest - center).T @ (rest - center) / center.square().sum())
        s = torch.cat([frame @ values.clamp(min=0).sqrt().diag() @ frame.T, torch.ones(1, sizes[i])]).numpy()
        t = torch.cat([vectors[i, :, : sizes[i]], vectors[i, :, -1:]], 1).numpy()
        if sizes[i] > 1:
            assert [float(getattr(found.manifolds, name)[i]) for name in ("capacity", "radius", "dimension")] == (
                pytest.approx(averages_by_loops(s, t, 0.0), rel=1e-6)
            )
    assert float(found.manifolds.dimension[4]) == 0


def test_a_planted_structure_of_centers_is_found():
    generator = np.random.default_rng(0)
    frame = np.linalg.qr(generator.standard_normal((300, 3)))[0]
    own = generator.standard_normal((300, 30)) / math.sqrt(300)
    centers = own - frame @ (frame.T @ own) + 3 * frame @ generator.standard_normal((3, 30))
    found = shared_directions(torch.from_numpy(centers))
    assert found.basis.shape == (300, 3)
    # Cosines of the angles between planted and found subspace; centres outside it correlate by chance.
    assert np.linalg.svd(found.basis.numpy().T @ frame)[1].min() > 0.99
    assert float(found.correlation.mean()) > 0.3 > 0.1 > found.residual
    assert found.residual == pytest.approx(float(found.tried.min()), rel=1e-6)


def test_the_interval_of_capacity_holds_that_of_many_manifolds():
    # 12 groups of 8 manifolds from one law: 95 % intervals hold the mean of all in all but a few.
    many = [mftma(clouds(8, 60, 4, radius=0.5, seed=seed), n_t=100).capacity for seed in range(12)]
    truth = 1 / np.mean([1 / one.value for one in many])
    assert sum(one.low <= truth <= one.high for one in many) >= 9


def bad(change):
    points = clouds(5, 20, 4)
    return change(points)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (bad(lambda x: x[:, :4]), "more features than points of a manifold, .* found 4 features and 4 points"),
        (bad(lambda x: x[:1]), "at least 3 manifolds, .* found 1"),
        (bad(lambda x: x[:2]), "at least 3 manifolds, .* found 2"),
        (bad(lambda x: x[0]), r"\[features, samples\]"),
        (bad(lambda x: [x[0], x[1][:9], x[2]]), "equally many features"),
        (bad(lambda x: [x[0], x[1], x[2][:, :0]]), "at least one sample"),
        (bad(lambda x: x.masked_fill(x == x[3, 0, 0], math.nan)), "found some of manifold 3 that are not"),
        (bad(lambda x: x - x.mean(2, keepdim=True)), "found manifold . with its centre"),
        ([], "expected manifolds"),
    ],
)
def test_bad_points_get_one_sentence(points: Tensor, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        mftma(points)


@pytest.mark.parametrize("settings", [{"kappa": -0.1}, {"kappa": math.nan}, {"n_t": 1}])
def test_bad_settings_get_one_sentence(settings):
    with pytest.raises(ValueError, match="kappa of at least 0 and at least 2 Gaussian vectors"):
        mftma(clouds(5, 20, 4), **settings)
    with pytest.raises(ValueError, match="kappa of at least 0 and at least 2 Gaussian vectors"):
        ball_geometry(1.0, 3, **settings)


def test_duplicate_points_count_in_the_center_alone():
    # A copy moves the centre but not the hull: the same as the distinct points about that centre.
    points = clouds(5, 30, 4, radius=0.5)
    copied = torch.cat([points, points[:, :, :1]], 2)
    found = mftma(copied, n_t=3000).manifolds
    assert bool(torch.isfinite(found.capacity).all())
    middle = copied.mean(2, keepdim=True)
    basis = shared_directions(middle[:, :, 0].T).basis
    rest = copied - middle.mean(0)
    rest = rest - basis @ (basis.T @ rest)
    center = rest.mean(2, keepdim=True)
    about = (rest - center) / center.norm(dim=1, keepdim=True)
    distinct = about[:, :, :4]
    frame = torch.linalg.svd(distinct, full_matrices=False).U
    vectors = gaussian_vectors(5, 3000, 5, seed=9)
    anchors = anchor_points((frame.mT @ distinct).mT, vectors)
    other = anchor_geometry(vectors, anchors, 0.0, torch.full((5,), 4))
    for name in ("capacity", "radius"):
        error = getattr(found, f"{name}_error")
        assert bool(((getattr(found, name) - getattr(other, name)).abs() < 4 * error).all())


def test_a_ball_of_bad_size_gets_one_sentence():
    for radius, dimension in ((-1.0, 3), (math.inf, 3), (1.0, 0)):
        with pytest.raises(ValueError, match="a radius of at least 0 and a dimension of at least 1"):
            ball_geometry(radius, dimension)


def test_threads_are_as_before_after_the_search_for_shared_directions():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        points = torch.randn(5, 40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        mftma(points, n_t=10)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
