import math

import pytest

from neighborhoods.claims import verdict


@pytest.mark.parametrize(
    ("low", "high", "expected", "answer"),
    [
        (0.1, 0.2, 1.0, "supported"),
        (0.1, 0.2, -3.0, "contradicted"),
        (-0.2, -0.1, -3.0, "supported"),
        (-0.2, -0.1, 2.0, "contradicted"),
        (-0.2, 0.1, 2.0, "undecided"),
        (0.0, 0.1, 2.0, "undecided"),
        (math.nan, math.nan, 2.0, "undecided"),
    ],
)
def test_an_interval_decides_a_sign_or_does_not(low, high, expected, answer):
    assert verdict(low, high, expected) == answer


@pytest.mark.parametrize("arguments", [(0.1, 0.2, 0.0), (0.1, 0.2, math.nan), (0.2, 0.1, 1.0)])
def test_no_claim_gets_a_sentence(arguments):
    with pytest.raises(ValueError, match="expected a sign"):
        verdict(*arguments)
