import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from neighborhoods.boundary.dropout import (
    fitted_density,
    masked,
    normality,
    trace_lines,
)
from neighborhoods.networks.architectures import build, fully_connected

MASKS = 40


pytestmark = pytest.mark.usefixtures("one_thread")


def factors(model, x, masks=MASKS, seed=0):
    """What each mask multiplies the units of every dropout layer with, seen from outside: [masks, units] each."""
    seen = []
    with masked(model, x, masks, seed) as dropping, torch.no_grad():
        dropping.rows = torch.arange(masks)
        layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
        # Called after those that drop.
        handles = [
            layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output))) for layer in layers
        ]
        model(x.expand(masks, *x.shape[1:]))
        for handle in handles:
            handle.remove()
    return [torch.where(before != 0, after / before, torch.nan) for before, after in seen]


def test_places_of_a_masked_linear_network_are_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.4), nn.Linear(30, 2)).double()
    start, end = 1 + torch.rand(2, 3, 30, generator=generator, dtype=torch.float64)
    (scale,) = factors(model, start[:1])
    assert scale.numpy() == pytest.approx((scale > 0).numpy() / 0.6)
    found = trace_lines(model, start, end, masks=MASKS, points=17, seed=0)
    w, b = model[1].weight[1] - model[1].weight[0], model[1].bias[1] - model[1].bias[0]
    with torch.no_grad():
        at_start, at_end = (torch.einsum("lp,mp,p->lm", x, scale, w) + b for x in (start, end))
    crosses = (at_start > 0) != (at_end > 0)
    assert 5 < int(crosses.sum()) < crosses.numel()
    line, mask = crosses.nonzero(as_tuple=True)
    assert torch.equal(found.line, line)
    assert torch.equal(found.mask, mask)
    expected = (at_start / (at_start - at_end))[line, mask]
    # Bisection ends at a sixteenth over 2^14.
    assert found.place.numpy() == pytest.approx(expected.numpy(), abs=1 / 16 / 2**14)
    assert torch.equal(found.before, (at_start > 0).long()[line, mask])
    assert torch.equal(found.after, 1 - found.before)
    assert bool(found.first.all()), "a linear network of two classes is left once"


def test_one_mask_holds_along_a_line_and_is_the_same_for_all():
    torch.manual_seed(0)
    model = fully_connected((1, 3, 3), (12, 8), 4, dropout=0.5)
    with torch.no_grad():
        for layer in (model.fc1, model.fc2, model.fc3):
            layer.weight *= 3
    generator = torch.Generator().manual_seed(1)
    start, end = torch.randn(2, 5, 1, 3, 3, generator=generator)
    found = trace_lines(model, start, end, masks=MASKS, points=33, seed=4)
    # A bright image, whose units behind the first layer's ReLUs are read off where they are on; off, they do not matter.
    with masked(model, start[:1], MASKS, 4) as dropping, torch.no_grad():
        for mask in range(MASKS):
            for line in range(len(start)):
                # Points one by one, so that no other mask or line can interfere.
                t = found.t.float()[:, None, None, None]
                dropping.rows = torch.tensor([mask])
                alone = torch.cat(
                    [model(x[None]) for x in torch.addcmul(start[line], t, end[line] - start[line])]
                ).argmax(1)
                assert torch.equal(alone, found.classes[line, mask])
    assert len(found.classes.unique()) == 4
    changes = found.classes[..., 1:] != found.classes[..., :-1]
    assert torch.equal(changes.sum((1, 2)), torch.bincount(found.line, minlength=5))
    assert torch.equal(found.changes_per_mask(), changes.sum(-1))
    step = 1 / 32
    left = (found.place / step).floor().long()
    assert bool(changes[found.line, found.mask, left].all()), "each place lies where the class changes"
    assert int(found.first.sum()) == int(changes.any(-1).sum())


def test_masks_are_those_of_explicit_networks():
    torch.manual_seed(0)
    model = fully_connected((1, 2, 2), (7, 6), 3, dropout=0.3)
    x = torch.rand(1, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    first, second = factors(model, x)
    with masked(model, x, MASKS, 0) as dropping, torch.no_grad():
        dropping.rows = torch.arange(MASKS)
        together = model(x.expand(MASKS, 1, 2, 2))
    for mask in range(MASKS):
        # Units that are off hide their factor, and do not matter.
        hidden = torch.relu(model.fc1(x.flatten(1))) * first[mask].nan_to_num()
        hidden = torch.relu(model.fc2(hidden)) * second[mask].nan_to_num()
        assert torch.allclose(model.fc3(hidden), together[mask], atol=1e-6)


def test_units_are_kept_as_often_as_they_should():
    model = nn.Sequential(nn.Dropout(0.2), nn.Linear(50, 2))
    (scale,) = factors(model, torch.ones(1, 50), masks=2000)
    kept = float((scale > 0).double().mean())
    assert kept == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / 100_000))
    assert float(scale.mean()) == pytest.approx(1, abs=4 * math.sqrt(0.25 / 100_000))


