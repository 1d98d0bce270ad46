"""What each claim of the ledger says, read from its words and not from its `test`: results that say it, and the contrary.

By id and part: cells of a reading that is true (good) or false. Names of groups, signs and limits are typed here from the
claim's text a second time, so that a slip of the ledger meets results that speak against it. Where a claim compares
files, cells go by the file's name: an exchanged order is a slip too.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from pipeline.claims.ledger import Part
from tests.unit.claim_cases import (
    CASES,
    Cell,
    attacked,
    crossed,
    flatness,
    interpolated,
    layers,
    linear,
    lines,
    photos,
    sample,
    stability,
    summary,
)

Cells = list[Cell] | dict[str, Cell]
Says = Callable[[bool, Part], Cells]
ROWS = 1000
# Values that figures 5 and Table 2 count: 3 * 256 * 256.
COUNTED = np.broadcast_to(0.0, (1, 3, 256, 256))


def cells_of(says: Says, good: bool, part: Part) -> list[Cell]:
    """Cells of a part in the order of its results."""
    found = says(good, part)
    if isinstance(found, list):
        return [_arrays(cell) for cell in found]
    stems = [Path(path).stem for path in part.results]
    assert sorted(found) == sorted(stems), (sorted(found), stems)
    return [_arrays(found[stem]) for stem in stems]


def _arrays(cell: Cell) -> Cell:
    return {name: np.asarray(value) for name, value in cell.items()}


def says_case(statistic: str) -> Says:
    """As the statistic's own case, whose cells know no names of the ledger's."""
    return lambda good, part: list(CASES[statistic][0](good))


def number(build: Callable[[float, Part], Cells], off: float = 3.0) -> Says:
    """The published number itself, or `off` times it."""
    return lambda good, part: build(part.published * (1 if good else off), part)  # type: ignore[operator]


def away(build: Callable[[float, Part], Cells], by: float) -> Says:
    """The published number itself, or one that lies `by` from it."""
    return lambda good, part: build(part.published + (0 if good else by), part)  # type: ignore[operator]


def mean(group: str, good_value: float, bad_value: float) -> Says:
    """A mean of a group, which the claim says to be one number and not another."""
    return lambda good, part: [summary(group, good_value if good else bad_value, 0.001)]


def means(first: str, second: str, sign: int) -> Says:
    """The first mean is larger (1) or smaller (-1)."""
    return lambda good, part: [summary(first, 5.0 + (sign if good else -sign)) | summary(second, 5.0)]


def shares(sign: int, first: str, second: str, column: str) -> Says:
    """A column of the first file is larger (1) or smaller (-1) than that of the second."""

    def cells(good: bool, part: Part) -> Cells:
        high = {"success": {"success": 0.9}, "distortion": {"distortion": 0.2}, "queries": {"queries": 20.0}}[column]
        low = {"success": 0.5, "distortion": 0.1, "queries": 10.0}
        both = [attacked(**{**low, **high}), attacked(**low)]
        return dict(zip((first, second), both if (sign > 0) == good else both[::-1], strict=True))

    return cells


def order(group: str, stems: str, sign: int) -> Says:
    """Means of a group rise (1) or fall (-1) from file to file."""
    names = stems.split()

    def cells(good: bool, part: Part) -> Cells:
        assert [path.split("/")[3].removesuffix(".h5") for path in part.results] == names
        rising = [summary(group, 1.0 + place) for place in range(len(names))]
        return rising if (sign > 0) == good else rising[::-1]

    return cells


def side(group: str, sign: int, limit: float = 0.0, place: int | None = None) -> Says:
    """An estimate lies above (1) or below (-1) a limit, at a place of its axis, and beyond it nowhere else."""

    def cells(good: bool, part: Part) -> Cells:
        value = limit + 0.05 * (sign if good else -sign)
        return [_estimate(group, value, limit - 0.05 * (sign if good else -sign), place)]

    return cells


def near(group: str, margin: float, place: int | None = None) -> Says:
    """An estimate lies within a margin of 0, of which 0.8 and 1.2 are tried."""
    return lambda good, part: [_estimate(group, margin * (0.8 if good else 1.2), 9 * margin, place, 0.001 * margin)]


def close(group: str, unit: float, margin: float) -> Says:
    """A published number is an estimate, both in `unit`; the estimate is taken at the checkpoint of the teacher."""

    def cells(good: bool, part: Part) -> Cells:
        value = unit * (part.published + margin * (0 if good else 1.5))  # type: ignore[operator]
        return [crossed(group, value, 0.01 * unit)] if unit != 1 else [_estimate(group, value, 99.0, 1, 0.01)]

    return cells


def _estimate(group: str, value: float, elsewhere: float, place: int | None, error: float = 0.001) -> Cell:
    own: Cell = {"epochs": [1, 40, 100], "teacher_epoch/adversarial": 40, "teacher_epoch/standard": 100}
    if place is None:
        return own | crossed(group, value, error)
    values = np.full(60 if place > 2 else 3, elsewhere)
    values[place] = value
    return own | crossed(group, values, error)


def robust(natural: float, adversarial: float, n: int = 200000) -> Cell:
    """Three networks right about so many images in %, each about others of them."""
    broken = np.full(n, -1)
    broken[: round(natural / 100 * n)] = 1
    broken[: round(adversarial / 100 * n)] = 0
    return {"broken_by": np.array([np.roll(broken, 7 * seed) for seed in range(3)]), "index": np.arange(n)}


def accuracy(of: str, by: float) -> Says:
    """The published accuracy of "natural" or "adversarial" images, or one `by` points from it; the other is neither."""

    def cells(value: float, part: Part) -> Cells:
        return [robust(value, value / 2) if of == "natural" else robust(99.5, value)]

    def told(good: bool, part: Part) -> Cells:
        value = part.published or 0.0
        return cells(value if good else value + (by if value < 50 else -by), part)

    return told


def better(first: str, second: str, of: str, sign: int) -> Says:
    """The first network is more (1) or less (-1) accurate than the second; of the other images it is the reverse."""

    def cells(good: bool, part: Part) -> Cells:
        # Natural 90 against 70; adversarial 50 against 30.
        n = 2000
        more, less = (
            (robust(90, 30, n), robust(70, 50, n)) if of == "natural" else (robust(70, 50, n), robust(90, 30, n))
        )
        pair = (more, less) if (sign > 0) == good else (less, more)
        return dict(zip((first, second), pair, strict=True))

    return cells


def by_part(build: Callable[[str], Says], *names: str) -> dict[str, Says]:
    return {name: build(name) for name in names}


def after(name: str) -> float:
    """Number in the name of a part, e.g. 5 of "k=5"."""
    return float(name.split("=")[1])


def orthant(value: float, k: int, outside: float | None = None) -> Cell:
    spread = np.exp(sample(0, 0.001, 20))
    cell: Cell = {"faces": [1 if k > 1 else 2, k], "inside/sigma": [9 * spread, value * spread]}
    cell |= {"outside/sigma": [9 * spread, (outside or value) * np.sqrt(k) * spread]}
    return cell | {f"{part}/status": np.array([["ok"] * 20] * 2) for part in ("inside", "outside")}


def norm_of(d: int, spread: float) -> Cell:
    return {f"{d}/gaussian/deviation": spread, f"{d}/gaussian/deviation_error": 0.001, f"{d}/gaussian/norm": np.ones(9),
            f"{d}/ball/deviation": 0.2, f"{d}/ball/deviation_error": 0.001}  # fmt: skip


def norm_mean(d: int, value: float) -> Cell:
    return {f"{d}/gaussian/mean": value, f"{d}/gaussian/mean_error": 0.001 * value, f"{d}/gaussian/norm": np.ones(9)}


def norms_about(d: int, narrow: bool) -> Cell:
    norm = np.sqrt(stats.chi2(d).ppf((np.arange(2000) + 0.5) / 2000))
    return {f"{d}/gaussian/norm": 0.25 * (norm * 0 + np.sqrt(d) if narrow else norm), f"{d}/sigma": 0.25}


def hits(share: float, n: int = ROWS) -> np.ndarray:
    return np.arange(n) < round(share * n)


def spectra(name: str, radius: int, kind: str, value: float, other: float) -> Cell:
    values = np.full((40, 2, 2, 2), other)
    values[:, radius, ["gaussian", "flat"].index(kind), 1] = value
    values += 0 if name.endswith("dropped") else sample(0, 0.001, 40)[:, None, None, None]
    return {"samples": ["gaussian", "flat"], "projections": ["point", "line"], name: values}


def falling(of: str, part: str, sign: int) -> Says:
    """The quantity rises (1) or falls (-1) over a part of the layers and does the reverse in the others."""

    def cells(good: bool, _: Part) -> Cells:
        steps = sign if good else -sign
        slope = {"early": [0, 1, 2, 2, 1], "late": [2, 1, 0, 1, 2], "last": [2, 1, 0, -1, 2]}[part]
        return [_layers({of: 5 + steps * np.array(slope)})]

    return cells


def differing(first: str, second: str, of: str, part: str, sign: int) -> Says:
    """The first network has more (1) or less (-1) of a quantity than the second in a part of the layers alone."""

    def cells(good: bool, _: Part) -> Cells:
        steps = sign if good else -sign
        more = steps * np.array({"early": [0, 1, 1, -1, -1], "late": [0, -1, 1, 1, 1]}[part])
        return {first: _layers({of: 5 + more}), second: _layers({of: 5 + 0 * more})}

    return cells


def alike(first: str, second: str, of: str) -> Says:
    """The quantity of both is the same, to 10 % or to 40 % in one layer."""

    def cells(good: bool, _: Part) -> Cells:
        more = np.array([0, 0, 0.1 if good else 0.4, 0, 0])
        return {first: _layers({of: 1 + more}), second: _layers({of: np.ones(5)})}

    return cells


def _layers(rows: Mapping[str, np.ndarray]) -> Cell:
    noise = 0.001 * np.random.default_rng(0).standard_normal((5, 30))
    names: Cell = {"layers": list("iabcd"), "index": np.arange(30), "is_logits": np.zeros(5, bool)}
    names["adversarial/status"] = ["ok"] * 5
    for name, values in rows.items():
        own = np.asarray(values, float)[:, None] + noise
        if name == "center_correlation":
            own = np.asarray(values, float)[:, None, None] + np.zeros((5, 30, 30)) + noise[:, :, None] + noise[:, None]
        stored = ("capacity", 1 / own) if name == "inverse_capacity" else (name, own)
        names[f"adversarial/manifolds/{stored[0]}"] = stored[1]
    return names


def path(theta: Mapping[float, float], test: Mapping[float, float] | None = None, **own: Any) -> Cell:
    """A path over lambda with angles and errors in % where they are given, and others of its own elsewhere."""
    alpha = np.array([-1.0, 0.0, 1.0, 2.0, 2.6, 3.0, 4.0, 5.0, 7.0])
    angle = np.linspace(84.3, 0, len(alpha))
    error = {"train": np.full(len(alpha), 20.0), "test": np.full(len(alpha), 20.0)}
    for key, value in theta.items():
        angle[alpha == key] = value
    for split, values in (test or {}).items():  # type: ignore[assignment]
        for key, value in values.items():  # type: ignore[attr-defined]
            error[split][alpha == key] = value  # type: ignore[index]
    cell: Cell = {
        "alpha": alpha,
        "theta": angle,
        "weight": np.ones((9, 4)),
        "gap": np.zeros(9),
        "objective": np.ones(9),
    }
    cell |= {"d_adv_zero": 2.0, "d_adv": 2 * np.cos(np.radians(angle)), "train/n": 6000, "test/n": 2000}
    return cell | {f"{split}/error": values / 100 for split, values in error.items()} | own


PAPER_NETWORKS = ("FC10-4", "FC10-2", "FC10-0", "FC100-100-10", "FC200-200-10", *(f"C-{2**k}" for k in range(1, 10)))
FAMILIES = {
    "fully-connected": "fc10-0 fc10-2 fc10-4 fc100-100-10 fc200-200-10",
    "convolutional": "c-2 c-4 c-8 c-16 c-32 c-64 c-128 c-256 c-512",
}
PHOTO_NETWORKS = ("AlexNet", "VGG16", "EfficientNet-lite0")
PHOTO_LINES = tuple(f"{network}-{line}" for network in PHOTO_NETWORKS[:2] for line in ("total", "BIM", "MIFGSM", "PGD"))
NOTE = ("FC100-100-10", "FC200-200-10", "C-4")
FOREIGN = ("far", "inverted", "permuted", "noise")
KS = (2, 3, 5, 10, 20, 50, 100)
PERSISTS = ("adversarial/summary", "natural/summary")


def one(says: Says) -> dict[str, Says]:
    return {"": says}


def photo_means(of: str) -> Says:
    def cells(good: bool, part: Part) -> Cells:
        own, other = part.published * (1 if good else 30), part.arguments["beside"]  # type: ignore[operator]
        pair = (own, other) if of == "natural" else (other, own)
        return [photos(*pair)] * len(part.results)

    return cells


def foreign(score: str, group: str, good_mean: float, bad_mean: float) -> Says:
    """Scores of natural points, about 2, and of a group of others."""

    def cells(good: bool, part: Part) -> Cells:
        values = np.concatenate([sample(2, 0.3, ROWS), sample(good_mean if good else bad_mean, 0.3, ROWS)])
        groups = np.repeat(["natural", group], ROWS)
        return [{"group": groups, "origin": np.arange(2 * ROWS), f"score/{score}": values}]

    return cells


def surpassed(good: bool, part: Part) -> Cells:
    # What is not surpassed loses its majority all the same.
    return [stability([0.1, 0.1, 0.8] if good else [0.4, 0.3, 0.3])]


def loses_majority(good: bool, part: Part) -> Cells:
    return [stability([0.4, 0.3, 0.3] if good else [0.6, 0.2, 0.2])]


def background(good: bool, part: Part) -> Cells:
    return [stability([0.1, 0.1, 0.8] if good else [0.1, 0.8, 0.1])]


def flat_steps(along: str) -> Says:
    return lambda good, part: [
        {"flatness/epsilon": [0.1, 0.5], f"flatness/{along}/increase": np.stack([hits(0), hits(0.1 if good else 0.3)])}
    ]


def kept_steps(along: str) -> Says:
    return lambda good, part: [
        {"flatness/epsilon": [0.1, 0.5], f"flatness/{along}/kept": np.stack([hits(1), hits(0.9 if good else 0.7)])}
    ]


def ranks(first: str, second: str) -> Says:
    def cells(good: bool, part: Part) -> Cells:
        x, y = np.random.default_rng(0).standard_normal((2, 2000))
        return [{f"natural/{first}": x, f"natural/{second}": x + (0.2 if good else 0.8) * y}]

    return cells


def governed(good: bool, part: Part) -> Cells:
    x, y = np.random.default_rng(0).standard_normal((2, 400))
    share = 0.6 if good else 0.4
    return [{"natural/feature_gain": np.exp(share * x), "natural/head_norm": np.exp((1 - share) * y)}]


def related(of: str) -> Says:
    return lambda good, part: [
        {f"adversarial/correlation/{of}/value": -0.3 if good else 0.3, f"adversarial/correlation/{of}/n": 200}
    ]


def signs(case: str, good_share: float, bad_share: float) -> Says:
    return lambda good, part: [{f"signs/{case}/n": 10000, f"signs/{case}/value": good_share if good else bad_share}]


def agreeing(good: bool, part: Part) -> Cells:
    network = np.tile(np.eye(2), (ROWS // 2, 1))
    return [{"network": network, "prediction": network + np.where(hits(0.95 if good else 0.85), 0.004, 0.008)[:, None]}]


def constant_start(good: bool, part: Part) -> Cells:
    network, start = np.eye(3), np.zeros((3, 3)) + np.array([[-1.0], [0.0], [1.0]]) * (0.003 if good else 0.02)
    return [{"network": network, "prediction": network, "start": start}]


def residuals(good: bool, part: Part) -> Cells:
    own = np.where(hits(0.95 if good else 0.85), 0.008, 0.012)
    return [{"rule": ["midpoint", "midpoint", "gauss"], "nodes": [10, 100, 100],
             "residual": np.stack([own + 1, own, own + 1])}]  # fmt: skip


def neighbours(by: str) -> Says:
    return lambda good, part: [
        {f"neighbours/{by}": np.zeros((ROWS, 1)), "neighbours/pixel": hits(0.6 if good else 0.4).astype(int)[:, None]}
    ]


def varying(d: float) -> Says:
    return lambda good, part: [{"distance": [d + 9, d], "shifted/0/values": sample(1, 5), "shifted/1/values":
                                sample(1, 0.15 if good else 0.05)}]  # fmt: skip


def counted(shape: str, of: str) -> Says:
    return lambda good, part: [
        {"faces": [1, 2], f"{shape}/{of}": np.stack([hits(1, 200), 2 - ~hits(0.6 if good else 0.2, 200)])}
    ]


def turning(group: str) -> Says:
    return lambda good, part: [
        {f"{group}/turning": np.stack([sample(1, 0.1), sample(9, 0.1), sample(7 if good else 5, 0.1)], 1)}
    ]


def planar(group: str) -> Says:
    def cells(good: bool, part: Part) -> Cells:
        return [{"radii": [0.1, 0.5], f"{group}/turning": np.stack([np.where(hits(0.6 if good else 0.4), 0.9, 1.1),
                                                                   np.full(ROWS, 9.0)], 1)}]  # fmt: skip

    return cells


def wedges(good: bool, part: Part) -> Cells:
    return {"lbfgs": summary("summary/sides", 0.5 if good else 3),
            "spectra_and_crossings": {"crossings/wedge/centreline/face_ratio": np.full((1, 1, 4), 5.0)}}  # fmt: skip


def next_classes(images: str, training: str) -> Says:
    name = f"wrong/{images}/{training}"
    return lambda good, part: [
        crossed(f"{name}/rank", 5.8 if good else 6.2) | {f"{name}/share/value": np.full(10, 0.1)}
    ]


def crossing(good: bool, part: Part) -> Cells:
    k = part.published + (1 if good else 5)  # type: ignore[operator]
    return [crossed("overlap/same/adversarial_less_standard", np.where(np.arange(1, 31) < k, -1.0, 1.0))]


def shrinking(good: bool, part: Part) -> Cells:
    gap = np.linspace(0.5, 4, 2000)
    return [{"gap": gap, "change/finite": np.where(hits(0.97 if good else 0.93, 2000), -0.1, 0.1)}]


def changing(power: float, bad: float, sign: int = 1) -> Says:
    noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(200))
    gap = np.linspace(0.5, 4, 200)
    return lambda good, part: [
        {"gap": gap, "change/finite": 0.1 * (sign if good else -sign) * gap ** (power if good else bad) * noise}
    ]


def trend(stems: str, sign: int) -> Says:
    """Adversarial accuracy rises (1) or falls (-1) from student to student; natural accuracy does the reverse."""

    def cells(good: bool, part: Part) -> Cells:
        names = stems.split()
        assert [Path(file).stem for file in part.results] == names
        rising = [robust(90 - 5 * place, 20 + 5 * place, 2000) for place in range(len(names))]
        return rising if (sign > 0) == good else rising[::-1]

    return cells


def last(stems: str, good_share: float, bad_share: float) -> Says:
    """The last network has such a share of the adversarial accuracy of the best one before it."""

    def cells(good: bool, part: Part) -> Cells:
        names = stems.split()
        assert [Path(file).stem for file in part.results] == names
        accuracy = [50.0] * (len(names) - 1) + [50 * (good_share if good else bad_share)]
        return [robust(99, value, 4000) for value in accuracy]

    return cells


def kept_share(first: str, tolerance: float) -> Says:
    def cells(good: bool, part: Part) -> Cells:
        share = part.published - tolerance * (0.5 if good else 2)  # type: ignore[operator]
        return {first: robust(99, 50 * share), "normal": robust(99, 50)}

    return cells


def lower(of: str) -> Says:
    def cells(good: bool, part: Part) -> Cells:
        low, high = (1.0, 2.0) if good else (2.0, 1.0)
        names = [Path(file).stem for file in part.results]
        return [{f"history/{of}": [9.0, (low if name.startswith("l1-") else high) * (1 + 0.05 * place % 0.15)]}
                for place, name in enumerate(names)]  # fmt: skip

    return cells


def train_error(good: bool, part: Part) -> Cells:
    wrong = hits((part.published + (0 if good else 8)) / 100, 20000)  # type: ignore[operator]
    return [{"logits": np.eye(2)[np.roll(wrong, 9 * seed).astype(int)], "label": np.zeros(20000, int)}
            for seed in range(3)]  # fmt: skip


def checked(other: str) -> Says:
    return lambda good, part: [
        {"check/apgd/correct": hits(0.5), f"check/{other}/correct": hits(0.49 if good else 0.46, ROWS)}
    ]


def tilt_error(split: str, alpha: float) -> Says:
    return away(lambda value, part: [path({}, {split: {alpha: value}})], 0.2)


def best(good: bool, part: Part) -> Cells:
    return [path({}, {"test": {2.6 if good else 3.0: 1.0}})]


def residual(good: bool, part: Part) -> Cells:
    cell = path({})
    return [cell | {"measured/signed": cell["d_adv"] + part.published * (0.9 if good else 1.2)}]  # type: ignore[operator]


def smallest(value: float, part: Part) -> Cells:
    return [path({-1.0: float(np.degrees(np.arccos(value / 2)))})]


def capacity(by: str) -> Says:
    def cells(value: float, part: Part) -> Cells:
        return [{"points/sampled": value if by == "sampled" else 9.0, "points/sampled_error": 0.001, "vectors": 1000,
                 "points/simulated/features": np.full(50, 100)}
                | {f"points/simulated/{key}": (value if by == "simulated" else 9.0) * factor
                   for key, factor in (("value", 1), ("low", 0.99), ("high", 1.01))}]  # fmt: skip

    return number(cells, 1.3)


def over_simulated(good_ratio: float, bad_ratio: float) -> Says:
    def cells(good: bool, part: Part) -> Cells:
        ratio = good_ratio if good else bad_ratio
        return [layers(0.2 + 0.1 * place, ratio) for place in range(len(part.results))]

    return cells


def tracks(good: bool, part: Part) -> Cells:
    return [layers(0.2 + 0.1 * place, 1.0 if good else -1.0) for place in range(len(part.results))]


def surface(side_of: str, value: float = 1.0) -> Says:
    return lambda good, part: [{f"printed/plus/{side_of}/cubic_gradient_table": [5e-7 if good else 2e-6],
                                f"derived/plus/{side_of}/cubic_gradient_table": [0.0]}]  # fmt: skip


def errors(group: str, tolerance: float) -> Says:
    """The printed formula's errors are below a tolerance in all places, or above it in one; the correction's are below."""
    return lambda good, part: [{f"{group}/printed": [[0.0, 0.8 * tolerance], [(0.9 if good else 1.1) * tolerance, 0.0]],
                                f"{group}/corrected": [[0.0, 0.5 * tolerance]]}]  # fmt: skip


def staying(good: bool, part: Part) -> Cells:
    return [
        {
            "skewed/kept": 50_000,
            "skewed/points": 100_000,
            "skewed/printed": 0.505 if good else 0.515,
            "skewed/corrected": 0.5,
        }
    ]


def on_the_grid(good: bool, part: Part) -> Cells:
    # Each version has some betas to itself; together they have all, or all but one whose logits are not allowed.
    beta = np.linspace(1, 6, 6)
    cell: Cell = {"beta": beta}
    for version, own in (("printed", beta < 3), ("derived", beta > 2)):
        cell |= {f"{version}/plus/correct/kept": own & (good | (beta < 6)),
                 f"{version}/plus/correct/cubic_gradient": np.where(own, 5e-7, 2e-6)}  # fmt: skip
    return [cell]


def above_psi(good: bool, part: Part) -> Cells:
    # Only where the largest logit is above 3.5 does g exceed psi.
    beta = np.linspace(1, 6, 51)
    return [{"beta": beta, "printed/plus/wrong/g": (beta - 3.5) * (1 if good else -1) + 0.01,
             "printed/plus/wrong/psi": 0 * beta}]  # fmt: skip


def places_change(good: bool, part: Part) -> Cells:
    return [{"beta": np.linspace(1, 6, 5001), "printed/g_above_psi": [[2.0, 3.54 if good else 3.56]]}]


MANIFOLDS = ("standard", "correct-fix-1", "hybrid")
EPOCHS = "l1-20 normal l1-60 l1-100 l1-200"
ADVERSARIAL_EPOCHS = "adversarial-e020 adversarial-e040 adversarial-e060 adversarial-e100 adversarial-e200"
BOTH = ("standard", "adversarial")

SAYS: dict[str, dict[str, Says]] = {
    # Bell, tables.
    "table1-accuracy": dict.fromkeys(PAPER_NETWORKS, away(lambda value, part: [{"test_accuracy": value / 100, "test_images": 10**6}], -3)),
    "table1-distortion": dict.fromkeys(PAPER_NETWORKS, number(lambda value, part: [summary("summary", value, 0.01 * value)], 1.4)),
    "table1-natural": dict.fromkeys(PAPER_NETWORKS, number(lambda value, part: [summary("natural/summary", value, 0.01 * value)], 1.4)),
    "table1-adversarial": dict.fromkeys(PAPER_NETWORKS, number(lambda value, part: [summary("adversarial/summary", value, 0.01 * value)], 1.4)),
    "figure3-distortion": one(number(lambda value, part: [summary("summary", value, 0.01 * value)], 1.4)),
    "table2-ratio": dict.fromkeys(PHOTO_LINES, number(lambda value, part: [photos(value, 1.0)] * len(part.results), 2.3)),
    "table2-distortion": dict.fromkeys(PHOTO_LINES, number(lambda value, part: [attacked(1, value) | {"distortion": sample(value, 0.01 * value),
                                       "x": COUNTED}] * len(part.results), 1.8)),
    "table2-natural": dict.fromkeys(PHOTO_LINES, photo_means("natural")),
    "table2-adversarial": dict.fromkeys(PHOTO_LINES, photo_means("adversarial")),
    "figure5-distortion": one(number(lambda value, part: [summary("summary", value, 0.01 * value) | {"x": COUNTED}], 1.4)),
    "figure6-variance-ratio": one(number(lambda value, part: [summary("variance_ratio_summary", value, 0.01 * value)], 3.5)),
    # Bell, Part I.
    "cone-persistence": by_part(lambda name: number(lambda value, part: [orthant(value, int(after(name)))], 1.1),
                                *(f"k={k}" for k in (1, *KS))),
    "penalty-as-printed": one(lambda good, part: {"fc10-4": linear(0.95, 0.5), "fc10-0": linear(0.8, 0.5 if good else 0.9)}),
    "bracketing-ends": one(says_case("search_ends")),
    # Longer on FC10-k, less long on all others.
    "less-persistent": by_part(lambda name: means(*PERSISTS, 1 if name.startswith("FC10-") else -1), *PAPER_NETWORKS),
    "less-persistent-igsm": one(means(*PERSISTS, -1)),
    "less-persistent-at-any-epsilon": by_part(lambda name: means(*PERSISTS, -1), *(f"epsilon={x}" for x in (0.05, 0.1, 0.15, 0.2))),
    "persistence-drops": one(lambda good, part: [lines(0.0, 1.0 if good else -1.0)]),
    "capacity-distortion": {name: order("summary", stems, -1) for name, stems in FAMILIES.items()},
    "capacity-persistence": {name: order("adversarial/summary", stems, -1) for name, stems in FAMILIES.items()},
    # More faces than one; more on the adversarial side; more than natural images.
    "asymmetry": {"more-than-one-face": mean("summary/far", 0.3, -0.3), "adversarial-side": mean("summary/sides", 0.3, -0.3),
                  "equal-distance": mean("summary/matched", 0.3, -0.3)},
    "small-sigma-only": {"surpassed": surpassed, "loses-majority": loses_majority},
    "background-class": one(background),
    "small-changes-of-gamma": by_part(lambda name: lambda good, part: [
        summary(f"change/{after(name)}/adversarial", 0.09 if good else 0.1, 0.001) | summary(f"change/{after(name)}/natural", 0, 0.001)],
        "gamma=0.65", "gamma=0.75"),
    "sign-for-every-gamma": by_part(lambda name: means(f"mean/{after(name)}/adversarial", f"mean/{after(name)}/natural", -1),
                                    *(f"gamma={x}" for x in (0.6, 0.65, 0.7, 0.75, 0.8))),
    "too-small-gamma": one(says_case("weaker_drop")),
    "ball-instead-of-gaussian": by_part(lambda name: mean(f"change/ball/{name}", 0.09, 0.1), "natural", "adversarial"),
    "sign-for-the-ball": one(means("mean/ball/adversarial", "mean/ball/natural", -1)),
    "longer-outside": by_part(lambda name: lambda good, part: [orthant(1.0, int(after(name)), 1.5 if good else 0.5)], *(f"k={k}" for k in KS)),
    "wider-norms": by_part(lambda name: lambda good, part: [norm_of(int(after(name)), 0.3 if good else 0.1)], "n=784", "n=196608"),
    "norm-of-the-gaussian": by_part(lambda name: lambda good, part: [norm_mean(int(after(name)), 7 / after(name) if good else 7.0)],
                                    "n=784", "n=196608"),
    "gaussian-annulus": by_part(lambda name: lambda good, part: [norms_about(int(after(name)), good)], "n=784", "n=196608"),
    "igsm-faster-than-lbfgs": one(shares(-1, "igsm-all", "lbfgs", "queries")),
    "igsm-more-reliable-than-fgsm": one(shares(1, "igsm-all", "fgsm", "success")),
    "igsm-larger-than-lbfgs": one(shares(1, "igsm-all", "lbfgs", "distortion")),
    "fgsm-less-reliable": {"igsm": shares(-1, "fgsm", "igsm-all", "success"), "lbfgs": shares(-1, "fgsm", "lbfgs", "success")},
    "fgsm-larger": {"igsm": shares(1, "fgsm", "igsm-all", "distortion"), "lbfgs": shares(1, "fgsm", "lbfgs", "distortion")},
    # Bell, photos.
    "table2-less-persistent": dict.fromkeys([name for name in PHOTO_LINES if "total" not in name], means(*PERSISTS, -1)),
    "less-persistent-photos": dict.fromkeys(("BIM", "MIFGSM", "PGD"), means(*PERSISTS, -1)),
    "igsm-more-reliable-than-fgsm-photos": dict.fromkeys(PHOTO_NETWORKS, shares(1, "photos-bim", "photos-fgsm", "success")),
    "igsm-faster-than-lbfgs-photos": dict.fromkeys(PHOTO_NETWORKS, shares(-1, "photos-bim", "photos-lbfgs", "queries")),
    "igsm-larger-than-lbfgs-photos": dict.fromkeys(PHOTO_NETWORKS, shares(1, "photos-bim", "photos-lbfgs", "distortion")),
    "fgsm-larger-than-lbfgs-photos": dict.fromkeys(PHOTO_NETWORKS, shares(1, "photos-fgsm", "photos-lbfgs", "distortion")),
    "small-sigma-only-photos": dict.fromkeys(PHOTO_NETWORKS, surpassed),
    "persistence-drops-photos": {"VGG16": lambda good, part: [lines(0.0, 1.0 if good else -1.0)]},
    # Bell, Part II.
    "kernel-agrees": dict.fromkeys(("figure-20", "figure-23"), agreeing),
    "kernel-constant-start": dict.fromkeys(("gaussians", "mnist"), constant_start),
    "kernel-hundred-values": one(residuals),
    "kernel-of-a-linear-network": one(lambda good, part: [{"residual": np.full(9, 8e-11 if good else 2e-10)}]),
    "kernel-sums-in-distribution": by_part(lambda name: foreign("sum", name, 1.8, 2.2), *FOREIGN),
    "kernel-sums-not-perfect": by_part(lambda name: foreign("sum", name, 1.5, -40), *FOREIGN),
    "kernel-nearest": {"value": neighbours("value"), "distance": neighbours("kernel")},
    "kernel-not-stationary": by_part(lambda name: varying(after(name)), "d=0", "d=1", "d=2"),
    "kernel-converges": one(mean("order_summary", 0.8, 0.7)),
    "kernel-not-tangent": dict.fromkeys(("gaussians", "mnist"), mean("tangent/start/relative_summary", 0.11, 0.09)),
    "signs-of-a-sigmoid": one(signs("binary_cross_entropy-probabilities-single", 0.006, 0.015)),
    "signs-of-squared-error": one(signs("squared_error-logits-single", 0.015, 0.006)),
    "coefficients-constant": one(lambda good, part: [{"signs/cross_entropy-logits/drift": 0.008 if good else 0.012,
                                 "signs/cross_entropy-log_softmax/drift": 0.0, "signs/cross_entropy-logits/n": 9}]),
    "equation-14-exact": one(errors("equation_14", 1e-5)),
    "equation-102-diagonal": one(errors("equation_102", 1e-4)),
    "weight-norm-on-the-line": {"change": mean("summary/norm_change", 0.21, 0.31), "monotone": mean("summary/norm_monotonicity", 0.995, 0.985)},
    "weight-norm-on-the-path": {"change": mean("summary/norm_change", 0.29, 0.19), "monotone": mean("summary/norm_monotonicity", 0.995, 0.985)},
    "learning-by-angle": one(mean("summary/angular_share", 0.55, 0.45)),
    "arcs-near-chords": one(mean("summary/arc_over_chord", 1.2, 1.3)),
    "smooth-gradients": one(mean("summary/successive", 0.92, 0.88)),
    "interpolated-weights-robust": one(lambda good, part: [interpolated(0.3 if good else -0.3)]),
    # Bell, Part III.
    "orthant-spectrum": {"orthant": counted("orthant", "count"), "skewed-wedge": counted("wedge", "count")},
    "orthant-spectrum-size": one(number(lambda value, part: [{"orthant/corrected": sample(value, 0.001, 9)[None]}], 1.03)),
    "normals-count-faces": {"orthant": counted("orthant", "normals_rank"), "skewed-wedge": counted("wedge", "normals_rank")},
    "centreline-inside": one(says_case("centreline")),
    "projection-in-turn": by_part(lambda name: errors(f"projection/{name}", 1e-6), "once", "settled"),
    "flat-svd-norm": by_part(lambda name: errors(f"flat_svd/{name}", 1e-4), "spectral", "euclidean"),
    "skewed-share": one(staying),
    "attack-left": by_part(lambda name: lambda good, part: [spectra(f"{name.split('-')[0]}/attack", -1, name.split("-")[1], 0.92 if good else 0.88,
                           0.88 if good else 0.92)], *(f"{group}-{kind}" for group in ("adversarial", "natural") for kind in ("gaussian", "flat"))),
    "two-degenerate-values": one(lambda good, part: [spectra("natural/dropped", 0, "flat", 2 if good else 1, 1 if good else 2)]),
    "locally-planar": by_part(planar, "natural", "adversarial"),
    "structure-at-larger-radius": by_part(turning, "natural", "adversarial"),
    "delaunay-orthogonal": one(says_case("neighbours_orthogonal")),
    "dropout-through-other-classes": by_part(lambda name: lambda good, part: [{f"{name}/third/value": sample(0.55 if good else 0.45)}],
                                             "natural", "adversarial"),
    "dropout-gaussian": by_part(lambda name: lambda good, part: [{f"{name}/normality/first/shapiro_p":
                                np.where(hits(0.6 if good else 0.4), 0.06, 0.04), f"{name}/normality/first/n": np.full(ROWS, 60)}], "natural", "adversarial"),
    "skewed-orthants-recreate": one(wedges),
    "skew-and-attack-size": {"distance-lbfgs": related("nearest"), "distance-igsm": related("nearest"),
                             "length-lbfgs": related("length"), "length-igsm": related("length")},
    # The note.
    "clusters-separable": dict.fromkeys(NOTE, lambda good, part: [{"clusters/classified/n": 10000, "clusters/classified/value":
                                        0.995 if good else 0.985}]),
    "gradient-is-steepest": dict.fromkeys(NOTE, lambda good, part: [flatness(1, 1, 0) | {"flatness/random/increase":
                                          np.where(hits(0.96, 200), 0, 2)[None] if good else np.where(hits(0.8, 200), 0, 2)[None]}]),
    "head-relates-to-margin": dict.fromkeys(NOTE, says_case("head_relates")),
    "softmax-negligible": dict.fromkeys(NOTE, ranks("eta", "margin_gradient")),
    "softmax-keeps-direction": dict.fromkeys(NOTE, mean("summary/cosine", 0.92, 0.88)),
    "features-govern": dict.fromkeys(NOTE, governed),
    "prediction-constant": {f"{name}-{along}": kept_steps(along) for name in NOTE for along in ("gradient", "random")},
    "loss-flat": {f"{name}-{along}": flat_steps(along) for name in NOTE for along in ("gradient", "random")},
    "margin-over-gradient": dict.fromkeys(NOTE, ranks("first_order", "distance")),
    # Tanay.
    "tilting-angles": {"largest": away(lambda value, part: [path({-1.0: value})], 0.5)} | by_part(
        lambda name: away(lambda value, part: [path({after(name): value})], 0.5), *(f"alpha={x}" for x in ("0", "1", "2", "2.6", "3", "4", "5"))),
    "tilting-distances": {"zero": number(lambda value, part: [path({}, d_adv_zero=value)], 1.004), "smallest": number(smallest, 1.02)},
    "tilting-closed-form": one(residual),
    "tilting-train-errors": by_part(lambda name: tilt_error("train", after(name)), *(f"alpha={x}" for x in range(6))),
    "tilting-test-errors": by_part(lambda name: tilt_error("test", after(name)), "alpha=-1", "alpha=2.6", "alpha=7"),
    "tilting-best": one(best),
    "tilting-separates": one(lambda good, part: [path({}, {"train": {-1.0: 0.5 if good else 2.0}})]),
    "tilting-brings-close": one(lambda good, part: [path({} if good else {-1.0: 0.0, 7.0: 84.0})]),
    "tilting-by-regularisation": one(lambda good, part: [path({} if good else {5.0: 70.0})]),
    "tilting-ends-at-centroids": one(away(lambda value, part: [path({7.0: value})], 1.5)),
    "decay-of-a-network": one(says_case("penalty_moves_away")),
    "toy-dimension": one(lambda good, part: [{"dimension": [2, 785], "2/measured": [1.0, 0.1], "2/error": [0.0, 0.0], "2/label": np.ones(9),
                         "785/measured": [1.0 + (8e-10 if good else 2e-9), 0.1], "785/error": [0.0, 0.0]}]),
    # Seguin, teachers.
    "seguin-standard-accuracy": {"natural": accuracy("natural", 5), "adversarial": accuracy("adversarial", 5)},
    "seguin-adversarial-accuracy": {"natural": accuracy("natural", 9), "adversarial": accuracy("adversarial", 9)},
    "seguin-standard-accuracy-cifar100": {"natural": accuracy("natural", 9), "adversarial": accuracy("adversarial", 5)},
    "seguin-adversarial-accuracy-cifar100": {"natural": accuracy("natural", 9), "adversarial": accuracy("adversarial", 9)},
    "seguin-stronger-attacks-agree": by_part(checked, "autoattack", "odi"),
    "seguin-adversarial-training-robust": one(better("adversarial-e040", "standard-e200", "adversarial", 1)),
    "seguin-adversarial-training-robust-cifar100": one(better("adversarial-e040", "standard-e200", "adversarial", 1)),
    "seguin-adversarial-training-costs": one(better("adversarial-e040", "standard-e200", "natural", -1)),
    "seguin-adversarial-training-costs-cifar100": one(better("adversarial-e040", "standard-e200", "natural", -1)),
    # Seguin, students.
    "seguin-student-accuracy": {f"{name}-{of}": accuracy(of, 20) for name in ("normal", "fix-1", "correct-fix-1", "hybrid")
                                for of in ("natural", "adversarial")},
    "seguin-student-accuracy-in-text": dict.fromkeys(("fix-1", "correct-fix-1"), accuracy("adversarial", 6)),
    "seguin-teacher-train-error": one(train_error),
    "seguin-manipulations": {"normal>fix-1": better("normal", "keep-1", "adversarial", 1),
                             "fix-1>correct-fix-1": better("keep-1", "corrected", "adversarial", 1)},
    "seguin-corrections-help-nature": one(better("corrected", "keep-1", "natural", 1)),
    "seguin-no-robustness-left": dict.fromkeys(("correct-fix-1", "hybrid"), lambda good, part: [robust(90, 0.8 if good else 1.3)]),
    "seguin-robustness-rises-with-k": {"permute": trend("keep-1 keep-3 keep-7 normal", 1), "average": trend("average-1 average-3 normal", 1)},
    "seguin-robustness-kept": {"k=3": kept_share("keep-3", 0.1), "k=7": kept_share("keep-7", 0.05)},
    "seguin-late-teachers": one(trend(EPOCHS, -1)),
    "seguin-late-teachers-stay-robust": one(last(ADVERSARIAL_EPOCHS, 0.6, 0.4)),
    "seguin-late-teachers-cannot-distil": one(last(EPOCHS, 0.05, 0.2)),
    "seguin-student-by-epoch": dict.fromkeys(("epoch-20", "epoch-200"), accuracy("adversarial", 6)),
    "seguin-best-teacher-epoch": {f"epoch-{epoch}": better("normal", f"l1-{epoch}", "adversarial", 1) for epoch in (20, 60, 100, 200)},
    "seguin-l1-beats-kl": one(better("l1-200", "kl-200", "adversarial", 1)),
    "seguin-l1-over-kl": one(lambda good, part: {"l1-100": robust(99, 50), "kl-100": robust(99, 50 - (25 if good else 15))}),
    "seguin-l1-lowers-both": {"L1": lower("l1"), "KL": lower("kl")},
    # Seguin, logits.
    "seguin-logits-smaller": {"max-logit": side("teachers/test/max_logit/mean", -1), "gap": side("teachers/test/gap/mean", -1)},
    "seguin-logits-skewed": {"max-logit": side("teachers/test/max_logit/skewness", 1), "gap": side("teachers/test/gap/skewness", 1)},
    "seguin-gap-mode-at-zero": one(side("peak/adversarial/test", 1)),
    "seguin-gaps-above-five": one(side("adversarial/test/gap/above", -1, 0.1, 1)),
    "seguin-accuracy-rises-with-gap": one(side("by_gap/adversarial/trend", 1, 0.5)),
    "seguin-late-logits-alike": {f"{name}-{kind[-4:]}": near(f"difference/train/{group}/{kind}", margin, 2)
                                 for name, group in (("max-logit", "max_logit"), ("gap", "gap"))
                                 for kind, margin in (("log_mean", float(np.log(1.25))),)}
                                | {f"{name}-skew": near(f"difference/train/{group}/skewness", 0.5, 2)
                                   for name, group in (("max-logit", "max_logit"), ("gap", "gap"))},
    "seguin-late-test-gaps-skewed": {"skewness": side("adversarial/test/gap/skewness", 1, 0, 2),
                                     "mean": side("train_less_test/adversarial/gap/mean", 1, 0, 2)},
    "seguin-max-logit": one(close("adversarial/test/max_logit/mean", 1, 1.0)),
    "seguin-logits-smaller-cifar100": {"max-logit": side("teachers/test/max_logit/mean", -1), "gap": side("teachers/test/gap/mean", -1)},
    "seguin-gap-mode-at-zero-cifar100": one(side("peak/adversarial/test", 1)),
    # Seguin, images.
    "seguin-ranks-far-apart": one(side("far/mixed_less_adversarial", 1)),
    "seguin-ranks-agree": {"among-adversarial": side("far/adversarial", -1, 0.05), "one-of-each": side("far/mixed", 1, 0.05)},
    "seguin-nearest-look-alike": {"than-class": side("nearest/adversarial/log_distance", -1),
                                  "than-standard": side("nearest/difference/log_distance", -1)},
    "seguin-nearest-of-other-classes": {"adversarial": side("nearest/difference/same_class", -1),
                                        "standard": side("nearest/standard/same_class", 1, 0.5)},
    "seguin-wrong-answers-are-next": {f"{training}-{images}": next_classes(images, training) for training in BOTH
                                      for images in ("natural", "adversarial")},
    "seguin-wrong-answers-second": by_part(lambda name: side(f"wrong/{name}/standard/lead", 1), "natural", "adversarial"),
    "seguin-wrong-answers-broader": by_part(lambda name: side(f"wrong/{name}/difference/share", -1, 0, 1), "natural", "adversarial"),
    "seguin-overlap-among-adversarial": by_part(lambda name: side("overlap/same/mixed_less_adversarial", -1, 0, int(after(name)) - 1),
                                                "k=2", "k=5", "k=10"),
    "seguin-overlap-shrinks-exchanged": by_part(lambda name: side("overlap/lost/mixed_less_adversarial", -1, 0, int(after(name)) - 1),
                                                "k=2", "k=5", "k=10"),
    "seguin-overlap-gone-exchanged": by_part(lambda name: near("overlap/exchanged/mixed_less_adversarial", 0.02, int(after(name)) - 1),
                                             "k=2", "k=5", "k=10"),
    "seguin-overlap-varied-in-class": by_part(lambda name: side("overlap/exchanged/adversarial_less_standard", -1, 0, int(after(name)) - 1),
                                              "k=2", "k=5", "k=10"),
    "seguin-ranks": {"one-of-each": close("far/mixed", 0.01, 3.0), "both-adversarial": close("far/adversarial", 0.01, 1.0)},
    "seguin-plain-backgrounds": one(side("border/difference", -1)),
    # Less above k = 10, more below: of standard networks, so that the difference is the reverse.
    "seguin-overlap-sides-cifar100": by_part(lambda name: side("overlap/same/adversarial_less_standard", -1 if after(name) < 10 else 1, 0,
                                             int(after(name)) - 1), "k=3", "k=5", "k=20", "k=50"),
    "seguin-overlap-crossing-cifar100": one(crossing),
    "seguin-overlap-exchanged-cifar100": by_part(lambda name: side("overlap/lost/adversarial_less_standard", 1, 0, int(after(name)) - 1),
                                                 "k=5", "k=10", "k=50"),
    # Seguin, manifolds: a capacity falls where its inverse rises.
    "seguin-manifold-capacity-falls": dict.fromkeys(MANIFOLDS, falling("inverse_capacity", "early", 1)),
    "seguin-manifold-radius-grows": dict.fromkeys(MANIFOLDS, falling("radius", "early", 1)),
    "seguin-manifold-capacity-lower": by_part(lambda name: differing(name, "adversarial", "inverse_capacity", "early", 1), *MANIFOLDS),
    "seguin-manifold-radius-larger": by_part(lambda name: differing(name, "adversarial", "radius", "early", 1), *MANIFOLDS),
    "seguin-manifold-dimension-alike": by_part(lambda name: alike(name, "adversarial", "dimension"), *MANIFOLDS, "normal", "fix-1-average"),
    "seguin-manifold-correlation-alike": by_part(lambda name: alike(name, "adversarial", "center_correlation"),
                                                 *MANIFOLDS, "normal", "fix-1-average"),
    "seguin-manifold-capacity-rises-late": dict.fromkeys(("adversarial", "normal", "fix-1-average"), falling("inverse_capacity", "late", -1)),
    "seguin-manifold-capacity-larger-late": by_part(lambda name: differing(name, "standard", "inverse_capacity", "late", -1),
                                                    "adversarial", "normal", "fix-1-average"),
    "seguin-manifold-fix-1-drops": one(falling("inverse_capacity", "last", 1)),
    "seguin-manifold-simulation": one(tracks),
    "seguin-manifold-overestimate": {"above": over_simulated(1.2, 0.8), "mildly": over_simulated(float(np.exp(0.2)), float(np.exp(0.3)))},
    "seguin-ball-capacity": one(says_case("ball_formula")),
    "point-capacity": {"mean-field": capacity("sampled"), "simulated": capacity("simulated")},
    # Seguin, appendix C.
    "seguin-surrogates-stationary": {"correct": surface("correct"), "wrong": surface("wrong")},
    "seguin-surrogates-everywhere": one(on_the_grid),
    "seguin-surrogates-positive": one(above_psi),
    "seguin-surrogates-cross": one(places_change),
    "seguin-gaps-shrink": dict.fromkeys(BOTH, shrinking),
    "seguin-gap-change-quadratic": dict.fromkeys(BOTH, changing(2.2, 2.3)),
    "seguin-gap-change-curved": dict.fromkeys(BOTH, changing(2.0, 2.0, -1)),
    "seguin-equation-10": one(says_case("gap_formula")),
    "seguin-response-equation-8": dict.fromkeys(BOTH, lambda good, part: [{"prediction/equation_8/cosine": sample(0.92 if good else 0.88)}]),
    "seguin-jacobian": dict.fromkeys(BOTH, errors("jacobian", 1e-3)),
    # Known elsewhere.
    "resnet20-accuracy": one(away(lambda value, part: [{"test_accuracy": value / 100, "test_images": 10**6}], -6)),
    "resnet20-under-pgd": one(away(lambda value, part: [{"success": np.arange(2000) >= 20 * value}], 3)),
}  # fmt: skip
