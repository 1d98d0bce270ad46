"""Small results for every statistic of the ledger: ones that support what it tests, and ones that contradict it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy import stats

from neighborhoods.cones.closed_forms import orthant_persistence
from neighborhoods.statistics.intervals import summarize

Cell = dict[str, Any]
Case = tuple[Callable[[bool], Sequence[Cell]], dict[str, Any]]
N = 200


def sample(mean: float, spread: float = 0.01, n: int = N) -> np.ndarray:
    values = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return mean + spread * values / values.std(ddof=1)


def summary(group: str, mean: float, spread: float = 0.01) -> Cell:
    return {f"{group}/{key}": value for key, value in asdict(summarize(sample(mean, spread))).items()}


def hits(share: float, n: int = N) -> np.ndarray:
    return np.arange(n) < round(share * n)


def crossed(group: str, value: Any, error: float = 0.01) -> Cell:
    value = np.asarray(value, float)
    parts = {"value": value, "standard_error": np.full(value.shape, error), "freedom": np.full(value.shape, 9.0)}
    return {f"{group}/{key}": part for key, part in parts.items()} | {f"{group}/low": value, f"{group}/n": 100}


def robust(share: float, natural: float = 1.0) -> Cell:
    """Three networks, each right about another part of the images."""
    broken = np.array([np.where(np.roll(hits(share), 7 * seed), 0, 1) for seed in range(3)])
    broken[:, : round((1 - natural) * N)] = -1
    return {"broken_by": broken, "index": np.arange(N)}


def attacked(success: float, distortion: float = 0.1, queries: float = 10.0) -> Cell:
    spread = 0.01  # Of the mean: images differ in how much two attacks differ on them.
    parts = {
        "distortion": sample(distortion, spread * distortion),
        "queries": sample(queries, spread * queries),
        "index": np.arange(N),
    }
    return {"success": hits(success), "x": np.zeros((N, 1, 2, 2)), **parts}


def photos(natural: float, adversarial: float) -> Cell:
    cell: Cell = {}
    for group, mean in (("natural", natural), ("adversarial", adversarial)):
        own = {
            "sigma": sample(mean, (0.01 if group == "natural" else 0.02) * mean, 30),
            "index": np.arange(30),
            "status": ["ok"] * 30,
        }
        cell |= {f"{group}/{key}": value for key, value in own.items()}
    return cell


def cones(factor: float, outside: float, told: bool = True) -> Cell:
    inside = factor * orthant_persistence(1.0, [1, 2], 0.7)[:, None] * np.exp(sample(0, 0.01, 20))
    far = np.stack([inside[0], np.full(20, outside) * np.exp(sample(0, 0.01, 20))])
    status = {"inside": [["ok"] * 20] * 2, "outside": [["ok"] * 20, ["censored_high" if told else "ok"] * 20]}
    cell: Cell = {"faces": [1, 2], "sigma_max": 50.0, "inside/sigma": inside, "outside/sigma": far}
    cell |= {"theory_inside": [1.9, 1.0], "theory_outside": [1.9, np.inf]}
    return cell | {f"{side}/status": values for side, values in status.items()}


def lines(floor: float, depth: float = 1.0) -> Cell:
    t = np.linspace(0, 1, 11)
    slope = 1 + 0.1 * np.arange(6)[:, None]
    sharp = (slope * np.abs(t - 0.45)) ** depth
    label = np.repeat((t > 0.45)[None], 6, 0).astype(int)
    return {"gamma": [0.45, 0.7], "sigma": np.stack([sharp + floor * slope**2, sharp], 2), "label": label}


def stability(last: Sequence[float]) -> Cell:
    frequency = np.tile(np.array([[0.9, 0.05, 0.05], last]), (9, 1, 1))
    parts = {"frequency": frequency, "low": frequency - 0.02, "high": frequency + 0.02}
    cell = {f"adversarial/{name}": values for name, values in parts.items()}
    return cell | {"adversarial/label": np.ones(9, int), "adversarial/target": np.zeros(9, int)}


def norms(wide: float, sigma: float = 0.25) -> Cell:
    norm = sigma * np.sqrt(stats.chi2(784).ppf((np.arange(2000) + 0.5) / 2000)) * wide
    cell: Cell = {"784/gaussian/norm": norm, "784/sigma": sigma}
    cell |= {"784/gaussian/mean": norm.mean(), "784/gaussian/mean_error": 0.001 * wide}
    cell |= {"784/gaussian/deviation": 0.1 * wide, "784/gaussian/deviation_error": 0.001}
    return cell | {"784/ball/deviation": 0.2, "784/ball/deviation_error": 0.001}


def linear(accuracy: float, loss: float) -> Cell:
    return {"weights/1.weight": np.full((10, 784), 0.01), "history/loss": [1.0, loss], "test_accuracy": accuracy,
            "test_images": 1000}  # fmt: skip


def spectra(value: float, dropped: int) -> Cell:
    shape = (20, 2, 1, 1)
    values = np.broadcast_to(sample(value, 0.001, 20)[:, None, None, None], shape)
    names: Cell = {"samples": ["flat"], "projections": ["line"]}
    return names | {"natural/attack": values, "natural/dropped": np.full(shape, dropped)}


def flatness(kept: float, rise: float, random: float) -> Cell:
    cell: Cell = {"flatness/epsilon": [0.1], "flatness/gradient/kept": hits(kept)[None]}
    return cell | {f"flatness/{name}/increase": np.full((1, N), value) for name, value in
                   (("gradient", rise), ("random", random))}  # fmt: skip


def layers(slope: float, ratio: float = 1.0, other: float = 1.0) -> Cell:
    rng = np.random.default_rng(0)
    rows = 1 + slope * np.arange(5)[:, None] + 0.01 * rng.standard_normal((5, 30))
    names: Cell = {"layers": list("iabcd"), "index": np.arange(30), "is_logits": np.zeros(5, bool)}
    kind = {
        "status": ["ok"] * 5,
        "manifolds/capacity": 1 / rows,
        "manifolds/radius": rows,
        "capacity/value": 1 / rows.mean(1),
    }
    kind |= {"manifolds/dimension": other * (3 + 0.1 * rng.standard_normal((5, 30)))}
    kind["simulated/value"] = (
        kind["capacity/value"] ** np.sign(ratio) / abs(ratio) * np.exp(0.001 * rng.standard_normal(5))
    )
    return names | {f"adversarial/{key}": value for key, value in kind.items()}


def model(shrinks: float, power: float) -> Cell:
    gap = np.linspace(0.5, 4, N)
    change = (
        np.where(hits(shrinks), -1, 1) * 0.1 * gap**power * np.exp(0.01 * np.random.default_rng(0).standard_normal(N))
    )
    return {"gap": gap, "change/finite": change}


def surfaces(end: float) -> Cell:
    beta = np.linspace(1, 6, 11)
    return {
        "beta": beta,
        "printed/g_above_psi": [[2.0, end]],
        "printed/plus/wrong/g": beta - end,
        "printed/plus/wrong/psi": 0 * beta,
    }


def as_printed(printed: float, corrected: float = 0.0) -> Cell:
    return {"g/printed": [0.0, printed], "g/corrected": [corrected, 0.0]}


def gap_surface(term: float) -> Cell:
    change = np.full((4, 4), -1.0)
    cell: Cell = {"classes": 10, "error": 0.1, "epsilon": 0.1, "printed/surface/equation_10": change}
    cell |= {"printed/plus/wrong/g": np.full(4, term), "printed/plus/wrong/psi": np.zeros(4)}
    return cell | {"printed/surface/equation_10_complete": change - 2 * 8 / 9 * 0.01 * term**2}


def path(theta: Sequence[float], error: float = 0.0, residual: float = 0.0) -> Cell:
    angle = np.asarray(theta, float)
    near = 2 * np.cos(np.radians(angle))
    cell: Cell = {
        "alpha": [-1.0, 3.0, 7.0],
        "theta": angle,
        "weight": np.ones((3, 4)),
        "gap": np.zeros(3),
        "objective": np.ones(3),
    }
    cell |= {"d_adv_zero": 2.0, "d_adv": near, "measured/signed": near + residual, "train/n": 6000, "test/n": 2000}
    return cell | {"train/error": [error, 0.02, 0.05], "test/error": [0.04, 0.02, 0.08]}


def toy(apart: float) -> Cell:
    cell: Cell = {"dimension": [2, 785]}
    for size, own in ((2, 1.0), (785, 1.0 + apart)):
        cell |= {f"{size}/measured": [own, 0.1], f"{size}/error": [0.0, 0.0], f"{size}/label": np.ones(9, int)}
    return cell


def separation(related: bool) -> Cell:
    # That nothing is related takes many classes.
    classes = 10 if related else 40
    rng = np.random.default_rng(3)
    norm = rng.uniform(1, 2, (classes, classes))
    norm = norm + norm.T
    other = rng.uniform(1, 2, (classes, classes))
    return {"head/pair_norm": norm, "clusters/separation": norm if related else norm * 0 + other + other.T}


def columns(first: float) -> Cell:
    """Columns of images; the first share of a variance is the features'."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, N))
    mixed = first * x + (1 - first) * y
    return {
        "natural/a": x,
        "natural/b": mixed,
        "natural/feature_gain": np.exp(first * x),
        "natural/head_norm": np.exp((1 - first) * y),
    }


