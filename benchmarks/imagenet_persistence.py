"""Persistence on photos at equal accuracy: the default against Bell's algorithm 1 and a plain batched loop.

    python -m benchmarks.imagenet_persistence
    python -m benchmarks.imagenet_persistence --device cuda --images 16 --samples 1000 --baseline-samples 1000 2000 4000

EfficientNet-lite0 (1000 classes) on photos of 224 x 224 that come with foolbox. Accuracy is the root mean square error
of log sigma* against a reference of many samples. The baselines classify with the model as it is, in batches of the
best size found. Their errors come from decisions by the library's faster forward passes, which decide alike; their
times are the noisy images that they ask for times the time of one, measured on the model itself.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.persistence import GAMMA
from neighborhoods.images import to_unit_interval
from neighborhoods.networks.architectures import read_state_dict, restore
from neighborhoods.networks.photos import published_weights
from neighborhoods.persistence.bracketing import bracketing
from neighborhoods.persistence.measure import Search, persistence, stability
from neighborhoods.persistence.sampling import deciding
from pipeline.data.photos import decode, packaged_imagenet

SIDE, SHORT_SIDE = 224, 256
SIGMA_MIN, SIGMA_MAX = 0.02, 2.0
SEARCH: Search = {"sigma_min": SIGMA_MIN, "sigma_max": SIGMA_MAX, "scan_factor": 2.0}
BISECTIONS = 9
BATCHES = (1, 2, 4, 8, 16, 64)
GPU_BATCHES = (64, 128, 256, 512, 1024)


def network() -> nn.Module:
    """EfficientNet-lite0 as the workflow uses it."""
    settings = {"input_shape": (3, SIDE, SIDE), "classes": 1000, "architecture": "efficientnet_lite0"}
    return restore(settings, read_state_dict(str(published_weights("efficientnet_lite0").file)))


def photos() -> Tensor:
    """Foolbox's photos [20, 3, 224, 224] in [0, 1]."""
    return to_unit_interval(decode(packaged_imagenet().files, SIDE, SHORT_SIDE))


