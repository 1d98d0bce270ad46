"""An attack on persistence as a detector: adversarial images that keep their class under noise too.

What a detector is worth shows against an attacker who knows it (Carlini and Wagner 2017; Tramèr et al. 2020). The
noise is met by expectation over transformation (Athalye et al. 2018): each step follows the mean gradient over noisy
copies of an image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from neighborhoods.networks.modes import evaluating


@dataclass(frozen=True)
class _State:
    """Images on their way [n, ...] and what noise makes of them.

    Attributes:
        goal: class that the next step moves toward [n].
        adversarial: whether the image itself has the class asked for [n].
        score: order of preference [n], float64: adversarial images first, then those with the larger share.
    """

    moved: Tensor
    goal: Tensor
    adversarial: Tensor
    score: Tensor


def adaptive(
    model: nn.Module,
    x: Tensor,
    label: Tensor,
    target: Tensor | None = None,
    *,
    epsilon: float | None = None,
    distortion: float | None = None,
    step_size: float,
    steps: int,
    noise_samples: int,
    sigma: float | Sequence[float],
    seed: int = 0,
    start: Tensor | None = None,
    chunk: int = 4096,
) -> Tensor:
    """Adversarial images of large persistence, by projected gradient steps on the expected margin under noise.

    Each step follows the gradient of the mean over z ~ N(0, I) and the sigmas of the margin
    Z_t(x + sigma z) - max_{k != t} Z_k(x + sigma z), new z in every step. (On MNIST it gives as much persistence as
    surrogates of the share of noisy copies, more than cross-entropy, and it never vanishes.) An image that does not
    have the class asked for follows its own cross-entropy, as in `attacks.igsm`, until it has. Untargeted, t is the
    other class that is most probable under noise, chosen again in every step.

    Of all iterates, the start included, each image keeps one with the class asked for, if there is any, and of these
    the one with the largest share of noisy copies in its class, for noise that is the same throughout.

    All images get the same noise, so that neither their order nor the batch matters.

    Args:
        model: images [B, ...] to logits [B, classes]; in evaluation mode meanwhile.
        x: images in [0, 1], [n, ...].
        label: true classes [n].
        target: classes to reach [n]; None to leave the label.
        epsilon: largest change of a pixel, in units of a pixel's range; steps are then those of the gradient's sign.
        distortion: in its place, largest ||x_adv - x||_2 / sqrt(pixels) (Bell, definition 1.8); steps then go along the
            gradient.
        step_size: of each step, in the same measure as the limit given.
        noise_samples: noisy copies of an image at each sigma, in opposite pairs.
        sigma: one standard deviation of the noise or several, in units of a pixel's range: those at which natural
            images keep their class, small ones for images that only just succeed.
        seed: of the noise.
        start: images [n, ...] to start from, moved to within the limit; `x` when left out.
        chunk: noisy images in one pass; results depend on it by rounding only.

    Returns:
        Adversarial images [n, ...].

    Raises:
        ValueError: not exactly one limit, a number that is not positive, or a start of another shape.
    """
    # No AttackError, so that `attacks` can import this.
    sigmas = [float(value) for value in sigma] if isinstance(sigma, Sequence) else [float(sigma)]
    limit = epsilon if distortion is None else distortion
    if limit is None or (epsilon is not None and distortion is not None):
        raise ValueError("adaptive needs either epsilon or distortion")
    numbers = {"epsilon or distortion": limit, "step_size": step_size, "steps": steps, "chunk": chunk}
    numbers |= {"noise_samples": noise_samples, "sigma": min(sigmas, default=0.0)}
    for name, number in numbers.items():
        if not 0 < number < math.inf:
            raise ValueError(f"adaptive needs a positive {name}, found {number}")
    if start is not None and start.shape != x.shape:
        raise ValueError(f"adaptive needs a start of shape {tuple(x.shape)}, found {tuple(start.shape)}")
    project, direction = (_into_cube, torch.sign) if distortion is None else (_into_ball, _unit)
    generator = torch.Generator().manual_seed(seed)
    with evaluating(model):
        fixed = _noise(x, noise_samples, sigmas, generator)
        moved = x.detach() if start is None else project(start.detach(), x, limit)
        state = _look(model, moved, fixed, label, target, chunk)
        best, score = state.moved.clone(), state.score
        for _ in range(steps):
            noise = _noise(x, noise_samples, sigmas, generator)
            gradient, near = torch.empty_like(x), state.adversarial
            gradient[near] = _gradient(model, state.moved[near], state.goal[near], noise, chunk)
            aim = None if target is None else target[~near]
            gradient[~near] = _first_gradient(model, state.moved[~near], label[~near], aim)
            moved = state.moved + step_size * direction(gradient)
            state = _look(model, project(moved, x, limit), fixed, label, target, chunk)
            better = state.score > score
            best[better] = state.moved[better]
            score = torch.maximum(score, state.score)
    return best


def _noise(x: Tensor, samples: int, sigmas: Sequence[float], generator: torch.Generator) -> Tensor:
    """Noise for every image [samples * sigmas, ...]: the same directions at each sigma, in opposite pairs."""
    z = torch.randn((samples + 1) // 2, *x.shape[1:], generator=generator).to(x)
    z = torch.cat([z, -z])[:samples]
    return torch.cat([sigma * z for sigma in sigmas])


def _look(model: nn.Module, moved: Tensor, noise: Tensor, label: Tensor, target: Tensor | None, chunk: int) -> _State:
    """Classify images and their noisy copies."""
    with torch.no_grad():
        logits = model(moved)
        predicted, classes = logits.argmax(1), logits.shape[1]
        counts = torch.zeros_like(logits, dtype=torch.float64)
        probability = torch.zeros_like(counts)
        for piece in noise.split(max(1, chunk // len(moved))):
            noisy = model((moved[:, None] + piece).flatten(0, 1)).unflatten(0, (len(moved), -1))
            counts += functional.one_hot(noisy.argmax(2), classes).sum(1)
            probability += noisy.double().softmax(2).sum(1)
    if target is None:
        adversarial = predicted != label
        goal = probability.scatter(1, label[:, None], -1.0).argmax(1)
        # Persistence counts the class of the image itself.
        kept = torch.where(adversarial, predicted, goal)[:, None]
    else:
        goal, adversarial, kept = target, predicted == target, target[:, None]
    # Mean probability, below 1, decides between equal counts.
    score = 2.0 * len(noise) * adversarial + counts.gather(1, kept)[:, 0]
    return _State(moved, goal, adversarial, score + probability.gather(1, kept)[:, 0] / (len(noise) + 1))


def _gradient(model: nn.Module, moved: Tensor, goal: Tensor, noise: Tensor, chunk: int) -> Tensor:
    """Gradient [n, ...] of the mean over noise of the goal's logit less the largest other one."""
    total = torch.zeros_like(moved)
    if len(moved) == 0:
        return total
    for piece in noise.split(max(1, chunk // len(moved))):
        variable = moved.clone().requires_grad_(True)
        with torch.enable_grad():
            logits = model((variable[:, None] + piece).flatten(0, 1))
            index = goal.repeat_interleave(len(piece))[:, None]
            margin = logits.gather(1, index)[:, 0] - logits.scatter(1, index, -math.inf).amax(1)
            total += torch.autograd.grad(margin.sum(), variable)[0]
    return total / len(noise)


def _first_gradient(model: nn.Module, moved: Tensor, label: Tensor, target: Tensor | None) -> Tensor:
    """Gradient [n, ...] of what makes images adversarial: the target's log-probability, or minus the label's."""
    if len(moved) == 0:
        return torch.zeros_like(moved)
    variable = moved.clone().requires_grad_(True)
    with torch.enable_grad():
        logits = model(variable)
        if target is None:
            value = functional.cross_entropy(logits, label, reduction="sum")
        else:
            value = -functional.cross_entropy(logits, target, reduction="sum")
        return torch.autograd.grad(value, variable)[0]


def _unit(gradient: Tensor) -> Tensor:
    """Gradients [n, ...] scaled to a root mean square of 1; those of zero stay."""
    flat = gradient.flatten(1)
    size = flat.square().mean(1, keepdim=True).sqrt()
    return (flat / size.clamp_min(torch.finfo(flat.dtype).tiny)).reshape(gradient.shape)


def _into_cube(moved: Tensor, x: Tensor, epsilon: float) -> Tensor:
    return torch.minimum(torch.maximum(moved, x - epsilon), x + epsilon).clamp(0, 1)


def _into_ball(moved: Tensor, x: Tensor, distortion: float) -> Tensor:
    change = (moved - x).flatten(1)
    size = change.square().mean(1, keepdim=True).sqrt().clamp_min(distortion)
    # Clipping after it moves no pixel away from x, which lies in the box.
    return (x + (change * (distortion / size)).reshape(x.shape)).clamp(0, 1)
