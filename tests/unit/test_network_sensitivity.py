"""Head, features and margin of a network against closed forms of linear networks and full Jacobians."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, special
from torch import nn

from neighborhoods.boundary.distance import boundary_distance
from neighborhoods.networks.architectures import bell_cnn, fully_connected
from neighborhoods.networks.photos import Normalized, photo_network
from neighborhoods.sensitivity.clusters import clusters
from neighborhoods.sensitivity.factors import (
    cross_entropy,
    face_factors,
    head_norm,
    in_batches,
    loss_gradient,
    pair_norms,
    spectral_norm,
    split,
)
from neighborhoods.sensitivity.flatness import flatness
from neighborhoods.sensitivity.growth import perturbation_growth, stages

# Bar of the closed forms; float64 leaves 1e-13 or so.
CLOSED = 1e-6


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def frozen(network, dtype=torch.float64):
    return network.to(dtype).eval().requires_grad_(False)


@pytest.fixture
def linear(generator):
    """z = W x + b for images (1, 3, 4) and five classes, with points and the classes that it gives them."""
    network = frozen(fully_connected((1, 3, 4), [], 5))
    weight, bias = torch.randn(5, 12, generator=generator), torch.randn(5, generator=generator)
    network.fc1.weight.copy_(weight)
    network.fc1.bias.copy_(bias)
    x = torch.randn(30, 1, 3, 4, generator=generator, dtype=torch.float64)
    return network, network.fc1.weight.numpy(), network.fc1.bias.numpy(), x, network(x).argmax(1)


def mlp(generator, widths=(12, 20, 15, 5), dtype=torch.float64):
    torch.manual_seed(1)
    network = frozen(fully_connected((1, 3, widths[0] // 3), widths[1:-1], widths[-1]), dtype)
    x = torch.randn(8, 1, 3, widths[0] // 3, generator=generator, dtype=torch.float64).to(dtype)
    return network, x, network(x).argmax(1)


def closed_form(weight, bias, x, label):
    """Loss and gradient W^T (softmax(z) - onehot) of a linear network, by SciPy."""
    z = x.flatten(1).numpy() @ weight.T + bias
    slope = special.softmax(z, axis=1) - np.eye(len(bias))[label]
    return -special.log_softmax(z, axis=1)[np.arange(len(z)), label], slope, slope @ weight


def test_eta_of_a_linear_network_is_the_closed_form(linear):
    network, weight, bias, x, label = linear
    label = (label + torch.arange(30) % 2) % 5
    loss, slope, eta = closed_form(weight, bias, x, label.numpy())
    found = loss_gradient(split(network, x), x, label)
    np.testing.assert_allclose(found.loss, loss, rtol=CLOSED)
    np.testing.assert_allclose(found.norm, np.linalg.norm(eta, axis=1), rtol=CLOSED)
    np.testing.assert_allclose(found.norm[:, None] * found.direction.flatten(1), eta, rtol=CLOSED, atol=1e-12)
    np.testing.assert_allclose(found.logit_norm, np.linalg.norm(slope, axis=1), rtol=CLOSED)
    # The features of a linear network are its input.
    np.testing.assert_allclose(found.feature_gain, 1, rtol=CLOSED)
    np.testing.assert_allclose(found.head_gain, found.norm / found.logit_norm, rtol=CLOSED)


def test_norms_and_distances_of_a_linear_network_are_the_closed_form(linear):
    network, weight, bias, x, label = linear
    parts = split(network, x)
    assert head_norm(parts.head) == pytest.approx(np.linalg.svd(weight)[1][0], rel=CLOSED)
    pairs = np.linalg.norm(weight[:, None] - weight, axis=2)
    np.testing.assert_allclose(pair_norms(parts.head), pairs, rtol=CLOSED, atol=1e-12)
    z = x.flatten(1).numpy() @ weight.T + bias
    rows = np.arange(len(x))
    with np.errstate(invalid="ignore"):
        faces = (z[rows, label][:, None] - z) / pairs[label]
    faces[rows, label] = np.inf
    found = face_factors(parts, x, label)
    np.testing.assert_array_equal(found.rival, faces.argmin(1))
    for measured in (found.distance, found.feature_margin, found.nearest_in_features):
        np.testing.assert_allclose(measured, faces.min(1), rtol=CLOSED)
    np.testing.assert_allclose(found.margin, (z[rows, label] - z[rows, found.rival]), rtol=CLOSED)
    np.testing.assert_allclose(found.head_norm, pairs[label, found.rival], rtol=CLOSED)
    # An independent search in the images finds the same faces.
    np.testing.assert_allclose(boundary_distance(network, x, label=label).distance, found.distance, rtol=CLOSED)
    assert spectral_norm(network, x).norm.numpy() == pytest.approx(np.linalg.svd(weight)[1][0], rel=1e-3)


def test_gradients_and_factors_are_autograds(generator):
    network, x, label = mlp(generator)
    parts = split(network, x)
    found, faces = loss_gradient(parts, x, label), face_factors(parts, x, label)
    variable = x.clone().requires_grad_(True)
    (eta,) = torch.autograd.grad(nn.functional.cross_entropy(network(variable), label, reduction="sum"), variable)
    torch.testing.assert_close(found.norm[:, None] * found.direction.flatten(1), eta.flatten(1))
    logits = network(variable)
    margin = (logits[torch.arange(8), label] - logits[torch.arange(8), faces.rival]).sum()
    (gradient,) = torch.autograd.grad(margin, variable)
    torch.testing.assert_close(faces.margin_gradient, gradient)
    torch.testing.assert_close(faces.head_norm * faces.feature_gain, gradient.flatten(1).norm(dim=1))
    torch.testing.assert_close(faces.distance, faces.margin / gradient.flatten(1).norm(dim=1))


def test_eta_survives_where_the_networks_are_sure(linear):
    # Logits hundreds of nats apart: softmax less onehot rounds to zero, and float32 holds no such gradient.
    _, weight, bias, x, label = linear
    large = frozen(fully_connected((1, 3, 4), [], 5), torch.float32)
    top = (x.flatten(1).numpy() @ weight.T + bias).max(1)
    scale = float(600 / top.max())
    large.fc1.weight.copy_(torch.from_numpy(scale * weight))
    large.fc1.bias.copy_(torch.from_numpy(scale * bias))
    found = loss_gradient(split(large, x.float()), x.float(), label)
    z = large(x.float()).double().numpy()
    rest = z - z[np.arange(30), label][:, None]
    rest[np.arange(30), label] = -np.inf
    # The loss is the sum of the other probabilities to first order, here 1e-16 and less.
    sure = special.logsumexp(rest, axis=1) < -40
    assert sure.any()
    np.testing.assert_allclose(np.log(found.loss.numpy())[sure], special.logsumexp(rest, axis=1)[sure], rtol=1e-9)
    np.testing.assert_allclose(found.direction.flatten(1).norm(dim=1), 1, rtol=1e-5)


def test_cross_entropy_is_torchs(generator):
    z = torch.randn(50, 7, generator=generator, dtype=torch.float64) * 10
    label = torch.randint(7, (50,), generator=generator)
    torch.testing.assert_close(cross_entropy(z, label), nn.functional.cross_entropy(z, label, reduction="none"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_spectral_norm_is_that_of_the_full_jacobian(generator, dtype):
    network, x, _ = mlp(generator, dtype=dtype)
    features = split(network, x).features
    full = torch.stack([torch.autograd.functional.jacobian(features, image[None])[0].flatten(1) for image in x])
    expected = torch.linalg.svdvals(full.double())[:, 0]
    found = spectral_norm(features, x)
    # Within .1 % as promised, and never above but for rounding.
    assert ((found.norm / expected - 1).abs() < 1e-3).all()
    assert (found.norm <= expected * (1 + 1e-5)).all()
    assert (found.residual <= 1e-3).all()
    exact = spectral_norm(features, x, tolerance=1e-30)
    torch.testing.assert_close(exact.norm, expected, rtol=1e-5, atol=0)


def test_the_spectral_norm_of_a_cnn_is_that_of_its_full_jacobian():
    torch.manual_seed(0)
    network = frozen(bell_cnn((1, 18, 18), 2, 4), torch.float32)
    x = torch.rand(3, 1, 18, 18)
    features = split(network, x).features
    full = torch.func.vmap(torch.func.jacrev(lambda image: features(image[None])[0]))(x).flatten(2)
    found = spectral_norm(features, x, batch_size=2)
    torch.testing.assert_close(found.norm, torch.linalg.svdvals(full.double())[:, 0], rtol=1e-3, atol=0)


def test_residuals_bound_the_error_where_iterations_stop_early(generator):
    # Each value lies within half of the residual of some singular value (Weyl, for J^T J).
    matrix = torch.randn(30, 40, generator=generator, dtype=torch.float64)
    values = torch.linalg.svdvals(matrix)
    x = torch.zeros(6, 40, dtype=torch.float64)
    for steps in (2, 4, 8):
        found = spectral_norm(lambda v: v @ matrix.T, x, steps=steps)
        squares = (values[:, None] ** 2 / found.norm**2 - 1).abs().amin(0)
        assert (squares <= found.residual * (1 + 1e-9)).all()
        assert found.steps == steps


def test_degenerate_jacobians_have_their_norms():
    x = torch.rand(4, 6, dtype=torch.float64)
    found = spectral_norm(lambda v: torch.cat([0 * v[:2], 3 * v[2:]]), x)
    torch.testing.assert_close(found.norm, torch.tensor([0.0, 0.0, 3.0, 3.0], dtype=torch.float64))
    assert (found.residual == 0).all()


def test_the_chain_rule_bounds_the_gradient(generator):
    network, x, label = mlp(generator)
    parts = split(network, x)
    found = loss_gradient(parts, x, label)
    bound = found.logit_norm * head_norm(parts.head) * spectral_norm(parts.features, x, tolerance=1e-9).norm
    assert (found.norm <= bound * (1 + 1e-9)).all()
    torch.testing.assert_close(found.norm, found.logit_norm * found.head_gain * found.feature_gain)


def test_scaling_features_and_head_against_each_other_changes_no_distance(generator):
    network, x, label = mlp(generator)
    before = face_factors(split(network, x), x, label)
    # A ReLU network with its last hidden layer 3 times larger and its head 3 times smaller is the same function.
    network.fc2.weight.mul_(3)
    network.fc2.bias.mul_(3)
    network.fc3.weight.div_(3)
    after = face_factors(split(network, x), x, label)
    torch.testing.assert_close(after.distance, before.distance)
    torch.testing.assert_close(after.margin, before.margin)
    torch.testing.assert_close(after.head_norm, before.head_norm / 3)
    torch.testing.assert_close(after.feature_gain, 3 * before.feature_gain)
    torch.testing.assert_close(after.feature_margin, 3 * before.feature_margin)


def test_a_turned_image_space_changes_nothing(linear):
    network, weight, _, x, label = linear
    turn = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64))[0]
    turned = frozen(fully_connected((1, 3, 4), [], 5))
    turned.fc1.weight.copy_(torch.from_numpy(weight) @ turn.T)
    turned.fc1.bias.copy_(network.fc1.bias)
    y = (x.flatten(1) @ turn.T).reshape(x.shape)
    one, other = loss_gradient(split(network, x), x, label), loss_gradient(split(turned, y), y, label)
    torch.testing.assert_close(one.norm, other.norm)
    torch.testing.assert_close(one.direction.flatten(1) @ turn.T, other.direction.flatten(1))


class After(nn.Module):
    """A network that goes on behind its last linear layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return torch.relu(self.fc(x))


