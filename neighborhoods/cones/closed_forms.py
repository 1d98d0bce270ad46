"""Stability and persistence of orthants and wedges: what measured boundaries are compared with.

An orthant {x_1 >= 0, ..., x_k >= 0} is Bell's W_k^n (section 4); a wedge {V x >= 0} has faces at other angles
(Bell, definition 30.8). Distances are signed, positive on a face's inner side, and like sigma in units of a point's
coordinates.
"""

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from neighborhoods.cones.wedges import unit_normals

# Steps of the search for the first crossing from outside a wedge; dips narrower than one step go unseen.
SCAN_FACTOR = 1.1

# Where that search ends unless it must cross, in units of the largest distance. Each face's own share is then within
# .004 of 1/2, and the wedge's within .004 k of its limit.
FARTHEST = 100.0

ROUNDING = 1e-14

# Beyond this many standard deviations the tail of Phi is zero in double precision.
SURELY = 40.0


def orthant_share(distance: ArrayLike, sigma: ArrayLike, faces: ArrayLike) -> NDArray[np.float64]:
    """Share of noisy points that keep the class, at equal distance from all faces of an orthant.

    Inside (distance >= 0) it is Phi(d / sigma)^k (Bell, proposition 4.3). Outside, where all k coordinates are -|d|,
    it is 1 - Phi(-|d| / sigma)^k (errata, Part I): such a point leaves its class only when noise changes every sign.

    Args:
        distance: signed distance from each face's plane; any shape, broadcast with the others.
        sigma: standard deviation of the noise, positive, possibly inf.
        faces: number of faces k, positive; not necessarily whole.

    Returns:
        Shares in [0, 1], of the broadcast shape.

    Raises:
        ValueError: sigma or faces not positive, or distances that are not finite.
    """
    d, s, k = _checked(distance, sigma, faces)
    power = np.exp(k * special.log_ndtr(d / s))
    return np.where(d >= 0, power, 1 - power)


def orthant_persistence(distance: ArrayLike, faces: ArrayLike, gamma: float) -> NDArray[np.float64]:
    """Persistence at equal distance from all faces of an orthant, in units of the distance.

    Inside, sigma* = d / Phi^-1(gamma^(1/k)) (Bell, proposition 4.3). Outside, the share 1 - Phi(-|d| / sigma)^k falls
    all the way too, so that its only crossing is sigma* = |d| / -Phi^-1((1 - gamma)^(1/k)).

    Args:
        distance: signed distance from each face's plane; any shape, broadcast with `faces`.
        faces: number of faces k, positive; not necessarily whole.
        gamma: share that must keep the class, in (0, 1).

    Returns:
        sigma* of the broadcast shape; inf where the share never falls below gamma: inside when gamma <= 2^-k, outside
        when gamma <= 1 - 2^-k. On the faces (distance 0, part of the orthant) 0 or inf.

    Raises:
        ValueError: gamma outside (0, 1), faces not positive, or distances that are not finite.
    """
    d, _, k = _checked(distance, 1.0, faces)
    _check_gamma(gamma)
    # The argument of Phi at which the share equals gamma. ndtri_exp is Phi^-1(e^y), exact where e^y rounds to 1.
    inside = special.ndtri_exp(math.log(gamma) / k)
    outside = -special.ndtri_exp(math.log1p(-gamma) / k)
    level = np.where(d >= 0, inside, outside)
    # Where gamma equals the limit of the share, rounding can leave a level of the order of 1e-16.
    return np.divide(np.abs(d), level, out=np.full(d.shape, math.inf), where=level > ROUNDING)


def face_number(distance: ArrayLike, sigma: ArrayLike, gamma: float) -> NDArray[np.float64]:
    """Number of faces of the orthant in which a point at this distance would have this persistence.

    The inverse of proposition 4.3 in k: k = ln(gamma) / ln Phi(d / sigma*). One stands for a flat boundary, more for a
    point inside a cone, less for a point outside one. It compares persistence at matched distance, which the errata
    (Part I) ask for: persistence by itself drops to zero at any boundary, a flat one included.

    It falls as sigma grows, so an interval [low, high] of persistence maps onto [face_number(high), face_number(low)].

    Args:
        distance: distance from the nearest point of the boundary, positive; any shape, broadcast with `sigma`.
        sigma: persistence, not negative, possibly inf.
        gamma: the share it was measured with, in (0, 1); above 1/2 for a flat boundary to have finite persistence.

    Returns:
        Numbers of the broadcast shape: inf for sigma = 0; for sigma = inf the infimum ln(gamma) / ln(1/2) = .515 for
        gamma = .7, which no finite persistence goes below.

    Raises:
        ValueError: gamma outside (0, 1), distances not positive and finite, or a negative sigma.
    """
    d, s = np.broadcast_arrays(np.asarray(distance, float), np.asarray(sigma, float))
    _check_gamma(gamma)
    if not (np.isfinite(d) & (d > 0)).all() or not (s >= 0).all():
        raise ValueError("expected distances above 0 and finite, and no negative sigma")
    with np.errstate(divide="ignore"):
        kept = -special.log_ndtr(d / s)
        return -math.log(gamma) / np.abs(kept)


