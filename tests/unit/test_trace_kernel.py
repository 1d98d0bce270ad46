"""Values of the path kernel against Jacobians by plain autograd, and against the engine's own kernel."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.path import flat_weights, train_path
from neighborhoods.path_kernel.trace_kernel import cross, gram, paired, tangent


@pytest.fixture(scope="module")
def trained():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    y = torch.randint(2, (9,), generator=generator)
    torch.manual_seed(0)
    model = fully_connected((3,), (5, 4), 2).double()
    path = train_path(model, x, y, learning_rate=0.3, steps=4)
    return model, path, torch.randn(6, 3, generator=generator, dtype=torch.float64)


def jacobian(model, w, x):
    """[K, P] of one point, by autograd."""
    twin = dict(model.named_parameters())
    parts, start = {}, 0
    for name, parameter in twin.items():
        parts[name] = w[start : start + parameter.numel()].view_as(parameter)
        start += parameter.numel()
    found = jacrev(lambda p: functional_call(model, p, (x[None],))[0])(parts)
    return torch.cat([found[name].flatten(1) for name in twin], 1).detach()


def brute(model, path, first, second, places, still):
    """Mean diagonal of the kernel at equally weighted places, pair by pair."""
    total = torch.zeros(len(first), len(second)).double()
    for step in path.forward(model):
        for t in places:
            w = step.w + t * step.dw
            for i, x in enumerate(first):
                for j, other in enumerate(second):
                    right = jacobian(model, step.w if still else w, other)
                    total[i, j] += (jacobian(model, w, x) * right).sum() / 2 / len(places)
    return total


# One Gauss-Legendre node is the midpoint, two lie 1 / sqrt(12) from it.
NODES = {1: [0.5], 2: [0.5 - 12**-0.5, 0.5 + 12**-0.5]}


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("nodes", [1, 2])
def test_values_are_those_of_plain_jacobians(trained, nodes, still):
    model, path, x = trained
    found = cross(model, path, x[:3], path.x[:4], nodes=nodes, still=still)
    # Rounding of sums of some hundred terms of order 10.
    assert found.numpy() == pytest.approx(brute(model, path, x[:3], path.x[:4], NODES[nodes], still).numpy(), rel=1e-10)


@pytest.mark.parametrize("outputs", ["logits", "log_softmax", "probabilities"])
def test_with_a_still_slot_it_is_the_diagonal_of_the_engines_kernel(trained, outputs):
    model, path, x = trained
    exact = path_kernel(model, path, x, outputs=outputs, rule="midpoint", nodes=1, kernel=True).kernel
    found = cross(model, path, x, path.x, outputs=outputs, still=True)
    assert found.numpy() == pytest.approx(exact.diagonal(dim1=2, dim2=3).mean(2).numpy(), rel=1e-9, abs=1e-12)


def test_the_gram_matrix_is_symmetric_semidefinite_and_holds_the_pairs(trained):
    model, path, x = trained
    points = torch.cat([path.x, x])
    matrix = gram(model, path, points)
    assert torch.equal(matrix, matrix.T)
    values = torch.linalg.eigvalsh(matrix)
    assert float(values[0]) > -1e-12 * float(values[-1])
    assert paired(model, path, points, points).numpy() == pytest.approx(matrix.diagonal().numpy(), rel=1e-12)
    assert paired(model, path, x, path.x[:6]).numpy() == pytest.approx(matrix[9:, :6].diagonal().numpy(), rel=1e-12)


def test_the_tangent_kernel_is_that_of_the_weights_given(trained):
    model, path, x = trained
    w = path.weights[-1]
    expected = [[float((jacobian(model, w, a) * jacobian(model, w, b)).sum() / 2) for b in path.x] for a in x]
    assert tangent(model, path, w, x, path.x).tolist() == [pytest.approx(row, rel=1e-10) for row in expected]


def test_a_linear_network_has_the_same_kernel_all_along(trained):
    _, path, x = trained
    torch.manual_seed(1)
    linear = nn.Sequential(nn.Linear(3, 2)).double()
    run = train_path(linear, path.x, path.y, learning_rate=0.5, steps=3)
    closed = 3 * (1 + x @ path.x.T)
    assert cross(linear, run, x, path.x).numpy() == pytest.approx(closed.numpy(), rel=1e-12)
    at_start = 3 * tangent(linear, run, run.start, x, path.x)
    assert at_start.numpy() == pytest.approx(closed.numpy(), rel=1e-12)
    assert torch.equal(run.start, flat_weights(linear))


def test_convolutions_have_the_same_values(trained):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)).double()
    images = torch.randn(5, 1, 4, 4, dtype=torch.float64)
    path = train_path(model, images, torch.tensor([0, 1, 0, 1, 1]), learning_rate=0.1, steps=2)
    expected = brute(model, path, images[:2], images[2:], [0.5], False)
    assert cross(model, path, images[:2], images[2:]).numpy() == pytest.approx(expected.numpy(), rel=1e-10)


def test_what_does_not_fit_is_named(trained):
    model, path, x = trained
    with pytest.raises(ValueError, match="nodes >= 1, found 'logits' and 0"):
        gram(model, path, x, nodes=0)
    with pytest.raises(ValueError, match=r"of shape \(3,\), found \(6, 2\)"):
        cross(model, path, x, x[:, :2])
    with pytest.raises(ValueError, match="expected pairs, found 6 and 5"):
        paired(model, path, x, x[:5])
