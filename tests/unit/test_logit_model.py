"""The analytic model of logits against hand numbers, computer algebra, automatic derivatives and optimisers."""

import math

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from neighborhoods.logits import expansion, model
from neighborhoods.logits.response import equation_8, equation_9

pytestmark = pytest.mark.usefixtures("one_thread")

N = 10
BETA = torch.tensor([0.5, 1.5, 2.1, 2.5, 2.8, 3.3, 3.7, 5.0, 8.0], dtype=torch.float64)
# At which e^-beta = 1/18, E = 1/2 and D = 11/18.
HAND = torch.tensor(math.log(18), dtype=torch.float64)


def real(values):
    return torch.tensor(values, dtype=torch.float64)


def without_top(logits):
    change = logits.clone()
    change[..., 0] = 0
    return change


def families(beta, sign, classes=N):
    f = model.f_derived(beta, classes, sign)
    g, psi = model.g_derived(beta, classes, sign), model.psi_derived(beta, classes, sign)
    level = model.level_derived(beta, classes, sign)
    return [
        (model.correct_logits(beta, f, classes), 0),
        (model.wrong_logits(beta, g, psi, classes), 1),
        (model.wrong_logits(beta, level, 0 * beta, classes), 1),
    ]


@pytest.mark.parametrize("sign", [1, -1])
def test_printed_formulas_at_a_beta_done_by_hand(sign):
    # f: (3/2)/(1/2) = 3 and 1 + 2/324 (1/2) / (9/4) = 730/729. kappa: (3/2)/(11/18) = 27/11 and 1 + 2 (1/2)(11/18)/(3/2)
    # = 38/27. g: (11/18)/(1/2) = 11/9. psi: (1/18)/(1/2) = 1/9.
    kappa = 27 / 11 * math.sqrt(38 / 27)
    g = -11 / 9 * (1 + sign * kappa)
    assert float(model.f_printed(HAND, N, sign)) == pytest.approx(3 * (-1 + sign * math.sqrt(730 / 729)), rel=1e-11)
    assert float(model.kappa_printed(HAND, N)) == pytest.approx(kappa, rel=1e-13)
    assert float(model.g_printed(HAND, N, sign)) == pytest.approx(g, rel=1e-13)
    assert float(model.psi_printed(HAND, N, sign)) == pytest.approx(2 * (g / 9 - 27 / 11), rel=1e-13)


@pytest.mark.parametrize("sign", [1, -1])
def test_derived_formulas_at_a_beta_done_by_hand(sign):
    # f: 2 E - 1 = 0. kappa: 1 + 2 (11/18)(1/2) 18 / (3/2) = 25/3. psi: 2 (g/18 - 3/2) / (11/18). psi = 0: p = 1/27.
    beta = HAND - 1e-12
    g = -3 * (1 + sign * 5 / math.sqrt(3))
    assert float(model.f_derived(beta, N, sign)) == pytest.approx(-3, abs=1e-5)
    assert float(model.g_derived(beta, N, sign)) == pytest.approx(g, rel=1e-10)
    assert float(model.psi_derived(beta, N, sign)) == pytest.approx((2 * g - 54) / 11, rel=1e-10)
    assert float(model.level_derived(beta, N, sign)) == pytest.approx(54 / (1 + sign * math.sqrt(51)), rel=1e-10)


def test_the_cubic_is_what_computer_algebra_expands():
    t = sympy.Symbol("t")
    h = [sympy.Rational(18, 27), *[sympy.Rational(1, 27)] * 9]
    u = [sympy.Rational(k, 7) for k in (2, -3, 1, 4, 0, -5, 6, -1, 3, 2)]
    # log Z(beta + t u) - log Z(beta) = log sum h e^(t u).
    moments = sum(a * sum((t * b) ** k / sympy.factorial(k) for k in range(4)) for a, b in zip(h, u, strict=True))
    cubic = sympy.series(sympy.log(moments), t, 0, 4).removeO().subs(t, 1)
    change = real([float(value) for value in u])
    for label in (0, 1):
        start = math.log(27) - (math.log(18) if label == 0 else 0)
        expected = start + float(cubic) - float(u[label])
        assert float(expansion.expanded_loss(HAND, change, label)) == pytest.approx(expected, rel=1e-12)


