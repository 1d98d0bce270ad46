"""A small run as the report sees it: what every kind of item has, its files, and its pages."""

import csv
import functools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import yaml
from PIL import Image

from pipeline.config.schema import resolve
from pipeline.report.run import PLACE, Item, Job, Run
from tests.html_pages import Page, check_pages

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


@functools.cache
def default_config() -> dict:
    return resolve(yaml.safe_load((ROOT / "config.yaml").read_text()))


def run_in(folder: Path) -> Run:
    """The run, with all its files in a folder."""
    for one in ITEMS:
        for name in (one.path, *one.beside, *one.inputs):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x,y\n1,2\n")
        if one.path.endswith(".png"):
            Image.new("RGB", (30, 20)).save(folder / one.path)
    write_rows(folder / "results/claims.csv", [CLAIM, CLAIM | {"id": "smaller/C-2", "verdict": "reproduced"}])
    write_rows(folder / "results/benchmarks/a.tsv", [{"s": "90", "cpu_time": "80", "max_rss": "NA"}], "\t")
    write_rows(folder / "results/benchmarks/b.tsv", [{"s": "35", "cpu_time": "30", "max_rss": "100"}], "\t")
    (folder / "results/provenance.json").write_text(json.dumps(PROVENANCE))
    artefacts = ["bell/dropout", "bell/zoo", "mine/first"]
    jobs = [Job("train", {"model": name}, f"results/benchmarks/{name}.tsv") for name in ("a", "b", "unknown")]
    return Run(folder, {**default_config(), "seed": 7, "artefacts": artefacts}, ITEMS, tuple(jobs), "About *this*.")


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
