"""The pages of the documentation, and what stands in them: fenced blocks, links, headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in path.parts
}
FENCE = re.compile(r"^( *)(`{3,})(\S*)\s*$")
MARKER = re.compile(r"<!-- not run: (.*?) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        place: page and line. end: line of the closing fence. language: as the fence says.
        text: without the fence's own indentation.
        reason: why it is not tried, of the marker above it; empty for none.
        file: name that its first line gives it, as in `# my_model.py`; empty for none.
    """

    place: str
    end: int
    language: str
    text: str
    reason: str

    @property
    def file(self) -> str:
        found = re.match(r"# ([\w./-]+\.(?:py|yaml))\n", self.text)
        return found[1] if found else ""


def read(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks(page: str, language: str | None = None) -> list[Block]:
    """Fenced blocks of a page in order, of one language or of all."""
    found, opened = [], None
    lines = read(page).split("\n")
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                above = next((text for text in reversed(lines[: number - 1]) if text.strip()), "")
                marker = MARKER.search(above)
                opened = (number, fence[1], fence[2], fence[3], marker[1] if marker else "", [])
            continue
        start, indent, ticks, kind, reason, inside = opened
        if fence and fence[2] == ticks and not fence[3]:
            found.append(Block(f"{page}:{start}", number, kind, "\n".join(inside) + "\n", reason))
            opened = None
        else:
            inside.append(line.removeprefix(indent))
    assert opened is None, f"{page}: a fence is left open"
    return [block for block in found if language in (None, block.language)]


def output(page: str, block: Block) -> Block | None:
    """The block of text that stands right below another one."""
    for other in blocks(page, "text"):
        between = read(page).split("\n")[block.end : int(other.place.rpartition(":")[2]) - 1]
        if int(other.place.rpartition(":")[2]) > block.end and not "".join(between).strip():
            return other
    return None


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    kept, ticks = [], ""
    for line in read(page).split("\n"):
        fence = FENCE.match(line)
        if fence and not ticks:
            ticks = fence[2]
        elif fence and fence[2] == ticks:
            ticks = ""
        elif not ticks:
            kept.append(line)
    return "\n".join(kept)


def anchors(page: str) -> set[str]:
    """Names that Git hosts give a page's headings."""
    names: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.M):
        plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading.strip().lower())
        names.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return names
