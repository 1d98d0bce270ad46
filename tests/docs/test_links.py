"""Links, anchors, pictures, paths and names that README.md and docs/ mention lead somewhere."""

import re
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from pipeline.claims.ledger import ledger_files
from tests.docs.pages import PAGES, ROOT, anchors, blocks, prose

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# Paths that a reader makes.
MADE = ("results/", "downloads/", ".venv/", ".snakemake/", "docs/_build/", "photos/", "logs/")


def links(page: str) -> list[str]:
    # Shapes such as [n, classes](...) do not occur in prose; code does.
    return LINK.findall(re.sub(r"`[^`\n]*`", "", prose(page)))


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_repository_lead_to_files_and_headings(page):
    for link in links(page):
        if urlsplit(link).scheme:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (PAGES[page].parent / path).resolve() if path else PAGES[page]
        assert target.exists(), f"{page}: {link}"
        assert target.is_relative_to(ROOT), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(str(target.relative_to(ROOT))), f"{page}: {link}"


def test_links_elsewhere_are_well_formed_and_encrypted():
    for page in PAGES:
        for link in links(page):
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "https", f"{page}: {link}"
                assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), f"{page}: {link}"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page):
    named = {block.file for block in blocks(page)}
    for path in re.findall(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|smk|yaml|json|md|txt|mplstyle|rst|cff))`", prose(page)):
        if not path.startswith(MADE) and path not in named and not path.startswith("report/persistence_by_class"):
            assert (ROOT / path).is_file(), f"{page}: {path}"


def test_entries_of_the_ledger_that_the_errata_name_are_there():
    claims = {entry["id"] for path in ledger_files(ROOT)[1:] for entry in yaml.safe_load(path.read_text())}
    named = re.findall(r"ledger ((?:`[\w-]+`(?:, )?)+)", prose("docs/errata.md"))
    assert named
    for words in named:
        assert set(re.findall(r"`([\w-]+)`", words)) <= claims, words


def test_the_tables_of_modules_are_complete():
    text = prose("docs/architecture.md")
    listed = []
    for cell in re.findall(r"^\| (`[^|]+`) \|", text[text.index("`pipeline/` is what") :], re.M):
        names = re.findall(r"`([\w.]+)`", cell)
        if names[0].startswith("pipeline"):
            (package,) = names
        else:
            listed += [f"{package}.{name}" for name in names]
    there = [path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "pipeline").rglob("*.py")]
    assert sorted(listed) == sorted(".".join(parts) for parts in there if not parts[-1].startswith("__"))


def test_the_library_reference_has_every_module_once():
    pages = [page for page in PAGES if page.startswith("docs/reference/")]
    listed = sorted(
        name
        for page in pages
        for block in blocks(page, "{eval-rst}")
        for name in re.findall(r"automodule:: neighborhoods\.([\w.]+)", block.text)
    )
    there = (ROOT / "neighborhoods").rglob("*.py")
    parts = [path.relative_to(ROOT / "neighborhoods").with_suffix("").parts for path in there]
    modules = {".".join(names) for names in parts if names[-1] != "__init__"}
    assert listed == sorted(modules)
    for page in pages:
        for name in re.findall(r"^## neighborhoods\.([\w.]+)$", prose(page), re.M):
            assert name in listed, page