def test_networks_that_do_not_split_get_a_sentence():
    x = torch.randn(5, 4)
    with pytest.raises(ValueError, match=r"ends in a linear layer, found one without any nn\.Linear"):
        split(nn.Flatten(), x)
    with pytest.raises(ValueError, match="found that more follows its last one, 'fc'"):
        split(After(), x)
    with pytest.raises(ValueError, match="at least two classes, found 1"):
        split(nn.Linear(4, 1), x)


def test_degenerate_points_get_a_sentence():
    x = torch.randn(5, 4)
    dead = frozen(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.float32)
    dead[0].bias.fill_(-1e6)
    label = torch.zeros(5, dtype=torch.int64)
    with pytest.raises(ValueError, match="a gradient of the loss at every image, found none at 5 of 5"):
        loss_gradient(split(dead, x), x, label)
    with pytest.raises(ValueError, match="a gradient of some margin at every image, found none at 5 of 5"):
        face_factors(split(dead, x), x, label)
    same = frozen(nn.Linear(4, 2), torch.float32)
    same.weight[1] = same.weight[0]
    with pytest.raises(ValueError, match="classes of different weights"):
        face_factors(split(same, x), x, label)
    with pytest.raises(ValueError, match=r"one label in 0\.\.1 for each of 5"):
        loss_gradient(split(same, x), x, label + 2)
    with pytest.raises(ValueError, match="positive tolerance"):
        spectral_norm(same, x, tolerance=0.0)


