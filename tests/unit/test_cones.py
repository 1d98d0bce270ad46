"""Cones against published numbers, independent integrals, Monte Carlo and each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from neighborhoods.cones.closed_forms import (
    face_number,
    orthant_persistence,
    orthant_share,
    orthant_view,
    wedge_persistence,
    wedge_share,
)
from neighborhoods.cones.wedges import Wedge, random_normals, wedge_normals
from neighborhoods.persistence.measure import persistence
from pipeline.store import Provenance, reading
from scripts.cones.measure import measure
from scripts.figures import cone_persistence, cone_views

GAMMA = 0.7
GAMMAS = st.floats(0.51, 0.99)
DISTANCES = st.floats(1e-3, 1e3)
FACES = st.floats(1, 200)


pytestmark = pytest.mark.usefixtures("one_thread")


def correlated_share(distances, cosine: float, sigma: float) -> float:
    """P[all z_i > -d_i / sigma] for equal correlations, as an integral over what the z_i have in common."""

    def given_common(u: float) -> float:
        each = stats.norm.cdf((np.asarray(distances) / sigma + math.sqrt(cosine) * u) / math.sqrt(1 - cosine))
        return float(stats.norm.pdf(u) * each.prod())

    return integrate.quad(given_common, -12, 12, epsabs=1e-12)[0]


def sampled_share(distances, normals, sigma: float, samples: int = 400_000, seed: int = 0) -> tuple[float, float]:
    z = np.random.default_rng(seed).standard_normal((samples, normals.shape[1]))
    share = float((z @ normals.T * sigma + distances > 0).all(1).mean())
    return share, math.sqrt(max(share * (1 - share), 1 / samples) / samples)


def test_published_values_of_proposition_4_3():
    faces = [1, 2, 3, 5, 10, 20, 50, 100]
    published = [1.907, 1.020, 0.823, 0.674, 0.552, 0.475, 0.408, 0.372]
    # Errata, Part I: rounded to three digits after the point.
    assert orthant_persistence(1.0, faces, GAMMA) == pytest.approx(published, abs=5e-4)


def test_the_wedge_of_the_errata_is_not_a_power():
    normals = wedge_normals([0.9, 0.6], 3)
    # Errata, Part III: .265, where the power of proposition 4.3 would be .331.
    assert float(wedge_share(np.ones(3), normals, 2.0)) == pytest.approx(0.265, abs=5e-4)
    assert float(orthant_share(1.0, 2.0, 3)) == pytest.approx(0.331, abs=5e-4)
    share, error = sampled_share(np.ones(3), normals, 2.0)
    assert float(wedge_share(np.ones(3), normals, 2.0)) == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize("distance", [1.0, -1.0])
@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_orthant_shares_are_those_of_samples(distance, k):
    inside, error = sampled_share(np.full(k, distance), np.eye(k), 1.3, samples=100_000, seed=k)
    expected = inside if distance > 0 else 1 - inside
    assert float(orthant_share(distance, 1.3, k)) == pytest.approx(expected, abs=4 * error)


def test_shares_at_the_ends_of_the_range_of_noise():
    assert orthant_share([1.0, -1.0], 1e-3, 3).tolist() == [1.0, 1.0]
    assert orthant_share([1.0, -1.0], math.inf, 3) == pytest.approx([1 / 8, 7 / 8])
    assert orthant_share(np.ones((2, 1)), [1.0, 2.0, 3.0], 1).shape == (2, 3)


@given(DISTANCES, FACES, GAMMAS)
@settings(deadline=None)
def test_at_the_persistence_the_share_is_gamma(distance, faces, gamma):
    for signed in (distance, -distance):
        sigma = orthant_persistence(signed, faces, gamma)
        if np.isfinite(sigma):
            # The share's derivative in log sigma is below 3 for these k; Phi^-1 is accurate to about 1e-14.
            assert float(orthant_share(signed, sigma, faces)) == pytest.approx(gamma, abs=1e-10)


@given(DISTANCES, FACES, st.floats(1.01, 2), GAMMAS)
@settings(deadline=None)
def test_more_faces_mean_less_persistence_inside_and_more_outside(distance, faces, factor, gamma):
    few, many = orthant_persistence(distance, [faces, faces * factor], gamma)
    assert many < few
    few, many = orthant_persistence(-distance, [faces, faces * factor], gamma)
    assert many > few or math.isinf(few)


@given(st.sampled_from([1.0, -1.0]), DISTANCES, FACES, GAMMAS)
@settings(deadline=None)
def test_persistence_is_proportional_to_distance(sign, distance, faces, gamma):
    # One division apart.
    expected = distance * orthant_persistence(sign, faces, gamma)
    assert float(orthant_persistence(sign * distance, faces, gamma)) == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize(("k", "gamma"), [(1, 0.7), (2, 0.76), (3, 0.9), (10, 0.9995)])
def test_outside_the_closed_form_is_where_the_share_crosses(k, gamma):
    def excess(sigma):
        return 1 - stats.norm.cdf(-1 / sigma) ** k - gamma

    # Brent's default tolerance is 2e-12 in sigma; the flattest slope here is 3e-4.
    assert float(orthant_persistence(-1.0, k, gamma)) == pytest.approx(optimize.brentq(excess, 0.05, 1e4), rel=1e-8)


def test_what_is_never_crossed_is_infinite():
    # Outside, the share tends to 1 - 2^-k = .75: gamma = .7 is never reached, .8 is.
    assert np.isinf(orthant_persistence(-1.0, [2, 3, 100], GAMMA)).all()
    assert np.isfinite(orthant_persistence(-1.0, 2, 0.8))
    # Inside it tends to 2^-k.
    assert np.isinf(orthant_persistence(1.0, 1, 0.3))
    assert np.isfinite(orthant_persistence(1.0, 2, 0.3))
    assert orthant_persistence(0.0, [1, 2], 0.4).tolist() == [math.inf, 0.0]
    # At the limit itself, which the share never reaches.
    for k in (1, 2, 3, 5, 10):
        assert np.isinf(orthant_persistence(1.0, k, 0.5**k))
        assert np.isinf(orthant_persistence(-1.0, k, 1 - 0.5**k))


@given(DISTANCES, FACES, GAMMAS)
@settings(deadline=None)
def test_face_numbers_invert_the_persistence(distance, faces, gamma):
    sigma = orthant_persistence(distance, faces, gamma)
    # ln Phi(d / sigma) = ln(gamma) / k loses at most two digits where it is small.
    assert float(face_number(distance, sigma, gamma)) == pytest.approx(faces, rel=1e-10)


def test_a_distance_found_too_large_makes_the_face_number_too_large():
    sigma = 1 / stats.norm.ppf(0.7)
    assert float(face_number(1.0, sigma, 0.7)) == pytest.approx(1.0)
    # sigma = d / Phi^-1(gamma^(1/k)), solved for k.
    assert float(face_number(1.1, sigma, 0.7)) == pytest.approx(np.log(0.7) / stats.norm.logcdf(1.1 / sigma))
    assert 1.07 < float(face_number(1.1, sigma, 0.7)) < 1.08


@given(DISTANCES, st.lists(st.floats(0.05, 1e3), min_size=2, max_size=6, unique=True), GAMMAS)
@settings(deadline=None)
def test_face_numbers_fall_as_persistence_grows(distance, sigmas, gamma):
    numbers = face_number(distance, distance * np.sort(sigmas), gamma)
    assert (np.diff(numbers) <= 0).all()


def test_face_numbers_at_the_ends():
    assert face_number(1.0, 0.0, GAMMA) == math.inf
    assert float(face_number(1.0, math.inf, GAMMA)) == pytest.approx(math.log(GAMMA) / math.log(0.5))
    assert float(face_number(2.0, 2 * 1.90694, GAMMA)) == pytest.approx(1, abs=1e-5)
    # So small a noise that Phi rounds to one.
    assert np.isfinite(face_number(1.0, 0.03, GAMMA))


@pytest.mark.parametrize(("cosine", "k"), [(0.0, 4), (0.3, 2), (0.3, 5), (0.8, 3)])
def test_wedge_shares_with_equal_angles(cosine, k):
    distances = np.linspace(0.5, 1.5, k)
    normals = random_normals(k, k + 3, cosine, seed=1)
    for sigma in (0.5, 3.0):
        exact = correlated_share(distances, cosine, sigma)
        # Genz's integral is asked for an absolute error of 1e-5; five times that is a safe bound of it.
        assert float(wedge_share(distances, normals, sigma)) == pytest.approx(exact, abs=5e-5)


def test_a_wedge_of_more_faces_than_dimensions():
    angles = np.array([0.0, 2.0, 4.0])
    normals = np.stack([np.cos(angles), np.sin(angles)], 1)
    distances = np.array([0.5, 0.3, 0.4])
    share, error = sampled_share(distances, normals, 1.0)
    assert float(wedge_share(distances, normals, 1.0)) == pytest.approx(share, abs=4 * error)


def test_a_wedge_with_orthogonal_faces_is_an_orthant():
    for k in (1, 2, 3):
        normals = random_normals(k, 5, 0.0, seed=k)
        sigma = np.array([[0.4, 1.0], [5.0, math.inf]])
        assert wedge_share(np.ones(k), normals, sigma) == pytest.approx(orthant_share(1.0, sigma, k), abs=1e-6)
        for distance, gamma in ((2.0, 0.7), (-2.0, 0.9), (-2.0, 0.6)):
            exact = float(orthant_persistence(distance, k, gamma))
            # Shares right to 1e-6 at slopes of at least .02 in log sigma.
            assert wedge_persistence(np.full(k, distance), normals, gamma) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(
    ("distances", "gamma"),
    [((-1.0, 3.0), 0.74), ((-1.0, 0.5, 3.0), 0.85), ((-1.0,), 0.6), ((-0.3, -1.0), 0.85), ((-1.0, 50.0), 0.7)],
)
def test_outside_a_wedge_the_first_crossing_counts(distances, gamma):
    # Some of these shares dip below gamma and rise above it again.
    def excess(sigma):
        return 1 - np.prod([stats.norm.cdf(d / sigma) for d in distances], axis=0) - gamma

    grid = np.geomspace(1e-2, 500, 20_000)
    first = int(np.flatnonzero(excess(grid) < 0)[0])
    exact = optimize.brentq(excess, *grid[first - 1 : first + 1])
    found = wedge_persistence(distances, np.eye(len(distances)), gamma)
    assert found == pytest.approx(exact, rel=1e-3)


def test_the_persistence_of_points_on_the_boundary():
    assert wedge_persistence([0.0, 0.0], np.eye(2), 0.3) == 0.0
    assert wedge_persistence([0.0, 0.0], np.eye(2), 0.2) == math.inf
    assert wedge_persistence([0.0, 1.0], np.eye(2), 0.7) == 0.0
    # Half of the noise stays on the inner side of the first face: P = Phi(1 / sigma) / 2 crosses .4 at Phi = .8.
    exact = 1 / stats.norm.ppf(0.8)
    assert wedge_persistence([0.0, 1.0], np.eye(2), 0.4) == pytest.approx(exact, rel=1e-6)


def test_wedges_can_be_measured():
    cosine, images, samples = 0.5, 20, 1000
    normals = random_normals(2, 50, cosine, seed=3)
    # The point at distance 1 from both faces, in their plane.
    center = np.linalg.lstsq(normals, np.ones(2), rcond=None)[0]
    model = Wedge(normals)
    for side in (1.0, -1.0):
        x = torch.from_numpy(side * center).float().reshape(1, 5, 10).repeat(images, 1, 1)
        assert model(x).shape == (images, 2)
        assert model(x).argmax(1).tolist() == [int(side > 0)] * images
        assert model(x)[:, 1].numpy() == pytest.approx(side, abs=1e-5)
        gamma = 0.7 if side > 0 else 0.8
        exact = wedge_persistence(np.full(2, side), normals, gamma)
        result = persistence(model, x, gamma, samples, seed=5)
        covered = float(((result.low <= exact) & (exact <= result.high)).double().mean())
        # Fewer than 16 of 20 has a chance of .3 % at the level of 95 %.
        assert covered >= 0.8
        step = 1e-3
        low, high = wedge_share(np.full(2, side), normals, [exact * math.exp(-step), exact * math.exp(step)])
        error = math.sqrt(gamma * (1 - gamma) / samples) / (abs(high - low) / (2 * step))
        # Four standard errors of the median, with which single bad estimates do not count.
        assert abs(float(result.sigma.median().log()) - math.log(exact)) < 4 * 1.25 * error / math.sqrt(images)


@given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_random_normals_have_the_angles_asked_for(faces, part, seed):
    least = -1 / (faces - 1) if faces > 1 else -1.0
    cosine = least + part * (1 - least)
    normals = random_normals(faces, 7, cosine, seed)
    expected = np.full((faces, faces), cosine)
    np.fill_diagonal(expected, 1)
    # The square root of a singular matrix keeps half of the digits.
    assert normals @ normals.T == pytest.approx(expected, abs=1e-7)


def test_random_normals_take_a_matrix_and_turn_with_the_seed():
    cosines = np.array([[1, 0.2, -0.3], [0.2, 1, 0.1], [-0.3, 0.1, 1]])
    first, second = (random_normals(3, 10, cosines, seed) for seed in (0, 1))
    assert first @ first.T == pytest.approx(cosines, abs=1e-12)
    assert second @ second.T == pytest.approx(cosines, abs=1e-12)
    assert np.abs(first - second).max() > 0.1


def test_wedge_normals_are_those_of_definition_30_8():
    angles = [0.9, -0.6]
    points = np.random.default_rng(0).standard_normal((1000, 4))
    inside = (points[:, 0] > 0) & (points[:, 1:3] > points[:, :1] * np.tan(angles)).all(1)
    normals = wedge_normals(angles, 4)
    assert ((points @ normals.T > 0).all(1) == inside).all()
    assert Wedge(normals)(torch.from_numpy(points)).argmax(1).bool().tolist() == inside.tolist()


@pytest.mark.parametrize("faces", [1, 2, 3])
def test_views_show_faces_point_and_feet(faces):
    polygons, point, feet = orthant_view(faces)
    assert polygons.shape == (faces, 4, 3)
    for axis in range(faces):
        assert (polygons[axis, :, axis] == 0).all()
        assert feet[axis, axis] == 0
        # Sides of length 2 in order: the corners go around the face.
        assert np.linalg.norm(polygons[axis] - np.roll(polygons[axis], 1, 0), axis=1).tolist() == [2] * 4
        assert np.linalg.norm(point - feet[axis]) == 1


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A file of `measure` in few dimensions; outside two faces the share tends to .75, above gamma."""
    path = tmp_path_factory.mktemp("cones") / "cones.h5"
    scale = {"samples": 300, "points": 10, "dimension": 8, "sigma_max": 50.0, "batch_size": 256}
    measure(output=str(path), faces=[1, 2, 5], gamma=GAMMA, confidence=0.95, seed=2, provenance=Provenance(), **scale)
    return path


