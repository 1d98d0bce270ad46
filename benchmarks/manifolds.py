"""Time of the mean-field analysis of manifolds against a loop over its programmes with a general solver.

    python -m benchmarks.manifolds
    python -m benchmarks.manifolds --solver cvxopt --threads 2

The work: manifolds of Gaussian points (NumPy's `randn(features, samples)` of one seed each after the other), Gaussian
vectors, the centres' shared structure. The loop solves one quadratic programme for each vector of each manifold, on the
same coordinates and vectors, and is timed on a part of the manifolds, whose time is scaled. Both sides must meet the
programmes' optimality conditions to the same limit, and give the same capacity. SciPy's SLSQP is there always; cvxopt,
which the published code uses, if it is installed (it is no requirement of the project).
"""

import argparse
import os
import platform
import time
from collections.abc import Callable

import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from scipy import optimize
from torch import Tensor

from neighborhoods.manifolds.mean_field import anchor_points, gaussian_vectors, mftma

# Of ||v - T||^2 over its own size, and of constraints over ||T||: what both sides must reach.
ACCURACY = 1e-7

# Seconds that the analysis may take at its default size.
LIMIT = 3.0

Programme = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def slsqp(points: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """argmin ||v - T||^2 over v . s <= 0 by SciPy, for points s [M, D + 1] and T [D + 1]."""
    constraint = {"type": "ineq", "fun": lambda v: -points @ v, "jac": lambda v: -points}
    options = {"ftol": 1e-13, "maxiter": 1000}
    found = optimize.minimize(
        lambda v: ((v - vector) @ (v - vector) / 2, v - vector),
        np.zeros_like(vector),
        jac=True,
        method="SLSQP",
        constraints=constraint,
        options=options,
    )
    return np.asarray(found.x)


def cvxopt() -> Programme:
    """The same by cvxopt's interior point method, at the tolerances of the published code."""
    from cvxopt import matrix, solvers

    solvers.options.update(show_progress=False, abstol=1e-12, reltol=1e-12, feastol=1e-12)

    def solve(points: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
        size = len(vector)
        found = solvers.qp(matrix(np.eye(size)), matrix(-vector), matrix(points), matrix(np.zeros(len(points))))
        return np.asarray(found["x"]).ravel()

    return solve


def coordinates(points: Tensor) -> Tensor:
    """Points about their centre in units of its length and reduced to as many features as points [P, M, M]."""
    about = points - points.mean(2, keepdim=True)
    apart = points.mean(2) - points.mean((0, 2))
    triangle = torch.linalg.qr(about / apart.norm(dim=1)[:, None, None], mode="r").R
    return triangle.mT.contiguous()


def misses(points: Tensor, vectors: Tensor, nearest: Tensor) -> tuple[float, float]:
    """Largest violation of a constraint over ||T||, and of v . (T - v) = 0 over ||T||^2: both zero at the minimum.

    Args:
        points: with the centre's coordinate [P, M, D + 1]. vectors, nearest: T and v [P, n, D + 1].
    """
    length = vectors.norm(dim=2)
    outside = (nearest @ points.mT).amax(2).clamp(min=0) / length / points.norm(dim=2).amax()
    open_angle = (nearest * (vectors - nearest)).sum(2).abs() / length.square()
    return float(outside.max()), float(open_angle.max())


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--manifolds", type=int, default=100)
    parser.add_argument("--features", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--vectors", type=int, default=200)
    parser.add_argument("--looped", type=int, default=2, help="manifolds whose programmes the loop solves")
    parser.add_argument("--solver", choices=("slsqp", "cvxopt"), default="slsqp")
    parser.add_argument("--repeats", type=int, default=3, help="of the analysis; the least time counts")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    solve = slsqp if options.solver == "slsqp" else cvxopt()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch threads: {options.threads}, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"SciPy {scipy.__version__}"
    )
    generator = np.random.RandomState(options.seed)
    shape = (options.features, options.samples)
    points = torch.from_numpy(np.stack([generator.randn(*shape) for _ in range(options.manifolds)]))
    seconds, processor = np.inf, np.inf
    for _ in range(options.repeats):
        start, own = time.perf_counter(), time.process_time()
        found = mftma(points, n_t=options.vectors, seed=options.seed)
        seconds = min(seconds, time.perf_counter() - start)
        processor = min(processor, time.process_time() - own)
    print(
        f"analysis of {options.manifolds} manifolds of {options.samples} points in {options.features} features, "
        f"{options.vectors} vectors: {seconds:.2f} s ({processor:.2f} s of processor time)"
    )
    print(f"  capacity {found.capacity.value:.5f} [{found.capacity.low:.5f}, {found.capacity.high:.5f}]")
    s = coordinates(points)
    vectors = gaussian_vectors(options.manifolds, options.vectors, options.samples + 1, options.seed)
    start = time.perf_counter()
    anchors = anchor_points(s, vectors)
    batched = time.perf_counter() - start
    lift = (vectors * anchors).sum(2).clamp(min=0) / anchors.square().sum(2)
    full = torch.cat([s, torch.ones_like(s[:, :, :1])], 2)
    part = slice(options.looped)
    start = time.perf_counter()
    nearest = torch.tensor(
        np.stack(
            [[solve(own, t) for t in ts] for own, ts in zip(full[part].numpy(), vectors[part].numpy(), strict=True)]
        )
    )
    looped = (time.perf_counter() - start) * options.manifolds / options.looped
    ours = vectors - lift[:, :, None] * anchors
    missed = {"batched": misses(full, vectors, ours), options.solver: misses(full[part], vectors[part], nearest)}
    inverse = [(vectors[part] - v).square().sum(2).mean() for v in (ours[part], nearest)]
    print(f"programmes: {options.manifolds * options.vectors} of {options.samples} constraints")
    print(
        f"  batched {batched:.2f} s, {options.solver} in a loop {looped:.1f} s (measured on {options.looped} manifolds)"
    )
    for name, (outside, angle) in missed.items():
        print(f"  {name}: constraints missed by {outside:.1e}, complementarity by {angle:.1e}")
    print(f"  inverse capacities of the looped manifolds: {float(inverse[0]):.9f} and {float(inverse[1]):.9f}")
    worst = max(max(pair) for pair in missed.values())
    equal = abs(float(inverse[0] / inverse[1]) - 1) < ACCURACY and worst < ACCURACY
    print(f"  equal accuracy {'met' if equal else 'MISSED'}; {LIMIT:g} s {'met' if seconds <= LIMIT else 'MISSED'}")
    return 0 if equal and seconds <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
