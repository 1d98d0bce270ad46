"""Verdicts on claims about accuracies and students follow the arrays they are decided from."""

import numpy as np
import pytest
from scipy import stats

from neighborhoods.evidence import students as evidence
from neighborhoods.evidence.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED
from neighborhoods.statistics.seed_accuracies import mean_over_seeds, right, share_over_seeds

LEVEL = {"confidence": 0.95}
IMAGES = 400


def network(adversarial, natural=None, images=IMAGES, seed=0, index=None):
    """Robustness of a network whose accuracies by seed are those given; natural ones are 1 where left out."""
    generator = np.random.default_rng(seed)
    broken = np.ones((len(adversarial), images), int)
    for row, survives, correct in zip(broken, adversarial, natural or [1.0] * len(adversarial), strict=True):
        order = generator.permutation(images)
        row[order[: round(survives * images)]] = 0
        row[order[round(correct * images) :]] = -1
    return {"broken_by": broken, "index": np.arange(images) if index is None else index}


def crossed_interval(values, confidence=0.95):
    """The same from its definition, one mean at a time."""
    seeds, images = values.shape
    by_seed = sum((row.mean() - values.mean()) ** 2 for row in values) / (seeds - 1) / seeds
    by_image = sum((column.mean() - values.mean()) ** 2 for column in values.T) / (images - 1) / images
    freedom = (by_seed + by_image) ** 2 / (by_seed**2 / (seeds - 1) + by_image**2 / (images - 1))
    return stats.t(freedom, values.mean(), np.sqrt(by_seed + by_image)).interval(confidence)


def test_mistakes_and_survivors_are_told_apart():
    broken = [[0, 1, 2, -1], [0, 0, 0, 2]]
    assert right(broken, "natural").tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert right(broken, "adversarial").tolist() == [[1, 0, 0, 0], [1, 1, 1, 0]]
    with pytest.raises(ValueError, match="expected natural or adversarial accuracy, found 'clean'"):
        right(broken, "clean")


def test_an_interval_holds_seeds_and_images():
    values = np.random.default_rng(1).normal(0.3, 1.0, (3, 50)) + np.array([[0.2], [0.0], [-0.3]])
    found = mean_over_seeds(values)
    assert (found.low, found.high) == pytest.approx(crossed_interval(values))
    assert (found.value, found.n) == (pytest.approx(values.mean()), 50)
    assert np.isnan(mean_over_seeds(values[:1]).low)


@pytest.mark.parametrize(("of_seeds", "of_images"), [(0.3, 0.1), (0.05, 1.0), (0.1, 0.5)])
def test_intervals_cover_the_mean_of_other_seeds_and_images(of_seeds, of_images):
    generator = np.random.default_rng(2)
    runs, hits = 600, 0
    for _ in range(runs):
        values = generator.normal(0, of_seeds, (3, 1)) + generator.normal(0, of_images, 40)
        found = mean_over_seeds(values + generator.normal(0, 0.3, (3, 40)))
        hits += found.low <= 0 <= found.high
    # One error in a thousand for intervals that hold 0.94: Satterthwaite's law is an approximation.
    assert hits >= stats.binom.ppf(0.001, runs, 0.94)


def test_no_hit_leaves_the_exact_interval_of_the_images():
    found = share_over_seeds(np.zeros((3, 500)))
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 500))
    assert share_over_seeds(np.ones((3, 500))).low == pytest.approx(0.025 ** (1 / 500))


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((0.5, 0.52, 0.48), (0.3, 0.28, 0.31), REPRODUCED),
        ((0.3, 0.28, 0.31), (0.5, 0.52, 0.48), NOT_REPRODUCED),
        ((0.31, 0.29, 0.3), (0.3, 0.3, 0.29), UNDECIDED),
        # Two seeds for the claim and one against it.
        ((0.6, 0.6, 0.2), (0.3, 0.3, 0.4), UNDECIDED),
        ((0.5,), (0.3,), UNDECIDED),
    ],
)
def test_orders_are_paired_over_seeds_and_images(first, second, verdict):
    cells = [network(first, seed=1), network(second, seed=2)]
    found = evidence.accuracy_difference(cells, "adversarial", 1.0, **LEVEL)
    assert found.verdict == verdict
    assert found.measured == pytest.approx(100 * (np.mean(first) - np.mean(second)))
    if len(first) > 1:
        apart = right(cells[0]["broken_by"], "adversarial") - right(cells[1]["broken_by"], "adversarial")
        assert (found.low, found.high) == pytest.approx([100 * limit for limit in crossed_interval(apart)])
        both = evidence.accuracy_difference(cells, "adversarial", 1.0, **LEVEL, comparisons=2)
        assert (both.low, both.high) == pytest.approx([100 * limit for limit in crossed_interval(apart, 0.975)])


