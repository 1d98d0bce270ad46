"""How logits answer to an FGSM step: by the ridge model of Seguin, appendix C.3, and measured on a network.

The model maps inputs X [n, F] to logits X omega [n, N], close to targets Z [n, N] (surrogate logits):
omega = M X^T Z with the resolvent M = (X^T X - lambda 1)^-1. The response of image mu's logits to a change of x_mu
includes the change of omega itself, since x_mu is a row of X.

All is computed from the singular value decomposition of X, in which X and M X^T are diagonal, in double precision. What
belongs to the images is batched over them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy import optimize
from torch import Tensor
from torch.func import jvp, vjp
from torch.nn import functional


def unit_length(x: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs [n, ...] as rows of length one [n, F], float64, and their lengths before [n].

    Raises:
        ValueError: an input that is zero.
    """
    flat = x.double().flatten(1)
    length = flat.norm(dim=1)
    if bool((length == 0).any()):
        raise ValueError(f"expected inputs other than zero, found {int((length == 0).sum())} of {len(x)} that are")
    return flat / length[:, None], length


def weight_scale(x: Tensor, targets: Tensor, noise: float = 0.0) -> float:
    """The norm ~ sqrt(||Z||^2 + sigma_0^2 n N) / ||X|| that C.3.2 expects of omega; X [n, F], Z [n, N]."""
    return float((targets.square().sum() + noise**2 * targets.numel()).sqrt() / x.norm())


def energy(omega: Tensor, x: Tensor, targets: Tensor, multiplier: float, noise: Tensor | None = None) -> Tensor:
    """||X omega - Z - sigma_0 W||^2 - lambda ||omega||^2 (C.3.2).

    Args:
        omega: [F, N]. x: [n, F]. targets: [n, N]. multiplier: lambda. noise: sigma_0 W [n, N]; None for zero.
    """
    goal = targets if noise is None else targets + noise
    return (x @ omega - goal).square().sum() - multiplier * omega.square().sum()


@dataclass(frozen=True)
class Spectrum:
    """Thin singular value decomposition X = U diag(s) V^T of rank R: left [n, R], values [R], right [F, R]."""

    left: Tensor
    values: Tensor
    right: Tensor


def spectrum(x: Tensor) -> Spectrum:
    """Decompose inputs [n, F].

    Raises:
        ValueError: inputs that are not a finite matrix, or all zero.
    """
    if x.ndim != 2 or not bool(torch.isfinite(x).all()) or not bool(x.any()):
        raise ValueError(f"expected a finite matrix of inputs other than zero, found shape {tuple(x.shape)}")
    u, s, vt = torch.linalg.svd(x.double(), full_matrices=False)
    kept = s > s[0] * max(x.shape) * torch.finfo(torch.float64).eps
    return Spectrum(u[:, kept], s[kept], vt[kept].T)


def multiplier(
    decomposed: Spectrum, targets: Tensor, *, bound: float = 1.0, noise: float = 0.0, printed: bool = False
) -> float:
    """lambda* of C.3.2: where the expected ||omega||^2 is bound^2 F N.

    The expectation is Trace(X M^2 X^T (Z Z^T + N sigma_0^2 1)); the source prints sigma_0^2 without N, the number of
    columns of W. It grows with lambda up to the least eigenvalue of X^T X, which is zero unless the rank of X is F;
    beyond it omega is no minimum.

    Args:
        decomposed: inputs of which X has F columns. targets: Z [n, N]. bound: c of the source, positive.
        noise: sigma_0. printed: leave out that factor N.

    Returns:
        lambda*, negative where the bound shrinks omega (ridge).

    Raises:
        ValueError: the bound is not positive, or no lambda below the least eigenvalue makes omega so large.
    """
    if not bound > 0:
        raise ValueError(f"expected a positive bound, found {bound}")
    features, classes = len(decomposed.right), targets.shape[1]
    squares = decomposed.values**2
    share = (decomposed.left.T @ targets.double()).square().sum(1) + noise**2 * (1 if printed else classes)
    goal = bound**2 * features * classes

    def excess(value: float) -> float:
        return float((squares * share / (squares - value) ** 2).sum()) - goal

    end = float(squares[-1]) if len(squares) == features else 0.0
    low = -(float((squares * share).sum() / goal) ** 0.5)
    # Just below a pole the sum is as large as one likes, and below zero it is finite.
    high = end - end * 1e-14 if end else 0.0
    if not excess(high) > 0:
        largest = ((excess(high) + goal) / features / classes) ** 0.5
        raise ValueError(f"expected a bound below {largest:.3g}, that of unconstrained least squares, found {bound}")
    return float(optimize.brentq(excess, low, high, xtol=1e-300, rtol=1e-14))


