import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

from neighborhoods.training.augmentation import augment
from neighborhoods.training.schedules import Schedule, kept_rows


def multi_step(base, factor, drops, epochs):
    """torch's rates of epochs 1 to `epochs`; it counts steps from 0."""
    stepper = torch.optim.SGD([nn.Parameter(torch.zeros(1))], base)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(stepper, [drop - 1 for drop in drops], factor)
    rates = []
    for _ in range(epochs):
        rates.append(scheduler.get_last_lr()[0])
        stepper.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("drops", [(), (3,), (3, 5), (5, 3, 7)])
def test_rates_are_those_of_torch(drops):
    schedule = Schedule(8, 1, 0.1, drops=drops, drop_factor=0.2)
    assert [schedule.rate(epoch) for epoch in range(1, 9)] == pytest.approx(multi_step(0.1, 0.2, drops, 8))


def test_with_the_published_quirk_a_second_drop_changes_nothing():
    schedule = Schedule(8, 1, 0.1, drops=(3, 5), restart_drops=True)
    assert [schedule.rate(epoch) for epoch in range(1, 9)] == pytest.approx(multi_step(0.1, 0.1, (3,), 8))


def test_validation_images_are_so_many_of_each_class():
    labels = np.random.default_rng(0).integers(4, size=100)
    kept = kept_rows(labels, 5, seed=1)
    apart = np.setdiff1d(np.arange(100), kept)
    assert np.bincount(labels[apart]).tolist() == [5] * 4
    assert np.all(np.diff(kept) > 0)
    assert len(kept) == 80
    assert np.array_equal(kept, kept_rows(labels, 5, seed=1))
    assert not np.array_equal(kept, kept_rows(labels, 5, seed=2))
    assert np.array_equal(kept_rows(labels, 0, seed=1), np.arange(100))


def test_no_class_is_set_apart_as_a_whole():
    with pytest.raises(ValueError, match="expected fewer than 2 validation images a class, found 2"):
        kept_rows(np.array([0, 0, 0, 1, 1]), 2, seed=0)


def variants(image, crop, flip):
    """All images that crops and flips can make of one [C, R, K], by loops."""
    padded = functional.pad(image, (crop,) * 4)
    rows, columns = image.shape[1:]
    found = []
    for down in range(2 * crop + 1):
        for right in range(2 * crop + 1):
            window = padded[:, down : down + rows, right : right + columns]
            found += [window, window.flip(2)] if flip else [window]
    return torch.stack(found)


@pytest.mark.parametrize(("crop", "flip"), [(1, True), (2, False), (0, True)])
def test_each_image_becomes_one_of_its_own_crops_and_flips_and_all_are_as_likely(crop, flip):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(1800, 2, 4, 5, generator=generator)
    counts = 0
    for image, result in zip(images, augment(images, crop, flip, generator), strict=True):
        same = (variants(image, crop, flip) == result).flatten(1).all(1)
        assert int(same.sum()) == 1
        counts += same.long()
    # Uniform among all variants; with this seed, and one in a thousand otherwise, the test passes.
    assert stats.chisquare(counts).pvalue > 1e-3


def test_augmentation_that_is_off_draws_nothing():
    generator = torch.Generator().manual_seed(0)
    x, before = torch.rand(3, 7), generator.get_state()
    assert augment(x, 0, False, generator) is x
    assert torch.equal(generator.get_state(), before)
    with pytest.raises(ValueError, match=r"need images \[B, colours, rows, columns\], found \(3, 7\)"):
        augment(x, 1, False, generator)
