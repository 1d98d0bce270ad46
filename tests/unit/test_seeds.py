import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.provenance.seeds import seed_for

NAMES = st.lists(st.text("abcXYZ0189_-", min_size=1, max_size=8), min_size=1, max_size=4)


@given(st.integers(0, 2**31), NAMES)
def test_seed_is_a_nonnegative_63_bit_number_and_stable(seed, path):
    value = seed_for(seed, *path)
    assert 0 <= value < 2**63
    assert value == seed_for(seed, *path)


@given(NAMES, NAMES)
def test_other_paths_give_other_seeds(first, second):
    # 64-bit hashes of a few hundred examples collide with a chance below 1e-14.
    assert (seed_for(0, *first) == seed_for(0, *second)) == (first == second)


def test_parts_of_a_path_do_not_run_together():
    assert seed_for(1, "ab", "c") != seed_for(1, "a", "bc") != seed_for(1, "abc")


def test_seed_is_the_same_in_another_process():
    # Python's own hash() is salted in each process; this one must not be.
    code = "from pipeline.provenance.seeds import seed_for; print(seed_for(7, 'attack', 'mnist5k', 3))"
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={"PYTHONHASHSEED": salt, "PYTHONPATH": "."}).stdout
        for salt in ("1", "2")
    }  # fmt: skip
    assert outputs == {f"{seed_for(7, 'attack', 'mnist5k', 3)}\n"}


def test_a_seed_needs_a_path():
    with pytest.raises(ValueError, match="path"):
        seed_for(1)
