"""Every fenced block of README.md and docs/ is tried: Python runs, YAML is a valid configuration, commands exist."""

import copy
import importlib.util
import io
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from snakefmt.formatter import Formatter
from snakefmt.parser.parser import Snakefile
from snakemake.cli import get_argument_parser
from snakemake.utils import update_config

from pipeline.config.schema import ConfigError, resolve
from pipeline.store import Provenance, StoreError, writing
from scripts.data.import_hdf5 import import_hdf5
from tests.docs.pages import MARKER, PAGES, ROOT, Block, blocks, output, prose, read

TRIED = ("python", "yaml", "bash", "console", "snakemake")
# Output of programs, formulas, and directives of Sphinx, which its build tries.
SHOWN = ("text", "{eval-rst}", "{toctree}")
# Blocks that no test can try; each says why above its fence.
MOST_UNTRIED = 8
# Names that stand for a file of the reader's.
READERS_OWN = {"my.yaml", "mine.yaml"}
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.M))
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.M)) | set(re.findall(r"\$\(or \$\(([A-Z]+)\)", MAKEFILE))
# Targets whose ARGS are Snakemake's.
OF_SNAKEMAKE = {"run", "report", "dag"}
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
SENTENCES = {
    "configuration: persistence.gama: unknown key; the nearest valid one is 'gamma'": "persistence: {gama: 0.9}",
    "configuration: experiments[0].attack: there is no attack 'igsm-frst' in attacks; the nearest valid one is 'igsm-first'": (
        "experiments: [{dataset: mnist5k, model: fc-100-20-10, attack: igsm-frst, measure: [persistence]}]"
    ),
}


def with_blocks(*languages: str) -> list[str]:
    return [page for page in PAGES if any(block.language in languages for block in blocks(page))]


def tried(page: str, language: str) -> list[Block]:
    return [block for block in blocks(page, language) if not block.reason]


def default() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page):
    for block in blocks(page):
        assert block.language in (*TRIED, *SHOWN), block.place
        assert not block.reason or (block.language in TRIED and len(block.reason) > 10), block.place
    # A marker counts above a fence only.
    assert len(MARKER.findall(read(page))) == sum(bool(block.reason) for block in blocks(page))
    # Blocks by indentation have no language; lists may be indented.
    assert not re.search(r"^(?! *[-*\d]).*\n\n {4}\S", prose(page), re.M), f"{page}: a block without a fence"


def test_few_blocks_are_not_tried():
    untried = [block for page in PAGES for block in blocks(page) if block.reason]
    assert len(untried) <= MOST_UNTRIED, [block.place for block in untried]


@pytest.fixture
def reader(tmp_path, monkeypatch, one_thread) -> Iterator[dict]:
    """A folder as a reader has it after the tutorial, and names that pages take for granted."""
    import torch

    from neighborhoods.networks.architectures import fully_connected

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = Path("results/persistence/mine/mine/igsm-first.h5")
    result.parent.mkdir(parents=True)
    generator = np.random.default_rng(0)
    with writing(result, Provenance()) as file:
        for group in ("natural", "adversarial"):
            sigma = generator.gamma(4, 0.1, 40)
            for name, share in (("sigma", 1), ("low", 0.9), ("high", 1.1)):
                file.put(f"{group}/{name}", share * sigma, "persistence", ("image",), "1, pixel range [0, 1]")
            file.put(f"{group}/label", np.arange(40) % 10, "true class", ("image",))
    before = set(sys.modules)
    yield {
        "__name__": "__main__",
        "model": fully_connected((1, 8, 8), (20,), 10).eval(),
        "images": torch.rand(6, 1, 8, 8),
        "labels": torch.arange(6),
    }
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").is_file():
            del sys.modules[name]


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_runs_in_order_in_one_namespace_and_prints_what_stands_below(page, reader, capsys):
    for block in tried(page, "python"):
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text)
        # Tracebacks then name the page's line.
        start = int(block.place.rpartition(":")[2])
        exec(compile("\n" * start + block.text, str(PAGES[page]), "exec"), reader)
        printed, shown = capsys.readouterr().out, output(page, block)
        if shown:
            assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown.text), shown.place
            # Sums in another order differ in their last bits, and searches then in more.
            found, expected = (
                [float(number.replace(",", "")) for number in NUMBER.findall(text)] for text in (printed, shown.text)
            )
            assert found == pytest.approx(expected, rel=0.2, abs=0.02), shown.place


def mistakes(config: dict) -> list[str]:
    """The sentences that a configuration gets."""
    try:
        resolve(copy.deepcopy(config))
    except ConfigError as error:
        return error.lines
    return []


