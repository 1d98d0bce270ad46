"""Memory that is exhausted, the machine's or a pretended GPU's: smaller batches where they give the same, else a sentence."""

import ast
from pathlib import Path

import numpy as np
import pytest

from pipeline.store import reading
from tests.faults.branch import OUTPUTS, PERSISTENCE, ROOT, TEACHER
from tests.faults.kills import unexplained

# Batches that belong to the result: a GPU that has no room for one has none for the job.
OF_THE_RESULT = {"averaged_logits"}


def batched_calls(path: Path) -> set[str]:
    """Functions that a script hands its batch size to, other than through one that halves it.

    A local function that takes a batch size is itself what is called with smaller ones.
    """
    tree = ast.parse(path.read_text())
    tried = [
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and any(word.arg == "batch_size" for word in function.args.args)
        for node in ast.walk(function)
    ]
    return {
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and any(word.arg == "batch_size" for word in node.keywords)
        and not ast.unparse(node.func).startswith("halving(")
        and node not in tried
    }


def test_every_measurement_in_batches_halves_them():
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        assert batched_calls(path) <= OF_THE_RESULT, path


def test_a_full_gpu_gets_smaller_batches(undisturbed, branch):
    (branch.folder / OUTPUTS).unlink()
    status, printed = branch.run(OUTPUTS, script="record_outputs.py", rows="150")
    assert status == 0, printed
    assert "out of memory at a batch size of" in printed
    with reading(branch.folder / OUTPUTS) as halved, reading(undisturbed.folder / OUTPUTS) as whole:
        assert halved.names() == whole.names()
        for name in halved.names():
            # The same numbers but for the order of sums.
            np.testing.assert_allclose(halved.read(name), whole.read(name), rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_a_gpu_too_small_for_a_training_is_a_sentence(undisturbed, branch):
    (branch.folder / TEACHER).unlink()
    status, printed = branch.run(TEACHER, script="train_teacher.py", rows="5")
    assert status == 1
    assert "train_teacher: the GPU's memory is exhausted, and this job cannot do with smaller batches" in printed
    assert "set 'device: cpu'" in printed
    status, printed = branch.run()
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()


@pytest.mark.long
def test_exhausted_memory_of_the_machine_is_a_sentence(undisturbed, branch):
    # These samples take 300 MB and more.
    overlay = "persistence: {samples: 1000000}"
    status, printed = branch.run(PERSISTENCE, overlay=overlay, script="bracket.py", memory_mb="100")
    assert status == 1
    assert "bracket_persistence: the machine's memory is exhausted; run fewer jobs at once (--cores)" in printed
    assert unexplained(printed.partition("Logfile logs/")[0]) == []
    status, printed = branch.run()
    assert status == 0, printed
    assert branch.hashes() == undisturbed.hashes()
    assert branch.leftovers() == []
