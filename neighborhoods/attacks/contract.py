"""What every attack is held to: checked input, verified output, and nothing of the surroundings changed."""

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from neighborhoods.networks.modes import evaluating
from neighborhoods.statistics.intervals import share
from neighborhoods.training.minibatch import predict

# A clip in single precision can miss a bound by its rounding: epsilon + x is rounded once.
ROUNDING = 1e-6
NORMS = ("linf", "l2")


class AttackError(ValueError):
    """An attack was asked for or did something impossible; the text is one sentence."""


def at_least_one(what: str, found: int, unit: str = "step") -> int:
    """A number of steps, restarts or the like, handed back.

    Raises:
        AttackError: it is none. To torchattacks' BIM 0 means a number of its own.
    """
    if found < 1:
        raise AttackError(f"{what} needs at least one {unit}, found {found}")
    return found


@contextlib.contextmanager
def needing(attack: str) -> Iterator[None]:
    """Imports inside of what only some attacks need: packages of the extra `attacks`, and torchattacks by itself.

    Raises:
        AttackError: a package is not installed; the sentence says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        # Its own requirements would take `requests` years back.
        how = "--no-deps torchattacks" if package == "torchattacks" else "'adversarial-neighborhoods[attacks]'"
        raise AttackError(f"{attack} needs the package {package}, which is not installed: pip install {how}") from error


@dataclass(frozen=True)
class Verdict:
    """What a check of adversarial images found, independent of the attack that made them.

    Attributes:
        predicted: class of each adversarial image [n], int64.
        success: the target is reached, or (untargeted) the label is left [n], bool. An image that has the class asked
            for from the start counts as a success, however little it was changed.
        distortion: ||x_adv - x||_2 / sqrt(pixels) [n] (Bell, definition 1.8).
        linf: largest change of a pixel [n].
        queries: gradient evaluations spent on each image [n], float64; nan when the images were only checked.
    """

    predicted: Tensor
    success: Tensor
    distortion: Tensor
    linf: Tensor
    queries: Tensor

    def __repr__(self) -> str:
        reached = share(self.success.cpu().numpy())
        length = self.distortion.mean() if len(self.distortion) else torch.nan
        return f"Verdict(success = {reached}, mean distortion = {float(length):.3g})"


def check_input(
    model: nn.Module, x: Tensor, label: Tensor, target: Tensor | None = None, *, batch_size: int = 512
) -> int:
    """Refuse what no attack can work on; return the number of classes.

    Args:
        model: images [B, ...] to logits [B, classes], in evaluation mode.
        x: images in [0, 1], [n, ...], floating point.
        label: true classes [n], integer. target: classes to reach [n], integer, none equal to its label (an attack
            toward the class that an image has is none); None if untargeted.
        batch_size: images in one pass.

    Raises:
        AttackError: any of this does not hold, or the model's logits are not finite or not [n, classes].
    """
    if not isinstance(x, Tensor) or x.ndim < 2 or not x.is_floating_point():
        raise AttackError(f"an attack needs images [n, ...] in floating point, found {_form(x)}")
    if len(x) == 0:
        raise AttackError("an attack needs at least one image, found none")
    if not bool(((x >= 0) & (x <= 1)).all()):
        raise AttackError(f"an attack needs pixels in [0, 1], found {float(x.min()):g} to {float(x.max()):g}")
    logits = []
    with torch.no_grad():
        for batch in x.split(batch_size):
            logits.append(out := model(batch))
            if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != len(batch) or out.shape[1] < 2:
                raise AttackError(
                    f"an attack needs a model with logits [n, classes], for {len(batch)} images found {_form(out)}"
                )
            if not bool(torch.isfinite(out).all()):
                raise AttackError("an attack needs finite logits, found some that are infinite or not a number")
    classes = logits[0].shape[1]
    _check_classes("label", label, len(x), classes)
    if target is not None:
        _check_classes("target", target, len(x), classes)
        same = (target == label).nonzero().flatten()
        if len(same):
            row = int(same[0])
            raise AttackError(
                f"an attack needs targets other than the labels, found {int(label[row])} as both of image {row}"
            )
    return classes


def _form(value: object) -> str:
    return f"{tuple(value.shape)} of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__


def _check_classes(name: str, values: Tensor, images: int, classes: int) -> None:
    if not isinstance(values, Tensor) or values.shape != (images,):
        raise AttackError(f"an attack needs one {name} for each of {images} images, found {_form(values)}")
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise AttackError(f"an attack needs integer {name}s, found {values.dtype}")
    if int(values.min()) < 0 or int(values.max()) >= classes:
        raise AttackError(
            f"an attack needs {name}s in 0..{classes - 1}, found {int(values.min())} to {int(values.max())}"
        )


def verify(
    model: nn.Module,
    x: Tensor,
    x_adv: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float | None = None,
    norm: str = "linf",
) -> Verdict:
    """Check adversarial images without trusting the attack that made them.

    Args:
        x, x_adv: images [n, ...].
        label: true classes [n]. target: classes to reach [n], None if untargeted.
        epsilon: largest change that the attack was allowed, if any: of a pixel (norm "linf", in units of a pixel's
            range), or ||x_adv - x||_2 (norm "l2").

    Raises:
        AttackError: not finite, outside [0, 1], or outside the epsilon-ball; another norm.
    """
    if norm not in NORMS:
        raise AttackError(f"epsilon needs the norm {' or '.join(NORMS)}, found {norm!r}")
    if not bool(torch.isfinite(x_adv).all()):
        raise AttackError("the attack made pixels that are not finite")
    if float(x_adv.min()) < -ROUNDING or float(x_adv.max()) > 1 + ROUNDING:
        raise AttackError(f"the attack left the box [0, 1]: {float(x_adv.min()):g} to {float(x_adv.max()):g}")
    change = (x_adv - x).flatten(1)
    linf = change.abs().amax(1)
    distortion = change.double().square().mean(1).sqrt()
    if epsilon is not None and norm == "linf" and float(linf.max()) > epsilon + ROUNDING:
        raise AttackError(f"the attack changed a pixel by {float(linf.max()):g}, more than epsilon {epsilon:g}")
    # Pixels that each miss by their rounding miss by sqrt(pixels) times as much together.
    if epsilon is not None and norm == "l2" and float(distortion.max()) > epsilon / change.shape[1] ** 0.5 + ROUNDING:
        length = float(distortion.max()) * change.shape[1] ** 0.5
        raise AttackError(f"the attack changed an image by {length:g} in L2, more than epsilon {epsilon:g}")
    predicted = predict(model, x_adv)
    success = predicted != label if target is None else predicted == target
    return Verdict(predicted, success, distortion, linf, torch.full_like(distortion, torch.nan))


@contextlib.contextmanager
def undisturbed(model: nn.Module, seed: int) -> Iterator[None]:
    """Evaluation mode, gradients of inputs alone, and random numbers of one's own; all is put back afterwards.

    Foolbox leaves gradients on the parameters, pyautoattack and torchattacks' APGD seed torch's global generator, and
    torchattacks draws from it.

    Args:
        seed: of the global generators of torch, numpy and random, inside.
    """
    parameters = {parameter: parameter.requires_grad for parameter in model.parameters()}
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    # The global states are what must come back, whatever somebody's attack does to them.
    legacy, builtin = np.random.get_state(), random.getstate()  # noqa: NPY002
    with torch.random.fork_rng(devices), torch.enable_grad(), evaluating(model):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        model.requires_grad_(False)
        try:
            yield
        finally:
            for parameter, required in parameters.items():
                parameter.requires_grad_(required)
            np.random.set_state(legacy)  # noqa: NPY002
            random.setstate(builtin)


class Counter:
    """Images that went through a model while gradients were on."""

    total = 0

    def __call__(self, model: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if arguments and torch.is_grad_enabled():
            self.total += len(arguments[0])


@contextlib.contextmanager
def counting(model: nn.Module) -> Iterator[Counter]:
    """Count gradient evaluations of the model inside."""
    counter = Counter()
    handle = model.register_forward_pre_hook(counter)
    try:
        yield counter
    finally:
        handle.remove()
