"""Statistics of claims about manifolds over layers, against least squares, Student's intervals and brute force."""

import numpy as np
import pytest
from scipy import stats

from neighborhoods.evidence.manifolds import (
    capacity_over_simulated,
    capacity_tracks,
    layer_difference,
    layer_trend,
    layers_alike,
)
from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED
from neighborhoods.manifolds.mean_field import center_correlation

LAYERS, MANIFOLDS = 6, 25


def made(seed=0, slopes=(0.1, 0.1, 0.1, 0.1), noise=0.05, radius=1.0, correlation=0.2):
    """A network of an input, four layers and logits that have no numbers."""
    generator = np.random.default_rng(seed)
    steps = np.concatenate([[0], np.cumsum(slopes), [np.nan]])[:, None]

    def around(centre):
        return centre + noise * generator.standard_normal((LAYERS, MANIFOLDS))

    rows = around(1 + steps)
    return {
        "layers": np.array(["input", "a", "b", "c", "d", "logits"]),
        "index": np.arange(MANIFOLDS),
        "is_logits": np.arange(LAYERS) == LAYERS - 1,
        "adversarial/status": np.array(["ok"] * 5 + ["expected more features"]),
        "adversarial/manifolds/capacity": 1 / rows,
        "adversarial/manifolds/radius": around(radius + 0 * steps),
        "adversarial/manifolds/dimension": around(3 * radius + 0 * steps),
        "adversarial/manifolds/center_correlation": around(correlation + 0 * steps),
        "adversarial/capacity/value": 1 / rows.mean(1),
    }


def test_slopes_are_those_of_least_squares_for_each_manifold():
    cell = made(slopes=(0.3, 0.1, -0.2, -0.3))
    rows = 1 / cell["adversarial/manifolds/capacity"]
    for part, places, sign in (("early", [0, 1, 2], 1), ("late", [2, 3, 4], -1), ("last", [3, 4], -1)):
        slopes = np.array([np.polyfit(range(len(places)), row, 1)[0] for row in rows[places].T])
        low, high = stats.t.interval(0.9, MANIFOLDS - 1, slopes.mean(), stats.sem(slopes))
        found = layer_trend([cell], "inverse_capacity", part, sign, 0.9)
        assert [found.measured, found.low, found.high] == pytest.approx([slopes.mean(), low, high])
        assert (found.n, found.verdict) == (MANIFOLDS, REPRODUCED)
        assert layer_trend([cell], "inverse_capacity", part, -sign, 0.9).verdict == NOT_REPRODUCED
    # Two claims at once: a level of 0.95 each.
    several = layer_trend([cell], "inverse_capacity", "last", -1, 0.9, comparisons=2)
    assert several.high == pytest.approx(layer_trend([cell], "inverse_capacity", "last", -1, 0.95).high)


def test_a_flat_quantity_decides_nothing():
    assert layer_trend([made()], "radius", "early", 1, 0.999).verdict == UNDECIDED


def test_differences_are_paired_and_leave_the_input_out():
    first, second = made(1), made(2, slopes=(0.2, 0.2, 0.1, 0.1))
    # What all networks share does not count.
    shift = np.linspace(0, 5, MANIFOLDS)
    for cell in (first, second):
        cell["adversarial/manifolds/radius"] = cell["adversarial/manifolds/radius"] + shift
    second["adversarial/manifolds/radius"][0] += 100
    second["adversarial/manifolds/radius"][1:3] += 0.5
    found = layer_difference([second, first], "radius", "early", 1, 0.95)
    values = (second["adversarial/manifolds/radius"] - first["adversarial/manifolds/radius"])[1:3].mean(0)
    low, high = stats.t.interval(0.95, MANIFOLDS - 1, values.mean(), stats.sem(values))
    assert [found.measured, found.low, found.high] == pytest.approx([values.mean(), low, high])
    assert found.verdict == REPRODUCED
    assert found.high - found.low < 0.1
    late = layer_difference([second, first], "inverse_capacity", "late", 1, 0.95)
    # 1.4, 1.5, 1.6 less 1.2, 1.3, 1.4, to four standard errors.
    assert late.measured == pytest.approx(0.2, abs=4 * 0.05 * np.sqrt(2 / (3 * MANIFOLDS)))