def test_the_same_images_make_a_comparison_sharper():
    cells = [network((0.5, 0.5, 0.5), seed=1), network((0.45, 0.45, 0.45), seed=1)]
    sharp = evidence.accuracy_difference(cells, "adversarial", 1.0, **LEVEL)
    blunt = evidence.accuracy_difference([cells[0], network((0.45,) * 3, seed=2)], "adversarial", 1.0, **LEVEL)
    assert sharp.high - sharp.low < 0.5 * (blunt.high - blunt.low)


def test_networks_that_saw_other_images_are_not_compared():
    cells = [network((0.5, 0.5)), network((0.5, 0.5), index=np.arange(IMAGES)[::-1])]
    with pytest.raises(ValueError, match="tried on the same images"):
        evidence.accuracy_difference(cells, "adversarial", 1.0, **LEVEL)


@pytest.mark.parametrize(
    ("points", "published", "verdict"), [(8.0, 31.0, REPRODUCED), (1.0, 31.0, UNDECIDED), (5.0, 50.0, NOT_REPRODUCED)]
)
def test_published_accuracies_are_equivalence_tests(points, published, verdict):
    cell = network((0.3, 0.31, 0.29), natural=(0.9, 0.9, 0.9), images=1000)
    found = evidence.accuracy_near([cell], "adversarial", published, 0.34, points, **LEVEL)
    assert (found.verdict, found.n) == (verdict, 1000)
    assert found.measured == pytest.approx(30.0)
    # A published number of three seeds that scatter widely decides nothing.
    assert evidence.accuracy_near([cell], "adversarial", 31.0, 10.0, 8.0, **LEVEL).verdict == UNDECIDED


def test_a_published_difference_is_an_equivalence_test():
    cells = [network((0.5, 0.5, 0.51), images=4000, seed=1), network((0.25, 0.26, 0.25), images=4000, seed=2)]
    for points, published, verdict in ((5.0, 25.0, REPRODUCED), (0.5, 25.0, UNDECIDED), (5.0, 40.0, NOT_REPRODUCED)):
        assert evidence.difference_near(cells, "adversarial", published, points, **LEVEL).verdict == verdict


@pytest.mark.parametrize(
    ("shares", "images", "verdict"),
    [
        ((0.0, 0.0, 0.0), 500, REPRODUCED),
        ((0.0, 0.0, 0.0), 100, UNDECIDED),
        ((0.001, 0.001, 0.002), 10000, REPRODUCED),
        ((0.0, 0.0, 0.02), 500, UNDECIDED),
        ((0.12, 0.1, 0.11), 500, NOT_REPRODUCED),
    ],
)
def test_no_robustness_needs_enough_images(shares, images, verdict):
    assert evidence.no_robustness([network(shares, images=images)], 1.0, **LEVEL).verdict == verdict


def test_trends_follow_the_order_of_networks():
    means = [(0.1, 0.12, 0.11), (0.2, 0.21, 0.2), (0.28, 0.3, 0.29), (0.31, 0.3, 0.3)]
    cells = [network(mean, seed=seed) for seed, mean in enumerate(means)]
    found = evidence.accuracy_trend(cells, "adversarial", 1.0, **LEVEL)
    shares = [right(cell["broken_by"], "adversarial").mean() for cell in cells]
    assert found.measured == pytest.approx(100 * np.polyfit(range(4), shares, 1)[0])
    assert found.verdict == REPRODUCED
    assert evidence.accuracy_trend(cells[::-1], "adversarial", 1.0, **LEVEL).verdict == NOT_REPRODUCED
    assert evidence.accuracy_trend(cells[:1] * 3, "adversarial", 1.0, **LEVEL).verdict == UNDECIDED
    assert evidence.accuracy_trend(cells[:2], "adversarial", 1.0, **LEVEL) is None


