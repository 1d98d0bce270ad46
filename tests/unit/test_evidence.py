"""Statistics behind verdicts, against SciPy, closed forms and made-up results with known answers."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from neighborhoods.cones.closed_forms import orthant_persistence
from neighborhoods.evidence.statistics import STATISTICS
from neighborhoods.evidence.verdicts import NOT_AS_PRINTED, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from neighborhoods.statistics.intervals import NO_VALUES, summarize

LEVEL = {"confidence": 0.95}


def summary(values, group="summary", clusters=None):
    found = summarize(values, clusters)
    return {f"{group}/{name}": np.asarray(getattr(found, name)) for name in found.__dataclass_fields__}


def normal_sample(mean, deviation, n):
    """A sample of exactly this mean and standard deviation."""
    values = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return mean + deviation * values / values.std(ddof=1)


@pytest.mark.parametrize(
    ("share", "n", "answer"),
    [(0.921, 10000, REPRODUCED), (0.98, 10000, NOT_REPRODUCED), (0.93, 10000, UNDECIDED), (0.921, 500, UNDECIDED)],
)
def test_an_accuracy_agrees_within_points(share, n, answer):
    cell = {"test_accuracy": share, "test_images": n}
    found = STATISTICS["accuracy"]([cell], published=92.09, published_n=10000, points=1.0, **LEVEL)
    assert found.verdict == answer
    exact = stats.binomtest(round(share * n), n).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((100 * exact.low, 100 * exact.high))


@pytest.mark.parametrize(
    ("mean", "n", "answer"),
    [(1.0, 300, REPRODUCED), (1.4, 300, NOT_REPRODUCED), (1.25, 300, UNDECIDED), (1.0, 5, UNDECIDED)],
)
def test_a_mean_agrees_within_a_factor(mean, n, answer):
    cell = summary(normal_sample(mean, 0.5 * mean, n))
    found = STATISTICS["mean"]([cell], group="summary", published=1.0, published_n=300, factor=1.25, **LEVEL)
    assert found.verdict == answer
    t = stats.t.ppf(0.975, n - 1)
    half = t * 0.5 * mean / np.sqrt(n)
    assert (found.measured, found.low, found.high) == pytest.approx((mean, mean - half, mean + half))


def test_a_published_mean_of_few_values_is_worth_less():
    cell = summary(normal_sample(1.0, 0.5, 1000))
    settings = {"group": "summary", "published": 1.0, "factor": 1.25, **LEVEL}
    assert STATISTICS["mean"]([cell], published_n=300, **settings).verdict == REPRODUCED
    assert STATISTICS["mean"]([cell], published_n=10, **settings).verdict == UNDECIDED


@pytest.mark.parametrize("comparisons", [1, 5])
def test_a_difference_is_that_of_welch_at_the_shared_level(comparisons):
    first, second = normal_sample(1.0, 0.3, 40), normal_sample(1.2, 0.6, 60)
    cell = summary(first, "adversarial/summary") | summary(second, "natural/summary")
    settings = {"groups": ["adversarial/summary", "natural/summary"], "expects": -1, "comparisons": comparisons}
    found = STATISTICS["mean_difference"]([cell], **settings, **LEVEL)
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(1 - 0.05 / comparisons)
    assert (found.low, found.high) == pytest.approx((welch.low, welch.high))
    assert found.verdict == (REPRODUCED if welch.high < 0 else UNDECIDED)


def test_columns_of_two_attacks_are_compared_over_clusters():
    index = np.repeat(np.arange(20), 3)
    first = {"index": index, "success": np.ones(60, bool), "queries": np.full(60, 40.0), "distortion": index * 0.01}
    second = dict(first, success=index % 2 == 0, queries=100.0 + index, distortion=index * 0.01 + 1)
    compare = STATISTICS["column_difference"]
    found = compare([first, second], column="success", expects=1, **LEVEL)
    # The first never fails, and three targets of one image count once.
    exact = stats.ttest_1samp(np.arange(20) % 2 == 0, 0.0).confidence_interval()
    assert (found.measured, found.low, found.high) == pytest.approx((0.5, 1 - exact.high, 1 - exact.low))
    assert found.verdict == REPRODUCED
    # Both attack the same images: the test is the paired one, over images.
    queries = compare([dict(first, queries=95.0 + index + index % 3), second], column="queries", expects=-1, **LEVEL)
    paired = stats.ttest_1samp(np.arange(20) % 3 - 5.0, 0.0).confidence_interval()
    assert (queries.low, queries.high) == pytest.approx((paired.low, paired.high))
    # Queries count every image, distortions the successes alone.
    assert compare([first, second], column="queries", expects=-1, **LEVEL).n == 120
    assert compare([first, second], column="distortion", expects=-1, **LEVEL).n == 90
    # Always against never: exact limits of both, over 20 images.
    never = dict(second, success=np.zeros(60, bool))
    sure = compare([first, never], column="success", expects=1, **LEVEL)
    exact = stats.binomtest(20, 20).proportion_ci(0.975, method="exact")
    assert (sure.measured, sure.low, sure.high) == pytest.approx((1, 2 * exact.low - 1, 1))
    nothing = dict(second, success=np.zeros(60, bool))
    assert compare([first, nothing], column="distortion", expects=-1, **LEVEL) is None


def test_a_trend_is_kendalls_tau():
    centres = [3.0, 1.0, 2.0, 0.5, 0.4]
    cells = [summary(normal_sample(mean, 0.01, 100)) for mean in centres]
    trend = STATISTICS["rank_trend"]
    found = trend(cells, group="summary", expects=-1, **LEVEL)
    tau = stats.kendalltau(range(5), centres).statistic
    # Errors of 0.001 swap nothing.
    assert (found.measured, found.low, found.high) == pytest.approx((tau, tau, tau))
    assert found.verdict == REPRODUCED
    assert trend(cells[::-1], group="summary", expects=-1, **LEVEL).verdict == NOT_REPRODUCED
    blurred = [summary(normal_sample(mean, 50.0, 100)) for mean in centres]
    assert trend(blurred, group="summary", expects=-1, **LEVEL).verdict == UNDECIDED
    assert trend(cells[:2], group="summary", expects=-1, **LEVEL) is None


def test_small_means_and_differences_of_logarithms():
    cell = summary(normal_sample(0.02, 0.1, 100), "a") | summary(normal_sample(0.3, 0.1, 100), "b")
    assert STATISTICS["small_mean"]([cell], group="a", factor=1.1, **LEVEL).verdict == REPRODUCED
    assert STATISTICS["small_mean"]([cell], group="b", factor=1.1, **LEVEL).verdict == NOT_REPRODUCED
    difference = STATISTICS["small_difference"]
    assert difference([cell], groups=["a", "b"], factor=1.1, **LEVEL).verdict == NOT_REPRODUCED
    assert difference([cell], groups=["a", "b"], factor=1.4, **LEVEL).verdict == REPRODUCED
    contrast = STATISTICS["contrast"]([cell], group="a", expects=1, **LEVEL)
    exact = stats.ttest_1samp(normal_sample(0.02, 0.1, 100), 0.0).confidence_interval()
    assert (contrast.low, contrast.high) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("adversarial", [NO_VALUES, summarize([0.4])], ids=["no success", "one success"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mean_difference", {"groups": ["adversarial", "natural"], "expects": -1}),
        ("small_difference", {"groups": ["adversarial", "natural"], "factor": 1.1}),
        ("contrast", {"group": "adversarial", "expects": 1}),
        ("small_mean", {"group": "adversarial", "factor": 1.1}),
        ("mean_between", {"group": "adversarial", "least": 0.9}),
        ("mean_above", {"group": "adversarial", "at_least": 0.9}),
    ],
)
def test_means_without_an_interval_say_nothing(name, arguments, adversarial):
    cell = summary(normal_sample(1.0, 0.5, 30), "natural")
    cell |= {f"adversarial/{key}": np.asarray(value) for key, value in asdict(adversarial).items()}
    assert STATISTICS[name]([cell], **arguments, **LEVEL) is None
    trend = [{f"s/{key}": np.asarray(value) for key, value in asdict(adversarial).items()}] * 3
    assert STATISTICS["rank_trend"](trend, group="s", expects=-1, **LEVEL) is None


@pytest.fixture
def cones():
    """Orthants of 1 and 2 faces: exact but for 1 %, the outer point of 2 faces beyond the range."""
    wobble = np.exp(normal_sample(0.0, 0.01, 20))
    inside = orthant_persistence(1.0, [1, 2], 0.7)[:, None] * wobble
    outside = np.stack([inside[0], np.full(20, 100.0)])
    status = np.full((2, 20), "ok")
    return {
        "faces": np.array([1, 2]), "inside/sigma": inside, "outside/sigma": outside,
        "inside/status": status, "outside/status": np.array([status[0], ["censored_high"] * 20]),
    }  # fmt: skip


def test_orthants_against_the_closed_form(cones):
    orthant = STATISTICS["orthant"]
    assert orthant([cones], faces=2, published=1.020, factor=1.05, **LEVEL).verdict == REPRODUCED
    assert orthant([cones], faces=1, published=1.5, factor=1.05, **LEVEL).verdict == NOT_REPRODUCED
    assert orthant([cones], faces=3, published=1.0, factor=1.05, **LEVEL) is None
    longer = STATISTICS["outside_longer"]
    assert longer([cones], faces=2, **LEVEL).verdict == REPRODUCED
    # A flat boundary has no inside and outside.
    assert longer([cones], faces=1, **LEVEL).verdict == UNDECIDED


def test_a_printed_deviation_fails_where_its_correction_holds():
    cell = {"784/gaussian/mean": 6.998, "784/gaussian/mean_error": 0.001, "784/gaussian/norm": np.zeros(9)}
    cell |= {"784/gaussian/deviation": 0.18, "784/gaussian/deviation_error": 0.001}
    cell |= {"784/ball/deviation": 0.009, "784/ball/deviation_error": 0.0001}
    settings = {"dimension": 784, "published": 7.0, "factor": 1.05, **LEVEL}
    printed = STATISTICS["printed_norm"]
    assert printed([cell], **settings).verdict == NOT_AS_PRINTED
    assert (
        printed([dict(cell, **{"784/gaussian/mean": 7 / 784, "784/gaussian/mean_error": 1e-6})], **settings).verdict
        == REPRODUCED
    )
    assert printed([dict(cell, **{"784/gaussian/mean": 9.0})], **settings).verdict == NOT_REPRODUCED
    assert printed([cell], **{**settings, "dimension": 16}) is None
    wider = STATISTICS["wider_norms"]([cell], dimension=784, **LEVEL)
    assert wider.measured == pytest.approx(np.log(20))
    assert wider.verdict == REPRODUCED


@pytest.fixture
def stability():
    """Nine attacks on a 1 toward class 0; noise brings class 2 up in the first eight of them, the original in the ninth."""
    frequency = np.zeros((9, 3, 3))
    frequency[:, 0] = [0.9, 0.05, 0.05]
    frequency[:, 1] = [0.6, 0.2, 0.2]
    frequency[:8, 2] = [0.1, 0.1, 0.8]
    frequency[8, 2] = [0.1, 0.8, 0.1]
    parts = {"frequency": frequency, "low": frequency - 0.02, "high": frequency + 0.02}
    cell = {f"adversarial/{name}": values for name, values in parts.items()}
    return cell | {"adversarial/label": np.ones(9, int), "adversarial/target": np.zeros(9, int)}


@pytest.mark.parametrize(
    ("of", "count", "answer"),
    [("overtaken", 9, REPRODUCED), ("loses_majority", 9, REPRODUCED), ("background", 8, REPRODUCED)],
)
def test_what_takes_over_under_noise(stability, of, count, answer):
    found = STATISTICS["share_above"]([stability], of=of, share=0.5, **LEVEL)
    exact = stats.binomtest(count, 9).proportion_ci(method="exact")
    assert (found.measured, found.low, found.high) == pytest.approx((count / 9, exact.low, exact.high))
    assert found.verdict == answer
    untargeted = stability | {"adversarial/target": np.full(9, -1)}
    assert STATISTICS["share_above"]([untargeted], of=of, share=0.5, **LEVEL) == found


def test_a_class_that_stays_is_not_overtaken(stability):
    for part in ("frequency", "low", "high"):
        stability[f"adversarial/{part}"][:, 2] = stability[f"adversarial/{part}"][:, 1]
    share = STATISTICS["share_above"]
    assert share([stability], of="overtaken", share=0.5, **LEVEL).verdict == NOT_REPRODUCED
    assert share([stability], of="background", share=0.5, **LEVEL) is None
    with pytest.raises(ValueError, match="expected overtaken"):
        share([stability], of="something", share=0.5, **LEVEL)


@pytest.mark.parametrize(("floor", "answer"), [(1.0, REPRODUCED), (0.0, UNDECIDED)])
def test_a_small_gamma_hides_the_crossing(floor, answer):
    t = np.linspace(0, 1, 11)
    label = np.repeat((t > 0.45)[None], 6, 0).astype(int)
    distance = np.abs(t - 0.45)
    slope = 1 + 0.1 * np.arange(6)[:, None]
    sharp = slope * distance
    # The floor differs from line to line, else nothing would be uncertain.
    sigma = np.stack([sharp + floor * slope**2, sharp], 2)
    cell = {"gamma": np.array([0.45, 0.7]), "sigma": sigma, "label": label}
    drop = STATISTICS["weaker_drop"]
    found = drop([cell], at_most=0.5, gamma=0.7, **LEVEL)
    assert found.verdict == answer
    assert drop([dict(cell, gamma=np.array([0.6, 0.7]))], at_most=0.5, gamma=0.7, **LEVEL) is None


@pytest.mark.parametrize(
    ("limits", "answer"),
    [
        ({"least": 0.2, "most": 0.3}, REPRODUCED),
        ({"most": 0.3}, REPRODUCED),
        ({"least": 0.3}, NOT_REPRODUCED),
        ({"most": 0.2}, NOT_REPRODUCED),
        ({"least": 0.25}, UNDECIDED),
    ],
)
def test_a_mean_lies_between_limits(limits, answer):
    values = normal_sample(0.25, 0.01, 6)
    found = STATISTICS["mean_between"]([summary(values)], group="summary", **limits, **LEVEL)
    assert found.verdict == answer
    exact = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.measured, found.low, found.high) == pytest.approx((0.25, exact.low, exact.high))


def test_a_mean_of_equal_values_needs_no_width():
    found = STATISTICS["mean_between"]([summary(np.ones(4))], group="summary", least=0.99, **LEVEL)
    assert (found.low, found.high, found.verdict) == (1, 1, REPRODUCED)


def interpolated(shares, right):
    """Two trainings; `right` is the share of 400 attacked images that each network gets right, in an order of its own."""
    order = np.random.default_rng(0)
    hits = np.stack([[order.permutation(400) < 400 * share for share in right] for _ in range(2)])
    return [{"robust/right": hits, "test_correct/share": np.array([shares, shares])}]


@pytest.mark.parametrize(
    ("right", "answer"),
    [([0, 0.3, 0.7, 0.4], REPRODUCED), ([0, 0.9, 0.1, 0.4], NOT_REPRODUCED), ([0, 0.9, 0.41, 0.4], UNDECIDED)],
)
def test_interpolated_networks_count_where_they_are_accurate(right, answer):
    # The second is far less accurate than the last, so its robustness does not count.
    cells = interpolated([0.1, 0.5, 0.88, 0.9], right)
    found = STATISTICS["interpolated_robustness"](cells, points=5.0, **LEVEL)
    assert found.verdict == answer
    assert found.n == 400
    hits = cells[0]["robust/right"].astype(float).mean(0)
    paired = stats.ttest_rel(hits[2], hits[3]).confidence_interval(0.95)
    assert (found.measured, found.low, found.high) == pytest.approx((right[2] - right[3], paired.low, paired.high))


def test_without_an_accurate_network_between_nothing_is_decided():
    cells = interpolated([0.1, 0.5, 0.5, 0.9], [0, 0.3, 0.7, 0.4])
    assert STATISTICS["interpolated_robustness"](cells, points=5.0, **LEVEL) is None


def test_a_distortion_counted_over_more_values_is_converted():
    # 0.1 over four times as many values is 0.2 over those that there are.
    cell = summary(normal_sample(0.2, 0.01, 100)) | {"x": np.zeros((1, 3, 2, 2))}
    settings = {"group": "summary", "published": 0.1, "published_n": 100, "factor": 1.25, **LEVEL}
    assert STATISTICS["mean"]([cell], counted=48, **settings).verdict == REPRODUCED
    assert STATISTICS["mean"]([cell], **settings).verdict == NOT_REPRODUCED
    assert STATISTICS["mean"]([{}], **settings) is None, "no image of the attack succeeded"


@pytest.mark.parametrize(
    ("scale", "spread", "answer"),
    [(1.0, 0.1, REPRODUCED), (0.2, 0.1, NOT_REPRODUCED), (0.5, 0.1, UNDECIDED), (1.0, 2.0, UNDECIDED)],
)
def test_a_ratio_of_persistences_is_compared_without_their_unit(scale, spread, answer):
    generator = np.random.default_rng(0)
    natural, adversarial = np.exp(spread * generator.standard_normal((2, 40)))
    for unit in (1.0, 255.0):
        cell = {"natural/sigma": unit * scale * 3 * natural, "adversarial/sigma": unit * adversarial}
        cell |= {f"{group}/index": np.arange(40) for group in ("natural", "adversarial")}
        cell |= {f"{group}/status": np.full(40, "ok") for group in ("natural", "adversarial")}
        found = STATISTICS["mean_ratio"]([cell], published=3.0, factor=2.0, **LEVEL)
        assert found.verdict == answer
        assert found.measured == pytest.approx(scale * 3 * natural.mean() / adversarial.mean())
    alone = cell | {"adversarial/index": np.zeros(40, int)}
    assert STATISTICS["mean_ratio"]([alone], published=3.0, factor=2.0, **LEVEL) is None


def test_a_ratio_of_censored_or_missing_persistences_decides_nothing():
    settings = {"published": 3.0, "factor": 2.0, **LEVEL}
    natural, sigma = np.exp(0.1 * np.random.default_rng(1).standard_normal((2, 20)))
    status = np.full(20, "ok", dtype="U20")
    cell = {
        "natural/sigma": 3 * natural,
        "adversarial/sigma": sigma,
        "natural/status": status,
        "adversarial/status": status,
    }
    cell |= {f"{group}/index": np.arange(20) for group in ("natural", "adversarial")}
    assert STATISTICS["mean_ratio"]([cell], **settings).verdict == REPRODUCED
    censored = status.copy()
    censored[3] = "censored_high"
    assert STATISTICS["mean_ratio"]([cell | {"natural/status": censored}], **settings).verdict == UNDECIDED
    # Values that lie at the range's end have no spread of their own.
    ends = {"natural/sigma": np.full(20, 3.0), "adversarial/sigma": np.ones(20)}
    assert STATISTICS["mean_ratio"]([cell | ends], **settings).verdict == UNDECIDED
    nothing = {f"adversarial/{name}": np.array([]) for name in ("sigma", "index", "status")}
    assert STATISTICS["mean_ratio"]([cell | nothing], **settings) is None


def test_equal_values_have_no_interval_to_decide_by():
    cell = {f"summary/{name}": value for name, value in asdict(summarize([2.0, 2.0])).items()}
    cell = {name: np.asarray(value) for name, value in cell.items()}
    settings = {"group": "summary", "published": 2.0, "published_n": 10, "factor": 1.1, **LEVEL}
    assert STATISTICS["mean"]([cell], **settings) is None


@pytest.mark.parametrize(
    ("apart", "answer"),
    [([0.001, -0.001], REPRODUCED), ([0.0, 4.0], NOT_REPRODUCED), ([-4.0, 4.0], NOT_REPRODUCED)],
)
def test_a_closed_form_holds_at_every_lambda_or_not_at_all(apart, answer):
    cell = {"measured/signed": 1 + np.array(apart), "d_adv": np.ones(2), "train/n": np.array(9)}
    found = STATISTICS["closed_form"]([cell], published=0.0013, **LEVEL)
    assert found.verdict == answer
    assert found.measured == pytest.approx(np.abs(apart).max())
