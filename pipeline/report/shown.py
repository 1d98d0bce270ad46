"""What pages show of a run's figures, pages and tables: in which order, under which headings, with which links."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from PIL import Image

from pipeline.report.captions import rendered
from pipeline.report.run import Item
from pipeline.report.tables import Table, TableError, read_table

CLAIMS = "Claims"
# Sources by the folder of their artefacts, in the order of the report; a rule's category says which part it is.
FOLDERS = ("bell", "tanay", "seguin", "note")
BEYOND, BEYOND_TITLE = "beyond", "Beyond the sources"
OWN_TITLE = "Figures and tables of your own"
# CSS pixels an inch: text of 7 points is then as large in figures as on the page. Dots an inch where a file names none.
SCREEN, DPI = 160, 300
NUMBERED = re.compile(r"(figure|table)_?([a-z]?)0*(\d+)(?:_(.+))?")


@dataclass(frozen=True)
class Link:
    """A link and its words; without an address where the file is not there."""

    text: str
    href: str | None


@dataclass(frozen=True)
class Shown:
    """An item as a page shows it.

    Attributes:
        item: what the run knows of it. anchor: its id. heading, subheading: see `headings`.
        kind: "figure", "page" or "table". missing: whether its file is not there. problem: why it cannot be shown.
        alt: words in place of the picture. size: width and height of the picture on a screen.
    """

    item: Item
    anchor: str
    heading: str
    subheading: str
    kind: str
    missing: bool
    problem: str
    caption: Markup
    alt: str
    href: str
    size: tuple[int, int] | None
    table: Table | None
    downloads: list[Link]
    inputs: list[Link]
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """A page of the report: the items of a source, or of a part of it, by their ids on the page."""

    title: str
    file: str
    items: dict[str, Item]


class Anchors:
    """Ids of one page: letters, digits and underscores of a name, with a number where that is taken."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, name: str) -> str:
        wanted = slug(name)
        found = next(text for n in range(1, len(self._taken) + 2) if (text := _numbered(wanted, n)) not in self._taken)
        self._taken.add(found)
        return found


def _numbered(text: str, number: int) -> str:
    return text if number == 1 else f"{text}-{number}"


def slug(name: str) -> str:
    """A name as part of an address."""
    return re.sub(r"\W+", "-", name).strip("-") or "unnamed"


def by_anchor(items: Sequence[Item]) -> dict[str, Item]:
    """Items of a page by their ids."""
    anchors = Anchors()
    return {anchors(str(Path(item.path).with_suffix("")).removeprefix("results/")): item for item in items}


def address(path: Path, page: Path) -> str:
    """How a page links to a file."""
    return quote(Path(os.path.relpath(path, page.parent)).as_posix())


def sections(items: Sequence[Item], artefacts: Sequence[str]) -> list[Section]:
    """Pages in the order of the sources, each with its items in the source's order.

    Figures come before tables, those that the source numbers before others, and these as the configuration lists them.
    """
    categories = {item.category for item in items}
    by_title: dict[str, list[Item]] = {}
    for item in items:
        if item.category != CLAIMS:
            by_title.setdefault(_title(item, categories), []).append(item)
    places = {name: place for place, name in enumerate(artefacts)}
    return [
        Section(title, f"{slug(title.partition(':')[0]).lower()}.html", by_anchor(sorted(found, key=_order(places))))
        for title, found in sorted(by_title.items(), key=lambda pair: _place(pair[0]))
    ]


def _title(item: Item, categories: set[str]) -> str:
    folder = item.name.partition("/")[0]
    if folder == BEYOND:
        return BEYOND_TITLE
    if folder not in FOLDERS:
        return OWN_TITLE
    if item.category.lower().startswith(folder):
        return item.category
    # A kind of figure that another source has too.
    return next((one for one in sorted(categories) if one.lower().startswith(folder)), folder.capitalize())


def _place(title: str) -> tuple[int, str]:
    number = next((n for n, folder in enumerate(FOLDERS) if title.lower().startswith(folder)), len(FOLDERS))
    return number + (title == OWN_TITLE), title


def _order(places: Mapping[str, int]) -> Callable[[Item], tuple[Any, ...]]:
    def order(item: Item) -> tuple[Any, ...]:
        number = NUMBERED.fullmatch(item.name.rpartition("/")[2])
        in_source = (0, number[2], int(number[3]), number[4] or "") if number else (1, "", 0, "")
        return (item.path.endswith(".csv"), *in_source, places.get(item.name, len(places)), item.path)

    return order


def headings(item: Item) -> tuple[str, str]:
    """What stands above an item and below that: its number and what it shows, or what it shows and its name."""
    label = item.label[:1].upper() + item.label[1:]
    number = NUMBERED.fullmatch(item.name.rpartition("/")[2])
    if not number:
        return label, item.name
    letter = f"{number[2].upper()}." if number[2] else ""
    more = f" ({number[4].replace('_', ' ')})" if number[4] else ""
    return f"{number[1].capitalize()} {letter}{number[3]}{more}", label


def show(item: Item, anchor: str, folder: Path, page: Path, section: str, results: Mapping[str, Any]) -> Shown:
    """An item as a page shows it.

    Args:
        item: what the run knows of it. anchor: its id on the page. folder: of the run. page: that shows it.
        section: its title, for `alt`.
        results: what provenance.json says of each result.

    Raises:
        CaptionError: the caption has a mistake.
    """
    path = folder / item.path
    heading, subheading = headings(item)
    kind = {".csv": "table", ".html": "page"}.get(path.suffix, "figure")
    missing = not path.is_file()
    table, size, problem = None, None, ""
    try:
        if kind == "table" and not missing:
            table = read_table(path)
        elif kind == "figure" and not missing:
            with Image.open(path) as image:
                size = _on_screen(image)
    except TableError as error:
        problem = said(error, folder)
    except OSError:
        problem = f"{item.path}: not a readable picture"
    names = {
        ".html": "on a page of its own",
        ".png": "PNG",
        ".pdf": "PDF",
        ".svg": "SVG",
        ".csv": "numbers (CSV)" if kind == "figure" else "CSV",
    }
    files = [item.path, *item.beside]
    return Shown(
        item,
        anchor,
        heading,
        subheading,
        kind,
        missing,
        problem,
        rendered(item.caption, item.caption_file, anchor, snakemake=item.job),
        f"{section.partition(':')[0]}, {heading}: {subheading}",
        address(path, page),
        size,
        table,
        [Link(names.get(Path(file).suffix, file), existing(file, folder, page)) for file in files],
        [Link(file, existing(file, folder, page)) for file in item.inputs],
        results.get(item.path, {}),
    )


def _on_screen(image: Image.Image) -> tuple[int, int]:
    """Width and height in CSS pixels at which text is as large in all figures of one style, whatever their size."""
    per_inch = image.info.get("dpi", (DPI, DPI))
    across, down = (round(SCREEN * pixels / dots) for pixels, dots in zip(image.size, per_inch, strict=True))
    return across, down


def said(error: Exception, folder: Path) -> str:
    """An error's words, with paths as from a run's folder."""
    return str(error).replace(f"{folder}{os.sep}", "")


def existing(file: str, folder: Path, page: Path) -> str | None:
    """How a page links to a file of a run; None where there is none."""
    return address(folder / file, page) if (folder / file).exists() else None
