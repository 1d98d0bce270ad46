"""The mistakes that newcomers make: each works, or is answered with one sentence before anything is computed."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.attacks.methods import attack
from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.manifolds.layers import analyse, class_manifolds
from neighborhoods.manifolds.points import class_images, layer_points
from neighborhoods.networks.inputs import images_for, labels_for
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.path import train_path
from neighborhoods.persistence.measure import persistence, stability


class Answering(nn.Module):
    """A network whose logits are handed through a function."""

    def __init__(self, answer):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))
        self.answer = answer

    def forward(self, x):
        return self.answer(self.network(x))


@pytest.fixture
def network():
    return Answering(lambda z: z).eval()


@pytest.fixture
def x():
    return torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))


Y = torch.tensor([0, 1, 2, 0, 1, 2])
STEP = {"epsilon": 0.1, "step_size": 0.05, "steps": 3}

MEASURES = {
    "persistence": lambda network, x: persistence(network, x, samples=100).sigma,
    "stability": lambda network, x: stability(network, x, 0.3, samples=100).frequency,
    "distance": lambda network, x: boundary_distance(network, x).distance,
    "attack": lambda network, x: attack("igsm", network, x, Y, **STEP)[0],
    "path kernel": lambda network, x: train_path(network, x, Y, learning_rate=0.1, steps=2).weights,
}
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


@every_measure
def test_arrays_and_double_precision_are_taken(measure, network, x):
    expected = measure(network, x)
    for given in (x.numpy(), x.double(), x.double().numpy(), x.clone().requires_grad_()):
        assert measure(network, given).double().numpy() == pytest.approx(expected.double().numpy(), abs=1e-6)


@every_measure
def test_a_network_in_training_mode_is_measured_in_evaluation_mode(measure, network, x):
    expected = measure(network, x)
    network.train()
    network.network[2].eval()
    assert torch.equal(measure(network, x), expected)
    assert [module.training for module in network.modules()] == [True, True, True, True, False, True, True]


@every_measure
@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (
            lambda x: (x * 255).byte(),
            r"found torch.uint8 of shape \(6, 1, 4, 4\); bytes of pixels become shares of one by",
        ),
        (lambda x: x * math.nan, "must be finite, found some that are infinite or not a number"),
        (lambda x: x[0, 0], r"expected images \[images, ...\], found one image \(4, 4\) alone; give it .* x\[None\]"),
        (lambda x: x[:, :, :3], r"the model does not take images \(1, 3, 4\) \(RuntimeError: mat1 and mat2"),
        (lambda x: x[:0], r"floating-point images \[images, ...\], found torch.float32 of shape \(0, 1, 4, 4\)"),
        (lambda x: [x, "x"], "a tensor or an array of numbers, found list"),
    ],
)
def test_images_that_cannot_be_used_get_a_sentence(measure, network, x, images, sentence):
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match=sentence) as caught:
        if measure is MEASURES["path kernel"] and len(images(x)) != len(Y):
            pytest.skip("numbers of points and labels are compared first")
        measure(network, images(x))
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@every_measure
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda z: (z, z), r"logits \[2, classes\], found a tuple; wrap it in a module that returns the logits alone"),
        (lambda z: {"logits": z}, "found a dict; wrap it"),
        (lambda z: z[:, 0], r"must map \(2, 1, 4, 4\) to logits \[2, classes\], found \(2,\)"),
        (lambda z: z / 0, "logits must be finite"),
    ],
)
def test_networks_that_give_no_logits_get_a_sentence(measure, x, answer, sentence):
    with pytest.raises(ValueError, match=sentence):
        measure(Answering(answer).eval(), x)


def test_probabilities_do_where_only_the_class_counts(network, x):
    with_softmax = Answering(lambda z: z.softmax(1)).eval()
    expected, found = persistence(network, x, samples=200), persistence(with_softmax, x, samples=200)
    assert torch.equal(found.sigma, expected.sigma)
    for name in ("distance", "attack", "path kernel"):
        with pytest.raises(ValueError, match="found probabilities, whose rows sum to one; leave the softmax out"):
            MEASURES[name](with_softmax, x)
    # Their logarithm is as good as logits.
    logarithm = Answering(lambda z: z.log_softmax(1)).eval()
    expected = MEASURES["distance"](network, x).numpy()
    assert MEASURES["distance"](logarithm, x).numpy() == pytest.approx(expected, rel=0.02)


def test_images_of_bytes_as_floats(network, x):
    # Units are those of the images: a network of bytes withstands 255 times the noise.
    of_bytes = Answering(lambda z: z).eval()
    of_bytes.load_state_dict(network.state_dict())
    with torch.no_grad():
        of_bytes.network[1].weight /= 255
    low, high = {"sigma_max": 100.0}, {"sigma_min": 255e-3, "sigma_max": 25500.0}
    expected = persistence(network, x, samples=200, **low).sigma * 255
    assert persistence(of_bytes, x * 255, samples=200, **high).sigma.numpy() == pytest.approx(
        expected.numpy(), rel=1e-3
    )
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\], found 2\.\d+ to 25\d"):
        attack("igsm", of_bytes, x * 255, Y, **STEP)


@pytest.mark.parametrize("gamma", [70, 0, 1, -0.7])
def test_a_share_is_no_percentage(network, x, gamma):
    with pytest.raises(ValueError, match=rf"gamma must lie in \(0, 1\), found {gamma}"):
        persistence(network, x, gamma=gamma)


def test_images_go_where_the_weights_are(network, x):
    # The device that exists everywhere and computes nothing.
    seen = []
    network.register_forward_pre_hook(lambda _, taken: seen.append(taken[0].device.type))
    with pytest.raises(RuntimeError, match="meta"):
        images_for(network.to("meta"), x)
    assert set(seen) == {"meta"}


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.int64, "array"])
def test_labels_of_any_whole_numbers_are_taken(network, x, kind):
    labels = Y.numpy().astype(np.int16) if kind == "array" else Y.to(kind)
    assert torch.equal(attack("igsm", network, x, labels, **STEP)[0], attack("igsm", network, x, Y, **STEP)[0])


def test_labels_that_are_none_get_a_sentence(network, x):
    for labels, sentence in [
        (Y.float(), r"as whole numbers \[6\], found torch.float32 of shape \(6,\)"),
        (nn.functional.one_hot(Y), r"found torch.int64 of shape \(6, 3\)"),
        (Y + 1, r"classes in 0..2, found 1 to 3"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            labels_for(labels, 6, 3)
        with pytest.raises(ValueError, match=sentence):
            train_path(network, x, labels, learning_rate=0.1, steps=1)


def test_queries_may_be_arrays_and_must_be_finite(network, x):
    path = train_path(network, x.numpy(), Y.numpy(), learning_rate=0.1, steps=2)
    expected = path_kernel(network, train_path(network, x, Y, learning_rate=0.1, steps=2), x)
    found = path_kernel(network, path, x.numpy())
    assert torch.equal(found.contributions, expected.contributions)
    with pytest.raises(ValueError, match="points must be finite"):
        path_kernel(network, path, x * math.nan)


def test_manifolds_of_classes_are_those_of_their_parts(network):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(60, 1, 4, 4, generator=generator), torch.arange(60) % 3
    found = class_manifolds(network, x.numpy(), y.numpy(), layers=["network.1"], samples=6, n_t=50, seed=3)
    chosen = class_images(x, y, samples=6, generator=torch.Generator().manual_seed(3))
    for name, points in layer_points(network, chosen, layers=["network.1"], seed=3).items():
        alone = analyse(points, n_t=50, seed=3).geometry
        assert torch.equal(found[name].geometry.manifolds.capacity, alone.manifolds.capacity)
        assert found[name].geometry.capacity == alone.capacity
    assert list(found) == ["input", "network.1"]
    # Three logits are fewer than six samples: a reason in place of numbers.
    last = class_manifolds(network, x, y, layers=["network.4"], samples=6)["network.4"]
    assert last.geometry is None
    assert "more features than points" in repr(last)
    with pytest.raises(ValueError, match="expected layers among network, .*, found relu"):
        class_manifolds(network, x, y, layers=["relu"], samples=6)
    with pytest.raises(ValueError, match="at least 30 images of each class, found 20 of class 0"):
        class_manifolds(network, x, y, samples=30)


def test_results_say_what_they_hold(network, x):
    result = persistence(lambda z: torch.stack([z.flatten(1).sum(1), 0 * z.flatten(1).sum(1)], 1), x, samples=200)
    mean = result.summary()
    interval = f"{mean.mean:.3g} [{mean.mean_low:.3g}, {mean.mean_high:.3g}]"
    assert repr(result) == f"Persistence(6 images, gamma = 0.7, sigma = {interval})"
    assert str(mean).endswith(f"{mean.median_high:.3g}], n = 6")
    assert str(result.summary([0, 0, 1, 1, 2, 2])).endswith("n = 6 in 3 clusters")
    high = persistence(network, x[:1], samples=100, sigma_max=2e-3)
    assert repr(high) == "Persistence(1 image, gamma = 0.7, sigma = 0.002 [0.002, inf], 1 above it)"
    constant = boundary_distance(lambda z: torch.stack([0 * z.flatten(1).sum(1) + 1, 0 * z.flatten(1).sum(1)], 1), x)
    assert repr(constant) == "Distance(6 images, mean = nan [nan, nan], 6 without another class in reach)"
