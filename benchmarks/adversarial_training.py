"""Images a second of adversarial training, against a plain loop and against the network's own passes.

    python -m benchmarks.adversarial_training [--network strided_cnn cifar_resnet18] [--threads 2]
    python -m benchmarks.adversarial_training --network cifar_resnet18 --device cuda --batches 100

Ours is an epoch of `run_epochs`, crops and flips included. The plain loops are written as published code for
adversarial training writes them, with the same network, batch, number of steps and (on a GPU: single) precision: the
attack's gradient by `loss.backward()`, which fills the gradients of the weights too (ports of Madry et al. to PyTorch),
or by `torch.autograd.grad` of the images (TRADES). One pass is forward and backward in training mode, with gradients of
the weights; adversarial training takes one for each step of the attack and one to learn. Sides take turns of that many
passes, the shortest time of each counts. Random images stand in for data. Exits with 1 where a bar is missed.

With --processor-time the seconds are the process's own, which other work on the machine disturbs less; on one thread
only, since threads that wait for each other count too.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.networks.architectures import build
from neighborhoods.training.epochs import classify, run_epochs
from neighborhoods.training.schedules import Schedule

NETWORKS = {
    "strided_cnn": {"input_shape": (1, 28, 28), "classes": 10, "architecture": "strided_cnn", "channels": 16},
    "cifar_resnet18": {"input_shape": (3, 32, 32), "classes": 10, "architecture": "cifar_resnet18"},
}
EPSILON, STEP_SIZE = 8 / 255, 2 / 255
# The bars: share of the network's own passes; on a GPU, times faster than a plain loop.
SHARE, FASTER = 0.8, 3.0
# Images and epochs of config/paper.yaml for CIFAR-10, and steps of its attack.
PAPER_IMAGES, PAPER_EPOCHS, PAPER_STEPS = 45_000, 200, 10


def sgd(network: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(network.parameters(), 0.1, 0.9, weight_decay=2e-4)


def ours(network: nn.Module, x: Tensor, y: Tensor, batch: int, steps: int) -> None:
    schedule = Schedule(1, batch, 0.1, 0.9, 2e-4, crop=4, flip=True, mixed_precision=True, channels_last=True)
    attack = {"epsilon": EPSILON, "step_size": STEP_SIZE, "steps": steps}
    run_epochs(network, x, y, classify(y, attack), schedule, seed=0, test=(x[:2], y[:2]))


def plain(network: nn.Module, x: Tensor, y: Tensor, batch: int, steps: int, backward: bool) -> None:
    """One epoch by a loop as one finds it; neither crops nor flips."""
    optimizer = sgd(network)
    for image, label in zip(x.split(batch), y.split(batch), strict=True):
        network.eval()
        x_adv = (image + torch.empty_like(image).uniform_(-EPSILON, EPSILON)).clamp(0, 1)
        for _ in range(steps):
            x_adv = x_adv.detach().requires_grad_()
            loss = functional.cross_entropy(network(x_adv), label)
            if backward:
                network.zero_grad()
                loss.backward()
                gradient = x_adv.grad
                assert gradient is not None
            else:
                (gradient,) = torch.autograd.grad(loss, [x_adv])
            x_adv = x_adv.detach() + STEP_SIZE * torch.sign(gradient.detach())
            x_adv = torch.min(torch.max(x_adv, image - EPSILON), image + EPSILON)
            x_adv = torch.clamp(x_adv, 0.0, 1.0)
        network.train()
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x_adv.detach()), label)
        loss.backward()
        optimizer.step()


def passes(network: nn.Module, x: Tensor, y: Tensor, batch: int, count: int, half: bool) -> None:
    """Forward and backward so many times for each image."""
    network.train()
    for image, label in list(zip(x.split(batch), y.split(batch), strict=True)) * count:
        network.zero_grad()
        with torch.autocast(image.device.type, torch.bfloat16, enabled=half):
            loss = functional.cross_entropy(network(image), label)
        loss.backward()


def shortest(
    runs: dict[str, Callable[[], None]], rounds: int, device: str, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of each, after a turn that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start = clock()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            times[name].append(clock() - start)
    return {name: min(found[1:]) for name, found in times.items()}


def compare(name: str, options: argparse.Namespace) -> bool:
    """Print the figures of a network; whether the bars are met."""
    settings = NETWORKS[name]
    device, batch, steps = options.device, options.batch, options.steps
    generator = torch.Generator().manual_seed(0)
    count = batch * options.batches
    x = torch.rand(count, *settings["input_shape"], generator=generator).to(device)  # type: ignore[misc]
    y = torch.randint(10, (count,), generator=generator).to(device)

    def fresh(last: bool = False) -> nn.Module:
        torch.manual_seed(0)
        network = build(**settings).to(device)  # type: ignore[arg-type]
        return network.to(memory_format=torch.channels_last) if last else network  # type: ignore[call-overload]

    gpu = device == "cuda"
    images = x.contiguous(memory_format=torch.channels_last) if gpu else x
    times = shortest(
        {
            "ours": partial(ours, fresh(), x, y, batch, steps),
            "loss.backward()": partial(plain, fresh(), x, y, batch, steps, True),
            "autograd.grad": partial(plain, fresh(), x, y, batch, steps, False),
            "pass": partial(passes, fresh(gpu), images, y, batch, steps + 1, gpu),
        },
        options.rounds,
        device,
        time.process_time if options.processor_time else time.perf_counter,
    )
    rate = {side: count / seconds for side, seconds in times.items()}
    share = times["pass"] / times["ours"]
    print(f"{name}, batches of {batch}, {steps} steps, {count} images a turn, {options.rounds} turns")
    print(f"  ours {rate['ours']:.1f} images/s")
    for side in ("loss.backward()", "autograd.grad"):
        print(
            f"  plain loop by {side}: {rate[side]:.1f} images/s; ours is {rate['ours'] / rate[side]:.2f} times as fast"
        )
    print(
        f"  forward and backward: {rate['pass'] * (steps + 1):.1f} images/s; "
        f"ours is {share:.0%} of that over {steps + 1} passes"
    )
    if name == "cifar_resnet18":
        seconds = PAPER_IMAGES * PAPER_EPOCHS * (PAPER_STEPS + 1) / (steps + 1) / rate["ours"]
        print(f"  projected for config/paper.yaml: {seconds / 3600:.1f} hours for a network of CIFAR-10")
    return share >= SHARE and (not gpu or rate["ours"] >= FASTER * rate["loss.backward()"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["strided_cnn"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=4, help="of a turn")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5, help="turns that count")
    parser.add_argument("--processor-time", action="store_true")
    options = parser.parse_args()
    if options.processor_time and (options.threads, options.device) != (1, "cpu"):
        parser.error("--processor-time needs --threads 1 and the device cpu")
    torch.set_num_threads(options.threads)
    print(f"{platform.machine()}, torch {torch.__version__}, {options.device}, threads on all sides: {options.threads}")
    met = [compare(name, options) for name in options.network]
    if not all(met):
        bar = f"{SHARE:.0%} of the network's own passes"
        print(f"missed: {bar}" + (f" or {FASTER:g} times the plain loop" if options.device == "cuda" else ""))
        sys.exit(1)


if __name__ == "__main__":
    main()
