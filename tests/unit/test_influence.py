"""Importance of training points, against retraining by plain gradient descent, SciPy, and a linear model."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.path_kernel.influence import (
    datamodeling_scores,
    margin,
    pixel_similarity,
    retrain,
    subsets_of,
    two_largest,
)
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.loss_gradients import outputs_at
from neighborhoods.path_kernel.path import train_path


@pytest.fixture
def small():
    torch.manual_seed(0)
    model = fully_connected((3,), (8,), 4).double()
    x, y = torch.randn(10, 3, dtype=torch.float64), torch.arange(10) % 4
    return model, train_path(model, x, y, learning_rate=0.2, steps=5), torch.randn(6, 3, dtype=torch.float64)


def test_networks_retrained_side_by_side_are_those_trained_alone(small):
    model, path, _ = small
    masks = subsets_of(10, 3, 0)
    assert masks.sum(1).tolist() == [5, 5, 5]
    # Weights of N / size make the mean over the subset.
    together = retrain(model, path, 2.0 * masks)
    for kept, found in zip(masks, together, strict=True):
        alone = train_path(model, path.x[kept], path.y[kept], learning_rate=0.2, steps=5)
        assert found == pytest.approx(alone.weights[-1], abs=1e-13)
    assert retrain(model, path, torch.ones(1, 10))[0] == pytest.approx(path.weights[-1], abs=1e-13)


def test_small_steps_lose_what_the_path_kernel_says_a_point_gives(small):
    model, _, queries = small
    x, y = small[1].x, small[1].y
    path = train_path(model, x, y, learning_rate=1e-4, steps=5)
    shares = path_kernel(model, path, queries).contributions
    full, *without = outputs_at(
        model, path, retrain(model, path, torch.cat([torch.ones(1, 10), 1 - torch.eye(10)])), queries
    )
    lost = torch.stack([full - y for y in without], 1)
    # What is left is of the order of the total step, 5e-4, relative to the share.
    assert lost == pytest.approx(shares, abs=3e-3 * float(shares.abs().max()))
    first, second = two_largest(full)
    added = margin(shares.transpose(0, 1), first, second).sum(0)
    start = outputs_at(model, path, path.start[None], queries)[0]
    assert margin(full, first, second) - margin(start, first, second) == pytest.approx(added, abs=1e-9)


def test_a_linear_model_is_ranked_perfectly():
    # Squared error and few steps: outputs of networks trained on subsets are sums of the shares, but for second order.
    torch.manual_seed(1)
    model = nn.Linear(6, 2, bias=False).double()
    x, queries = torch.randn(40, 6), torch.randn(7, 6)
    path = train_path(model, x, torch.randn(40, 2).double(), learning_rate=1e-5, steps=3, loss="squared_error")
    masks = subsets_of(40, 16, 3).double()
    actual = outputs_at(model, path, retrain(model, path, 2 * masks), queries)[..., 0].T
    shares = path_kernel(model, path, queries).contributions[..., 0]
    noise = np.random.default_rng(0).normal(size=(7, 16))
    found = datamodeling_scores(torch.stack([shares @ masks.T, -shares @ masks.T, torch.tensor(noise)]), actual)
    assert found.score[:2] == pytest.approx([1, -1], abs=1e-3)
    assert abs(found.score[2]) < 0.4
    assert found.behind == pytest.approx(found.score[0] - found.score)


def test_scores_are_means_of_spearman_and_intervals_hold_them():
    generator = np.random.default_rng(1)
    actual = generator.normal(size=(9, 20))
    predicted = np.stack([actual + scale * generator.normal(size=actual.shape) for scale in (0.5, 2)])
    found = datamodeling_scores(predicted, actual, seed=4)
    for row, guess in enumerate(predicted):
        each = [stats.spearmanr(a, b).statistic for a, b in zip(guess, actual, strict=True)]
        assert found.by_query[row] == pytest.approx(each)
        assert found.score[row] == pytest.approx(np.mean(each))
    assert np.all((found.low < found.score) & (found.score < found.high))
    assert found.behind_low[1] > 0, "the noisier one is behind"
    assert found.behind_low[0] == found.behind_high[0] == 0
    again = datamodeling_scores(np.exp(predicted), actual**3, seed=4)
    assert again.score == pytest.approx(found.score), "only ranks count"


def test_closeness_in_pixels_has_the_side_of_the_label(small):
    _, path, queries = small
    first, second = torch.full((6,), 1), torch.full((6,), 2)
    found = pixel_similarity(path, queries, first, second)
    assert bool((found[:, path.y == 1] > 0).all())
    assert bool((found[:, path.y == 2] < 0).all())
    assert bool((found[:, path.y == 0] == 0).all())
    d = np.linalg.norm(queries.numpy()[:, None] - path.x.numpy(), axis=2)
    ones = (path.y == 1).numpy()
    assert found.numpy()[:, ones] == pytest.approx(np.exp(-((d / np.quantile(d, 0.5)) ** 2) / 2)[:, ones], rel=0.05)


def test_what_does_not_fit_is_named(small):
    model, path, _ = small
    moving = train_path(model, path.x, path.y, learning_rate=0.1, steps=2, momentum=0.5)
    with pytest.raises(ValueError, match="without momentum"):
        retrain(model, moving, torch.ones(1, 10))
    with pytest.raises(ValueError, match="two subsets, found 10 and 1"):
        subsets_of(10, 1, 0)
    with pytest.raises(ValueError, match="at least two outputs, found 1"):
        two_largest(torch.ones(3, 1))
    with pytest.raises(ValueError, match=r"expected predictions \[methods, queries, subsets\]"):
        datamodeling_scores(np.ones((2, 3, 4)), np.ones((3, 5)))