@pytest.mark.parametrize("page", with_blocks("yaml"))
def test_yaml_is_a_configuration_on_top_of_the_blocks_above(page):
    config = default()
    for block in tried(page, "yaml"):
        update_config(config, yaml.safe_load(block.text))
        assert mistakes(config) == [], block.place


@pytest.mark.parametrize("page", with_blocks("snakemake"))
def test_rules_are_formatted_and_only_name_what_there_is(page):
    functions = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    for block in tried(page, "snakemake"):
        assert Formatter(Snakefile(io.StringIO(block.text))).get_formatted() == block.text, block.place
        for name in re.findall(r"[(=,\s](\w+)\(", block.text):
            assert name in ("report", "expand") or f"def {name}(" in functions, f"{block.place}: {name}"


def commands(block: Block) -> Iterator[list[str]]:
    """Words of each command; in a console's block the others are output."""
    for line in block.text.replace("\\\n", " ").split("\n"):
        if block.language == "console" and not line.startswith("$ "):
            continue
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


@pytest.mark.parametrize("page", with_blocks("bash", "console"))
def test_commands_are_there_and_take_their_arguments(page):
    named = {block.file for block in blocks(page)}
    for block in [*tried(page, "bash"), *tried(page, "console")]:
        for program, *arguments in commands(block):
            where = f"{block.place}: {program} {' '.join(arguments)}"
            program = Path(program).name
            if program == "make":
                check_make(arguments, named, where)
            elif program == "snakemake":
                check_snakemake(arguments, named, where)
            elif program == "python":
                check_python(arguments, named, where)
            else:
                pytest.fail(f"{where}: not tried, and no reason is given")


def check_make(arguments: list[str], named: set[str], where: str) -> None:
    variables = dict(word.split("=", 1) for word in arguments if "=" in word)
    targets = [word for word in arguments if "=" not in word]
    assert targets, where
    assert set(targets) <= TARGETS, where
    assert set(variables) <= VARIABLES, where
    profile = variables.get("PROFILE")
    assert profile is None or (ROOT / profile / "config.yaml").is_file(), where
    given = shlex.split(variables.get("ARGS", ""))
    if set(targets) <= OF_SNAKEMAKE:
        check_snakemake(given, named, where)
    elif targets == ["estimate"]:
        check_snakemake([word for word in given if word != "--on" and not word.isdigit()], named, where)
    elif targets == ["verify"]:
        assert set(given) <= {"--remove", "--directory", "FOLDER"}, where


def check_snakemake(arguments: list[str], named: set[str], where: str) -> None:
    try:
        parsed = get_argument_parser().parse_args(arguments)
    except SystemExit:
        pytest.fail(f"{where}: Snakemake does not take these arguments")
    for file in parsed.configfile or []:
        assert (ROOT / file).is_file() or str(file) in named | READERS_OWN, f"{where}: there is no {file}"


def check_python(arguments: list[str], named: set[str], where: str) -> None:
    if arguments[0] == "-m":
        spec = importlib.util.find_spec(arguments[1])
        assert spec is not None, where
        assert spec.origin, where
        package = Path(spec.origin).parent / "__main__.py"
        text = (package if Path(spec.origin).name == "__init__.py" else Path(spec.origin)).read_text()
        others = [word for word in arguments[2:] if f'"{word}"' not in text]
        if any(word.startswith("--") for word in others):
            # What it does not know itself it hands on.
            check_snakemake(others, named, where)
    else:
        assert (ROOT / arguments[0]).is_file() or arguments[0] in named, where


def test_sentences_about_mistakes_are_those_that_come():
    found = [
        line
        for page in PAGES
        for block in blocks(page, "text")
        for line in block.text.splitlines()
        if line.startswith("configuration: ")
    ]
    assert set(found) == set(SENTENCES)
    for sentence, overlay in SENTENCES.items():
        config = default()
        update_config(config, yaml.safe_load(overlay))
        assert sentence in mistakes(config)


def test_a_dataset_that_does_not_fit_gets_the_sentence_of_its_page(tmp_path, monkeypatch):
    import h5py

    monkeypatch.chdir(tmp_path)
    with h5py.File("rows.h5", "w") as file:
        file["x_train"], file["y_train"] = np.zeros((6, 4, 4), np.uint8), np.arange(6)
        file["x_test"], file["y_test"] = np.zeros((60, 4, 4), np.uint8), np.zeros(60)
    with pytest.raises(StoreError) as caught:
        import_hdf5(file="rows.h5", output="out.h5", seed=0, provenance=Provenance())
    assert f"{caught.value}\n" in [block.text for block in blocks("docs/new_dataset.md", "text")]
