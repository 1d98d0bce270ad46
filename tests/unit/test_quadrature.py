import numpy as np
import pytest
import torch

from neighborhoods.path_kernel.quadrature import adaptive_rule, fixed_rule


class Toy:
    """Query q's outputs: (|t - corner_q|, t^3); its corners are found, found roughly, or not at all."""

    def __init__(self, corners, found="all"):
        self.corners = torch.tensor(corners, dtype=torch.float64)
        self.found = found

    def values(self, query, t):
        return torch.stack([(t - self.corners[query]).abs(), t**3], 1)

    def slopes(self, query, t):
        return torch.stack([(t - self.corners[query]).sign(), 3 * t**2], 1)

    def kinks(self, query, low, high):
        corner = self.corners[query]
        inside = ((low < corner) & (corner < high)).nonzero()[:, 0]
        if self.found == "none":
            return inside[:0], corner[:0]
        shift = 0.01 * (high - low) if self.found == "rough" else 0 * low
        return inside, (corner + shift)[inside]


@pytest.mark.parametrize("found", ["all", "rough", "none"])
def test_the_error_is_under_the_budget_and_known(found):
    corners = [0.123, 0.5, 0.777, 2.0]
    line = Toy(corners, found)
    budget = torch.full((4,), 1e-9, dtype=torch.float64)
    nodes = adaptive_rule(line, 4, budget, 2)
    assert bool((nodes.bound <= 1e-9).all())
    assert bool((nodes.error.abs().amax(1) <= nodes.bound).all())
    integral = (
        torch.zeros(4, 2).double().index_add_(0, nodes.query, line.slopes(nodes.query, nodes.t) * nodes.weight[:, None])
    )
    change = line.values(torch.arange(4), torch.ones(4)) - line.values(torch.arange(4), torch.zeros(4))
    assert (integral - change).numpy() == pytest.approx(nodes.error.numpy(), abs=1e-14)
    weights = torch.zeros(4).double().index_add_(0, nodes.query, nodes.weight)
    assert weights.numpy() == pytest.approx(np.ones(4), abs=1e-14)
    assert nodes.evaluations[3] == 2


def test_a_kink_that_is_found_costs_two_pieces():
    budget = torch.full((1,), 1e-12, dtype=torch.float64)
    assert adaptive_rule(Toy([0.123]), 1, budget, 2).evaluations.tolist() == [6]
    assert int(adaptive_rule(Toy([0.123], "none"), 1, budget, 2).evaluations) > 100


def test_every_query_gets_its_own_pieces():
    budget = torch.tensor([1e-9, 1.0], dtype=torch.float64)
    nodes = adaptive_rule(Toy([0.3, 0.3], "none"), 2, budget, 2)
    assert nodes.evaluations[0] > 20
    assert nodes.evaluations[1] == 2


def test_fixed_rules_are_riemann_sums():
    like = torch.zeros(1, dtype=torch.float64)
    left = fixed_rule(Toy([2.0] * 3), 3, like, "left", 100)
    assert left.t[:100].numpy() == pytest.approx(np.arange(100) / 100)
    # t^3: the left sum of 3 t^2 misses 3 h / 2 - h^2 / 2, the midpoint rule h^2 / 4.
    assert left.error[:, 1].numpy() == pytest.approx(np.full(3, -0.015 + 0.5e-4), abs=1e-12)
    midpoint = fixed_rule(Toy([2.0] * 3), 3, like, "midpoint", 100)
    assert midpoint.error[:, 1].numpy() == pytest.approx(np.full(3, -0.25e-4), abs=1e-12)
    assert fixed_rule(Toy([2.0] * 3), 3, like, "left", 1).t.tolist() == [0, 0, 0]
