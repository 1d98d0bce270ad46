"""Statistics that decide the claims of Bell's Part III, on the arrays of stored results; as in `evidence`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neighborhoods.evidence.verdicts import (
    NOT_AS_PRINTED,
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    Finding,
    above,
    bonferroni,
    equivalence,
    proportion,
    signed,
    within_factor,
)
from neighborhoods.statistics.intervals import rank_limits, stored_summary, summarize

Cell = Mapping[str, Any]

# Angles in degrees below this are rounding.
ORTHOGONAL = 1e-6


def counted_faces(
    cells: Sequence[Cell], shape: str, of: str, share: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """In more than a share of the spectra of samples projected onto k faces, k values tell them; Clopper-Pearson.

    `of` is "count" (dropped values of the projected points) or "normals_rank" (rank of the points less projections).
    """
    faces = np.asarray(cells[0]["faces"])
    found = np.asarray(cells[0][f"{shape}/{of}"])
    return _share_of((found.reshape(len(faces), -1) == faces[:, None]).ravel(), share, confidence, comparisons)


def dropped_size(
    cells: Sequence[Cell], shape: str, published: float, factor: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Dropped values over the rest, corrected for the finite sample, are within a factor of the published."""
    values = np.asarray(cells[0][f"{shape}/corrected"], float).ravel()
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    low, centre, high = _student(np.log(values), confidence, comparisons)
    answer = equivalence(low - np.log(published), high - np.log(published), float(np.log(factor)))
    return Finding(
        float(np.exp(centre)),
        float(np.exp(low)),
        float(np.exp(high)),
        len(values),
        answer,
        *within_factor(published, factor),
    )


def left_direction(
    cells: Sequence[Cell],
    group: str,
    column: str,
    radius: int,
    sample: str,
    projection: str,
    least: float,
    confidence: float,
    comparisons: int = 1,
) -> Finding | None:
    """A |cosine| of each spectrum, as of its first direction with the attack's, has a mean of `least` over crossings.

    Reproduced where the whole Student interval lies above it.
    """
    values = _spectra(cells[0], f"{group}/{column}", radius, sample, projection)
    if len(values) < 2:
        return None
    low, centre, high = _student(values, confidence, comparisons)
    return above(centre, max(low, 0.0), min(high, 1.0), len(values), least)


def dropped_values(
    cells: Sequence[Cell],
    group: str,
    radius: int,
    sample: str,
    projection: str,
    count: int,
    share: float,
    confidence: float,
    comparisons: int = 1,
) -> Finding | None:
    """Around more than a share of the crossings exactly `count` singular values drop; Clopper-Pearson."""
    values = _spectra(cells[0], f"{group}/dropped", radius, sample, projection)
    return _share_of(values == count, share, confidence, comparisons) if len(values) else None


