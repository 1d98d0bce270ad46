"""Images too large to keep their noise, and convolutional networks made fast: the same results."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from neighborhoods.networks.folding import fold_batch_norms
from neighborhoods.networks.inference import FullPrecision, HalfPrecision, half_pays
from neighborhoods.persistence import noise
from neighborhoods.persistence.bracketing import bracketing
from neighborhoods.persistence.measure import persistence, stability_curve
from neighborhoods.persistence.noise import BLOCK, LARGEST_SMALL, RedrawnNoise, is_large, noise_directions
from neighborhoods.persistence.sampling import LARGEST_BATCH, deciding, fitting_batch, neighborhoods_of

SHAPE = (3, 105, 105)


class SamePadding(nn.Conv2d):
    """A convolution with code of its own, as EfficientNet has."""

    def forward(self, x):
        return nn.functional.conv2d(nn.functional.pad(x, (0, 1, 0, 1)), self.weight, self.bias, self.stride)


class Residual(nn.Module):
    """Normalisation, batch norms behind convolutions with and without bias, a residual, a norm behind none."""

    def __init__(self, channels=16, classes=20):
        super().__init__()
        self.first = SamePadding(3, channels, 3, stride=2, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=i != 1) for i in range(3))
        self.head = nn.Linear(channels, classes)
        for module in self.norms:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)

    def forward(self, x):
        x = (x * 255 - 127) / 128
        x = nn.functional.relu6(self.norms[0](self.first(x)))
        x = nn.functional.relu(x + self.norms[1](self.second(x)))
        return self.head(self.norms[2](x).mean((2, 3)))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Residual().eval().requires_grad_(False)


def brightness(x):
    """Two classes: whether the mean of the first row's pixels is positive. Sums of few float64: no rounding counts."""
    level = x.double()[:, 0, 0].sum(1)
    return torch.stack([-level, level], 1)


def photos(images=2, shape=SHAPE):
    return torch.rand(images, *shape, generator=torch.Generator().manual_seed(3))


def test_large_images_are_those_above_a_number_of_values():
    assert not is_large((LARGEST_SMALL,))
    assert is_large((LARGEST_SMALL + 1,))
    assert is_large((3, 224, 224))
    assert not is_large((3, 32, 32))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 4), st.sampled_from(["gaussian", "ball"]))
