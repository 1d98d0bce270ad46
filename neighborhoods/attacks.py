"""Attacks behind one contract: images in [0, 1] in, re-verified adversarial images out."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torchattacks
from torch import Tensor, nn

from neighborhoods.factories import load
from neighborhoods.lbfgs import lbfgs
from neighborhoods.training import predict

log = logging.getLogger(__name__)

# A clip in single precision can miss a bound by its rounding: epsilon + x is rounded once.
ROUNDING = 1e-6
UNTARGETED = -1


class AttackError(ValueError):
    """An attack was asked for or did something impossible; the text is one sentence."""


@dataclass(frozen=True)
class Verdict:
    """What a check of adversarial images found, independent of the attack that made them.

    Attributes:
        predicted: class of each adversarial image [n], int64.
        success: the target is reached, or (untargeted) the label is left [n], bool.
        distortion: ||x_adv - x||_2 / sqrt(pixels) [n] (Bell, definition 1.8).
        linf: largest change of a pixel [n].
        queries: gradient evaluations spent on each image [n], float64; nan when the images were only checked.
    """

    predicted: Tensor
    success: Tensor
    distortion: Tensor
    linf: Tensor
    queries: Tensor


def igsm(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
) -> Tensor:
    """Iterative gradient sign method (Bell, equation 5; Kurakin et al. 2016), by torchattacks' BIM.

    Each step moves every pixel by `step_size` against the gradient of the target's cross-entropy, or
    along that of the label's, then clips to the epsilon-ball around `x` and to [0, 1].

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...].
        label: true classes [n].
        target: classes to reach [n]; None to leave the label.
        epsilon, step_size: in units of a pixel's range.

    Returns:
        Adversarial images [n, ...].

    Raises:
        AttackError: no steps.
    """
    if steps < 1:
        # torchattacks takes 0 to mean a number of its own.
        raise AttackError(f"igsm needs at least one step, found {steps}")
    attack = torchattacks.BIM(model, eps=epsilon, alpha=step_size, steps=steps)
    attack.set_device(x.device)
    if target is None:
        return attack(x, label)
    attack.set_mode_targeted_by_label(quiet=True)
    return attack(x, target)


# An attack returns its images, or these and the gradient evaluations of each, where it knows them.
Attack = Callable[..., Tensor | tuple[Tensor, Tensor]]
METHODS: dict[str, Attack] = {"igsm": igsm, "lbfgs": lbfgs}


def find_attack(method: str) -> Attack:
    """The attack of a name: one of `METHODS`, `torchattacks.CLASS`, or one's own `package.module:function`.

    An attack of one's own is called like `igsm`, with its settings as keyword arguments.

    Raises:
        AttackError: there is no such attack.
    """
    if method in METHODS:
        return METHODS[method]
    if method.startswith("torchattacks."):
        attack_class = getattr(torchattacks, method.removeprefix("torchattacks."), None)
        if not (isinstance(attack_class, type) and issubclass(attack_class, torchattacks.attack.Attack)):
            raise AttackError(f"torchattacks {torchattacks.__version__} has no attack '{method}'")
        return partial(_run_torchattacks, attack_class)
    if ":" in method:
        return load(method)
    known = ", ".join(METHODS)
    raise AttackError(
        f"unknown attack method {method!r}, expected {known}, torchattacks.CLASS or package.module:function"
    )


def _run_torchattacks(
    attack_class: type[torchattacks.attack.Attack],
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    **settings: float,
) -> Tensor:
    try:
        attack = attack_class(model, **settings)
    except TypeError as error:
        raise AttackError(f"torchattacks.{attack_class.__name__}: {error}") from error
    attack.set_device(x.device)
    if target is None:
        return attack(x, label)
    if "targeted" not in attack.supported_mode:
        raise AttackError(f"torchattacks.{attack_class.__name__} cannot aim at a target; use targets: none")
    attack.set_mode_targeted_by_label(quiet=True)
    return attack(x, target)


def attack(
    method: str,
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    batch_size: int = 512,
    **settings: Any,
) -> tuple[Tensor, Verdict]:
    """Run a named attack in batches and verify every image again.

    Args:
        method: as for `find_attack`.
        model, x, label, target: as for the attack.
        settings: the attack's own, e.g. epsilon.

    Gradient evaluations are images that went through the model while gradients were on; an attack that does not count
    its own has them shared out evenly over the images of a batch.

    Returns:
        Adversarial images [n, ...] and what the check found.

    Raises:
        AttackError: bad input, or an image that leaves the box or the epsilon-ball.
    """
    run = find_attack(method)
    if len(x) == 0:
        raise AttackError("an attack needs at least one image, found none")
    if not bool(((x >= 0) & (x <= 1)).all()):
        raise AttackError(f"an attack needs pixels in [0, 1], found {float(x.min()):g} to {float(x.max()):g}")
    parts, spent = [], []
    for start in range(0, len(x), batch_size):
        piece = slice(start, start + batch_size)
        goal = None if target is None else target[piece]
        with _counting(model) as counter:
            made = run(model, x[piece], label[piece], goal, **settings)
        images = len(x[piece])
        queries = torch.full((images,), counter.total / max(images, 1), dtype=torch.float64)
        if isinstance(made, tuple):
            made, own = made
            queries = own.double().cpu()
        if not isinstance(made, Tensor) or made.shape != x[piece].shape:
            found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise AttackError(f"{method} must return images of shape {tuple(x[piece].shape)}, found {found}")
        parts.append(made.detach())
        spent.append(queries)
        log.info("%s: %d of %d images", method, min(start + batch_size, len(x)), len(x))
    x_adv = torch.cat(parts)
    checked = verify(model, x, x_adv, label, target, epsilon=settings.get("epsilon"))
    return x_adv, replace(checked, queries=torch.cat(spent))


class _Counter:
    """Images that went through a model while gradients were on."""

    total = 0

    def __call__(self, model: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if arguments and torch.is_grad_enabled():
            self.total += len(arguments[0])


@contextlib.contextmanager
def _counting(model: nn.Module) -> Iterator[_Counter]:
    counter = _Counter()
    handle = model.register_forward_pre_hook(counter)
    try:
        yield counter
    finally:
        handle.remove()


def verify(
    model: nn.Module,
    x: Tensor,
    x_adv: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float | None = None,
) -> Verdict:
    """Check adversarial images without trusting the attack that made them.

    Args:
        x, x_adv: images [n, ...].
        label: true classes [n]. target: classes to reach [n], None if untargeted.
        epsilon: largest change of a pixel that the attack was allowed, if any.

    Raises:
        AttackError: not finite, outside [0, 1], or outside the epsilon-ball.
    """
    if not bool(torch.isfinite(x_adv).all()):
        raise AttackError("the attack made pixels that are not finite")
    if float(x_adv.min()) < -ROUNDING or float(x_adv.max()) > 1 + ROUNDING:
        raise AttackError(f"the attack left the box [0, 1]: {float(x_adv.min()):g} to {float(x_adv.max()):g}")
    change = (x_adv - x).flatten(1)
    linf = change.abs().amax(1)
    if epsilon is not None and float(linf.max()) > epsilon + ROUNDING:
        raise AttackError(f"the attack changed a pixel by {float(linf.max()):g}, more than epsilon {epsilon:g}")
    predicted = predict(model, x_adv)
    success = predicted != label if target is None else predicted == target
    distortion = change.double().square().mean(1).sqrt()
    return Verdict(predicted, success, distortion, linf, torch.full_like(distortion, torch.nan))


@dataclass(frozen=True)
class Assignment:
    """Which images to attack and toward what: rows of one attack.

    Attributes:
        index: image of each row [n]. target: class to reach [n], or -1 for none.
    """

    index: Tensor
    target: Tensor


def assign(
    label: Tensor,
    correct: Tensor,
    order: Tensor,
    *,
    images: int,
    classes: Sequence[int] = (),
    targets: str = "all",
    n_classes: int = 10,
    generator: torch.Generator,
) -> Assignment:
    """Choose images that the model gets right, in a given order, and targets for each.

    Args:
        label: true classes [N]. correct: whether the model gets each right [N].
        order: a permutation of the images [N].
        images: how many to choose. classes: allowed labels, empty for all.
        targets: "all" other classes for each image, one "random" other class, or "none".
        generator: of the random targets.

    Raises:
        AttackError: a class is out of range, or fewer images than asked for qualify.
    """
    if not all(0 <= c < n_classes for c in classes):
        raise AttackError(f"classes to attack must lie in 0..{n_classes - 1}, found {list(classes)}")
    allowed = torch.isin(label, torch.tensor(list(classes) or range(n_classes)))
    chosen = order[(allowed & correct)[order]]
    if len(chosen) < images:
        raise AttackError(f"the attack asks for {images} images, but only {len(chosen)} correctly classified ones fit")
    chosen = chosen[:images]
    match targets:
        case "none":
            return Assignment(chosen, torch.full_like(chosen, UNTARGETED))
        case "random":
            shift = torch.randint(1, n_classes, (images,), generator=generator)
            return Assignment(chosen, (label[chosen] + shift) % n_classes)
        case "all":
            everything = torch.arange(n_classes).expand(images, n_classes)
            others = everything[everything != label[chosen, None]]
            return Assignment(chosen.repeat_interleave(n_classes - 1), others)
    raise AttackError(f"unknown targets {targets!r}, expected all, random or none")
