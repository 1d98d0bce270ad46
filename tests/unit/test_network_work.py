import math

import pytest
import torch
from torch import nn

from neighborhoods.networks.architectures import build
from pipeline.costs.network_work import PHOTO_NETWORKS, pass_work

NETWORKS = [
    ({"architecture": "fully_connected", "hidden": []}, (1, 28, 28)),
    ({"architecture": "fully_connected", "hidden": [100, 20]}, (2,)),
    ({"architecture": "bell_cnn", "channels": 3}, (1, 28, 28)),
    ({"architecture": "bell_cnn", "channels": 5}, (3, 32, 20)),
    ({"architecture": "strided_cnn", "channels": 8}, (1, 28, 28)),
    ({"architecture": "strided_cnn", "channels": 4}, (3, 30, 34)),
    ({"architecture": "cifar_resnet", "depth": 20}, (3, 32, 32)),
    ({"architecture": "cifar_resnet18"}, (3, 32, 32)),
]
PHOTOS = [{"architecture": "torchvision", "name": name} for name in PHOTO_NETWORKS if name != "efficientnet_lite0"]


def counted(model, shape, classes):
    """Multiply-adds of linear layers and of convolutions, values put out by both, layers, and parameters, by torch."""
    settings = {key: value for key, value in model.items() if key != "architecture"}
    with torch.device("meta"):
        network = build(shape, classes, architecture=model["architecture"], **settings).eval()
    found = {"dense": 0, "conv": 0, "values": 0, "layers": 0}

    def count(module, _, out):
        values = out[0].numel()
        each = module.in_features if isinstance(module, nn.Linear) else math.prod(module.weight.shape[1:])
        found["dense" if isinstance(module, nn.Linear) else "conv"] += values * each
        found["values"] += values
        found["layers"] += 1

    for module in network.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.register_forward_hook(count)
    network(torch.zeros(1, *shape, device="meta"))
    return found | {"parameters": sum(one.numel() for one in network.parameters())}


@pytest.mark.parametrize(("model", "shape"), NETWORKS, ids=str)
def test_a_pass_is_counted_as_torch_runs_it(model, shape):
    work, found = pass_work(model, shape, 10), counted(model, shape, 10)
    for name in ("dense", "conv", "values", "layers"):
        assert getattr(work, name) == found[name], name
    # Normalisation and biases that a convolution before one does not have.
    assert work.parameters == pytest.approx(found["parameters"], rel=0.02)
    assert work.known


@pytest.mark.parametrize("model", [*PHOTOS, {"architecture": "efficientnet_lite0"}], ids=str)
def test_the_table_of_networks_for_photos_is_right(model):
    work, found = pass_work(model, (3, 224, 224), 1000), counted(model, (3, 224, 224), 1000)
    # Rounded as their authors print them.
    assert work.conv + work.dense == pytest.approx(found["conv"] + found["dense"], rel=0.06)
    assert work.parameters == pytest.approx(found["parameters"], rel=0.02)
    assert work.values == pytest.approx(found["values"], rel=0.05)
    assert work.layers == found["layers"]


def test_networks_of_unknown_size_are_marked():
    for shape in ((3, 224, 224), (1, 28, 28), (2,)):
        work = pass_work({"factory": "own:network"}, shape, 10)
        assert not work.known
        assert work.dense + work.conv > 0
    assert not pass_work({"architecture": "torchvision", "name": "densenet121"}, (3, 224, 224), 1000).known
