"""The page on what runs again shows what a dry run of the smoke configuration says."""

import re
from collections import Counter

import pytest
import yaml

from tests.conftest import Checkout, job_counts
from tests.docs.pages import Block, blocks, read

PAGE = "docs/reruns.md"
SMOKE = ("--configfile", "config/smoke.yaml")
SECTIONS = re.findall(r"^## (.+)$", read(PAGE), re.M)[:-1]


def of_section(title: str, language: str) -> list[Block]:
    text = read(PAGE)
    start = text[: text.index(f"## {title}\n")].count("\n")
    end = start + text.split(f"## {title}\n")[1].split("\n## ")[0].count("\n") + 1
    return [block for block in blocks(PAGE, language) if start < int(block.place.rpartition(":")[2]) <= end]


def shown(block: Block) -> Counter[str]:
    return Counter() if block.text.startswith("Nothing to be done") else job_counts(block.text)


@pytest.mark.parametrize("title", SECTIONS)
def test_the_jobs_of_the_page_are_those_of_a_dry_run(smoke, tmp_path, title):
    (output,) = of_section(title, "text")
    copy = Checkout.copy_of(smoke, tmp_path / "checkout")
    overlays = [copy.overlay(block.text) for block in of_section(title, "yaml")]
    if "comment" in title:
        copy.edit("neighborhoods/persistence/measure.py", "def stability(", "# A comment.\ndef stability(")
    assert overlays or title in ("Nothing has changed", "A comment in the code")
    assert copy.jobs(*SMOKE, *overlays) == shown(output)


def test_tables_of_the_page_add_up():
    for block in blocks(PAGE, "text"):
        total = re.search(r"^total +(\d+)$", block.text, re.M)
        if total:
            assert sum(shown(block).values()) + 1 == int(total[1])
            assert yaml.safe_load(of_section(title_of(block), "yaml")[0].text)


def title_of(block: Block) -> str:
    return next(title for title in SECTIONS if block in of_section(title, "text"))
