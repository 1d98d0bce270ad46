"""Recording a path of full-batch gradient descent, against a plain loop of torch.optim.SGD on the whole batch.

    python -m benchmarks.training_path [--threads 1] [--steps 5]

Both sides train in float64 from the same weights on the same points with the same threads, and keep the weights of
every step; their largest difference is printed. Times are the median of three rounds, one side after the other in each.
Exits with 1 where weights differ by more than 1e-10.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.path_kernel.path import flat_weights, train_path

RATE, ROUNDS, EXACT = 0.1, 3, 1e-10


def colour_cnn() -> nn.Sequential:
    """Three convolutional layers and a hidden linear one, for images [3, 32, 32] of four classes."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 48), nn.SiLU(), nn.Linear(48, 4))


def digit_cnn() -> nn.Sequential:
    """One convolutional layer, for images [1, 28, 28]."""
    convolution = nn.Conv2d(1, 8, 3, padding=1)
    return nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "CNN of 3 layers, 1,024 colour images": (colour_cnn, (1024, 3, 32, 32), 4),
    "CNN of 1 layer, 1,000 grey images": (digit_cnn, (1000, 1, 28, 28), 10),
    "FC 784-100-20-10, 4,000 grey images": (
        lambda: fully_connected((1, 28, 28), (100, 20), 10),
        (4000, 1, 28, 28),
        10,
    ),
}


def ours(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> Tensor:
    """Weights [steps + 1, P] as the library records them."""
    return torch.as_tensor(train_path(model, x, y, learning_rate=RATE, steps=steps).weights)


def plain(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> Tensor:
    """The same by one forward and one backward pass of all points in each step."""
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    weights = [flat_weights(model)]
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        weights.append(flat_weights(model))
    return torch.stack(weights)


def main() -> None:
    """Time every case and compare the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{platform.machine()}, {options.threads} thread(s), torch {torch.__version__}, {options.steps} steps")
    exact = True
    for name, (build, shape, classes) in CASES.items():
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(shape, generator=generator, dtype=torch.float64)
        y = torch.randint(classes, shape[:1], generator=generator)
        seconds: dict[str, list[float]] = {"ours": [], "plain": []}
        found: dict[str, Tensor] = {}
        for _ in range(ROUNDS):
            for side, work in (("ours", ours), ("plain", plain)):
                torch.manual_seed(0)
                model = build().double()
                started = time.perf_counter()
                found[side] = work(model, x, y, options.steps)
                seconds[side].append((time.perf_counter() - started) / options.steps)
        apart = float((found["ours"] - found["plain"]).abs().max())
        one, other = (float(np.median(seconds[side])) for side in ("ours", "plain"))
        print(
            f"{name}: {1e3 * one:.0f} ms a step, plain {1e3 * other:.0f} ms, {other / one:.2f} times; apart {apart:.1e}"
        )
        exact &= apart < EXACT
    sys.exit(not exact)


if __name__ == "__main__":
    main()
