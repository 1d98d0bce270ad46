"""Training of classifiers by mini-batch gradient descent on data that is held in memory."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.networks.modes import evaluating

log = logging.getLogger(__name__)

# Of a forward pass without gradients; more gains nothing, and photos by hundreds do not fit into caches.
PIXELS_AT_ONCE = 2**22


class TrainingError(ValueError):
    """Training cannot go on; the text is one sentence."""


@dataclass
class History:
    """What happened in each epoch: lists of one number an epoch.

    Attributes:
        loss: mean cross-entropy in nats over the epoch's batches, as seen while training.
        penalty: mean over the epoch's batches of what is added to the loss.
        train_accuracy: share of correct images of the batches, as seen while training.
        test_accuracy: share of correct test images after the epoch.
    """

    loss: list[float] = field(default_factory=list)
    penalty: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)


def weight_penalty(network: nn.Module, strengths: Sequence[float]) -> Tensor:
    """Sum over layers of lambda ||W||_2^2 / units (Szegedy et al. 2014; Bell, section 5.1.2, as corrected).

    Units are a layer's outputs: neurons of a linear layer, channels of a convolution. Biases are free.

    Args:
        network: its linear and convolutional layers are penalized, in order.
        strengths: one lambda for all layers or one for each.

    Raises:
        ValueError: neither one strength nor one a layer.
    """
    layers = [m for m in network.modules() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd))]
    # A transposed convolution has its outputs on another axis.
    units = [m.out_features if isinstance(m, nn.Linear) else m.out_channels for m in layers]
    weights = [m.weight for m in layers]
    lambdas = list(strengths) * len(weights) if len(strengths) == 1 else list(strengths)
    if len(lambdas) != len(weights):
        raise ValueError(f"expected 1 penalty or {len(weights)}, one for each layer with weights, found {len(lambdas)}")
    terms = [lam * w.square().sum() / n for lam, w, n in zip(lambdas, weights, units, strict=True) if lam]
    return torch.stack(terms).sum() if terms else torch.zeros((), device=next(network.parameters()).device)


def train(
    network: nn.Module,
    x_train: Tensor,
    y_train: Tensor,
    x_test: Tensor,
    y_test: Tensor,
    *,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    batch_size: int = 100,
    epochs: int = 21,
    penalty: Sequence[float] = (0.0,),
    perturb: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None,
    regularize: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
) -> History:
    """Minimize cross-entropy plus `weight_penalty`, in place.

    Args:
        network: images [B, ...] to logits [B, classes], on the device of the data.
        x_train, x_test: images in [0, 1], [N, ...], float.
        y_train, y_test: labels [N], int64.
        optimizer: "adam" or "sgd" (momentum 0.9).
        perturb: called with the network, images and labels of each batch; it returns the images to train on.
        regularize: called with a batch's labels after the network has seen its images; it returns a scalar to be added
            to the loss.
        seed: of the order of the images; the start is the network's own.

    Raises:
        TrainingError: the loss is no longer finite; the sentence says when and what to try.
        ValueError: unknown optimiser or wrong number of penalties.
    """
    match optimizer:
        case "adam":
            stepper: torch.optim.Optimizer = torch.optim.Adam(network.parameters(), learning_rate)
        case "sgd":
            stepper = torch.optim.SGD(network.parameters(), learning_rate, momentum=0.9)
        case _:
            raise ValueError(f"unknown optimizer {optimizer!r}, expected adam or sgd")
    order = torch.Generator().manual_seed(seed)
    history = History()
    for epoch in range(1, epochs + 1):
        network.train()
        losses, penalties, hits = [], [], []
        for batch in torch.randperm(len(x_train), generator=order).to(x_train.device).split(batch_size):
            images, labels = x_train[batch], y_train[batch]
            logits = network(images if perturb is None else perturb(network, images, labels))
            loss = functional.cross_entropy(logits, labels)
            extra = weight_penalty(network, penalty)
            if regularize is not None:
                extra = extra + regularize(labels)
            stepper.zero_grad()
            (loss + extra).backward()
            stepper.step()
            losses.append(loss.detach() * len(batch))
            penalties.append(extra.detach() * len(batch))
            hits.append((logits.argmax(1) == labels).sum())
        history.loss.append(float(torch.stack(losses).sum()) / len(x_train))
        history.penalty.append(float(torch.stack(penalties).sum()) / len(x_train))
        if not math.isfinite(history.loss[-1] + history.penalty[-1]):
            raise TrainingError(
                f"the loss is not finite in epoch {epoch} of {epochs} ({optimizer}, learning_rate {learning_rate:g}); "
                "try a smaller learning_rate"
            )
        history.train_accuracy.append(float(torch.stack(hits).sum()) / len(x_train))
        history.test_accuracy.append(accuracy(network, x_test, y_test))
        log.info(
            "epoch %d/%d: loss %.4f, test accuracy %.4f", epoch, epochs, history.loss[-1], history.test_accuracy[-1]
        )
    network.eval()
    return history


def predict(network: nn.Module, x: Tensor, batch_size: int | None = None) -> Tensor:
    """Predicted classes [N] of images [N, ...], in evaluation mode (the mode is put back).

    Args:
        x: images in [0, 1], or bytes, which become shares of 255 batch by batch.
        batch_size: images of a forward pass; fewer by default where images are large.
    """
    if batch_size is None:
        batch_size = max(16, min(1024, PIXELS_AT_ONCE // max(1, x[0].numel()))) if len(x) else 1
    with evaluating(network), torch.no_grad():
        batches = (batch.float() / 255 if batch.dtype == torch.uint8 else batch for batch in x.split(batch_size))
        classes = [network(batch).argmax(1) for batch in batches]
    return torch.cat(classes)


def accuracy(network: nn.Module, x: Tensor, y: Tensor, batch_size: int | None = None) -> float:
    """Share of images [N, ...] whose predicted class is the label [N]; images as for `predict`."""
    return float((predict(network, x, batch_size) == y).double().mean())
