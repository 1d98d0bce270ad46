"""The report is made anew after every change of what it shows, and only then."""

import os
from pathlib import Path

import pytest

from pipeline.report.stamp import report_stamp

FILES = {
    "checkout/Snakefile": "rule all",
    "checkout/report/cones.rst": "A caption.",
    "checkout/scripts/figures/cones.py": "draw()",
    "work/results/figures/a.png": "image",
    "work/results/claims.csv": "claims",
    "work/results/report.html": "page",
    "work/results/report/bell.html": "page",
    "work/results/provenance.json": "{}",
    "work/.snakemake/metadata/b64": "{}",
    "mine.yaml": "seed: 1",
    "profile/config.yaml": "cores: 1",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def stamp(place: Path, *arguments: str) -> str:
    given = ("--directory", str(place / "work"), "--configfile", str(place / "mine.yaml"))
    return report_stamp([*given, f"--workflow-profile={place / 'profile'}", *arguments], place / "checkout")


@pytest.mark.parametrize("name", sorted(set(FILES) - {"work/results/report.html", "work/results/report/bell.html"}))
def test_a_changed_file_counts(place, name):
    before = stamp(place)
    (place / name).write_text(FILES[name] + " changed")
    assert stamp(place) != before


@pytest.mark.parametrize("name", ["work/results/figures/a.png", "work/results/claims.csv", "checkout/report/cones.rst"])
def test_a_lost_file_counts(place, name):
    before = stamp(place)
    (place / name).unlink()
    assert stamp(place) != before


def test_a_result_made_again_counts(place):
    before = stamp(place)
    os.utime(place / "work/results/figures/a.png", ns=(1, 1))
    assert stamp(place) != before


def test_other_arguments_count(place):
    assert stamp(place, "--config", "seed=2") != stamp(place)


def test_the_report_and_the_times_of_sources_do_not_count(place):
    before = stamp(place)
    (place / "work/results/report.html").write_text("another")
    (place / "work/results/report/bell.html").write_text("another")
    os.utime(place / "checkout/Snakefile", ns=(1, 1))
    assert stamp(place) == before


def test_words_that_can_be_no_path_count_as_words(place):
    long = f"x={'a' * 5000}"
    assert stamp(place, "--config", long) != stamp(place, "--config", f"{long}b")
