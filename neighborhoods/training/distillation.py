"""Targets of distillation: a teacher's logits, averaged and manipulated, and the losses of students that learn them.

Source: Seguin et al., sections 3 and 4.2 and appendix A.3. All manipulations are of a batch at once: logits
[n, classes] to logits [n, classes] of the same type and place. Classes are ranked by descending logit, equal ones by
number, so that a manipulation does not hang on how a device sorts.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.training.augmentation import augment
from neighborhoods.training.epochs import Measure, Objective

RESTS = ("permute", "average")


def manipulate(
    logits: Tensor,
    label: Tensor,
    *,
    keep: int | None = None,
    rest: str = "permute",
    correct: bool = False,
    order: Tensor | None = None,
    generator: torch.Generator,
) -> Tensor:
    """The target logits of a student: `reorder`, `swap_to_label` and `keep_top`, each if asked for, in this order.

    A correction makes the label the first class also where others have its logit, so that it is kept from k = 1 on.
    Without a correction the label's logit is a value like the others: where the teacher ranks the label below the
    k-th class, it takes part in the permutation or the average.

    Args:
        logits: of the teacher [n, classes]. label: true classes [n].
        keep: k of `keep_top`; None leaves all logits.
        rest: of `keep_top`.
        correct: whether wrong predictions are corrected by `swap_to_label`.
        order: logits [n, classes] of the network that `reorder` takes the order of classes from; None for no such one.
        generator: of the permutations, on the CPU.

    Raises:
        ValueError: shapes that do not fit, labels beyond the classes, logits that are not finite, or as `keep_top`.
    """
    if order is not None:
        logits = reorder(logits, order)
    if correct:
        logits = swap_to_label(logits, label)
    if keep is not None:
        logits = keep_top(logits, keep, rest, generator, first=label if correct else None)
    return logits


def keep_top(logits: Tensor, k: int, rest: str, generator: torch.Generator, first: Tensor | None = None) -> Tensor:
    """Fix-k (Seguin, section 3): the k largest logits of each image stay, what the other N - k classes have changes.

    Args:
        logits: [n, N].
        k: 0 to N; from N - 1 on nothing is left to change.
        rest: "permute" lays the other values on their classes in a random order, uniform and independent between
            images; "average" gives each of them their mean.
        generator: of the permutations, on the CPU; an image's one does not hang on the images behind it.
        first: a class [n] of each image that ranks before others of equal logit; None for the order of numbers.

    Raises:
        ValueError: k beyond 0 to N, an unknown `rest`, or as for `ranking`.
    """
    classes = ranking(logits, first)
    n, count = logits.shape
    if not 0 <= k <= count:
        raise ValueError(f"expected 0 to {count} logits to keep of {count} classes, found {k}")
    if rest not in RESTS:
        raise ValueError(f"unknown way {rest!r} to change the other logits, expected {' or '.join(RESTS)}")
    others = classes[:, k:]
    values = logits.gather(1, others)
    if rest == "average":
        # Of doubles: rounding must not lift the mean of equal logits above those that are kept.
        changed = values.double().mean(1, keepdim=True).to(values).expand_as(values) if k < count else values
    else:
        # Of double keys: equal ones, which would favour some order, do not occur.
        keys = torch.rand(n, count - k, dtype=torch.float64, generator=generator)
        changed = values.gather(1, keys.argsort(1).to(values.device))
    return logits.scatter(1, others, changed)


def swap_to_label(logits: Tensor, label: Tensor) -> Tensor:
    """The correction of correct-fix-k (Seguin, section 4.2): the prediction's and the label's logits change places.

    Right predictions, ties with the label included, stay as they are. The label's logit is the largest afterwards.

    Args:
        logits: [n, classes]. label: true classes [n].

    Raises:
        ValueError: as for `ranking`.
    """
    predicted, true = ranking(logits, label)[:, :1], label[:, None].long()
    swapped = logits.scatter(1, true, logits.gather(1, predicted))
    return swapped.scatter(1, predicted, logits.gather(1, true))


def reorder(values: Tensor, order: Tensor) -> Tensor:
    """Hybrid logits (Seguin, section 4.2): each image's values of one network on the order of classes of another.

    Args:
        values: logits [n, classes] whose sorted values stay. order: logits [n, classes] whose ranks of classes stay.

    Raises:
        ValueError: shapes that differ, or as for `ranking`.
    """
    if values.shape != order.shape:
        raise ValueError(
            f"expected logits of both networks of one shape, found {tuple(values.shape)} and {tuple(order.shape)}"
        )
    descending = values.gather(1, ranking(values))
    return values.scatter(1, ranking(order).to(values.device), descending)


def ranking(logits: Tensor, first: Tensor | None = None) -> Tensor:
    """Classes by descending logit [n, N], int64; of equal logits `first` [n] comes first, the others by number.

    Raises:
        ValueError: logits that are no [n, N] of finite numbers, or classes `first` that are not of them.
    """
    if logits.ndim != 2:
        raise ValueError(f"expected logits [images, classes], found shape {tuple(logits.shape)}")
    n, count = logits.shape
    if not bool(logits.isfinite().all()):
        raise ValueError(f"expected finite logits, found {int((~logits.isfinite()).sum())} others among {n * count}")
    if first is None:
        return logits.argsort(stable=True, dim=1, descending=True)
    if first.shape != (n,):
        raise ValueError(f"expected a class for each of {n} images, found shape {tuple(first.shape)}")
    if n and (int(first.min()) < 0 or int(first.max()) >= count):
        raise ValueError(f"expected classes of 0 to {count - 1}, found {int(first.min())} to {int(first.max())}")
    numbers = torch.arange(count, device=logits.device)
    preferred = (numbers != first.to(logits.device)[:, None]).byte().argsort(stable=True, dim=1)
    return preferred.gather(1, logits.gather(1, preferred).argsort(stable=True, dim=1, descending=True))


def l1_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean absolute difference of logits over images and classes, a scalar.

    The source does not say whether it sums over classes; a sum is N times the learning rate.

    Args:
        logits, targets: [B, N].
    """
    return functional.l1_loss(logits, targets)


