"""Pixels: stored as bytes, used as floats in [0, 1]; points, used as they are; and how large changes of pixels are."""

import math

import numpy as np
import torch
from torch import Tensor


def to_unit_interval(pixels: np.ndarray, device: str = "cpu") -> Tensor:
    """Stored pixels as float32 images in [0, 1], of the same shape, on a device.

    Args:
        pixels: uint8 in 0..255, or floating point already in [0, 1].

    Raises:
        ValueError: another dtype, or floats outside [0, 1].
    """
    if pixels.dtype == np.uint8:
        return torch.from_numpy(pixels).to(device).float() / 255
    if pixels.dtype.kind != "f" or not (np.min(pixels, initial=0) >= 0 and np.max(pixels, initial=0) <= 1):
        raise ValueError(f"expected pixels as uint8 or as floats in [0, 1], found {pixels.dtype}")
    return torch.from_numpy(pixels.astype(np.float32)).to(device)


def to_samples(values: np.ndarray) -> Tensor:
    """Stored pixels or points as float64: bytes become shares of 255, floats stay as they are.

    Raises:
        ValueError: neither uint8 nor floating point, or not finite.
    """
    if values.dtype == np.uint8:
        return torch.from_numpy(values).double() / 255
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        raise ValueError(f"expected samples as uint8 or finite floats, found {values.dtype}")
    return torch.from_numpy(values.astype(np.float64))


def to_inputs(values: np.ndarray, device: str = "cpu") -> Tensor:
    """Stored samples as a network's inputs, float32: images [N, ...] in [0, 1], points [N, features] as they are.

    Raises:
        ValueError: as for `to_unit_interval` and `to_samples`.
    """
    return to_samples(values).float().to(device) if values.ndim == 2 else to_unit_interval(values, device)


def variance_ratio(x: Tensor, x_adv: Tensor) -> Tensor:
    """Variance of the perturbation over that of the image (Bell, figure 6).

    Both are taken over all pixels and colours of an image. Unlike the distortion, the ratio leaves a constant shift of
    all pixels out.

    Args:
        x, x_adv: images [n, ...] of one shape.

    Returns:
        Ratios [n], float64; inf for an image of one colour, and nan where its perturbation is constant too.

    Raises:
        ValueError: shapes that differ, or no pixels.
    """
    if x.shape != x_adv.shape or x.ndim < 2 or not math.prod(x.shape[1:]):
        raise ValueError(f"expected images [n, ...] of one shape, found {tuple(x.shape)} and {tuple(x_adv.shape)}")
    noise, image = (values.double().flatten(1).var(1, correction=0) for values in (x_adv - x, x))
    return noise / image


def recounted(distortion: float, counted: int, pixels: int) -> float:
    """A distortion ||x' - x||_2 / sqrt(counted) as it is with the number of values that a model sees.

    Bell divides by 196608 = 3 * 256**2 for ImageNet, of which the models see 150528 = 3 * 224**2.

    Raises:
        ValueError: a number of values below 1.
    """
    if min(counted, pixels) < 1:
        raise ValueError(f"expected at least one value on both sides, found {counted} and {pixels}")
    return distortion * math.sqrt(counted / pixels)
