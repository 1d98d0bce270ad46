"""One pattern for many names: it matches them and nothing else, and stays short where they are alike."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.plan.patterns import one_of

LETTERS = "ab-/_0."


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        ([], "(?!)"),
        (["bell/table1"], "bell/table1"),
        (["fc10", "fc1", "fc2"], "fc(?:1(?:0)?|2)"),
        (["a-1-x", "a-2-x", "a-3-x"], "a\\-[123]\\-x"),
        (["cat", "car", "bat", "bar"], "[bc]a[rt]"),
    ],
)
def test_what_names_share_is_written_once(names, pattern):
    assert one_of(names) == pattern


@given(
    st.lists(st.text(LETTERS, min_size=1, max_size=6), max_size=12), st.lists(st.text(LETTERS, max_size=6), max_size=12)
)
def test_the_names_match_and_no_others(names, others):
    pattern = re.compile(one_of(names))
    assert all(pattern.fullmatch(name) for name in names)
    assert [name for name in others if pattern.fullmatch(name)] == [name for name in others if name in names]


def test_names_of_many_parts_give_a_short_pattern():
    parts = [[f"{kind}-{index}" for index in range(20)] for kind in ("dataset", "network", "attack")]
    names = ["/".join(each) for each in product(*parts)]
    # Of 8000 names with 270,000 letters.
    assert len(one_of(names)) < 0.1 * len(names)


def test_long_names_are_no_problem():
    names = ["x" * length for length in range(1, 200)]
    pattern = re.compile(one_of(names))
    assert [bool(pattern.fullmatch("x" * length)) for length in (0, 1, 199, 200)] == [False, True, True, False]
