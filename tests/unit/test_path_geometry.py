"""Geometry of paths, against plain autograd, a quadratic loss and laws of random directions."""

import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.path_kernel.geometry import cosines_off_path, path_geometry, random_cosine, summary_of
from neighborhoods.path_kernel.interpolated_weights import interpolate_weights, norm_changes
from neighborhoods.path_kernel.loss_gradients import loss_gradients, outputs_at
from neighborhoods.path_kernel.path import flat_weights, train_path


@pytest.fixture
def small():
    torch.manual_seed(0)
    model = fully_connected((3,), (5,), 4).double()
    x, y = torch.randn(12, 3, dtype=torch.float64), torch.arange(12) % 4
    return model, train_path(model, x, y, learning_rate=0.2, steps=6)


def plain_gradient(model, path, w, weights):
    nn.utils.vector_to_parameters(w, model.parameters())
    losses = nn.functional.cross_entropy(model(path.x), path.y, reduction="none")
    found = torch.autograd.grad((weights * losses).mean(), list(model.parameters()))
    return torch.cat([part.flatten() for part in found])


def test_gradients_and_outputs_at_many_weights_are_those_of_autograd(small):
    model, path = small
    # More than one chunk of weights.
    w = path.start + 0.3 * torch.randn(19, len(path.start), dtype=torch.float64)
    weights = torch.rand(19, 12, dtype=torch.float64)
    found = loss_gradients(model, path, w, weights)
    y = outputs_at(model, path, w, path.x[:2])
    for row in (0, 15, 18):
        # float64 sums of a dozen terms.
        assert found[row] == pytest.approx(plain_gradient(model, path, w[row], weights[row]), abs=1e-13)
        assert y[row] == pytest.approx(model(path.x[:2]).detach(), abs=1e-13)
    assert loss_gradients(model, path, w[:2]) == pytest.approx(
        loss_gradients(model, path, w[:2], torch.ones(2, 12)), abs=1e-15
    )


def test_gradients_along_a_path_are_its_steps(small):
    model, path = small
    g = loss_gradients(model, path, path.weights[:-1])
    assert -path.learning_rate * g == pytest.approx(path.weights.diff(dim=0), abs=1e-14)


def test_geometry_is_that_of_the_recorded_weights(small):
    model, path = small
    found, w = path_geometry(model, path), path.weights.numpy()
    assert found.arc == pytest.approx(np.r_[0, np.cumsum(np.linalg.norm(np.diff(w, axis=0), axis=1))])
    assert found.chord == pytest.approx(np.linalg.norm(w - w[0], axis=1))
    assert found.norm == pytest.approx(np.linalg.norm(w, axis=1))
    # Without momentum a step is minus the gradient.
    steps = np.diff(w, axis=0) / np.linalg.norm(np.diff(w, axis=0), axis=1, keepdims=True)
    toward = (w[-1] - w[:-1]) / np.linalg.norm(w[-1] - w[:-1], axis=1, keepdims=True)
    assert found.to_end == pytest.approx((steps * toward).sum(1))
    assert found.to_end[-1] == pytest.approx(1)
    assert found.successive[:-1] == pytest.approx((steps[1:] * steps[:-1]).sum(1))
    summary = summary_of(found)
    cosine = w[0] @ w[-1] / np.linalg.norm(w[0]) / np.linalg.norm(w[-1])
    turned = 2 * np.linalg.norm(w[0]) * np.linalg.norm(w[-1]) * (1 - cosine)
    assert summary.angular_share == pytest.approx(turned / np.linalg.norm(w[-1] - w[0]) ** 2)


def test_a_quadratic_loss_of_one_curvature_gives_a_straight_path():
    # Mean of (w . x_i - y_i)^2 over the two unit vectors: |w - y|^2 / 2, whose gradient w - y changes at rate 1.
    model = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight[:] = torch.tensor([[3.0, 4.0]])
    y = torch.zeros(2, 1, dtype=torch.float64)
    path = train_path(model, torch.eye(2), y, learning_rate=0.5, steps=3, loss="squared_error")
    found = path_geometry(model, path)
    assert found.norm == pytest.approx([5, 2.5, 1.25, 0.625])
    assert found.change == pytest.approx(np.ones(3))
    for cosines in (found.to_end, found.successive):
        assert cosines == pytest.approx(np.ones(3))
    summary = summary_of(found)
    assert summary.arc_over_chord == pytest.approx(1)
    assert summary.norm_change == pytest.approx(-0.875)
    assert summary.norm_monotonicity == pytest.approx(1)
    assert summary.angular_share == pytest.approx(0, abs=1e-12)
    # Beside the path too, this gradient points to 0, which lies beyond the end.
    off = cosines_off_path(model, path, steps=[0, 1], fractions=[0, 0.1], samples=3, seed=0)
    assert off.shape == (2, 2, 3)
    assert off[:, 0] == pytest.approx(torch.ones(2, 3))
    assert off[:, 1].min() > 0.99