def turned_more(
    cells: Sequence[Cell], group: str, least: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Normals turn by `least` degrees more at the largest radius than at the smallest, on the mean over crossings."""
    angle = np.asarray(cells[0][f"{group}/turning"], float)
    if len(angle) < 2:
        return None
    values = angle[:, -1] - angle[:, 0]
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    low, centre, high = _student(values, confidence, comparisons)
    return above(centre, low, high, len(values), least)


def flat_around(
    cells: Sequence[Cell],
    group: str,
    radius: float,
    degrees: float,
    share: float,
    confidence: float,
    comparisons: int = 1,
) -> Finding | None:
    """Around more than a share of the crossings normals turn by less than so many degrees within a radius.

    Crossings with a known angle at any radius count; where the pair of classes meets no more at this one, the boundary
    is not flat.
    """
    place = np.flatnonzero(np.isclose(np.asarray(cells[0]["radii"], float), radius))
    if not len(place):
        return None
    angle = np.asarray(cells[0][f"{group}/turning"], float)
    angle = angle[np.isfinite(angle).any(1), place[0]]
    return _share_of(angle < degrees, share, confidence, comparisons) if len(angle) else None


def neighbours_orthogonal(cells: Sequence[Cell], confidence: float, comparisons: int = 1) -> Finding | None:
    """Delaunay neighbours of different classes cross their boundary orthogonally; measured is the largest angle.

    The proof needs more than it says: that the segment meets no third cell. Where all neighbours of that kind
    (Gabriel's) cross orthogonally, and another Delaunay neighbour does not, the claim does not hold as printed. Without
    another that was tested it is undecided, since Gabriel neighbours are only some of Delaunay's.
    """
    angles = np.asarray(cells[0]["neighbours/voronoi/skewness"], float)
    angles = angles[np.isfinite(angles)]
    if not len(angles):
        return None
    largest = float(angles.max())
    if largest > ORTHOGONAL:
        return Finding(largest, largest, largest, len(angles), NOT_REPRODUCED, most=ORTHOGONAL)
    tested = np.asarray(cells[0]["others/delaunay"], bool)
    others = np.asarray(cells[0]["others/voronoi/skewness"], float)[: len(tested)][tested]
    answer = NOT_AS_PRINTED if (others > ORTHOGONAL).any() else REPRODUCED if len(others) else UNDECIDED
    # Of all that the claim is about, as far as they were tested.
    all_angles = np.concatenate([angles, others[np.isfinite(others)]])
    return Finding(
        float(all_angles.max()),
        float(all_angles.min()),
        float(all_angles.max()),
        len(all_angles),
        answer,
        most=ORTHOGONAL,
    )


def through_others(
    cells: Sequence[Cell], group: str, share: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """With dropout on, more than a share of the masks have lines pass through a third class, on the mean over lines."""
    values = np.asarray(cells[0][f"{group}/third/value"], float)
    if len(values) < 2:
        return None
    low, centre, high = _student(values, confidence, comparisons)
    return above(centre, max(low, 0.0), min(high, 1.0), len(values), share)


def gaussian_places(
    cells: Sequence[Cell], group: str, of: str, share: float, places: int, confidence: float, comparisons: int = 1
) -> Finding | None:
    """On more than a share of the lines Shapiro and Wilk's test does not reject that places are Gaussian.

    Each line is tested at the level of one interval: one for all lines would let pass what is rejected on every one. A
    test of few places rejects nothing: where a line that passes has fewer than `places`, its passing says nothing, and
    limits are those of all such lines failing and of all passing.
    """
    p, n = (np.asarray(cells[0][f"{group}/normality/{of}/{key}"], float) for key in ("shapiro_p", "n"))
    p, n = p[np.isfinite(p)], n[np.isfinite(p)]
    if not len(p):
        return None
    passes = p > 1 - confidence
    surely = proportion(int((passes & (n >= places)).sum()), len(p), share, confidence, comparisons)
    most = _share_of(passes, share, confidence, comparisons)
    return above(most.measured, surely.low, most.high, len(p), share)


def wedges_like(
    cells: Sequence[Cell], group: str, line: str, confidence: float, comparisons: int = 1
) -> Finding | None:
    """Some wedge has the ratio of face numbers, inside over outside, that a network has across its boundary.

    The cells are the network's comparison of both sides of its boundary, whose means of logarithms count, and the
    wedges, each with its geometric mean over all steps. Reproduced where the network's whole interval lies within what
    wedges have, not where it lies outside: one that holds 1 may have a flat boundary. None without an interval, as of a
    single line, or without a ratio.
    """
    if len(cells) != 2 or f"{group}/mean" not in cells[0]:
        return None
    summary = stored_summary(cells[0], group)
    low, high = (math.exp(limit) for limit in summary.mean_limits(bonferroni(confidence, comparisons)))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.exp(np.log(np.asarray(cells[1][f"crossings/{line}/face_ratio"], float)).mean(2))
    ratios = ratios[np.isfinite(ratios)]
    if math.isnan(low) or not len(ratios):
        return None
    # Ratios go from 1 (a flat boundary) to the largest without a gap: measures of wedges are continuous in angles.
    largest = float(ratios.max())
    answer = UNDECIDED
    if low > 1.0 and high <= largest:
        answer = REPRODUCED
    elif high < 1.0 or low > largest:
        answer = NOT_REPRODUCED
    return Finding(math.exp(summary.mean), low, high, summary.n, answer, 1.0, largest)


def related(
    cells: Sequence[Cell], group: str, of: str, expects: float, confidence: float, comparisons: int = 1
) -> Finding | None:
    """The sign of Spearman's correlation of skewness with a size, over lines of one kind (Fisher's z)."""
    value, n = (float(cells[0][f"{group}/correlation/{of}/{key}"]) for key in ("value", "n"))
    if not np.isfinite(value) or n < 4 or abs(value) >= 1:
        return None
    return signed(value, *rank_limits(value, int(n), bonferroni(confidence, comparisons)), int(n), expects)


def centreline(cells: Sequence[Cell], confidence: float, comparisons: int = 1) -> Finding:
    """The printed centreline of wedges, at half of their angle theta, lies inside (Bell, definitions 30.8 and 30.9).

    A wedge leaves the angles from theta to a right angle, its opening; its centreline is in the middle. Measured is the
    share of openings at which the printed one is inside; the corrected one passes where every point of it beyond the
    crossing is inside, for all openings and numbers of faces.
    """
    theta = 90 - np.asarray(cells[0]["crossings/wedge/opening"], float)
    beyond = np.asarray(cells[0]["crossings/offset"], float) > 0
    corrected = bool(np.asarray(cells[0]["crossings/wedge/centreline/inside"], bool)[..., beyond].all())
    holds = theta / 2 > theta
    share = float(holds.mean())
    answer = REPRODUCED if holds.all() else NOT_AS_PRINTED if corrected else NOT_REPRODUCED
    return Finding(share, share, share, len(theta), answer, least=1.0)


STATISTICS = (
    centreline,
    counted_faces,
    dropped_size,
    left_direction,
    dropped_values,
    turned_more,
    flat_around,
    neighbours_orthogonal,
    through_others,
    gaussian_places,
    wedges_like,
    related,
)


def _spectra(cell: Cell, name: str, radius: int, sample: str, projection: str) -> np.ndarray:
    """One number of the spectra around each crossing [crossings], those that have it."""
    kinds, ways = (list(np.asarray(cell[key]).astype(str)) for key in ("samples", "projections"))
    values = np.asarray(cell[name], float)
    if sample not in kinds or projection not in ways or not -values.shape[1] <= radius < values.shape[1]:
        return np.empty(0)
    values = values[:, radius, kinds.index(sample), ways.index(projection)]
    return values[np.isfinite(values) & (values >= 0)]


def _student(values: np.ndarray, confidence: float, comparisons: int) -> tuple[float, float, float]:
    summary = summarize(values, confidence=bonferroni(confidence, comparisons))
    return summary.mean_low, summary.mean, summary.mean_high


def _share_of(holds: np.ndarray, share: float, confidence: float, comparisons: int) -> Finding:
    return proportion(int(holds.sum()), len(holds), share, confidence, comparisons)
