import numpy as np
import pytest
import torch

from neighborhoods.images import to_unit_interval


def test_bytes_become_shares_of_255():
    pixels = np.arange(256, dtype=np.uint8)
    assert torch.equal(to_unit_interval(pixels), torch.arange(256) / 255)


def test_floats_in_range_pass():
    assert to_unit_interval(np.array([0.0, 0.5, 1.0])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("pixels", [np.array([1.5]), np.array([-0.1]), np.array([np.nan]), np.array([3])])
def test_anything_else_is_refused(pixels):
    with pytest.raises(ValueError, match="uint8 or as floats in"):
        to_unit_interval(pixels)
