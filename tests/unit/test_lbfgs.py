import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from neighborhoods.attacks.lbfgs import attack_objective, lbfgs, minimize_in_box
from neighborhoods.attacks.methods import attack


def scipy_minimum(objective, start, row, **options):
    """One problem at a time by SciPy's L-BFGS-B."""

    def function(z):
        value, gradient = objective(torch.tensor(z, dtype=start.dtype)[None], torch.tensor([row]))
        return float(value), gradient[0].double().numpy()

    box = [(0, 1)] * start.shape[1]
    return minimize(function, start[row].double().numpy(), jac=True, method="L-BFGS-B", bounds=box, options=options)


def test_quadratics_in_a_box():
    generator = torch.Generator().manual_seed(0)
    n, d = 12, 20
    roots = torch.randn(n, d, d, generator=generator, dtype=torch.float64)
    matrix = roots @ roots.transpose(1, 2) / d + 0.05 * torch.eye(d, dtype=torch.float64)
    center = torch.randn(n, d, generator=generator, dtype=torch.float64)

    def objective(x, rows):
        gap = x - center[rows]
        gradient = (matrix[rows] @ gap[:, :, None])[:, :, 0]
        return (gap * gradient).sum(1) / 2, gradient

    start = torch.full((n, d), 0.5, dtype=torch.float64)
    found = minimize_in_box(objective, start, max_steps=500, gradient_tolerance=1e-8, value_tolerance=1e-14)
    assert bool(found.converged.all())
    assert bool(((found.x >= 0) & (found.x <= 1)).all())
    for row in range(n):
        exact = scipy_minimum(objective, start, row, gtol=1e-9, ftol=1e-15, maxiter=1000)
        assert float(found.value[row]) == pytest.approx(exact.fun, rel=1e-7)
        # Strictly convex: the minimum is unique. Eigenvalues from 0.05 up turn 1e-8 gradients into 2e-7 steps.
        assert found.x[row].numpy() == pytest.approx(exact.x, abs=1e-4)


def test_problems_do_not_see_each_other():
    def objective(x, rows):
        scale = (rows + 1).double()[:, None]
        return (scale * (x - 0.3) ** 4).sum(1), 4 * scale * (x - 0.3) ** 3

    start = torch.rand(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = minimize_in_box(objective, start)
    alone = minimize_in_box(lambda x, rows: objective(x, rows + 2), start[2:3])
    assert together.x[2].numpy() == pytest.approx(alone.x[0].numpy(), abs=1e-12)


def test_a_problem_starts_again_by_itself_with_a_new_objective():
    # Row i has its minimum at (i + 1) / 10 times its round, and i + 1 rounds; every end is seen once, from the start.
    rounds, ends = torch.ones(3, dtype=torch.int64), []

    def objective(x, rows):
        gap = x - (0.1 * (rows + 1) * rounds[rows]).double()[:, None]
        return gap.square().sum(1), 2 * gap

    def again(rows, points):
        ends.extend(zip(rows.tolist(), rounds[rows].tolist(), points[:, 0].tolist(), strict=True))
        on = rounds[rows] <= rows
        rounds[rows] += on.long()
        return on

    found = minimize_in_box(objective, torch.zeros(3, 2, dtype=torch.float64), again=again)
    assert sorted(end[:2] for end in ends) == [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    for row, turn, value in ends:
        # Gradients below 1e-5 of a curvature of 2.
        assert value == pytest.approx(0.1 * (row + 1) * turn, abs=1e-5)
    assert found.x[:, 1].tolist() == pytest.approx([0.1, 0.4, 0.9], abs=1e-5)
    assert bool(found.converged.all())


@pytest.fixture(scope="module")
def problem(blobs):
    model, x, y = blobs(6, (20,))
    model.requires_grad_(False)
    return model, x[:60], y[:60]


@pytest.mark.parametrize("targeted", [True, False])
def test_the_attack_finds_scipys_minimum(problem, targeted):
    model, x, y = problem
    goal = (y + 1) % 4 if targeted else y
    objective = attack_objective(model, x, goal, targeted, torch.full((len(x),), 0.01))
    found = minimize_in_box(objective, x.flatten(1))
    exact = [scipy_minimum(objective, x.flatten(1), row, maxiter=200) for row in range(20)]
    ours, theirs = found.value[:20].double().mean(), np.mean([result.fun for result in exact])
    # Not convex: single images may end elsewhere, their mean must not be worse.
    assert float(ours) <= theirs * 1.01 + 1e-6
    distance = (found.x - x.flatten(1)).norm(dim=1)[:20].mean()
    other = np.mean([np.linalg.norm(r.x - x[i].flatten().numpy()) for i, r in enumerate(exact)])
    assert float(distance) == pytest.approx(other, rel=0.02)


def test_a_larger_c_gives_a_smaller_distortion(problem):
    model, x, y = problem
    distortion = []
    for c in (1e-3, 1e-2, 1e-1):
        _, verdict = attack("lbfgs", model, x, y, (y + 1) % 4, mode="fixed_c", c=c)
        distortion.append(float(verdict.distortion[verdict.success].mean()))
    assert distortion[0] > distortion[1] > distortion[2]


def test_minimal_reaches_the_boundary_of_a_linear_model():
    # Two classes, logits +-(w . x + b): the nearest point of the other class lies at |w . x + b| / |w|.
    torch.manual_seed(0)
    n, d = 10, 40
    w, b = torch.randn(d) * 0.5, torch.tensor(0.1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(d, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([w, -w]))
        model[1].bias.copy_(torch.stack([b, -b]))
    model.requires_grad_(False)
    # In the middle of the box, so that it stays inactive.
    x = (0.5 + 0.05 * torch.randn(n, 1, 4, 10)).clamp(0.3, 0.7)
    label = model(x).argmax(1)
    exact = (x.flatten(1) @ w + b).abs() / w.norm()
    for target in (None, 1 - label):
        x_adv, verdict = attack("lbfgs", model, x, label, target, mode="minimal", c=1e-1, search_steps=14)
        assert bool(verdict.success.all())
        distance = (x_adv - x).flatten(1).norm(dim=1)
        assert bool((distance >= exact * 0.999).all())
        assert float((distance / exact).mean()) < 1.02


def test_minimal_is_never_farther_than_fixed(problem):
    model, x, y = problem
    target = (y + 1) % 4
    _, fixed = attack("lbfgs", model, x, y, target, mode="fixed_c", c=1e-2)
    _, minimal = attack("lbfgs", model, x, y, target, mode="minimal", c=1e-2)
    assert minimal.success.sum() >= fixed.success.sum()
    both = minimal.success & fixed.success
    assert bool((minimal.distortion[both] <= fixed.distortion[both] * 1.001).all())


def test_an_unknown_mode_is_refused(problem):
    model, x, y = problem
    with pytest.raises(ValueError, match="unknown mode 'best'"):
        lbfgs(model, x, y, mode="best")
