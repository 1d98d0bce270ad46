"""What makes a network sensitive: its linear head, the Jacobian of its features, or the margin between classes.

The Note writes a classifier as N = softmax o L o Nbar: features Nbar(x), logits z = L Nbar(x) with a bias, and the
gradient eta of the loss in x. The source differentiates an argmax there; the loss is meant (errata). By the chain rule
eta = J^T L^T dloss/dz with J the Jacobian of the features, so that ||eta|| <= ||dloss/dz|| ||L|| ||J||, and the
distance to a face of the boundary is, to first order, (z_y - z_k) / ||J^T (L_y - L_k)||.

Lengths are L2 and in units of the images; features and logits have no unit.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional

from neighborhoods.boundary.distance import MOST_CLASSES
from neighborhoods.networks.inference import Classifier

# The head applied to the features must give the network's logits, up to the rounding of float32 sums.
SPLIT_TOLERANCE = 1e-4

Factors = TypeVar("Factors", "LossGradient", "FaceFactors")


@dataclass(frozen=True)
class SplitNetwork:
    """A network taken apart at its last linear layer.

    Attributes:
        features: the map Nbar, images [B, ...] to features [B, F]. head: the linear map L with its bias, to logits.
    """

    features: nn.Module
    head: nn.Linear


@dataclass(frozen=True)
class LossGradient:
    """Gradient eta of the cross-entropy in each image, by its factors: norm = logit_norm * head_gain * feature_gain.

    Attributes:
        loss: cross-entropy [n], nat. norm: ||eta|| [n], nat per unit of the images.
        direction: eta / ||eta|| [n, ...], of the images' type.
        logit_norm: ||dloss/dz|| [n]. head_gain: ||L^T u|| for the unit vector u along dloss/dz [n], at most ||L||.
        feature_gain: ||J^T v|| for the unit vector v along L^T u [n], at most ||J||.
    """

    loss: Tensor
    norm: Tensor
    direction: Tensor
    logit_norm: Tensor
    head_gain: Tensor
    feature_gain: Tensor


@dataclass(frozen=True)
class FaceFactors:
    """Factors of the distance to the face of the boundary that is nearest to first order.

    Attributes:
        rival: the class beyond that face [n], int64. margin: z_y - z_rival [n].
        head_norm: ||L_y - L_rival|| [n]. feature_gain: ||J^T v|| for the unit vector v along L_y - L_rival [n].
        feature_margin: distance to that face in feature space, margin / head_norm [n].
        distance: first-order distance in the images, feature_margin / feature_gain [n].
        nearest_in_features: distance in feature space to the face that is nearest there, of all classes [n].
        margin_gradient: J^T (L_y - L_rival) [n, ...], of the images' type.
    """

    rival: Tensor
    margin: Tensor
    head_norm: Tensor
    feature_gain: Tensor
    feature_margin: Tensor
    distance: Tensor
    nearest_in_features: Tensor
    margin_gradient: Tensor


@dataclass(frozen=True)
class SpectralNorm:
    """Largest singular value of a Jacobian at each image.

    Attributes:
        norm: a lower bound that has converged where `residual` is small [n].
        residual: ||J^T J v - norm^2 v|| / norm^2 [n]: within half of it, relative to the norm, lies a singular value.
        steps: products with J^T J that were made.
    """

    norm: Tensor
    residual: Tensor
    steps: int


def split(network: nn.Module, x: Tensor) -> SplitNetwork:
    """Take a network in evaluation mode apart at its last linear layer.

    Args:
        network: images [B, ...] to logits [B, classes]; it is not changed.
        x: a few images to find the layer with and to compare both forms on [n, ...].

    Raises:
        ValueError: the network does not end in a linear layer, or has fewer than two classes.
    """
    last: list[str] = []
    handles = [
        module.register_forward_hook(lambda module, inputs, output, name=name: last.append(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad():
            logits = network(x)
    finally:
        for handle in handles:
            handle.remove()
    if not last:
        raise ValueError("expected a network that ends in a linear layer, found one without any nn.Linear")
    head = network.get_submodule(last[-1])
    assert isinstance(head, nn.Linear)
    if head.out_features < 2:
        raise ValueError(f"expected a network of at least two classes, found {head.out_features}")
    features: nn.Module = nn.Identity()
    if last[-1]:
        features = copy.deepcopy(network)
        parent, _, name = last[-1].rpartition(".")
        setattr(features.get_submodule(parent), name, nn.Identity())
    with torch.no_grad():
        hidden = features(x)
        same = hidden.ndim == 2 and hidden.shape[1] == head.in_features
        if not same or not torch.allclose(head(hidden), logits, rtol=SPLIT_TOLERANCE, atol=SPLIT_TOLERANCE):
            raise ValueError(
                f"expected a network that ends in a linear layer, found that more follows its last one, {last[-1]!r}"
            )
    return SplitNetwork(features, head)


def head_norm(head: nn.Linear) -> float:
    """Spectral norm ||L|| of a linear head L [classes, features], its bias left out (the Note)."""
    return float(torch.linalg.matrix_norm(head.weight.detach().double(), 2))


def pair_norms(head: nn.Linear) -> Tensor:
    """||L_i - L_j|| of each pair of classes [classes, classes], float64."""
    weight = head.weight.detach().double()
    return torch.cdist(weight, weight, compute_mode="donot_use_mm_for_euclid_dist")


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy [n] in nat, float64, exact down to the smallest: softplus of what the others lead by."""
    z = logits.double()
    own = z.gather(1, label[:, None])
    return functional.softplus(z.scatter(1, label[:, None], -torch.inf).logsumexp(1) - own[:, 0], threshold=700)


