"""The report shows all that a run has, in the sources' order, and says in a sentence what is not there."""

import csv
import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from PIL import Image

from neighborhoods.evidence.verdicts import VERDICTS
from pipeline.config.schema import resolve
from pipeline.errors import UserError
from pipeline.report import ledger, record
from pipeline.report.captions import CaptionError, rendered
from pipeline.report.pages import ReportError, write_report
from pipeline.report.run import PLACE, Item, Job, Run
from pipeline.report.shown import Anchors, headings, sections
from pipeline.report.tables import TableError, read_table, rounded, with_interval
from tests.html_pages import Page, check_pages

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ROOT = Path(__file__).resolve().parents[2]
PERSISTENCE, KERNEL, TILTING = "Bell, Part I: persistence", "Bell, Part II: path kernel", "Tanay: boundary tilting"
CLAIM = {
    "id": "smaller/FC10-4",
    "source": "Bell, Table 1",
    "claim": 'Persistence is smaller, for <all> "networks" & images.',
    "published": "0.5",
    "measured": "0.4",
    "low": "0.3",
    "high": "0.45",
    "n": "27",
    "scale": "1000 training images",
    "verdict": "not reproduced",
    "evidence": "results/persistence/a.h5; results/figures/bell/figure_10.png",
}


def item(path: str, category: str = PERSISTENCE, **changed: object) -> Item:
    name = PLACE.sub("", path.rpartition(".")[0])
    beside = tuple(path.replace(".png", f".{kind}") for kind in ("pdf", "csv")) if path.endswith(".png") else ()
    job = SimpleNamespace(input=SimpleNamespace(data="results/persistence/a.h5"))
    caption = "Data: ``{{ snakemake.input.data }}``, as *seen*.\n\n- one\n- two\n"
    known = Item(
        name,
        path,
        beside,
        ("results/persistence/a.h5",),
        category,
        "what <it> shows",
        caption,
        "c.rst",
        job,
        "draw",
        False,
    )
    return replace(known, **changed)


ITEMS = (
    item("results/figures/bell/figure_10.png"),
    item("results/figures/bell/figure_09.png"),
    item("results/figures/bell/figure_12_imagenet.png"),
    item("results/figures/bell/zoo.png", KERNEL),
    item("results/figures/bell/dropout.png", KERNEL),
    item("results/figures/bell/figure_20.png", KERNEL),
    item("results/tables/bell/table1.csv"),
    item("results/figures/tanay/figure_01.png"),
    item("results/figures/tanay/figure_06_interactive.html", TILTING),
    item("results/figures/seguin/figure_b2.png", "Seguin: logits"),
    item("results/figures/seguin/figure_05.png", "Seguin: logits"),
    item("results/figures/beyond/asymmetry.png"),
    item("results/figures/mine/first.png"),
    item("results/claims.csv", "Claims"),
)


