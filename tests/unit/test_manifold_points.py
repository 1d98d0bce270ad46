"""Points of manifolds: images around exemplars and of classes, and what layers make of them."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from neighborhoods.attacks.contract import AttackError
from neighborhoods.attacks.gradient_steps import pgd
from neighborhoods.manifolds.points import (
    adversarial_perturbations,
    class_images,
    layer_points,
    random_projection,
    uniform_perturbations,
)
from neighborhoods.networks.architectures import fully_connected


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return fully_connected((1, 4, 4), (7, 5), 3)


@pytest.fixture
def x():
    return torch.rand(3, 1, 4, 4, generator=generator())


def test_perturbations_are_uniform_in_the_ball_and_in_the_box(x):
    x = x.clamp(0, 0.8)
    found = uniform_perturbations(x, epsilon=0.1, samples=200, generator=generator())
    assert found.shape == (3, 200, 1, 4, 4)
    assert float(found.min()) >= 0
    change = (found - x[:, None])[(x[:, None] >= 0.1).expand_as(found)]
    assert stats.kstest(change.numpy() / 0.1, "uniform", (-1, 2)).pvalue > 1e-3
    assert float(change.abs().max()) <= 0.1 + 1e-6


def test_adversarial_points_are_pgds_from_starts_of_their_own(network, x):
    label = torch.tensor([0, 1, 2])
    settings = {"epsilon": 0.1, "step_size": 0.02, "steps": 5}
    found = adversarial_perturbations(network, x, label, samples=4, generator=generator(), **settings)
    assert found.shape == (3, 4, 1, 4, 4)
    at_once = pgd(network, x.repeat_interleave(4, 0), label.repeat_interleave(4), generator=generator(), **settings)
    assert torch.equal(found.flatten(0, 1), at_once)
    batched = adversarial_perturbations(network, x, label, samples=4, generator=generator(), batch_size=5, **settings)
    assert torch.allclose(batched, found, atol=1e-6)
    with pytest.raises(AttackError, match="at least one step"):
        adversarial_perturbations(network, x, label, samples=4, generator=generator(), **{**settings, "steps": 0})


def test_images_of_a_class_are_of_it_and_differ():
    y = torch.tensor([2, 0, 0, 2, 2, 0, 5, 5, 5])
    x = torch.arange(9.0)[:, None]
    found = class_images(x, y, samples=2, generator=generator())
    assert found.shape == (3, 2, 1)
    for row, label in zip(found[:, :, 0].long(), (0, 2, 5), strict=True):
        assert (y[row] == label).all()
        assert row[0] != row[1]
    assert torch.equal(
        class_images(x, y, samples=3, generator=generator())[:, :, 0].sort(1).values,
        torch.tensor([[1.0, 2, 5], [0, 3, 4], [6, 7, 8]]),
    )


def test_layers_hold_what_passes_through_them(network, x):
    images = uniform_perturbations(x, epsilon=0.1, samples=6, generator=generator())
    network.train()
    frozen = next(module for module in network.modules() if isinstance(module, nn.Linear)).eval()
    found = layer_points(network, images, batch_size=4)
    assert network.training
    assert not frozen.training
    assert next(iter(found)) == "input"
    flat = images.flatten(2)
    assert torch.equal(found["input"], flat.mT)
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    hidden = flat @ linear[0].weight.T + linear[0].bias
    expected = [hidden, hidden.relu()]
    logits = network(images.flatten(0, 1)).unflatten(0, (3, 6))
    layers = list(found.values())
    for one, other in zip(layers[1:3], expected, strict=True):
        assert torch.allclose(one, other.mT, atol=1e-6)
    assert torch.allclose(layers[-1], logits.mT, atol=1e-6)


def test_a_layer_is_what_it_gave_though_the_next_works_in_place(x):
    torch.manual_seed(0)
    first = nn.Linear(16, 9)
    network = nn.Sequential(nn.Flatten(), first, nn.ReLU(inplace=True), nn.Linear(9, 3))
    images = uniform_perturbations(x, epsilon=0.1, samples=6, generator=generator())
    found = layer_points(network, images, layers=["1"])["1"]
    expected = images.flatten(2) @ first.weight.T + first.bias
    assert bool((expected < 0).any())
    assert torch.allclose(found, expected.mT, atol=1e-6)


def test_wide_layers_are_projected_and_narrow_ones_kept(network, x):
    images = uniform_perturbations(x, epsilon=0.1, samples=6, generator=generator())
    plain, found = layer_points(network, images), layer_points(network, images, features=6, seed=4, batch_size=5)
    for name, points in plain.items():
        assert found[name].shape == (3, min(6, points.shape[1]), 6)
        assert torch.allclose(found[name], random_projection(points, 6, seed=4), atol=1e-5)


def test_projections_keep_squared_distances():
    points = torch.randn(2, 3000, 5, generator=generator())
    found = random_projection(points, 1000, seed=1)
    ratio = (found[:, :, 1:] - found[:, :, :1]).square().sum(1) / (points[:, :, 1:] - points[:, :, :1]).square().sum(1)
    # Relative standard deviation sqrt(2 / 1000) = 0.045 each.
    assert float((ratio - 1).abs().max()) < 4.5 * math.sqrt(2 / 1000)
    assert torch.equal(random_projection(points, 3000), points)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x: uniform_perturbations(x, epsilon=0.1, samples=0, generator=generator()), "at least 1 sample"),
        (lambda x: uniform_perturbations(x, epsilon=0.0, samples=2, generator=generator()), "an epsilon above 0"),
        (
            lambda x: uniform_perturbations(x + 1, epsilon=0.1, samples=2, generator=generator()),
            r"exemplars in \[0, 1\]",
        ),
        (lambda x: class_images(x, torch.zeros(2), samples=1, generator=generator()), "a class each"),
        (lambda x: class_images(x, torch.tensor([0, 0, 1]), samples=2, generator=generator()), "found 1 of class 1"),
        (lambda x: random_projection(x[:, 0, 0], 3), "manifolds, features, samples"),
        (lambda x: layer_points(nn.Flatten(), x[:, 0, 0]), "manifolds, samples"),
        (lambda x: layer_points(nn.Flatten(), x, features=0), "at least 1 feature"),
        (
            lambda x: adversarial_perturbations(
                nn.Flatten(), x, torch.zeros(2), epsilon=0.1, step_size=0.1, steps=1, samples=2, generator=generator()
            ),
            "a label for each of 3",
        ),
    ],
)
def test_bad_input_gets_one_sentence(x, call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call(x)
