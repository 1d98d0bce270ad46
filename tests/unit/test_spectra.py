"""Spectra against dense decompositions, random-matrix theory and the known degeneracy of orthants; stage and figures."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize

from neighborhoods.boundary.spectra import (
    dropped_values,
    flattened,
    gaussian_sample,
    numerical_rank,
    population_below,
    singular_values,
    spectrum,
    without_direction,
)
from neighborhoods.cones.as_printed import flat_errors
from neighborhoods.cones.wedges import nearest_in_cone, nearest_in_orthant, nearest_in_wedge, random_normals
from pipeline.store import Provenance, reading
from scripts.figures import orthant_spectra, wedge_crossings
from scripts.wedges.measure import measure

SAMPLES, DIMENSION = 20_000, 784

# The standard deviation of max(z, 0), z ~ N(0, 1).
CLIPPED = math.sqrt(1 / 2 - 1 / (2 * math.pi))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def sample():
    return gaussian_sample(SAMPLES, DIMENSION, seed=11, dtype=torch.float32)


@pytest.mark.parametrize("faces", range(1, 21))
def test_orthants_drop_as_many_values_as_they_have_faces(sample, faces):
    found = spectrum(nearest_in_orthant(sample, faces))
    assert found.dropped.count == faces
    # The variance of clipped normals has a relative standard error of 1.4 % at 20,000 samples: .7 % of the value.
    assert found.corrected == pytest.approx(CLIPPED, rel=0.02)
    assert found.dropped.bulk == pytest.approx(1, rel=2e-3)


@pytest.mark.parametrize("faces", [5, 6, 12, 20])
def test_uncentred_orthants_hide_one_face(sample, faces):
    # The mean adds k / (2 pi) to the variance 1/2 - 1/(2 pi) along the diagonal: above .98 from five faces on.
    assert spectrum(nearest_in_orthant(sample, faces), centred=False).dropped.count == faces - 1


@pytest.mark.parametrize("faces", [2, 5, 10])
def test_skewed_wedges_drop_as_many_values_as_they_have_faces(sample, faces):
    angles = np.linspace(0.2, 0.6, faces - 1)
    assert spectrum(nearest_in_wedge(sample, angles)).dropped.count == faces


def test_wedges_in_a_random_position_too(sample):
    normals = random_normals(6, DIMENSION, -0.1, seed=4)
    points = nearest_in_cone(sample, normals)
    assert spectrum(points).dropped.count == 6
    differences = sample - points
    assert numerical_rank(singular_values(differences), differences.dtype) == 6


@pytest.mark.parametrize(("samples", "relative"), [(5_000, 0.515), (20_000, 0.568)])
def test_five_faces_shrink_as_published(samples, relative):
    found = spectrum(nearest_in_orthant(gaussian_sample(samples, DIMENSION, seed=3, dtype=torch.float32), 5))
    assert found.dropped.count == 5
    # Errata, Part III, from one sample each; five variances have a relative error of 2.8 % / sqrt(5) at 5,000.
    assert found.relative == pytest.approx(relative, rel=0.02)


@pytest.mark.parametrize(
    ("samples", "dimension"), [(20_000, 784), (2_000, 784), (900, 784), (784, 784), (300, 784), (5_000, 40), (60, 6)]
)
def test_white_noise_drops_nothing(samples, dimension):
    for seed in range(3):
        noise = gaussian_sample(samples, dimension, seed, torch.float32)
        assert spectrum(noise).dropped.count == 0
        assert math.isnan(spectrum(noise).relative)


def test_large_values_and_smooth_spectra_drop_nothing(sample):
    noise = sample[:4000, :200]
    assert spectrum(noise * torch.cat([torch.full((5,), 30.0), torch.ones(195)])).dropped.count == 0
    # Falling off by a power of the rank, and evenly to near zero.
    for scales in (torch.arange(1, 201) ** -0.7, torch.linspace(1, 0.02, 200)):
        assert spectrum(noise * scales).dropped.count == 0


def test_dropped_values_are_found_beside_large_ones(sample):
    scales = torch.ones(200)
    scales[:3], scales[-4:] = 30, 0.4
    found = spectrum(sample[:4000, :200] * scales)
    assert found.dropped.count == 4
    # Four variances of normals from 4000 samples: 1.1 % of their root at one standard error of 2.2 % / 2.
    assert found.corrected == pytest.approx(0.4, rel=0.03)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50), (20, 20)])
@pytest.mark.parametrize("centred", [True, False])
def test_values_are_those_of_a_dense_decomposition(shape, centred):
    x = np.random.default_rng(0).standard_normal(shape) + 2
    x[:, 3] = 0
    values = singular_values(torch.from_numpy(x), centred).numpy()
    exact = np.linalg.svd(x - x.mean(0) if centred else x, compute_uv=False)
    # Roots of eigenvalues: half of the digits for values near zero.
    assert values == pytest.approx(exact, abs=1e-6 * exact[0])
    rank = numerical_rank(singular_values(torch.from_numpy(x), centred), torch.float64)
    assert rank == np.linalg.matrix_rank(x - x.mean(0) if centred else x)


def test_a_direction_is_taken_out():
    x = gaussian_sample(30, 6, seed=1)
    direction = torch.arange(1.0, 7.0).reshape(2, 3)
    left = without_direction(x, direction)
    assert (left @ direction.reshape(-1).double()).abs().max() < 1e-12
    assert numerical_rank(singular_values(left, centred=False), left.dtype) == 5
    assert torch.allclose(without_direction(left, -3 * direction), left, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_flattened_samples_have_equal_values_and_the_same_norm(shape):
    x = gaussian_sample(*shape, seed=2)
    flat = flattened(x)
    values = torch.linalg.svdvals(flat)
    assert values.numpy() == pytest.approx(float(x.norm()) / math.sqrt(8), rel=1e-10)
    # The nearest of all matrices with equal values: the polar factor.
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    assert torch.allclose(flat, u @ v * x.norm() / math.sqrt(8), atol=1e-10)
    deficient = torch.cat([x, x], 1)
    rank = np.linalg.matrix_rank(deficient.numpy())
    values = torch.linalg.svdvals(flattened(deficient))
    assert values[:rank].numpy() == pytest.approx(float(deficient.norm()) / math.sqrt(rank), rel=1e-6)
    assert values[rank:].numpy() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_norms_of_flat_samples_are_those_of_dense_decompositions(shape):
    x = gaussian_sample(*shape, seed=2)
    values = torch.linalg.svdvals(x).numpy()
    found = flat_errors(x)
    for name, level in (("spectral", values[0]), ("euclidean", np.linalg.norm(values))):
        # |Sigma|_2 I has eight values.
        ratio = np.linalg.norm(np.full(8, level)) / np.linalg.norm(values)
        assert found[f"{name}/printed"] == pytest.approx(ratio - 1, rel=1e-10)
        assert found[f"{name}/corrected"] < 1e-12


def test_flattened_samples_show_dropped_values_that_noise_hides():
    noise = gaussian_sample(1000, 500, seed=5)
    assert spectrum(nearest_in_orthant(noise, 5)).dropped.count == 0
    values = singular_values(nearest_in_orthant(flattened(noise - noise.mean(0)), 5))[:500]
    assert dropped_values(values, 0.01).count == 5


@pytest.mark.parametrize("ratio", [0.04, 0.5, 0.9, 3.0])
def test_the_level_of_white_noise_is_that_of_marchenko_and_pastur(ratio):
    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2

    def below(x):
        density = lambda y: math.sqrt((high - y) * (y - low)) / (2 * math.pi * ratio * y)  # noqa: E731
        return integrate.quad(density, low, x)[0] / min(1, 1 / ratio)

    median = optimize.brentq(lambda x: below(x) - 0.5, low, high)
    found = dropped_values(np.full(9, 2.0), ratio)
    assert found.bulk == pytest.approx(2 / math.sqrt(median), rel=1e-5)
    assert found.threshold <= found.bulk * math.sqrt(low)


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.5])
def test_the_correction_inverts_the_spiked_model(ratio):
    population = np.linspace(0, 1 - math.sqrt(ratio), 20, endpoint=False)
    sample = population * (1 + ratio / (population - 1))
    assert population_below(sample, ratio) == pytest.approx(population, abs=1e-7)
    assert np.isnan(population_below([1.0, (1 - math.sqrt(ratio)) ** 2 + 1e-6], ratio)).all()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("wedges") / "wedges.h5"
    spectra = {"faces": [1, 2, 3], "dimension": 30, "samples": 3000, "repeats": 3, "skew": 30.0}
    crossings = {"crossing_faces": [2, 4], "openings": [60.0, 90.0, 170.0], "steps": 4, "gamma": 0.7}
    measure(output=str(path), confidence=0.95, seed=1, provenance=Provenance(), **spectra, **crossings)
    return path


def test_the_stage_stores_spectra_and_crossings(measured):
    with reading(measured) as file:
        for shape in ("orthant", "wedge"):
            assert file.read(f"{shape}/count", ("faces", "repeat")).tolist() == [[1] * 3, [2] * 3, [3] * 3]
            assert (file.read(f"{shape}/normals_rank").T == [1, 2, 3]).all()
            assert file.read(f"{shape}/values", ("faces", "value")).shape == (3, 30)
        corrected = file.read("orthant/corrected")
        assert corrected == pytest.approx(CLIPPED, rel=0.08), "four standard errors of one value at 3000 samples"
        assert file.read("orthant/corrected_mean") == pytest.approx(corrected.mean(1))
        assert (file.read("orthant/corrected_mean_low") < corrected.mean(1)).all()
        assert file.read("crossings/sector/opening").tolist() == [60]
        faces = file.read("crossings/wedge/centreline/faces", ("opening", "faces", "offset"))
        # Openings of 90 degrees are orthants, of 2 and 4 faces.
        assert faces[1, :, 4:] == pytest.approx(np.array([[2.0], [4.0]]).repeat(4, 1), rel=1e-8)
        ratio = file.read("crossings/wedge/centreline/face_ratio")
        assert ratio == pytest.approx(ratio[..., :1].repeat(4, 2), rel=1e-8)
        assert (ratio[2] < ratio[1]).all(), "wider wedges are flatter"
        for name, errors in (("flat_svd", ("spectral", "euclidean")), ("projection", ("once", "settled"))):
            for each in errors:
                printed, corrected = (file.read(f"{name}/{each}/{part}") for part in ("printed", "corrected"))
                assert corrected.max() < 1e-5 < 1e-2 < printed.max(), (name, each)
        assert file.read("projection/once/printed", ("faces", "point")).shape == (2, 40)
        share = file.read("crossings/wedge/parallel/share")
        assert (np.diff(share[2]) > 0).all(), "the share inside grows along the line into a wide wedge"


def test_figures_are_drawn(measured, tmp_path):
    for script in (orthant_spectra, wedge_crossings):
        output = tmp_path / "figure.png"
        script.draw(wedges=str(measured), outputs=[str(output)], style="paper")
        assert output.stat().st_size > 10_000


@pytest.mark.parametrize(
    "call",
    [
        lambda: singular_values(torch.zeros(3)),
        lambda: singular_values(torch.zeros(1, 3)),
        lambda: singular_values(torch.zeros(4, 3, dtype=torch.long)),
        lambda: singular_values(torch.full((4, 3), math.nan)),
        lambda: without_direction(torch.zeros(4, 3), torch.zeros(3)),
        lambda: without_direction(torch.zeros(4, 3), torch.ones(2)),
        lambda: flattened(torch.zeros(4, 3)),
        lambda: dropped_values([1.0, 2.0, 3.0], 0.5),
        lambda: dropped_values([1.0, 2.0, 3.0, math.nan], 0.5),
        lambda: dropped_values(np.ones(5), 0.0),
        lambda: population_below(0.1, 1.0),
        lambda: population_below(-0.1, 0.5),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
