"""Training epoch by epoch that can be taken up again: standard, adversarial, or on any other objective.

Everything random in an epoch follows from the seed and the epoch's number, and a `State` holds the rest, so that
training that was stopped after any epoch ends in the same weights as training that was not.
"""

import contextlib
import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.attacks.contract import at_least_one
from neighborhoods.networks.architectures import weights_of
from neighborhoods.networks.modes import BatchNorm, evaluating
from neighborhoods.networks.strided import fast_input_gradients
from neighborhoods.training.augmentation import augment
from neighborhoods.training.minibatch import TrainingError, accuracy
from neighborhoods.training.schedules import Schedule

log = logging.getLogger(__name__)

# Network, images [B, ...] as they are trained on, their rows [B] in the train set, generator on the device of the
# images -> loss (a scalar, the batch's mean), logits [B, classes].
Objective = Callable[[nn.Module, Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
# Logits [B, classes] and rows [B] -> a scalar, the batch's mean.
Measure = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class State:
    """Where training stands after an epoch, and all that is needed to go on.

    Attributes:
        epoch: the last one that is complete.
        arrays: `weights/...`, `momentum/...`, `history/...` [epoch] and `checkpoints/{epoch:03d}/...` by name.
    """

    epoch: int
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Trained:
    """What training left beside the network.

    Attributes:
        history: by name one number an epoch [epochs]: `loss`, `train_accuracy` (of the images trained on),
            `test_accuracy`, `validation_accuracy` where there are such images, `learning_rate`, and the measures.
        checkpoints: weights by epoch and name.
    """

    history: dict[str, np.ndarray]
    checkpoints: dict[int, dict[str, np.ndarray]]


def run_epochs(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    objective: Objective,
    schedule: Schedule,
    *,
    seed: int,
    test: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor] | None = None,
    first: Sequence[Objective] = (),
    checkpoints: Collection[int] = (),
    measures: Mapping[str, Measure] | None = None,
    state: State | None = None,
    keep: Callable[[State], None] | None = None,
) -> Trained:
    """Minimize an objective by stochastic gradient descent with momentum, in place.

    Args:
        network: images [B, ...] to logits [B, classes], on the device of the data; its weights are the start.
        x: images in [0, 1], [N, ...], float. y: their labels [N], for the share of correct ones.
        objective: what is minimized on each batch, e.g. `classify(y)`.
        seed: of the order of the images, the augmentation, the objective, and layers that draw, as dropout; the global
            random numbers come back as they were.
        test, validation: images and labels whose accuracy is noted after each epoch.
        first: objectives of the first epochs, in order, instead of `objective`.
        checkpoints: epochs, counted from 1, after which the weights are kept.
        measures: by name what else is noted of each epoch's batches, as seen while training.
        state: what `keep` was given by an earlier call with equal arguments; None to begin.
        keep: called after each epoch.

    Raises:
        TrainingError: the loss is no longer finite; the sentence says when and what to try.
        ValueError: a checkpoint beyond the epochs.
    """
    if not all(1 <= epoch <= schedule.epochs for epoch in checkpoints):
        raise ValueError(f"expected checkpoints from 1 to {schedule.epochs}, found {sorted(checkpoints)}")
    device = x.device
    on_gpu = device.type == "cuda"
    colours_last = schedule.channels_last and on_gpu and x.ndim == 4
    if colours_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stepper = torch.optim.SGD(
        network.parameters(), schedule.learning_rate, schedule.momentum, weight_decay=schedule.weight_decay
    )
    history: dict[str, list[float]] = {}
    found: dict[int, dict[str, np.ndarray]] = {}
    if state is not None:
        history, found = _restore(network, stepper, state)
    measures = measures or {}
    names = ("loss", *measures, "train_accuracy")
    for epoch in range(1 if state is None else state.epoch + 1, schedule.epochs + 1):
        for group in stepper.param_groups:
            group["lr"] = schedule.rate(epoch)
        minimized = first[epoch - 1] if epoch <= len(first) else objective
        order, drawn, hidden = _generators(seed, epoch, device)
        network.train()
        sums = torch.zeros(len(names), dtype=torch.float64, device=device)
        with torch.random.fork_rng([device] if on_gpu else []):
            # Layers such as dropout know no other generator than the global one.
            torch.manual_seed(hidden)
            for rows in torch.randperm(len(x), generator=order).to(device).split(schedule.batch_size):
                images = augment(x[rows], schedule.crop, schedule.flip, drawn)
                if colours_last:
                    images = images.contiguous(memory_format=torch.channels_last)
                with half_precision(device, schedule.mixed_precision and on_gpu):
                    loss, logits = minimized(network, images, rows, drawn)
                stepper.zero_grad()
                loss.backward()
                stepper.step()
                with torch.no_grad():
                    seen = logits.detach().float()
                    means = [loss.detach(), *(measure(seen, rows) for measure in measures.values())]
                    means.append((seen.argmax(1) == y[rows]).double().mean())
                    sums += len(rows) * torch.stack([mean.double() for mean in means])
        noted = dict(zip(names, (sums / len(x)).tolist(), strict=True))
        if not math.isfinite(noted["loss"]):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch} of {schedule.epochs} "
                f"(learning_rate {schedule.rate(epoch):g}); try a smaller learning_rate"
            )
        if validation is not None:
            noted["validation_accuracy"] = accuracy(network, *validation)
        noted |= {"test_accuracy": accuracy(network, *test), "learning_rate": schedule.rate(epoch)}
        for name, value in noted.items():
            history.setdefault(name, []).append(value)
        if epoch in checkpoints:
            found[epoch] = weights_of(network)
        log.info(
            "epoch %d/%d: loss %.4f, accuracy %.4f on the images trained on, %.4f on test images",
            *(epoch, schedule.epochs, noted["loss"], noted["train_accuracy"], noted["test_accuracy"]),
        )
        if keep is not None:
            keep(_state(epoch, network, stepper, history, found))
    network.eval()
    return Trained({name: np.array(values) for name, values in history.items()}, found)


