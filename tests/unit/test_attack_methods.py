"""Every method of the registry: its contract on three networks, closed forms, and the traps of the packages behind it."""

import inspect
import random
import sys

import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.attacks.methods import METHODS, ROUNDING, AttackError, attack, verify
from neighborhoods.training.minibatch import predict
from pipeline.config.attack_settings import ATTACK_SETTINGS, ATTACK_TARGETS
from tests.unit.attack_cases import CLASSES, SETTINGS, Broken, Flat, Negative, linear

pytestmark = pytest.mark.usefixtures("one_thread")
CASES = [
    pytest.param(method, targeted, id=f"{method}-{'targeted' if targeted else 'untargeted'}")
    for method, entry in METHODS.items()
    for targeted, possible in ((False, entry.untargeted), (True, entry.targeted))
    if possible
]
RANDOM = ("pgd", "rfgsm", "rfgsm_iterated", "apgd_ce", "apgd_dlr")


def convolutional():
    torch.manual_seed(0)
    # In training mode both of these would make an image depend on its batch or on random numbers.
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, CLASSES)
    ).double()


NETWORKS = {"linear": linear, "cnn": convolutional, "negative": lambda: Negative(linear())}


@pytest.fixture(scope="module", params=NETWORKS)
def problem(request):
    model = NETWORKS[request.param]()
    x = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # MNIST's background lies exactly on the box.
    x[:, :, 0], x[:, :, 7] = 0.0, 1.0
    y = predict(model, x)
    return model, x, y


def global_states():
    return torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize(("method", "targeted"), CASES)
def test_the_contract(problem, method, targeted):
    model, x, y = problem
    target = (y + 1) % CLASSES if targeted else None
    model.train()
    frozen = next(module for module in model.modules() if isinstance(module, nn.Linear))
    frozen.eval()
    modes = [module.training for module in model.modules()]
    weights, kept, before = [p.detach().clone() for p in model.parameters()], x.clone(), global_states()
    settings = SETTINGS[method]
    made, verdict = attack(method, model, x, y, target, seed=3, **settings)

    assert made.shape == x.shape
    assert made.dtype == x.dtype
    assert not made.requires_grad
    assert torch.equal(x, kept)
    change = (made - x).flatten(1)
    norm = settings.get("norm", METHODS[method].norm)
    size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert bool((size <= settings.get("epsilon", torch.inf) + ROUNDING).all())
    assert float(made.min()) >= -ROUNDING
    assert float(made.max()) <= 1 + ROUNDING
    found = predict(model, made)
    assert torch.equal(verdict.success, found != y if target is None else found == target)
    assert torch.equal(verdict.predicted, found)
    assert verdict.distortion.numpy() == pytest.approx(change.norm(dim=1).numpy() / 8, rel=1e-9)
    assert bool((verdict.queries >= 1).all())

    assert [module.training for module in model.modules()] == modes
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        assert torch.equal(parameter, weight)
        assert parameter.grad is None
        assert parameter.requires_grad
    for state, now in zip(before, global_states(), strict=True):
        assert np.array_equal(state, now) if not isinstance(state, tuple) else state == now

    # The same again from other global numbers; another seed matters to those that draw.
    torch.manual_seed(99)
    again, _ = attack(method, model, x, y, target, seed=3, **settings)
    assert torch.equal(again, made)
    other, _ = attack(method, model, x, y, target, seed=4, **settings)
    assert torch.equal(other, made) == (method not in RANDOM)
    # Images do not depend on their batch but by rounding, which steps to a minimum pass on.
    pieces, _ = attack(method, model, x, y, target, seed=3, batch_size=5, **settings)
    assert pieces.numpy() == pytest.approx(made.numpy(), abs=1e-5)


def test_methods_take_the_settings_that_the_configuration_names():
    assert list(METHODS) == list(ATTACK_SETTINGS)
    for name, method in METHODS.items():
        parameters = inspect.signature(method.run).parameters.values()
        keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} - {"generator"}
        assert keywords == set(ATTACK_SETTINGS[name]), name
        allowed = {
            (True, True): None,
            (False, True): ("none",),
            (True, False): ("all", "random", "one"),
        }[method.targeted, method.untargeted]
        assert ATTACK_TARGETS.get(name) == allowed, name


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("deepfool", {"overshoot": 0.01}),
        ("cw", {"adam_steps": 300}),
        ("lbfgs", {"mode": "minimal", "c": 0.1, "search_steps": 14}),
    ],
)
def test_linear_networks_are_left_by_the_nearest_face(method, settings, targeted):
    if targeted and not METHODS[method].targeted:
        pytest.skip("cannot aim")
    model = linear()
    generator = torch.Generator().manual_seed(0)
    x = 0.5 + 0.1 * torch.randn(60, 1, 8, 8, generator=generator, dtype=torch.float64).clamp(-2.5, 2.5)
    y = predict(model, x)
    weight, logits = model[1].weight.detach(), model(x).detach()
    margins = logits.gather(1, y[:, None]) - logits
    distances = margins / (weight[y][:, None] - weight[None]).norm(dim=2)
    exact, nearest = distances.scatter(1, y[:, None], torch.inf).min(1)
    rows = exact > 0.1
    assert int(rows.sum()) >= 20
    x, y, exact, target = x[rows], y[rows], exact[rows], nearest[rows] if targeted else None
    made, verdict = attack(method, model, x, y, target, **settings)
    assert float(made.min()) > 0, "the box should be inactive"
    assert float(made.max()) < 1
    assert bool(verdict.success.all())
    ratio = (made - x).flatten(1).norm(dim=1) / exact
    # Nothing is nearer than the face; single precision inside foolbox.
    assert float(ratio.min()) >= 1 - 1e-5
    assert float(ratio.mean()) <= 1.02


