"""Ranks of confidence, overlap of classes, wrong answers and nearest images against small loops and closed forms."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from neighborhoods.logits import confidence_ranks as ranks
from neighborhoods.logits import overlap
from neighborhoods.logits.nearest import nearest_by_logits
from neighborhoods.logits.wrong_answers import class_averages, wrong_answers

RNG = np.random.default_rng(0)


def test_confidence_orders_as_softmax_and_does_not_saturate():
    z = RNG.normal(size=(100, 5)) * 3
    p = special.softmax(z, -1).max(-1)
    np.testing.assert_allclose(ranks.confidence(z), np.log(p / (1 - p)))
    sure = np.array([[100.0, 0, 0], [101.0, 0, 0]])
    assert special.softmax(sure, -1)[0, 0] == special.softmax(sure, -1)[1, 0]
    assert ranks.confidence(sure)[0] < ranks.confidence(sure)[1]


def test_ranks_are_scipys_within_each_class():
    values, label = np.round(RNG.random((2, 40)), 1), RNG.integers(0, 3, 40)
    found = ranks.ranks_within(values, label)
    for seed, name in product(range(2), range(3)):
        here = label == name
        expected = (stats.rankdata(values[seed, here]) - 1) / (here.sum() - 1)
        np.testing.assert_allclose(found[seed, here], expected)
    assert ranks.ranks_within([3.0, 1.0, 2.0], [0, 1, 1]).tolist() == [0.5, 0, 1]


def far_by_loops(networks, label, pairs):
    """Share of images of each pair, pair by pair and image by image."""
    shares = []
    for (one, i), (two, j) in pairs:
        count = 0
        for image, name in enumerate(label):
            same = [other for other in range(len(label)) if label[other] == name]
            first, second = networks[one][i], networks[two][j]
            difference = sum(first[o] < first[image] for o in same) - sum(second[o] < second[image] for o in same)
            count += abs(difference) > 0.5 * (len(same) - 1)
        shares.append(count / len(label))
    return np.mean(shares)


def test_far_shares_are_counted_pair_by_pair():
    label = RNG.integers(0, 3, 60)
    base = RNG.random(60)
    networks = {"adversarial": base + 0.1 * RNG.random((3, 60)), "standard": RNG.random((3, 60))}
    found = ranks.far_shares(networks, label, replicates=200)
    kinds = {
        "adversarial": [(("adversarial", i), ("adversarial", j)) for i, j in combinations(range(3), 2)],
        "standard": [(("standard", i), ("standard", j)) for i, j in combinations(range(3), 2)],
        "mixed": [(("adversarial", i), ("standard", j)) for i, j in product(range(3), range(3))],
    }
    for kind, pairs in kinds.items():
        assert found[kind].value == pytest.approx(far_by_loops(networks, label, pairs))
    apart = (found["mixed"] - found["adversarial"]).estimate()
    assert apart.low > 0
    assert (apart.n, apart.networks) == (60, 6)


def test_equal_networks_are_never_far_apart_and_opposite_ones_known():
    values = np.arange(5.0)
    networks = {"adversarial": np.stack([values] * 2), "standard": np.stack([-values] * 2)}
    found = ranks.far_shares(networks, np.zeros(5), replicates=50)
    assert found["adversarial"].value == 0
    # Of differences 4, 2, 0, 2, 4 of at most 4 two are more than half.
    assert found["mixed"].value == pytest.approx(0.4)


def test_bootstrapped_spread_is_that_over_samples_of_images():
    def draw():
        base = RNG.random(100)
        label = np.arange(100) % 2
        networks = {kind: base + 0.9 * RNG.random((2, 100)) for kind in ("adversarial", "standard")}
        return ranks.far_shares(networks, label, replicates=200)["mixed"]

    found = [draw() for _ in range(60)]
    spread = np.var([one.value for one in found], ddof=1)
    total = np.mean([sum((part**2).sum() for part in one.parts.values()) for one in found])
    # A variance of 60 values is known to 18 %; the sum of both parts errs on the wide side.
    assert 0.6 * spread < total < 3 * spread


def test_corners_are_the_most_and_least_sure():
    one, two = np.array([0.0, 1.0, 0.1, 0.9, 0.5]), np.array([0.0, 1.0, 0.9, 0.1, 0.5])
    found = {name: rows.tolist() for name, rows in ranks.corners(one, two, 1).items()}
    assert found == {"both_high": [1], "both_low": [0], "adversarial_high": [3], "standard_high": [2]}


def test_plain_borders_do_not_depend_on_what_is_inside():
    x = np.zeros((3, 2, 12, 12))
    x[1, :, 4:8, 4:8] = 1
    x[2, :, 0] = 1
    spread = ranks.border_spread(x, 4)
    frame = np.r_[np.ones(12), np.zeros(144 - 16 - 12)]
    np.testing.assert_allclose(spread, [0, 0, frame.std()])
    with pytest.raises(ValueError, match="larger than two frames"):
        ranks.border_spread(x[..., :8, :8], 4)


def test_rank_relations_average_to_spearmans():
    label, other = np.zeros(50), RNG.random(50)
    values = other + RNG.random((2, 50))
    found = ranks.rank_relations(ranks.ranks_within(values, label), other, label).mean(1)
    np.testing.assert_allclose(found, [stats.spearmanr(row, other).statistic for row in values])
    assert np.isnan(ranks.rank_relations(values, np.ones(50), label)).all()


def overlap_by_sets(first, second):
    """AO@k from the definition, with sets."""
    found = []
    for k in range(1, len(first) + 1):
        shares = [len(set(first[:i]) & set(second[:i])) / i for i in range(1, k + 1)]
        found.append(sum(shares) / k)
    return found


@given(st.permutations(range(7)), st.permutations(range(7)), st.permutations(range(7)))
def test_average_overlap_is_that_of_sets(first, second, names):
    one, two = (np.argsort(order) for order in (first, second))
    found = overlap.average_overlap(one, two)
    np.testing.assert_allclose(found, overlap_by_sets(first, second))
    np.testing.assert_allclose(overlap.average_overlap(two, one), found)
    np.testing.assert_allclose(overlap.average_overlap(one[names], two[names]), found)
    np.testing.assert_allclose(overlap.average_overlap(one, one), 1)


def test_random_rankings_overlap_as_expected():
    n, draws = 10, 20000
    orders = RNG.permuted(np.tile(np.arange(n), (2, draws, 1)), axis=-1)
    found = overlap.average_overlap(*orders)
    # E O(i) = i / N, so that E AO@k = (k + 1) / (2 N).
    error = found.std(0) / np.sqrt(draws)
    assert (np.abs(found.mean(0) - np.arange(2, n + 2) / (2 * n)) < 4.5 * error).all()
    with pytest.raises(ValueError, match="same classes"):
        overlap.average_overlap(orders[0], orders[1][:, :5])


def test_places_count_larger_logits():
    z = np.array([[0.3, 2.0, -1.0], [1.0, 1.0, 2.0]])
    assert overlap.places(z).tolist() == [[1, 0, 2], [1, 2, 0]]


def test_exchanged_images_have_the_same_class_and_are_others():
    label = RNG.integers(0, 4, 50)
    label[0] = 9
    other = overlap.exchanged(label, np.random.default_rng(1))
    assert sorted(other) == list(range(50))
    np.testing.assert_array_equal(label[other], label)
    assert np.flatnonzero(other == np.arange(50)).tolist() == [0]


def test_overlaps_of_networks_are_means_over_pairs_and_images():
    z = {"adversarial": RNG.normal(size=(3, 20, 5)), "standard": RNG.normal(size=(2, 20, 5))}
    order = {kind: overlap.places(values) for kind, values in z.items()}
    found = overlap.overlaps(order)
    lists = {kind: np.argsort(-values, axis=-1) for kind, values in z.items()}
    pairs = {
        "adversarial": [(lists["adversarial"][i], lists["adversarial"][j]) for i, j in combinations(range(3), 2)],
        "mixed": [(a, b) for a in lists["adversarial"] for b in lists["standard"]],
    }
    for kind, members in pairs.items():
        means = [np.mean([overlap_by_sets(a[i], b[i]) for i in range(20)], axis=0) for a, b in members]
        np.testing.assert_allclose(found[kind].pairs, means)
        np.testing.assert_allclose(found[kind].average.value, np.mean(means, axis=0))
        np.testing.assert_allclose(found[kind].deviation(), np.std(means, axis=0, ddof=1))
    assert np.isnan(found["standard"].deviation()).all()


def test_exchanging_images_changes_nothing_where_a_class_has_one_order():
    label = np.arange(30) % 3
    z = RNG.normal(size=(3, 5))[label] + np.zeros((2, 30, 5))
    order = {kind: overlap.places(z) for kind in ("adversarial", "standard")}
    found = overlap.overlaps(order, label, exchanges=2)
    np.testing.assert_allclose(found["mixed"].average.value, 1)


def test_crossing_is_interpolated_between_sure_signs():
    value = np.array([-0.4, -0.2, -0.1, 0.1, 0.2, 0.3])
    k, low, high = overlap.crossing(value, value - 0.15, value + 0.15)
    assert (k, low, high) == pytest.approx((3.5, 2, 5))
    assert overlap.crossing(value, value - 9, value + 9) == pytest.approx((3.5, 1, 6))
    assert np.isnan(overlap.crossing(-value, -value, -value)).all()


def test_wrong_answers_have_the_ranks_of_a_loop():
    classes, n = 5, 200
    label = RNG.integers(0, classes, n)
    z = RNG.normal(size=(3, n, classes)) + 1.5 * np.eye(classes)[label]
    averages = np.stack([class_averages(one, label) for one in z])
    found = wrong_answers(averages, z.argmax(-1), label, "standard")
    for seed in range(3):
        at = []
        for image in range(n):
            answer, truth = z[seed, image].argmax(), label[image]
            if answer != truth:
                right = [z[seed, i] for i in range(n) if label[i] == truth and z[seed, i].argmax() == truth]
                mean = np.mean(right, axis=0)
                at.append(1 + sum(mean > mean[answer]))
        assert found.n[seed] == len(at)
        expected = np.bincount(at, minlength=classes + 1)[1:] / len(at)
        np.testing.assert_allclose(found.by_seed[seed], expected)
    np.testing.assert_allclose(found.share.value, found.by_seed.mean(0))
    np.testing.assert_allclose(found.rank.value, (found.by_seed * np.arange(1, 6)).sum(1).mean())
    rest = np.delete(found.by_seed, 1, axis=1).max(1)
    np.testing.assert_allclose(found.lead.value, (found.by_seed[:, 1] - rest).mean())
    # The variance of a share of n wrong answers, averaged over one seed alone.
    one = wrong_answers(averages[:1], z[:1].argmax(-1), label, "standard")
    p = one.by_seed[0]
    np.testing.assert_allclose((one.share.parts["image"] ** 2).sum(0), p * (1 - p) / one.n[0] * n / (n - 1))


def test_classes_without_a_right_answer_are_left_out():
    z = np.array([[2.0, 1, 0], [0, 1, 2], [1, 0, 2], [0, 2, 1]])
    label = np.array([0, 1, 1, 0])
    means = class_averages(z, label)
    np.testing.assert_allclose(means[0], z[0])
    assert np.isnan(means[1:]).all()
    found = wrong_answers(means[None], z.argmax(1)[None], label, "a")
    assert found.n.tolist() == [1]
    assert found.share.value.tolist() == [0, 1, 0]
    nobody = wrong_answers(means[None], label[None], label, "a")
    assert np.isnan(nobody.share.value).all()


def test_nearest_images_are_those_of_a_loop():
    n, count = 30, 4
    z, x, label = RNG.normal(size=(n, 3)), RNG.random((n, 1, 4, 4)), RNG.integers(0, 3, n)
    query = np.array([5, 0, 17])
    tensors = [torch.from_numpy(part) for part in (z, x, label, query)]
    found = nearest_by_logits(*tensors, count)
    for row, q in enumerate(query):
        cosine = [z[q] @ z[i] / np.linalg.norm(z[q]) / np.linalg.norm(z[i]) for i in range(n)]
        order = [i for i in np.argsort(cosine)[::-1] if i != q][:count]
        assert found.index[row].tolist() == order
        np.testing.assert_allclose(found.cosine[row], np.array(cosine)[order])
        assert float(found.same_class[row]) == np.mean(label[order] == label[q])
        usual = np.mean([np.linalg.norm(x[i] - x[q]) for i in range(n) if label[i] == label[q] and i != q])
        near = np.mean([np.linalg.norm(x[i] - x[q]) for i in order])
        assert float(found.log_distance[row]) == pytest.approx(np.log(near / usual))
    scaled = nearest_by_logits(tensors[0] * torch.rand(n, 1), *tensors[1:], count)
    assert torch.equal(scaled.index, found.index)
    with pytest.raises(ValueError, match="neighbours"):
        nearest_by_logits(*tensors, n)


def test_the_only_image_of_a_class_has_no_distance_to_compare():
    z, x = torch.randn(6, 3, dtype=torch.double), torch.rand(6, 4)
    label = torch.tensor([0, 1, 1, 1, 1, 1])
    found = nearest_by_logits(z, x, label, torch.tensor([0, 1]), 2)
    assert torch.isnan(found.log_distance).tolist() == [True, False]


def test_the_same_image_twice_has_no_distance_to_compare():
    # Enough queries for a product of matrices, whose rounding leaves equal images 1e-8 apart.
    z, x, label = torch.randn(60, 3, dtype=torch.double), torch.rand(60, 50), torch.arange(60) % 2
    z[1], x[1] = z[0], x[0]
    found = nearest_by_logits(z, x, label, torch.arange(60), 1)
    assert found.index[:2, 0].tolist() == [1, 0]
    assert torch.isnan(found.log_distance).tolist() == [True] * 2 + [False] * 58


def test_ranks_exactly_half_the_range_apart_do_not_lie_far_apart():
    # 0.1 + 0.5 and 0.7 - 0.2 are not 0.6 and 0.5 in binary.
    first, second = [0.0, 0.1, 0.7, 0.2], [0.5, 0.1 + 0.5, 0.2, 0.75]
    assert ranks.far_apart(first, second).tolist() == [False, False, False, True]
    assert ranks.far_apart(second, first).tolist() == [False, False, False, True]
