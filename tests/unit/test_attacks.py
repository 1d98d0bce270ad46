import math

import foolbox
import pytest
import torch
from foolbox.attacks import LinfBasicIterativeAttack
from foolbox.criteria import Misclassification, TargetedMisclassification
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neighborhoods.attacks.methods import ROUNDING, UNTARGETED, AttackError, assign, attack, igsm, verify
from neighborhoods.networks.architectures import fully_connected
from neighborhoods.networks.inputs import TRIED
from neighborhoods.training.minibatch import predict

pytestmark = pytest.mark.usefixtures("one_thread")
EPSILON, STEP, STEPS = 0.15, 0.02, 15


@pytest.fixture(scope="module")
def problem(blobs):
    # In double precision no gradient's sign hangs on rounding, so that every pixel can be compared.
    model, x, y = blobs(4, (16,))
    return model.double(), x.double(), y


def plain_igsm(model, x, y, sign):
    """Bell's equation 5, one image at a time."""
    made = []
    for image, label in zip(x, y, strict=True):
        moved = image.clone()
        for _ in range(STEPS):
            moved.requires_grad_(True)
            loss = torch.nn.functional.cross_entropy(model(moved[None]), label[None])
            (gradient,) = torch.autograd.grad(loss, moved)
            moved = (moved + sign * STEP * gradient.sign()).detach()
            moved = torch.minimum(torch.maximum(moved, image - EPSILON), image + EPSILON).clamp(0, 1)
        made.append(moved)
    return torch.stack(made)


@pytest.mark.parametrize("targeted", [False, True])
def test_igsm_is_the_published_iteration(problem, targeted):
    model, x, y = problem
    x, y = x[:20], y[:20]
    target = (y + 1) % 4 if targeted else None
    found = igsm(model, x, y, target, epsilon=EPSILON, step_size=STEP, steps=STEPS)
    expected = plain_igsm(model, x, y if target is None else target, -1 if targeted else 1)
    # Fifteen sums of numbers below 1 in double precision.
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    assert float((found - x).abs().max()) == pytest.approx(EPSILON, abs=1e-14)


def test_igsm_in_single_precision_is_that_of_double(problem):
    model, x, y = problem
    double = igsm(model, x, y, epsilon=EPSILON, step_size=STEP, steps=STEPS)
    try:
        single = igsm(model.float(), x.float(), y, epsilon=EPSILON, step_size=STEP, steps=STEPS)
    finally:
        model.double()
    assert single.dtype == torch.float32
    # A gradient's sign can flip where it is zero within rounding; almost every pixel must agree.
    assert float(((single - double).abs() < 1e-5).double().mean()) > 0.99
    assert float((single - x).abs().max()) <= EPSILON + ROUNDING


def test_igsm_leaves_images_weights_and_mode_as_they_were(problem):
    model, x, y = problem
    model.zero_grad()
    kept, weights = x.clone(), [p.detach().clone() for p in model.parameters()]
    for training in (True, False):
        model.train(training)
        igsm(model, x, y, epsilon=EPSILON, step_size=STEP, steps=3)
        assert model.training == training
    assert torch.equal(x, kept)
    assert not x.requires_grad
    for p, before in zip(model.parameters(), weights, strict=True):
        assert torch.equal(p, before)
        assert p.grad is None
        assert p.requires_grad


def test_one_step_is_the_fast_gradient_sign_method_of_a_linear_network():
    # Two classes, logits w . x and 0: the gradient of the label's loss is a negative multiple of w.
    w = torch.tensor([1.0, -2.0, 0.0, 0.5])
    model = fully_connected((4,), (), 2)
    with torch.no_grad():
        model.fc1.weight.copy_(torch.stack([w, torch.zeros(4)]))
    x = torch.tensor([[0.5, 0.5, 0.5, 0.05], [0.2, 0.95, 1.0, 0.0]])
    made = igsm(model, x, torch.tensor([0, 0]), epsilon=0.2, step_size=0.1, steps=1)
    # Clipped to the box where x -+ .1 leaves it; a pixel without influence stays.
    expected = [[0.4, 0.6, 0.5, 0.0], [0.1, 1.0, 1.0, 0.0]]
    assert made.numpy() == pytest.approx(torch.tensor(expected).numpy(), abs=1e-6)
    back = igsm(model, x, torch.tensor([1, 1]), torch.tensor([0, 0]), epsilon=0.2, step_size=0.1, steps=5)
    # Toward class 0 the signs turn; five steps of .1 end at the ball of .2.
    expected = [[0.7, 0.3, 0.5, 0.25], [0.4, 0.75, 1.0, 0.2]]
    assert back.numpy() == pytest.approx(torch.tensor(expected).numpy(), abs=1e-6)