def test_shares_of_robustness_have_the_delta_methods_interval():
    generator = np.random.default_rng(3)
    survives = generator.random((3, 4000)) < 0.4
    keeps = survives & (generator.random(survives.shape) < 0.8)
    cells = [{"broken_by": (~hits).astype(int), "index": np.arange(4000)} for hits in (keeps, survives)]
    found = evidence.share_kept(cells, 0.8, 0.1, **LEVEL)
    assert found.measured == pytest.approx(keeps.mean() / survives.mean())
    assert found.verdict == REPRODUCED
    assert evidence.share_kept(cells, 0.99, 0.05, **LEVEL).verdict == NOT_REPRODUCED
    # Images resampled whole make the larger part of the error here; the seeds' part can only widen the interval.
    rows = generator.integers(4000, size=(500, 4000))
    resampled = keeps.mean(0)[rows].mean(1) / survives.mean(0)[rows].mean(1)
    assert (found.high - found.low) / 2 >= 0.9 * 1.96 * resampled.std()
    # Without one survivor the exact interval of the images remains.
    lost = {"broken_by": np.ones((3, 4000), int), "index": np.arange(4000)}
    none = evidence.share_kept([lost, cells[1]], 0.8, 0.1, **LEVEL)
    assert (none.measured, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx((1 - 0.025 ** (1 / 4000)) / survives.mean())
    assert evidence.share_kept([cells[0], lost], 0.8, 0.1, **LEVEL) is None


def test_late_networks_are_held_against_the_best():
    early, best, late = network((0.3, 0.31, 0.3)), network((0.4, 0.41, 0.4), seed=1), network((0.0, 0.0, 0.0), seed=2)
    lost = evidence.last_of_best([early, best, late], **LEVEL, most=0.1)
    assert (lost.measured, lost.verdict) == (0.0, REPRODUCED)
    kept = evidence.last_of_best([early, best, network((0.38, 0.4, 0.39), seed=3)], **LEVEL, least=0.5)
    assert kept.verdict == REPRODUCED
    assert kept.measured == pytest.approx(0.39 / np.mean([0.4, 0.41, 0.4]), rel=0.01)
    assert evidence.last_of_best([early, best, network((0.38, 0.4, 0.39))], **LEVEL, most=0.1).verdict == NOT_REPRODUCED
    assert evidence.last_of_best([best, network((0.05, 0.0, 0.06))], **LEVEL, most=0.1).verdict == UNDECIDED
    assert evidence.last_of_best([best], **LEVEL) is None
    assert evidence.last_of_best([late, best], **LEVEL) is None


def student(l1, kl):
    return {"history/l1": np.array([9.0, l1]), "history/kl": np.array([9.0, kl])}


def test_final_losses_are_compared_in_pairs_of_seeds():
    by_l1 = [student(0.2, 0.02), student(0.21, 0.05), student(0.19, 0.01)]
    by_kl = [student(0.4, 0.03), student(0.45, 0.02), student(0.4, 0.02)]
    lower = evidence.ends_lower(by_l1 + by_kl, "l1", **LEVEL)
    test = stats.ttest_rel(np.log([0.2, 0.21, 0.19]), np.log([0.4, 0.45, 0.4])).confidence_interval(0.95)
    assert (lower.low, lower.high) == pytest.approx((test.low, test.high))
    assert (lower.verdict, lower.n) == (REPRODUCED, 3)
    assert evidence.ends_lower(by_kl + by_l1, "l1", **LEVEL).verdict == NOT_REPRODUCED
    assert evidence.ends_lower(by_l1 + by_kl, "kl", **LEVEL).verdict == UNDECIDED
    assert evidence.ends_lower(by_l1[:1] + by_kl[:1], "l1", **LEVEL) is None


@pytest.mark.parametrize(
    ("points", "published", "verdict"), [(3.0, 19.6, REPRODUCED), (0.5, 19.6, UNDECIDED), (3.0, 30.0, NOT_REPRODUCED)]
)
def test_train_errors_count_wrong_answers(points, published, verdict):
    generator = np.random.default_rng(4)
    cells = []
    for error in (0.195, 0.2, 0.205):
        label = generator.integers(10, size=2000)
        answer = np.where(np.arange(2000) < error * 2000, (label + 1) % 10, label)
        cells.append({"label": label, "logits": np.eye(10)[answer]})
    found = evidence.train_error_near(cells, published, 0.6, points, **LEVEL)
    assert found.measured == pytest.approx(20.0)
    assert (found.verdict, found.n) == (verdict, 2000)