def write_rows(path: Path, rows: list[dict[str, str]], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def config() -> dict:
    return resolve(yaml.safe_load((ROOT / "config.yaml").read_text()))


@pytest.fixture
def run(tmp_path: Path, config: dict) -> Run:
    for one in ITEMS:
        for name in (one.path, *one.beside, *one.inputs):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x,y\n1,2\n")
        if one.path.endswith(".png"):
            Image.new("RGB", (30, 20)).save(tmp_path / one.path)
    write_rows(tmp_path / "results/claims.csv", [CLAIM, CLAIM | {"id": "smaller/C-2", "verdict": "reproduced"}])
    write_rows(tmp_path / "results/benchmarks/a.tsv", [{"s": "90", "cpu_time": "80", "max_rss": "NA"}], "\t")
    write_rows(tmp_path / "results/benchmarks/b.tsv", [{"s": "35", "cpu_time": "30", "max_rss": "100"}], "\t")
    (tmp_path / "results/provenance.json").write_text(json.dumps(PROVENANCE))
    artefacts = ["bell/dropout", "bell/zoo", "mine/first"]
    jobs = [Job("train", {"model": name}, f"results/benchmarks/{name}.tsv") for name in ("a", "b", "unknown")]
    return Run(tmp_path, {**config, "seed": 7, "artefacts": artefacts}, ITEMS, tuple(jobs), "About *this*.")


PROVENANCE = {
    "format": 1,
    "run": {
        "finished": "2026-01-02T03:04:05.000000+00:00",
        "outcome": "success",
        "command": ["x", "https://me:pw@host"],
    },
    "code": {"commit": "c0ffee" * 6, "dirty": True, "changes": "abc"},
    "versions": {"python": "3.11", "implementation": "cpython", "platform": "Linux", "packages": {"torch": "2"}},
    "hardware": {"host": "h", "cpu": "CPU", "cores": 2, "threads": 4, "memory_mb": 8000, "gpus": []},
    "seed": 7,
    "config": {},
    "results": {
        "results/figures/bell/figure_10.png": {"sha256": "f" * 64, "rule": "draw", "script": "s.py", "bytes": 9}
    },
}


def pages_of(run: Run) -> dict[str, Page]:
    folder = run.folder / "results"
    return check_pages([folder / "report.html", *sorted((folder / "report").glob("*.html"))])


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


def test_the_ledger_has_every_row_and_its_counts(run):
    write_report(run, ROOT, "")
    page = pages_of(run)["report.html"]
    rows = [row for row in page.elements["tr"] if "data-id" in row]
    assert [(row["data-id"], row["data-verdict"]) for row in rows] == [
        ("smaller/FC10-4", "not reproduced"), ("smaller/C-2", "reproduced")]  # fmt: skip
    assert len({row["id"] for row in rows}) == 2
    assert page.words().count(CLAIM["claim"]) == 1, "once for all its parts"
    assert "Bell 1 1 0 0 0 2" in page.words()
    assert "report/bell-part-i.html#figures-bell-figure_10" in page.links
    assert "persistence/a.h5" in page.links
    assert "measured 0.4 [0.3, 0.45], published 0.5" in [one.get("aria-label") for one in page.elements["svg"]]


def test_a_whole_sentence_counts_its_parts_and_has_no_picture(run):
    whole = {"id": "c", "published": "", "measured": "2", "low": "2", "high": "2", "n": "2"}
    rows = [CLAIM | {"id": "c/1"}, CLAIM | {"id": "c/2"}, CLAIM | whole]
    write_rows(run.folder / "results/claims.csv", rows)
    (group,) = ledger.read_ledger(run.folder / "results/claims.csv", Anchors()).groups
    assert [bool(row.picture) for row in group.rows] == [True, True, False]
    assert (group.rows[-1].part, group.rows[-1].published) == ("all parts", "")


def test_what_the_rows_of_a_claim_share_stands_once(run):
    rows = [
        CLAIM | {"id": f"c/{n}", "evidence": f"results/a{n}.h5; results/shared.h5", "scale": "same"} for n in range(2)
    ]
    rows += [
        CLAIM | {"id": "c/none", "evidence": "", "scale": "same"},
        CLAIM | {"id": "c", "evidence": "results/a9.h5", "scale": "same"},
        CLAIM | {"id": "c", "claim": "another"},
    ]
    write_rows(run.folder / "results/claims.csv", rows)
    first, second = ledger.read_ledger(run.folder / "results/claims.csv", Anchors()).groups
    assert (first.id, first.evidence, first.scale) == ("c", ("results/shared.h5",), "same")
    assert [(row.part, row.evidence, row.scale) for row in first.rows] == [
        ("0", ("results/a0.h5",), ""), ("1", ("results/a1.h5",), ""), ("none", (), ""), ("all parts", ("results/a9.h5",), "")]  # fmt: skip
    assert (second.evidence, second.rows[0].evidence, second.rows[0].part) == (
        tuple(CLAIM["evidence"].split("; ")),
        (),
        "",
    )


def test_what_would_decide_a_row_is_no_file(run):
    words = "with config/paper.yaml: results/models/a.h5, 2 more"
    row = CLAIM | {"evidence": f"{CLAIM['evidence']}; {words}", "verdict": "not run at this scale"}
    write_rows(
        run.folder / "results/claims.csv",
        [row, CLAIM | {"id": "smaller/b", "evidence": words}, CLAIM | {"id": "smaller/c"}],
    )
    write_report(run, ROOT, "")
    page = pages_of(run)["report.html"]
    head, tail = words.split(": ")
    assert (page.words().count(head), page.words().count(tail)) == (2, 2)
    assert page.links.count("persistence/a.h5") == 1, "once for all parts"
    assert not [link for link in page.links if "paper" in link]


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


@pytest.mark.parametrize("source", ["Bell", "Bell, Table 1 (MNIST)", "Bell (2023)", "Bell, section 2, figure 3"])
def test_a_document_is_what_its_sources_begin_with(run, source):
    write_rows(run.folder / "results/claims.csv", [CLAIM | {"source": source}])
    assert list(ledger.read_ledger(run.folder / "results/claims.csv", Anchors()).documents) == ["Bell"]


def test_verdicts_are_those_of_the_ledger():
    assert set(ledger.MARKS) == set(VERDICTS)
    assert len(set(ledger.MARKS.values())) == len(VERDICTS)


@pytest.mark.parametrize(("published", "drawn"), [("0.9", ["published"]), ("", ["zero"])])
def test_a_picture_is_to_scale(published, drawn):
    text = ledger.picture(published, "2", "1", "4")
    across = ledger.WIDTH - 2 * ledger.MARGIN
    low, high = (0.9, 4) if published else (0, 4)

    def place(value):
        return ledger.MARGIN + (value - low) / (high - low) * across

    bar = re.search(r'class="bar" x="([\d.]+)" width="([\d.]+)"', text)
    assert bar
    assert [float(one) for one in bar.groups()] == pytest.approx([place(1), place(4) - place(1)], abs=0.11)
    assert float(re.search(r'class="measured" cx="([\d.]+)"', text)[1]) == pytest.approx(place(2), abs=0.06)
    assert re.findall(r'class="(published|zero)"', text) == drawn


@pytest.mark.parametrize("row", [("", "", "", ""), ("1", "2", "nan", "3"), ("1", "2", "1", "inf"), ("1", "2", "", "")])
def test_without_a_finite_interval_there_is_no_picture(row):
    assert ledger.picture(*row) == ""


def test_a_point_has_a_picture():
    assert "nan" not in ledger.picture("3", "3", "3", "3")


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


@pytest.mark.parametrize(
    "text",
    [
        "*open",
        "``open",
        "A longer title\n=====\n",
        "{{ missing.name }}",
        "{% if %}",
        ".. raw:: html\n\n   <b>",
        ".. include:: /etc/hostname",
    ],
)
def test_mistakes_in_captions_are_named(text):
    with pytest.raises(UserError, match=r"^where.rst: the caption cannot be rendered \("):
        rendered(text, "where.rst", "x")


def test_ids_in_captions_are_those_of_their_item():
    page = rendered("A\n=\n\nB\n\nC\n=\n\nD [#]_\n\n.. [#] E", "where.rst", "mine")
    assert set(re.findall(r'id="([^"]+)"', page)) == set(re.findall(r'id="(mine-[^"]+)"', page))


def test_parameters_show_what_differs_first(run, config):
    write_report(replace(run, config=run.config | {"mirror": "https://me:pw@host/x"}), ROOT, "")
    pages = pages_of(run)
    page = pages["parameters.html"]
    assert set(re.findall(r'<tr><th scope="row"><code>(.*?)</code>', page.path.read_text())) == {
        "seed",
        "mirror",
        "artefacts",
    }
    assert f"seed 7 {config['seed']}" in page.words()
    assert "mirror https://host/x null" in page.words()
    assert page.ids.index("changed") < page.ids.index("settings")
    assert "pw@" not in "".join(one.text for one in pages.values())


def test_changes_are_found_at_any_depth(config):
    changed = {
        **config,
        "persistence": {**config["persistence"], "gamma": 0.9},
        "models": {**config["models"], "new": {}},
    }
    gone = changed["models"].pop("c-4")
    found = {one.key: (one.here, one.default) for one in record.changes(changed, ROOT)}
    assert found.pop("persistence.gamma") == ("0.9", str(config["persistence"]["gamma"]))
    assert found.pop("models.new") == ("{}", None)
    assert found
    assert all(key.startswith("models.c-4.") and here is None for key, (here, _) in found.items())
    assert gone
    assert record.changes(config, ROOT) == []


def test_runtimes_are_summed_by_rule(run):
    times = record.job_times(run.folder, run.jobs)
    assert [(one.names, one.seconds, one.memory_mb) for one in times] == [("a", 90.0, None), ("b", 35.0, 100.0)]
    assert record.rule_times(times) == [record.RuleTime("train", 2, 125.0, 90.0, 110.0, 100.0)]
    write_report(run, ROOT, "")
    assert "2 jobs took 2 min in all" in pages_of(run)["runtimes.html"].words()


@pytest.mark.parametrize(
    ("text", "shown"),
    [("0.6963037600968635", "0.6963"), ("-4.44e-16", "−4.44 × 10⁻¹⁶"), ("60000", "60000"), ("123456.7", "123457"), ("1e9", "1 × 10⁹"),
     ("inf", "∞"), ("-inf", "−∞"), ("nan", ""), ("", ""), ("C-4", "C-4"), ("(1, 2)", "(1, 2)"), ("-3", "−3"), ("0.0", "0")],
)  # fmt: skip
def test_numbers_are_rounded_for_readers(text, shown):
    assert rounded(text) == shown


def test_estimates_and_ends_share_a_cell(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "name,a,a_se,a_low,a_high,b_mean,b_low,b_high,c_low,d_pct,d_low,d_high\nx,1.23456,9,1,2,,0,1,5,3,2,4\n"
    )
    table = read_table(path)
    titles = [("name", False), ("a", True), ("a se", True), ("b", False), ("c low", True), ("d pct", True)]
    assert table.columns == titles
    assert [cell.text for cell in table.rows[0]] == ["x", "1.235 [1, 2]", "9", "", "5", "3 [2, 4]"]
    assert [with_interval("1", "", ""), with_interval("nan", "nan", "nan")] == ["1", ""]
    path.write_text("a\n" + "1\n" * 300)
    assert (len(read_table(path).rows), read_table(path).total) == (200, 300)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(TableError, match="not readable as a table"):
        read_table(path)


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


WRAPPER = """<!DOCTYPE html><body><script>
const found = {};
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const open = (page, width) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = () => done(frame.contentDocument);
  frame.src = page;
  document.body.append(frame);
});
(async () => {
  for (const page of PAGES) for (const width of [420, 1400]) {
    const root = (await open(page, width)).documentElement;
    for (const part of root.querySelectorAll("details")) part.open = true;
    found[`${page} ${width}`] = root.scrollWidth - width;
  }
  const page = await open("report.html", 1400), form = page.getElementById("filter"), rows = () =>
    [...page.querySelectorAll("#rows tr[data-id]")].filter((row) => row.offsetParent).map((row) => row.dataset.id).join();
  found.hidden = form.hidden;
  const set = (name, value) => {
    form.elements[name].value = value;
    form.dispatchEvent(new Event("input"));
    return rows();
  };
  found.all = rows();
  found.verdict = set("verdict", "reproduced");
  found.decided = set("verdict", "decided");
  found.words = set("words", "ALL c-2");
  found.none = set("words", "no such word");
  form.reset();
  await wait(50);
  found.reset = rows();
  page.querySelector('.counts a[data-verdict="not reproduced"]').click();
  found.clicked = rows();
  document.body.innerHTML = "";
  document.body.append(Object.assign(document.createElement("pre"), { id: "found", textContent: JSON.stringify(found) }));
})();
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_in_a_browser_pages_fit_and_the_ledger_is_filtered(run, tmp_path):
    long = "a_very_long_setting_" * 5
    write_rows(run.folder / "results/tables/bell/table1.csv", [{f"{long}{n}": "0.123456" for n in range(20)}])
    claims = [CLAIM | {"id": f"{CLAIM['id']}{n}" * 3} for n in range(2)]
    claims += [CLAIM | {"id": "other/C-2", "verdict": "reproduced", "evidence": "; ".join([CLAIM["evidence"]] * 9)}]
    claims += [CLAIM | {"id": "more", "claim": "x" * 300, "verdict": "not run at this scale", "scale": long}]
    write_rows(run.folder / "results/claims.csv", claims)
    write_report(replace(run, config=run.config | {long: long * 3}), ROOT, "")
    pages = [
        path.relative_to(run.folder / "results").as_posix() for path in (run.folder / "results").rglob("report*/*.html")
    ]
    wrapper = run.folder / "results" / "wrapper.html"
    wrapper.write_text(WRAPPER.replace("PAGES", json.dumps(["report.html", *pages])))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
               "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}/profile",
               "--virtual-time-budget=10000", "--window-size=1500,900", "--dump-dom", wrapper.as_uri()]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(html.unescape(re.findall(r'<pre id="found">(.*?)</pre>', shown, re.S)[-1]))
    assert {name: wide for name, wide in found.items() if name.endswith(("420", "1400")) and wide > 0} == {}
    assert len([name for name in found if name.endswith("420")]) == len(pages) + 1 >= 10
    ids = [row["id"] for row in claims]
    assert found["hidden"] is False
    assert found["all"] == found["reset"] == ",".join(ids)
    assert found["verdict"] == found["words"] == ids[2]
    assert found["decided"] == ",".join(ids[:3])
    assert found["clicked"] == ",".join(ids[:2])
    assert found["none"] == ""