def test_results_hang_on_the_seed_and_not_on_batches():
    model = build((1, 18, 18), 3, architecture="bell_cnn", channels=2, dropout=0.4)
    generator = torch.Generator().manual_seed(1)
    start, end = 3 * torch.randn(2, 2, 1, 18, 18, generator=generator)
    model.train()
    first, again, other = (
        trace_lines(model, start, end, masks=10, points=9, seed=seed, batch_size=size)
        for seed, size in ((0, 7), (0, 100), (1, 100))
    )
    assert torch.equal(first.classes, again.classes)
    assert torch.allclose(first.place, again.place, atol=1e-4)
    assert not torch.equal(first.classes, other.classes)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    # Every mask but those of the first line alone are there whatever lines follow.
    alone = trace_lines(model, start[:1], end[:1], masks=10, points=9, seed=0)
    assert torch.equal(alone.classes[0], first.classes[0])
    with torch.no_grad():
        plain = model.eval()(torch.cat([start, end])).argmax(1)
    assert torch.equal(first.plain[:, [0, -1]], plain.reshape(2, 2).T)


class Bump(nn.Module):
    """Class 0 for small, 2 for large first coordinates, and 1 between them unless the second one is dropped."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        dropped = self.drop(x)[:, 1] == 0
        d = x[:, 0] - 0.5
        return torch.stack([-d - 0.05, 0.1 - d.abs() - 9 * dropped, d - 0.05], 1)


def test_third_classes_are_counted():
    start, end = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    model = Bump()
    found = trace_lines(model, start, end, masks=200, points=41, seed=3)
    meets = (found.classes == 1).any(-1)
    assert 60 < int(meets.sum()) < 140
    assert torch.equal(found.third, meets)
    assert torch.equal(found.between, meets)
    assert found.changes_per_mask()[0].tolist() == [2 if hit else 1 for hit in meets[0]]
    # |d| - 0.05 < 0.1 - |d| holds for |d| < 0.075.
    places = found.place[found.mask == int(meets[0].nonzero()[0])]
    assert places.numpy() == pytest.approx([0.425, 0.575], abs=1e-5)
    lines = found.order()[0]
    ranked = [float(found.place[(found.mask == mask) & found.first]) for mask in lines]
    assert ranked == sorted(ranked)
    assert int(found.third.sum()) == int(meets.sum())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": fully_connected((1, 2, 2), (3,), 2)}, "no dropout layer that drops anything"),
        ({"end": torch.rand(1, 1, 2, 3)}, "images of one shape"),
        ({"masks": 0}, "masks and batch_size >= 1 and points >= 2, found 0"),
        ({"points": 1}, "points >= 2"),
    ],
)
def test_bad_input_gets_a_sentence(change, sentence):
    model = fully_connected((1, 2, 2), (3,), 2, dropout=0.5)
    images = torch.rand(2, 1, 1, 2, 2)
    call = {"model": model, "start": images[0], "end": images[1], "masks": 3} | change
    with pytest.raises(ValueError, match=sentence):
        trace_lines(**call)


def test_tests_of_normality_are_scipys_and_tell_laws_apart():
    generator = np.random.default_rng(0)
    places = stats.norm.ppf((np.arange(400) + 0.5) / 400, 0.5, 0.1)
    found = normality(places)
    assert (found.summary.n, found.summary.mean, found.deviation) == pytest.approx((400, 0.5, 0.1), rel=0.01)
    assert min(found.shapiro_p, found.agostino_p) > 0.5
    assert found.anderson_p == 0.15
    assert (found.shapiro, found.agostino) == pytest.approx(
        (stats.shapiro(places).statistic, stats.normaltest(places).statistic)
    )
    skewed = normality(generator.exponential(size=400))
    assert max(skewed.shapiro_p, skewed.agostino_p) < 1e-10
    assert skewed.anderson_p == 0.01
    assert skewed.skewness == pytest.approx(2, abs=0.8)
    at, density = fitted_density(found)
    assert np.trapezoid(density, at) == pytest.approx(1, abs=1e-4)


def test_few_or_no_places_have_no_tests():
    few, none = normality([0.1, 0.2]), normality([])
    assert few.summary.n == 2
    assert few.deviation == pytest.approx(math.sqrt(0.005))
    assert none.summary.n == 0
    assert math.isnan(few.shapiro_p)
    assert np.isnan(fitted_density(none)[1]).all()


def test_a_mask_with_several_places_is_one_cluster():
    summary = normality([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]).summary
    assert (summary.n, summary.clusters) == (4, 2)
