"""Forward passes on noisy images: in half precision where that decides safely, refused where logits are not finite."""

import copy
import math
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils import mkldnn

Classifier = Callable[[Tensor], Tensor]

# Half precision decides where the two largest logits differ by this many times the largest error seen; two errors could
# turn a decision. This part of every batch is checked whatever the logits say.
HALF_MARGIN = 4.0
CHECKED_ONE_IN = 64

# oneDNN prepares itself for every number of rows anew, as long as thousands of rows take: only multiples of this one.
DENSE_ROWS = 128

# Convolutions with fewer channels gain nothing from half precision on a CPU.
FEWEST_CHANNELS = 16


def labels_of(logits: Tensor) -> Tensor:
    """Classes [B] of logits [B, classes].

    Raises:
        ValueError: a logit is not finite.
    """
    # The largest logit is NaN where any is: such an image would count for some class without a word.
    largest, labels = logits.max(1)
    if not bool(torch.isfinite(largest).all()):
        raise ValueError("the model's logits must be finite, found others on noisy images")
    return labels


class HalfPrecision:
    """A classifier that computes in bfloat16 and repeats in full precision what that leaves undecided.

    The error of half precision is measured relative to the largest logit of each noisy image: on the whole first batch,
    and later on everything that is repeated, which are a fixed part of each batch and all images whose two largest
    logits lie closer than HALF_MARGIN times the largest error seen so far.

    Attributes:
        images, repeated: noisy images classified, and how many of them in full precision too.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._copy = copy.deepcopy(model).to(torch.bfloat16)
        # Convolutions in half precision are half again as fast with channels last.
        self._spatial = any(isinstance(module, nn.Conv2d) for module in model.modules())
        if self._spatial:
            self._copy = self._copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._error = math.inf
        self.images = self.repeated = 0

    def labels(self, points: Tensor) -> Tensor:
        """Classes [B] of points [B, ...], from full precision where it matters."""
        half = points.to(torch.bfloat16)
        if self._spatial and half.ndim == 4:
            half = half.contiguous(memory_format=torch.channels_last)
        logits = self._copy(half).to(points.dtype)
        largest, labels = logits.max(1)
        gap = largest - logits.scatter(1, labels[:, None], -math.inf).amax(1)
        scale = logits.abs().amax(1)
        # What is not finite is unsure too.
        unsure = ~(gap > HALF_MARGIN * self._error * scale)
        unsure[::CHECKED_ONE_IN] = True
        rows = unsure.nonzero()[:, 0]
        exact = self._model(points[rows])
        labels[rows] = labels_of(exact)
        error = float(((exact - logits[rows]).abs().amax(1) / scale[rows].clamp_min(1e-30)).max())
        self._error = error if math.isinf(self._error) else max(self._error, error)
        self.images += len(points)
        self.repeated += len(rows)
        return labels


def hooked(model: nn.Module) -> bool:
    """Whether anything in a model may see or change values on their way, so that it must run as it is."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# Layers that compute the same in bfloat16 as in float32 but for rounding.
_PLAIN = (nn.Linear, nn.Conv2d, nn.ReLU, nn.Flatten, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.BatchNorm2d)


def half_pays(model: Classifier, device: str) -> bool:
    """Whether a model can be computed in half precision by `HalfPrecision`, and that is clearly faster.

    Measured on a CPU with bfloat16 instructions: 1.9 times faster for C-16, no faster for C-8, slower for C-4 and the
    fully connected networks. Other CPUs use it only when told.
    """
    if not isinstance(model, nn.Sequential) or len(model) == 0 or hooked(model):
        return False
    plain = all(type(m) in (*_PLAIN, nn.Identity, nn.Dropout) or type(m) is nn.Sequential for m in model.modules())
    single = all(p.dtype == torch.float32 for p in model.parameters())
    if device == "cpu":
        channels = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
        able = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        faster = able and bool(channels) and min(channels) >= FEWEST_CHANNELS
    else:
        faster = device == "cuda"
    return faster and plain and single and any(True for _ in model.parameters())


def dense(model: Classifier) -> Classifier:
    """The same model, with stacks of linear layers and ReLUs computed by oneDNN.

    On a CPU that takes about half the time of torch's linear layers where these are narrow.
    """
    if type(model) is not nn.Sequential or not torch.backends.mkldnn.is_available():
        return model
    plain = all(type(layer) in (nn.Linear, nn.ReLU) for layer in model)
    ready = all(p.dtype == torch.float32 and p.device.type == "cpu" for p in model.parameters())
    if hooked(model) or not plain or not ready or not any(type(layer) is nn.Linear for layer in model):
        return model
    with warnings.catch_warnings():
        # torch's own converted layers still use torch.jit.
        warnings.simplefilter("ignore", DeprecationWarning)
        converted = mkldnn.to_mkldnn(copy.deepcopy(model))

    def compute(points: Tensor) -> Tensor:
        whole = len(points) - len(points) % DENSE_ROWS
        parts = [converted(points[:whole].to_mkldnn()).to_dense()] if whole else []
        return torch.cat([*parts, model(points[whole:])])

    return compute


def in_place(layers: Sequence[nn.Module]) -> nn.Sequential:
    """A stack whose ReLUs overwrite their input, which nobody else needs: noisy points are made for one pass."""
    return nn.Sequential(*(nn.ReLU(inplace=True) if type(layer) is nn.ReLU else layer for layer in layers))
