import pytest
import torch
import torchattacks

from neighborhoods.attacks import jsma as jsma_module
from neighborhoods.attacks.methods import AttackError, attack
from neighborhoods.training.minibatch import predict
from tests.unit.attack_cases import CLASSES, SETTINGS, Broken, Flat, Negative, linear


def test_a_common_shift_of_the_logits_changes_no_attack_by_carlini_and_wagner():
    model = linear()
    x = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x[:, :, :2] = 0.0
    y = predict(model, x)
    for target in (None, (y + 1) % CLASSES):
        _, first = attack("cw", model, x, y, target, adam_steps=150, c=0.1, search_steps=5)
        _, second = attack("cw", Negative(model), x, y, target, adam_steps=150, c=0.1, search_steps=5)
        assert bool(first.success.all())
        assert bool(second.success.all())
        assert second.distortion.numpy() == pytest.approx(first.distortion.numpy(), rel=0.02)


def test_carlini_and_wagner_move_pixels_that_lie_on_the_box():
    # Only the black pixels matter, as when a stroke is drawn on MNIST's background.
    w = torch.zeros(64, dtype=torch.float64)
    w[:16] = torch.linspace(0.5, 1.0, 16)
    model = linear(classes=2)
    with torch.no_grad():
        model[1].weight.copy_(torch.stack([torch.zeros_like(w), w]))
        model[1].bias.copy_(torch.tensor([1.0, 0.0]))
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, :, :2] = 0.0
    y = torch.zeros(5, dtype=torch.int64)
    made, verdict = attack("cw", model, x, y, c=0.1, search_steps=7)
    assert bool(verdict.success.all())
    exact = float(1 / w.norm())
    assert (made - x).flatten(1).norm(dim=1).numpy() == pytest.approx(exact, rel=0.02)
    # torchattacks' arctanh is infinite there, so that these pixels never move.
    other = torchattacks.CW(model, c=1.0, steps=300)(x, y)
    assert bool((predict(model, other.detach()) == y).all())


def test_where_carlini_and_wagner_find_nothing_the_image_comes_back():
    x = torch.full((3, 1, 8, 8), 0.7)
    made, verdict = attack("cw", Flat(), x, torch.zeros(3, dtype=torch.int64), adam_steps=3, search_steps=2)
    assert torch.equal(made, x)
    assert not bool(verdict.success.any())


@pytest.mark.parametrize("method", ["cw", "deepfool"])
def test_images_that_are_wrong_already_are_left_alone(method):
    model = linear()
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = predict(model, x)
    wrong = torch.arange(6) % 2 == 0
    made, verdict = attack(method, model, x, torch.where(wrong, (y + 1) % CLASSES, y), **SETTINGS[method])
    assert bool(verdict.success.all())
    assert verdict.distortion[wrong].tolist() == [0.0] * 3
    assert torch.equal(made[wrong], x[wrong])
    assert float(verdict.distortion[~wrong].min()) > 0


def test_deepfool_with_a_thousand_classes_asks_for_few_gradients():
    model = linear(classes=1000)
    x = 0.5 + 0.05 * torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = predict(model, x)
    made, verdict = attack("deepfool", model, x, y, overshoot=0.01, candidates=10)
    assert bool(verdict.success.all())
    assert float(verdict.queries.max()) <= 9 * 20
    logits, weight = model(x).detach(), model[1].weight.detach()
    distances = (logits.gather(1, y[:, None]) - logits) / (weight[y][:, None] - weight[None]).norm(dim=2)
    nearest = distances.gather(1, logits.topk(10).indices[:, 1:]).amin(1)
    # The nearest of ten faces bounds the way from above: 1 % of overshoot, and 1e-4 a step that foolbox adds.
    assert bool(((made - x).flatten(1).norm(dim=1) <= 1.01 * nearest + 20e-4).all())


def test_jsma_moves_the_pixels_of_torchattacks_jsma():
    model = linear(scale=4.0).float()
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.9
    y = predict(model, x)
    target = (y + 1) % CLASSES
    made, verdict = attack("jsma", model, x, y, target, theta=0.3, pixel_share=0.3)
    other = torchattacks.JSMA(model, theta=0.3, gamma=0.3)
    other.set_mode_targeted_by_label(quiet=True)
    # It writes into its input.
    expected = other(x.clone(), target)
    assert int(verdict.success.sum()) > 0
    assert made.numpy() == pytest.approx(expected.detach().numpy(), abs=1e-6)
    # Darkening is brightening of the negative; torchattacks takes the least salient pair there.
    mirrored = Broken(lambda x: model(1 - x))
    dark, _ = attack("jsma", mirrored, 1 - x, y, target, theta=-0.3, pixel_share=0.3)
    assert (1 - dark).numpy() == pytest.approx(made.numpy(), abs=1e-5)


def test_jsma_works_in_groups_and_refuses_what_does_not_fit(monkeypatch):
    model = linear()
    x = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = predict(model, x)
    whole, _ = attack("jsma", model, x, y, (y + 1) % CLASSES)
    each = jsma_module.TEMPORARIES * 64**2 * 8
    monkeypatch.setattr(jsma_module, "MEMORY_BYTES", 2 * each)
    grouped, _ = attack("jsma", model, x, y, (y + 1) % CLASSES)
    assert torch.equal(whole, grouped)
    monkeypatch.setattr(jsma_module, "MEMORY_BYTES", each - 1)
    with pytest.raises(AttackError, match="jsma compares all pairs of pixels, which takes .* GiB for an image of 64"):
        attack("jsma", model, x, y, (y + 1) % CLASSES)
