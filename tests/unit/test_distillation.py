import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import chisquare
from torch import nn
from torch.nn import functional

from neighborhoods.training.distillation import (
    averaged_logits,
    distances,
    distil,
    keep_top,
    kl_loss,
    l1_loss,
    manipulate,
    ranking,
    reorder,
    swap_to_label,
)
from neighborhoods.training.epochs import run_epochs
from neighborhoods.training.schedules import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@st.composite
def batches(draw):
    """Logits [n, classes], labels [n], k; few distinct values half of the time, so that ties occur."""
    n, classes = draw(st.integers(1, 6)), draw(st.integers(2, 7))
    rough = st.sampled_from([-1.5, 0.0, -0.0, 2.0])
    fine = st.floats(-50, 50, width=32)
    value = draw(st.sampled_from([rough, fine]))
    rows = draw(st.lists(st.lists(value, min_size=classes, max_size=classes), min_size=n, max_size=n))
    label = draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n))
    return torch.tensor(rows), torch.tensor(label), draw(st.integers(0, classes))


def ranked(row, first=None):
    return sorted(range(len(row)), key=lambda c: (-row[c], c != first, c))


def swapped(row, label):
    best = max(row)
    if row[label] < best:
        at = row.index(best)
        row[at], row[label] = row[label], row[at]
    return row


@given(batches())
def test_ranks_are_those_of_a_sort_by_logit_then_number(batch):
    logits, label, _ = batch
    for first in (None, label):
        expected = [
            ranked(row, None if first is None else int(at)) for row, at in zip(logits.tolist(), label, strict=True)
        ]
        assert ranking(logits, first).tolist() == expected


@given(batches(), st.integers(0, 9))
def test_permuting_keeps_the_top_and_the_multiset_of_the_rest(batch, seed):
    logits, _, k = batch
    target = keep_top(logits, k, "permute", seeded(seed))
    for before, after in zip(logits.tolist(), target.tolist(), strict=True):
        top = ranked(before)[:k]
        assert [after[c] for c in top] == [before[c] for c in top]
        assert sorted(after) == sorted(before)
    if k >= logits.shape[1] - 1:
        assert torch.equal(target, logits)


@given(batches())
def test_averaging_is_a_loop_over_images(batch):
    logits, _, k = batch
    target = keep_top(logits, k, "average", seeded())
    for before, after in zip(logits.tolist(), target.tolist(), strict=True):
        rest = ranked(before)[k:]
        mean = math.fsum(before[c] for c in rest) / max(1, len(rest))
        expected = [mean if c in rest else value for c, value in enumerate(before)]
        # One rounding to single precision; those of the sum in double precision of up to seven values of up to 50.
        np.testing.assert_allclose(after, expected, rtol=2**-23, atol=7 * 50 * 2**-53)
    # At most one rounding of each value of up to 50.
    torch.testing.assert_close(target.double().mean(1), logits.double().mean(1), rtol=0, atol=50 * 2**-23)
    torch.testing.assert_close(target.double().sum(1), logits.double().sum(1), rtol=0, atol=7 * 50 * 2**-23)
    if k > 0:
        assert torch.equal(target.max(1).values, logits.max(1).values)
    if k >= logits.shape[1] - 1:
        assert torch.equal(target, logits)


@given(batches())
def test_a_correction_is_a_swap_where_the_teacher_is_wrong(batch):
    logits, label, _ = batch
    corrected = swap_to_label(logits, label)
    expected = [swapped(row, int(at)) for row, at in zip(logits.tolist(), label, strict=True)]
    assert corrected.tolist() == expected
    assert torch.equal(corrected.gather(1, label[:, None])[:, 0], logits.max(1).values)
    assert torch.equal(swap_to_label(corrected, label), corrected)


@given(batches(), st.sampled_from(["permute", "average"]), st.integers(0, 9))
def test_a_corrected_label_keeps_the_largest_logit_whatever_the_ties(batch, rest, seed):
    logits, label, k = batch
    k = max(k, 1)
    target = manipulate(logits, label, keep=k, rest=rest, correct=True, generator=seeded(seed))
    assert torch.equal(target.gather(1, label[:, None])[:, 0], logits.max(1).values)
    assert torch.equal(target.max(1).values, logits.max(1).values)
    by_hand = torch.tensor([swapped(row, int(at)) for row, at in zip(logits.tolist(), label, strict=True)])
    for before, after, at in zip(by_hand.tolist(), target.tolist(), label.tolist(), strict=True):
        top = ranked(before, at)[:k]
        assert at in top
        assert [after[c] for c in top] == [before[c] for c in top]
        if rest == "permute":
            assert sorted(after) == sorted(before)


