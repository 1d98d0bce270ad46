"""Places, neighbours, foreign points, signs and convergence of kernels."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.path_kernel import outliers
from neighborhoods.path_kernel.convergence import Rule, by_step_size, order_of, residual_of
from neighborhoods.path_kernel.kernel_geometry import (
    class_means,
    common,
    cosines,
    differences,
    nearest,
    places,
    squared_distances,
    variation,
)
from neighborhoods.path_kernel.kernel_machine import path_kernel
from neighborhoods.path_kernel.path import recorded, train_path
from neighborhoods.path_kernel.signs import CASES, Case, signs, signs_of, single_machine_gaps
from neighborhoods.persistence.detection import auroc, roc_curve


def gaussians(n=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    x = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return x + torch.tensor([[1.0, 4.0], [4.0, 1.0]]).double()[y], y


def network(hidden=(6, 5), classes=2, seed=0):
    torch.manual_seed(seed)
    return fully_connected((2,), hidden, classes).double()


def test_feature_space_of_the_linear_kernel_is_the_space_itself():
    generator = torch.Generator().manual_seed(0)
    x, points = torch.randn(5, 4, generator=generator), torch.randn(30, 4, generator=generator)
    lengths = x.square().sum(1), points.square().sum(1)
    distances = squared_distances(x @ points.T, *lengths)
    assert distances.sqrt().numpy() == pytest.approx(torch.cdist(x, points).numpy(), rel=1e-4)
    angles = torch.nn.functional.cosine_similarity(x[:, None], points, dim=2)
    assert cosines(x @ points.T, *lengths).numpy() == pytest.approx(angles.numpy(), abs=1e-6)
    assert torch.equal(nearest(distances, 3), torch.cdist(x, points).topk(3, largest=False).indices)


def test_common_neighbours_do_not_depend_on_order():
    first, second = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[3, 2, 9], [7, 8, 9]])
    assert common(first, second).tolist() == pytest.approx([2 / 3, 0])
    assert common(first, first[:, [2, 0, 1]]).tolist() == [1, 1]
    with pytest.raises(ValueError, match="1 to 30 neighbours, found 31"):
        nearest(torch.zeros(2, 30), 31)


def test_differences_of_kernels():
    generator = torch.Generator().manual_seed(0)
    k, r = torch.randn(2, 4, 9, generator=generator, dtype=torch.float64)
    relative, correlation = differences(k, r)
    for i in range(4):
        assert float(correlation[i]) == pytest.approx(stats.pearsonr(k[i], r[i]).statistic)
        assert float(relative[i]) == pytest.approx(float((k[i] - r[i]).norm() / k[i].norm()))
    relative, correlation = differences(k, 3 * k)
    assert relative.tolist() == pytest.approx([2] * 4)
    assert correlation.tolist() == pytest.approx([1] * 4)


def test_class_means_take_the_columns_of_a_class():
    values = torch.arange(12.0).double().reshape(2, 6)
    found = class_means(values, torch.tensor([0, 1, 0, 1, 2, 0]), torch.tensor([0, 1]))
    assert found.tolist() == [(0 + 2 + 5) / 3, (7 + 9) / 2]


def test_variation_covers_that_of_the_law():
    # Gamma of shape 4: standard deviation / mean is 1/2.
    draws = np.random.default_rng(0).gamma(4, size=(60, 150))
    found = [variation(sample, 0.9) for sample in draws]
    hits = sum(part.low <= 0.5 <= part.high for part in found)
    # 54 of 60 are expected; fewer than 46 have a chance of 1 in 1000, with a little for the bootstrap's own error.
    assert hits >= 45
    assert found[0].value == pytest.approx(draws[0].std(ddof=1) / draws[0].mean())
    assert (variation(np.full(9, 3.0)).low, variation(np.full(9, 3.0)).high) == (0, 0)
    with pytest.raises(ValueError, match="at least three finite values"):
        variation([1.0, 2.0])


def test_places_cover_the_points():
    x, _ = gaussians()
    (columns, rows), everywhere = places(x, 7, margin=0.25)
    assert everywhere.reshape(7, 7, 2)[2, 5].tolist() == [float(columns[5]), float(rows[2])]
    assert float(columns[0]) == pytest.approx(float(x[:, 0].min() - 0.25 * (x[:, 0].max() - x[:, 0].min())))
    assert float(rows[-1]) > float(x[:, 1].max())


def test_roc_curves_are_scikit_learns():
    generator = np.random.default_rng(0)
    natural, other = generator.integers(0, 20, 50), generator.integers(-5, 15, 30)
    false, true = roc_curve(natural, other)
    labels, scores = np.repeat([0, 1], [50, 30]), -np.concatenate([natural, other])
    expected = sklearn_roc_curve(labels, scores, drop_intermediate=False)
    assert false == pytest.approx(expected[0])
    assert true == pytest.approx(expected[1])
    area = np.trapezoid(true, false)
    assert area == pytest.approx(auroc(natural, other).value) == pytest.approx(roc_auc_score(labels, scores))


def test_foreign_images_keep_what_they_should():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, 1, 5, 5, generator=generator, dtype=torch.float64)
    found = {name: kind(x, torch.Generator().manual_seed(1)) for name, kind in outliers.OF_IMAGES.items()}
    for part in found.values():
        assert part.shape == x.shape
        assert 0 <= float(part.min()) <= float(part.max()) <= 1
    assert torch.equal(1 - found["inverted"], 1 - (1 - x))
    assert torch.equal(found["permuted"].flatten(1).sort(1).values, x.flatten(1).sort(1).values)
    distances = torch.cdist(x.flatten(1), x.flatten(1))
    assert torch.cdist(*[found["permuted"].flatten(1)] * 2).numpy() == pytest.approx(distances.numpy(), abs=1e-9)
    again = {name: kind(x, torch.Generator().manual_seed(1)) for name, kind in outliers.OF_IMAGES.items()}
    assert all(torch.equal(found[name], again[name]) for name in found)


def test_far_points_are_far_from_every_class():
    x, y = gaussians(400)
    found = outliers.far(x, y, 50, torch.Generator().manual_seed(0))
    assert found.shape == (50, 2)
    means = torch.stack([x[y == label].mean(0) for label in (0, 1)])
    sigma = float(torch.cat([x[y == label] - means[label] for label in (0, 1)]).square().mean().sqrt())
    assert float(torch.cdist(found, means).min()) >= 4 * sigma
    with pytest.raises(ValueError, match="expected room for 50 points"):
        outliers.far(x, y, 50, torch.Generator().manual_seed(0), sigmas=40.0)


def test_signs_count_points_that_turn():
    a = torch.tensor([[[1.0, -1.0], [2.0, 0.0], [0.0, 0.0]], [[0.5, -2.0], [-1.0, 0.0], [0.0, 3.0]]])
    found = signs(a)
    assert found.changing.value == pytest.approx(1 / 3)
    low, high = stats.binomtest(1, 3).proportion_ci(method="exact")
    assert (found.changing.low, found.changing.high, found.changing.n) == (pytest.approx(low), pytest.approx(high), 3)
    assert found.drift == 1.5
    with pytest.raises(ValueError, match="of steps and points"):
        signs(torch.zeros(0, 3, 2))


@pytest.mark.parametrize("case", CASES)
def test_coefficients_keep_their_signs_where_the_derivatives_do(case):
    x, y = gaussians()
    found, path = signs_of(case, network(classes=1 if case.single else 2), x, y, learning_rate=0.5, steps=30)
    if case.loss == "squared_error":
        assert found.changing.value > 0
    else:
        assert found.changing.value == 0
    # Equation 100: only with log-softmax outputs do they not change at all.
    assert (found.drift == 0) == (case.outputs == "log_softmax")
    if case.collapses:
        gaps = single_machine_gaps(case, network(), path, x[:4])
        assert gaps.whole <= 1e-6
        # Equation 102 leaves out what classes have in common.
        assert gaps.diagonal > 0.1
    assert path.steps == 30


def test_one_output_tells_two_classes_apart_only():
    x, _ = gaussians(6)
    with pytest.raises(ValueError, match="labels 0 and 1 for one output, found up to 2"):
        signs_of(Case("squared_error", "logits", single=True), network(classes=1), x, torch.arange(6) % 3,
                 learning_rate=0.1, steps=1)  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (Rule("left", 1), {"rule": "start"}),
        (Rule("left", 7), {"rule": "left", "nodes": 7}),
        (Rule("midpoint", 5), {"rule": "midpoint", "nodes": 5}),
        (Rule("adaptive", 2, 1e-8), {"tolerance": 1e-8}),
    ],
)
def test_residuals_are_the_kernel_machines(rule, settings):
    x, y = gaussians()
    model = network()
    path = train_path(model, x, y, learning_rate=0.3, steps=6)
    found = residual_of(model, path, x[:8], rule)
    machine = path_kernel(model, path, x[:8], **settings)
    gap = (machine.prediction - machine.network).abs().amax(1)
    assert found.residual.numpy() == pytest.approx(gap.numpy(), abs=1e-12)
    assert torch.equal(found.evaluations, machine.evaluations)


def test_gauss_legendre_takes_its_nodes_and_no_more():
    x, y = gaussians()
    model = network()
    path = train_path(model, x, y, learning_rate=0.3, steps=6)
    assert residual_of(model, path, x[:8], Rule("gauss", 3)).evaluations.tolist() == [18] * 8
    # One node is the midpoint.
    one, middle = (residual_of(model, path, x[:8], Rule(name, 1)).residual for name in ("gauss", "midpoint"))
    assert one.numpy() == pytest.approx(middle.numpy(), abs=1e-14)


def test_the_residual_of_a_smooth_network_has_first_order():
    x, y = gaussians()
    torch.manual_seed(0)
    smooth = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).double()
    settings = {"learning_rate": 0.02, "steps": 64, "factors": (4, 2, 1, 0.5)}
    sizes, residual = by_step_size(smooth, x, y, x[:5], **settings)
    assert sizes.tolist() == pytest.approx([0.08, 0.04, 0.02, 0.01])
    # Remark 3's bound is linear; the next order adds a few percent at these steps.
    assert order_of(sizes, residual).tolist() == pytest.approx([1] * 5, abs=0.15)
    assert order_of(sizes, 3 * sizes[:, None] ** 2).tolist() == pytest.approx([2])
    with pytest.raises(ValueError, match="factors that divide 64 steps, found 3, 1"):
        by_step_size(smooth, x, y, x[:5], learning_rate=0.1, steps=64, factors=(3, 1))


def test_a_recorded_path_is_the_path():
    x, y = gaussians()
    path = train_path(network(), x, y, learning_rate=0.3, steps=3)
    again = recorded(x, y, path.weights, 0.3, "cross_entropy")
    assert again.steps == 3
    assert torch.equal(again.start, path.start)
    with pytest.raises(ValueError, match=r"expected weights \[S \+ 1, P\]"):
        recorded(x, y, path.weights[:0], 0.3, "cross_entropy")