@dataclass(frozen=True)
class Ridge:
    """The model of C.3 at one lambda, in coordinates of V: see `spectrum`.

    Attributes:
        spectrum: of X. targets: Z [n, N], float64. multiplier: lambda.
        inverse: M in these coordinates, 1 / (s^2 - lambda) [R].
        slope: A = Z^T X M [N, R].
    """

    spectrum: Spectrum
    targets: Tensor
    multiplier: float
    inverse: Tensor
    slope: Tensor

    def omega(self, noise: Tensor | None = None) -> Tensor:
        """omega of equation 13 [F, N], for noise sigma_0 W [n, N].

        The printed Z - sigma_0 W minimises the printed energy with -W for W; both have one law.
        """
        goal = self.targets if noise is None else self.targets - noise
        return self.spectrum.right @ ((self.spectrum.values * self.inverse)[:, None] * (self.spectrum.left.T @ goal))

    def outputs(self) -> Tensor:
        """X omega [n, N] without noise."""
        return (self.spectrum.left * self.spectrum.values) @ self.slope.T

    def explained(self) -> float:
        """Share of the targets' variance about their column means that X omega explains."""
        spread = (self.targets - self.targets.mean(0)).square().sum()
        return float(1 - (self.targets - self.outputs()).square().sum() / spread)

    def weights(self) -> Tensor:
        """The diagonal of Omega = X M^2 X^T [n], not negative: Omega_nu of equation 8 but for a common factor."""
        return (self.spectrum.left * (self.spectrum.values * self.inverse)).square().sum(1)

    def overlap(self) -> Tensor:
        """Omega = X M^2 X^T [n, n], positive semidefinite."""
        part = self.spectrum.left * (self.spectrum.values * self.inverse)
        return part @ part.T

    def jacobian(self, rows: Tensor, *, printed: bool) -> Tensor:
        """Jacobians of z_mu in x_mu (C.3.3) of rows [m] of X: [m, N, F].

        As printed A + z_mu (M x)^T, with Z and lambda fixed. The derivative of the resolvent, which the source leaves
        out, adds -(A x) (M x)^T - A (x^T M x) (errata).
        """
        scale, side, pulled = self._parts(rows, printed)
        reduced = scale[:, None, None] * self.slope + side[:, :, None] * pulled[:, None]
        return reduced @ self.spectrum.right.T

    def gram(self, rows: Tensor, *, printed: bool) -> Tensor:
        """J J^T [m, N, N] of `jacobian`, by the four terms of C.3.3."""
        scale, side, pulled = self._parts(rows, printed)
        mixed = scale[:, None, None] * side[:, :, None] * (pulled @ self.slope.T)[:, None]
        own = pulled.square().sum(1)[:, None, None] * side[:, :, None] * side[:, None]
        return scale.square()[:, None, None] * (self.slope @ self.slope.T) + own + mixed + mixed.mT

    def deviation(self, rows: Tensor) -> Tensor:
        """||J printed - J derived|| / ||J derived|| (Frobenius) of rows [m]."""
        scale, side, pulled = self._parts(rows, printed=False)
        first, second, length = scale - 1, side - self.targets[rows], self.slope.square().sum()
        across = (side * (pulled @ self.slope.T)).sum(1), (second * (pulled @ self.slope.T)).sum(1)
        own = pulled.square().sum(1)
        whole = scale**2 * length + 2 * scale * across[0] + own * side.square().sum(1)
        apart = first**2 * length + 2 * first * across[1] + own * second.square().sum(1)
        return (apart.clamp_min(0) / whole).sqrt()

    def refitted(self, row: int, step: Tensor) -> Tensor:
        """z_mu [N] where x_mu of a row moves by a step [R], in coordinates of V, and X with it; Z and lambda stay."""
        x, z = self.spectrum.left[row] * self.spectrum.values, self.targets[row]
        moved = x + step
        gram = torch.diag(self.spectrum.values**2 - self.multiplier) + torch.outer(moved, moved) - torch.outer(x, x)
        products = self.spectrum.values[:, None] * (self.spectrum.left.T @ self.targets) + torch.outer(step, z)
        return products.T @ torch.linalg.solve(gram, moved)

    def derivative_error(self, rows: Tensor, pull: Tensor, *, printed: bool, step: float = 1e-4) -> Tensor:
        """||J v - d|| / ||d|| of rows [m] for d by central differences of the model fitted again: [m].

        Args:
            rows: of X [m]. pull: gradient of the loss in the logits [m, N], whose A^T p is the direction v.
            printed: as for `jacobian`. step: of the differences, for inputs of length one.
        """
        direction = functional.normalize(pull @ self.slope, dim=1)
        scale, side, pulled = self._parts(rows, printed)
        predicted = scale[:, None] * (direction @ self.slope.T) + (pulled * direction).sum(1, keepdim=True) * side
        measured = torch.stack(
            [
                (self.refitted(row, step * v) - self.refitted(row, -step * v)) / (2 * step)
                for row, v in zip(rows.tolist(), direction, strict=True)
            ]
        )
        return (predicted - measured).norm(dim=1) / measured.norm(dim=1)

    def response(self, rows: Tensor, pull: Tensor, epsilon: Tensor, *, printed: bool) -> Tensor:
        """Change of the logits under an FGSM step: epsilon J J^T p / ||J^T p|| (equations 7 and 12).

        Args:
            rows: of X [m]. pull: gradient p of the loss in the logits, at any scale [m, N].
            epsilon: length of each step, in units of inputs of length one [m].

        Returns:
            [m, N], in nat; zero where the loss has no gradient in the inputs.
        """
        scale, side, pulled = self._parts(rows, printed)
        gradient = scale[:, None] * (pull @ self.slope) + (side * pull).sum(1, keepdim=True) * pulled
        step = epsilon[:, None] * functional.normalize(gradient, dim=1, eps=1e-300)
        return scale[:, None] * (step @ self.slope.T) + (pulled * step).sum(1, keepdim=True) * side

    def _parts(self, rows: Tensor, printed: bool) -> tuple[Tensor, Tensor, Tensor]:
        """a [m], b [m, N] and M x [m, R] of the Jacobians a A + b (M x)^T."""
        x = self.spectrum.left[rows] * self.spectrum.values
        pulled, target = x * self.inverse, self.targets[rows]
        if printed:
            return torch.ones_like(x[:, 0]), target, pulled
        return 1 - (x * pulled).sum(1), target - x @ self.slope.T, pulled