def test_measurements_hold_the_closed_form(measured):
    with reading(measured) as file:
        faces, theory = file.read("faces"), file.read("theory_inside")
        assert theory == pytest.approx(orthant_persistence(1.0, faces, GAMMA))
        assert file.read("curve/inside")[faces - 1] == pytest.approx(theory)
        assert np.isinf(file.read("theory_outside")).tolist() == [False, True, True]
        # Seven or fewer of ten have a chance of 1.2 % at the level of 95 %, for each of four.
        assert (file.read("inside/covered") >= 0.8).all()
        assert file.read("outside/covered")[0] >= 0.8
        assert file.read("inside/censored").tolist() == [0, 0, 0]
        assert file.read("outside/censored")[2] == 1
        assert np.isnan(file.read("outside/log_mean")[2])
        logs = np.log(file.read("inside/sigma", ("faces", "point")))
        assert file.read("inside/log_mean") == pytest.approx(logs.mean(1))
        assert file.read("inside/log_mean_error") == pytest.approx(logs.std(1, ddof=1) / math.sqrt(10))
        assert len(np.unique(logs[0])) == 10, "each point has noise of its own"
        kept, n, printed, corrected = (
            float(file.read(f"skewed/{name}")) for name in ("kept", "points", "printed", "corrected")
        )
    # Errata, Part III: .265, and .331 by the power.
    assert (printed, corrected) == (pytest.approx(0.331, abs=5e-4), pytest.approx(0.265, abs=5e-4))
    assert kept / n == pytest.approx(corrected, abs=4 * math.sqrt(corrected * (1 - corrected) / n))


