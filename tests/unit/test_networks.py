import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.networks import bell_cnn, build, fully_connected, restore, weights_of


def shapes(network: nn.Sequential, x: torch.Tensor) -> dict[str, tuple[int, ...]]:
    found = {}
    for name, layer in network.named_children():
        x = layer(x)
        found[name] = tuple(x.shape[1:])
    return found


@pytest.mark.parametrize("channels", [2, 16])
def test_c_networks_have_the_shapes_of_bells_table_3(channels):
    found = shapes(bell_cnn((1, 28, 28), channels, 10), torch.zeros(1, 1, 28, 28))
    for i, side in enumerate((24, 20, 16, 12), start=1):
        assert found[f"conv{i}"] == (channels, side, side)
    assert found["pool"] == (channels, 6, 6)
    assert found["flatten"] == (channels * 36,)
    assert found["fc1"] == (256,)
    assert found["fc2"] == (10,)


def test_fully_connected_layers():
    network = fully_connected((1, 28, 28), (100, 20), 10)
    assert [tuple(p.shape) for n, p in network.named_parameters() if n.endswith("weight")] == [
        (100, 784),
        (20, 100),
        (10, 20),
    ]
    assert isinstance(list(network)[-1], nn.Linear)
    single = fully_connected((1, 28, 28), (), 10)
    assert sum(p.numel() for p in single.parameters()) == 7850


def test_logits_equal_the_formula():
    torch.manual_seed(0)
    network = fully_connected((2, 3), (4,), 5)
    x = torch.rand(7, 2, 3)
    w1, b1, w2, b2 = (p.detach().numpy() for p in network.parameters())
    expected = np.maximum(x.numpy().reshape(7, 6) @ w1.T + b1, 0) @ w2.T + b2
    assert network(x).detach().numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"architecture": "fully_connected", "input_shape": [1, 28, 28], "classes": 10, "hidden": [5]},
        {"architecture": "bell_cnn", "input_shape": [1, 28, 28], "classes": 10, "channels": 2},
    ],
)
def test_weights_survive_storage(settings):
    network = build(**settings).eval()
    again = restore(settings, weights_of(network))
    x = torch.rand(3, 1, 28, 28)
    assert torch.equal(again(x), network(x))
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_weights_that_do_not_fit_are_named():
    settings = {"architecture": "fully_connected", "input_shape": [4], "classes": 2}
    weights = weights_of(build(**settings))
    with pytest.raises(ValueError, match=r"'fc1\.bias' should have shape \(2,\), found \(3,\)"):
        restore(settings, {**weights, "fc1.bias": np.zeros(3)})
    with pytest.raises(ValueError, match=r"'fc1\.bias' should have shape \(2,\), found None"):
        restore(settings, {"fc1.weight": weights["fc1.weight"]})


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="unknown architecture 'resnet'"):
        build((1, 28, 28), 10, architecture="resnet")
    for shape in ((1, 17, 28), (784,), (1, 27, 27)):
        with pytest.raises(ValueError, match="C-Ch network needs images"):
            bell_cnn(shape, 2, 10)
