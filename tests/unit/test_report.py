"""The report shows all that a run has, in the sources' order, and says in a sentence what is not there."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pipeline.report.captions import CaptionError
from pipeline.report.pages import ReportError, write_report
from pipeline.report.run import Run
from pipeline.report.shown import Anchors, headings, sections
from tests.unit.report_cases import CLAIM, ITEMS, ROOT, item, pages_of, run_in


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_in(tmp_path)


def test_all_items_are_shown_in_the_order_of_the_sources(run):
    assert write_report(run, ROOT, "stamp") == (len(ITEMS), 0)
    pages = pages_of(run)
    ids = {name: [one["id"] for one in page.elements["section"] if one.get("class") == "item"] for name, page in pages.items()
           if "section" in page.elements}  # fmt: skip
    bell = "figures-bell-"
    assert ids["bell-part-i.html"] == [
        f"{bell}figure_09",
        f"{bell}figure_10",
        f"{bell}figure_12_imagenet",
        "tables-bell-table1",
    ]
    # What has no number stands as the configuration lists it.
    assert ids["bell-part-ii.html"] == [f"{bell}figure_20", f"{bell}dropout", f"{bell}zoo"]
    # A kind of figure that Bell has, too, is still Tanay's.
    assert ids["tanay.html"] == ["figures-tanay-figure_01", "figures-tanay-figure_06_interactive"]
    assert ids["seguin.html"] == ["figures-seguin-figure_05", "figures-seguin-figure_b2"]
    assert ids["beyond-the-sources.html"] == ["figures-beyond-asymmetry"]
    assert ids["figures-and-tables-of-your-own.html"] == ["figures-mine-first"]
    names = [link["href"] for link in pages["report.html"].elements["a"]][1:13]
    assert names[:7] == ["report.html", *(f"report/{name}" for name in list(dict.fromkeys([
        "bell-part-i.html", "bell-part-ii.html", "tanay.html", "seguin.html", "beyond-the-sources.html",
        "figures-and-tables-of-your-own.html"])))]  # fmt: skip
    images = {
        (page.path.parent / one["src"]).resolve() for page in pages.values() for one in page.elements.get("img", [])
    }
    assert images == {run.folder / one.path for one in ITEMS if one.path.endswith(".png")}
    assert [one["loading"] for one in pages["tanay.html"].elements["iframe"]] == ["lazy"]
    assert (run.folder / "results/report/.stamp").read_text() == "stamp\n"


def test_captions_files_and_how_it_was_made_stand_beside_a_figure(run):
    write_report(run, ROOT, "")
    page = pages_of(run)["bell-part-i.html"]
    assert "Data: results/persistence/a.h5, as seen." in page.words()
    assert "What <it> shows" in page.words()
    for name in ("figures/bell/figure_10.pdf", "figures/bell/figure_10.csv", "persistence/a.h5"):
        assert f"../{name}" in page.links
    assert "f" * 64 in page.words()
    assert "Bell, Part I, Figure 10: What <it> shows" in [image["alt"] for image in page.elements["img"]]


def test_nothing_is_loaded_from_elsewhere(run):
    write_report(run, ROOT, "")
    for asset in ("report.css", "report.js"):
        text = (run.folder / "results/report" / asset).read_text()
        assert not re.search(r"url\(|@import|https?:|fetch|XMLHttp|import\(", text)
    loaded = {link for page in pages_of(run).values() for link in page.loaded}
    assert {link for link in loaded if not link.startswith("../figures/")} == {
        "data:,",
        "report.css",
        "report/report.css",
        "report/report.js",
    }


def test_pictures_of_all_claims_stand_before_the_rows(run):
    pictures = [item(f"results/figures/{name}.png", "Claims", name=name) for name in ("claims", "claims/bell_1")]
    for one in pictures:
        for name in (one.path, *one.beside):
            (run.folder / name).parent.mkdir(exist_ok=True)
            Image.new("RGB", (30, 20)).save(run.folder / name, "PNG")
    write_report(replace(run, items=(*ITEMS, *pictures)), ROOT, "")
    page = pages_of(run)["report.html"]
    assert (
        page.ids.index("counts")
        < page.ids.index("figures-claims")
        < page.ids.index("figures-claims-bell_1")
        < page.ids.index("ledger")
    )
    assert [image["src"] for image in page.elements["img"]] == ["figures/claims.png", "figures/claims/bell_1.png"]


def lose(*names: str) -> Callable[[Path], object]:
    return lambda folder: [(folder / "results" / name).unlink() for name in names]


def put(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "results" / name).write_text(text)


@pytest.mark.parametrize(
    ("harm", "page", "sentence", "missing"),
    [
        (lose("claims.csv"), "report.html", "There is no ledger of claims to show: results/claims.csv: no such file.", 1),
        (lose("figures/bell/figure_09.png"), "bell-part-i.html", "Not there: results/figures/bell/figure_09.png.", 1),
        (lose("tables/bell/table1.csv"), "bell-part-i.html", "Not there: results/tables/bell/table1.csv.", 1),
        (lose("persistence/a.h5"), "report.html", "persistence/a.h5 (not there)", 0),
        (lose("figures/bell/figure_09.pdf"), "bell-part-i.html", "PDF (not there)", 0),
        (lose("provenance.json"), "provenance.html", "results/provenance.json: no such file", 0),
        (lose("benchmarks/a.tsv", "benchmarks/b.tsv"), "runtimes.html", "No job of this run has left its time", 0),
        (put("claims.csv", "id,verdict\n1,true\n"), "report.html", "expected the columns id, source", 0),
        (put("claims.csv", "id,verdict\n1\n"), "report.html", "line 2 has not the 2 values", 0),
        (put("claims.csv", ",".join(CLAIM) + "\n" + ",".join("abcdefghijk") + "\n"), "report.html", "found 'j'", 0),
        (put("claims.csv", ""), "report.html", "expected the columns", 0),
        (put("provenance.json", '{"format": 1, "results": {}}'), "provenance.html", "run, code, versions", 0),
        (put("provenance.json", "{"), "provenance.html", "not readable JSON", 0),
        (put("figures/bell/figure_10.png", "no picture"), "bell-part-i.html", "figure_10.png: not a readable picture", 0),
        (put("tables/bell/table1.csv", "a,b\n1\n"), "bell-part-i.html", "table1.csv: line 2 has not the 2 values", 0),
        (put("benchmarks/a.tsv", "s\n"), "runtimes.html", "Of 2 jobs there is no measurement.", 0),
    ],
)  # fmt: skip
def test_what_is_lost_or_damaged_costs_a_sentence(run, harm, page, sentence, missing):
    harm(run.folder)
    assert write_report(run, ROOT, "") == (len(ITEMS) - missing, missing)
    found = pages_of(run)[page]
    assert sentence in found.words()
    assert str(run.folder) not in found.text


def test_what_is_out_of_date_says_so(run):
    due = [replace(one, due=one.name in ("bell/figure_09", "claims")) for one in ITEMS]
    write_report(replace(run, items=tuple(due)), ROOT, "")
    pages = pages_of(run)
    assert pages["bell-part-i.html"].words().count("Out of date:") == 1
    assert "Out of date: results or the list of claims" in pages["report.html"].words()


def test_a_run_of_nothing_has_a_report(run):
    assert write_report(replace(run, items=(), jobs=()), ROOT, "") == (0, 0)
    assert {"report.html", "parameters.html", "runtimes.html"} <= pages_of(run).keys()


def test_a_report_that_fails_leaves_the_old_one(run, monkeypatch):
    write_report(run, ROOT, "first")
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    wrong = replace(run, items=(*ITEMS[1:], replace(ITEMS[0], caption="{{ snakemake.")))
    with pytest.raises(CaptionError, match=r"^c.rst: the caption cannot be rendered"):
        write_report(wrong, ROOT, "second")
    monkeypatch.setattr("shutil.copyfile", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ReportError, match=r"results/report: the report cannot be written \(No space left"):
        write_report(run, ROOT, "third")
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before
    assert not list((run.folder / "results").glob(".report*"))


def test_equal_runs_give_equal_reports(run):
    def written():
        write_report(run, ROOT, "")
        return {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}

    assert written() == written()


def test_ids_are_unique_whatever_the_names():
    anchors = Anchors()
    assert [anchors(name) for name in ("a/b", "a-b", "a b", "a-b-2", "ü", "//")] == [
        "a-b",
        "a-b-2",
        "a-b-3",
        "a-b-2-2",
        "ü",
        "unnamed",
    ]


@pytest.mark.parametrize(
    ("name", "heading"),
    [("seguin/figure_a6", "Figure A.6"), ("bell/figure_12_imagenet", "Figure 12 (imagenet)"), ("bell/table1", "Table 1"), ("bell/zoo", "What <it> shows")],
)  # fmt: skip
def test_headings_are_those_of_the_source(name, heading):
    assert headings(replace(ITEMS[0], name=name))[0] == heading


def test_every_item_has_one_place():
    found = sections(ITEMS, [])
    assert sorted(one.path for section in found for one in section.items.values()) == sorted(
        one.path for one in ITEMS[:-1]
    )
    assert len({section.file for section in found}) == len(found)
