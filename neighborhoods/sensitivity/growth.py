"""How perturbations grow from layer to layer: a network as a discretised dynamical system (the Note).

A residual network x_{l+1} = x_l + f_l(x_l) is Euler's scheme of a flow, and the perturbation of a starting point
evolves with it. Any other network is followed along its layers in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Modules that leave numbers as they are, in evaluation mode.
_UNCHANGING = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True)
class Growth:
    """Size of n perturbations behind each of L stages, the input first.

    Attributes:
        stages: names of the modules, "input" first. gain: ||delta_l|| / ||delta_0|| [L, n], float64.
        relative: ||delta_l|| / ||x_l|| over ||delta_0|| / ||x_0|| [L, n], float64: growth against the signal itself.
    """

    stages: tuple[str, ...]
    gain: Tensor
    relative: Tensor


def stages(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules that a perturbation is followed through: layers of sequences, and blocks as wholes.

    Sequences and lists are opened, and so are the network itself and what it wraps as its only module; anything else,
    such as a residual block, counts as one stage. What only rearranges numbers is left out.
    """
    return list(_opened(network, "", True))


def perturbation_growth(network: nn.Module, x: Tensor, perturbation: Tensor, *, batch_size: int = 512) -> Growth:
    """Follow perturbations through a network in evaluation mode.

    Args:
        network: images [B, ...] to logits. x: images [n, ...]. perturbation: what is added to each [n, ...], not zero.

    Raises:
        ValueError: shapes differ, a perturbation or an image is zero, or the network has no stages.
    """
    if x.shape != perturbation.shape or len(x) == 0:
        raise ValueError(f"expected a perturbation for each image {tuple(x.shape)}, found {tuple(perturbation.shape)}")
    if bool((_norms(perturbation) == 0).any()) or bool((_norms(x) == 0).any()):
        raise ValueError("expected images and perturbations that are not zero")
    followed = stages(network)
    if not followed:
        raise ValueError(f"expected a network of several layers, found a {type(network).__name__} without any")
    pieces = zip(*(part.split(max(1, batch_size // 2)) for part in (x, perturbation)), strict=True)
    found = [_sizes(network, followed, *piece) for piece in pieces]
    names = found[0][0]
    change = torch.cat([part[1] for part in found], dim=1)
    signal = torch.cat([part[2] for part in found], dim=1)
    return Growth(names, change / change[0], (change / signal) / (change[0] / signal[0]))


def towards_nearest(x: Tensor, others: Tensor) -> Tensor:
    """Unit vectors from each image [n, ...] to the nearest of others [m, ...] that is not the same: natural changes.

    Raises:
        ValueError: an image has no other.
    """
    apart = torch.cdist(x.flatten(1).double(), others.flatten(1).double(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest = torch.where(apart > 0, apart, torch.inf).min(1)
    if not bool(torch.isfinite(nearest.values).all()):
        raise ValueError(f"expected another image beside each of {len(x)}, found {len(others)} that are all the same")
    change = others[nearest.indices].double() - x.double()
    return (change / nearest.values.reshape(-1, *[1] * (x.ndim - 1))).to(x)


def _sizes(
    network: nn.Module, followed: list[tuple[str, nn.Module]], x: Tensor, perturbation: Tensor
) -> tuple[tuple[str, ...], Tensor, Tensor]:
    """Names of stages in the order of calls, norms of the perturbation and of the signal there [L, n]."""
    names = ["input"]
    change, signal = [_norms(perturbation)], [_norms(x)]

    def record(name: str, output: Tensor) -> None:
        plain, perturbed = output.double().chunk(2)
        names.append(name)
        change.append(_norms(perturbed - plain))
        signal.append(_norms(plain))

    handles = [
        module.register_forward_hook(lambda module, inputs, output, name=name: record(name, output))
        for name, module in followed
    ]
    try:
        with torch.no_grad():
            network(torch.cat([x, x + perturbation]))
    finally:
        for handle in handles:
            handle.remove()
    return tuple(names), torch.stack(change), torch.stack(signal)


def _opened(module: nn.Module, name: str, alone: bool) -> Iterator[tuple[str, nn.Module]]:
    children = list(module.named_children())
    if isinstance(module, _UNCHANGING):
        return
    if not children or not (alone or isinstance(module, (nn.Sequential, nn.ModuleList))):
        yield name or type(module).__name__, module
        return
    for child, inner in children:
        yield from _opened(inner, f"{name}.{child}" if name else child, alone and len(children) == 1)


def _norms(values: Tensor) -> Tensor:
    return values.double().flatten(1).norm(dim=1)