@pytest.mark.parametrize("targeted", [False, True])
def test_igsm_succeeds_as_often_as_foolboxs(problem, targeted):
    model, x, y = problem
    target = (y + 1) % 4 if targeted else None
    found, verdict = attack("igsm", model, x, y, target, epsilon=EPSILON, step_size=STEP, steps=STEPS)
    other = LinfBasicIterativeAttack(abs_stepsize=STEP, steps=STEPS, random_start=False)
    criterion = TargetedMisclassification(target) if targeted else Misclassification(y)
    _, clipped, success = other(foolbox.PyTorchModel(model.eval(), (0, 1)), x, criterion, epsilons=EPSILON)
    assert 0.02 < float(verdict.success.double().mean()) < 0.98, "the comparison should be able to fail"
    # The same iteration in double precision: the same success of each image, not only as often.
    assert torch.equal(verdict.success, success)
    # Foolbox keeps bounds and steps in single precision at places.
    assert found.numpy() == pytest.approx(clipped.numpy(), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.floats(0.01, 0.5), st.integers(0, 2**31))
def test_two_classes_apart_by_a_plane_are_attacked_at_a_corner(pixels, epsilon, seed):
    torch.manual_seed(seed)
    model = fully_connected((pixels,), (), 2).double()
    x = torch.rand(20, pixels, dtype=torch.float64)
    y = predict(model, x)
    found, verdict = attack("igsm", model, x, y, epsilon=epsilon, step_size=epsilon / 4, steps=6)
    # The margin is linear, so the best point of ball and box is the corner against it, for every image.
    weight, bias = (
        (model.fc1.weight[0] - model.fc1.weight[1]).detach(),
        (model.fc1.bias[0] - model.fc1.bias[1]).detach(),
    )
    sign = torch.where(y == 0, -1.0, 1.0)[:, None] * weight.sign()
    corner = (x + epsilon * sign).clamp(0, 1)
    assert found.numpy() == pytest.approx(corner.numpy(), abs=1e-12)
    assert torch.equal(verdict.success, (corner @ weight + bias < 0).long() != y)


def test_batches_do_not_matter(problem):
    model, x, y = problem
    settings = {"epsilon": EPSILON, "step_size": STEP, "steps": STEPS}
    for target in (None, (y + 1) % 4):
        whole, verdict = attack("igsm", model, x, y, target, batch_size=100, **settings)
        for batch_size in (1, 7, 1000):
            pieces, again = attack("igsm", model, x, y, target, batch_size=batch_size, **settings)
            # Double precision; the mean over a batch scales a gradient and leaves its sign.
            assert pieces.numpy() == pytest.approx(whole.numpy(), abs=1e-14)
            assert torch.equal(again.success, verdict.success)


def test_negative_logits_are_no_obstacle(problem):
    model, x, y = problem

    class Shifted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x) - 1000.0

    assert float(Shifted()(x).detach().max()) < -900
    for target in (None, (y + 1) % 4):
        plain, verdict = attack("igsm", model, x, y, target, epsilon=EPSILON, step_size=STEP, steps=STEPS)
        shifted, again = attack("igsm", Shifted(), x, y, target, epsilon=EPSILON, step_size=STEP, steps=STEPS)
        # Cross-entropy ignores a common shift; in double precision 1000 leaves thirteen digits, enough for any sign.
        assert shifted.numpy() == pytest.approx(plain.numpy(), abs=1e-12)
        assert torch.equal(again.success, verdict.success)


def test_the_check_does_not_trust_the_attack(problem):
    model, x, y = problem
    moved = (x + 0.1).clamp(0, 1)
    verdict = verify(model, x, moved, y, epsilon=0.1)
    # Sixteen pixels: the norm over sqrt(16), Bell's definition 1.8.
    assert verdict.distortion.numpy() == pytest.approx((moved - x).flatten(1).norm(dim=1).numpy() / 4, rel=1e-12)
    assert torch.equal(verdict.linf, (moved - x).abs().flatten(1).max(1).values)
    assert torch.equal(verdict.predicted, predict(model, moved))
    assert torch.equal(verdict.success, predict(model, moved) != y)
    assert torch.equal(verify(model, x, moved, y, (y + 1) % 4).success, predict(model, moved) == (y + 1) % 4)
    # Images of other classes: a label left is not yet a target reached.
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    other, target = x[order], (y + 1) % 4
    assert torch.equal(verify(model, x, other, y).success, y[order] != y)
    assert torch.equal(verify(model, x, other, y, target).success, y[order] == target)
    for broken, sentence in [
        (x - 0.01, "left the box"),
        (x + 0.5, "left the box"),
        (torch.full_like(x, float("nan")), "not finite"),
        (1 - x, "more than epsilon"),
    ]:
        with pytest.raises(AttackError, match=sentence):
            verify(model, x, broken, y, epsilon=0.1)