def test_the_network_itself_stays_as_it_was(generator):
    network, x, _ = mlp(generator)
    parts = split(network, x)
    assert isinstance(network.fc3, nn.Linear)
    torch.testing.assert_close(parts.head(parts.features(x)), network(x))
    root = nn.Linear(4, 3)
    assert split(root, torch.rand(2, 4)).head is root


def test_no_random_direction_beats_eta_to_first_order(generator):
    network, x, label = mlp(generator)
    found = loss_gradient(split(network, x), x, label)
    step = 1e-6
    around = flatness(network, x, label, found.direction, [step], directions=50)
    # The loss rises by epsilon ||eta|| along eta; second order is of relative size 1e-6 times a curvature of order 1.
    torch.testing.assert_close(around.given_increase[0] / step, found.norm, rtol=1e-4, atol=1e-7)
    assert (around.random_increase[0].abs() <= around.given_increase[0] * (1 + 1e-4)).all()
    assert around.given_kept.all()
    assert around.random_kept.all()


def test_flatness_of_a_linear_network_is_the_closed_form(linear):
    network, weight, bias, x, label = linear
    direction = loss_gradient(split(network, x), x, label).direction
    epsilons = [0.1, 1.0, 10.0]
    around = flatness(network, x, label, direction, epsilons, directions=3, batch_size=7)
    for row, epsilon in enumerate(epsilons):
        moved = x + epsilon * direction
        increase = closed_form(weight, bias, moved, label)[0] - closed_form(weight, bias, x, label)[0]
        np.testing.assert_allclose(around.given_increase[row], increase, rtol=1e-9, atol=1e-12)
        kept = (moved.flatten(1).numpy() @ weight.T + bias).argmax(1) == label.numpy()
        np.testing.assert_array_equal(around.given_kept[row], kept)
    # A convex loss: what it rises by over epsilon grows with epsilon.
    slopes = around.given_increase / torch.tensor(epsilons)[:, None]
    assert (slopes.diff(dim=0) >= -1e-12).all()
    again = flatness(network, x, label, direction, epsilons, directions=3)
    torch.testing.assert_close(again.random_increase, around.random_increase)


