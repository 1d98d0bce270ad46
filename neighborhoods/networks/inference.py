"""Forward passes on noisy images: in half precision where that decides safely, refused where logits are not finite."""

import copy
import math
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils import mkldnn

Classifier = Callable[[Tensor], Tensor]

# Half precision decides where a class leads by this many times the root mean square error of leads. Errors on
# EfficientNet-lite0 look normal (kurtosis 3) and grow fourfold from little noise to much (0.004 to 0.017 of the largest
# logit), so each octave of noise has its own: its first images are computed both ways, and later on this part of all
# whatever the logits say. Of 40,000 decisions of small networks one was wrong, of 1024 on photos none.
HALF_MARGIN = 4.0
FIRST_CHECKED = 32
CHECKED_ONE_IN = 64
OCTAVES = 64

# After so many noisy images half precision is given up where more than this part of them is repeated.
TRIAL, PAYS_UP_TO = 384, 0.25

# A model whose leads differ by more than this part of the largest logit is not the same model in half precision.
HALF_AGREEMENT = 0.25

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


class FullPrecision:
    """A classifier as it is.

    Args:
        spatial: give it images with channels last, which convolutions of photos gain from.
    """

    def __init__(self, model: Classifier, spatial: bool = False) -> None:
        self.model = model
        self._spatial = spatial

    def logits(self, points: Tensor) -> Tensor:
        if self._spatial and points.ndim == 4:
            points = points.contiguous(memory_format=torch.channels_last)
        return self.model(points)

    def labels(self, points: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Classes [B] of points [B, ...]."""
        return labels_of(self.logits(points))

    def kept(self, points: Tensor, own: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Whether points [B, ...] have the classes `own` [B]."""
        return self.labels(points) == own


class HalfPrecision:
    """A classifier that computes in bfloat16 and repeats in full precision what that leaves undecided.

    What decides is the lead of a class: its logit less the largest other one. Errors of leads are measured relative to
    the largest logit of each noisy image: on the first images of each octave of noise, and later on everything that is
    repeated, which are a fixed part of all and those that lead, or are led, by less than HALF_MARGIN times their root
    mean square so far.
    Asked whether one class is kept, it repeats fewer images than asked for classes: two other classes may be close.

    Attributes:
        images, repeated: noisy images classified, and how many of them in full precision too.
    """

    def __init__(self, model: nn.Module, spatial: bool = False) -> None:
        self._full = FullPrecision(model, spatial)
        self._spatial = any(isinstance(module, nn.Conv2d) for module in model.modules())
        self._copy = _half_copy(model)
        # Convolutions in half precision are half again as fast with channels last.
        if self._spatial:
            self._copy = self._copy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._squares = torch.zeros(OCTAVES, dtype=torch.float64)
        self._counts = torch.zeros(OCTAVES, dtype=torch.int64)
        self._first = 0
        self.images = self.repeated = 0

    def labels(self, points: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Classes [B] of points [B, ...] with noise of `sigma` [B], from full precision where it matters."""
        if not self.pays:
            return self._full.labels(points)
        logits = self._half(points)
        labels = logits.argmax(1)
        rows, exact = self._checked(points, logits, labels, sigma)
        labels[rows] = exact
        return labels

    def kept(self, points: Tensor, own: Tensor, sigma: Tensor | None = None) -> Tensor:
        """Whether points [B, ...] with noise of `sigma` [B] have the classes `own` [B], from full precision where it
        matters."""
        if not self.pays:
            return self._full.kept(points, own)
        logits = self._half(points)
        kept = _lead(logits, own) > 0
        rows, exact = self._checked(points, logits, own, sigma)
        kept[rows] = exact == own[rows]
        return kept

    @property
    def pays(self) -> bool:
        """Whether so few noisy images are repeated that half precision saves time; full precision goes on otherwise."""
        tried = self.images - self._first
        return tried < TRIAL or self.repeated - self._first < PAYS_UP_TO * tried

    def agrees(self, points: Tensor) -> bool:
        """Whether both precisions give about the same leads for points [B, ...], so that half precision may pay."""
        try:
            half = self._half(points)
        except (RuntimeError, TypeError):
            return False
        error = _lead_errors(half, self._full.logits(points), half.argmax(1))
        return bool((error < HALF_AGREEMENT).all())

    def _half(self, points: Tensor) -> Tensor:
        spatial = self._spatial and points.ndim == 4
        # A copy: layers that work in place must not touch what is repeated.
        form = torch.channels_last if spatial else torch.preserve_format
        return self._copy(points.clone(memory_format=form)).to(points.dtype)

    def _checked(self, points: Tensor, logits: Tensor, classes: Tensor, sigma: Tensor | None) -> tuple[Tensor, Tensor]:
        """Positions of what half precision leaves open or is checked, and their classes in full precision."""
        octave = torch.zeros(len(points), dtype=torch.int64)
        if sigma is not None:
            octave = (sigma.abs().cpu().double().log2().round() + OCTAVES // 2).clamp(0, OCTAVES - 1).long()
        scale = logits.abs().amax(1)
        error = (self._squares / self._counts.clamp_min(1)).sqrt()[octave].to(scale)
        # What is not finite is unsure too.
        unsure = ~(_lead(logits, classes).abs() > HALF_MARGIN * error * scale)
        unsure[-self.images % CHECKED_ONE_IN :: CHECKED_ONE_IN] = True
        new = self._counts[octave] < FIRST_CHECKED
        unsure |= new.to(unsure.device)
        rows = unsure.nonzero()[:, 0]
        self._first += int(new.sum())
        self.images += len(points)
        self.repeated += len(rows)
        if len(rows) == 0:
            return rows, rows
        exact = self._full.logits(points[rows])
        squares = _lead_errors(logits[rows], exact, classes[rows]).double().square().cpu()
        self._squares.index_put_((octave[rows.cpu()],), squares, accumulate=True)
        self._counts.index_put_((octave[rows.cpu()],), torch.tensor(1), accumulate=True)
        return rows, labels_of(exact)


def _lead(logits: Tensor, classes: Tensor) -> Tensor:
    """Logit of a class less the largest other one [B]."""
    others = logits.scatter(1, classes[:, None], -math.inf).amax(1)
    return logits.gather(1, classes[:, None])[:, 0] - others


def _lead_errors(half: Tensor, exact: Tensor, classes: Tensor) -> Tensor:
    """Differences of leads relative to the largest logit [B], inf where one is not finite."""
    difference = (_lead(half, classes) - _lead(exact, classes)).abs()
    return (difference / half.abs().amax(1).clamp_min(1e-30)).nan_to_num(nan=math.inf, posinf=math.inf)


def _half_copy(model: nn.Module) -> nn.Module:
    """A copy that computes in bfloat16, but for what stands before the first layer with weights and for the last one.

    In bfloat16 a logit of 10 is rounded to multiples of 0.06, and a pixel of 0.5 times 255 to those of 0.5.
    """
    copied = copy.deepcopy(model)
    weighted = [module for module in copied.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    for module in copied.modules():
        last = isinstance(module, nn.Linear) and module is weighted[-1]
        dtype = torch.float32 if last else torch.bfloat16
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.BatchNorm2d)):
            module.to(dtype)
            module.register_forward_pre_hook(lambda module, taken, dtype=dtype: (taken[0].to(dtype),))
        elif any(True for _ in module.parameters(recurse=False)):
            module.to(dtype)
    return copied


def hooked(model: nn.Module) -> bool:
    """Whether anything in a model may see or change values on their way, so that it must run as it is."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# Layers that compute the same in bfloat16 as in float32 but for rounding.
_WEIGHTED = (nn.Linear, nn.Conv2d, nn.BatchNorm2d)
_PLAIN = (
    *(nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Flatten, nn.Identity, nn.Dropout, nn.ZeroPad2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Sequential, nn.ModuleList),
)


def _plain(module: nn.Module) -> bool:
    """Whether a module may be computed in half precision, as far as its class tells."""
    if isinstance(module, _WEIGHTED) or type(module) in _PLAIN:
        return True
    # Of a module of one's own the code is unknown, and `HalfPrecision.agrees` has the last word.
    return not type(module).__module__.startswith("torch.") and not any(True for _ in module.parameters(recurse=False))


def half_pays(model: Classifier, device: str) -> bool:
    """Whether a model's layers can be computed in half precision by `HalfPrecision`, and that is clearly faster.

    Measured on a CPU with bfloat16 instructions: 1.9 times faster for C-16, 2.1 times for EfficientNet-lite0, no
    faster for C-8, slower for C-4 and the fully connected networks. Other CPUs use it only when told.
    """
    if not isinstance(model, nn.Module) or hooked(model):
        return False
    single = all(p.dtype == torch.float32 for p in model.parameters())
    if device == "cpu":
        channels = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
        able = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        faster = able and bool(channels) and min(channels) >= FEWEST_CHANNELS
    else:
        faster = device == "cuda"
    return faster and single and all(map(_plain, model.modules())) and any(True for _ in model.parameters())


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