@torch.no_grad()
def loss_gradient(parts: SplitNetwork, x: Tensor, label: Tensor) -> LossGradient:
    """Gradient of the cross-entropy in x, its size, direction and factors (the Note; errata).

    Args:
        parts: as `split` gives them. x: images [n, ...]. label: true classes [n].

    Raises:
        ValueError: labels do not fit, or the loss has no gradient at some image.
    """
    hidden, pull = _linearized(parts.features, x)
    logits = _logits(parts.head, hidden)
    _check_labels(label, logits)
    # softmax - onehot is (1 - p_y) times softmax of the others - onehot: a direction that no sureness rounds to zero.
    others = logits.scatter(1, label[:, None], -torch.inf)
    slope = others.softmax(1).scatter(1, label[:, None], -1.0)
    logit_norm = (others.logsumexp(1) - logits.logsumexp(1)).exp() * slope.norm(dim=1)
    towards = functional.normalize(slope, dim=1) @ parts.head.weight.detach().double()
    pulled = pull(_unit(towards))
    head_gain, feature_gain = towards.norm(dim=1), pulled.flatten(1).double().norm(dim=1)
    flat = int((head_gain * feature_gain == 0).sum())
    if flat:
        raise ValueError(f"expected a gradient of the loss at every image, found none at {flat} of {len(x)}")
    norm = logit_norm * head_gain * feature_gain
    direction = (pulled.double() / _column(feature_gain, x)).to(x.dtype)
    return LossGradient(cross_entropy(logits, label), norm, direction, logit_norm, head_gain, feature_gain)