def test_bad_steps_get_a_sentence(linear):
    network, _, _, x, label = linear
    for epsilons, directions in (([], 1), ([0.0], 1), ([1.0], 0)):
        with pytest.raises(ValueError, match="positive epsilons and at least one direction"):
            flatness(network, x, label, x, epsilons, directions=directions)
    with pytest.raises(ValueError, match="a direction for each image"):
        flatness(network, x, label, x[:1], [1.0])


def test_growth_along_a_linear_chain_is_that_of_matrix_products(generator):
    widths = (12, 9, 7, 5)
    layers = [nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)]
    chain = frozen(nn.Sequential(nn.Flatten(), *layers))
    x = torch.randn(6, 1, 3, 4, generator=generator, dtype=torch.float64)
    delta = torch.randn(6, 1, 3, 4, generator=generator, dtype=torch.float64)
    found = perturbation_growth(chain, x, delta, batch_size=4)
    assert found.stages == ("input", "1", "2", "3")
    product, signal = torch.eye(12, dtype=torch.float64), x.flatten(1)
    start = delta.flatten(1).norm(dim=1)
    for row, layer in enumerate(layers, start=1):
        product = layer.weight @ product
        signal = signal @ layer.weight.T + layer.bias
        gain = (delta.flatten(1) @ product.T).norm(dim=1) / start
        torch.testing.assert_close(found.gain[row], gain)
        torch.testing.assert_close(
            found.relative[row], gain * x.flatten(1).norm(dim=1) / signal.norm(dim=1), rtol=1e-9, atol=0
        )
    torch.testing.assert_close(found.gain[0], torch.ones_like(found.gain[0]))
    torch.testing.assert_close(found.relative[0], torch.ones_like(found.gain[0]))


def test_residual_blocks_are_stages_also_behind_a_normalisation():
    torch.manual_seed(0)
    network = photo_network("cifar_resnet", (3, 32, 32), 10, depth=8).eval()
    blocks = ["conv1", "bn1", "layer1.0", "layer2.0", "layer3.0", "linear"]
    assert [name for name, _ in stages(network)] == [f"network.{name}" for name in blocks]
    wrapped = Normalized(fully_connected((3, 4, 4), [6], 2), [0.5] * 3, [0.5] * 3)
    assert [name for name, _ in stages(wrapped)] == ["network.fc1", "network.relu1", "network.fc2"]
    assert [name for name, _ in stages(nn.Linear(2, 2))] == ["Linear"]