def ridge(decomposed: Spectrum, targets: Tensor, value: float) -> Ridge:
    """The model of inputs, targets [n, N] and lambda.

    Raises:
        ValueError: targets that do not fit, or a lambda not below the least eigenvalue of X^T X.
    """
    n = len(decomposed.left)
    if targets.ndim != 2 or len(targets) != n or not bool(torch.isfinite(targets).all()):
        raise ValueError(f"expected finite targets of {n} inputs, found shape {tuple(targets.shape)}")
    full = len(decomposed.values) == len(decomposed.right)
    end = float(decomposed.values[-1] ** 2) if full else 0.0
    if value > end or (full and value == end):
        raise ValueError(f"expected lambda below the least eigenvalue {end:.3g} of X^T X, found {value}")
    z = targets.double()
    inverse = 1 / (decomposed.values**2 - value)
    slope = (z.T @ decomposed.left) * (decomposed.values * inverse)
    return Ridge(decomposed, z, value, inverse, slope)


def equation_8(weights: Tensor, targets: Tensor, label: Tensor, epsilon: float) -> Tensor:
    """epsilon sum_nu Omega_nu [z_nu . (1 - N y_mu)] z_nu (equation 8).

    Args:
        weights: Omega_nu [n], not negative. targets: z_nu [n, N]. label: classes of images mu [m].
        epsilon: length of the step.

    Returns:
        Changes of logits [m, N]; images of one class share theirs.
    """
    z = targets.double()
    second = (z * weights[:, None]).T @ z
    classes = z.shape[1]
    return epsilon * (second.sum(0) - classes * second)[label]


