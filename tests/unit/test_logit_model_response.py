"""The ridge model of appendix C.3 against plain matrix algebra, finite differences and networks; its statistics."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neighborhoods.evidence import logit_model as evidence
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, REPRODUCED
from neighborhoods.logits.gap_dependence import agreement, gap_dependence, lead, regress, runner_up
from neighborhoods.logits.response import (
    energy,
    loss_pull,
    multiplier,
    network_response,
    ridge,
    spectrum,
    unit_length,
    weight_scale,
)

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = torch.arange(5)


def problem(n=30, features=6, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, _ = unit_length(torch.randn(n, features, dtype=torch.float64, generator=generator))
    return x, 3 * torch.randn(n, classes, dtype=torch.float64, generator=generator)


def resolvent(x, value):
    return torch.linalg.inv(x.T @ x - value * torch.eye(x.shape[1], dtype=torch.float64))


def output(x, targets, value, row):
    """z_mu = Z^T X M x_mu by plain algebra."""
    return targets.T @ x @ resolvent(x, value) @ x[row]


# Wide inputs have a kernel, which thin decompositions leave out.
@pytest.mark.parametrize(("n", "features", "value"), [(30, 6, -0.5), (30, 6, 0.3), (8, 20, -0.7)])
def test_the_derived_jacobian_is_that_of_finite_differences_and_the_printed_one_is_not(n, features, value):
    x, targets = problem(n, features)
    found = ridge(spectrum(x), targets, value)
    jacobian, printed = (found.jacobian(ROWS, printed=kind) for kind in (False, True))
    step = 1e-4
    for row in ROWS.tolist():
        columns = []
        for feature in range(features):
            # Fourth-order central differences: error of order step^4 = 1e-16, rounding of 1e-12.
            values = []
            for times in (-2, -1, 1, 2):
                moved = x.clone()
                moved[row, feature] += times * step
                values.append(output(moved, targets, value, row))
            columns.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step))
        brute = torch.stack(columns, 1)
        assert float((jacobian[row] - brute).norm() / brute.norm()) < 1e-8
        # Errata: the printed one is far off.
        apart = float((printed[row] - brute).norm() / brute.norm())
        assert apart > 0.05
        assert float(found.deviation(ROWS)[row]) == pytest.approx(apart, rel=1e-7)


@pytest.mark.parametrize(("n", "features", "value"), [(30, 6, -0.5), (8, 20, -0.7)])
def test_errors_of_derivatives_are_those_of_a_model_fitted_again(n, features, value):
    x, targets = problem(n, features)
    found = ridge(spectrum(x), targets, value)
    pull = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    right, frame = spectrum(x).right, found.spectrum.left * found.spectrum.values
    for row in ROWS.tolist():
        moved = x.clone()
        moved[row] += 0.1 * x[3]
        step = 0.1 * frame[3]
        torch.testing.assert_close(right @ step, 0.1 * x[3], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found.refitted(row, step), output(moved, targets, value, row), rtol=1e-9, atol=1e-10)
    assert float(found.derivative_error(ROWS, pull, printed=False).max()) < 1e-6
    printed, jacobian = (found.jacobian(ROWS, printed=kind) for kind in (True, False))
    along = torch.nn.functional.normalize(pull @ (targets.T @ x @ resolvent(x, value)), dim=1)[:, :, None]
    expected = ((printed - jacobian) @ along).norm(dim=(1, 2)) / (jacobian @ along).norm(dim=(1, 2))
    torch.testing.assert_close(found.derivative_error(ROWS, pull, printed=True), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("printed", [True, False])
def test_grams_and_responses_are_products_of_jacobians(printed):
    x, targets = problem(n=25, features=40)
    found = ridge(spectrum(x), targets, -0.4)
    jacobian = found.jacobian(ROWS, printed=printed)
    torch.testing.assert_close(found.gram(ROWS, printed=printed), jacobian @ jacobian.mT, rtol=1e-10, atol=1e-10)
    pull = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    epsilon = torch.linspace(0.1, 0.5, 5, dtype=torch.float64)
    gradient = (jacobian.mT @ pull[:, :, None])[:, :, 0]
    step = epsilon[:, None] * gradient / gradient.norm(dim=1, keepdim=True)
    expected = (jacobian @ step[:, :, None])[:, :, 0]
    torch.testing.assert_close(found.response(ROWS, pull, epsilon, printed=printed), expected, rtol=1e-9, atol=1e-10)
    # The loss rises along its own gradient.
    assert bool(((found.response(ROWS, pull, epsilon, printed=printed) * pull).sum(1) > 0).all())


def test_the_printed_gram_has_the_four_terms_of_the_source():
    x, targets = problem()
    found = ridge(spectrum(x), targets, -0.5)
    omega = found.overlap()
    mixed = (omega @ targets)[ROWS]
    own = targets[ROWS]
    cross = own[:, :, None] * mixed[:, None]
    expected = omega.diagonal()[ROWS, None, None] * own[:, :, None] * own[:, None] + targets.T @ omega @ targets
    torch.testing.assert_close(found.gram(ROWS, printed=True), expected + cross + cross.mT, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("n", "features"), [(30, 6), (8, 20)])
def test_omega_is_positive_semidefinite_with_its_diagonal(n, features):
    x, targets = problem(n, features)
    found = ridge(spectrum(x), targets, -0.3)
    m = resolvent(x, -0.3)
    torch.testing.assert_close(found.overlap(), x @ m @ m @ x.T, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.weights(), found.overlap().diagonal(), rtol=1e-10, atol=0)
    assert float(torch.linalg.eigvalsh(found.overlap()).min()) > -1e-12
    assert float(found.weights().min()) >= 0


def test_the_weights_minimise_the_energy():
    x, targets = problem()
    noise = 0.1 * torch.randn(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    found = ridge(spectrum(x), targets, -0.5)
    torch.testing.assert_close(found.omega(), resolvent(x, -0.5) @ x.T @ targets, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.outputs(), x @ found.omega(), rtol=1e-10, atol=1e-12)
    # The printed Z - sigma W of equation 13 is what the energy with -W has for its minimum.
    for omega, sign in ((found.omega(), 0), (found.omega(noise), -1)):
        omega = omega.requires_grad_(True)
        (slope,) = torch.autograd.grad(energy(omega, x, targets, -0.5, sign * noise), omega)
        assert float(slope.abs().max()) < 1e-10
    spread = (targets - targets.mean(0)).square().sum()
    assert found.explained() == pytest.approx(1 - float((targets - found.outputs()).square().sum() / spread), rel=1e-10)


@pytest.mark.parametrize(("n", "features", "bound"), [(30, 6, 0.5), (30, 6, 3.0), (8, 20, 0.4)])
def test_the_multiplier_gives_the_norm(n, features, bound):
    x, targets = problem(n, features)
    value = multiplier(spectrum(x), targets, bound=bound)
    omega = resolvent(x, value) @ x.T @ targets
    assert float(omega.square().sum()) == pytest.approx(bound**2 * features * 4, rel=1e-8)
    least = float(torch.linalg.eigvalsh(x.T @ x)[0]) if features <= n else 0.0
    assert value < least + 1e-12
    assert weight_scale(x, targets) == pytest.approx(float(targets.norm()) / n**0.5, rel=1e-12)


def test_noise_enters_the_norm_once_for_each_class():
    x, targets = problem()
    value = multiplier(spectrum(x), targets, bound=0.8, noise=0.7)
    pulled = resolvent(x, value) @ x.T
    # E ||M X^T (Z - sigma W)||^2 over W of 4 independent columns.
    expected = (pulled @ targets).square().sum() + 4 * 0.7**2 * pulled.square().sum()
    assert float(expected) == pytest.approx(0.8**2 * 6 * 4, rel=1e-9)
    draws = torch.randn(4000, 30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    norms = (pulled @ (targets - 0.7 * draws)).square().sum((1, 2))
    assert float(norms.mean()) == pytest.approx(float(expected), abs=5 * float(norms.std()) / 4000**0.5)
    printed = multiplier(spectrum(x), targets, bound=0.8, noise=0.7, printed=True)
    pulled = resolvent(x, printed) @ x.T
    kept = (pulled @ targets).square().sum() + 0.7**2 * pulled.square().sum()
    assert float(kept) == pytest.approx(0.8**2 * 6 * 4, rel=1e-9)


def test_bad_arguments_get_a_sentence():
    wide, targets = problem(n=8, features=20)
    with pytest.raises(ValueError, match="unconstrained least squares"):
        multiplier(spectrum(wide), targets, bound=100.0)
    with pytest.raises(ValueError, match="positive bound"):
        multiplier(spectrum(wide), targets, bound=0.0)
    with pytest.raises(ValueError, match="below the least eigenvalue"):
        ridge(spectrum(wide), targets, 0.1)
    with pytest.raises(ValueError, match="finite targets of 8"):
        ridge(spectrum(wide), targets[:3], -0.1)
    with pytest.raises(ValueError, match="finite matrix"):
        spectrum(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="1 of 2 that are"):
        unit_length(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    with pytest.raises(ValueError, match="equal shapes"):
        agreement(targets, targets[:2], torch.zeros(8), torch.zeros(8))
    with pytest.raises(ValueError, match="independent columns"):
        regress(np.ones((5, 2)), np.arange(5.0))


def small_network(smooth=True):
    torch.manual_seed(0)
    activation = nn.Tanh() if smooth else nn.Identity()
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 9), activation, nn.Linear(9, 5)).double()


def test_a_network_s_response_is_its_jacobian_times_the_step():
    network, x = small_network(), torch.rand(7, 1, 3, 4).double()
    label = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    found = network_response(network, x, label, 1e-3, batch_size=3)
    for row in range(7):
        jacobian = torch.autograd.functional.jacobian(lambda image: network(image[None])[0], x[row]).flatten(1)
        gradient = network(x[row : row + 1])[0].softmax(0)
        gradient[label[row]] -= 1
        eta = jacobian.T @ gradient.detach()
        expected = 1e-3 * jacobian @ eta / eta.norm()
        torch.testing.assert_close(found.linear[row], expected, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(found.logits, network(x).detach(), rtol=1e-12, atol=0)
    half = network_response(network, x, label, 5e-4, batch_size=7)
    first, second = (float((part.finite - part.linear).norm()) for part in (found, half))
    # What the derivative leaves is of second order.
    assert first / second == pytest.approx(4, rel=0.02)


def test_a_linear_network_responds_linearly_and_no_sureness_hides_its_gradient():
    network, x = small_network(smooth=False), torch.rand(4, 12).double()
    with torch.no_grad():
        network[3].bias[2] += 2000
    found = network_response(network, x, torch.full((4,), 2), 0.1)
    torch.testing.assert_close(found.linear, found.finite, rtol=1e-8, atol=1e-9)
    assert float(found.linear.norm()) > 0
    with pytest.raises(ValueError, match="a gradient of the loss"):
        network_response(lambda images: images.flatten(1)[:, :3] * 0, x, torch.zeros(4).long(), 0.1)


@given(st.integers(0, 10**6))
def test_the_pull_is_softmax_less_onehot_but_for_a_factor(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 5, dtype=torch.float64, generator=generator)
    label = torch.randint(5, (3,), generator=generator)
    expected = logits.softmax(1) - nn.functional.one_hot(label, 5)
    pull = loss_pull(logits, label)
    torch.testing.assert_close(pull * -expected.gather(1, label[:, None]), expected, rtol=1e-10, atol=1e-12)


def test_agreement_of_changes_done_by_hand():
    measured = torch.tensor([[1.0, 0, 0], [3.0, 4, 0], [-1.0, 2, -2], [0.0, 0, 0], [1.0, -1, 0]]).double()
    predicted = torch.tensor([[1.0, 0, 0], [4.0, 3, 0], [1.0, -2, 2], [1.0, 0, 0], [3.0, 1, 0]]).double()
    label, rival = torch.zeros(5).long(), torch.ones(5).long()
    found = agreement(predicted, measured, label, rival)
    assert found.cosine.tolist() == pytest.approx([1, 24 / 25, -1, float("nan"), 2 / 20**0.5], nan_ok=True)
    assert found.signs.tolist() == pytest.approx([1, 1, 0, 2 / 3, 2 / 3])
    # Gaps change by 1, -1, -3, 0, 2 and by 1, 1, 3, 1, 2: two alike.
    assert (found.gap_sign.value, found.gap_sign.n) == (2 / 5, 5)
    assert found.mean_cosine.mean == pytest.approx((24 / 25 + 2 / 20**0.5) / 4)
    logits = torch.tensor([[1.0, 5, 3], [0.0, -1, 2]])
    other = runner_up(logits, torch.tensor([1, 2]))
    assert other.tolist() == [2, 0]
    assert lead(logits, torch.tensor([1, 2]), other).tolist() == [2, 2]


def test_robust_errors_are_those_of_leaving_one_out():
    generator = np.random.default_rng(0)
    x = np.vander(generator.uniform(0, 12, 40), 3, increasing=True)
    y = x @ [1.0, -0.4, 0.03] + generator.standard_normal(40) * x[:, 1]
    found = regress(x, y, confidence=0.9)
    whole = np.linalg.lstsq(x, y, rcond=None)[0]
    np.testing.assert_allclose(found.value, whole, rtol=1e-8)
    left = np.array([np.linalg.lstsq(np.delete(x, i, 0), np.delete(y, i), rcond=None)[0] for i in range(40)])
    error = np.sqrt(((left - whole) ** 2).sum(0))
    # Student's quantile of .95 with 37 degrees of freedom, from tables.
    np.testing.assert_allclose((found.high - found.low) / 2, 1.6871 * error, rtol=1e-4)
    assert found.explained == pytest.approx(np.corrcoef(x @ whole, y)[0, 1] ** 2, rel=1e-8)


def test_intervals_of_a_heteroscedastic_line_cover():
    generator = np.random.default_rng(1)
    hits = []
    for _ in range(400):
        gap = generator.gamma(2, 2, 60)
        change = -0.5 - 0.1 * gap + 0.1 * gap * generator.standard_normal(60)
        fit = regress(np.vander(gap, 2, increasing=True), change)
        hits.append(fit.low[1] <= -0.1 <= fit.high[1])
    # Binomial error .011; HC3 may err by a little at 60 points.
    assert 0.91 <= np.mean(hits) <= 0.99


def cell(change, gap):
    return {"gap": gap, "change/finite": change, "change/linear": change}


def test_verdicts_on_the_dependence_on_the_gap():
    generator = np.random.default_rng(2)
    gap = generator.uniform(0.5, 10, 300)
    noise = 1 + 0.1 * generator.standard_normal(300)
    square, flat = cell(-0.05 * gap**2 * noise, gap), cell(-0.7 * noise, gap)
    found = gap_dependence(gap, square["change/finite"])
    assert found.power.low[1] <= 2 <= found.power.high[1]
    assert found.parabola.low[2] <= -0.05 <= found.parabola.high[2]
    assert found.parabola.explained > found.line.explained
    for results, verdict in ((square, REPRODUCED), (flat, NOT_REPRODUCED)):
        assert evidence.gap_exponent([results], 2.0, 0.25, 0.95).verdict == verdict
        assert evidence.gap_shrinks([results], 0.5, 0.95).verdict == REPRODUCED
    assert evidence.gap_curvature([square], -1.0, 0.95).verdict == REPRODUCED
    assert evidence.gap_curvature([square], 1.0, 0.95).verdict == NOT_REPRODUCED
    wide = evidence.gap_exponent([square], 2.0, 0.25, 0.95, comparisons=5)
    one = evidence.gap_exponent([square], 2.0, 0.25, 0.95)
    assert wide.low < one.low < one.high < wide.high
    assert evidence.gap_exponent([cell(np.full(4, -1.0), np.arange(-1.0, 3))], 2.0, 0.25, 0.95) is None


def test_verdicts_on_cosines():
    generator = np.random.default_rng(3)
    first = 0.8 + 0.05 * generator.standard_normal(200)
    cells = [{"prediction/a/cosine": first, "prediction/b/cosine": first - 0.1 + 0.01 * generator.standard_normal(200)}]
    assert evidence.response_cosine(cells, "a", 0.7, 0.95).verdict == REPRODUCED
    assert evidence.response_cosine(cells, "b", 0.75, 0.95).verdict == NOT_REPRODUCED