def kl_loss(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(softmax(targets / T) || softmax(logits / T)), in nats, the mean over images (Hinton et al. 2015).

    The factor keeps the size of gradients as the temperature rises (their section 2).

    Args:
        logits, targets: [B, N]. temperature: T.
    """
    student = functional.log_softmax(logits / temperature, dim=1)
    teacher = functional.log_softmax(targets / temperature, dim=1)
    return temperature**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


@dataclass(frozen=True)
class Averaged:
    """A teacher's logits [n, classes], float32: mean and standard deviation over draws, and how many there were."""

    mean: Tensor
    deviation: Tensor
    draws: int


def averaged_logits(
    network: nn.Module, x: Tensor, *, batch_size: int, draws: int, crop: int = 0, flip: bool = False, seed: int = 0
) -> Averaged:
    """One target an image: the teacher's logits, averaged over augmentations and batches (Seguin, appendix A.3).

    Each draw shuffles and augments all images and feeds them to the teacher in training mode, batch by batch, since the
    source's targets hang on the statistics of the batch an image is in. The teacher itself, its running statistics
    included, is left as it is. Batches of a draw differ in size by at most one image: a small last one would have poor
    statistics. Where training mode changes nothing and there is no augmentation, one draw tells all.

    Args:
        network: images [B, ...] to logits [B, classes], on the device of the images.
        x: images in [0, 1], [n, ...].
        batch_size: images of a forward pass. draws: at least 1.
        crop, flip: of `augmentation.augment`.
        seed: of order, augmentation and dropout.

    Returns:
        Mean and standard deviation: of a sample, nan of a single draw, 0 where nothing is random.

    Raises:
        ValueError: no draws or no images.
    """
    if draws < 1 or not len(x):
        raise ValueError(f"expected at least one draw and one image, found {draws} and {len(x)}")
    # A copy, whose running statistics may move.
    teacher = copy.deepcopy(network)
    with torch.no_grad(), torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        order, drawn = torch.Generator().manual_seed(seed), torch.Generator(x.device).manual_seed(seed + 1)
        fixed = not (crop or flip) and _one_mode(teacher, x[:batch_size])
        teacher.train()
        mean = squares = torch.zeros((), dtype=torch.float64, device=x.device)
        for draw in range(1, 2 if fixed else draws + 1):
            rows = torch.randperm(len(x), generator=order).to(x.device)
            batches = rows.tensor_split(math.ceil(len(x) / batch_size))
            found = [teacher(augment(x[batch], crop, flip, drawn)).double() for batch in batches]
            logits = torch.cat(found)[rows.argsort()]
            difference = logits - mean
            mean = mean + difference / draw
            squares = squares + difference * (logits - mean)
    # 0 / 0 of a single random draw is nan.
    deviation = torch.zeros_like(mean) if fixed else (squares / (draws - 1)).sqrt()
    return Averaged(mean.float(), deviation.float(), draw)


def _one_mode(network: nn.Module, x: Tensor) -> bool:
    """Whether logits of images [B, ...] are the same in training as in evaluation mode."""
    return torch.equal(network.train()(x), network.eval()(x))


def distil(targets: Tensor, loss: str = "l1", temperature: float = 1.0) -> Objective:
    """What a student minimizes: the distance of its logits from one target an image, whatever the augmentation.

    Args:
        targets: logits [N, classes], in the order of the train set, on the device of the images.
        loss: "l1" for `l1_loss` or "kl" for `kl_loss`.
        temperature: of `kl_loss`.

    Raises:
        ValueError: another loss, or a temperature that is not positive.
    """
    losses = distances(targets, temperature)
    if loss not in losses:
        raise ValueError(f"unknown loss {loss!r} of distillation, expected {' or '.join(losses)}")
    measure = losses[loss]

    def objective(network: nn.Module, images: Tensor, rows: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
        logits = network(images)
        return measure(logits.float(), rows), logits

    return objective


def distances(targets: Tensor, temperature: float = 1.0) -> dict[str, Measure]:
    """Both losses of students for `epochs.run_epochs` to note, whichever of them is minimized (Seguin, appendix A.3).

    Args:
        targets: logits [images, classes]. temperature: as for `distil`.

    Raises:
        ValueError: the temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"expected a positive temperature, found {temperature}")
    return {
        "l1": lambda logits, rows: l1_loss(logits, targets[rows]),
        "kl": lambda logits, rows: kl_loss(logits, targets[rows], temperature),
    }