def test_any_part_of_the_noise_is_the_same_however_it_is_drawn(count, start, room, kind):
    shape, pixels = (1, 3, LARGEST_SMALL // 3 + 1), 3 * (LARGEST_SMALL // 3 + 1)
    source = RedrawnNoise(shape, 5, 7, kind, torch.zeros(1), room * 4 * BLOCK * pixels)
    whole = [noise_directions(shape, start + count, 5, 7 + i) for i in (1, 0)]
    if kind == "ball":
        whole = [z * noise.ball_scale(z.flatten(1).double().square().sum(1), pixels, 5, 7 + i).reshape(-1, 1, 1, 1)
                 for z, i in zip(whole, (1, 0), strict=True)]  # fmt: skip
    for _ in range(2):
        taken = source.take(torch.tensor([1, 0]), start, start + count)
        for row, z in zip(taken, whole, strict=True):
            # The norm of a direction may be summed in another order: one rounding of float32.
            assert torch.allclose(row, z[start:], rtol=2e-7, atol=0)


def test_noise_of_large_images_is_standard_normal_and_independent():
    z = torch.stack([noise_directions(SHAPE, 2 * BLOCK, seed, 0).flatten(1) for seed in (0, 1)]).flatten(0, 1)
    assert stats.kstest(z[::5].flatten()[:50_000].numpy(), "norm").pvalue > 1e-4
    # Off-diagonal correlations of n independent coordinates have standard errors of 1 / sqrt(n).
    correlation = np.corrcoef(z.numpy()) - np.eye(len(z))
    assert np.abs(correlation).max() < 5 / np.sqrt(z.shape[1])


@pytest.mark.parametrize("kind", ["gaussian", "ball"])
def test_results_do_not_depend_on_memory_or_batches(kind):
    x = photos() * 0.01 + 0.02
    search = {"samples": 40, "noise": kind, "sigma_min": 0.02, "sigma_max": 2.0, "scan_factor": 2.0}
    expected = persistence(brightness, x, **search)
    assert expected.status == ["ok"] * 2
    curve = stability_curve(brightness, x, [0.1, 1.0], 30, noise=kind)
    for memory_mb, batch_size in ((1, 256), (3, 5), (20, 33)):
        size = {"memory_mb": memory_mb, "batch_size": batch_size}
        found = persistence(brightness, x, **search, **size)
        for name in ("sigma", "low", "high", "recrosses", "evaluations"):
            assert torch.equal(getattr(found, name), getattr(expected, name))
        again = stability_curve(brightness, x, [0.1, 1.0], 30, noise=kind, **size)
        assert torch.equal(again.frequency, curve.frequency)


def test_persistence_of_a_half_space_among_large_images():
    # The mean of 105 pixels at 0.1 lies 0.1 sqrt(105) from the boundary; errata: sigma* = 1.907 distances, a standard
    # error of log sigma* of 8 % at 1000 samples, hence of 18 % at 200 (of one side, twice as many count).
    found = persistence(brightness, torch.full((4, *SHAPE), 0.1), samples=200, confidence=0.999)
    exact = np.log(1.907 * 0.1 * np.sqrt(SHAPE[2]))
    assert float(found.sigma.log().mean()) == pytest.approx(exact, abs=4 * 0.18 / 2)
    # Four intervals miss with a chance of at most 4 in a thousand.
    assert bool((found.low.log() < exact).all())
    assert bool((found.high.log() > exact).all())


def test_memory_is_bounded():
    # 400 directions of these two images take 481 MB.
    code = """
import resource, torch
from neighborhoods.persistence.measure import stability_curve
torch.set_num_threads(1)
model = lambda x: torch.stack([-x[:, 0, 0].sum(1), x[:, 0, 0].sum(1)], 1)
x = torch.full((2, 3, 224, 224), 0.1)
stability_curve(model, x, [0.1], 8, memory_mb=30)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
stability_curve(model, x, [0.1, 1.0], 400, memory_mb=30)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Blocks of 30 MB are kept; the rest are batches and what the allocator holds back. ru_maxrss counts kilobytes (bytes on a Mac).
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 150 * 2**20


def test_the_reference_algorithm_takes_large_images_in_pieces():
    sizes = []

    def model(x):
        sizes.append(len(x))
        return brightness(x)

    bracketing(model, torch.full((1, *SHAPE), 0.1), samples=300, max_steps=2)
    assert max(sizes) == LARGEST_BATCH // (3 * 105 * 105)


def test_batches_of_large_images_fit_a_cpu():
    assert fitting_batch(256, (3, 224, 224), "cpu") == 32
    assert fitting_batch(4, (3, 224, 224), "cpu") == 4
    assert fitting_batch(256, (3, 4000, 4000), "cpu") == 1
    assert fitting_batch(256, (3, 224, 224), "cuda") == 256
    assert fitting_batch(4096, (1, 28, 28), "cpu") == 4096


def test_batch_norms_are_folded(network):
    x = photos(shape=(3, 32, 32))
    double = network.double()
    folded = fold_batch_norms(double, x.double())
    kinds = [type(module) for module in folded.norms]
    assert kinds == [nn.Identity, nn.Identity, nn.BatchNorm2d]
    assert all(type(module) is nn.BatchNorm2d for module in network.norms)
    # A handful of roundings of double precision.
    assert torch.allclose(folded(x.double()), double(x.double()), rtol=1e-12, atol=1e-12)


def test_batch_norms_are_not_folded_where_that_changes_the_logits():
    class Twice(nn.Module):
        """The convolution's output has a second use."""

        def __init__(self):
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.norm.running_mean.fill_(0.5)

        def forward(self, x):
            x = self.convolution(x)
            return (x + self.norm(x)).mean((2, 3))

    class Shared(Twice):
        """The convolution is used twice."""

        def forward(self, x):
            return (self.norm(self.convolution(x)) + self.convolution(x)).mean((2, 3))

    x = photos(shape=(3, 8, 8))
    torch.manual_seed(0)
    for model in (Twice().eval(), Shared().eval()):
        with torch.no_grad():
            assert torch.allclose(fold_batch_norms(model, x)(x), model(x), rtol=1e-5)
    hooked = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).eval()
    hooked[0].register_forward_hook(lambda module, taken, given: given + 1)
    assert fold_batch_norms(hooked, x) is hooked
    plain = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    assert fold_batch_norms(plain, x) is plain


