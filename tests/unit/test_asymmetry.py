import math

import numpy as np
import pytest
import torch

from neighborhoods.boundary.asymmetry import crossing, face_numbers, match
from neighborhoods.cones.wedges import Wedge, random_normals


def half_space(x):
    first = x.flatten(1)[:, 0]
    return torch.stack([-first, first], 1)


def test_a_half_space_has_one_face():
    x = torch.zeros(60, 1, 4, 5)
    x[:, 0, 0, 0] = torch.linspace(-2, 2, 60)
    found = face_numbers(half_space, x, samples=2000)
    assert found.distance == pytest.approx(np.abs(np.linspace(-2, 2, 60)), rel=1e-5)
    # ln k has the error of ln sigma* times d ln k / d ln sigma = 1.46 here: .53 of 5.6 % for opposite directions.
    assert np.abs(np.log(found.faces)).mean() < 2.5 * 0.8 * 1.46 * 0.53 * 0.056
    assert (found.faces_low <= found.faces).all()
    assert (found.faces <= found.faces_high).all()
    covered = (found.faces_low <= 1) & (found.faces_high >= 1)
    assert covered.mean() >= 0.95 - 2.6 * math.sqrt(0.95 * 0.05 / 60)


@pytest.mark.parametrize("k", [2, 5])
def test_inside_an_orthant_faces_are_counted(k):
    x = torch.zeros(20, 12)
    x[:, :k] = 0.7
    found = face_numbers(Wedge(np.eye(k, 12)), x, samples=2000)
    assert np.exp(np.log(found.faces).mean()) == pytest.approx(k, rel=0.06)


def test_both_sides_of_a_crossing_are_equally_far():
    normals = random_normals(1, 9, seed=3)
    model = Wedge(normals)
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 30, 9, generator=generator).double()
    w = torch.from_numpy(normals)[0]
    start -= torch.outer(start @ w + 1, w)  # at -1
    end -= torch.outer(end @ w - 2, w)  # at 2
    found = crossing(model, start, end)
    assert bool(found.usable.all())
    assert found.t.numpy() == pytest.approx(np.full(30, 1 / 3), abs=1e-5)
    assert (found.near @ w).numpy() == pytest.approx(-found.step.numpy(), abs=1e-5)
    assert (found.far @ w).numpy() == pytest.approx(found.step.numpy(), abs=1e-5)
    # Half of the shorter way to an end, which is the start.
    way = (end - start).norm(dim=1) / 3
    assert found.step.numpy() == pytest.approx(way.numpy() / 2, rel=1e-4)


def test_lines_that_stay_in_a_class_are_refused():
    with pytest.raises(ValueError, match="must change class"):
        crossing(half_space, torch.ones(2, 3), torch.ones(2, 3))


def test_matching_pairs_like_with_like():
    natural, adversarial = match([1.0, 2.0, 4.0], [2.05, 100.0, 0.98, 2.1])
    assert natural.tolist() == [1, 0, 1]
    assert adversarial.tolist() == [0, 2, 3]
