"""Pixels: stored as bytes, used as floats in [0, 1]."""

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
    if pixels.dtype.kind != "f" or not (np.min(pixels) >= 0 and np.max(pixels) <= 1):
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
