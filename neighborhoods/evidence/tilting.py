"""Statistics that decide Tanay's claims, on the arrays of stored results; as in `evidence`.

A support vector machine is exact up to its duality gap, and the source used the same images: its numbers have no
sampling error. Since the objective is strongly convex in w, ½ ||w - w*||² is at most the gap, which bounds the angle.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.evidence.verdicts import Finding, beside, bonferroni, equivalence, signed, within, within_factor
from neighborhoods.statistics.intervals import clopper_pearson, summarize

Cell = Mapping[str, Any]


def tilt_angle(
    cells: Sequence[Cell],
    published: float,
    degrees: float,
    confidence: float,
    comparisons: int = 1,
    alpha: float | None = None,
    images: int | None = None,
    ends: Sequence[float] | None = None,
) -> Finding | None:
    """The angle at one alpha, or the largest, is within so many degrees of the published one; limits from the gap."""
    place = int(np.argmax(cells[0]["theta"])) if alpha is None else _place(cells[0], alpha)
    if place is None or not _made_as(cells[0], images, ends):
        return None
    theta, low, high = (values[place] for values in _angles(cells[0]))
    answer = equivalence(low - published, high - published, degrees)
    return Finding(
        float(theta), float(low), float(high), _images(cells[0], "train"), answer, *within(published, degrees)
    )


def tilt_distance(
    cells: Sequence[Cell],
    published: float,
    factor: float,
    confidence: float,
    comparisons: int = 1,
    of: str = "zero",
    images: int | None = None,
    ends: Sequence[float] | None = None,
) -> Finding | None:
    """d_adv between the centroids (`of` "zero") or the smallest of the path is within a factor of the published one."""
    if of not in ("zero", "smallest"):
        raise ValueError(f"expected the distance at zero or the smallest, found {of!r}")
    if not _made_as(cells[0], images, ends):
        return None
    zero = float(cells[0]["d_adv_zero"])
    measured = least = most = zero
    if of != "zero":
        place = int(np.argmin(cells[0]["d_adv"]))
        measured, most, least = (float(zero * np.cos(np.radians(angle[place]))) for angle in _angles(cells[0]))
    answer = equivalence(np.log(least / published), np.log(most / published), float(np.log(factor)))
    return Finding(measured, least, most, _images(cells[0], "train"), answer, *within_factor(published, factor))


def tilt_error(
    cells: Sequence[Cell],
    split: str,
    alpha: float,
    published: float,
    points: float,
    confidence: float,
    comparisons: int = 1,
    images: int | None = None,
    ends: Sequence[float] | None = None,
) -> Finding | None:
    """An error in % at one alpha is within so many percentage points of the published one, on the same images.

    The interval reported is Clopper and Pearson's, for other images of the same kind.
    """
    place = _place(cells[0], alpha)
    if place is None or not _made_as(cells[0], images, ends):
        return None
    n = _images(cells[0], split)
    error = float(cells[0][f"{split}/error"][place])
    low, high = clopper_pearson(round(error * n), n, bonferroni(confidence, comparisons))
    apart = 100 * error - published
    return Finding(
        100 * error,
        100 * float(low),
        100 * float(high),
        n,
        equivalence(apart, apart, points),
        *within(published, points),
    )


def best_alpha(
    cells: Sequence[Cell],
    published: float,
    step: float,
    confidence: float,
    comparisons: int = 1,
    images: int | None = None,
    ends: Sequence[float] | None = None,
) -> Finding | None:
    """The published best alpha is one of the smallest test errors, or no farther than a step from them."""
    if not _made_as(cells[0], images, ends):
        return None
    error, alpha = np.asarray(cells[0]["test/error"]), np.asarray(cells[0]["alpha"])
    best = alpha[error == error.min()]
    nearest = float(best[np.abs(best - published).argmin()])
    answer = equivalence(nearest - published, nearest - published, step)
    return Finding(
        nearest, float(best.min()), float(best.max()), _images(cells[0], "test"), answer, *within(published, step)
    )


def separates(cells: Sequence[Cell], share: float, confidence: float, comparisons: int = 1) -> Finding:
    """At the smallest lambda less than a share of the training images is on the wrong side; Clopper-Pearson."""
    place, n = int(np.argmin(cells[0]["alpha"])), _images(cells[0], "train")
    error = float(cells[0]["train/error"][place])
    low, high = (float(x) for x in clopper_pearson(round(error * n), n, bonferroni(confidence, comparisons)))
    return beside(error, low, high, n, share, -1.0)


def closer(cells: Sequence[Cell], confidence: float, comparisons: int = 1) -> Finding:
    """d_adv at the smallest lambda over that at the largest is below 1; limits from the duality gaps."""
    order = np.argsort(cells[0]["alpha"])[[0, -1]]
    theta, low, high = (np.cos(np.radians(angle[order])) for angle in _angles(cells[0]))
    ratio, least, most = theta[0] / theta[1], high[0] / low[1], low[0] / high[1]
    return beside(float(ratio), float(least), float(most), _images(cells[0], "train"), 1.0, -1.0)


def less_tilt(cells: Sequence[Cell], confidence: float, comparisons: int = 1) -> Finding:
    """The angle falls with lambda: its largest rise, in degrees, is less than a hundredth of the fall over all."""
    order = np.argsort(cells[0]["alpha"])
    theta = np.asarray(cells[0]["theta"])[order]
    fall = theta[0] - theta[-1]
    rise = float((theta - np.minimum.accumulate(theta)).max())
    return beside(rise, rise, rise, len(theta), float(fall) / 100, -1.0)


def closed_form(cells: Sequence[Cell], published: float, confidence: float, comparisons: int = 1) -> Finding:
    """Half the distances to mirror images are d_adv(0) cos(theta) to the published residual, at every lambda."""
    apart = np.asarray(cells[0]["measured/signed"]) - np.asarray(cells[0]["d_adv"])
    largest = float(np.abs(apart).max())
    # Every lambda is measured: one beyond the residual contradicts the claim, whatever the others are.
    answer = equivalence(largest, largest, published)
    return Finding(largest, largest, largest, _images(cells[0], "train"), answer, most=published)


def penalty_moves_away(cells: Sequence[Cell], confidence: float, comparisons: int = 1) -> Finding | None:
    """Mean difference of an image's distances under the strongest and the weakest penalty is positive (Student).

    Both networks see the same images, so that differences are paired; images count whose boundary both have in reach.
    None for fewer than two.
    """
    strength, distance = np.asarray(cells[0]["strength"]), np.asarray(cells[0]["distance"])
    far, near = distance[int(strength.argmax())], distance[int(strength.argmin())]
    both = np.isfinite(far) & np.isfinite(near)
    if both.sum() < 2:
        return None
    found = summarize(far[both] - near[both], confidence=bonferroni(confidence, comparisons))
    return signed(found.mean, found.mean_low, found.mean_high, found.n, 1.0)


def dimension_plays_no_part(
    cells: Sequence[Cell], tolerance: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Measured distances and errors of both boundaries are the same in every dimension, up to rounding.

    None for a single dimension.
    """
    dimensions = np.asarray(cells[0]["dimension"]).tolist()
    if len(dimensions) < 2:
        return None
    found = np.stack(
        [
            np.concatenate([np.asarray(cells[0][f"{size}/{name}"]) for name in ("measured", "error")])
            for size in dimensions
        ]
    )
    apart = float(np.ptp(found, axis=0).max())
    n = len(np.asarray(cells[0][f"{dimensions[0]}/label"]))
    return Finding(apart, apart, apart, n, equivalence(apart, apart, tolerance), most=tolerance)


