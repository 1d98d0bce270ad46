"""Noise that passes the first layer once, and half precision: the same decisions."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from neighborhoods.networks.architectures import bell_cnn, fully_connected
from neighborhoods.networks.inference import HalfPrecision, dense, half_pays
from neighborhoods.persistence.measure import persistence, stability_curve
from neighborhoods.persistence.noise import ball_scale, noise_directions
from neighborhoods.persistence.sampling import _Head, neighborhoods_of


@pytest.fixture(scope="module")
def images():
    return torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_noise_behind_a_linear_layer_has_its_distribution():
    torch.manual_seed(0)
    layer = nn.Linear(30, 6)
    with torch.no_grad():
        layer.weight[5] = layer.weight[4] * 2  # a rank below the number of outputs
        head = _Head(layer, (30,))
        assert head.drawn == (5,)
        z = head.apply([head.directions(200_000, 3, 0, "gaussian")], 1, 200_000, torch.zeros(1, 30))[0].double().numpy()
    exact = (layer.weight @ layer.weight.T).detach().double().numpy()
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    # A sample covariance of n normal vectors has standard errors of at most sqrt(2 / n) times the scales.
    assert np.abs((np.cov(z.T) - exact) / scale).max() < 4.5 * math.sqrt(2 / 200_000)
    assert np.abs(z.mean(0) / np.sqrt(np.diag(exact))).max() < 4.5 / math.sqrt(200_000)
    assert stats.kstest(z[:, 0] / math.sqrt(exact[0, 0]), "norm").pvalue > 1e-4


def test_the_ball_behind_a_linear_layer_has_its_distribution():
    torch.manual_seed(0)
    layer = nn.Linear(5, 2, bias=False)
    with torch.no_grad():
        short = _Head(layer, (5,))
        fast = short.apply([short.directions(100_000, 3, 0, "ball")], 1, 100_000, torch.zeros(1, 5))[0]
        full = layer(_Head(None, (5,)).directions(100_000, 4, 0, "ball"))
    for column in range(2):
        assert stats.ks_2samp(fast[:, column].numpy(), full[:, column].numpy()).pvalue > 1e-4
    assert stats.ks_2samp(fast.norm(dim=1).numpy(), full.norm(dim=1).numpy()).pvalue > 1e-4


def test_the_ball_is_uniform_with_unit_variance():
    n = 7
    z = noise_directions((n,), 100_000, 0, 0)
    points = z * ball_scale(z.square().sum(1), n, 0, 0)[:, None]
    radius = math.sqrt(n + 2)
    # The share of the radius to the power n is uniform.
    assert stats.kstest((points.norm(dim=1).numpy() / radius) ** n, "uniform").pvalue > 1e-4
    # A coordinate's square has a variance below 2.
    assert points.var(0).numpy() == pytest.approx(np.ones(n), abs=4.5 * math.sqrt(2 / 100_000))


def test_networks_are_measured_alike_with_and_without_the_shortcut(images):
    torch.manual_seed(0)
    network = fully_connected((1, 8, 8), (30, 20), 10).eval()
    fast = torch.stack([persistence(network, images, samples=500, seed=s).sigma.log() for s in range(8)])
    slow = torch.stack([persistence(lambda x: network(x), images, samples=500, seed=s).sigma.log() for s in range(8)])
    error = torch.sqrt((fast.var(0) + slow.var(0)) / 8)
    # Twelve Welch statistics with at least seven degrees of freedom: above 7 less than once in a thousand runs.
    assert float(((fast.mean(0) - slow.mean(0)) / error).abs().max()) < 7
    # No more spread on the one side than on the other: ratio of variances of 84 degrees of freedom each.
    assert 0.5 < float(fast.var(0).mean() / slow.var(0).mean()) < 2


def test_a_first_convolution_applied_once_changes_nothing_in_double_precision():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4)).double()
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64)
    assert type(next(neighborhoods_of(network, x, 10, 0, 64, 16))._decider.model[0]) is nn.ReLU
    fast, slow = (persistence(m, x, samples=200) for m in (network, lambda x: network(x)))
    assert torch.equal(fast.sigma, slow.sigma)
    assert torch.equal(fast.low, slow.low)
    assert torch.equal(fast.evaluations, slow.evaluations)


def test_the_shortcut_is_not_taken_where_it_would_be_wrong(images):
    class Doubled(nn.Linear):
        def forward(self, x):
            return super().forward(x.abs())

    torch.manual_seed(0)
    own = nn.Sequential(nn.Flatten(), Doubled(64, 4)).double()
    hooked = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).double()
    hooked.register_forward_pre_hook(lambda module, inputs: (inputs[0].abs(),))
    inner = nn.Sequential(nn.Flatten(), nn.Linear(64, 4)).double()
    inner[1].register_forward_hook(lambda module, inputs, output: output.abs())
    wide = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 4)).double()
    late = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 9), nn.ReLU(), nn.Linear(9, 4)
    ).double()
    late[4].register_forward_hook(lambda module, inputs, output: (inputs[0] - 0.3).abs())
    rows = nn.Sequential(nn.Flatten(1, 2), nn.Linear(8, 3), nn.Flatten(), nn.Linear(24, 4)).double()
    x = images.double() - 0.5
    for model in (own, hooked, inner, wide, late, rows):
        fast, slow = (persistence(m, x, samples=100) for m in (model, lambda x, m=model: m(x)))
        assert torch.equal(fast.sigma, slow.sigma)


def test_a_models_own_relus_stay_as_they_are(images):
    network = fully_connected((1, 8, 8), (30, 20), 10).eval()
    persistence(network, images[:1], samples=20)
    assert not network[2].inplace


@pytest.mark.parametrize(
    "build", [lambda: fully_connected((1, 28, 28), (60, 20), 10), lambda: bell_cnn((1, 28, 28), 2, 10)]
)
def test_half_precision_decides_as_full_precision(build):
    torch.manual_seed(0)
    network = build().eval()
    x = torch.rand(3, 1, 28, 28)
    # From noise that hardly changes the logits to noise that dwarfs the image.
    full, half = (stability_curve(network, x, [0.01, 0.3, 3.0, 50.0], 300, half=h).frequency for h in (False, True))
    assert torch.equal(full, half)


def test_half_precision_repeats_what_it_cannot_decide():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 50), nn.ReLU(), nn.Linear(50, 5))
    half = HalfPrecision(model)
    with torch.no_grad():
        points = torch.randn(4000, 40)
        exact = model(points).argmax(1)
        assert torch.equal(half.labels(points), exact)  # the first batch is computed both ways
        assert half.repeated == 4000
        # Beyond four standard errors one decision in 40,000 was wrong over ten networks.
        assert int((half.labels(points) != exact).sum()) <= 1
        again = half.repeated - 4000
        assert 4000 / 64 <= again < 2000
        # Half precision by itself decides otherwise for some.
        assert not torch.equal(half._copy(points.bfloat16()).argmax(1), exact)


def test_half_precision_on_a_cpu_is_for_wide_convolutions_and_able_hardware(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert half_pays(bell_cnn((1, 28, 28), 16, 10), "cpu")
    assert not half_pays(bell_cnn((1, 28, 28), 8, 10), "cpu")
    assert not half_pays(fully_connected((1, 28, 28), [100, 100], 10), "cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not half_pays(bell_cnn((1, 28, 28), 16, 10), "cpu")


def test_half_precision_is_for_plain_layers_on_a_gpu():
    plain = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    assert half_pays(plain, "cuda")
    assert not half_pays(plain, "cpu")
    assert not half_pays(plain.double(), "cuda")
    assert not half_pays(nn.Sequential(nn.Linear(3, 2), nn.Softplus()), "cuda")
    assert not half_pays(lambda x: x, "cuda")
    plain[1].register_forward_hook(lambda module, inputs, output: output.round())
    assert not half_pays(plain, "cuda")
    with pytest.raises(ValueError, match="half precision needs"):
        persistence(lambda x: x, torch.rand(2, 3), samples=20, half=True)


@pytest.mark.parametrize("widths", [(7,), (60, 20), (1, 3)])
def test_dense_stacks_compute_the_same(widths):
    torch.manual_seed(0)
    stack = fully_connected((1, 4, 4), widths, 5).eval().requires_grad_(False)[1:]
    fast = dense(stack)
    assert fast is not stack
    for rows in (0, 3, 256, 1301):
        points = torch.randn(rows, 16)
        # Sums of at most 60 products in another order; ReLUs may overwrite their input.
        assert torch.allclose(fast(points.clone()), stack(points.clone()), rtol=1e-5, atol=1e-6)


def test_other_stacks_are_left_as_they_are():
    hooked = nn.Sequential(nn.Linear(3, 2))
    hooked[0].register_forward_hook(lambda module, inputs, output: output + 1)
    whole = nn.Sequential(nn.Linear(3, 2))
    whole.register_forward_pre_hook(lambda module, inputs: (inputs[0].abs(),))

    class Own(nn.Sequential):
        def forward(self, x):
            return super().forward(x.abs())

    others = [
        hooked,
        whole,
        Own(nn.Linear(3, 2)),
        nn.Sequential(nn.Linear(3, 2).double()),
        nn.Sequential(nn.ReLU()),
        nn.Linear(3, 2),
        nn.Identity(),
    ]
    others.append(nn.Sequential(nn.Linear(3, 2), nn.Softplus()))
    for model in others:
        assert dense(model) is model
