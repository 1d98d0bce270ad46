"""What tests of several files about the same need."""

import math

import torch
from scipy import stats

GAMMA = 0.7


def orthant(k: int):
    """Class 1 where the first k coordinates are all positive."""

    def model(x):
        inside = x.flatten(1)[:, :k].amin(1)
        return torch.stack([-inside, inside], 1)

    return model


def point(k: int, distance: float, images: int, n: int = 784) -> torch.Tensor:
    x = torch.zeros(images, n)
    x[:, :k] = distance
    return x


def closed_form(k: int, gamma: float = GAMMA, distance: float = 1.0) -> float:
    """Bell, proposition 4.3, as the errata write it."""
    return distance / stats.norm.ppf(gamma ** (1 / k))


def relative_error(k: int, samples: int, gamma: float = GAMMA) -> float:
    """Standard error of log sigma* by the delta method: sqrt(gamma (1 - gamma) / N) / |dP / dlog sigma|."""
    z = stats.norm.ppf(gamma ** (1 / k))
    slope = k * stats.norm.cdf(z) ** (k - 1) * stats.norm.pdf(z) * z
    return math.sqrt(gamma * (1 - gamma) / samples) / slope


def shells(x):
    """Class 1 within radius 1 and between radii 2 and 4, in 64 dimensions scaled so that |z| is about 1."""
    radius = x.flatten(1).norm(dim=1) / 8
    inside = (radius < 1) | ((radius > 2) & (radius < 4))
    return torch.stack([~inside, inside], 1).float()