STATISTICS = (
    tilt_angle,
    tilt_distance,
    tilt_error,
    best_alpha,
    separates,
    closer,
    less_tilt,
    closed_form,
    penalty_moves_away,
    dimension_plays_no_part,
)


def _place(cell: Cell, alpha: float) -> int | None:
    found = np.flatnonzero(np.isclose(cell["alpha"], alpha))
    return int(found[0]) if len(found) else None


def _made_as(cell: Cell, images: int | None, ends: Sequence[float] | None) -> bool:
    """Whether a path was made with so many training images and between these alphas, as a published number was."""
    alpha = np.asarray(cell["alpha"])
    same = ends is None or bool(np.allclose([alpha[0], alpha[-1]], ends))
    return same and images in (None, _images(cell, "train"))


def _images(cell: Cell, split: str) -> int:
    return int(cell[f"{split}/n"])


def _angles(cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles in degrees with limits [L] each: the exact weight lies in a ball around the one found."""
    theta = np.asarray(cell["theta"])
    length = np.linalg.norm(np.asarray(cell["weight"]), axis=1)
    radius = np.sqrt(2 * np.maximum(np.asarray(cell["gap"]), 0) * np.asarray(cell["objective"]))
    reach = np.degrees(np.arcsin(np.minimum(radius / length, 1)))
    return theta, np.maximum(theta - reach, 0), theta + reach