@torch.no_grad()
def face_factors(parts: SplitNetwork, x: Tensor, label: Tensor, classes: int = MOST_CLASSES) -> FaceFactors:
    """Head, features and margin at the face of the boundary that is nearest to first order.

    Args:
        parts: as `split` gives them. x: images [n, ...]. label: the class of each [n], whose region is looked at from
            inside; a margin is negative where the network says otherwise.
        classes: other classes tried, those of the largest logits.

    Raises:
        ValueError: labels do not fit, or no margin has a gradient at some image.
    """
    hidden, pull = _linearized(parts.features, x)
    logits = _logits(parts.head, hidden)
    _check_labels(label, logits)
    weight = parts.head.weight.detach().double()
    own = logits.gather(1, label[:, None])
    norms = pair_norms(parts.head)[label]
    if bool((norms.scatter(1, label[:, None], 1.0) == 0).any()):
        raise ValueError("expected classes of different weights, found two with the same")
    in_features = (own - logits) / norms.scatter(1, label[:, None], 1.0)
    nearest_in_features = in_features.scatter(1, label[:, None], torch.inf).amin(1)

    count = min(classes, logits.shape[1] - 1)
    rivals = logits.scatter(1, label[:, None], -torch.inf).topk(count, dim=1).indices
    pulled = torch.stack([pull(_unit(weight[label] - weight[rival])) for rival in rivals.unbind(1)], dim=1)
    gain = pulled.flatten(2).double().norm(dim=2)
    flat = int((gain == 0).all(1).sum())
    if flat:
        raise ValueError(f"expected a gradient of some margin at every image, found none at {flat} of {len(x)}")
    margins = in_features.gather(1, rivals)
    # The face whose linearisation is nearest; a margin without gradient is never reached.
    reach = torch.where(gain > 0, margins / gain, torch.inf)
    best = reach.argmin(1, keepdim=True)
    rival = rivals.gather(1, best)
    chosen = pulled[torch.arange(len(x), device=x.device), best[:, 0]]
    norm, feature_gain, feature_margin = norms.gather(1, rival), gain.gather(1, best), margins.gather(1, best)
    return FaceFactors(
        rival=rival[:, 0],
        margin=(own - logits.gather(1, rival))[:, 0],
        head_norm=norm[:, 0],
        feature_gain=feature_gain[:, 0],
        feature_margin=feature_margin[:, 0],
        distance=reach.gather(1, best)[:, 0],
        nearest_in_features=nearest_in_features,
        margin_gradient=(chosen.double() * _column(norm[:, 0], x)).to(x.dtype),
    )


def in_batches(
    measure: Callable[[SplitNetwork, Tensor, Tensor], Factors],
    parts: SplitNetwork,
    x: Tensor,
    label: Tensor,
    *,
    batch_size: int,
) -> Factors:
    """`loss_gradient` or `face_factors` of images [n, ...], so many of which are in one graph at a time.

    Raises:
        ValueError: as for `measure`.
    """
    pieces = [measure(parts, *piece) for piece in zip(x.split(batch_size), label.split(batch_size), strict=True)]
    names = [field.name for field in fields(pieces[0])]
    return type(pieces[0])(**{name: torch.cat([getattr(piece, name) for piece in pieces]) for name in names})


def steepest_cosine(gradient: LossGradient, faces: FaceFactors) -> Tensor:
    """Cosine of the steepest rise of the loss and the steepest fall of the margin [n]: what softmax adds turns eta."""
    fall = -faces.margin_gradient.flatten(1).double()
    return functional.cosine_similarity(gradient.direction.flatten(1).double(), fall, dim=1, eps=0)


def spectral_norm(
    function: Classifier,
    x: Tensor,
    *,
    tolerance: float = 1e-3,
    steps: int = 100,
    seed: int = 0,
    batch_size: int = 512,
) -> SpectralNorm:
    """Spectral norm of the Jacobian of a function at each image, without building the Jacobian.

    Power iteration v <- J^T J v by forward and reverse differentiation, whose iterates are all kept: the largest Ritz
    value of their span (Lanczos 1950) takes the root of the number of steps that the last iterate alone would need.
    All images iterate together until the residual of each is within the tolerance. A random start has a part along
    every singular vector, so that the largest value is missed only with a probability that falls with each step
    (Kuczynski and Wozniakowski 1992).

    Args:
        function: images [B, ...] to [B, F], rows independent of each other. x: images [n, ...], floating point.
        tolerance: residual at which to stop. steps: products at most. seed: of the starts.
        batch_size: images that iterate together; the rows of all iterates are held in memory.

    Returns:
        Norms, zero where the Jacobian is.

    Raises:
        ValueError: no images, or settings out of range.
    """
    if len(x) == 0 or not x.is_floating_point():
        raise ValueError(f"expected floating-point images [n, ...], found {x.dtype} of shape {tuple(x.shape)}")
    if not tolerance > 0 or steps < 1 or batch_size < 1:
        raise ValueError(
            f"expected a positive tolerance, steps and batch_size from 1, found {tolerance}, {steps}, {batch_size}"
        )
    start = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(x)
    pieces = zip(x.split(batch_size), start.split(batch_size), strict=True)
    found = [_lanczos(function, *piece, tolerance, steps) for piece in pieces]
    norm, residual = (torch.cat([getattr(part, name) for part in found]) for name in ("norm", "residual"))
    return SpectralNorm(norm, residual, max(part.steps for part in found))


