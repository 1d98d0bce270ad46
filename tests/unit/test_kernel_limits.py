import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from neighborhoods.path_kernel.gaussian_process import asymmetry, block_matrix, gaussian_process
from neighborhoods.path_kernel.kernel_machine import coefficients, path_kernel, symmetric_gram
from neighborhoods.path_kernel.path import train_path
from tests.unit.path_kernel_cases import OPTIMISERS, Shared, data, largest, network, smooth


def test_any_differentiable_loss():
    x, y = data(10)
    model = network()

    def loss(outputs, labels):
        return functional.cross_entropy(outputs, labels, label_smoothing=0.1) + outputs.square().mean(0).prod()

    path = train_path(model, x, y, learning_rate=0.2, steps=5, loss=loss, batch_size=4)
    result = path_kernel(model, path, x)
    assert largest(result.prediction - result.network) <= 1e-6


def test_with_log_softmax_the_ensemble_is_one_machine():
    x, y = data(12, classes=3)
    model = network(classes=3)
    path = train_path(model, x, y, learning_rate=0.2, steps=6)
    a = coefficients(model, path, outputs="log_softmax")
    expected = functional.one_hot(y, 3).double() * 0.2 / 12
    assert largest(a - expected) <= 1e-15
    result = path_kernel(model, path, 2 * x, outputs="log_softmax", tolerance=1e-8, kernel=True)
    assert largest(torch.einsum("qnkj,nj->qnk", result.kernel, a[0]) - result.contributions) <= 1e-12


@pytest.mark.parametrize("outputs", ["logits", "log_softmax", "probabilities"])
def test_binary_sigmoid_with_cross_entropy(outputs):
    x, y = data(14)
    model = network(classes=1)
    path = train_path(model, x, y, learning_rate=0.3, steps=6, loss="binary_cross_entropy")
    result = path_kernel(model, path, 2 * x, outputs=outputs)
    nn.utils.vector_to_parameters(path.weights[-1], model.parameters())
    logit = model(2 * x)
    expected = {"logits": logit, "log_softmax": logit.sigmoid().log(), "probabilities": logit.sigmoid()}[outputs]
    assert largest(result.network - expected) <= 1e-12
    assert largest(result.prediction - expected) <= 1e-6
    # Signs of a are those of the labels throughout (section 17.3).
    a = coefficients(model, path, outputs=outputs)[:, :, 0]
    assert bool((a.sign() == 2 * y - 1).all())


def test_coefficients_in_closed_form():
    x, y = data(9, classes=3)
    model = network(classes=3)
    path = train_path(model, x, y, learning_rate=0.2, steps=3, batch_size=4)
    onehot = functional.one_hot(y, 3).double()
    for s, rows in enumerate(path.batches):
        nn.utils.vector_to_parameters(path.weights[s], model.parameters())
        p = model(x).detach().softmax(1)
        inside = torch.zeros(9, 1).double()
        inside[rows] = 0.2 / len(rows)
        for outputs, expected in [("logits", onehot - p), ("log_softmax", onehot), ("probabilities", onehot / p)]:
            assert largest(coefficients(model, path, outputs=outputs)[s] - expected * inside) <= 1e-14
    squared = train_path(model, x, y, learning_rate=0.2, steps=1, loss="squared_error")
    with pytest.raises(ValueError, match="need the loss cross_entropy"):
        coefficients(model, squared, outputs="probabilities")


def jacobians(model, w, x):
    nn.utils.vector_to_parameters(w, model.parameters())
    named = {name: p.detach() for name, p in model.named_parameters()}
    rows = torch.func.vmap(
        torch.func.jacrev(lambda parts, point: torch.func.functional_call(model, parts, (point[None],))[0]), (None, 0)
    )(named, x)
    return torch.cat([part.flatten(2) for part in rows.values()], 2)


@pytest.mark.parametrize("settings", OPTIMISERS)
def test_the_tangent_kernel_at_either_end(settings):
    x, y = data(10)
    model = network()
    path = train_path(model, x, y, learning_rate=0.2, steps=5, **settings)
    for mode, w in (("tangent_start", path.weights[0]), ("tangent_end", path.weights[-1])):
        result = path_kernel(model, path, 2 * x[:4], mode=mode, kernel=True)
        expected = torch.einsum("qkp,njp->qnkj", jacobians(model, w, 2 * x[:4]), jacobians(model, w, x))
        assert largest(result.kernel - expected) <= 1e-12
        gap = result.prediction - result.network
        assert largest(gap) > 1e-4
        assert torch.equal(result.residual, gap.abs().amax(1))