def test_fast_forms_decide_as_double_precision(network):
    x = photos(1, (3, 32, 32))
    g = torch.Generator().manual_seed(1)
    points = torch.cat([x + sigma * torch.randn(600, 3, 32, 32, generator=g) for sigma in (0.05, 0.3, 2.0)])
    with torch.no_grad():
        logits = network.double()(points.double())
        top = logits.topk(2, 1).values
        # Single precision may turn what leads by less than this part of the largest logit.
        clear = (top[:, 0] - top[:, 1]) > 1e-5 * logits.abs().amax(1)
        single = network.float()
        own = logits.argmax(1)[torch.randperm(len(points), generator=g)]
        for decider in (deciding(single, x, half=False), deciding(single, x, half=True)):
            labels = torch.cat([decider.labels(part) for part in points.split(64)])
            kept = torch.cat([decider.kept(*parts) for parts in zip(points.split(64), own.split(64), strict=True)])
            assert torch.equal(labels[clear], logits.argmax(1)[clear])
            assert torch.equal(kept[clear], (logits.argmax(1) == own)[clear])
        assert decider.repeated < 0.8 * decider.images


def test_half_precision_is_refused_where_it_is_another_function(network, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    x = photos(shape=(3, 32, 32))

    class Chaotic(Residual):
        def forward(self, x):
            return torch.sin(1e4 * super().forward(x))

    assert half_pays(network, "cpu")
    assert not half_pays(nn.Sequential(nn.Conv2d(3, 16, 3), nn.LayerNorm(30)), "cpu")
    with torch.no_grad():
        assert isinstance(deciding(network, x), HalfPrecision)
        other = Chaotic().eval().requires_grad_(False)
        assert isinstance(deciding(other, x), FullPrecision)


def test_large_images_through_a_network_in_both_precisions(network):
    curves = [stability_curve(network, photos(1), [0.1, 0.5], 24, half=half).frequency for half in (False, True)]
    assert torch.equal(*curves)
    piece = next(neighborhoods_of(network, photos(1), 4, 0, 256, 16))
    assert piece.class_counts(torch.tensor([0.1])).sum() == 4


def test_models_that_cannot_be_folded_are_used_as_they_are():
    torch.manual_seed(0)
    normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    model = nn.Sequential(normed, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(fold_batch_norms(model, x)(x), model(x))
    model.lock = threading.Lock()
    assert fold_batch_norms(model, x) is model
    assert persistence(model, x, samples=20).sigma.shape == (2,)


def test_half_precision_learns_its_error_for_each_octave_of_noise():
    # Leads are wrong by a tenth of the noise: what is learnt from little noise says nothing of much.
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0], [-1.0]]) * torch.ones(1, 12))
    decider = HalfPrecision(model)
    generator = torch.Generator().manual_seed(0)
    decider._copy = lambda points: model(points) + 2.0 * points.std() * torch.randn(len(points), 2, generator=generator)
    own = torch.zeros(256, dtype=torch.int64)
    wrong = 0
    for sigma in (0.001, 0.001, 1.0, 1.0, 1.0):
        points = sigma * torch.randn(256, 3, 2, 2, generator=generator)
        kept = decider.kept(points, own, torch.full((256,), sigma))
        wrong += int((kept != (model(points).argmax(1) == 0)).sum())
    # Beyond four standard errors, learnt from at least 32, hardly one of 1280 noisy images is decided wrongly; with the
    # error of little noise all that lie near the boundary would be (some 30 of the last 256, by the next lines).
    assert wrong <= 6
    wrongly = (decider._copy(points).argmax(1) != model(points).argmax(1)).sum()
    assert int(wrongly) > 15
