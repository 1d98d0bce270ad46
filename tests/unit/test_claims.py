import math

import pytest

from neighborhoods.evidence.verdicts import (
    NOT_AS_PRINTED,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    UNDECIDED,
    Finding,
    combined,
    equivalence,
    verdict,
)


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


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        (-0.1, 0.1, REPRODUCED),
        (-0.2, 0.2, REPRODUCED),
        (0.21, 0.3, NOT_REPRODUCED),
        (-0.3, -0.21, NOT_REPRODUCED),
        (0.1, 0.3, UNDECIDED),
        (-9.0, 9.0, UNDECIDED),
        (math.nan, math.nan, UNDECIDED),
    ],
)
def test_agreement_needs_an_interval_within_the_margins(low, high, answer):
    assert equivalence(low, high, 0.2) == answer


@pytest.mark.parametrize("arguments", [(0.0, 0.1, 0.0), (0.2, 0.1, 1.0)])
def test_no_margin_gets_a_sentence(arguments):
    with pytest.raises(ValueError, match="positive margin"):
        equivalence(*arguments)


def parts(text):
    words = {"y": REPRODUCED, "n": NOT_REPRODUCED, "?": UNDECIDED, "p": NOT_AS_PRINTED}
    return [None if letter == "-" else Finding(1.0, 0.5, 1.5, 10, words[letter]) for letter in text]


@pytest.mark.parametrize(
    ("text", "answer", "reproduced", "possible", "measured"),
    [
        ("yyy", REPRODUCED, 3, 3, 3),
        ("yy?", UNDECIDED, 2, 3, 3),
        ("yy-", NOT_RUN, 2, 3, 2),
        ("y?-", NOT_RUN, 1, 3, 2),
        ("yn-", NOT_REPRODUCED, 1, 2, 2),
        ("?np", NOT_REPRODUCED, 0, 1, 3),
        ("yp-", NOT_AS_PRINTED, 1, 2, 2),
        ("--", NOT_RUN, 0, 2, 0),
    ],
)
def test_a_sentence_holds_when_all_of_its_parts_do(text, answer, reproduced, possible, measured):
    assert combined(parts(text)) == Finding(reproduced, reproduced, possible, measured, answer)


def test_a_sentence_without_parts_gets_a_sentence():
    with pytest.raises(ValueError, match="at least one part"):
        combined([])