@given(batches(), st.sampled_from(["permute", "average"]), st.integers(0, 9))
def test_an_uncorrected_label_keeps_its_logit_if_it_is_among_the_top(batch, rest, seed):
    logits, label, k = batch
    target = manipulate(logits, label, keep=k, rest=rest, generator=seeded(seed))
    for before, after, at in zip(logits.tolist(), target.tolist(), label.tolist(), strict=True):
        if at in ranked(before)[:k]:
            assert after[at] == before[at]
        else:
            others = [before[c] for c in ranked(before)[k:]]
            assert min(others) <= after[at] <= max(others)
    assert torch.equal(target, keep_top(logits, k, rest, seeded(seed)))


@given(batches(), st.integers(0, 99))
def test_a_hybrid_has_the_values_of_one_network_and_the_order_of_the_other(batch, seed):
    values, label, k = batch
    order = torch.randn(values.shape, generator=seeded(seed))
    hybrid = reorder(values, order)
    for value, other, after in zip(values.tolist(), order.tolist(), hybrid.tolist(), strict=True):
        expected = [0.0] * len(value)
        for c, logit in zip(ranked(other), sorted(value, reverse=True), strict=True):
            expected[c] = logit
        assert after == expected
    assert torch.equal(reorder(order, order), order)
    manipulated = manipulate(values, label, keep=k, correct=True, order=order, generator=seeded(seed))
    assert torch.equal(manipulated, manipulate(hybrid, label, keep=k, correct=True, generator=seeded(seed)))


def test_the_label_can_be_lost_without_a_correction_and_not_with_it():
    # The teacher takes class 0; the label, class 1, is one of the nine that are permuted.
    logits = torch.tensor([9.0, 8.0, *range(8)]).repeat(4000, 1)
    label = torch.ones(len(logits), dtype=torch.long)
    wrong = manipulate(logits, label, keep=1, generator=seeded())
    assert bool((wrong[:, 0] == 9).all())
    counts = torch.stack([(wrong[:, 1] == value).sum() for value in range(9)])
    assert chisquare(counts.numpy()).pvalue > 1e-3
    right = manipulate(logits, label, keep=1, correct=True, generator=seeded())
    assert bool((right[:, 1] == 9).all())
    assert bool((right[:, 0] < 9).all())
    average = manipulate(logits, label, keep=1, rest="average", generator=seeded())
    assert bool((average[:, 1:] == 4).all())


def test_permutations_are_uniform_and_do_not_hang_on_later_images():
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0]).repeat(6000, 1)
    target = keep_top(logits, 1, "permute", seeded(3))
    _, counts = np.unique(target.numpy(), axis=0, return_counts=True)
    assert len(counts) == math.factorial(3)
    assert chisquare(counts).pvalue > 1e-3
    # Of neighbouring images too: 36 pairs.
    _, pairs = np.unique(target.reshape(-1, 8).numpy(), axis=0, return_counts=True)
    assert len(pairs) == 36
    assert chisquare(pairs).pvalue > 1e-3
    assert torch.equal(keep_top(logits[:10], 1, "permute", seeded(3)), target[:10])


def test_bad_manipulations_are_named():
    logits, label = torch.zeros(2, 3), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"expected 0 to 3 logits to keep of 3 classes, found 4"):
        keep_top(logits, 4, "permute", seeded())
    with pytest.raises(ValueError, match="'shuffle'"):
        keep_top(logits, 1, "shuffle", seeded())
    with pytest.raises(ValueError, match=r"classes of 0 to 2, found 0 to 3"):
        swap_to_label(logits, torch.tensor([0, 3]))
    with pytest.raises(ValueError, match=r"each of 2 images, found shape \(3,\)"):
        swap_to_label(logits, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match=r"one shape, found \(2, 3\) and \(2, 4\)"):
        reorder(logits, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="found 1 others among 6"):
        manipulate(logits.index_put((label, label), torch.tensor([math.nan, 0.0])), label, keep=1, generator=seeded())
    with pytest.raises(ValueError, match=r"found shape \(6,\)"):
        ranking(logits.flatten())