def test_gradient_steps_of_a_linear_network_have_closed_forms():
    model = linear(classes=2, scale=1.0)
    x = torch.full((3, 1, 8, 8), 0.5, dtype=torch.float64)
    y = torch.tensor([0, 1, 0])
    w = (model[1].weight[1] - model[1].weight[0]).detach()
    away = torch.where(y == 0, 1.0, -1.0)[:, None] * w
    made, _ = attack("fgm_l2", model, x, y, epsilon=0.7)
    assert (made - x).flatten(1).numpy() == pytest.approx((0.7 * away / w.norm()).numpy(), abs=1e-12)
    made, _ = attack("fgsm", model, x, y, epsilon=0.2)
    assert (made - x).flatten(1).numpy() == pytest.approx((0.2 * away.sign()).numpy(), abs=1e-12)
    made, _ = attack("rfgsm", model, x, y, epsilon=0.2, step_size=0.05, seed=1)
    # One random step of .05, then one of .15 along the gradient: .2 where they agree, else .1.
    along = (made - x).flatten(1) * away.sign()
    agree = (along - 0.2).abs() < 1e-6
    assert along[~agree].numpy() == pytest.approx(0.1, abs=1e-6)
    # 192 fair signs: five standard deviations.
    assert abs(float(agree.double().mean()) - 0.5) < 5 * 0.5 / 192**0.5
    # The other order of steps: the start may be undone, and the projection keeps the ball.
    made, _ = attack("rfgsm_iterated", model, x, y, epsilon=0.2, step_size=0.05, steps=5)
    assert (made - x).flatten(1).numpy() == pytest.approx((0.2 * away.sign()).numpy(), abs=1e-6)


@pytest.mark.parametrize(("method", "targeted"), CASES)
def test_images_without_gradient_stay_finite(method, targeted):
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(4, dtype=torch.int64)
    made, verdict = attack(method, Flat(), x, y, y + 1 if targeted else None, **SETTINGS[method])
    assert not bool(verdict.success.any())
    if method not in (*RANDOM, "deepfool"):
        assert made.numpy() == pytest.approx(x.numpy(), abs=1e-6)


class Plateau(nn.Module):
    """Two classes whose margin rises with the brightness up to .55 and from .65 on, and is flat between."""

    def forward(self, x):
        u = x.flatten(1).mean(1)
        margin = (u - 0.65).clamp_min(0) - (0.55 - u).clamp_min(0) - 0.01
        return torch.stack([margin, torch.zeros_like(margin)], 1)


def test_momentum_carries_an_image_over_a_plateau():
    x, y = torch.full((2, 1, 8, 8), 0.5, dtype=torch.float64), torch.tensor([1, 1])
    made, verdict = attack("mifgsm", Plateau(), x, y, epsilon=0.25, step_size=0.04, steps=7)
    assert made.numpy() == pytest.approx(0.75, abs=1e-9)
    assert bool(verdict.success.all())
    # torchattacks divides 0 by 0 there and moves no more.
    other, _ = attack("torchattacks.MIFGSM", Plateau(), x, y, eps=0.25, alpha=0.04, steps=7)
    assert other.numpy() == pytest.approx(0.58, abs=1e-6)


def test_tiny_gradients_keep_their_direction():
    model = linear(scale=1.0)
    x = torch.full((2, 1, 8, 8), 0.5)
    tiny = nn.Sequential(model, nn.Identity()).float()
    expected, _ = attack("fgm_l2", tiny, x, torch.tensor([0, 1]), epsilon=0.3)
    with torch.no_grad():
        for parameter in tiny.parameters():
            parameter.mul_(1e-25)
    made, _ = attack("fgm_l2", tiny, x, torch.tensor([0, 1]), epsilon=0.3)
    # Squares of 1e-25 vanish in single precision; lengths must not.
    assert (made - x).flatten(1).norm(dim=1).numpy() == pytest.approx(0.3, rel=1e-4)
    assert expected.shape == made.shape