def equation_9(weights: Tensor, targets: Tensor, epsilon: float) -> float:
    """epsilon / (N - 1) sum_nu Omega_nu ((z_nu . 1)^2 - N z_nu . z_nu): the change of the gap (equation 9).

    It is what equation 8 gives on the average over the classes y_mu, where the logits other than the label's are equal.

    Args:
        weights, targets, epsilon: as for `equation_8`: Omega [n], logits z [n, N], and the length of the step.
    """
    z = targets.double()
    each = z.sum(1).square() - z.shape[1] * z.square().sum(1)
    return float(epsilon * (weights * each).sum() / (z.shape[1] - 1))


def loss_pull(logits: Tensor, label: Tensor) -> Tensor:
    """softmax(z) - y [n, N] but for a positive factor for each image: one that no sureness rounds to zero."""
    others = logits.scatter(1, label[:, None], -torch.inf).softmax(1)
    return others.scatter(1, label[:, None], -1.0)


@dataclass(frozen=True)
class Response:
    """Logits [n, N] of a network and how they change along the unit gradient of the loss.

    Attributes:
        logits: at the images. linear: epsilon times their derivative along the step. finite: their change at its end.
    """

    logits: Tensor
    linear: Tensor
    finite: Tensor


@torch.no_grad()
def network_response(
    model: Callable[[Tensor], Tensor], x: Tensor, label: Tensor, epsilon: float, *, batch_size: int = 512
) -> Response:
    """Step x + epsilon eta / ||eta||, eta the gradient of the cross-entropy (equations 6 and 7), without a box.

    Args:
        model: images [B, ...] to logits [B, N], rows independent of each other. x: images [n, ...].
        label: true classes [n]. epsilon: length of the step, in units of a pixel's range. batch_size: images at a time.

    Returns:
        Logits and changes, float64.

    Raises:
        ValueError: the loss has no gradient at some image.
    """
    pieces = zip(x.split(batch_size), label.split(batch_size), strict=True)
    found = [_respond(model, piece, own, epsilon) for piece, own in pieces]
    return Response(*(torch.cat(parts).double() for parts in zip(*found, strict=True)))


def _respond(
    model: Callable[[Tensor], Tensor], x: Tensor, label: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    logits, back, *_ = vjp(model, x)
    eta = back(loss_pull(logits, label))[0]
    length = eta.flatten(1).norm(dim=1)
    if bool((length == 0).any()):
        raise ValueError(f"expected a gradient of the loss at every image, found none at {int((length == 0).sum())}")
    direction = eta / length.reshape(-1, *[1] * (x.ndim - 1))
    slope = jvp(model, (x,), (direction,))[1]
    return logits, epsilon * slope, model(x + epsilon * direction) - logits
