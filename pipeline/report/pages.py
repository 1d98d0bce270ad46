"""Write the report: pages from templates, into a new folder that takes the place of the old one when all is there."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.claims.rule import CLAIMS as LEDGER
from pipeline.durations import duration
from pipeline.errors import UserError
from pipeline.provenance.history import PROVENANCE, SECRET, read_provenance
from pipeline.report import ledger, record
from pipeline.report.captions import rendered
from pipeline.report.run import Item, Run
from pipeline.report.shown import (
    CLAIMS,
    Anchors,
    Link,
    Section,
    Shown,
    address,
    by_anchor,
    existing,
    headings,
    said,
    sections,
    show,
)
from pipeline.report.tables import TableError
from pipeline.store import StoreError

START, FOLDER, STAMP = Path("results/report.html"), Path("results/report"), ".stamp"
KEYS = ("run", "code", "versions", "hardware", "seed", "results")
ASSETS = ("report.css", "report.js")
# Pages after those of the sources: title, file and template.
LAST = (("Parameters", "parameters.html"), ("Provenance", "provenance.html"), ("Runtimes", "runtimes.html"))


class ReportError(UserError, OSError):
    """The report cannot be written."""


def write_report(run: Run, root: Path, stamp: str) -> tuple[int, int]:
    """Write the report of a run, whole or not at all.

    Args:
        run: what it shows. root: the checkout, which holds templates and the default configuration. stamp: what is
            written beside it, which tells whether it would be another one.

    Returns:
        How many figures, pages and tables it shows, and how many the run would have besides.

    Raises:
        ReportError: files cannot be written.
        CaptionError: a caption has a mistake.
    """
    start, folder = run.folder / START, run.folder / FOLDER
    with _replacing(folder, start) as new:
        pages = _Pages(run, root, new)
        for asset in ASSETS:
            shutil.copyfile(root / "styles" / "report" / asset, new / asset)
        shown = [one for section in pages.sections for one in pages.write_section(section)]
        shown += pages.write_start()
        pages.write_record()
        (new / STAMP).write_text(f"{stamp}\n", encoding="utf-8")
    missing = sum(one.missing for one in shown)
    return len(shown) - missing, missing


@contextlib.contextmanager
def _replacing(folder: Path, start: Path) -> Iterator[Path]:
    """A temporary folder that replaces one, with a file in it that replaces another, when the block ends well."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=folder.parent) as name:
            new = Path(name) / "new"
            new.mkdir()
            yield new
            if folder.exists():
                os.replace(folder, Path(name) / "old")
            os.replace(new, folder)
            os.replace(folder / start.name, start)
    except OSError as error:
        raise ReportError(f"{folder}: the report cannot be written ({error.strerror or error})") from error


class _Pages:
    """All pages of one report."""

    def __init__(self, run: Run, root: Path, new: Path) -> None:
        self.run, self.root, self.new = run, root, new
        self.sections = sections(run.items, run.config["artefacts"])
        self.problems: list[str] = []
        self.provenance: dict[str, Any] = {}
        try:
            self.provenance = read_provenance(run.folder)
            if not self.provenance.keys() >= set(KEYS):
                raise StoreError(f"{PROVENANCE}: expected {', '.join(KEYS)}; found {', '.join(self.provenance)}")
        except StoreError as error:
            self.problems.append(said(error, run.folder))
            self.provenance = {}
        self.results = self.provenance.get("results", {})
        self.environment = Environment(
            loader=FileSystemLoader(root / "styles" / "report"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self.environment.filters |= {"duration": duration, "without_secrets": lambda text: SECRET.sub("", str(text))}
        self.places = {
            file: Link(headings(item)[0], f"{FOLDER.name}/{section.file}#{quote(anchor)}")
            for section in self.sections
            for anchor, item in section.items.items()
            for file in (item.path, *item.beside)
        }

    def write_section(self, section: Section) -> list[Shown]:
        """The page of a source; what it shows."""
        page = self.run.folder / FOLDER / section.file
        shown = [self._show(item, anchor, page, section.title) for anchor, item in section.items.items()]
        self._write(section.file, "section.html", section.title, {"section": section, "shown": shown})
        return shown

    def write_start(self) -> list[Shown]:
        """The first page, with the ledger; what it shows of figures and tables besides the ledger itself."""
        page = self.run.folder / START
        marked = by_anchor([item for item in self.run.items if item.category == CLAIMS])
        shown = [self._show(item, anchor, page, CLAIMS) for anchor, item in marked.items()]
        found, problem = None, ""
        anchors = Anchors()
        try:
            found = ledger.read_ledger(self.run.folder / LEDGER, anchors)
        except TableError as error:
            problem = said(error, self.run.folder)
        values = {
            "figures": [one for one in shown if one.item.path != LEDGER and "/" not in one.item.name],
            "groups": [one for one in shown if "/" in one.item.name],
            "ledger_file": next((one for one in shown if one.item.path == LEDGER), None),
            "ledger": found,
            "problem": problem,
            "marks": ledger.MARKS,
            "not_run": ledger.NOT_RUN,
            "evidence": self._evidence(page),
            "description": rendered(self.run.description, "report/workflow.rst", "about", snakemake=self.run),
        }
        self._write(START.name, "start.html", "Claims", values)
        return shown

    def _show(self, item: Item, anchor: str, page: Path, title: str) -> Shown:
        return show(item, anchor, self.run.folder, page, title, self.results)

    def _evidence(self, page: Path) -> Callable[[str], tuple[str, Link]]:
        """For an entry of evidence: where it leads from the first page, to a "place" in the report, to a "file" or,
        for "words", nowhere; and the link."""

        def link(entry: str) -> tuple[str, Link]:
            if entry in self.places:
                return "place", self.places[entry]
            if not ledger.is_result(entry):
                return "words", Link(entry, None)
            return "file", Link(entry.removeprefix("results/"), existing(entry, self.run.folder, page))

        return link

    def write_record(self) -> None:
        """Parameters, provenance and runtimes."""
        page = self.run.folder / FOLDER / LAST[0][1]
        times = record.job_times(self.run.folder, self.run.jobs)
        values: Mapping[str, Mapping[str, Any]] = {
            "parameters.html": {
                "changes": record.changes(self.run.config, self.root),
                "settings": record.settings_text(self.run.config),
            },
            "provenance.html": {
                "file": address(self.run.folder / PROVENANCE, page),
                "files": [(existing(name, self.run.folder, page), name, entry) for name, entry in self.results.items()],
            },
            "runtimes.html": {
                "times": times,
                "rules": record.rule_times(times),
                "unknown": len([job for job in self.run.jobs if job.benchmark]) - len(times),
            },
        }
        for title, file in LAST:
            self._write(file, file, title, values[file])

    def _write(self, file: str, template: str, title: str, values: Mapping[str, Any]) -> None:
        """A page; links lead from its place in the end."""
        start = file == START.name
        up, down = ("", f"{FOLDER.name}/") if start else ("../", "")
        pages = [(CLAIMS, f"{up}{START.name}", start)]
        pages += [(one.title.partition(":")[0], f"{down}{one.file}", one.file == file) for one in self.sections]
        pages += [(name, f"{down}{one}", one == file) for name, one in LAST]
        text = self.environment.get_template(template).render(
            title=title,
            pages=pages,
            assets=down,
            results=up,
            provenance=self.provenance,
            problems=self.problems,
            sections=self.sections,
            run=self.run,
            **values,
        )
        (self.new / file).write_text(text, encoding="utf-8")
