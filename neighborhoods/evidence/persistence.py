"""Statistics that decide Bell's claims about persistence, on the arrays of stored results; as in `evidence`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neighborhoods.evidence.verdicts import (
    NOT_AS_PRINTED,
    NOT_REPRODUCED,
    REPRODUCED,
    Finding,
    bonferroni,
    equivalence,
    proportion,
    signed,
    within_factor,
)
from neighborhoods.statistics.intervals import difference, summarize

Cell = Mapping[str, Any]
SIDES = ("inside", "outside")


def orthant(
    cells: Sequence[Cell], faces: int, published: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Persistence at distance 1 inside an orthant of k faces is within a factor of the published (Bell, prop. 4.3)."""
    sigma, kept = _orthant(cells[0], "inside", faces)
    if sigma is None or not kept:
        return None
    summary = summarize(np.log(sigma), confidence=bonferroni(confidence, comparisons))
    least, most = (limit - float(np.log(published)) for limit in (summary.mean_low, summary.mean_high))
    answer = equivalence(least, most, float(np.log(factor)))
    low, high = np.exp([summary.mean_low, summary.mean_high])
    return Finding(
        float(np.exp(summary.mean)), float(low), float(high), summary.n, answer, *within_factor(published, factor)
    )


def outside_longer(cells: Sequence[Cell], faces: int, confidence: float, comparisons: int = 1) -> Finding | None:
    """ln of persistence outside over inside an orthant, both divided by the distance from it.

    The outer point is sqrt(k) from the orthant. Measurements censored at the end of the range count as lying there, so
    that the ratio is understated.
    """
    inside, _ = _orthant(cells[0], "inside", faces)
    outside, _ = _orthant(cells[0], "outside", faces)
    if inside is None or outside is None:
        return None
    values = np.log(outside / np.sqrt(faces)), np.log(inside)
    first, second = (summarize(value, confidence=confidence) for value in values)
    found = difference(first, second, bonferroni(confidence, comparisons))
    return signed(found.mean, found.low, found.high, first.n + second.n, 1.0)


def share_above(
    cells: Sequence[Cell], of: str, share: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """More than a share of adversarial images behave as said under growing noise; Clopper-Pearson.

    `of` is "overtaken" (the adversarial class, most frequent at the smallest sigma, is later surpassed by another:
    beyond both limits), "loses_majority" (above one half at the smallest sigma, below it at the largest), or
    "background" (of those overtaken, the class that leads then is not the original).
    """
    cell = cells[0]
    frequency, low, high = (np.asarray(cell[f"adversarial/{part}"]) for part in ("frequency", "low", "high"))
    label = np.asarray(cell["adversarial/label"])
    own = np.where(np.asarray(cell["adversarial/target"]) >= 0, cell["adversarial/target"], frequency[:, 0].argmax(1))
    rows = np.arange(len(own))
    own_low, own_high = low[rows, :, own], high[rows, :, own]
    others = np.where(np.arange(low.shape[2]) == own[:, None, None], 0.0, low)
    surpassed = others.max(2) > own_high
    overtaken = surpassed.any(1) & (frequency[:, 0].argmax(1) == own)
    leader = frequency[rows, surpassed.argmax(1)].argmax(1)
    match of:
        case "overtaken":
            holds = overtaken
        case "loses_majority":
            holds = (own_low[:, 0] > 0.5) & (own_high[:, -1] < 0.5)
        case "background":
            holds = (leader != label)[overtaken]
        case _:
            raise ValueError(f"expected overtaken, loses_majority or background, found {of!r}")
    return proportion(int(holds.sum()), len(holds), share, confidence, comparisons) if len(holds) else None


def weaker_drop(
    cells: Sequence[Cell], at_most: float, gamma: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """How much less persistence falls at the crossing for the smallest gamma than for `gamma`, over lines.

    The fall is ln of persistence at the two points around the first change of class (geometric mean) less that at the
    line's ends. Needs a gamma of `at_most` in the results and two lines.
    """
    gammas, sigma, label = (np.asarray(cells[0][name]) for name in ("gamma", "sigma", "label"))
    changes = label != label[:, :1]
    lines = np.flatnonzero(changes.any(1))
    usual = np.flatnonzero(np.isclose(gammas, gamma))
    if gammas.min() > at_most or not len(usual) or len(lines) < 2:
        return None
    fall = _falls(sigma[lines][..., [int(gammas.argmin()), int(usual[0])]], changes[lines])
    summary = summarize(fall[:, 0] - fall[:, 1], confidence=bonferroni(confidence, comparisons))
    return signed(summary.mean, summary.mean_low, summary.mean_high, summary.n, 1.0)


def drop_at_crossing(cells: Sequence[Cell], gamma: float, confidence: float, comparisons: int = 1) -> Finding | None:
    """Persistence for one gamma falls at the first change of class along lines; the fall as in `weaker_drop`."""
    gammas, sigma, label = (np.asarray(cells[0][name]) for name in ("gamma", "sigma", "label"))
    changes = label != label[:, :1]
    lines, place = np.flatnonzero(changes.any(1)), np.flatnonzero(np.isclose(gammas, gamma))
    if not len(place) or len(lines) < 2:
        return None
    fall = _falls(sigma[lines][..., place[:1]], changes[lines])[:, 0]
    summary = summarize(fall, confidence=bonferroni(confidence, comparisons))
    return signed(summary.mean, summary.mean_low, summary.mean_high, summary.n, -1.0)


def search_ends(cells: Sequence[Cell], confidence: float, comparisons: int = 1) -> Finding | None:
    """A search that doubles sigma until the class is lost ends for every point beside an orthant.

    It cannot where persistence is infinite. Where there are such points, of the closed form, and the capped search
    tells them from the others, all of them and no other, the procedure is not right as printed but with its cap.
    Measured is the share of points at which persistence exists.
    """
    exists = np.concatenate([np.isfinite(np.asarray(cells[0][f"theory_{side}"], float)) for side in SIDES])
    status = np.concatenate([np.asarray(cells[0][f"{side}/status"]).astype(str) for side in SIDES])
    within_range = np.concatenate([np.asarray(cells[0][f"theory_{side}"]) < cells[0]["sigma_max"] for side in SIDES])
    if not exists.size:
        return None
    ends = np.broadcast_to(exists[:, None], status.shape)
    told = (status == "ok") == np.broadcast_to(within_range[:, None], status.shape)
    answer = REPRODUCED if ends.all() else NOT_AS_PRINTED if told.all() else NOT_REPRODUCED
    share = float(ends.mean())
    return Finding(share, share, share, ends.size, answer, least=1.0)


STATISTICS = (orthant, outside_longer, share_above, weaker_drop, drop_at_crossing, search_ends)


def _falls(sigma: NDArray[np.float64], changes: NDArray[np.bool_]) -> NDArray[np.float64]:
    """ln of persistence around the first change of class less that at the ends of each line [lines, gammas]."""
    first, rows, logs = changes.argmax(1), np.arange(len(changes)), np.log(sigma)
    return (logs[rows, first - 1] + logs[rows, first]) / 2 - (logs[:, 0] + logs[:, -1]) / 2


def _orthant(cell: Cell, side: str, faces: int) -> tuple[NDArray[np.float64] | None, bool]:
    """Measured persistences of k faces and whether none is censored; None where k was not measured."""
    place = np.flatnonzero(np.asarray(cell["faces"]) == faces)
    if not len(place):
        return None, False
    return cell[f"{side}/sigma"][place[0]], bool((cell[f"{side}/status"][place[0]] == "ok").all())
