"""The report of the smoke run: everything of it is there, opens without a network, and says what is missing."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Checkout
from tests.html_pages import Page, check_pages

SMOKE = ("--workflow-profile", "profiles/default", "--configfile", "config/smoke.yaml")


def write_report(checkout: Checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.report", *arguments, *SMOKE]
    return subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True, timeout=300)


def pages_of(checkout: Checkout) -> dict[str, Page]:
    folder = checkout.folder / "results"
    return check_pages([folder / "report.html", *sorted((folder / "report").glob("*.html"))])


def results_of(checkout: Checkout) -> dict[Path, int]:
    files = (path for path in (checkout.folder / "results").rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files if "report" not in str(path.relative_to(checkout.folder))}


def shown_of(checkout: Checkout) -> list[Path]:
    """Figures, pages and tables of the run, and its ledger."""
    results = checkout.folder / "results"
    kinds = {"figures": (".png", ".html"), "tables": (".csv",)}
    found = [path for folder, ends in kinds.items() for path in (results / folder).rglob("*") if path.suffix in ends]
    return [*found, results / "claims.csv"]


@pytest.fixture(scope="module")
def checkout(smoke: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    copy = Checkout.copy_of(smoke, tmp_path_factory.mktemp("report") / "checkout")
    before = results_of(copy)
    run = write_report(copy)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"report: {copy.folder}/results/report.html ({len(shown_of(copy))} figures and tables)\n"
    assert results_of(copy) == before
    return copy


def test_every_figure_table_and_claim_of_the_run_is_there(checkout):
    results = checkout.folder / "results"
    pages = pages_of(checkout)
    shown = {
        (page.path.parent / image["src"]).resolve() for page in pages.values() for image in page.elements.get("img", [])
    }
    assert shown == set((results / "figures").rglob("*.png"))
    linked = {(page.path.parent / link).resolve() for page in pages.values() for link in page.links}
    made = [path for folder in ("figures", "tables") for path in (results / folder).rglob("*") if path.is_file()]
    assert set(made) <= linked
    assert results / "claims.csv" in linked
    with open(results / "claims.csv", newline="") as file:
        claims = list(csv.DictReader(file))
    rows = [row for row in pages["report.html"].elements["tr"] if "data-id" in row]
    assert [(row["data-id"], row["data-verdict"]) for row in rows] == [(row["id"], row["verdict"]) for row in claims]
    assert "Out of date" not in "".join(page.text for page in pages.values())


def test_values_of_tables_captions_and_settings_are_those_of_the_run(checkout):
    pages = pages_of(checkout)
    with open(checkout.folder / "results/tables/bell/table1.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert f"{float(row['natural']):.4g}" in pages["bell-part-i.html"].text
    assert "Clopper-Pearson" in pages["bell-part-i.html"].text
    assert "{{" not in "".join(page.text for page in pages.values())
    changed = pages["parameters.html"].text.split("All settings")[1]
    assert "persistence.samples" in changed
    jobs = len(list((checkout.folder / "results/benchmarks").rglob("*.tsv")))
    assert f"{jobs} jobs took" in pages["runtimes.html"].words()
    known = json.loads((checkout.folder / "results/provenance.json").read_text())
    assert known["hardware"]["cpu"] in pages["provenance.html"].text
    assert f"{len(known['results'])} files with their hashes" in pages["provenance.html"].text


def test_it_is_written_again_only_when_something_has_changed(checkout):
    start = checkout.folder / "results/report.html"
    before = start.stat().st_mtime_ns
    run = write_report(checkout, "--if-changed")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert start.stat().st_mtime_ns == before


def test_a_part_of_a_run_has_a_report_that_says_what_is_missing(checkout, tmp_path):
    copy = Checkout.copy_of(checkout, tmp_path / "checkout")
    there = len(shown_of(copy))
    lost = ("figures/bell/figure_09.png", "tables/bell/table3.csv", "claims.csv")
    for name in (*lost, "provenance.json"):
        (copy.folder / "results" / name).unlink()
    # A target adds to all that there is, and what is forced is not out of date.
    run = write_report(copy, "--if-changed", "results/figures/bell/figure_10.png", "--forceall")
    assert run.returncode == 0, run.stderr
    assert f"({there - 3} figures and tables; 3 are not there yet, and it says which)" in run.stdout
    pages = pages_of(copy)
    words = pages["bell-part-i.html"].words()
    assert words.count("Not there: ") == 2
    assert all(f"Not there: results/{name}" in words for name in lost[:2])
    assert "Out of date" not in words
    assert "results/claims.csv: no such file" in pages["report.html"].words()
    assert "results/provenance.json: no such file" in pages["provenance.html"].words()


def test_a_mistake_is_told_in_its_own_words_and_leaves_the_old_report(checkout):
    before = (checkout.folder / "results/report.html").read_bytes()
    run = write_report(checkout, "--config", "persistence={gama: 1}")
    assert run.returncode == 1
    assert "persistence.gama" in run.stderr
    assert "Traceback" not in run.stderr
    assert (checkout.folder / "results/report.html").read_bytes() == before
