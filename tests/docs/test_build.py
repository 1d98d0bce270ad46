"""The documentation builds without a warning, and what it shows needs no network."""

import html
import re
import subprocess
import sys

import pytest

from tests.docs.pages import PAGES, ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-d", folder / "trees"]
    run = subprocess.run([*command, ROOT / "docs", folder / "html"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder / "html"


def test_every_page_is_built(built):
    for page in PAGES:
        if page != "README.md":
            assert (built / page.removeprefix("docs/")).with_suffix(".html").is_file(), page


def test_pages_load_nothing_from_elsewhere(built):
    for path in [*built.rglob("*.html"), *built.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""<(?:script|img|iframe|link)[^>]+(?:src|href)=["'](?:https?:)?//""", text), path.name
        assert not re.search(r"""(?:@import|url\()\s*["']?(?:https?:)?//""", text), path.name


def test_the_reference_shows_signatures_types_and_errors(built):
    text = html.unescape(re.sub(r"<[^>]+>", "", (built / "reference/persistence.html").read_text(encoding="utf-8")))
    assert re.search(r"persistence\(\s*model: .+,\s*x: .*Tensor.*,\s*gamma: float = 0\.7", text)
    assert "Raises" in text
    table = (built / "configuration.html").read_text(encoding="utf-8")
    assert "persistence.gamma" in table
    assert "above 0, below 1" in table
