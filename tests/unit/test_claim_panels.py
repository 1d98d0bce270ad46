"""The figure of all claims: where rows lie, and that every row is in it."""

import csv
import dataclasses
import math

import pytest

from pipeline.figures.claims import FARTHEST, PAGE, Row, columns, counts, labelled, place, read_rows
from scripts.figures.claims import draw

HEAD = "id,source,claim,published,measured,low,high,n,scale,verdict,evidence\n"


@pytest.mark.parametrize(
    ("interval", "limits", "expected"),
    [
        # A tolerance of 2 around 10; the published number is 0.
        ((10.0, 9.0, 11.0), (8.0, 12.0, 10.0), (0.0, -0.5, 0.5)),
        ((0.0, -1.0, 1.0), (-2.0, 2.0), (0.0, -0.5, 0.5)),
        # A factor of 2, on the scale of logarithms.
        ((4.0, 2.0, 8.0), (0.5, 2.0, 1.0), (2.0, 1.0, 3.0)),
        # A factor around 1, which the source prints as 0.9, for another number of values.
        ((1.0, 0.8, 1.25), (0.8, 1.25, 0.9), (0.0, -1.0, 1.0)),
        # Above 1, with a half width of 1; below 1, where what is smaller is on the side claimed.
        ((4.0, 3.0, 5.0), (1.0, math.inf), (3.0, 2.0, 4.0)),
        ((4.0, 3.0, 5.0), (-math.inf, 1.0), (-3.0, -4.0, -2.0)),
        # Without width, at the end.
        ((4.0, 4.0, 4.0), (1.0, math.inf), (FARTHEST,) * 3),
        ((4.0, 4.0, 4.0), (-math.inf, 1.0), (-FARTHEST,) * 3),
        ((1.0, 1.0, 1.0), (1.0, math.inf), (0.0,) * 3),
    ],
)
def test_intervals_lie_beside_their_limits(interval, limits, expected):
    assert place(*interval, *limits) == pytest.approx(expected, abs=0.01)


@pytest.fixture
def ledger(tmp_path):
    rows = [
        "numbers/a,S,c,1,1.1,1.0,1.2,30,x,reproduced,f",
        "numbers/b,S,c,1,,,,,needs more,not run at this scale,f",
        "order/a,S,c,,2,1,3,40,x,reproduced,f",
        "order/b,S,c,,-2,-3,-1,40,x,not reproduced,f",
        "order,S,c,2,1,1,1,2,x,not reproduced,f",
        "alone,S,c,,0.5,-1,2,7,x,undecided,f",
    ]
    limits = [
        "numbers/a,one,0.8,1.25",
        "numbers/b,one,,",
        "order/a,two,0,",
        "order/b,two,0,",
        "order,two,,",
        "alone,two,0,",
    ]
    paths = tmp_path / "claims.csv", tmp_path / "claim_limits.csv"
    paths[0].write_text(HEAD + "\n".join(rows) + "\n")
    paths[1].write_text("id,group,least,most\n" + "\n".join(limits) + "\n")
    return [str(path) for path in paths]


def test_lines_name_every_claim_and_each_measured_part(ledger):
    rows = read_rows(*ledger)
    assert counts(rows) == {
        **{"reproduced": 2, "not reproduced": 2, "not reproducible as printed": 0},
        **{"undecided": 1, "not run at this scale": 1},
    }
    lines = [
        (line.label.strip(), line.row and line.row.verdict, line.note, line.whole)
        for own in labelled(rows)
        for line in own
    ]
    assert lines == [
        ("numbers", None, "1 of 2", ""),
        ("a", "reproduced", "n = 30", ""),
        ("order", None, "2 of 2", "not reproduced"),
        ("a", "reproduced", "n = 40", ""),
        ("b", "not reproduced", "n = 40", ""),
        ("alone", "undecided", "n = 7", ""),
    ]


def test_a_page_holds_all_lines_in_two_columns(ledger):
    row = read_rows(*ledger)[-1]
    many = [dataclasses.replace(row, claim=f"claim{number}") for number in range(PAGE + 3)]
    left, right = columns(many)
    assert [line.label for line in left + right] == [one.claim for one in many]
    assert abs(len(left) - len(right)) <= 1
    assert columns(many[:PAGE]) == [[line for lines in labelled(many[:PAGE]) for line in lines]]


def test_limits_of_another_row_are_refused(ledger):
    with open(ledger[1], "a", encoding="utf-8") as file:
        file.write("more,two,,\n")
    with pytest.raises(ValueError, match="longer"):
        read_rows(*ledger)
    text = open(ledger[1], encoding="utf-8").read().replace("alone", "other").replace("more,two,,\n", "")
    with open(ledger[1], "w", encoding="utf-8") as file:
        file.write(text)
    with pytest.raises(ValueError, match="expected the limits of alone, found those of other"):
        read_rows(*ledger)


def test_every_measured_row_is_drawn_in_both_pictures(ledger, tmp_path):
    outputs = [str(tmp_path / name) for name in ("all.csv", "all.png", "one.csv", "two.csv", "empty.csv")]
    draw(claims=ledger[0], limits=ledger[1], outputs=outputs, groups=["one", "two", "empty"], style="paper")

    def drawn(name):
        with open(tmp_path / name, newline="", encoding="utf-8") as file:
            return sorted(float(row["x"]) for row in csv.DictReader(file) if row["kind"] == "error bar")

    own = {row.group: [] for row in read_rows(*ledger)}
    for row in read_rows(*ledger):
        if row.x is not None:
            own[row.group].append(pytest.approx(row.x))
    assert drawn("one.csv") == own["one"]
    assert drawn("two.csv") == sorted(own["two"], key=lambda value: value.expected)
    assert len(drawn("all.csv")) == 4
    assert drawn("empty.csv") == []


@pytest.mark.parametrize("interval", ["nan,nan,nan", "2,nan,nan", "2,1,inf", "2,,"])
def test_a_number_without_a_finite_interval_has_no_place(ledger, interval):
    text = open(ledger[0], encoding="utf-8").read().replace("alone,S,c,,0.5,-1,2,", f"alone,S,c,,{interval},")
    with open(ledger[0], "w", encoding="utf-8") as file:
        file.write(text)
    assert f",{interval}," in text
    row = read_rows(*ledger)[-1]
    assert (row.claim, row.x, row.low, row.high) == ("alone", None, None, None)
    assert [line.row for line in labelled([row])[0]] == [None]


def test_a_row_is_told_by_its_claim_and_part(ledger):
    first = read_rows(*ledger)[0]
    assert isinstance(first, Row)
    assert (first.claim, first.part, first.group, first.n, first.two_sided) == ("numbers", "a", "one", "30", True)
