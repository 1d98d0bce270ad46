"""Many quadratic programmes over non-negative weights against one at a time by SciPy."""

import numpy as np
import pytest
import torch
from scipy import optimize

from neighborhoods.cones.nonnegative import nonnegative_minimum


def programmes(groups, count, rows, columns, decay=0.0, seed=0):
    """Columns A [P, rows, columns] with singular values that fall off, and goals [P, n, rows]."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(groups, rows, columns, generator=generator, dtype=torch.float64)
    a = a * (torch.arange(1, rows + 1).double() ** -decay)[:, None]
    return a, torch.randn(groups, count, rows, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("rows", "columns", "decay"),
    [(40, 12, 0.0), (12, 12, 0.0), (40, 30, 1.0), (40, 30, 3.0), (6, 30, 0.0), (3, 1, 0.0)],
    ids=["tall", "square", "ill-conditioned", "worse", "singular", "one"],
)
def test_weights_are_those_of_nonnegative_least_squares(rows, columns, decay):
    a, goals = programmes(3, 20, rows, columns, decay)
    gram, linear = a.mT @ a, goals @ a
    found = nonnegative_minimum(gram, linear)
    assert float(found.min()) >= 0
    slopes = found @ gram - linear
    scale = linear.abs().amax(2, keepdim=True)
    # The optimality conditions, to the solver's tolerance and to the rounding of products.
    assert bool((slopes >= -1e-10 * scale).all())
    assert bool((slopes.abs() <= 1e-10 * scale)[found > 0].all())
    for group in range(3):
        for one in range(20):
            _, residual = optimize.nnls(a[group].numpy(), goals[group, one].numpy())
            own = float((a[group] @ found[group, one] - goals[group, one]).norm())
            # Where the goal is a combination of the columns, the residual's root doubles the error.
            assert own == pytest.approx(residual, abs=1e-6, rel=1e-9)


def test_copies_of_columns_change_nothing():
    a, goals = programmes(2, 30, 20, 8)
    twice = torch.cat([a, a[:, :, :5]], 2)
    once, again = (nonnegative_minimum(b.mT @ b, goals @ b) for b in (a, twice))
    assert torch.allclose(again @ twice.mT, once @ a.mT, atol=1e-9)


def test_no_goal_within_reach_gives_zero_weights():
    gram = torch.eye(3, dtype=torch.float64)[None]
    assert torch.equal(nonnegative_minimum(gram, -torch.ones(1, 4, 3, dtype=torch.float64)), torch.zeros(1, 4, 3))
    assert torch.equal(nonnegative_minimum(gram, torch.zeros(1, 4, 3, dtype=torch.float64)), torch.zeros(1, 4, 3))


@pytest.mark.parametrize(
    ("gram", "linear", "sentence"),
    [
        (torch.eye(3)[None], torch.zeros(1, 2, 4), r"found \(1, 3, 3\) and \(1, 2, 4\)"),
        (torch.eye(3), torch.zeros(1, 2, 3), r"found \(3, 3\)"),
        (torch.full((1, 2, 2), np.nan), torch.zeros(1, 2, 2), "expected finite"),
    ],
)
def test_what_does_not_fit_is_named(gram, linear, sentence):
    with pytest.raises(ValueError, match=sentence):
        nonnegative_minimum(gram.double(), linear.double())
