"""Layers of a network are those that an image passes through, with Bell's shapes and hand-counted parameters."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from neighborhoods.networks.architectures import build, weights_of
from neighborhoods.networks.layers import layers_of
from pipeline.results.shared import put_network
from pipeline.store import Provenance, StoreError, writing
from scripts.tables import network_layers

PUBLISHED = Path(__file__).resolve().parents[2] / "published" / "bell_table3.yaml"
C4 = {"architecture": "bell_cnn", "channels": 4, "classes": 10, "input_shape": [1, 28, 28]}
FC = {"architecture": "fully_connected", "hidden": [100, 20], "classes": 10, "input_shape": [1, 28, 28]}


def weights(settings) -> dict[str, np.ndarray]:
    return weights_of(build(**settings))


def test_c_4_has_the_shapes_of_table_3_and_the_parameters_counted_by_hand():
    layers = layers_of(C4, weights(C4))
    assert [layer.name for layer in layers] == ["image", "conv1", "conv2", "conv3", "conv4", "pool", "fc1", "fc2"]
    assert [layer.type for layer in layers] == ["Image"] + ["Conv2d"] * 4 + ["MaxPool2d"] + ["Linear"] * 2
    shapes = [(1, 28, 28), (4, 24, 24), (4, 20, 20), (4, 16, 16), (4, 12, 12), (4, 6, 6), (256,), (10,)]
    assert [layer.output_shape for layer in layers] == shapes
    assert [layer.channels for layer in layers] == [(1,), (4,), (4,), (4,), (4,), (4,), (144, 256), (256, 10)]
    assert [layer.kernel for layer in layers] == [()] + [(5, 5)] * 4 + [(2, 2)] + [()] * 2
    assert [layer.stride for layer in layers] == [()] + [(1, 1)] * 4 + [(2, 2)] + [()] * 2
    # 4 (25 + 1); 4 (4 · 25 + 1); 256 (144 + 1); 10 (256 + 1)
    assert [layer.parameters for layer in layers] == [0, 104, 404, 404, 404, 0, 37120, 2570]
    assert [layer.followed_by for layer in layers] == [(), *[("ReLU",)] * 4, ("Flatten",), ("ReLU",), ()]


def test_a_fully_connected_network_flattens_the_image_first():
    layers = layers_of(FC, weights(FC))
    assert layers[0].followed_by == ("Flatten",)
    assert [layer.channels for layer in layers[1:]] == [(784, 100), (100, 20), (20, 10)]
    assert [layer.parameters for layer in layers[1:]] == [78500, 2020, 210]
    assert [layer.followed_by for layer in layers[1:]] == [("ReLU",), ("ReLU",), ()]


class Shared(nn.Module):
    """Has a parameter of its own, uses one convolution twice, and normalizes."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.conv = nn.Conv2d(3, 3, (3, 1), stride=(2, 1), padding=(1, 0), bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.act = nn.ReLU()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(3, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.conv(x * self.scale[:, None, None])))
        return self.head(self.act(self.conv(x)))


def shared(input_shape, classes) -> Shared:
    return Shared(classes)


def test_a_network_of_ones_own_is_counted_once_and_completely():
    settings = {"factory": f"{__name__}:shared", "classes": 2, "input_shape": [3, 8, 8]}
    layers = layers_of(settings, weights(settings))
    assert [(layer.name, layer.parameters) for layer in layers] == [
        ("image", 0), ("conv", 27), ("norm", 6), ("conv", 0), ("head.0", 0), ("head.3", 8), ("", 3),
    ]  # fmt: skip
    assert (layers[1].kernel, layers[1].stride, layers[1].output_shape) == ((3, 1), (2, 1), (3, 4, 8))
    assert layers[2].followed_by == ("ReLU",)
    assert layers[4].followed_by == ("Flatten", "Dropout")
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in Shared(2).parameters())


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="weights do not fit the network"):
        layers_of(C4, weights(FC))


@pytest.fixture
def model(tmp_path):
    def store(name, settings, arrays):
        path = tmp_path / f"{name}.h5"
        with writing(path, Provenance()) as file:
            put_network(file, settings, arrays, 0.5, (0.4, 0.6), 10)
        return str(path)

    return store


def table(tmp_path, models, names, **changes):
    output = tmp_path / "table.csv"
    settings = {"published": str(PUBLISHED), "published_table": "table3"} | changes
    network_layers.tabulate(models=models, output=str(output), names=names, **settings)
    with open(output, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_sets_built_layers_beside_the_published_ones(model, tmp_path):
    rows = table(tmp_path, [model("c", C4, weights(C4)), model("f", FC, weights(FC))], ["C-4", "FC"])
    convolutional, connected = rows[:8], rows[8:]
    assert [row["published_layer"] for row in convolutional] == list("01234578")
    for key in ("kernel", "stride", "output_shape"):
        assert [row[key] for row in convolutional] == [row[f"published_{key}"] for row in convolutional], key
    assert [row["channels"] for row in convolutional[:6]] == [row["published_channels"] for row in convolutional[:6]]
    assert (convolutional[6]["channels"], convolutional[6]["published_channels"]) == ("(144, 256)", "(4 · 6 · 6, 256)")
    assert sum(int(row["parameters"]) for row in convolutional) == 104 + 3 * 404 + 37120 + 2570
    assert [row["name"] for row in connected] == ["image", "fc1", "fc2", "fc3"]
    assert all(row["published_layer"] == "" for row in connected)


def test_a_c_network_with_fewer_layers_keeps_the_published_rows(model, tmp_path):
    rows = table(tmp_path, [model("f", FC, weights(FC))], ["C-4"])
    assert [row["published_type"] for row in rows][-1] == "FC"
    assert [row["type"] for row in rows] == ["Image", "Linear", "Linear", "Linear", "", "", "", ""]


def test_what_cannot_be_tabulated_is_named(model, tmp_path):
    path = model("wrong", C4, weights(FC))
    with pytest.raises(StoreError, match=r"wrong\.h5: weights do not fit the network"):
        table(tmp_path, [path], ["C-4"])
    with pytest.raises(StoreError, match=r"bell_table3\.yaml: holds no table 'table9'"):
        table(tmp_path, [path], ["C-4"], published_table="table9")
    with pytest.raises(StoreError, match=r"none\.h5: no such file"):
        table(tmp_path, [str(tmp_path / "none.h5")], ["C-4"])
    assert not (tmp_path / "table.csv").exists()


def test_published_numbers_are_those_of_the_paper():
    layers = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))["table3"]["C-Ch"]
    assert [layer["layer"] for layer in layers] == [0, 1, 2, 3, 4, 5, 7, 8]
    assert [layer["type"] for layer in layers] == ["Image", *["Conv"] * 4, "Max Pool", "FC", "FC"]