@torch.no_grad()
def _lanczos(function: Classifier, x: Tensor, start: Tensor, tolerance: float, steps: int) -> SpectralNorm:
    _, pull = _linearized(function, x)
    basis = [_unit(start.flatten(1).double()).to(x.dtype)]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    while True:
        new = pull(_pushed(function, x, basis[-1].reshape(x.shape))).flatten(1)
        diagonal.append((new.double() * basis[-1]).sum(1))
        # Twice, since one pass leaves rounding that grows once a Ritz value has converged.
        for _ in range(2):
            held = torch.stack(basis, dim=1)
            new = new - torch.einsum("nk,nkd->nd", torch.einsum("nd,nkd->nk", new, held), held)
        length = new.double().norm(dim=1)
        # What is left of a span that holds all of J^T J's range is rounding.
        scale = torch.stack([diagonal[0].abs(), *[value.abs() for value in diagonal[1:]]]).amax(0)
        length = torch.where(length > 8 * torch.finfo(x.dtype).eps * scale, length, 0.0)
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        square = values[:, -1].clamp_min(0)
        residual = torch.where(square > 0, length * vectors[:, -1, -1].abs() / square, 0.0)
        if bool((residual <= tolerance).all()) or len(diagonal) == min(steps, new.shape[1]):
            return SpectralNorm(square.sqrt(), residual, len(diagonal))
        beside.append(length)
        # A row whose span is complete goes on with zeros, which change none of its values.
        basis.append((new.double() / torch.where(length > 0, length, torch.inf)[:, None]).to(x.dtype))


def _tridiagonal(diagonal: list[Tensor], beside: list[Tensor]) -> Tensor:
    matrix = torch.diag_embed(torch.stack(diagonal, dim=1))
    if beside:
        line = torch.stack(beside, dim=1)
        matrix = matrix + torch.diag_embed(line, 1) + torch.diag_embed(line, -1)
    return matrix


def _linearized(function: Classifier, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Values [n, F] and the product of their Jacobian's transpose with vectors: [n, F] to [n, ...]."""
    with torch.enable_grad():
        variable = x.detach().requires_grad_(True)
        values = function(variable)

    def pull(vectors: Tensor) -> Tensor:
        return torch.autograd.grad(values, variable, vectors.to(values.dtype), retain_graph=True)[0]

    return values.detach(), pull


def _pushed(function: Classifier, x: Tensor, vectors: Tensor) -> Tensor:
    """Product of the Jacobian at each image with a vector: [n, ...] to [n, F]."""
    with forward_ad.dual_level():
        values, tangent = forward_ad.unpack_dual(function(forward_ad.make_dual(x, vectors)))
    return torch.zeros_like(values) if tangent is None else tangent


def _logits(head: nn.Linear, hidden: Tensor) -> Tensor:
    return head(hidden).detach().double()


def _unit(vectors: Tensor) -> Tensor:
    """Rows of length 1; rows of zeros stay."""
    largest = vectors.abs().amax(1, keepdim=True)
    scaled = vectors / torch.where(largest > 0, largest, 1.0)
    return functional.normalize(scaled, dim=1)


def _column(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.ndim - 1))


def _check_labels(label: Tensor, logits: Tensor) -> None:
    if label.shape != logits.shape[:1] or bool(((label < 0) | (label >= logits.shape[1])).any()):
        raise ValueError(f"expected one label in 0..{logits.shape[1] - 1} for each of {len(logits)} images")
