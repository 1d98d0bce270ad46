import foolbox
import pytest
import torch
from foolbox.attacks import LinfBasicIterativeAttack
from foolbox.criteria import Misclassification, TargetedMisclassification
from hypothesis import given, settings
from hypothesis import strategies as st

from neighborhoods.attacks import UNTARGETED, AttackError, assign, attack, igsm, verify
from neighborhoods.networks import fully_connected
from neighborhoods.training import predict, train

EPSILON, STEP, STEPS = 0.15, 0.02, 15


@pytest.fixture(scope="module")
def problem():
    """A small trained network and images it gets right; four blobs in the corners of the cube [0, 1]^16."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 4
    corners = torch.rand(4, 1, 4, 4, generator=generator)
    x = (corners[y] + 0.15 * torch.randn(400, 1, 4, 4, generator=generator)).clamp(0, 1)
    torch.manual_seed(0)
    model = fully_connected((1, 4, 4), (16,), 4)
    train(model, x, y, x, y, epochs=20, learning_rate=0.01)
    right = predict(model, x) == y
    return model, x[right][:100], y[right][:100]


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
    # A gradient's sign can flip where it is zero within rounding; almost every pixel must agree.
    assert float(((found - expected).abs() < 1e-5).double().mean()) > 0.99


@pytest.mark.parametrize("targeted", [False, True])
def test_igsm_succeeds_as_often_as_foolboxs(problem, targeted):
    model, x, y = problem
    target = (y + 1) % 4 if targeted else None
    _, verdict = attack("igsm", model, x, y, target, epsilon=EPSILON, step_size=STEP, steps=STEPS)
    other = LinfBasicIterativeAttack(abs_stepsize=STEP, steps=STEPS, random_start=False)
    criterion = TargetedMisclassification(target) if targeted else Misclassification(y)
    _, _, success = other(foolbox.PyTorchModel(model.eval(), (0, 1)), x, criterion, epsilons=EPSILON)
    assert 0.02 < float(verdict.success.double().mean()) < 0.98, "the comparison should be able to fail"
    # Same iteration, so the same images: only ties may differ.
    assert abs(int(verdict.success.sum()) - int(success.sum())) <= 1


def test_batches_do_not_matter(problem):
    model, x, y = problem
    settings = {"epsilon": EPSILON, "step_size": STEP, "steps": STEPS}
    whole, _ = attack("igsm", model, x, y, batch_size=100, **settings)
    pieces, _ = attack("igsm", model, x, y, batch_size=7, **settings)
    assert float(((whole - pieces).abs() < 1e-5).double().mean()) > 0.99


def test_negative_logits_are_no_obstacle(problem):
    model, x, y = problem

    class Shifted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x) - 1000.0

    plain = attack("igsm", model, x, y, epsilon=EPSILON, step_size=STEP, steps=STEPS)[1]
    shifted = attack("igsm", Shifted(), x, y, epsilon=EPSILON, step_size=STEP, steps=STEPS)[1]
    # Shifting by 1000 costs ten bits of the logits' precision, which may flip a tie.
    assert abs(int(plain.success.sum()) - int(shifted.success.sum())) <= 2


def test_the_check_does_not_trust_the_attack(problem):
    model, x, y = problem
    moved = (x + 0.1).clamp(0, 1)
    verdict = verify(model, x, moved, y, epsilon=0.1)
    assert verdict.distortion.numpy() == pytest.approx((moved - x).flatten(1).norm(dim=1).numpy() / 4, rel=1e-5)
    assert torch.equal(verdict.success, predict(model, moved) != y)
    assert torch.equal(verify(model, x, moved, y, (y + 1) % 4).success, predict(model, moved) == (y + 1) % 4)
    for broken, sentence in [
        (x - 0.01, "left the box"),
        (x + 0.5, "left the box"),
        (torch.full_like(x, float("nan")), "not finite"),
        (1 - x, "more than epsilon"),
    ]:
        with pytest.raises(AttackError, match=sentence):
            verify(model, x, broken, y, epsilon=0.1)


def test_bad_input_gets_a_sentence(problem):
    model, x, y = problem
    with pytest.raises(AttackError, match="unknown attack method 'igms', expected igsm, lbfgs, torchattacks.CLASS"):
        attack("igms", model, x, y)
    with pytest.raises(AttackError, match="at least one image"):
        attack("igsm", model, x[:0], y[:0])
    with pytest.raises(AttackError, match=r"pixels in \[0, 1\], found 0 to 255"):
        attack("igsm", model, torch.tensor([[0.0, 255.0]]), y[:1])


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


def test_classes_restrict_the_choice():
    label, order = torch.tensor([0, 1, 1, 2]), torch.tensor([3, 2, 1, 0])
    every = torch.ones(4, dtype=torch.bool)
    arguments = {"targets": "none", "n_classes": 3, "generator": torch.Generator()}
    assert assign(label, every, order, images=2, classes=[1], **arguments).index.tolist() == [2, 1]
    with pytest.raises(AttackError, match="asks for 3 images, but only 2"):
        assign(label, every, order, images=3, classes=[1], **arguments)
    with pytest.raises(AttackError, match=r"must lie in 0\.\.2, found \[7\]"):
        assign(label, every, order, images=1, classes=[7], **arguments)
    with pytest.raises(AttackError, match="unknown targets 'some'"):
        assign(label, every, order, images=1, **{**arguments, "targets": "some"})