@given(st.floats(0, 0.5), st.integers(1, 30))
def test_a_uniform_change_has_its_size_as_distortion(change, pixels):
    model = fully_connected((pixels,), (), 2)
    verdict = verify(model, torch.zeros(1, pixels), torch.full((1, pixels), change), torch.tensor([0]))
    assert float(verdict.distortion) == pytest.approx(change, rel=1e-6)
    assert float(verdict.linf) == pytest.approx(change, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1 + 3e-6, "left the box"),
        (-3e-6, "left the box"),
        (0.6 + 3e-6, r"changed a pixel by 0\.100003, more than epsilon 0\.1"),
        (0.4 - 3e-6, "more than epsilon"),
        (math.nan, "not finite"),
        (math.inf, "not finite"),
        (-math.inf, "not finite"),
    ],
)
def test_one_wrong_pixel_of_many_is_found(problem, value, sentence):
    model, x, y = problem
    x = torch.full_like(x, 0.5)
    moved = x + 0.05
    moved[37, 0, 2, 1] = value
    with pytest.raises(AttackError, match=sentence):
        verify(model, x, moved, y, epsilon=0.1)


def test_rounding_of_single_precision_is_forgiven(problem):
    model, x, y = problem
    x = torch.full_like(x, 0.5)
    # Without epsilon any change within the box will do.
    for moved, epsilon in ((x + 0.1 + 5e-7, 0.1), (x + 0.5 + 5e-7, None), (x - 0.5 - 5e-7, None)):
        assert len(verify(model, x, moved, y, epsilon=epsilon).linf) == len(x)


def test_bad_input_gets_a_sentence(problem):
    model, x, y = problem
    with pytest.raises(AttackError, match="unknown attack method 'igms', expected fgsm, .*, lbfgs, torchattacks.CLASS"):
        attack("igms", model, x, y)
    with pytest.raises(
        AttackError, match=r"igsm: expected floating-point images .* found torch.float64 of shape \(0, 1, 4, 4\)"
    ):
        attack("igsm", model, x[:0], y[:0])
    with pytest.raises(AttackError, match=r"pixels in \[0, 1\], found 0 to 255"):
        attack("igsm", model, (x[:1] > x.median()) * 255.0, y[:1])
    with pytest.raises(AttackError, match="at least one step, found 0"):
        attack("igsm", model, x, y, epsilon=EPSILON, step_size=STEP, steps=0)
    for value, sentence in ((-0.5, r"pixels in \[0, 1\], found -0.5 to"), (math.nan, "images must be finite")):
        broken = x.clone()
        broken[3, 0, 1, 1] = value
        with pytest.raises(AttackError, match=sentence):
            attack("igsm", model, broken, y, epsilon=EPSILON, step_size=STEP, steps=1)


CASE = st.tuples(st.integers(2, 6), st.integers(1, 30), st.integers(0, 2**31))


@settings(deadline=None)
@given(CASE, st.sampled_from(["all", "random", "none"]))
def test_assignments(case, targets):
    n_classes, n, seed = case
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(n_classes, (n,), generator=generator)
    correct = torch.rand(n, generator=generator) < 0.7
    order = torch.randperm(n, generator=generator)
    available = int(correct.sum())
    if available == 0:
        with pytest.raises(AttackError, match="only 0 correctly classified"):
            assign(label, correct, order, images=1, targets=targets, n_classes=n_classes, generator=generator)
        return
    images = 1 + seed % available
    rows = assign(label, correct, order, images=images, targets=targets, n_classes=n_classes, generator=generator)
    per_image = n_classes - 1 if targets == "all" else 1
    chosen = rows.index[::per_image]
    assert torch.equal(rows.index, chosen.repeat_interleave(per_image))
    assert chosen.tolist() == [i for i in order.tolist() if correct[i]][:images]
    if targets == "none":
        assert (rows.target == UNTARGETED).all()
    else:
        assert not (rows.target == label[rows.index]).any()
        assert ((rows.target >= 0) & (rows.target < n_classes)).all()
    if targets == "all":
        for i, image in enumerate(chosen):
            found = rows.target[i * per_image : (i + 1) * per_image].tolist()
            assert sorted([*found, int(label[image])]) == list(range(n_classes))


