"""Leading principal directions of images, and projection onto them as a network's first layer."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Of an image, whose covariance then takes 2 GiB.
MOST_PIXELS = 16384


def principal_directions(x: Tensor, count: int) -> Tensor:
    """Leading eigenvectors of the covariance of images [N, ...]: orthonormal rows [count, pixels], float64.

    Takes memory for pixels^2 numbers.

    Raises:
        ValueError: as many directions as images, which their covariance then does not have, more than pixels, or images
            of more than `MOST_PIXELS` values.
    """
    if x[0].numel() > MOST_PIXELS:
        raise ValueError(f"expected images of at most {MOST_PIXELS} values for a covariance, found {x[0].numel()}")
    points = x.flatten(1).double()
    most = min(len(points) - 1, points.shape[1])
    if not 1 <= count <= most:
        raise ValueError(
            f"expected between 1 and {most} principal directions of {len(points)} images of {points.shape[1]} values, "
            f"found {count}"
        )
    centred = points - points.mean(0)
    # Ascending eigenvalues.
    return torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -count:].flip(1).T


class PrincipalProjection(nn.Module):
    """Images [B, *shape] to mean + (x - mean) V^T V, of the same shape, for orthonormal rows V [m, pixels].

    Mean and directions are buffers, which are stored and restored with the weights, so that gradients and attacks go
    through the projection (Bell, section 22; Bhagoji et al. 2018 use it as a defence). Before `fit` it maps all images
    to 0.

    Args:
        shape: of one image.
        components: m, at most the number of pixels.

    Raises:
        ValueError: m is not in 1..pixels.
    """

    mean: Tensor
    directions: Tensor

    def __init__(self, shape: Sequence[int], components: int) -> None:
        super().__init__()
        pixels = math.prod(shape)
        if not 1 <= components <= pixels:
            raise ValueError(f"expected between 1 and {pixels} principal directions, found {components}")
        self.register_buffer("mean", torch.zeros(pixels))
        self.register_buffer("directions", torch.zeros(components, pixels))

    def fit(self, x: Tensor) -> None:
        """Take mean and `principal_directions` of images [N, *shape].

        Raises:
            ValueError: as for `principal_directions`.
        """
        self.directions.copy_(principal_directions(x, len(self.directions)))
        self.mean.copy_(x.flatten(1).double().mean(0))

    def forward(self, x: Tensor) -> Tensor:
        """Projected images, of the shape of `x`."""
        coordinates = (x.flatten(1) - self.mean) @ self.directions.T
        return (self.mean + coordinates @ self.directions).reshape(x.shape)


def fit_projections(network: nn.Module, x: Tensor) -> None:
    """Fit every principal projection of a network to training images [N, ...] in place; most networks have none."""
    for module in network.modules():
        if isinstance(module, PrincipalProjection):
            module.fit(x)