@given(st.floats(0.3, 20))
def test_losses_are_those_of_scipy(temperature):
    z, t = torch.randn(2, 5, 4, generator=seeded(1), dtype=torch.float64) * 3
    divergence = rel_entr(softmax(t.numpy() / temperature, 1), softmax(z.numpy() / temperature, 1)).sum(1).mean()
    np.testing.assert_allclose(float(kl_loss(z, t, temperature)), temperature**2 * divergence, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(float(l1_loss(z, t)), np.abs(z.numpy() - t.numpy()).mean(), rtol=1e-12)
    measures = distances(torch.cat([t, -t]), temperature)
    rows = torch.tensor([4, 0, 7])
    target = torch.cat([t, -t])[rows]
    assert float(measures["l1"](z[:3], rows)) == float(l1_loss(z[:3], target))
    assert float(measures["kl"](z[:3], rows)) == float(kl_loss(z[:3], target, temperature))


def test_gradients_of_the_divergence_are_differences_of_shares():
    # Hinton et al. 2015, equation 2, times T^2: T (softmax(z / T) - softmax(t / T)), a mean over images.
    temperature = 3.0
    z, t = torch.randn(2, 5, 4, generator=seeded(2), dtype=torch.float64)
    z.requires_grad_(True)
    (gradient,) = torch.autograd.grad(kl_loss(z, t, temperature), z)
    z = z.detach()
    difference = (z / temperature).softmax(1) - (t / temperature).softmax(1)
    torch.testing.assert_close(gradient, temperature * difference / len(z))
    # Cross-entropy with the teacher's shares has the same gradient and differs by its entropy.
    soft = functional.cross_entropy(z, t.softmax(1))
    entropy = -(softmax(t.numpy(), 1) * log_softmax(t.numpy(), 1)).sum(1).mean()
    np.testing.assert_allclose(float(kl_loss(z, t)), float(soft) - entropy, rtol=1e-9)


def test_a_far_target_has_a_finite_divergence():
    targets = torch.tensor([[0.0, 500.0]])
    assert float(kl_loss(torch.tensor([[500.0, 0.0]]), targets)) == pytest.approx(500)


def test_unknown_losses_and_temperatures_are_named():
    with pytest.raises(ValueError, match="'l2' of distillation, expected l1 or kl"):
        distil(torch.zeros(1, 2), "l2")
    with pytest.raises(ValueError, match="positive temperature, found 0"):
        distil(torch.zeros(1, 2), "kl", 0.0)


IMAGES = torch.rand(23, 2, 6, 6, generator=seeded(4))


def normalized_network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5)
    )


