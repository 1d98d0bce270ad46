"""Damaged files and configurations, some hundred of them; `make fuzz` takes ten thousand for each kind."""

import pytest

from tests.fuzz import configs, files
from tests.fuzz.harness import CleanError, Target, fuzz

INPUTS = {"results": 300, "datasets": 100, "config_values": 100, "config_text": 100}
FEW = 50


@pytest.mark.parametrize("name", [*files.TARGETS, *configs.TARGETS])
def test_damaged_inputs_get_a_sentence_in_bounded_time_and_memory(tmp_path, name):
    target = {**files.TARGETS, **configs.TARGETS}[name]
    outcome = fuzz(target, tmp_path, INPUTS.get(name, FEW))
    assert outcome.findings == []
    assert outcome.refused > outcome.inputs // 5
    assert outcome.inputs == INPUTS.get(name, FEW)
    # What is mapped at the start counts, torch and HDF5 among it.
    assert outcome.megabytes < 3000


def test_the_harness_sees_crashes_hangs_tracebacks_and_hunger(tmp_path, monkeypatch):
    """Of numbered inputs each fails in another way, and those that follow are run all the same."""
    monkeypatch.setattr("tests.fuzz.harness.SECONDS", 0.5)

    def run(prepared, folder, generator):
        with open(folder / "count", "a") as file:
            file.write("x")
        match (folder / "count").stat().st_size:
            case 1:
                raise CleanError("a sentence")
            case 2:
                raise KeyError("no sentence")
            case 3:
                bytearray(1 << 40)
            case 4:
                raise CleanError("")
            case 5:
                while True:
                    pass

    outcome = fuzz(Target("mixed", lambda folder: None, run), tmp_path, 7)
    assert (outcome.inputs, outcome.accepted, outcome.refused) == (7, 2, 1)
    kinds = ["KeyError", "MemoryError", "no sentence: ''", "ended its process with status -26"]
    assert len(outcome.findings) == 4
    assert all(kind in text for kind, text in zip(kinds, outcome.findings, strict=True))
