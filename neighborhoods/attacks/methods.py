"""Attacks behind one contract: images in [0, 1] in, re-verified adversarial images out."""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from neighborhoods.attacks.apgd import apgd_ce, apgd_dlr
from neighborhoods.attacks.assignment import UNTARGETED, Assignment, assign
from neighborhoods.attacks.contract import (
    ROUNDING,
    AttackError,
    Verdict,
    check_input,
    counting,
    needing,
    undisturbed,
    verify,
)
from neighborhoods.attacks.gradient_steps import fgm_l2, fgsm, igsm, mifgsm, pgd, rfgsm, rfgsm_iterated
from neighborhoods.attacks.jsma import jsma
from neighborhoods.attacks.lbfgs import lbfgs
from neighborhoods.attacks.minimal_norm import cw, deepfool
from neighborhoods.networks.factories import load
from neighborhoods.networks.inputs import Array, images_for, labels_for

__all__ = [
    "METHODS",
    "ROUNDING",
    "UNTARGETED",
    "Assignment",
    "AttackError",
    "Method",
    "Verdict",
    "assign",
    "attack",
    "find_attack",
    "igsm",
    "verify",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """An attack and what it can do.

    Attributes:
        run: called with model, images, labels, targets (or None) and settings by name; a random one takes `generator`
            or `seed`. Returns images, or these and the gradient evaluations of each, where it knows them.
        norm: of its setting `epsilon`, if it has one, unless a setting `norm` says otherwise.
        targeted, untargeted: whether it can aim at a class, and whether it can leave one.
    """

    run: Callable[..., Tensor | tuple[Tensor, Tensor]]
    norm: str = "linf"
    targeted: bool = True
    untargeted: bool = True


METHODS = {
    "fgsm": Method(fgsm),
    "fgm_l2": Method(fgm_l2, norm="l2"),
    "igsm": Method(igsm),
    "bim": Method(igsm),
    "mifgsm": Method(mifgsm),
    "pgd": Method(pgd),
    "rfgsm": Method(rfgsm),
    "rfgsm_iterated": Method(rfgsm_iterated),
    "apgd_ce": Method(apgd_ce),
    "apgd_dlr": Method(apgd_dlr, targeted=False),
    "cw": Method(cw),
    "deepfool": Method(deepfool, targeted=False),
    "jsma": Method(jsma, untargeted=False),
    "lbfgs": Method(lbfgs),
}


def find_attack(method: str) -> Method:
    """The attack of a name: one of `METHODS`, `torchattacks.CLASS`, or one's own `package.module:function`.

    An attack of one's own is called like `igsm`, with its settings as keyword arguments; a setting `epsilon` of it is
    the largest change of a pixel.

    Raises:
        AttackError: there is no such attack.
    """
    if method in METHODS:
        return METHODS[method]
    if method.startswith("torchattacks."):
        with needing(method):
            import torchattacks
        attack_class = getattr(torchattacks, method.removeprefix("torchattacks."), None)
        if not (isinstance(attack_class, type) and issubclass(attack_class, torchattacks.attack.Attack)):
            raise AttackError(f"torchattacks {torchattacks.__version__} has no attack '{method}'")
        return Method(partial(_run_torchattacks, attack_class))
    if ":" in method:
        return Method(load(method))
    known = ", ".join(METHODS)
    raise AttackError(
        f"unknown attack method {method!r}, expected {known}, torchattacks.CLASS or package.module:function"
    )


def _run_torchattacks(
    attack_class: type[Any],
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
    x: Array,
    label: Array,
    target: Array | None = None,
    *,
    batch_size: int = 512,
    seed: int = 0,
    **settings: Any,
) -> tuple[Tensor, Verdict]:
    """Run a named attack in batches and verify every image again.

    The network is in evaluation mode meanwhile and comes back as it was, as do the global random numbers. Results are
    equal for equal seeds; those of the methods in `METHODS` do not depend on the batch but by rounding.

    Args:
        method: as for `find_attack`.
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...], a tensor or an array (see `inputs.images_for`). label: true classes [n].
        target: classes to reach [n], None to leave the label.
        batch_size: images in one pass.
        seed: of whatever the attack draws.
        settings: the attack's own, e.g. epsilon.

    An untargeted attack may start from images that the model gets wrong: they count as successes. `cw` and `deepfool`
    leave them as they are, the others move them all the same.

    Gradient evaluations are images that went through the model while gradients were on; an attack that does not count
    its own has them shared out evenly over the images of a batch.

    Returns:
        Adversarial images [n, ...] and what the check found.

    Raises:
        AttackError: bad input, settings that the attack does not take, or an image that leaves the box or the
            epsilon-ball.
    """
    found = find_attack(method)
    if target is None and not found.untargeted:
        raise AttackError(f"{method} needs a target for each image, found none; use targets: all or random")
    if target is not None and not found.targeted:
        raise AttackError(f"{method} cannot aim at a target; use targets: none")
    if not isinstance(model, nn.Module):
        raise AttackError(f"an attack needs a model that is an nn.Module, found {type(model).__name__}")
    with undisturbed(model, seed):
        try:
            x = images_for(model, x, logits=True)
            label = labels_for(label, len(x)).to(x.device)
            target = None if target is None else labels_for(target, len(x)).to(x.device)
        except ValueError as error:
            raise AttackError(f"{method}: {error}") from error
        check_input(model, x, label, target, batch_size=batch_size)
        if method in METHODS:
            _check_settings(method, found.run, settings)
        run = partial(found.run, **settings, **_randomness(found.run, seed))
        x_adv, queries = _in_batches(method, run, model, x, label, target, batch_size)
    norm = settings.get("norm", found.norm) if method in METHODS else found.norm
    checked = verify(model, x, x_adv, label, target, epsilon=settings.get("epsilon"), norm=norm)
    return x_adv, replace(checked, queries=queries)


def _in_batches(
    method: str,
    run: Callable[..., Tensor | tuple[Tensor, Tensor]],
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    parts, spent = [], []
    for start in range(0, len(x), batch_size):
        piece = slice(start, start + batch_size)
        goal = None if target is None else target[piece]
        with counting(model) as counter:
            made = run(model, x[piece], label[piece], goal)
        images = len(x[piece])
        queries = torch.full((images,), counter.total / images, dtype=torch.float64)
        if isinstance(made, tuple):
            made, own = made
            queries = own.double().cpu()
        if not isinstance(made, Tensor) or made.shape != x[piece].shape:
            found = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise AttackError(f"{method} must return images of shape {tuple(x[piece].shape)}, found {found}")
        parts.append(made.detach())
        spent.append(queries)
        log.info("%s: %d of %d images", method, min(start + batch_size, len(x)), len(x))
    return torch.cat(parts), torch.cat(spent)


def _randomness(run: Callable[..., Any], seed: int) -> dict[str, Any]:
    """What an attack that draws takes its random numbers from: one generator for all batches, or the seed."""
    names = inspect.signature(run).parameters
    if "generator" in names:
        return {"generator": torch.Generator().manual_seed(seed)}
    return {"seed": seed} if "seed" in names else {}


def _check_settings(method: str, run: Callable[..., Any], given: dict[str, Any]) -> None:
    parameters = inspect.signature(run).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "generator"}
    unknown = [name for name in given if name not in own]
    if unknown:
        raise AttackError(f"{method} takes the settings {', '.join(own)}, found {', '.join(unknown)}")
    missing = [name for name, default in own.items() if default is inspect.Parameter.empty and name not in given]
    if missing:
        raise AttackError(f"{method} needs the settings {', '.join(missing)}, found none")
