"""What is handed over, made ready for a model; what cannot be used is answered with one sentence."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neighborhoods.networks.inference import Classifier
from neighborhoods.networks.modes import evaluating

# Whatever becomes a tensor: NumPy arrays do.
Array = Tensor | NDArray[Any]

# Images of the trial: with one alone a layer that drops axes of length one would go unseen.
TRIED = 2

# How far rows of probabilities may be from a sum of one.
ROUNDING = 1e-3


def images_for(model: Classifier, images: Array, *, logits: bool = False) -> Tensor:
    """Images as a model takes them, tried on the first ones in evaluation mode.

    Arrays become tensors, which go to the device of the model's weights. Where the model does not take their type, as
    NumPy's double precision, they get that of the weights (of a callable that has none: single precision).

    Args:
        model: images [B, ...] to logits [B, classes].
        images: [images, ...], floating point, at least one.
        logits: whether answers must not be probabilities. Where only the class counts, both do.

    Raises:
        ValueError: images that are no batch of finite floating-point numbers or that the model fails on, or answers
            other than finite [B, classes]; the sentence says what was expected and found.
    """
    x = tensor_of(images, "images")
    if x.ndim < 2 or len(x) == 0 or not x.is_floating_point():
        hint = "" if x.is_floating_point() else "; bytes of pixels become shares of one by x / 255"
        raise ValueError(
            f"expected floating-point images [images, ...], found {x.dtype} of shape {tuple(x.shape)}{hint}"
        )
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the images must be finite, found some that are infinite or not a number")
    weight = _weight_of(model)
    if weight is not None:
        x = x.to(weight.device)
    with evaluating(model), torch.no_grad():
        # Models that work in place must not touch the images.
        answer, failure = _tried(model, x[:TRIED].clone())
        if failure is not None:
            like = torch.float32 if weight is None else weight.dtype
            answer, again = _tried(model, x[:TRIED].to(like, copy=True))
            if again is not None:
                raise ValueError(_refusal(model, x, again)) from again
            x = x.to(like)
    _check_answer(answer, x[:TRIED], logits)
    return x


def labels_for(labels: Array, images: int, classes: int | None = None) -> Tensor:
    """Classes as whole numbers [images], int64.

    Args:
        labels: [images], of any integer type.
        images: how many there must be. classes: how many the model tells apart; None where that is unknown.

    Raises:
        ValueError: another shape, numbers that are not whole, or classes that there are not.
    """
    y = tensor_of(labels, "labels")
    if y.shape != (images,) or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise ValueError(
            f"expected a class for each of {images} images as whole numbers [{images}], found {y.dtype} of shape "
            f"{tuple(y.shape)}"
        )
    y = y.long()
    if classes is not None and images and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise ValueError(f"expected classes in 0..{classes - 1}, found {int(y.min())} to {int(y.max())}")
    return y


def tensor_of(values: Array, name: str) -> Tensor:
    """A tensor of what may be an array of numbers, without its gradient.

    Raises:
        ValueError: it is none.
    """
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.from_numpy(np.array(values))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"expected {name} as a tensor or an array of numbers, found {type(values).__name__}"
        ) from error


def _weight_of(model: Classifier) -> Tensor | None:
    """The first of a module's floating-point weights, or what else it keeps; None where there is none."""
    if not isinstance(model, nn.Module):
        return None
    kept = (value for values in (model.parameters(), model.buffers()) for value in values)
    return next((value for value in kept if value.is_floating_point()), None)


def _tried(model: Classifier, images: Tensor) -> tuple[Any, Exception | None]:
    try:
        return model(images), None
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # A model of one's own may fail in any way.
        return None, error


def _refusal(model: Classifier, x: Tensor, failure: Exception) -> str:
    like = x.dtype if (weight := _weight_of(model)) is None else weight.dtype
    alone, problem = _tried(model, x[None].to(like))
    if problem is None and isinstance(alone, Tensor) and alone.ndim == 2 and len(alone) == 1:
        shape = tuple(x.shape)
        return f"expected images [images, ...], found one image {shape} alone; give it the axis of a batch by x[None]"
    text = " ".join(str(failure).split())
    return f"the model does not take images {tuple(x.shape[1:])} ({type(failure).__name__}: {text[:200]})"


def _check_answer(answer: Any, images: Tensor, logits: bool) -> None:
    wanted = f"the model must map {tuple(images.shape)} to logits [{len(images)}, classes]"
    if not isinstance(answer, Tensor):
        raise ValueError(
            f"{wanted}, found a {type(answer).__name__}; wrap it in a module that returns the logits alone"
        )
    if answer.ndim != 2 or len(answer) != len(images):
        raise ValueError(f"{wanted}, found {tuple(answer.shape)}")
    if not bool(torch.isfinite(answer).all()):
        raise ValueError("the model's logits must be finite, found some that are infinite or not a number")
    if logits and _probabilities(answer):
        raise ValueError(f"{wanted}, found probabilities, whose rows sum to one; leave the softmax out")


def _probabilities(answer: Tensor) -> bool:
    apart = (answer.double().sum(1) - 1).abs()
    inside = (answer > 0) & (answer < 1)
    return bool((answer >= 0).all() & (apart < ROUNDING).all() & inside.any())