def test_computer_algebra_solves_the_cubic_for_the_derived_logits():
    # Gradient of the cubic's cumulants in (g, psi) at e^beta = 18 and 30, solved as polynomials over the rationals.
    g, psi = sympy.symbols("g psi")
    for power in (18, 30):
        p = sympy.Rational(1, power + 9)
        first, second, third = (p * (g**k + 8 * psi**k) for k in (1, 2, 3))
        cubic = first - g + (second - first**2) / 2 + (third - 3 * first * second + 2 * first**3) / 6
        solved = sympy.solve_poly_system([sympy.diff(cubic, g) * 6, sympy.diff(cubic, psi) * 6], g, psi)
        expected = sorted([float(sympy.N(v)) for v in pair] for pair in solved if all(v.is_real for v in pair))
        beta = real([math.log(power)])
        found = [logits[0, 1:3].tolist() for sign in (1, -1) for logits, label in families(beta, sign) if label]
        np.testing.assert_allclose(sorted(found), expected, rtol=1e-9, atol=1e-12)


@given(st.floats(0.2, 6), st.integers(0, 1), st.integers(0, 10**6))
def test_gradient_and_hessian_are_automatic_derivatives(beta, label, seed):
    change = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    b = real(beta)
    loss = lambda u: expansion.expanded_loss(b, u, label)  # noqa: E731
    gradient = torch.autograd.functional.jacobian(loss, change)
    torch.testing.assert_close(expansion.expanded_gradient(b, change, label), gradient, rtol=1e-9, atol=1e-12)
    hessian = torch.autograd.functional.hessian(loss, change)
    torch.testing.assert_close(expansion.expanded_hessian(b, change), hessian, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("label", [0, 1])
def test_the_cubic_leaves_fourth_order(label):
    change = torch.randn(N, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    size = real([0.1, 0.05])
    start = torch.zeros(2, N, dtype=torch.float64)
    start[:, 0] = 2.0
    u = size[:, None] * change
    apart = expansion.exact_loss(start + u, label) - expansion.expanded_loss(real([2.0, 2.0]), u, label)
    # The next order adds the relative size of u, here about a tenth.
    assert float(apart[0] / apart[1]) == pytest.approx(16, rel=0.15)


@pytest.mark.parametrize("classes", [3, 10, 100])
@pytest.mark.parametrize("sign", [1, -1])
def test_derived_logits_are_stationary_and_printed_ones_are_not(classes, sign):
    for logits, label in families(BETA, sign, classes):
        gradient = expansion.expanded_gradient(BETA, without_top(logits), label)[:, 1:]
        known = torch.isfinite(logits).all(1)
        assert bool((known | (label == 0)).any())
        # Terms of the gradient are of order u^2 / N.
        scale = 1 + without_top(logits)[known].square().amax(1)
        assert bool((gradient[known].abs().amax(1) < 1e-13 * scale).all())
    correct = model.correct_logits(BETA, model.f_printed(BETA, classes, sign), classes)
    g, psi = model.g_printed(BETA, classes, sign), model.psi_printed(BETA, classes, sign)
    for logits, label in ((correct, 0), (model.wrong_logits(BETA, g, psi, classes), 1)):
        found = expansion.stationarity(logits[torch.isfinite(logits).all(1)], label)
        assert bool((found.cubic > 1e-4).all())
        assert set(found.kind.tolist()) == {-9}


@pytest.mark.parametrize("classes", [3, 10, 100])
def test_correct_logits_are_real_up_to_a_beta_and_minima_up_to_another(classes):
    # Errata: E >= 1/2. Along sum u = 0 the curvature is p (1 + f / (1 + E)), positive for E > 1.
    grid = torch.linspace(0.05, 8, 400, dtype=torch.float64)
    (allowed,) = model.ranges(lambda b: torch.isfinite(model.f_derived(b, classes)), grid)
    assert allowed == pytest.approx((0.05, math.log(2 * (classes - 1))), abs=1e-10)
    real_part = grid[grid < allowed[1]]
    logits = model.correct_logits(real_part, model.f_derived(real_part, classes), classes)
    kind = expansion.stationarity(logits, 0).kind
    assert torch.equal(kind == 1, real_part < math.log(classes - 1))
    assert bool((kind >= 0).all())


def test_misclassified_images_have_no_allowed_minimum_of_the_cubic():
    grid = torch.linspace(0.05, 12, 500, dtype=torch.float64)
    for sign in (1, -1):
        for logits, label in families(grid, sign)[1:]:
            kind = expansion.stationarity(logits, label).kind
            assert not bool(((kind == 1) & model.admissible(logits)).any())
    level = families(grid, 1)[2][0]
    assert set(expansion.stationarity(level, 1).kind.tolist()) == {1}


@pytest.mark.parametrize("beta", [1.0, 3.0, 6.0])
def test_an_optimiser_on_the_cubic_finds_its_local_minimum(beta):
    def loss(rest):
        change = torch.cat([torch.zeros(1, dtype=torch.float64), torch.from_numpy(rest)])
        value = float(expansion.expanded_loss(real(beta), change, 1))
        return value, expansion.expanded_gradient(real(beta), change, 1)[1:].numpy()

    start = families(real([beta]), 1)[2][0][0, 1:].numpy()
    nudge = 0.05 * np.random.default_rng(0).standard_normal(N - 1)
    found = optimize.minimize(loss, start + nudge, jac=True, method="BFGS", options={"gtol": 1e-10})
    np.testing.assert_allclose(found.x, start, atol=1e-5)


def test_f_where_the_cubic_loses_its_square():
    # At E = 1 the equation is 1 + w = 0 with w = f / 2; the other root has gone to infinity.
    assert float(model.f_derived(real(math.log(9)), N)) == pytest.approx(-2, abs=1e-14)
    assert abs(float(model.f_derived(real(math.log(9)), N, -1))) > 1e14


def test_the_source_s_three_and_a_half_is_where_g_meets_psi():
    grid = torch.linspace(2.3, 12, 300, dtype=torch.float64)
    ((low, high),) = model.ranges(lambda b: model.g_printed(b, N) > model.psi_printed(b, N), grid)
    # Errata: 3.523.
    assert low == pytest.approx(2.3)
    assert high == pytest.approx(3.523, abs=5e-4)
    root = optimize.brentq(lambda b: float(model.g_printed(real(b), N) - model.psi_printed(real(b), N)), 3, 4)
    assert high == pytest.approx(root, abs=1e-10)

    def allowed(b):
        return model.admissible(model.wrong_logits(b, model.g_printed(b, N), model.psi_printed(b, N), N))

    # The printed condition itself already holds above ln 9, where 1 - E changes sign.
    ((low, high),) = model.ranges(allowed, torch.linspace(0.05, 12, 400, dtype=torch.float64))
    assert (low, high) == pytest.approx((math.log(9), 12), abs=1e-10)


def test_ranges_of_a_known_condition():
    found = model.ranges(lambda b: (b < 1) | ((b > math.pi) & (b < 5)), torch.linspace(0, 10, 101))
    np.testing.assert_allclose(found, [(0, 1), (math.pi, 5)], atol=1e-10)
    assert model.ranges(lambda b: b > 20, torch.linspace(0, 10, 11)) == []
    with pytest.raises(ValueError, match="increasing grid"):
        model.ranges(lambda b: b > 0, real([1.0, 1.0]))


@pytest.mark.parametrize("reach", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("beta", [1.0, 3.5, 8.0])
def test_the_exact_loss_falls_to_the_limits_of_what_is_searched(beta, reach):
    # It falls in every logit but the label's, which it rises with: so the infimum takes each to its limit.
    right = expansion.constrained_minimum(beta, N, 0, reach)
    assert right.loss == pytest.approx(math.log1p(9 * math.exp(-reach - beta)), rel=1e-9)
    wrong = expansion.constrained_minimum(beta, N, 1, reach)
    assert wrong.loss == pytest.approx(math.log(2 + 8 * math.exp(-reach - beta)), rel=1e-9)
    # With g at beta its slope is -1/2 or steeper.
    assert wrong.gradient >= 0.5
    random = torch.rand(2000, N, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    inside = -reach + random * (beta + reach)
    inside[:, 0] = beta
    assert float(expansion.exact_loss(inside, 1).min()) > wrong.loss
    assert float(expansion.exact_loss(inside, 0).min()) > right.loss


@pytest.mark.parametrize("label", [0, 1])
def test_a_constrained_optimiser_agrees_from_random_starts(label):
    beta, reach = 3.0, 4.0
    start = np.random.default_rng(label).uniform(-reach, beta, N - 1)

    def loss(rest):
        logits = torch.cat([real([beta]), torch.from_numpy(rest)])
        return float(expansion.exact_loss(logits, label))

    bounds = optimize.Bounds(-reach, beta)
    found = optimize.minimize(loss, start, method="SLSQP", bounds=bounds, options={"ftol": 1e-14, "maxiter": 500})
    expected = expansion.constrained_minimum(beta, N, label, reach)
    assert expected.loss == pytest.approx(found.fun, rel=1e-5)


def test_membership_of_the_set_of_equation_1():
    reference = real([[0, 3.0, 0]]).expand(4, 3)
    change = real([[1, 0, 2.9], [1, 0, 3.0], [1, 0.1, -5], [-4, 0, -9]])
    assert expansion.belongs(change, reference).tolist() == [True, False, False, True]


@pytest.mark.parametrize("printed", [True, False])
def test_surrogates_keep_the_largest_logit_in_its_place(printed):
    kind = "printed" if printed else "derived"
    f, g, psi = (getattr(model, f"{name}_{kind}") for name in ("f", "g", "psi"))
    logits = torch.randn(60, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 3
    logits[:, 0] += 4
    label = torch.randint(5, (60,), generator=torch.Generator().manual_seed(3))
    found, kept = model.surrogates(logits, label, printed=printed)
    for row in range(60):
        beta, top, own = logits[row].max(), int(logits[row].argmax()), int(label[row])
        right = top == own
        other = f(beta, 5) if right else psi(beta, 5)
        expected = other.repeat(5)
        if not right:
            expected[own] = g(beta, 5)
        expected[top] = beta
        torch.testing.assert_close(found[row], expected, rtol=1e-14, atol=0, equal_nan=True)
        assert bool(kept[row]) == (bool(torch.isfinite(expected).all()) and int((expected >= beta).sum()) == 1)
    assert bool(kept.any())


def test_equation_10_is_equation_9_with_the_logits_put_in():
    error = 0.3
    correct, wrong = real([[4.0, *[-0.3] * 6], [6.0, *[0.2] * 6]]), real([[5.0, -2.0, *[-1.1] * 5]])
    weights = (0.02, 0.05)
    whole = model.gap_change(correct, wrong, error=error, weights=weights, printed=False)
    for row in range(2):
        pair = torch.stack([correct[row], wrong[0]])
        each = real([(1 - error) * weights[0], error * weights[1]])
        assert float(whole.change[row, 0]) == pytest.approx(equation_9(each, pair, 1.0), rel=1e-13)
        gap = float(correct[row, 0] - correct[row, 1])
        assert float(whole.relative[row, 0]) == pytest.approx(float(whole.change[row, 0]) / gap, rel=1e-14)
    printed = model.gap_change(correct, wrong, error=error, weights=weights, printed=True)
    # Errata: lacks -2 (N - 2) / (N - 1) eps_err Omega (g - psi)^2, here 2 (5/6) 0.3 0.05 0.9^2.
    missing = (whole.change - printed.change)[:, 0]
    torch.testing.assert_close(missing, real([-2 * 5 / 6 * error * weights[1] * 0.9**2] * 2), rtol=1e-12, atol=0)


def test_equation_9_is_the_average_of_equation_8_over_labels():
    generator = torch.Generator().manual_seed(4)
    targets, weights = torch.randn(20, 6, dtype=torch.float64, generator=generator), torch.rand(20).double()
    changes = equation_8(weights, targets, torch.arange(6), 0.1)
    for label in range(6):
        direction = torch.ones(6, dtype=torch.float64)
        direction[label] -= 6
        brute = 0.1 * sum(w * (z @ direction) * z for w, z in zip(weights, targets, strict=True))
        torch.testing.assert_close(changes[label], brute, rtol=1e-12, atol=1e-12)
    own = changes.diagonal()
    gaps = own - (changes.sum(1) - own) / 5
    assert equation_9(weights, targets, 0.1) == pytest.approx(float(gaps.mean()), rel=1e-12)
    # Each is minus a sum of squares.
    assert float(gaps.max()) < 0


def test_a_population_lumped_into_two_betas():
    beta, right = real([3.0, 5.0, 4.0, 6.0]), torch.tensor([True, True, False, True])
    weights = real([1.0, 2.0, 3.0, 4.0])
    found = model.lumped_gap_change(beta, right, weights, N, epsilon=0.1, printed=False)
    f = float(model.f_printed(real(14 / 3), N))
    pair = torch.cat(
        [
            model.correct_logits(real([14 / 3]), real([f]), N),
            model.wrong_logits(real([4.0]), model.g_printed(real([4.0]), N), model.psi_printed(real([4.0]), N), N),
        ]
    )
    assert float(found.change) == pytest.approx(equation_9(real([7.0, 3.0]), pair, 0.1), rel=1e-12)
    # Without errors one beta is left, with all weights.
    found = model.lumped_gap_change(beta, torch.ones(4, dtype=torch.bool), weights, N, epsilon=0.1, printed=True)
    alone = model.correct_logits(real([4.5]), model.f_printed(real([4.5]), N), N)
    assert float(found.change) == pytest.approx(equation_9(real([10.0]), alone, 0.1), rel=1e-12)
    nobody = model.lumped_gap_change(beta, torch.zeros(4, dtype=torch.bool), weights, N, epsilon=0.1, printed=True)
    assert math.isnan(float(nobody.change))


def test_the_mean_field_loss():
    surface = model.mean_field_loss(real([1.0, 2.0]), real([10.0, 20.0, 30.0]), 0.25)
    assert surface.tolist() == [[3.25, 5.75, 8.25], [4.0, 6.5, 9.0]]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: model.f_printed(BETA, 2), "three classes"),
        (lambda: model.g_derived(BETA, 10, 2), "a sign of 1 or -1"),
        (lambda: model.mean_field_loss(BETA, BETA, 1.2), "error rate in"),
        (lambda: expansion.constrained_minimum(-1.0, 10, 0, 1.0), "beta > 0"),
        (
            lambda: model.gap_change(torch.ones(1, 4), torch.ones(1, 4), error=0.1, weights=(-1, 0), printed=True),
            "not negative",
        ),
    ],
)
def test_bad_arguments_get_a_sentence(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_shares_of_kinds_count_the_points_asked_for_alone():
    kind, among = torch.tensor([1, 1, 0, -1, -9, 1]), torch.tensor([1, 0, 1, 1, 0, 1], dtype=torch.bool)
    assert expansion.kind_shares(kind, among).tolist() == [0.5, 0.25, 0.25]
    assert expansion.kind_shares(kind, torch.zeros(6, dtype=torch.bool)).isnan().all()