def test_figures_7_and_8_are_drawn(measured, tmp_path):
    for script in (cone_persistence, cone_views):
        output = tmp_path / "figure.png"
        script.draw(cones=str(measured), outputs=[str(output)], style="paper")
        assert output.stat().st_size > 10_000


@pytest.mark.parametrize(
    "call",
    [
        lambda: orthant_share(1.0, 0.0, 1),
        lambda: orthant_share(math.inf, 1.0, 1),
        lambda: orthant_persistence(1.0, 0, GAMMA),
        lambda: orthant_persistence(1.0, 1, 1.0),
        lambda: face_number(0.0, 1.0, GAMMA),
        lambda: face_number(1.0, -1.0, GAMMA),
        lambda: orthant_view(4),
        lambda: wedge_share([1.0], np.eye(2), 1.0),
        lambda: wedge_share([1.0, 1.0], 2 * np.eye(2), 1.0),
        lambda: wedge_share([1.0, 1.0], np.eye(2), -1.0),
        lambda: wedge_persistence([1.0], np.eye(1), 0.0),
        lambda: Wedge(np.ones(3)),
        lambda: Wedge(np.eye(3))(torch.zeros(2, 4)),
        lambda: random_normals(3, 2),
        lambda: random_normals(3, 3, -0.6),
        lambda: wedge_normals([2.0], 3),
        lambda: wedge_normals([0.1, 0.1], 2),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match=r"expected|must|hold|need|no vectors"):
        call()
