import pytest
import torch
from torch import nn
from torch.nn import functional

from neighborhoods.networks import fully_connected
from neighborhoods.path_kernel import Path, _Flat, path_kernel, train_path


def data(n=12, features=3, classes=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, features, generator=generator, dtype=torch.float64)
    return x, torch.randint(classes, (n,), generator=generator)


def network(hidden=(6, 5), features=3, classes=2, seed=0):
    torch.manual_seed(seed)
    return fully_connected((features,), hidden, classes).double()


def test_the_path_is_plain_gradient_descent_and_leaves_the_model():
    x, y = data()
    model, twin = network(), network()
    path = train_path(model, x, y, learning_rate=0.3, steps=4)
    optimizer = torch.optim.SGD(twin.parameters(), 0.3)
    for step in range(4):
        flat = torch.cat([p.detach().flatten() for p in twin.parameters()])
        assert path.weights[step].numpy() == pytest.approx(flat.numpy(), abs=1e-13)
        optimizer.zero_grad()
        functional.cross_entropy(twin(x), y).backward()
        optimizer.step()
    assert torch.equal(path.weights[0], _Flat(model).start())


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("hidden", [(6, 5), (8,)])
def test_kernel_and_network_agree_on_every_query(hidden, loss):
    x, y = data(40)
    model = network(hidden)
    path = train_path(model, x, y, learning_rate=0.2, steps=30, loss=loss)
    queries = torch.cat([x[:10], data(15, seed=1)[0] * 3])
    result = path_kernel(model, path, queries, tolerance=1e-7)
    assert float((result.prediction - result.network).abs().max()) <= 1e-7
    assert float(result.residual.max()) <= 1e-7
    trained = network(hidden)
    nn.utils.vector_to_parameters(path.weights[-1], trained.parameters())
    assert result.network.numpy() == pytest.approx(trained(queries).detach().numpy(), abs=1e-12)


def test_a_linear_network_needs_one_node():
    # Its Jacobian is constant in the weights.
    x, y = data(20)
    model = network(())
    path = train_path(model, x, y, learning_rate=0.5, steps=25)
    result = path_kernel(model, path, x[:5], nodes=1)
    assert float(result.residual.max()) < 1e-13
    assert result.evaluations.tolist() == [25] * 5
    assert float((result.prediction - result.network).abs().max()) < 1e-12


def brute_force(model, path, query, nodes=20000):
    """Contributions [N, K] with Jacobians formed one by one and a fine midpoint rule."""
    flat = _Flat(model)
    jacobian = torch.func.jacrev(flat)
    total = 0
    for step in range(len(path.weights) - 1):
        w, dw = path.weights[step], path.weights[step + 1] - path.weights[step]
        t = (torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes
        mean = torch.func.vmap(lambda s, w=w, dw=dw: jacobian(w + s * dw, query))(t).mean(0)
        for i, (point, label) in enumerate(zip(path.x, path.y, strict=True)):
            logits = flat(w, point)
            a = functional.one_hot(label, len(logits)).double() - logits.softmax(0)
            share = mean @ (jacobian(w, point).T @ a) * path.learning_rate / len(path.x)
            if step == 0:
                total = torch.zeros(len(path.x), len(logits), dtype=torch.float64) if i == 0 else total
            total[i] += share
    return total


def test_each_contribution_equals_brute_force_jacobians():
    # A smooth activation keeps the midpoint rule's error near 1 / (24 nodes^2).
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = data(6)
    path = train_path(model, x, y, learning_rate=0.5, steps=3)
    query = data(1, seed=5)[0]
    result = path_kernel(model, path, query, tolerance=1e-10, nodes=4)
    expected = brute_force(model, path, query[0], nodes=2000)
    assert result.contributions[0].numpy() == pytest.approx(expected.numpy(), abs=1e-8)


def test_duplicating_a_point_splits_its_share_and_permuting_permutes():
    x, y = data(6)
    model = network()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    query = data(4, seed=3)[0]
    # Twice the whole set: the mean loss and the path stay the same, each copy gets half.
    base = path_kernel(model, train_path(model, x, y, learning_rate=0.3, steps=5), query)
    doubled = path_kernel(model, train_path(model, x.repeat(2, 1), y.repeat(2), learning_rate=0.3, steps=5), query)
    assert doubled.contributions[:, :6].numpy() == pytest.approx(base.contributions.numpy() / 2, abs=1e-7)
    permuted = path_kernel(model, train_path(model, x[order], y[order], learning_rate=0.3, steps=5), query)
    assert permuted.contributions.numpy() == pytest.approx(base.contributions[:, order].numpy(), abs=1e-7)


def test_the_start_matters():
    # Remark 2 of the source says a constant start is needed or its value may be left out; it must be added.
    x, y = data(10)
    model = network()
    result = path_kernel(model, train_path(model, x, y, learning_rate=0.1, steps=3), x[:3])
    gap = result.contributions.sum(1) - result.network
    assert gap.numpy() == pytest.approx(-result.start.numpy(), abs=1e-7)
    assert float(result.start.abs().max()) > 1e-2


def test_bad_input_gets_a_sentence():
    x, y = data()
    with pytest.raises(ValueError, match="unknown loss 'hinge'"):
        train_path(network(), x, y, learning_rate=0.1, steps=1, loss="hinge")
    with pytest.raises(ValueError, match="diverged in step"):
        train_path(network(), x * 1e3, y, learning_rate=1e200, steps=5, loss="squared_error")
    path = Path(torch.zeros(1, 10), x, y, 0.1, "cross_entropy")
    with pytest.raises(ValueError, match="nodes >= 1"):
        path_kernel(network(), path, x, nodes=0)