@pytest.mark.parametrize("settings", OPTIMISERS)
def test_a_linear_network_is_its_tangent_kernel(settings):
    x, y = data(10)
    model = network(())
    path = train_path(model, x, y, learning_rate=0.2, steps=5, **settings)
    exact = path_kernel(model, path, 2 * x[:4])
    for mode in ("tangent_start", "tangent_end"):
        result = path_kernel(model, path, 2 * x[:4], mode=mode)
        assert largest(result.contributions - exact.contributions) <= 1e-12
        assert largest(result.decay - exact.decay) <= 1e-12


def test_equation_14_jumps_at_training_points():
    x, y = data(10)
    model = smooth()
    path = train_path(model, x, y, learning_rate=1.0, steps=5)
    queries = torch.cat([x[:1], x[:1] + 1e-9])
    printed = path_kernel(model, path, queries, mode="symmetric", tolerance=1e-9)
    exact = path_kernel(model, path, queries, tolerance=1e-9)
    assert largest(exact.prediction[0] - exact.prediction[1]) < 1e-7
    assert largest(printed.prediction[1] - exact.prediction[1]) < 1e-9
    assert largest(printed.prediction[0] - printed.prediction[1]) > 1e-3
    # The point that jumps is the kernel with all nodes at t = 0.
    start = path_kernel(model, path, queries, rule="start")
    assert torch.equal(printed.contributions[0], start.contributions[0])
    assert largest(printed.residual[0] - (printed.prediction - printed.network)[0].abs().max()) < 1e-12


def matrix_of(model, path, points):
    return block_matrix(path_kernel(model, path, points, kernel=True, tolerance=1e-9).kernel)


@pytest.mark.parametrize("make", [smooth, Shared])
def test_the_symmetric_kernel_is_a_gram_matrix(make):
    x, y = data(8)
    model = make().double()
    path = train_path(model, x, y, learning_rate=0.5, steps=3)
    points = torch.cat([x, 2 * x[:3]])
    gram = symmetric_gram(model, path, points, nodes=3)
    matrix = block_matrix(gram)
    assert asymmetry(matrix) < 1e-15
    # Smallest eigenvalue of a Gram matrix: 0 up to rounding.
    assert float(torch.linalg.eigvalsh(matrix)[0]) > -1e-13 * float(matrix.diagonal().sum())
    # Among training points nothing moves.
    still = sum(
        torch.einsum("mkp,njp->mnkj", jacobians(model, w, x), jacobians(model, w, x)) for w in path.weights[:-1]
    )
    assert largest(gram[:8, :8] - still) <= 1e-12
    # Two moving points, by autograd on a Gauss-Legendre rule of 3 nodes.
    places, weights = np.polynomial.legendre.leggauss(3)
    moving = 0
    for step in path.forward(model):
        for t, weight in zip((1 + places) / 2, weights / 2, strict=True):
            rows = jacobians(model, step.w + t * step.dw, 2 * x[:3])
            moving = moving + weight * torch.einsum("mkp,njp->mnkj", rows, rows)
    assert largest(gram[8:, 8:] - moving) <= 1e-12


def test_where_the_path_kernel_is_symmetric_and_where_not():
    x, y = data(8)
    line, bent = network(()), smooth()
    linear = matrix_of(line, train_path(line, x, y, learning_rate=0.5, steps=3), x)
    assert asymmetry(linear) < 1e-14
    assert float(torch.linalg.eigvalsh(linear)[0]) > -1e-12
    path = train_path(bent, x, y, learning_rate=0.5, steps=3)
    tangent = block_matrix(path_kernel(bent, path, x, mode="tangent_start", kernel=True).kernel)
    assert asymmetry(tangent) < 1e-14
    assert float(torch.linalg.eigvalsh(tangent)[0]) > -1e-12
    assert asymmetry(matrix_of(bent, path, x)) > 1e-4


def test_a_gaussian_process_on_the_path_kernel():
    x, y = data(8)
    model = smooth()
    path = train_path(model, x, y, learning_rate=0.5, steps=3)
    points = torch.cat([x, 2 * x[:3]])
    prior = torch.stack([symmetric_gram(model, path, point[None])[0, 0, 0, 0] for point in points[8:]])
    kernel = path_kernel(model, path, points, kernel=True).kernel[..., 0, 0]
    found = gaussian_process(kernel[:8], y.double(), kernel[8:], prior, noise=1e-3)
    symmetric = (kernel[:8] + kernel[:8].T) / 2 + 1e-3 * torch.eye(8)
    assert largest(found.mean - kernel[8:] @ torch.linalg.solve(symmetric, y.double())) <= 1e-8
    assert found.asymmetry > 0
    assert bool((found.variance >= 0).all())
