"""Parsed code that is kept: found again without parsing, and never in place of another file's content."""

import os
from pathlib import Path

import pytest

from pipeline.provenance import parsed_code as module
from pipeline.provenance.parsed_code import ParsedCode, parsed_code

SOURCE = '"""Doc."""\nfrom . import statistics\nimport numpy\n\n\ndef f():\n    """What."""\n    return 1  # one\n'
PARSED = ParsedCode(
    "from . import statistics\nimport numpy\n\ndef f():\n    return 1", ((1, "", "statistics"), (0, "numpy", None))
)


@pytest.fixture
def parses(monkeypatch) -> list[Path]:
    """Files that were parsed."""
    found = []

    def counted(source, path, real=module._parse):
        found.append(path)
        return real(source, path)

    monkeypatch.setattr(module, "_parse", counted)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(module, "_folder", tmp_path / "kept")
    return tmp_path / "kept"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "code.py"
    path.write_text(SOURCE)
    return path


def in_another_process(path: Path) -> ParsedCode:
    parsed_code.cache_clear()
    return parsed_code(path)


def test_code_is_what_can_decide_a_result(file):
    assert in_another_process(file) == PARSED


def test_each_content_is_parsed_once(folder, file, parses):
    assert [in_another_process(file) for _ in range(3)] == [PARSED] * 3
    assert parses == [file]
    assert len(list(folder.iterdir())) == 1


def test_other_content_is_parsed_whatever_its_times(folder, file, parses):
    times = file.stat()
    in_another_process(file)
    file.write_text(SOURCE.replace("return 1", "return 2"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert in_another_process(file).essence == PARSED.essence.replace("return 1", "return 2")
    assert len(parses) == 2


def test_another_reader_or_python_parses_anew(folder, file, parses, monkeypatch):
    in_another_process(file)
    monkeypatch.setattr(module, "_reader", lambda: b"another")
    assert in_another_process(file) == PARSED
    assert len(parses) == 2


def test_a_damaged_entry_does_not_count(folder, file):
    in_another_process(file)
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    for position in range(0, len(whole), 7):
        for damaged in (whole[:position], whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]):
            entry.write_bytes(damaged)
            assert in_another_process(file) == PARSED
    assert [path.name for path in folder.iterdir()] == [entry.name]
    assert entry.read_bytes() == whole


def test_an_entry_of_another_file_does_not_count(folder, file, tmp_path):
    in_another_process(file)
    (entry,) = folder.iterdir()
    other = tmp_path / "other.py"
    other.write_text("x = 2\n")
    in_another_process(other)
    (of_other,) = set(folder.iterdir()) - {entry}
    of_other.write_bytes(entry.read_bytes())
    assert in_another_process(other) == ParsedCode("x = 2", ())


def test_a_folder_that_cannot_be_written_costs_time_only(folder, file, parses):
    folder.write_text("a file is in the way")
    assert [in_another_process(file) for _ in range(2)] == [PARSED] * 2
    assert len(parses) == 2