def test_likeness_is_that_of_the_least_alike_layer():
    first, second = made(3, noise=0.02), made(4, noise=0.02)
    assert layers_alike([first, second], "dimension", 0.2, 0.95).verdict == REPRODUCED
    second["adversarial/manifolds/dimension"][3] += 2
    found = layers_alike([first, second], "dimension", 0.2, 0.95)
    values = first["adversarial/manifolds/dimension"][3] - second["adversarial/manifolds/dimension"][3]
    mean = (first["adversarial/manifolds/dimension"][3] + second["adversarial/manifolds/dimension"][3]).mean() / 2
    low, high = stats.t.interval(1 - 0.05 / 4, MANIFOLDS - 1, values.mean(), stats.sem(values))
    assert [found.measured, found.low, found.high] == pytest.approx(np.array([values.mean(), low, high]) / mean)
    assert found.verdict == NOT_REPRODUCED
    # Neither the input nor the logits count.
    third = made(5, noise=0.02)
    third["adversarial/manifolds/dimension"][[0, 5]] += 50
    assert layers_alike([first, third], "dimension", 0.2, 0.95).verdict == REPRODUCED


def test_correlations_of_centres_have_the_jackknife_over_manifolds():
    generator = np.random.default_rng(0)
    pairs = generator.random((12, 12))
    pairs = (pairs + pairs.T) / 2
    apart = ~np.eye(12, dtype=bool)
    rows = np.array([pairs[i][apart[i]].mean() for i in range(12)])
    without = []
    for i in range(12):
        kept = np.delete(np.arange(12), i)
        part = pairs[np.ix_(kept, kept)]
        without.append(part[~np.eye(11, dtype=bool)].mean())
    error = np.sqrt(11 / 12 * np.sum((np.array(without) - np.mean(without)) ** 2))
    found = center_correlation(rows, 0.9)
    assert found.value == pytest.approx(pairs[apart].mean())
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.95, 11) * error)


def test_capacities_are_compared_over_layers_and_networks():
    cells = [made(seed, slopes=(0.3, 0.2, -0.1, 0.2)) for seed in range(3)]
    logs = []
    for cell, factor in zip(cells, (1.08, 1.1, 1.12), strict=True):
        cell["adversarial/simulated/value"] = cell["adversarial/capacity/value"] / factor
        # Simulation may fail where the theory does not.
        cell["adversarial/simulated/value"][1] = np.nan
        logs += [np.log(factor)] * 4
    found = capacity_over_simulated(cells, 0.95, expects=1)
    assert (found.n, found.verdict) == (12, REPRODUCED)
    assert found.measured == pytest.approx(np.exp(np.mean(logs)))
    # Equal ratios within a network: Student's interval over the three networks.
    low, high = stats.t.interval(0.95, 2, np.mean(logs), stats.sem(logs[::4]))
    assert [found.low, found.high] == pytest.approx(np.exp([low, high]))
    assert capacity_over_simulated(cells, 0.95, margin=0.5).verdict == REPRODUCED
    assert capacity_over_simulated(cells, 0.95, margin=0.01).verdict == NOT_REPRODUCED
    tracked = capacity_tracks(cells, 0.5, 0.95)
    theory, simulated = (
        np.concatenate([cell[f"adversarial/{name}/value"][[0, 2, 3, 4]] for cell in cells])
        for name in ("capacity", "simulated")
    )
    assert tracked.measured == pytest.approx(stats.spearmanr(theory, simulated).statistic)
    assert tracked.n == 12
    # Networks are left out one at a time, with all of their layers.
    without = [
        stats.spearmanr(np.delete(theory, slice(4 * i, 4 * i + 4)), np.delete(simulated, slice(4 * i, 4 * i + 4)))[0]
        for i in range(3)
    ]
    error = np.sqrt(2 / 3 * np.sum((without - np.mean(without)) ** 2))
    assert tracked.low == pytest.approx(tracked.measured - stats.t.ppf(0.975, 2) * error)
    assert tracked.high <= 1


def test_what_is_not_there_decides_nothing():
    cell = made()
    assert capacity_over_simulated([cell, made(1)], 0.95, expects=1) is None
    assert capacity_tracks([cell, made(1)], 0.8, 0.95) is None
    alone = made()
    alone["adversarial/simulated/value"] = alone["adversarial/capacity/value"] * 0.9
    assert capacity_tracks([alone], 0.8, 0.95) is None
    cell["adversarial/status"] = np.array(["ok", "ok", *["expected more features"] * 4])
    assert layer_trend([cell], "radius", "early", 1, 0.95) is None
    assert layer_difference([cell, made(1)], "radius", "late", 1, 0.95) is None


def test_networks_of_other_exemplars_are_not_compared():
    other = made(1)
    other["index"] = other["index"] + 1
    with pytest.raises(ValueError, match="the same exemplars, found others in 'index'"):
        layer_difference([made(), other], "radius", "early", 1, 0.95)


def test_the_ledger_knows_the_statistics():
    assert {"layer_trend", "layer_difference", "layers_alike", "capacity_tracks", "capacity_over_simulated"} <= set(
        STATISTICS
    )