def test_a_gradient_that_ignores_the_weights_points_aside_by_the_known_angle():
    # A linear loss: the gradient is the same everywhere, so from f * distance aside the cosine is near 1 / sqrt(1 + f^2).
    torch.manual_seed(1)
    model = nn.Linear(400, 1, bias=False).double()

    def linear(y, target):
        return y.mean()

    path = train_path(model, torch.randn(5, 400), torch.zeros(5), learning_rate=0.1, steps=4, loss=linear)
    off = cosines_off_path(model, path, steps=[0, 2], fractions=[0.3, 1], samples=20, seed=0)
    # A random direction's cosine with the path has a standard deviation of 0.05 in 400 dimensions.
    assert off.mean((0, 2)) == pytest.approx([1 / 1.09**0.5, 0.5**0.5], abs=0.02)


def test_random_directions_have_the_cosines_said():
    u = torch.nn.functional.normalize(torch.randn(20000, 30, generator=torch.Generator().manual_seed(0)), dim=1)[:, 0]
    # Standard error of a share of 0.95 in 20000: 0.0015.
    assert float((u.abs() < random_cosine(30)).double().mean()) == pytest.approx(0.95, abs=0.006)
    # On a circle the angle is uniform.
    assert random_cosine(2, 0.5) == pytest.approx(0.5**0.5)


def test_what_is_no_path_is_named(small):
    model, path = small
    with pytest.raises(ValueError, match="at least one step"):
        path_geometry(model, train_path(model, path.x, path.y, learning_rate=0.1, steps=0))
    with pytest.raises(ValueError, match="steps in 0..5"):
        cosines_off_path(model, path, steps=[6], fractions=[0.1], samples=1, seed=0)
    with pytest.raises(ValueError, match=r"expected weights \[M, 44\], as the model has, found \(2, 3\)"):
        loss_gradients(model, path, torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"expected weights of shape \(1, 12\), found \(12,\)"):
        loss_gradients(model, path, path.start[None], torch.ones(12))
    with pytest.raises(ValueError, match="at least two dimensions"):
        random_cosine(1)


def two_networks():
    torch.manual_seed(2)
    start, end = (fully_connected((1, 4, 4), (6,), 3) for _ in range(2))
    with torch.no_grad():
        for parameter in end.parameters():
            parameter *= 3
    x = torch.rand(600, 1, 4, 4)
    return start, end, x, end(x).argmax(1)


def test_interpolated_networks_against_each_built_by_itself():
    start, end, x, y = two_networks()
    positions = [0.0, 0.4, 1.0]
    settings = {"attacked": 20, "epsilon": 0.3, "step_size": 0.1, "steps": 3}
    found = interpolate_weights(start, end, positions, x, y, x[:40], y[:40], **settings)
    first, last = flat_weights(start), flat_weights(end)
    for row, t in enumerate(positions):
        network = fully_connected((1, 4, 4), (6,), 3).double()
        w = (first + t * (last - first)).requires_grad_()
        names = dict(network.named_parameters())
        parts = w.split([p.numel() for p in names.values()])
        weights = {name: part.view(p.shape) for (name, p), part in zip(names.items(), parts, strict=True)}
        logits = torch.func.functional_call(network, weights, (x.double(),))
        loss = nn.functional.cross_entropy(logits, y)
        slope = torch.autograd.grad(loss, w)[0] @ (last - first) / (last - first).norm()
        # Single precision against double.
        assert float(found.loss[row]) == pytest.approx(float(loss.detach()), rel=1e-5)
        assert float(found.slope[row]) == pytest.approx(float(slope), abs=1e-5)
        assert float(found.norm[row]) == pytest.approx(float(w.detach().norm()), rel=1e-6)
        assert (found.train_correct[row] == (logits.argmax(1) == y)).double().mean() > 0.995
    assert bool(found.train_correct[-1].all())
    assert not bool((found.robust & ~found.test_correct[:, :20]).any())
    assert 0 < int(found.robust[-1].sum()) < 20, "the attack works on some"


def test_networks_that_cannot_be_joined_are_named():
    start, end, x, y = two_networks()
    data = ([0.5], x, y, x, y)
    with pytest.raises(ValueError, match="one architecture"):
        interpolate_weights(fully_connected((1, 4, 4), (5,), 3), end, *data, attacked=1)
    with pytest.raises(ValueError, match="different weights"):
        interpolate_weights(end, end, *data, attacked=1)
    with pytest.raises(ValueError, match="expected 1 to 600 test images to attack, found 0"):
        interpolate_weights(start, end, *data, attacked=0)


def test_changes_of_a_norm_along_lines():
    change, monotonicity = norm_changes(torch.tensor([[1.0, 1.5, 2.0], [2.0, 1.0, 3.0], [4.0, 3.0, 1.0]]))
    torch.testing.assert_close(change, torch.tensor([1.0, 0.5, -0.75]))
    torch.testing.assert_close(monotonicity, torch.tensor([1.0, 1 / 3, 1.0]))
    with pytest.raises(ValueError, match="at two points at least"):
        norm_changes(torch.ones(3, 1))
