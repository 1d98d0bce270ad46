"""The report's ledger shows every row with its interval, and what the rows of a claim share once."""

import re
from pathlib import Path

import pytest

from neighborhoods.evidence.verdicts import VERDICTS
from pipeline.report import ledger
from pipeline.report.pages import write_report
from pipeline.report.run import Run
from pipeline.report.shown import Anchors
from tests.unit.report_cases import CLAIM, ROOT, pages_of, run_in, write_rows


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_in(tmp_path)


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
