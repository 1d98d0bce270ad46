"""Accuracy under attack in l-infinity (Seguin, section 3): Auto-PGD, and plain PGD, ODI and AutoAttack to check it by.

An attack and each of its restarts meet only the images that are still classified right, and every image that they make
is checked again: box, epsilon and class. Starts are drawn for all images by (seed, attack, restart), so that what
happens to an image hangs neither on the batch nor on what becomes of others, but by rounding. The network is in
evaluation mode and in its own precision meanwhile and comes back as it was, as do the global random numbers.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from neighborhoods.attacks.apgd import DLR_CLASSES, auto_pgd
from neighborhoods.attacks.contract import AttackError, at_least_one, check_input, needing, undisturbed, verify
from neighborhoods.attacks.gradient_steps import ascent, sign_steps, uniform
from neighborhoods.attacks.odi import odi_pgd
from neighborhoods.boundary.points import logits_in_batches
from neighborhoods.networks.strided import fast_input_gradients
from neighborhoods.statistics.intervals import clopper_pearson
from neighborhoods.statistics.seed_accuracies import MISTAKE, SURVIVED, share_over_seeds

log = logging.getLogger(__name__)


# Images [B, ...], labels [B], numbers uniform in (-1, 1) shaped like the images and like the logits -> images [B, ...].
Run = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Outcome:
    """What became of images under attacks that follow each other.

    Attributes:
        attacks: their names, in order.
        broken_by: for each image 1 for the first attack, 2 for the second ..., `SURVIVED` (0), or `MISTAKE` (-1) where
            the image itself is misclassified and was not attacked [n], int64.
        x_adv: the image that broke it; the last attack's strongest try where it survived; itself where it was mistaken
            [n, ...].
        logits, adversarial_logits: of the images and of `x_adv` [n, classes].
    """

    attacks: tuple[str, ...]
    broken_by: Tensor
    x_adv: Tensor
    logits: Tensor
    adversarial_logits: Tensor

    @property
    def natural(self) -> Tensor:
        """Whether each image is classified right [n], bool."""
        return self.broken_by != MISTAKE

    @property
    def adversarial(self) -> Tensor:
        """Whether each image is still classified right after all attacks [n], bool."""
        return self.broken_by == SURVIVED


def under_apgd(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    *,
    epsilon: float,
    steps: int = 100,
    restarts: int = 1,
    early_stop: bool = False,
    batch_size: int = 250,
    seed: int = 0,
) -> Outcome:
    """Auto-PGD on the cross-entropy, then on the difference of logits ratio: the source's adversarial accuracy.

    It is AutoAttack's version "custom" with "apgd-ce" and "apgd-dlr" (Croce and Hein 2020). The ratio is undefined
    below four classes; then there is the cross-entropy alone, and the log says so.

    Args:
        model: images [B, ...] to logits [B, classes].
        x: images in [0, 1], [n, ...]. label: true classes [n].
        epsilon: largest change of a pixel, in units of a pixel's range.
        steps, restarts: of each of both attacks. AutoAttack's "standard" takes one start, "custom" five unless told
            otherwise.
        early_stop: leave a broken image as it is at the first misclassified iterate. The accuracy is the same, since an
            iterate decides; the images and their logits are then those next to the boundary, not AutoAttack's, which
            are the last misclassified ones of 100 steps.
        batch_size: images attacked at once.

    Raises:
        AttackError: bad input, no steps or restarts, or an image that leaves the box or the epsilon-ball.
    """
    settings: dict[str, Any] = {"epsilon": epsilon, "steps": steps, "early_stop": early_stop}

    def run(loss: str) -> Run:
        return lambda part, goal, noise, _: auto_pgd(model, part, goal, noise, loss=loss, **settings)

    return _follow(
        model,
        x,
        label,
        {"apgd-ce": run("ce"), "apgd-dlr": run("dlr")},
        epsilon=epsilon,
        restarts=restarts,
        batch_size=batch_size,
        seed=seed,
    )


def under_pgd(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    *,
    epsilon: float,
    steps: int = 40,
    step_size: float | None = None,
    restarts: int = 1,
    batch_size: int = 250,
    seed: int = 0,
) -> Outcome:
    """PGD on the cross-entropy from uniform starts (Madry et al. 2018), judged by its last step: the fast check.

    Args:
        step_size: of a pixel; by default 2.5 epsilon / steps, with which the steps reach any point of the ball
            (Madry et al. 2018, section 5).

    Other arguments and errors as for `under_apgd`: images [n, ...] in [0, 1] and labels [n].
    """
    at_least_one("pgd", steps)
    length = 2.5 * epsilon / steps if step_size is None else step_size

    def run(part: Tensor, goal: Tensor, noise: Tensor, _: Tensor) -> Tensor:
        climb = partial(ascent, model, label=goal)
        start = (part + epsilon * noise).clamp(0, 1)
        return sign_steps(climb, part, start, epsilon=epsilon, step_size=length, steps=steps)

    return _follow(model, x, label, {"pgd": run}, epsilon=epsilon, restarts=restarts, batch_size=batch_size, seed=seed)


def under_odi(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    *,
    epsilon: float,
    steps: int = 20,
    restarts: int = 20,
    batch_size: int = 250,
    seed: int = 0,
) -> Outcome:
    """`odi_pgd` (Tashiro et al. 2020), its steps of epsilon / 4, numbers of steps and restarts those of its authors.

    Arguments and errors as for `under_apgd`: images [n, ...] in [0, 1] and labels [n].
    """
    run = partial(odi_pgd, model, epsilon=epsilon, step_size=epsilon / 4, steps=steps)
    return _follow(model, x, label, {"odi": run}, epsilon=epsilon, restarts=restarts, batch_size=batch_size, seed=seed)


def under_autoattack(
    model: nn.Module, x: Tensor, label: Tensor, *, epsilon: float, batch_size: int = 250, seed: int = 0
) -> Outcome:
    """AutoAttack's version "standard": APGD-CE, targeted APGD-DLR, targeted FAB and Square, by pyautoattack.

    Targets are the nine likeliest other classes or all there are; below four classes targeted APGD-DLR is left out,
    whose loss is undefined there. It takes thousands of evaluations an image. Arguments as for `under_apgd`: images
    [n, ...] in [0, 1] and labels [n].

    Raises:
        AttackError: as for `under_apgd`, and for images that are not in single precision, the package's only one.
    """
    if x.dtype != torch.float32:
        raise AttackError(f"autoattack needs images in float32, found {x.dtype}")
    with needing("autoattack"):
        from pyautoattack.autoattack import AutoAttack

    def run(part: Tensor, goal: Tensor, _: Tensor, functional: Tensor) -> Tensor:
        suite = AutoAttack(model, eps=epsilon, seed=seed, device=part.device)
        others = functional.shape[1] - 1
        suite.apgd_targeted.n_target_classes = suite.fab.n_target_classes = min(9, others)
        if others + 1 < DLR_CLASSES:
            suite.attacks_to_run = ["apgd-ce", "fab-t", "square"]
        # It looks for tampering by a trace function, and takes away that of a debugger or of coverage.
        trace = sys.gettrace()
        try:
            return suite.run_standard_evaluation(part, goal.long(), batch_size=batch_size)[0]
        finally:
            sys.settrace(trace)

    return _follow(model, x, label, {"autoattack": run}, epsilon=epsilon, restarts=1, batch_size=batch_size, seed=seed)


def _follow(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    attacks: Mapping[str, Run],
    *,
    epsilon: float,
    restarts: int,
    batch_size: int,
    seed: int,
) -> Outcome:
    """Attacks one after another, each start on what survived the ones before."""
    at_least_one("an attack", restarts, "restart")
    with undisturbed(model, seed), torch.autocast(x.device.type, enabled=False), fast_input_gradients(model):
        classes = check_input(model, x, label, batch_size=batch_size)
        if "apgd-dlr" in attacks and classes < DLR_CLASSES:
            log.warning("apgd-dlr needs %d classes, found %d: apgd-ce alone", DLR_CLASSES, classes)
            attacks = {name: run for name, run in attacks.items() if name != "apgd-dlr"}
        logits = logits_in_batches(model, x, batch_size)
        x_adv, final = x.detach().clone(), logits.clone()
        broken_by = torch.where(logits.argmax(1) == label, SURVIVED, MISTAKE)
        for number, (name, run) in enumerate(attacks.items(), 1):
            for restart in range(restarts):
                rows = (broken_by == SURVIVED).nonzero().flatten()
                if not len(rows):
                    break
                noise, functional = (_drawn(like, seed, number, restart, i) for i, like in enumerate((x, logits)))
                for part in rows.split(batch_size):
                    x_adv[part] = run(x[part], label[part], noise[part], functional[part]).detach()
                verdict = verify(model, x[rows], x_adv[rows], label[rows], epsilon=epsilon)
                final[rows] = logits_in_batches(model, x_adv[rows], batch_size)
                # Two passes in other batches: an image that rounding decides counts as not broken.
                broken = rows[verdict.success & (final[rows].argmax(1) != label[rows])]
                broken_by[broken] = number
                log.info("%s, start %d: broke %d of %d images", name, restart + 1, len(broken), len(rows))
    return Outcome(tuple(attacks), broken_by, x_adv, logits, final)


def _drawn(like: Tensor, *key: int) -> Tensor:
    """Numbers uniform in (-1, 1), the same for an image however many follow it."""
    state = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return uniform(like, torch.Generator().manual_seed(state))


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of networks that differ by their seed, on the same images.

    Two kinds of uncertainty, for two questions. `low` and `high` are binomial (Clopper and Pearson): how far the
    accuracy of this one network may be off for lack of images. `mean_low` and `mean_high` are for other seeds and other
    images (`seed_accuracies.share_over_seeds`). One binomial interval of all seeds' answers together would be too
    narrow: they are answers to the same images, and networks that differ by their seed are more than draws of one
    accuracy.

    Attributes:
        measured, low, high: share of images classified right [seed].
        n: images, the same for every seed. seeds: networks.
        mean, mean_low, mean_high: of `measured` over seeds; the limits are nan for one seed.
    """

    measured: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: int
    seeds: int
    mean: float
    mean_low: float
    mean_high: float


def accuracy_over_seeds(correct: ArrayLike, confidence: float = 0.95) -> Accuracy:
    """Accuracies and their mean.

    Args:
        correct: whether each network classifies each image right [seed, image].

    Raises:
        ValueError: no network, no image, or other axes.
    """
    hits = np.asarray(correct, bool)
    if hits.ndim != 2 or not hits.size:
        raise ValueError(f"expected answers [seed, image] of at least one of each, found shape {hits.shape}")
    seeds, n = hits.shape
    low, high = clopper_pearson(hits.sum(1), n, confidence)
    measured = hits.mean(1)
    over = share_over_seeds(hits, confidence)
    return Accuracy(measured, low, high, n, seeds, over.value, over.low, over.high)
