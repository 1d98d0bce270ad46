"""Classes weighed by barycentric coordinates in a Delaunay triangulation of few dimensions (Bell, section 30.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.spatial import Delaunay, QhullError
from torch import Tensor

# A triangulation of N points has up to about N^(d / 2) simplices.
MOST_DIMENSIONS = 6


class DelaunayWeights:
    """The epsilon-Delaunay weights of training points (Bell, definition 30.5).

    Attributes:
        longest_edge: epsilon, in units of the points' coordinates.
        simplices: indices of the training points [M, d + 1].

    Args:
        points: [N, d], d from 2 to `MOST_DIMENSIONS`. labels: classes [N], not negative.

    Raises:
        ValueError: other shapes, or points that do not span their space.
    """

    def __init__(self, points: Tensor, labels: Tensor) -> None:
        if points.ndim != 2 or not 2 <= points.shape[1] <= MOST_DIMENSIONS or labels.shape != points.shape[:1]:
            raise ValueError(
                f"expected points [N, d] with d from 2 to {MOST_DIMENSIONS} and a class for each, found "
                f"{tuple(points.shape)} and {tuple(labels.shape)}"
            )
        self.points, self.labels = points.double().cpu(), labels.cpu()
        self.classes = int(labels.max()) + 1
        try:
            self._triangulation = Delaunay(self.points.numpy())
        except QhullError as error:
            raise ValueError(f"expected more than {points.shape[1]} points that span their space") from error
        self.simplices = torch.from_numpy(self._triangulation.simplices).long()
        corners = self.points[self.simplices]
        self.longest_edge = float((corners[:, :, None] - corners[:, None]).norm(dim=3).max())

    def __call__(self, x: Tensor) -> Tensor:
        """Weights of the classes at points x [B, d]: [B, classes], float64.

        Barycentric coordinates in the simplex that holds a point, summed by the labels of its corners. They are not
        negative up to rounding and add up to 1; nan outside the training points' convex hull.

        Raises:
            ValueError: points of another dimension.
        """
        dimension = self.points.shape[1]
        if x.ndim != 2 or x.shape[1] != dimension:
            raise ValueError(f"expected points [B, {dimension}], found shape {tuple(x.shape)}")
        x = x.double().cpu()
        simplex = torch.from_numpy(self._triangulation.find_simplex(x.detach().numpy())).long()
        affine = torch.from_numpy(self._triangulation.transform)[simplex]
        most = (affine[:, :dimension] @ (x - affine[:, dimension])[:, :, None])[:, :, 0]
        coordinates = torch.cat([most, 1 - most.sum(1, keepdim=True)], 1)
        weights = x.new_zeros(len(x), self.classes).scatter_add(1, self.labels[self.simplices[simplex]], coordinates)
        return weights.where(simplex[:, None] >= 0, torch.nan)


@dataclass(frozen=True)
class PlaneBoundary:
    """Segments [E, end, coordinate] on which the two largest weights tie, and that weight at their ends [E, end]."""

    segments: Tensor
    level: Tensor


def plane_boundary(weights: DelaunayWeights) -> PlaneBoundary:
    """The epsilon-Delaunay boundary in the plane (Bell, definition 30.5), with the level a of each place.

    Weights are linear in each triangle. Where its corners have two classes they tie, at 1/2, between the middles of the
    two edges that join the classes; where they have three, between the centroid, at 1/3, and the middle of each edge.

    Raises:
        ValueError: points of more than two dimensions.
    """
    if weights.points.shape[1] != 2:
        raise ValueError(f"expected points of two dimensions, found {weights.points.shape[1]}")
    corners, labels = weights.points[weights.simplices], weights.labels[weights.simplices]
    middles = (corners + corners.roll(-1, 1)) / 2
    mixed = labels != labels.roll(-1, 1)
    two, three = mixed.sum(1) == 2, mixed.all(1)
    # Of two classes exactly two edges are mixed: their middles, in the order of the triangle's edges.
    across = middles[two][mixed[two]].reshape(-1, 2, 2)
    centroids = corners[three].mean(1, keepdim=True).expand(-1, 3, 2)
    rays = torch.stack([centroids, middles[three]], 2).reshape(-1, 2, 2)
    level = [x.new_tensor(ends).expand(len(x), 2) for x, ends in ((across, [0.5, 0.5]), (rays, [1 / 3, 0.5]))]
    return PlaneBoundary(torch.cat([across, rays]), torch.cat(level))
