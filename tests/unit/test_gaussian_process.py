import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from neighborhoods.path_kernel.gaussian_process import asymmetry, block_matrix, gaussian_process


def points(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


def rbf(a, b):
    return torch.from_numpy(RBF(0.8)(a, b))


@pytest.mark.parametrize("noise", [1e-6, 0.1])
def test_mean_variance_and_likelihood_are_scikit_learn_s(noise):
    x, queries = points(20), points(7, seed=1)
    y = np.sin(x[:, 0]) + x[:, 1]
    expected = GaussianProcessRegressor(RBF(0.8), alpha=noise, optimizer=None).fit(x, y)
    mean, deviation = expected.predict(queries, return_std=True)
    found = gaussian_process(rbf(x, x), torch.from_numpy(y), rbf(queries, x), torch.ones(7).double(), noise)
    # The condition number times the rounding of doubles.
    assert found.mean.numpy() == pytest.approx(mean, abs=1e-7)
    assert found.variance.numpy() == pytest.approx(deviation**2, abs=1e-7)
    assert found.log_likelihood == pytest.approx(expected.log_marginal_likelihood_value_, rel=1e-7)
    assert found.jitter == 0
    assert found.asymmetry == 0


def test_without_noise_it_interpolates_and_is_certain_at_the_training_points():
    x = points(8)
    y = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = gaussian_process(rbf(x, x), y, rbf(x, x), torch.ones(8).double())
    assert found.mean.numpy() == pytest.approx(y.numpy(), abs=1e-8)
    assert found.variance.numpy() == pytest.approx(np.zeros(8), abs=1e-8)


def test_the_smallest_jitter_that_works_is_chosen_and_reported():
    # A matrix of ones has rank 1: rounding alone decides, and a jitter of 1e-14 to 1e-10 must do.
    kernel = torch.ones(30, 30, dtype=torch.float64)
    kernel[0, 0] -= 1e-12
    found = gaussian_process(kernel, torch.ones(30).double(), kernel[:2], torch.ones(2).double())
    assert 0 < found.jitter <= 1e-10
    assert found.mean.numpy() == pytest.approx(np.ones(2), abs=1e-6)


def test_an_asymmetric_kernel_is_symmetrised_and_the_asymmetry_measured():
    x = points(6)
    symmetric, skew = rbf(x, x) + torch.eye(6), torch.zeros(6, 6).double()
    skew[0, 1], skew[1, 0] = 0.3, -0.3
    y = torch.ones(6).double()
    old = gaussian_process(symmetric, y, symmetric[:2], torch.ones(2).double())
    new = gaussian_process(symmetric + skew, y, symmetric[:2], torch.ones(2).double())
    assert new.mean.numpy() == pytest.approx(old.mean.numpy(), abs=1e-14)
    expected = np.linalg.norm(skew.numpy()) / np.linalg.norm((symmetric + skew).numpy())
    assert new.asymmetry == pytest.approx(expected, rel=1e-12)
    assert asymmetry(skew) == pytest.approx(1)


def test_the_block_matrix_keeps_point_and_output_together():
    kernel = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    assert block_matrix(kernel)[1 * 4 + 2, 2 * 4 + 3] == kernel[1, 2, 2, 3]


def test_bad_input_gets_a_sentence():
    eye = torch.eye(3).double()
    with pytest.raises(ValueError, match="square kernel matrix"):
        gaussian_process(eye[:2], torch.ones(2), eye[:2], torch.ones(2))
    with pytest.raises(ValueError, match=r"expected targets \[3\]"):
        gaussian_process(eye, torch.ones(2), eye, torch.ones(3))
    with pytest.raises(ValueError, match="noise >= 0"):
        gaussian_process(eye, torch.ones(3), eye, torch.ones(3), noise=-1)
    with pytest.raises(ValueError, match="far from positive definite: smallest eigenvalue -5"):
        gaussian_process(torch.diag(torch.tensor([7.0, 1, -5]).double()), torch.ones(3), eye, torch.ones(3))
