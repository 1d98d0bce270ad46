"""Intervals over images and trainings that are crossed agree with closed forms, loops and simulated coverage."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from neighborhoods.logits.network_pairs import compared, network_pairs
from neighborhoods.statistics.crossed import crossed


def one_each(kind, seeds):
    return [((kind, seed),) for seed in range(seeds)]


def test_both_sources_of_variance_add_up():
    values = np.random.default_rng(0).normal(size=(4, 30)) + np.arange(4)[:, None]
    found = crossed(values, one_each("standard", 4)).estimate(0.9)
    images, seeds = stats.sem(values.mean(0)) ** 2, stats.sem(values.mean(1)) ** 2
    freedom = (images + seeds) ** 2 / (images**2 / 29 + seeds**2 / 3)
    interval = stats.t.interval(0.9, freedom, values.mean(), np.sqrt(images + seeds))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(interval)
    assert (found.n, found.networks) == (30, 4)


def test_shared_images_are_paired():
    generator = np.random.default_rng(1)
    first = generator.normal(size=40)
    second = first + 0.1 * generator.normal(size=40) - 0.3
    rows = [crossed(np.stack([x, x]), one_each(kind, 2)) for x, kind in ((first, "a"), (second, "b"))]
    found = (rows[0] - rows[1]).estimate()
    # Equal rows leave no variance between trainings: what remains is Student's paired interval.
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.networks == 4


def test_shared_trainings_are_paired_and_other_images_are_not():
    generator = np.random.default_rng(2)
    seeds = generator.normal(size=(3, 1))
    parts = [
        crossed(seeds + generator.normal(size=(1, n)), one_each("a", 3), name) for n, name in ((20, "x"), (30, "y"))
    ]
    found = parts[0] - parts[1]
    assert (found.parts["a"] ** 2).sum() == pytest.approx(0, abs=1e-20)
    variances = [(part.parts[name] ** 2).sum() for part, name in zip(parts, "xy", strict=True)]
    assert found.estimate().standard_error ** 2 == pytest.approx(sum(variances))
    assert found.estimate().n == 50


def test_pairs_are_jackknifed_over_networks():
    values = np.random.default_rng(3).random((4, 50))
    pairs = compared({"adversarial": values, "standard": values}, lambda a, b: np.abs(a - b))
    members = network_pairs({"adversarial": 4, "standard": 4})
    found = crossed(pairs["adversarial"], members["adversarial"])
    left = []
    for seed in range(4):
        kept = [s for s in range(4) if s != seed]
        left.append(np.mean([np.abs(values[i] - values[j]).mean() for i, j in combinations(kept, 2)]))
    assert (found.parts["adversarial"] ** 2).sum() == pytest.approx(3 * np.var(left))
    assert [len(members[kind]) for kind in ("adversarial", "standard", "mixed")] == [6, 6, 16]
    # A pair alone says nothing of other trainings.
    alone = crossed(pairs["adversarial"][:1], members["adversarial"][:1]).estimate()
    assert np.isnan(alone.low)


def test_intervals_hold_for_other_images_and_seeds():
    generator = np.random.default_rng(4)
    held = 0
    for _ in range(400):
        values = 0.3 * generator.normal(size=(3, 1)) + generator.normal(size=(1, 40)) + generator.normal(size=(3, 40))
        found = crossed(values, one_each("a", 3)).estimate()
        held += bool(found.low <= 0 <= found.high)
    # At least 95 % by design; 0.915 is three standard errors below.
    assert held / 400 >= 0.915


def test_values_that_never_differ_have_no_interval_and_limits_are_cut():
    constant = crossed(np.zeros((3, 5)), one_each("a", 3)).estimate()
    assert constant.value == 0
    assert np.isnan(constant.standard_error)
    wide = crossed(np.diag([1.0, 1, 0]), one_each("a", 3)).estimate(0.9999, 0, 1)
    assert (wide.low, wide.high) == (0, 1)


def test_shares_of_none_and_all_have_exact_intervals():
    hits = np.zeros((3, 40, 3))
    hits[..., 1] = 1
    hits[:2, :20, 2] = 1
    found = crossed(hits, one_each("a", 3), share=True).estimate(0.9)
    assert (found.low[0], found.high[0]) == pytest.approx((0, stats.beta.ppf(0.95, 1, 40)))
    assert (found.low[1], found.high[1]) == pytest.approx((stats.beta.ppf(0.05, 40, 1), 1))
    plain = crossed(hits, one_each("a", 3)).estimate(0.9, 0, 1)
    assert (found.low[2], found.high[2]) == (plain.low[2], plain.high[2])
    # A difference of shares is none.
    apart = (crossed(hits, one_each("a", 3), share=True) - crossed(hits, one_each("b", 3), share=True)).estimate()
    assert np.isnan(apart.low[:2]).all()


@pytest.mark.parametrize(("shape", "rows"), [((0, 5), 0), ((3, 5), 2), ((3, 1), 3)])
def test_wrong_shapes_are_refused(shape, rows):
    with pytest.raises(ValueError, match="two images or more"):
        crossed(np.zeros(shape), one_each("a", rows))


def test_pairs_need_two_seeds():
    with pytest.raises(ValueError, match="two seeds"):
        network_pairs({"adversarial": 1, "standard": 3})