def test_random_targets_are_uniform_over_the_other_classes():
    n, n_classes = 6000, 5
    label = torch.arange(n) % n_classes
    every, order = torch.ones(n, dtype=torch.bool), torch.arange(n)
    arguments = {"images": n, "targets": "random", "n_classes": n_classes}
    rows = assign(label, every, order, generator=torch.Generator().manual_seed(7), **arguments)
    for own in range(n_classes):
        counts = torch.bincount(rows.target[label == own], minlength=n_classes)
        assert counts[own] == 0
        # A false alarm once in 10^4 seeds.
        assert stats.chisquare([int(c) for i, c in enumerate(counts) if i != own]).pvalue > 1e-4
    again = assign(label, every, order, generator=torch.Generator().manual_seed(7), **arguments)
    assert torch.equal(again.target, rows.target)
    other = assign(label, every, order, generator=torch.Generator().manual_seed(8), **arguments)
    assert not torch.equal(other.target, rows.target)


@given(CASE, st.data())
def test_fewer_images_are_the_first_of_more(case, data):
    n_classes, n, seed = case
    generator = torch.Generator().manual_seed(seed)
    label, order = torch.randint(n_classes, (n,), generator=generator), torch.randperm(n, generator=generator)
    fewer = data.draw(st.integers(1, n))
    every = torch.ones(n, dtype=torch.bool)
    for targets in ("all", "none"):
        arguments = {"targets": targets, "n_classes": n_classes, "generator": generator}
        more = assign(label, every, order, images=n, **arguments)
        some = assign(label, every, order, images=fewer, **arguments)
        assert torch.equal(some.index, more.index[: len(some.index)])
        assert torch.equal(some.target, more.target[: len(some.index)])


def test_classes_restrict_the_choice():
    label, order = torch.tensor([0, 1, 1, 2]), torch.tensor([3, 2, 1, 0])
    every = torch.ones(4, dtype=torch.bool)
    arguments = {"targets": "none", "n_classes": 3, "generator": torch.Generator()}
    assert assign(label, every, order, images=2, classes=[1], **arguments).index.tolist() == [2, 1]
    assert assign(label, every, order, images=3, classes=[0, 1], **arguments).index.tolist() == [2, 1, 0]
    with pytest.raises(AttackError, match="asks for 3 images, but only 2"):
        assign(label, every, order, images=3, classes=[1], **arguments)
    with pytest.raises(AttackError, match="asks for 5 images, but only 4"):
        assign(label, every, order, images=5, **arguments)
    with pytest.raises(AttackError, match=r"must lie in 0\.\.2, found \[7\]"):
        assign(label, every, order, images=1, classes=[7], **arguments)
    with pytest.raises(AttackError, match=r"must lie in 0\.\.2, found \[-1, 1\]"):
        assign(label, every, order, images=1, classes=[-1, 1], **arguments)
    with pytest.raises(AttackError, match="unknown targets 'some'"):
        assign(label, every, order, images=1, **{**arguments, "targets": "some"})


def test_gradient_evaluations_are_counted():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4)).eval()
    x = torch.rand(10, 1, 4, 4)
    label = torch.arange(10) % 4
    target = (label + 1) % 4
    calls = []
    handle = model.register_forward_pre_hook(lambda _, arguments: calls.append(len(arguments[0])))
    queries = {}
    for method, options in {
        "igsm": {"epsilon": 0.1, "step_size": 0.02, "steps": 7},
        "torchattacks.FGSM": {"eps": 0.1},
        "lbfgs": {"c": 0.01},
    }.items():
        calls.clear()
        _, verdict = attack(method, model, x, label, target, batch_size=4, **options)
        queries[method] = verdict.queries
        # All passes but the trial and those of the checks before and after, which take each image once without gradients.
        assert float(verdict.queries.sum()) == pytest.approx(sum(calls) - TRIED - 2 * len(x))
    handle.remove()
    # A step of a gradient sign method is one gradient.
    assert queries["igsm"].tolist() == [7.0] * 10
    assert queries["torchattacks.FGSM"].tolist() == [1.0] * 10
    # L-BFGS counts for each image, whatever the batch it is in.
    _, whole = attack("lbfgs", model, x, label, target, c=0.01)
    assert torch.equal(queries["lbfgs"], whole.queries)
    assert len(set(whole.queries.tolist())) > 1


def test_an_attack_that_fails_leaves_no_counter_behind():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4)).eval()
    with pytest.raises(AttackError):
        attack("igsm", model, torch.rand(2, 1, 4, 4), torch.zeros(2).long(), epsilon=0.1, step_size=0.1, steps=0)
    assert not model._forward_pre_hooks