def test_averaged_logits_are_those_of_a_plain_loop_and_leave_the_teacher_as_it_is():
    network = normalized_network().eval()
    before = copy.deepcopy(network.state_dict())
    averaged = averaged_logits(network, IMAGES, batch_size=5, draws=4, seed=7)
    assert averaged.draws == 4
    assert not any(module.training for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    # The same orders, batch norm by hand, a batch at a time: 23 images in batches of 5, 5, 5, 4, 4.
    generator, draws = seeded(7), np.empty((4, 23, 5))
    for draw in draws:
        order = torch.randperm(23, generator=generator)
        for start, size in zip((0, 5, 10, 15, 19), (5, 5, 5, 4, 4), strict=True):
            rows = order[start : start + size]
            with torch.no_grad():
                hidden = network[0](IMAGES[rows])
                mean, variance = hidden.mean((0, 2, 3)), hidden.var((0, 2, 3), correction=0)
                hidden = (hidden - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
                out = network[4](hidden.relu().flatten(1))
                draw[rows] = (out - out.mean(0)) / (out.var(0, correction=0) + 1e-5).sqrt()
    # Single precision; standardizing five close values magnifies rounding by at most some hundreds.
    np.testing.assert_allclose(averaged.mean, draws.mean(0), atol=1e-4)
    np.testing.assert_allclose(averaged.deviation, draws.std(0, ddof=1), atol=1e-4)
    assert float(averaged.deviation.min()) > 1e-3


def test_nothing_random_needs_one_draw():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(72, 4))
    averaged = averaged_logits(network, IMAGES, batch_size=5, draws=10)
    assert averaged.draws == 1
    # Products of matrices of other heights may differ in the last bits.
    torch.testing.assert_close(averaged.mean, network(IMAGES).detach(), rtol=1e-5, atol=1e-6)
    assert not averaged.deviation.any()
    assert averaged_logits(network, IMAGES, batch_size=5, draws=3, crop=1).draws == 3
    assert averaged_logits(nn.Sequential(nn.Dropout(), *network), IMAGES, batch_size=5, draws=3).draws == 3
    one = averaged_logits(network, IMAGES, batch_size=5, draws=1, flip=True)
    assert one.draws == 1
    assert bool(one.deviation.isnan().all())


def test_averages_of_flips_and_dropout_have_their_expectations_and_leave_the_global_generator():
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(72, 3))
    draws = 400
    before = torch.get_rng_state()
    flipped = averaged_logits(linear, IMAGES, batch_size=8, draws=draws, flip=True, seed=1)
    dropped = averaged_logits(nn.Sequential(nn.Dropout(0.3), *linear), IMAGES, batch_size=8, draws=draws, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        both = torch.stack([linear(IMAGES), linear(IMAGES.flip(3))])
        middle, weights = linear(IMAGES), linear[1].weight
    # A fair coin: mean of both and half of their distance; five standard errors of 23 * 3 numbers.
    spread = (both[0] - both[1]).abs() / 2
    assert bool(((flipped.mean - both.mean(0)).abs() <= 5 * spread / draws**0.5 + 1e-6).all())
    torch.testing.assert_close(flipped.deviation, spread, rtol=0.05, atol=1e-5)
    # Each pixel is kept with probability 0.7 and then divided by it: variance 0.3 / 0.7 of its square.
    deviation = (IMAGES.flatten(1).square() @ weights.square().T * 0.3 / 0.7).sqrt()
    assert bool(((dropped.mean - middle).abs() <= 5 * deviation / draws**0.5).all())
    # Relative standard error of a deviation of 400 draws is about 1 / sqrt(800).
    torch.testing.assert_close(dropped.deviation, deviation, rtol=5 / 800**0.5, atol=0)


def test_averaging_needs_draws_and_images():
    with pytest.raises(ValueError, match="found 0 and 23"):
        averaged_logits(nn.Flatten(), IMAGES, batch_size=5, draws=0)
    with pytest.raises(ValueError, match="found 2 and 0"):
        averaged_logits(nn.Flatten(), IMAGES[:0], batch_size=5, draws=2)


@pytest.mark.parametrize(("loss", "temperature"), [("l1", 1.0), ("kl", 4.0)])
def test_a_student_recovers_a_linear_teacher(loss, temperature):
    x, x_test = torch.rand(2, 300, 6, generator=seeded(5))
    truth, shift = torch.randn(6, 4, generator=seeded(6)) * 2, torch.tensor([1.0, 0.0, -1.0, 0.5])
    label, test_label = (x @ truth + shift).argmax(1), (x_test @ truth + shift).argmax(1)
    torch.manual_seed(0)
    student = nn.Linear(6, 4)
    targets = x @ truth + shift
    schedule = Schedule(epochs=150, batch_size=30, learning_rate=0.3, drops=(75, 110, 140))
    trained = run_epochs(
        student, x, label, distil(targets, loss, temperature), schedule,
        seed=0, test=(x_test, test_label), measures=distances(targets, temperature),
    )  # fmt: skip
    found = student(x_test).detach()
    expected = x_test @ truth + shift
    if loss == "kl":
        # The divergence does not see a number that is added to all logits of an image.
        found, expected = (logits - logits.mean(1, keepdim=True) for logits in (found, expected))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.05)
    np.testing.assert_array_equal(trained.history[loss], trained.history["loss"])
    for name in ("l1", "kl"):
        assert trained.history[name].shape == (150,)
    assert trained.history["kl"][-1] < 1e-3 * trained.history["kl"][0]


def test_a_target_belongs_to_its_row_whatever_the_order_of_images():
    x = torch.eye(8)
    targets = torch.randn(8, 3, generator=seeded(8))
    student = nn.Linear(8, 3)
    with torch.no_grad():
        student.weight.copy_(targets.T)
        student.bias.zero_()
    rows = torch.tensor([5, 1, 6])
    for loss in ("l1", "kl"):
        value, logits = distil(targets, loss)(student, x[rows], rows, seeded())
        assert float(value.detach()) == pytest.approx(0, abs=1e-7)
        assert torch.equal(logits.detach(), targets[rows])