def orthant_view(faces: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The orthant of proposition 4.3 in three dimensions, as far as the cube [0, 2]^3 shows it (Bell, figure 7).

    Args:
        faces: 1, 2 or 3.

    Returns:
        Corners of each face in order around it [faces, 4, 3], the point at distance 1 from each [3], and the feet of
        its perpendiculars [faces, 3].

    Raises:
        ValueError: another number of faces.
    """
    if faces not in (1, 2, 3):
        raise ValueError(f"three dimensions hold orthants of 1 to 3 faces, found {faces}")
    square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    polygons = np.stack([np.insert(square, axis, 0.0, axis=1) for axis in range(faces)])
    point = np.ones(3)
    return polygons, point, point - np.eye(3)[:faces]


def wedge_share(distances: ArrayLike, normals: ArrayLike, sigma: ArrayLike, seed: int = 0) -> NDArray[np.float64]:
    """Gaussian measure of a wedge {V x >= 0}: Phi_k(d / sigma; R = V V^T) (errata, Part III).

    Faces that are not orthogonal make it differ from the product of proposition 4.3. For more than three faces the
    integral is a quasi-Monte Carlo one (Genz 1992) with an absolute error of about 1e-5; up to ten faces it takes
    milliseconds, for fifty seconds.

    Args:
        distances: of the noise's centre from each face, V x [k]; negative beyond a face.
        normals: inward normals V of unit length [k, n].
        sigma: standard deviation of the noise, positive, possibly inf; any shape.
        seed: of the integral; equal seeds make it a smooth function of sigma.

    Returns:
        Shares of the shape of `sigma`.

    Raises:
        ValueError: shapes that do not match, normals that are not of unit length, distances that are not finite, or
            a sigma that is not positive.
    """
    v = unit_normals(normals)
    d, s = np.asarray(distances, float), np.asarray(sigma, float)
    if d.shape != (len(v),) or not np.isfinite(d).all():
        raise ValueError(f"expected a finite distance for each of {len(v)} normals, found shape {d.shape}")
    if not (s > 0).all():
        raise ValueError("sigma must be positive")
    if len(v) == 1:
        return np.asarray(special.ndtr(d[0] / s))
    products = np.clip(v @ v.T, -1, 1)
    np.fill_diagonal(products, 1)
    # Imported when it is first used: it takes half a second.
    law = scipy.stats.multivariate_normal
    shares = [
        law.cdf(d / value, np.zeros(len(v)), products, allow_singular=True, rng=np.random.default_rng(seed))
        for value in s.ravel()
    ]
    return np.clip(np.array(shares, float), 0, 1).reshape(s.shape)


def wedge_persistence(distances: ArrayLike, normals: ArrayLike, gamma: float, seed: int = 0) -> float:
    """Persistence of a point for the classifier whose classes are a wedge {V x >= 0} and its complement.

    Inside, the share that keeps the class falls all the way (the wedge is star-shaped about the point). Outside it can
    dip below gamma and rise again: the first crossing counts, found by a scan in steps of SCAN_FACTOR up to FARTHEST
    times the largest distance.

    Args:
        distances: V x [k]; inside when none is negative.
        normals: inward normals V of unit length [k, n].
        gamma: share that must keep the class, in (0, 1).
        seed: of the integrals, as for `wedge_share`.

    Returns:
        sigma*, in units of the distances; inf where the share never falls below gamma, 0 on the boundary of the wedge
        where the share there is below gamma for every sigma.

    Raises:
        ValueError: gamma outside (0, 1), or as for `wedge_share`.
    """
    _check_gamma(gamma)
    v, d = unit_normals(normals), np.asarray(distances, float)
    limit = float(wedge_share(d, v, math.inf, seed))
    inside = bool((d >= 0).all())

    def excess(sigma: float) -> float:
        share = float(wedge_share(d, v, sigma, seed))
        return (share if inside else 1 - share) - gamma

    if inside:
        if limit >= gamma:
            return math.inf
        touching = d == 0
        if touching.any() and float(wedge_share(d[touching], v[touching], 1.0, seed)) < gamma:
            return 0.0
        low = float(d[~touching].min()) / SURELY
        high = 2 * low
        while excess(high) >= 0:
            low, high = high, 2 * high
        return float(optimize.brentq(excess, low, high))
    level = float(special.ndtri(gamma))
    if level <= 0:
        return math.inf
    # The complement holds the half-space beyond the farthest of the violated faces: no crossing comes before its own.
    low = float(-d.min()) / level
    end = math.inf if 1 - limit < gamma else FARTHEST * float(np.abs(d).max())
    if excess(low) <= 0:
        return low
    while low < end:
        high = low * SCAN_FACTOR
        if excess(high) < 0:
            return float(optimize.brentq(excess, low, high))
        low = high
    return math.inf


def _checked(distance: ArrayLike, sigma: ArrayLike, faces: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    d, s, k = np.broadcast_arrays(np.asarray(distance, float), np.asarray(sigma, float), np.asarray(faces, float))
    if not np.isfinite(d).all():
        raise ValueError("distances must be finite")
    if not (s > 0).all() or not (k > 0).all():
        raise ValueError("sigma and the number of faces must be positive")
    return d, s, k


def _check_gamma(gamma: float) -> None:
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must lie in (0, 1), found {gamma}")