def classify(labels: Tensor, adversarial: Mapping[str, Any] | None = None) -> Objective:
    """Mean cross-entropy of the labels [N]: standard training, or adversarial training by settings of `attacked`."""

    def objective(
        network: nn.Module, images: Tensor, rows: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        label = labels[rows]
        if adversarial is not None:
            images = attacked(network, images, label, generator=generator, **adversarial)
        logits = network(images)
        return functional.cross_entropy(logits, label), logits

    return objective


def warm_up(labels: Tensor, adversarial: Mapping[str, Any], epochs: int) -> list[Objective]:
    """Objectives of the first epochs of adversarial training, whose attacks grow from nothing.

    Those of epoch e have (e - 1) / epochs of the settings' size and step. Under the full attack a network that knows
    nothing yet may stay where it answers the same to all images.

    Args:
        labels: classes [N]. adversarial: settings of `attacked`. epochs: over which the attack grows.
    """
    sizes = ("epsilon", "step_size")
    grown = [{**adversarial, **{size: adversarial[size] * done / epochs for size in sizes}} for done in range(epochs)]
    return [classify(labels, settings if settings["epsilon"] else None) for settings in grown]


def attacked(
    network: nn.Module,
    x: Tensor,
    label: Tensor,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    batch_norm: BatchNorm = "eval",
    generator: torch.Generator,
) -> Tensor:
    """The inner maximization of adversarial training (Madry et al. 2018, equation 2.1): untargeted PGD in l-infinity.

    Steps go up the cross-entropy from a start uniform in the ball. `gradient_steps.pgd` is the same attack for any
    device and starts that do not hang on it; this one draws on the device, and asks for the images' gradient alone.

    Args:
        network: images [B, ...] to logits [B, classes]; nothing of it changes.
        x: images in [0, 1], [B, ...]. label: true classes [B].
        epsilon, step_size: largest change of a pixel and that of one step, in units of a pixel's range.
        batch_norm: statistics of batch normalisation, as for `modes.evaluating`; the TRADES code attacks with "eval".
        generator: of the starts, on the device of the images.

    Returns:
        Images [B, ...] in [0, 1], without gradient.

    Raises:
        AttackError: no steps.
        ValueError: another `batch_norm`.
    """
    at_least_one("adversarial training", steps)
    lower, upper = (x - epsilon).clamp_min_(0), (x + epsilon).clamp_max_(1)
    noise = torch.empty_like(x).uniform_(-epsilon, epsilon, generator=generator)
    moved = noise.add_(x).clamp_(0, 1)
    with evaluating(network, batch_norm), fast_input_gradients(network), torch.enable_grad():
        for _ in range(steps):
            moved.requires_grad_(True)
            # A sum, so that no image's step hangs on how many others there are.
            loss = functional.cross_entropy(network(moved), label, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
            moved = torch.clamp(moved.detach().add_(gradient.sign_(), alpha=step_size), lower, upper)
    return moved


def half_precision(device: torch.device, enabled: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Matrix products and convolutions in bfloat16 inside the block, where enabled; weights stay as they are."""
    return torch.autocast(device.type, torch.bfloat16) if enabled else contextlib.nullcontext()


def _generators(seed: int, epoch: int, device: torch.device) -> tuple[torch.Generator, torch.Generator, int]:
    """Of an epoch: of the order of images, on the CPU, of what is drawn on the device, and the seed of global ones."""
    one, two, three = (int(word >> 1) for word in np.random.SeedSequence([seed, epoch]).generate_state(3, np.uint64))
    return torch.Generator().manual_seed(one), torch.Generator(device).manual_seed(two), three


def _state(
    epoch: int,
    network: nn.Module,
    stepper: torch.optim.SGD,
    history: Mapping[str, list[float]],
    checkpoints: Mapping[int, Mapping[str, np.ndarray]],
) -> State:
    groups = {"weights": weights_of(network), "history": {name: np.array(it) for name, it in history.items()}}
    groups["momentum"] = {
        name: stepper.state[weight]["momentum_buffer"].cpu().numpy().copy()
        for name, weight in network.named_parameters()
        if stepper.state[weight].get("momentum_buffer") is not None
    }
    groups |= {f"checkpoints/{at:03d}": dict(weights) for at, weights in checkpoints.items()}
    return State(epoch, {f"{group}/{name}": it for group, arrays in groups.items() for name, it in arrays.items()})


def _restore(
    network: nn.Module, stepper: torch.optim.SGD, state: State
) -> tuple[dict[str, list[float]], dict[int, dict[str, np.ndarray]]]:
    """Put a state back; its history and its checkpoints."""

    def below(group: str) -> dict[str, np.ndarray]:
        start = f"{group}/"
        return {name.removeprefix(start): it for name, it in state.arrays.items() if name.startswith(start)}

    network.load_state_dict({name: torch.from_numpy(it.copy()) for name, it in below("weights").items()})
    weights = dict(network.named_parameters())
    for name, it in below("momentum").items():
        stepper.state[weights[name]]["momentum_buffer"] = torch.from_numpy(it.copy()).to(weights[name].device)
    history = {name: it.tolist() for name, it in below("history").items()}
    checkpoints: dict[int, dict[str, np.ndarray]] = {}
    for name, it in below("checkpoints").items():
        at, _, weight = name.partition("/")
        checkpoints.setdefault(int(at), {})[weight] = it
    return history, checkpoints
