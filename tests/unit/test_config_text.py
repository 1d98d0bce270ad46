"""Files of configuration that Snakemake would run, misread or answer with a traceback."""

import os
from pathlib import Path

import pytest
import yaml

from pipeline.config.text import text_mistakes
from pipeline.running.arguments import config_files
from pipeline.running.launch import main

ROOT = Path(__file__).resolve().parents[2]
DEEP = "[" * 3000 + "]" * 3000
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)

REFUSED = {
    "__use_yte__: true\nseed: ?1 + 1": "line 1: __use_yte__ would run code, which a configuration must not",
    '"__use\\x5fyte__": true': "line 1: __use_yte__ would run code",
    "a: &a {__use_yte__: true}\n<<: *a": "line 1: __use_yte__ would run code",
    "a: &a __use_yte__\n? *a\n: true": "line 1: __use_yte__ would run code",
    "seed: 1\nseed: 2": "line 2: key 'seed' stands twice in one mapping",
    "a: {b: 1, c: {b: 2}, b: 3}": "line 1: key 'b' stands twice",
    '{"seed": 1, "seed": 2}': "key 'seed' stands twice",
    "seed: !!python/object/apply:os.system [ls]": "found the tag tag:yaml.org,2002:python/object/apply:os.system",
    "seed: !!python/name:os.system": "found the tag tag:yaml.org,2002:python/name:os.system",
    "seed: !!binary aGk=": "found the tag tag:yaml.org,2002:binary",
    "seed: !mine x": "found the tag !mine",
    "seed: &a [*a]": "line 1: '*a' stands within what it names",
    "seed: *b": "not valid YAML (line 1: found undefined alias 'b')",
    BOMB: "expected at most 500,000 values, aliases followed, found more",
    f"seed: {DEEP}": "line 1: expected at most 50 levels, found more",
    f'{{"seed": {DEEP}}}': "expected at most 50 levels, found more",
    '{"seed": ' * 200 + "1" + "}" * 200: "expected at most 50 levels, found more",
    '{"seed": "' + "x" * 10_001 + '"}': "seed: expected text of at most 10,000 letters",
    "[1]": "expected keys at the top level, found none",
    "seed: 2001-99-99": "a value cannot be read (month must be in 1..12)",
    f"seed: {'9' * 5000}": "a value cannot be read (Exceeds the limit",
    f"seed: {'x' * 10_001}": "line 1: expected a value of at most 10,000 letters, found 10,001",
    "seed: 1:" + "59:" * 4000: "of at most 10,000 letters",
    "a: [1": "not valid YAML (line 1:",
    "a:\tb:\n\t- c": "not valid YAML (line",
    "? [1, 2]\n: 3": "not valid YAML (line 1: found unhashable key)",
    "a: \0": "not valid YAML",
    "--- {}\n--- {}": "not valid YAML (line 2: but found another document)",
    "": "expected keys at the top level, found none",
    "- 1": "expected keys at the top level, found none",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:25])
def test_what_is_no_plain_data_gets_a_sentence(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    lines = text_mistakes(path)
    assert lines[0].startswith(f"{path}: ")
    assert any(REFUSED[text] in line for line in lines), lines
    assert all("\n" not in line and len(line) < 500 for line in lines)


def test_files_that_are_no_text_get_a_sentence(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xff")
    assert text_mistakes(path) == [f"{path}: expected UTF-8, found byte 0xff at position 3"]
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    assert text_mistakes(path) == [f"{path}: expected at most 4,194,304 bytes, found more"]
    path.chmod(0)
    if not os.access(path, os.R_OK):
        assert "cannot be read" in text_mistakes(path)[0]


def test_what_the_project_and_its_users_write_is_accepted(tmp_path):
    for path in [ROOT / "config.yaml", *ROOT.glob("config/*.yaml"), *ROOT.glob("examples/*.yaml")]:
        assert text_mistakes(path) == []
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1, y: !!str 2}\nb: {<<: *a, x: 3}\nc: [*a, *a]\nd: >-\n  two\n  lines\n")
    assert text_mistakes(path) == []
    path.write_text('{"a": [1, 2.5, null, "ü"]}')
    assert text_mistakes(path) == []


def test_a_file_that_is_not_there_is_told_in_a_sentence(tmp_path, capfd):
    for path, found in ((tmp_path / "none.yaml", "none"), (tmp_path, "a folder")):
        assert main(["-n", "--directory", str(tmp_path), "--configfile", str(path)]) == 1
        assert capfd.readouterr().err == f"configuration: {path}: expected a file, found {found}\n"
    assert os.listdir(tmp_path) == []


def test_a_wide_configuration_is_read_in_time(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump({f"key{i}": {"a": i, "b": [i] * 5} for i in range(1000)}))
    assert text_mistakes(path) == []


def test_every_form_of_naming_files_is_known():
    words = ["-n", "--configfile", "a", "b", "-j", "2", "--configfiles=c", "d", "--config", "e=1", "--configfiles", "f"]
    assert config_files([*words, "--", "--configfile", "g"]) == [ROOT / "config.yaml", *map(Path, "abcf")]


def test_nothing_starts_with_a_file_that_would_run_code(tmp_path, capfd):
    path, proof = tmp_path / "a.yaml", tmp_path / "proof"
    path.write_text(f"__use_yte__: true\nseed: ?open('{proof}', 'w').close()\n")
    assert main(["-n", "--directory", str(tmp_path), "--configfile", str(path)]) == 1
    assert "__use_yte__ would run code" in capfd.readouterr().err
    assert os.listdir(tmp_path) == ["a.yaml"]
