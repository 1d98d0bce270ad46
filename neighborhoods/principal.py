"""Projection of images onto the leading principal directions of the training images, as a network's first layer."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
        """Take mean and leading eigenvectors of the covariance of images [N, *shape], computed in float64.

        Takes memory for pixels^2 numbers.

        Raises:
            ValueError: no more images than directions asked for, which their covariance then does not have.
        """
        components = len(self.directions)
        if len(x) <= components:
            raise ValueError(f"expected more than {components} images for as many principal directions, found {len(x)}")
        points = x.flatten(1).double()
        mean = points.mean(0)
        # Ascending eigenvalues.
        _, vectors = torch.linalg.eigh((points - mean).T @ (points - mean))
        self.mean.copy_(mean)
        self.directions.copy_(vectors[:, -components:].flip(1).T)

    def forward(self, x: Tensor) -> Tensor:
        """Projected images, of the shape of `x`."""
        coordinates = (x.flatten(1) - self.mean) @ self.directions.T
        return (self.mean + coordinates @ self.directions).reshape(x.shape)


def fit_projections(network: nn.Module, x: Tensor) -> None:
    """Fit every principal projection of a network to training images [N, ...] in place; most networks have none."""
    for module in network.modules():
        if isinstance(module, PrincipalProjection):
            module.fit(x)