def seconds_of(run: Callable[[], object], device: str, repeats: int = 3) -> float:
    """Shortest time of some runs, after one that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def forward_seconds(model: nn.Module, x: Tensor, batches: Sequence[int], half: bool = False) -> tuple[float, int]:
    """Seconds of a forward pass for one image, and the batch size at which it is shortest."""
    device = x.device.type
    found = []
    for batch in batches:
        points = x[torch.arange(batch) % len(x)]
        with torch.autocast(device, torch.bfloat16, enabled=half):
            found.append((seconds_of(lambda points=points: model(points).argmax(1), device) / batch, batch))  # type: ignore[misc]
    return min(found)


def noisy_seconds(model: nn.Module, x: Tensor, batch: int) -> float:
    """Seconds of one noisy image: drawn, added and classified by the model itself."""

    def run() -> Tensor:
        return model(x[:1] + 0.1 * torch.randn(batch, *x.shape[1:], device=x.device)).argmax(1)

    return seconds_of(run, x.device.type) / batch


def reference(model: nn.Module, x: Tensor, samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images that are not censored, log sigma* from fresh samples near it, and its standard error: [images] each.

    One Newton step from a rough estimate, with the slope of the shares 20 % to either side.
    """
    near = persistence(model, x, GAMMA, 64, seed=10**6, **SEARCH)
    rows = torch.tensor([status == "ok" for status in near.status]).nonzero()[:, 0]

    def share(row: int, sigma: float, count: int, seed: int) -> float:
        found = stability(model, x[row : row + 1], sigma, count, seed=seed)
        return float(found.frequency[0, near.predicted[row]])

    truth, error = [], []
    for row in rows.tolist():
        sigma = float(near.sigma[row])
        below, above = (share(row, sigma * factor, samples // 4, 10**7 + row) for factor in (1 / 1.2, 1.2))
        slope = (above - below) / (2 * math.log(1.2))
        truth.append(math.log(sigma) - (share(row, sigma, samples, 2 * 10**7 + row) - GAMMA) / slope)
        error.append(math.sqrt(GAMMA * (1 - GAMMA) / samples) / abs(slope))
    return rows, torch.tensor(truth, dtype=torch.float64), torch.tensor(error)


class Counted:
    """The model's decisions by its fastest form, as logits of 0 and 1, and how many were asked for."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        self._decider = deciding(model, x)
        self._classes = model(x[:1]).shape[1]
        self.images = 0

    def __call__(self, points: Tensor) -> Tensor:
        self.images += len(points)
        return nn.functional.one_hot(self._decider.labels(points), self._classes).float()


def algorithm1(model: Counted, x: Tensor, samples: int, seed: int) -> Tensor:
    found = bracketing(model, x, GAMMA, samples, seed, sigma_min=SIGMA_MIN / 4, sigma_max=4 * SIGMA_MAX)
    return found.sigma.log()


def plain_loop(model: Counted, x: Tensor, samples: int, seed: int) -> Tensor:
    """Bisection of log sigma, fresh noise at each step."""
    generator = torch.Generator(x.device).manual_seed(seed)
    ends = []
    for image in x:
        own = model(image[None]).argmax()
        low, high = math.log(SIGMA_MIN), math.log(SIGMA_MAX)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            kept = 0
            for start in range(0, samples, 8):
                count = min(8, samples - start)
                noise = torch.randn(count, *image.shape, generator=generator, device=x.device)
                kept += int((model(image + math.exp(middle) * noise).argmax(1) == own).sum())
            low, high = (middle, high) if kept / samples >= GAMMA else (low, middle)
        ends.append((low + high) / 2)
    return torch.tensor(ends, dtype=torch.float64)


def rmse(errors: Tensor) -> float:
    return float(errors.square().mean().sqrt())


def baseline(
    name: str,
    run: Callable[[Counted, Tensor, int, int], Tensor],
    decided: Counted,
    x: Tensor,
    truth: Tensor,
    samples: int,
    seeds: int,
) -> tuple[float, float]:
    """Print and give the error, and noisy images for an image."""
    before = decided.images
    errors = torch.cat([run(decided, x, samples, seed) - truth for seed in range(seeds)])
    work = (decided.images - before) / (len(x) * seeds)
    print(f"{name}, {samples} samples: error {rmse(errors):.4f}, {work:.0f} noisy images", flush=True)
    return rmse(errors), work


def default(model: nn.Module, x: Tensor, truth: Tensor, samples: int, seeds: int) -> tuple[float, float, float]:
    """Error, seconds an image and noisy images a second."""
    errors, work, start = [], 0, time.perf_counter()
    for seed in range(seeds):
        found = persistence(model, x, GAMMA, samples, seed=seed, **SEARCH)
        errors.append(found.sigma.log() - truth)
        work += int(found.evaluations.sum())
        widths = (found.high / found.low).log()
    taken = time.perf_counter() - start
    each = len(x) * seeds
    print(
        f"default, {samples} samples: error {rmse(torch.cat(errors)):.4f}, {work / each:.0f} noisy images, "
        f"{taken / each:.2f} s an image, interval of log sigma* {float(widths.median()):.2f} wide (median)",
        flush=True,
    )
    return rmse(torch.cat(errors)), taken / each, work / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8, help="photos tried; censored ones are left out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--reference-samples", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=128, help="of the default")
    parser.add_argument(
        "--baseline-samples", type=int, nargs="+", default=(128, 192, 256, 384), help="tried until as accurate"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    on = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} threads"
    print(f"{platform.machine()}, {torch.multiprocessing.cpu_count()} cores, torch {torch.__version__}, {on}")
    model, x = network().to(options.device), photos()[: options.images].to(options.device)
    batches = GPU_BATCHES if options.device == "cuda" else BATCHES
    with torch.no_grad():
        first, batch = forward_seconds(model, x, batches)
        print(f"the model in a process that gives freed memory back: {1e3 * first:.1f} ms an image", flush=True)
        start = time.perf_counter()
        rows, truth, error = reference(model, x, options.reference_samples)
        print(
            f"reference: {len(rows)} of {len(x)} photos, {options.reference_samples} samples, sigma* "
            f"{float(truth.exp().min()):.3f} to {float(truth.exp().max()):.3f}, standard error of log sigma* "
            f"{rmse(error):.4f}, {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        x = x[rows]
        fastest, batch = forward_seconds(model, x, batches)
        # Between the parts, since a busy machine's speed changes.
        each = [noisy_seconds(model, x, batch)]
        decided = Counted(model, x)
        found, taken, rate = default(model, x, truth, options.samples, options.seeds)
        each.append(noisy_seconds(model, x, batch))
        sides = {}
        for name, run in (("algorithm 1", algorithm1), ("plain batched loop", plain_loop)):
            for samples in options.baseline_samples:
                sides[name] = baseline(name, run, decided, x, truth, samples, options.seeds)
                if sides[name][0] <= found:
                    break
            each.append(noisy_seconds(model, x, batch))
        single = sum(each) / len(each)
        shown = ", ".join(f"{1e3 * value:.1f}" for value in each)
        print(f"the model itself: {shown} ms for a noisy image in batches of {batch}")
        for name, (reached, work) in sides.items():
            print(
                f"{name} (error {reached:.4f}): {work * single:.2f} s an image, "
                f"{work * single / taken:.1f} times as long as the default ({found:.4f})"
            )
            if reached > found:
                print(f"{name} has not reached the default's error: this ratio is not at equal accuracy")
        if options.device == "cuda":
            half, _ = forward_seconds(model, x, batches, half=True)
            print(f"noisy images a second: {rate:.0f}; forward passes: {1 / fastest:.0f}, in bfloat16 {1 / half:.0f}")
            print(f"share of the model's peak: {rate * fastest:.2f}, of that in bfloat16: {rate * half:.2f}")


if __name__ == "__main__":
    main()
