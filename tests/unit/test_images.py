import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from neighborhoods.images import to_inputs, to_unit_interval


def test_bytes_become_shares_of_255():
    pixels = np.arange(256, dtype=np.uint8)
    assert torch.equal(to_unit_interval(pixels), torch.arange(256) / 255)


@given(arrays(np.uint8, array_shapes(max_dims=4, max_side=5)))
def test_bytes_come_back_from_the_images(pixels):
    images = to_unit_interval(pixels)
    assert images.dtype == torch.float32
    assert images.shape == pixels.shape
    # Rounding is exact: single precision is off by 255 * 6e-8 grey levels, not by half a level.
    assert np.array_equal((images * 255).round().numpy().astype(np.uint8), pixels)


@given(st.sampled_from([np.float16, np.float32, np.float64]), st.lists(st.floats(0, 1, width=16), min_size=1))
def test_floats_in_range_pass_unscaled(dtype, values):
    images = to_unit_interval(np.array(values, dtype))
    assert images.dtype == torch.float32
    # Numbers of half precision are exact in single precision.
    assert images.tolist() == values


def test_images_do_not_share_memory_with_what_was_stored():
    for pixels in (np.array([1, 2], np.uint8), np.array([0.25, 0.5], np.float32)):
        before = pixels.copy()
        to_unit_interval(pixels).zero_()
        assert np.array_equal(pixels, before)


@pytest.mark.parametrize(
    "pixels",
    [
        np.array([1.5]),
        np.array([-0.1]),
        np.array([np.nan]),
        np.array([0.5, np.nan]),
        np.array([np.inf]),
        np.array([3]),
        np.array([True]),
    ],
)
def test_anything_else_is_refused(pixels):
    with pytest.raises(ValueError, match=r"uint8 or as floats in \[0, 1\], found"):
        to_unit_interval(pixels)


def test_points_stay_as_they_are_and_images_lie_in_the_unit_interval():
    points = np.array([[-3.0, 7.5]])
    assert to_inputs(points).tolist() == points.tolist()
    assert to_inputs(points).dtype == torch.float32
    assert to_inputs(np.full((1, 1, 2, 2), 51, np.uint8)).flatten().tolist() == pytest.approx([0.2] * 4)
    with pytest.raises(ValueError, match=r"floats in \[0, 1\]"):
        to_inputs(np.full((1, 1, 2, 2), 7.5))