def distances(near: float) -> Cell:
    rng = np.random.default_rng(1)
    return {"strength": [0.0, 1.0], "distance": np.stack([rng.uniform(1, 2, 30), near + rng.uniform(1, 2, 30)])}


def points(natural: float, other: float) -> Cell:
    value = np.concatenate([sample(natural, 0.3), sample(other, 0.3)])
    groups = ["natural"] * N + ["far"] * N
    return {"group": groups, "origin": np.arange(2 * N), "score/sum": value}


def capacities(printed: float, points: float = 2.0) -> Cell:
    one = np.array([[1.0, 2.0]])
    cell: Cell = {
        "balls/exact": one,
        "balls/sampled": one,
        "balls/sampled_error": 0.001 * one,
        "balls/printed": printed * one,
    }
    cell |= {"points/sampled": points, "points/sampled_error": 0.001, "vectors": 1000}
    return cell | {f"points/simulated/{key}": points * factor for key, factor in (("value", 1), ("low", 0.98), ("high", 1.02))} | {
        "points/simulated/features": np.full(50, 100)}  # fmt: skip


def overlap(k: int) -> Cell:
    return crossed("overlap/same/adversarial_less_standard", np.where(np.arange(1, 31) < k, -1.0, 1.0))


def checked(lost: float) -> Cell:
    return {"check/apgd/correct": np.ones(N, bool), "check/odi/correct": ~hits(lost)}


