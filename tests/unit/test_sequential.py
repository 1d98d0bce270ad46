"""Sequential binomial tests against brute force over all paths."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neighborhoods.statistics import sequential
from neighborhoods.statistics.sequential import sequential_test


def crossing_chance(share, looks, boundary, upper):
    """Chance that the count is beyond a boundary at any look, by the exact distribution over looks."""
    alive = {0: 1.0}
    crossed, before = 0.0, 0
    for look, limit in zip(looks, boundary, strict=True):
        moved = {}
        for count, chance in alive.items():
            for more in range(look - before + 1):
                step = chance * stats.binom.pmf(more, look - before, share)
                if (count + more >= limit) if upper else (count + more <= limit):
                    crossed += step
                else:
                    moved[count + more] = moved.get(count + more, 0.0) + step
        alive, before = moved, look
    return crossed


@settings(max_examples=12, deadline=None)
@given(st.floats(0.1, 0.95), st.sampled_from([12, 40, 70]), st.sampled_from([0.25, 0.025, 0.005]))
def test_the_level_is_kept_over_all_looks(share, samples, error):
    test = sequential_test(share, samples, error)
    assert crossing_chance(share, test.looks, test.above, True) <= error * (1 + 1e-9)
    assert crossing_chance(share, test.looks, test.below, False) <= error * (1 + 1e-9)


def test_a_tiny_case_by_every_path(monkeypatch):
    monkeypatch.setattr(sequential, "FIRST_LOOK", 4)
    test = sequential.sequential_test.__wrapped__(0.6, 12, 0.2)
    assert test.looks == (6, 12)
    chance = 0.0
    for path in itertools.product((0, 1), repeat=12):
        counts = np.cumsum(path)
        if any(counts[look - 1] >= limit for look, limit in zip(test.looks, test.above, strict=True)):
            chance += 0.6 ** sum(path) * 0.4 ** (12 - sum(path))
    assert chance <= 0.2
    assert chance == pytest.approx(crossing_chance(0.6, test.looks, test.above, True))


def test_the_last_look_loses_little_against_a_fixed_sample():
    test = sequential_test(0.7, 1000, 0.025)
    # Counts the fixed-sample exact test rejects from: one standard error is 14.5.
    assert stats.binom.isf(0.025, 1000, 0.7) + 1 <= test.above[-1] <= stats.binom.isf(0.025, 1000, 0.7) + 4
    assert stats.binom.ppf(0.025, 1000, 0.7) - 4 <= test.below[-1] <= stats.binom.ppf(0.025, 1000, 0.7) - 1


def test_many_samples_take_the_fast_convolution():
    test = sequential_test(0.7, 200_000, 0.025)
    assert abs(test.above[-1] - (stats.binom.isf(0.025, 200_000, 0.7) + 1)) < 0.05 * np.sqrt(0.21 * 200_000)
    assert test.looks[-1] == 200_000
    assert test.looks[0] >= sequential.FIRST_LOOK


@pytest.mark.parametrize("arguments", [(0.0, 10, 0.1), (0.5, 0, 0.1), (0.5, 10, 1.0)])
def test_bad_arguments_get_a_sentence(arguments):
    with pytest.raises(ValueError, match="expected share and error"):
        sequential_test(*arguments)
