"""Models, weights and attacks of one's own: what fits works, what does not gets a sentence."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from neighborhoods.attacks.methods import AttackError, attack
from neighborhoods.networks.architectures import build, fully_connected, read_state_dict
from neighborhoods.networks.factories import load

MODULE = """
import torch
from torch import nn
def good(input_shape, classes, width=3):
    return nn.Sequential(nn.Flatten(), nn.Linear(input_shape[0], width), nn.ReLU(), nn.Linear(width, classes))
def not_a_module(input_shape, classes): return 3
def wrong_classes(input_shape, classes): return good(input_shape, classes + 1)
def wrong_input(input_shape, classes): return nn.Linear(99, classes)
def attack(model, x, label, target, amount): return (x + amount).clamp(0, 1)
def wrong_shape(model, x, label, target): return x[:, :1]
def seeded(model, x, label, target, seed): return torch.full_like(x, seed / 10)
def drawing(model, x, label, target): return torch.rand_like(x)
number = 3
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "own_code_for_tests.py").write_text(MODULE)
    (tmp_path / "broken_code_for_tests.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("own_code_for_tests", None)


def factory(name):
    return build((4,), 2, factory=f"own_code_for_tests:{name}")


def test_a_factory_builds_with_its_arguments():
    network = build((4,), 2, factory="own_code_for_tests:good", arguments={"width": 7})
    assert network[1].out_features == 7
    assert network(torch.zeros(3, 4)).shape == (3, 2)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("not_a_module", "must return an nn.Module, found int"),
        ("wrong_classes", r"logits \(2, 2\), found \(2, 3\)"),
        ("wrong_input", "does not accept images"),
    ],
)
def test_a_factory_that_does_not_fit_is_named(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        factory(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_module_here:f", "module no_such_module_here cannot be imported"),
        ("broken_code_for_tests:f", "cannot be imported .ZeroDivisionError"),
        ("own_code_for_tests:missing", "has no function missing"),
        ("own_code_for_tests:number", "has no function number"),
    ],
)
def test_names_that_lead_nowhere_are_named(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(name)


@pytest.fixture
def problem():
    torch.manual_seed(0)
    return fully_connected((4,), (), 2), torch.rand(5, 4), torch.tensor([0, 1, 0, 1, 0])


def test_attacks_of_ones_own_and_of_torchattacks_run(problem):
    model, x, y = problem
    x_adv, verdict = attack("own_code_for_tests:attack", model, x, y, amount=0.1)
    assert x_adv.numpy() == pytest.approx((x + 0.1).clamp(0, 1).numpy())
    assert torch.equal(verdict.success, model(x_adv).argmax(1) != y)
    images = x.reshape(5, 1, 2, 2)
    pgd, verdict = attack(
        "torchattacks.PGD",
        nn.Sequential(nn.Flatten(), *list(model)[1:]),
        images,
        y,
        1 - y,
        eps=0.5,
        alpha=0.1,
        steps=10,
    )
    assert float((pgd - images).abs().max()) <= 0.5 + 1e-6
    assert verdict.success.dtype == torch.bool


@pytest.mark.parametrize(
    ("method", "settings", "targeted", "sentence"),
    [
        ("own_code_for_tests:wrong_shape", {}, False, r"must return images of shape \(5, 4\), found \(5, 1\)"),
        ("torchattacks.NoSuch", {}, False, "has no attack 'torchattacks.NoSuch'"),
        ("torchattacks.PGD", {"epsilon": 1}, False, "unexpected keyword argument 'epsilon'"),
        ("torchattacks.DeepFool", {}, True, "cannot aim at a target; use targets: none"),
    ],
)
def test_attacks_that_do_not_fit_are_named(problem, method, settings, targeted, sentence):
    model, x, y = problem
    with pytest.raises(AttackError, match=sentence):
        attack(method, model, x, y, 1 - y if targeted else None, **settings)


def test_attacks_that_draw_get_the_seed(problem):
    model, x, y = problem
    assert attack("own_code_for_tests:seeded", model, x, y, seed=4)[0].numpy() == pytest.approx(0.4)
    state = torch.random.get_rng_state()
    first, again, other = (attack("own_code_for_tests:drawing", model, x, y, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_state_dicts_are_read_and_nothing_is_unpickled(tmp_path):
    model = fully_connected((4,), (3,), 2)
    plain, wrapped = tmp_path / "a.pt", tmp_path / "b.th"
    torch.save(model.state_dict(), plain)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}, "epoch": 3}, wrapped)
    for path in (plain, wrapped):
        found = read_state_dict(str(path))
        assert set(found) == set(model.state_dict())
        assert np.array_equal(found["fc1.weight"], model.fc1.weight.detach().numpy())
    for content in (model, [1, 2], {"a": 3}):
        torch.save(content, plain)
        with pytest.raises(ValueError, match=r"a\.pt: (not a file of tensors|expected a state_dict)"):
            read_state_dict(str(plain))
    plain.write_bytes(b"junk")
    with pytest.raises(ValueError, match="not a file of tensors"):
        read_state_dict(str(plain))