def interpolated(gain: float) -> Cell:
    right = np.stack([hits(share) for share in (0.1, 0.5 + gain, 0.5)])[None].repeat(2, 0)
    right[:, 1] = np.roll(right[:, 1], 1, -1)
    return {"robust/right": right, "test_correct/share": [[0.1, 0.95, 0.95]] * 2}


# By statistic: cells that support it or contradict it, and its arguments.
CASES: dict[str, Case] = {
    "accuracy": (lambda good: [{"test_accuracy": 0.92 if good else 0.8, "test_images": 10000}],
                 {"published": 92.0, "published_n": 10000, "points": 1.0}),
    "mean": (lambda good: [summary("s", 1.0 if good else 2.0)], {"group": "s", "published": 1.0, "published_n": 300, "factor": 1.2}),
    "mean_difference": (lambda good: [summary("a", 1) | summary("b", 2 if good else 0)], {"groups": ["a", "b"], "expects": -1}),
    "column_difference": (lambda good: [attacked(1, 0.1), attacked(1, 0.2 if good else 0.05)], {"column": "distortion", "expects": -1}),
    "rank_trend": (lambda good: [summary("s", x) for x in ([1, 2, 3] if good else [3, 2, 1])], {"group": "s", "expects": 1}),
    "contrast": (lambda good: [summary("s", 1 if good else -1)], {"group": "s", "expects": 1}),
    "small_mean": (lambda good: [summary("s", 0 if good else 1)], {"group": "s", "factor": 1.1}),
    "small_difference": (lambda good: [summary("a", 0) | summary("b", 0 if good else 1)], {"groups": ["a", "b"], "factor": 1.1}),
    "share_agreeing": (lambda good: [{"network": np.tile(np.eye(2), (50, 1)), "prediction": np.tile(np.eye(2), (50, 1)) + (0 if good else 1)}],
                       {"tolerance": 0.01, "share": 0.9}),
    "differing_nearest": (lambda good: [{"neighbours/value": np.zeros((N, 1)), "neighbours/pixel": np.full((N, 1), int(good))}],
                          {"by": "value", "share": 0.5}),
    "separated": (lambda good: [points(2, 0 if good else 4)], {"score": "sum", "group": "far"}),
    "overlapping": (lambda good: [points(1, 0.8 if good else 2)], {"score": "sum", "group": "far", "perfect": 0.99}),
    "varies": (lambda good: [{"distance": [0.0], "shifted/0/values": sample(1, 0.5 if good else 0.01)}], {"distance": 0.0, "at_least": 0.1}),
    "mean_above": (lambda good: [summary("s", 1 if good else 0)], {"group": "s", "at_least": 0.5}),
    "turning": (lambda good: [{"signs/c/n": 1000, "signs/c/value": 0.0 if good else 0.5}], {"case": "c", "constant": True, "share": 0.01}),
    "residuals_within": (lambda good: [{"rule": ["midpoint"], "nodes": [100], "residual": np.full((1, N), 0.001 if good else 1)}],
                         {"rule": "midpoint", "nodes": 100, "tolerance": 0.01, "share": 0.9}),
    "exact_everywhere": (lambda good: [{"residual": np.full(9, 1e-14 if good else 1e-3)}], {"tolerance": 1e-10}),
    "constant_coefficients": (lambda good: [{"signs/a/drift": 0.0 if good else 1.0, "signs/b/drift": 0.0, "signs/a/n": 9}],
                              {"case": "a", "corrected": "b", "tolerance": 0.01}),
    "mean_between": (lambda good: [summary("s", 0.25 if good else 0.5)], {"group": "s", "least": 0.2, "most": 0.3}),
    "attack_survival": (lambda good: [attacked(1 if good else 0.5)], {"published": 0.0, "points": 3.0}),
    "interpolated_robustness": (lambda good: [interpolated(0.3 if good else -0.3)], {"points": 5.0}),
    "mean_ratio": (lambda good: [photos(3.0 if good else 30.0, 1.0)], {"published": 3.0, "factor": 2.0}),
    "mean_persistence": (lambda good: [photos(3.0 if good else 30.0, 1.0)], {"of": "natural", "published": 3.0, "beside": 1.0, "factor": 2.0}),
    "mean_distortion": (lambda good: [attacked(1, 0.1 if good else 0.9)], {"published": 0.1, "counted": 4.0, "factor": 1.5}),
    "orthant": (lambda good: [cones(1 if good else 2, 9)], {"faces": 2, "published": 1.02, "factor": 1.05}),
    "outside_longer": (lambda good: [cones(1, 9 if good else 0.1)], {"faces": 2}),
    "share_above": (lambda good: [stability([0.1, 0.1, 0.8] if good else [0.8, 0.1, 0.1])], {"of": "overtaken", "share": 0.5}),
    "weaker_drop": (lambda good: [lines(1.0) | ({} if good else {"sigma": lines(1.0)["sigma"][..., ::-1]})], {"at_most": 0.5, "gamma": 0.7}),
    "drop_at_crossing": (lambda good: [lines(0.0, 1.0 if good else -1.0)], {"gamma": 0.7}),
    "search_ends": (lambda good: [cones(1, 9) | ({"theory_outside": [1.9, 2.0]} if good else {})], {}),
    "wider_norms": (lambda good: [norms(4 if good else 1)], {"dimension": 784}),
    "printed_norm": (lambda good: [norms(1 / 784 if good else 1)], {"dimension": 784, "published": 7.0, "factor": 1.05}),
    "annulus": (lambda good: [norms(1) | ({"784/gaussian/norm": np.full(2000, 7.0)} if good else {})],
                {"dimension": 784, "sigma": 10.0, "margin": 0.01}),
    "constant_start": (lambda good: [{"network": np.eye(3), "prediction": np.eye(3), "start": (np.ones((3, 3)) if good else np.eye(3))}],
                       {"tolerance": 0.01}),
    "weak_penalty": (lambda good: [linear(0.95, 0.5), linear(0.8, 0.5 if good else 0.9)], {"strength": 1.0}),
    "ball_formula": (lambda good: [capacities(1 if good else 1.2)], {"points": 2.0}),
    "capacity_of_points": (lambda good: [capacities(1, 2 if good else 3)], {"by": "sampled", "published": 2.0, "factor": 1.1}),
    "gap_formula": (lambda good: [gap_surface(0 if good else 9)], {"points": 1.0}),
    "error_as_printed": (lambda good: [as_printed(0.0 if good else 0.1)], {"group": "g", "tolerance": 1e-3}),
    "skewed_share": (lambda good: [{"skewed/kept": 26500, "skewed/points": 100000, "skewed/printed": 0.265 if good else 0.331,
                     "skewed/corrected": 0.265}], {"points": 1.0}),
    "stationary_everywhere": (lambda good: [{"beta": [1.0, 2.0, 3.0]} | {f"{version}/plus/correct/{name}": value
                              for version in ("printed", "derived") for name, value in (("kept", [True] * 3),
                              ("cubic_gradient", [0.0, 0.0, 0.0 if good else 1.0]))}],
                              {"root": "plus", "side": "correct", "tolerance": 1e-6}),
    "centreline": (lambda good: [{"crossings/wedge/opening": [120.0] if good else [45.0], "crossings/offset": [-1.0, 1.0],
                                  "crossings/wedge/centreline/inside": [[[False, True]]]}], {}),
    "counted_faces": (lambda good: [{"faces": [1, 2], "orthant/count": np.repeat([[1], [2 if good else 1]], 20, 1)}],
                      {"shape": "orthant", "of": "count", "share": 0.7}),
    "dropped_size": (lambda good: [{"orthant/corrected": sample(0.58 if good else 0.9, 0.001, 9)[None]}],
                     {"shape": "orthant", "published": 0.58, "factor": 1.02}),
    "left_direction": (lambda good: [spectra(0.99 if good else 0.5, 1)], {"group": "natural", "column": "attack", "radius": -1,
                       "sample": "flat", "projection": "line", "least": 0.9}),
    "dropped_values": (lambda good: [spectra(0.9, 2 if good else 5)], {"group": "natural", "radius": 0, "sample": "flat",
                       "projection": "line", "count": 2, "share": 0.5}),
    "turned_more": (lambda good: [{"n/turning": np.stack([sample(0, 0.1, 9), sample(9 if good else 1, 0.2, 9)], 1)}],
                    {"group": "n", "least": 5.0}),
    "flat_around": (lambda good: [{"radii": [0.1], "n/turning": np.full((20, 1), 0.1 if good else 9)}],
                    {"group": "n", "radius": 0.1, "degrees": 1.0, "share": 0.5}),
    "neighbours_orthogonal": (lambda good: [{"neighbours/voronoi/skewness": [0.0, 0.0], "others/delaunay": [True],
                              "others/voronoi/skewness": [0.0 if good else 5.0]}], {}),
    "through_others": (lambda good: [{"n/third/value": sample(0.9 if good else 0.1, 0.01, 9)}], {"group": "n", "share": 0.5}),
    "gaussian_places": (lambda good: [{"n/normality/first/shapiro_p": np.full(20, 0.5 if good else 0.006),
                                       "n/normality/first/n": np.full(20, 300)}],
                        {"group": "n", "of": "first", "share": 0.5, "places": 50}),
    "wedges_like": (lambda good: [summary("sides", 0.5 if good else 3), {"crossings/l/face_ratio": np.full((1, 1, 4), 5.0)}],
                    {"group": "sides", "line": "l"}),
    "related": (lambda good: [{"n/correlation/nearest/value": -0.8 if good else 0.8, "n/correlation/nearest/n": 50}],
                {"group": "n", "of": "nearest", "expects": -1}),
    "separable": (lambda good: [{"clusters/classified/n": 1000, "clusters/classified/value": 1.0 if good else 0.5}], {"share": 0.99}),
    "steepest": (lambda good: [flatness(1, 1, 0 if good else 2)], {"share": 0.9}),
    "kept": (lambda good: [flatness(1 if good else 0.1, 1, 0)], {"along": "gradient", "epsilon": 0.1, "share": 0.8}),
    "flat": (lambda good: [flatness(1, 0 if good else 2, 0)], {"along": "gradient", "epsilon": 0.1, "nats": 0.1, "share": 0.8}),
    "rank_above": (lambda good: [columns(1 if good else 0)], {"first": "a", "second": "b", "least": 0.9}),
    "governed": (lambda good: [columns(0.9 if good else 0.1)], {"share": 0.5}),
    "head_relates": (lambda good: [separation(good)], {"least": 0.2}),
    "crossed_side": (lambda good: [crossed("g", -1 if good else 1)], {"group": "g", "expects": -1}),
    "crossed_near": (lambda good: [crossed("g", 0 if good else 1)], {"group": "g", "margin": 0.1}),
    "crossed_number": (lambda good: [crossed("g", 3.5 if good else 9)], {"group": "g", "published": 3.5, "margin": 1.0}),
    "next_classes": (lambda good: [crossed("wrong/natural/standard/rank", 2 if good else 9) | {"wrong/natural/standard/share/value":
                     np.full(10, 0.1)}], {"images": "natural", "training": "standard"}),
    "overlap_crossing": (lambda good: [overlap(10 if good else 25)], {"published": 10.0, "margin": 3.0}),
    "gap_shrinks": (lambda good: [model(1 if good else 0.5, 2)], {"share": 0.95}),
    "gap_curvature": (lambda good: [model(1 if good else 0, 2)], {"expects": -1}),
    "gap_exponent": (lambda good: [model(1, 2 if good else 1)], {"published": 2.0, "tolerance": 0.25}),
    "response_cosine": (lambda good: [{"prediction/p/cosine": sample(0.95 if good else 0.2)}], {"prediction": "p", "least": 0.9}),
    "stationary_logits": (lambda good: [{"printed/plus/wrong/cubic_gradient_table": [0.0 if good else 1.0],
                          "derived/plus/wrong/cubic_gradient_table": [0.0]}], {"root": "plus", "side": "wrong", "tolerance": 1e-6}),
    "positive_above": (lambda good: [surfaces(2 if good else 5)], {"beta": 3.5}),
    "positive_from": (lambda good: [surfaces(3.5 if good else 5)], {"published": 3.5, "margin": 0.5}),
    "layer_trend": (lambda good: [layers(0.2 if good else -0.1)], {"of": "radius", "part": "early", "expects": 1}),
    "layer_difference": (lambda good: [layers(0.2 if good else -0.1), layers(0)], {"of": "radius", "part": "early", "expects": 1}),
    "layers_alike": (lambda good: [layers(0), layers(0, other=1 if good else 2)], {"of": "dimension", "margin": 0.2}),
    "capacity_tracks": (lambda good: [layers(0.2, 1 if good else -1), layers(0.3, 1 if good else -1)], {"least": 0.8}),
    "capacity_over_simulated": (lambda good: [layers(0.2, 1.2 if good else 0.8), layers(0.3, 1.2 if good else 0.8)], {"expects": 1}),
    "checks_agree": (lambda good: [checked(0 if good else 0.5)], {"other": "odi", "points": 3.0}),
    "accuracy_near": (lambda good: [robust(0.3 if good else 0.9)], {"of": "adversarial", "published": 30.0, "deviation": 0.1, "points": 20.0}),
    "accuracy_difference": (lambda good: [robust(0.9 if good else 0.1), robust(0.5)], {"of": "adversarial", "expects": 1}),
    "difference_near": (lambda good: [robust(0.8), robust(0.5 if good else 0.01)], {"of": "adversarial", "published": 30.0, "points": 20.0}),
    "no_robustness": (lambda good: [robust(0 if good else 0.5)], {"points": 5.0}),
    "accuracy_trend": (lambda good: [robust(x) for x in ([0.1, 0.5, 0.9] if good else [0.9, 0.5, 0.1])], {"of": "adversarial", "expects": 1}),
    "share_kept": (lambda good: [robust(0.64 if good else 0.1), robust(0.8)], {"published": 0.8, "tolerance": 0.2}),
    "last_of_best": (lambda good: [robust(0.8), robust(0.75 if good else 0.05)], {"least": 0.5}),
    "ends_lower": (lambda good: [{"history/l1": [9.0, x]} for x in ([1, 1.1, 2, 2.3] if good else [2, 2.3, 1, 1.1])], {"of": "l1"}),
    "train_error_near": (lambda good: [{"logits": np.eye(2)[np.roll(hits(0.2 if good else 0.9), 9 * seed).astype(int)], "label": np.zeros(N, int)}
                         for seed in range(3)], {"published": 20.0, "deviation": 0.1, "points": 20.0}),
    "tilt_angle": (lambda good: [path([80, 40 if good else 60, 1])], {"published": 40.0, "degrees": 0.3, "alpha": 3.0}),
    "tilt_distance": (lambda good: [path([80, 40, 1]) | {"d_adv_zero": 2.0 if good else 3.0}], {"published": 2.0, "factor": 1.01, "of": "zero"}),
    "tilt_error": (lambda good: [path([80, 40, 1], 0.001 if good else 0.1)],
                   {"split": "train", "alpha": -1.0, "published": 0.1, "points": 0.1}),
    "best_alpha": (lambda good: [path([80, 40, 1]) | {"test/error": [0.04, 0.02, 0.08] if good else [0.01, 0.02, 0.08]}],
                   {"published": 3.0, "step": 0.1}),
    "separates": (lambda good: [path([80, 40, 1], 0 if good else 0.1)], {"share": 0.01}),
    "closer": (lambda good: [path([80, 40, 1] if good else [1, 40, 80])], {}),
    "less_tilt": (lambda good: [path([80, 40, 1] if good else [80, 40, 60])], {}),
    "closed_form": (lambda good: [path([80, 40, 1], residual=0.001 if good else 0.1)], {"published": 0.0013}),
    "penalty_moves_away": (lambda good: [distances(2 if good else -0.9)], {}),
    "dimension_plays_no_part": (lambda good: [toy(0 if good else 0.1)], {"tolerance": 1e-9}),
}  # fmt: skip
