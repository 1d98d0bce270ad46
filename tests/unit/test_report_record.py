"""The report's pages on a run's parameters and times, its tables and its captions."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.report import record
from pipeline.report.captions import rendered
from pipeline.report.pages import write_report
from pipeline.report.run import Run
from pipeline.report.tables import TableError, read_table, rounded, with_interval
from tests.unit.report_cases import ROOT, default_config, pages_of, run_in


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_in(tmp_path)


def test_parameters_show_what_differs_first(run):
    write_report(replace(run, config=run.config | {"mirror": "https://me:pw@host/x"}), ROOT, "")
    pages = pages_of(run)
    page = pages["parameters.html"]
    assert set(re.findall(r'<tr><th scope="row"><code>(.*?)</code>', page.path.read_text())) == {
        "seed",
        "mirror",
        "artefacts",
    }
    assert f"seed 7 {default_config()['seed']}" in page.words()
    assert "mirror https://host/x null" in page.words()
    assert page.ids.index("changed") < page.ids.index("settings")
    assert "pw@" not in "".join(one.text for one in pages.values())


def test_changes_are_found_at_any_depth():
    config = default_config()
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
