"""Batch norms folded into the convolutions in front of them: fewer passes over memory at inference."""

import copy

from torch import Tensor, nn
from torch.nn.utils import parametrize

from neighborhoods.networks.inference import hooked

# Largest difference of a logit, relative to the largest one: some thirty layers of float32 roundings stay below 1e-5.
AGREEMENT = 1e-4


def fold_batch_norms(model: nn.Module, images: Tensor) -> nn.Module:
    """A copy of a model in evaluation mode whose batch norms are part of the convolutions in front of them.

    Which norm follows which convolution is seen from one forward pass, so that it does not matter how `forward` is
    written. The model itself comes back where nothing can be folded, or where the logits of the images differ by more
    than rounding (a convolution's output may have a second use).

    Args:
        model: a module from images [B, ...] to logits [B, classes]. images: a few of them, of its dtype and device.
    """
    if hooked(model) or not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return model
    try:
        folded = copy.deepcopy(model)
    except (RuntimeError, TypeError, NotImplementedError):
        # A model may hold what cannot be copied.
        return model
    for norm, convolution in _pairs(folded, images):
        _fold(folded.get_submodule(norm), folded.get_submodule(convolution))
        folded.set_submodule(norm, nn.Identity())
    before, after = model(images), folded(images)
    error = (after - before).abs().max()
    return folded if bool(error <= AGREEMENT * before.abs().max()) else model


def _pairs(model: nn.Module, images: Tensor) -> list[tuple[str, str]]:
    """Names of batch norms and of the convolutions whose output they take, each of them used once."""
    outputs: list[tuple[str, Tensor]] = []
    inputs: list[tuple[str, Tensor]] = []
    handles = []
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.Conv2d) and not parametrize.is_parametrized(module):
            handles.append(
                module.register_forward_hook(lambda module, taken, given, name=name: outputs.append((name, given)))
            )
        elif type(module) is nn.BatchNorm2d and module.running_var is not None:
            handles.append(
                module.register_forward_hook(lambda module, taken, given, name=name: inputs.append((name, taken[0])))
            )
    try:
        model(images[:1])
    finally:
        for handle in handles:
            handle.remove()
    modules = [id(model.get_submodule(name)) for name, _ in outputs + inputs]
    producers = {id(tensor): name for name, tensor in outputs}
    found = [(norm, producers[id(tensor)]) for norm, tensor in inputs if id(tensor) in producers]
    return [pair for pair in found if all(modules.count(id(model.get_submodule(name))) == 1 for name in pair)]


def _fold(norm: nn.Module, convolution: nn.Module) -> None:
    """Scale the weights, and shift the bias, in double precision."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(convolution, nn.Conv2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    weight = convolution.weight
    scale = 1 / (norm.running_var.double() + norm.eps).sqrt()
    shift = -norm.running_mean.double()
    if convolution.bias is not None:
        shift = shift + convolution.bias.double()
    if norm.affine:
        scale = scale * norm.weight.double()
    shift = shift * scale
    if norm.affine:
        shift = shift + norm.bias.double()
    folded = weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))
    convolution.weight = nn.Parameter(folded.to(weight), requires_grad=False)
    convolution.bias = nn.Parameter(shift.to(weight), requires_grad=False)