def test_a_perturbation_of_nothing_gets_a_sentence(linear):
    network, _, _, x, _ = linear
    with pytest.raises(ValueError, match="images and perturbations that are not zero"):
        perturbation_growth(network, x, torch.zeros_like(x))
    with pytest.raises(ValueError, match="several layers, found a Flatten"):
        perturbation_growth(nn.Flatten(), x, x)
    with pytest.raises(ValueError, match="a perturbation for each image"):
        perturbation_growth(network, x, x[:2])


def labelled(count, generator, apart=3.0):
    label = torch.arange(count) % 3
    means = apart * torch.eye(3, 5, dtype=torch.float64)
    return means[label] + torch.randn(count, 5, generator=generator, dtype=torch.float64), label


def test_spreads_add_up_to_the_total(generator):
    x, label = labelled(90, generator)
    found = clusters(x, label, 3)
    total = (x - x.mean(0)).square().sum(1).mean()
    assert found.between + found.within == pytest.approx(float(total))
    one, two = x[label == 0], x[label == 2]
    width = torch.cat([one - one.mean(0), two - two.mean(0)]).square().sum(1).mean().sqrt()
    expected = (one.mean(0) - two.mean(0)).norm() / width
    assert float(found.separation[0, 2]) == pytest.approx(float(expected))
    assert torch.isnan(clusters(x, label, 4).separation[3, :3]).all()
    scaled = clusters(7 * x + 1, label, 3)
    assert (scaled.ratio, scaled.low) == pytest.approx((found.ratio, found.low))


def test_the_interval_of_the_ratio_is_the_bootstraps(generator):
    x, label = labelled(600, generator)
    found = clusters(x, label, 3)
    rng = np.random.default_rng(0)
    rows = [torch.from_numpy(rng.integers(0, 600, 600)) for _ in range(400)]
    logs = [math.log(clusters(x[row], label[row], 3).ratio) for row in rows]
    # A standard error from 400 resamples has a relative error of 3.5 %.
    half = math.log(found.high / found.low) / 2 / 1.959964
    assert half == pytest.approx(np.std(logs, ddof=1), rel=0.12)


def test_clusters_of_one_class_get_a_sentence(generator):
    x, label = labelled(30, generator)
    with pytest.raises(ValueError, match="at least two classes, found those of 1"):
        clusters(x, torch.zeros_like(label), 3)
    with pytest.raises(ValueError, match=r"labels in 0\.\.1, found 0 to 2"):
        clusters(x, label, 2)
    with pytest.raises(ValueError, match="every class in one place"):
        clusters(torch.eye(3)[label], label, 3)


def test_boundary_of_two_classes_agrees_with_an_independent_search(generator):
    # A smooth network; the nearest point by SciPy from the linearisation's foot is at most as far as the first order says
    # plus its curvature, and both agree for points near the boundary.
    torch.manual_seed(3)
    network = frozen(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)))
    x = 0.5 * torch.randn(40, 2, generator=generator, dtype=torch.float64)
    label = network(x).argmax(1)
    found = face_factors(split(network, x), x, label)
    near = found.distance.argsort()[:3]
    for row in near.tolist():
        own = int(label[row])

        def gap(point, own=own):
            logits = network(torch.from_numpy(point)[None])[0]
            return float(logits[1 - own] - logits[own])

        origin = x[row].numpy()
        best = optimize.minimize(
            lambda p, origin=origin: float(((p - origin) ** 2).sum()),
            origin + 1e-3,
            constraints={"type": "ineq", "fun": gap},
            tol=1e-14,
        )
        # Second order: the error of the first-order distance is of the order of its square.
        exact = math.sqrt(best.fun)
        assert float(found.distance[row]) == pytest.approx(exact, abs=2 * exact**2 + 1e-6)


@pytest.mark.parametrize("measure", [loss_gradient, face_factors])
def test_batches_change_nothing_beyond_rounding(generator, measure):
    network, x, label = mlp(generator)
    parts = split(network, x)
    whole, pieces = measure(parts, x, label), in_batches(measure, parts, x, label, batch_size=3)
    assert type(pieces) is type(whole)
    for name, values in vars(whole).items():
        assert vars(pieces)[name].shape == values.shape
        assert torch.allclose(vars(pieces)[name].double(), values.double(), rtol=1e-12, atol=1e-14), name
