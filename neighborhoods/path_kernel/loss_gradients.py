"""Gradients and outputs of one architecture at many weights at once."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from neighborhoods.path_kernel.path import Path, loss_gradient

# A fixed number of weights at a time, so that results do not hang on the machine's memory.
STATES = 16


def loss_gradients(model: nn.Module, path: Path, w: Tensor, weights: Tensor | None = None) -> Tensor:
    """Gradient of (1/N) sum_i weights_i loss_i over all training points of a path, at several weights.

    Args:
        model: the architecture, of which only the buffers matter; it is left as it is.
        path: gives the training points and the loss, a mean over samples.
        w: flat parameters [M, P]. weights: of the training points for each of them [M, N]; None for 1.

    Returns:
        [M, P], without weight decay.

    Raises:
        ValueError: parameters or weights that do not fit.
    """
    twin = _twin(model, path, w)
    n = len(path.x)
    if weights is not None and weights.shape != (len(w), n):
        raise ValueError(f"expected weights of shape {(len(w), n)}, found {tuple(weights.shape)}")
    found = []
    for start in range(0, len(w), STATES):
        flat = w[start : start + STATES].to(path.x).detach().requires_grad_()
        with torch.enable_grad():
            y = _outputs(twin, flat, path.x)
            rows = torch.arange(n, device=y.device).repeat(len(flat))
            # The loss is a mean over len(flat) * n rows here.
            errors = len(flat) * loss_gradient(path, y.flatten(0, 1), rows).view_as(y)
            if weights is not None:
                errors = errors * weights[start : start + STATES, :, None].to(errors)
            found.append(torch.autograd.grad(y, flat, errors)[0])
    return torch.cat(found)


def outputs_at(model: nn.Module, path: Path, w: Tensor, x: Tensor) -> Tensor:
    """Outputs [M, B, K] of points x [B, ...] at flat parameters w [M, P], in float64.

    Raises:
        ValueError: parameters that do not fit.
    """
    twin = _twin(model, path, w)
    with torch.no_grad():
        return torch.cat([_outputs(twin, part.to(path.x), x.to(path.x)) for part in w.split(STATES)])


def _twin(model: nn.Module, path: Path, w: Tensor) -> nn.Module:
    parameters = sum(p.numel() for p in model.parameters())
    if w.ndim != 2 or len(w) == 0 or w.shape[1] != parameters:
        raise ValueError(f"expected weights [M, {parameters}], as the model has, found {tuple(w.shape)}")
    return copy.deepcopy(model).to(path.x).eval()


def _outputs(twin: nn.Module, w: Tensor, x: Tensor) -> Tensor:
    shapes = {name: parameter.shape for name, parameter in twin.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]

    def call(flat: Tensor) -> Tensor:
        parts = zip(shapes.items(), flat.split(sizes), strict=True)
        return functional_call(twin, {name: part.view(shape) for (name, shape), part in parts}, (x,))

    return vmap(call)(w)