def test_settings_that_make_no_sense_get_a_sentence():
    model, x = linear(classes=3), torch.rand(2, 1, 8, 8).double()
    y = predict(model, x)
    target = (y + 1) % 3
    for method, settings, goal, sentence in [
        ("apgd_dlr", {"epsilon": 0.1, "steps": 5}, None, "at least 4 classes, found 3; use apgd_ce"),
        ("apgd_dlr", {"epsilon": 0.1, "steps": 5}, target, "apgd_dlr cannot aim at a target; use targets: none"),
        ("deepfool", {}, target, "deepfool cannot aim at a target; use targets: none"),
        ("deepfool", {"candidates": 1}, None, "at least two candidates, found 1"),
        ("jsma", {}, None, "jsma needs a target for each image, found none"),
        ("jsma", {"theta": 0.0}, target, "theta above or below 0"),
        ("rfgsm", {"epsilon": 0.1, "step_size": 0.1}, None, "step_size below epsilon"),
        ("apgd_ce", {"epsilon": 0.1, "steps": 5, "norm": "l1"}, None, "the norm linf or l2, found 'l1'"),
        ("fgsm", {"epsilon": 0.1, "steps": 2}, None, "fgsm takes the settings epsilon, found steps"),
        ("fgsm", {}, None, "fgsm needs the settings epsilon, found none"),
    ] + [
        (method, {**SETTINGS[method], "steps": 0}, None, "at least one step, found 0")
        for method in ("igsm", "bim", "mifgsm", "pgd", "rfgsm_iterated", "apgd_ce")
    ]:
        with pytest.raises(AttackError, match=sentence):
            attack(method, model, x, y, goal, **settings)


def test_input_that_does_not_fit_gets_a_sentence():
    model, x = linear(), torch.rand(4, 1, 8, 8).double()
    y = predict(model, x)
    nan = x.clone()
    nan[1, 0, 2, 3] = torch.nan
    for network, images, label, target, sentence in [
        (model, nan, y, None, "fgsm: the images must be finite"),
        (model, x * 255, y, None, r"pixels in \[0, 1\]"),
        (model, x[:0], y[:0], None, r"found torch.float64 of shape \(0, 1, 8, 8\)"),
        (
            model,
            (x * 255).byte(),
            y,
            None,
            r"found torch.uint8 of shape \(4, 1, 8, 8\); bytes of pixels become shares of one by x / 255",
        ),
        (model, x.flatten()[:4], y, None, r"images \[images, \.\.\.\], found torch.float64 of shape \(4,\)"),
        (model, {"x": x}, y, None, "tensor or an array of numbers, found dict"),
        (model, x, y[:3], None, r"a class for each of 4 images .* of shape \(3,\)"),
        (model, x, y.double(), None, "as whole numbers .* found torch.float64"),
        (model, x, y + CLASSES, None, r"labels in 0\.\.4, found"),
        (model, x, y - CLASSES, None, r"labels in 0\.\.4, found"),
        (model, x, y, y, "targets other than the labels, found . as both of image 0"),
        (model, x, y, torch.full_like(y, CLASSES), r"targets in 0\.\.4, found 5 to 5"),
        (model, x, y, y[:2], "a class for each of 4 images"),
        (Broken(lambda x: x.flatten(1)[:, :3] / 0), x, y, None, "logits must be finite"),
        (Broken(lambda x: x.mean((1, 2, 3))), x, y, None, r"logits \[2, classes\], found \(2,\)"),
        (Broken(lambda x: x), x, y, None, r"logits \[2, classes\], found \(2, 1, 8, 8\)"),
        (Broken(lambda x: x[:1].flatten(1)), x, y, None, r"logits \[2, classes\]"),
    ]:
        with pytest.raises(AttackError, match=sentence):
            attack("fgsm", network, images, label, target, epsilon=0.1)


def test_the_check_measures_epsilon_in_the_norm_asked_for():
    model, x = linear(), torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64)
    moved = x + 0.1
    # Sixty-four pixels by .1: .8 in L2.
    assert float(verify(model, x, moved, torch.tensor([0]), epsilon=0.8, norm="l2").linf) == pytest.approx(0.1)
    with pytest.raises(AttackError, match=r"changed an image by 0\.8 in L2, more than epsilon 0\.79"):
        verify(model, x, moved, torch.tensor([0]), epsilon=0.79, norm="l2")
    with pytest.raises(AttackError, match="epsilon needs the norm linf or l2, found 'L2'"):
        verify(model, x, moved, torch.tensor([0]), epsilon=1, norm="L2")


@pytest.mark.parametrize(
    ("method", "package", "how"),
    [
        ("cw", "foolbox", r"pip install 'adversarial-neighborhoods\[attacks\]'"),
        ("deepfool", "foolbox", r"adversarial-neighborhoods\[attacks\]"),
        ("apgd_ce", "pyautoattack", r"adversarial-neighborhoods\[attacks\]"),
        ("torchattacks.PGD", "torchattacks", "pip install --no-deps torchattacks"),
    ],
)
def test_attacks_whose_package_is_not_installed_say_how_to_install_it(monkeypatch, method, package, how):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    model, x = linear(), torch.rand(2, 1, 8, 8).double()
    settings = SETTINGS.get(method, {})
    with pytest.raises(AttackError, match=f"needs the package {package}, which is not installed: .*{how}"):
        attack(method, model, x, predict(model, x), **settings)
    # The others do without.
    assert bool(attack("igsm", model, x, predict(model, x), **SETTINGS["igsm"])[1].success.dtype == torch.bool)
