import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal
from torch import nn

from neighborhoods.networks.architectures import bell_cnn, build, fully_connected, restore, strided_cnn, weights_of


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


@pytest.mark.parametrize(
    ("shape", "half", "quarter"), [((1, 28, 28), (14, 14), (7, 7)), ((3, 32, 19), (16, 9), (8, 4))]
)
def test_each_convolution_of_a_strided_cnn_halves_the_sides(shape, half, quarter):
    network = strided_cnn(shape, 6, 10)
    found = shapes(network, torch.zeros(1, *shape))
    assert found["conv1"] == (6, *half)
    assert found["conv2"] == (12, *quarter)
    assert found["fc1"] == (100,)
    assert found["fc2"] == (10,)
    kinds = [type(layer).__name__ for layer in network]
    assert kinds == ["Conv2d", "ReLU"] * 2 + ["Flatten", "Linear", "ReLU", "Linear"]
    weights = 16 * (shape[0] * 6 + 6 * 12) + 12 * quarter[0] * quarter[1] * 100 + 100 * 10
    assert sum(p.numel() for p in network.parameters()) == weights + 6 + 12 + 100 + 10
    same = build(shape, 10, architecture="strided_cnn", channels=6)
    assert weights_of(same).keys() == weights_of(network).keys()


@pytest.mark.parametrize("shape", [(1, 3, 28), (28, 28)])
def test_a_strided_cnn_needs_images_that_can_be_halved_twice(shape):
    with pytest.raises(ValueError, match="strided CNN needs images"):
        strided_cnn(shape, 4, 10)


@pytest.mark.parametrize("channels", [2, 4, 8, 16, 32, 64, 128, 256, 512])
def test_c_networks_have_the_parameters_of_bells_table_3(channels):
    with torch.device("meta"):
        network = bell_cnn((1, 28, 28), channels, 10)
    convolutions = (25 + 1) * channels + 3 * (25 * channels + 1) * channels
    assert sum(p.numel() for p in network.parameters()) == convolutions + (36 * channels + 1) * 256 + 257 * 10
    kinds = [type(layer).__name__ for layer in network]
    assert kinds == ["Conv2d", "ReLU"] * 4 + ["MaxPool2d", "Flatten", "Linear", "ReLU", "Linear"]


def test_c_networks_equal_plain_correlations():
    torch.manual_seed(0)
    network = bell_cnn((3, 18, 20), 2, 4).double()
    x = torch.rand(2, 3, 18, 20, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in network.named_parameters()}
    expected = []
    for maps in x.numpy():
        for i in range(1, 5):
            kernels, biases = w[f"conv{i}.weight"], w[f"conv{i}.bias"]
            # A correlation over all channels at once leaves a single plane.
            maps = np.concatenate(
                [signal.correlate(maps, k, "valid") + b for k, b in zip(kernels, biases, strict=True)]
            )
            maps = np.maximum(maps, 0)
        pooled = [[[m[r : r + 2, c : c + 2].max() for c in (0, 2)] for r in (0,)] for m in maps]
        hidden = np.maximum(w["fc1.weight"] @ np.ravel(pooled) + w["fc1.bias"], 0)
        expected.append(w["fc2.weight"] @ hidden + w["fc2.bias"])
    # Double precision, scipy may correlate through a Fourier transform.
    assert network(x).detach().numpy() == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("hidden", "parameters"),
    [((), 7850), ((100, 100), 89610), ((200, 200), 199210), ((100, 20), 80730)],
    ids=["FC10", "FC100-100-10", "FC200-200-10", "FC100-20-10"],
)
def test_bells_fully_connected_networks_have_their_parameters(hidden, parameters):
    assert sum(p.numel() for p in fully_connected((1, 28, 28), hidden, 10).parameters()) == parameters


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.lists(st.integers(1, 6), max_size=3), st.integers(1, 5))
def test_any_fully_connected_network_is_its_formula_and_survives_storage(shape, hidden, classes):
    settings = {"architecture": "fully_connected", "input_shape": shape, "classes": classes, "hidden": hidden}
    torch.manual_seed(0)
    network = build(**settings)
    x = torch.rand(3, *shape)
    activation = x.numpy().reshape(3, -1)
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in layers] == [*hidden, classes]
    for layer in layers:
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        activation = activation @ weight.T + bias
        if layer is not layers[-1]:
            activation = np.maximum(activation, 0)
    # Sums of at most 64 terms of size 1 in single precision.
    assert network(x).detach().numpy() == pytest.approx(activation, abs=1e-5)
    assert torch.equal(restore(settings, weights_of(network))(x), network(x))


def test_fully_connected_layers():
    network = fully_connected((1, 28, 28), (100, 20), 10)
    assert [tuple(p.shape) for n, p in network.named_parameters() if n.endswith("weight")] == [
        (100, 784),
        (20, 100),
        (10, 20),
    ]
    assert isinstance(list(network)[-1], nn.Linear)


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


def test_stored_weights_are_a_snapshot():
    network = fully_connected((4,), (), 2)
    weights = weights_of(network)
    kept = {name: value.copy() for name, value in weights.items()}
    with torch.no_grad():
        for p in network.parameters():
            p += 1
    for name, value in weights.items():
        assert np.array_equal(value, kept[name])


def test_a_restored_network_has_its_own_weights():
    settings = {"architecture": "fully_connected", "input_shape": [4], "classes": 2}
    weights = weights_of(build(**settings))
    kept = {name: value.copy() for name, value in weights.items()}
    network = restore(settings, weights)
    for value in weights.values():
        value[...] = 0
    for name, p in network.named_parameters():
        assert np.array_equal(p.numpy(), kept[name])


def test_weights_that_do_not_fit_are_named():
    settings = {"architecture": "fully_connected", "input_shape": [4], "classes": 2}
    weights = weights_of(build(**settings))
    with pytest.raises(ValueError, match=r"'fc1\.bias' should have shape \(2,\), found \(3,\)"):
        restore(settings, {**weights, "fc1.bias": np.zeros(3)})
    with pytest.raises(ValueError, match=r"'fc1\.bias' should have shape \(2,\), found None"):
        restore(settings, {"fc1.weight": weights["fc1.weight"]})
    with pytest.raises(ValueError, match=r"'fc2\.bias' should have shape None, found \(2,\)"):
        restore(settings, {**weights, "fc2.bias": np.zeros(2)})
    # The same number of weights in another arrangement does not fit either.
    with pytest.raises(ValueError, match=r"'fc1\.weight' should have shape \(2, 4\), found \(4, 2\)"):
        restore(settings, {**weights, "fc1.weight": weights["fc1.weight"].T})


def test_what_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="unknown architecture 'resnet'"):
        build((1, 28, 28), 10, architecture="resnet")
    for shape in ((1, 17, 28), (784,), (1, 27, 27)):
        with pytest.raises(ValueError, match="C-Ch network needs images"):
            bell_cnn(shape, 2, 10)
