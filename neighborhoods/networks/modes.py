"""Modes of a network's modules, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BatchNorm = Literal["eval", "train"]


@contextmanager
def evaluating(network: object, batch_norm: BatchNorm = "eval") -> Iterator[None]:
    """Evaluation mode inside the block, in which no forward pass changes the network; all modes are put back after it.

    Each module gets its own mode back: a frozen batch normalisation in a network in training stays frozen.

    Args:
        network: any other classifier than a module has no modes.
        batch_norm: "eval" for the running statistics of batch normalisation, "train" for those of the batch at hand.
            Other code that takes a batch's statistics for an attack also lets every step of it move the running ones;
            here these stand still, so that they are the statistics of the images trained on.

    Raises:
        ValueError: another `batch_norm`.
    """
    if batch_norm not in ("eval", "train"):
        raise ValueError(f"expected eval or train for batch_norm, found {batch_norm!r}")
    if not isinstance(network, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in network.modules()]
    tracking = [(module, module.track_running_stats) for module, _ in modes if isinstance(module, _BatchNorm)]
    network.eval()
    try:
        for norm, _ in tracking if batch_norm == "train" else ():
            norm.training, norm.track_running_stats = True, False
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for norm, tracked in tracking:
            norm.track_running_stats = tracked
