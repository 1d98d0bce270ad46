"""The path of support vector machines against LIBSVM, closed forms, invariances and the KKT conditions."""

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from neighborhoods.tilting.support_vectors import best_bias, svm_path

pytestmark = pytest.mark.usefixtures("one_thread")


def clouds(n: int, d: int, apart: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two overlapping Gaussian classes of unequal size, in a few of the dimensions, with a feature that never varies."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.where(torch.arange(n) < n // 3, -1.0, 1.0).double()
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    x[:, 0] += apart * y
    x[:, -1] = 0.25
    return x, y


@pytest.mark.parametrize(("n", "d", "apart"), [(90, 5, 0.7), (60, 100, 0.3), (200, 20, 4.0)])
def test_weights_biases_and_objectives_are_libsvms(n, d, apart):
    x, y = clouds(n, d, apart)
    costs = torch.tensor([10.0, 1e-3, 1.0, 0.05])
    found = svm_path(x, y, costs, tolerance=1e-11)
    for row, cost in enumerate(costs.tolist()):
        other = SVC(kernel="linear", C=cost, tol=1e-10).fit(x.numpy(), y.numpy())
        weight = torch.tensor(other.coef_[0])
        hinge = (1 - y * (x @ weight + other.intercept_[0])).clamp(min=0).sum()
        objective = weight.square().sum() / 2 + cost * hinge
        # LIBSVM ends where its conditions hold to `tol`; the gap shows which objective is the lower one.
        assert float(found.objective[row]) <= float(objective) * (1 + 1e-10)
        assert found.objective[row] == pytest.approx(float(objective), rel=1e-4)
        torch.testing.assert_close(found.weight[row], weight, rtol=0, atol=1e-5 * float(weight.norm()))
        if ((other.dual_coef_ != 0) & (np.abs(other.dual_coef_) < cost * (1 - 1e-9))).any():
            assert found.bias[row] == pytest.approx(other.intercept_[0], abs=1e-5)


def test_the_gap_bounds_the_error_of_every_objective():
    x, y = clouds(90, 5, 0.7)
    costs = torch.logspace(-4, 3, 15)
    rough, fine = (svm_path(x, y, costs, tolerance=tolerance) for tolerance in (1e-3, 1e-11))
    assert (rough.gap <= 1e-3).all()
    assert (fine.gap <= 1e-11).all()
    error = (rough.objective - fine.objective) / rough.objective
    assert (error >= -1e-11).all()
    assert (error <= rough.gap + 1e-11).all()


def test_two_points_have_the_closed_form():
    # w = 2 d / ||d||² on the segment d between them, or C d where the cost binds.
    x = torch.tensor([[0.0, 1.0], [3.0, 5.0]])
    y = torch.tensor([-1.0, 1.0])
    found = svm_path(x, y, torch.tensor([1e-3, 10.0]), tolerance=1e-12)
    d = (x[1] - x[0]).double()
    torch.testing.assert_close(found.weight[0], 1e-3 * d, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.weight[1], 2 * d / d.square().sum(), rtol=1e-5, atol=0)
    torch.testing.assert_close(found.bias[1], -(found.weight[1] @ (x[0] + x[1]).double()) / 2, rtol=1e-5, atol=1e-8)


def test_at_small_costs_the_weight_lies_along_the_centroids_of_equal_classes():
    x, y = clouds(90, 5, 0.7)
    x, y = torch.cat([x, x[:30] + 0.1]), torch.cat([y, y[:30]])
    weight = svm_path(x, y, torch.tensor([1e-6])).weight[0]
    apart = x[y > 0].mean(0) - x[y < 0].mean(0)
    # All multipliers are at C, so that w = C n (j - i) for n points a class.
    torch.testing.assert_close(weight, 1e-6 * 60 * apart, rtol=1e-4, atol=1e-10)


def test_the_path_follows_rotations_shifts_and_swapped_classes():
    x, y = clouds(90, 5, 0.7)
    costs = torch.tensor([0.01, 1.0])
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
    first = svm_path(x, y, costs, tolerance=1e-11)
    other = svm_path(x @ turn + 2, -y, costs, tolerance=1e-11)
    torch.testing.assert_close(other.weight @ turn.T, -first.weight, rtol=0, atol=1e-4)
    torch.testing.assert_close(other.bias + other.weight.sum(1) * 2, -first.bias, rtol=0, atol=1e-3)


def test_the_best_bias_is_that_of_a_search_over_all_breakpoints():
    generator = torch.Generator().manual_seed(0)
    for n in (2, 5, 40):
        scores = torch.randn(n, generator=generator, dtype=torch.float64)
        y = torch.where(torch.arange(n) < 1 + n // 4, 1.0, -1.0).double()

        def loss(bias, y=y, scores=scores):
            return (1 - y * (scores + bias[:, None])).clamp(min=0).sum(1)

        assert float(loss(best_bias(scores, y)[None])[0]) == pytest.approx(float(loss(y - scores).min()), rel=1e-12)


def test_duplicate_points_and_separable_classes_at_large_costs_converge():
    x, y = clouds(60, 100, 3.0)
    x, y = torch.cat([x, x]), torch.cat([y, y])
    found = svm_path(x, y, torch.logspace(0, 4, 5))
    assert (found.gap <= 1e-8).all()
    # The hard margin: larger costs change nothing.
    torch.testing.assert_close(found.weight[-1], found.weight[-2], rtol=0, atol=1e-3 * float(found.weight[-1].norm()))


@pytest.mark.parametrize("kinds", [1, 6])
def test_a_point_repeated_counts_as_a_larger_cost(kinds):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * kinds, 20, generator=generator, dtype=torch.float64)
    y = torch.where(torch.arange(2 * kinds) < kinds, 1.0, -1.0)
    costs, times = torch.logspace(-4, 4, 9), 50
    many = svm_path(x.repeat(times, 1), y.repeat(times), costs)
    few = svm_path(x, y, times * costs)
    assert (many.gap <= 1e-8).all()
    torch.testing.assert_close(many.objective, few.objective, rtol=2e-8, atol=0)
    # Both gaps together bound ||w - w*||^2 / 2, relative to an objective that is at least ||w||^2 / 2.
    apart = (many.weight - few.weight).norm(dim=1)
    assert (apart <= 2 * (2e-8 * few.objective).sqrt()).all()


def test_few_distinct_points_of_either_class_converge():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (600, 6), generator=generator).double()
    y = torch.where(torch.arange(600) < 300, 1.0, -1.0)
    assert (svm_path(x, y, torch.logspace(-4, 4, 9)).gap <= 1e-8).all()


@pytest.mark.parametrize(
    ("y", "costs", "sentence"),
    [
        ([1.0, 1.0, 1.0], [1.0], "found none labelled -1"),
        ([1.0, 0.0, -1.0], [1.0], "labels -1 and \\+1"),
        ([1.0, -1.0], [1.0], "found \\[3, 2\\] and \\[2\\]"),
        ([1.0, -1.0, 1.0], [-1.0], "positive, finite costs"),
        ([1.0, -1.0, 1.0], [float("inf")], "positive, finite costs"),
    ],
)
def test_bad_input_gets_one_sentence(y, costs, sentence):
    with pytest.raises(ValueError, match=sentence):
        svm_path(torch.zeros(3, 2), torch.tensor(y), torch.tensor(costs))


def test_values_that_are_not_finite_get_one_sentence():
    with pytest.raises(ValueError, match="expected points of finite values"):
        svm_path(torch.tensor([[0.0], [float("nan")]]), torch.tensor([1.0, -1.0]), torch.ones(1))
