"""HTML pages as tests look at them: well formed, with links that lead somewhere."""

from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
# What ends a paragraph by itself, so that its end tag would be one too many.
NOT_IN_P = {
    "p",
    "div",
    "section",
    "table",
    "ul",
    "ol",
    "dl",
    "pre",
    "details",
    "form",
    "figure",
    "h1",
    "h2",
    "h3",
    "nav",
}
LOADED = {("img", "src"), ("script", "src"), ("iframe", "src"), ("link", "href"), ("source", "src"), ("object", "data")}


class Page(HTMLParser):
    """A page read strictly: text, ids, links, what it loads, and attributes of each element by tag."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.text = ""
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.elements: dict[str, list[dict[str, str | None]]] = {}
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self._open, f"{path.name}: {self._open} are not closed"

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"{self.path.name}: <{tag}> has an attribute twice"
        assert not ("p" in self._open and tag in NOT_IN_P), f"{self.path.name}: <{tag}> in a paragraph"
        self.text += " " if tag in {"td", "th"} else ""
        values = dict(attributes)
        self.elements.setdefault(tag, []).append(values)
        self.ids += [values["id"]] if "id" in values else []
        for name in {"src", "href", "data", "action", "poster", "srcset"} & values.keys():
            (self.loaded if (tag, name) in LOADED else self.links).append(values[name])

    def handle_endtag(self, tag):
        assert self._open, f"{self.path.name}: </{tag}> ends nothing"
        assert self._open.pop() == tag, f"{self.path.name}: </{tag}> ends another element"

    def handle_data(self, text):
        self.text += text

    def words(self) -> str:
        return " ".join(self.text.split())


def check_pages(paths: Iterable[Path]) -> dict[str, Page]:
    """The pages by name, after checks that they are well formed and lead nowhere in vain, least of all to a network."""
    pages = {path.resolve(): Page(path) for path in paths}
    for path, page in pages.items():
        assert page.path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
        assert len(page.ids) == len(set(page.ids)), f"{path.name}: {sorted(page.ids)} are not unique"
        assert page.elements["html"][0]["lang"]
        for image in page.elements.get("img", []):
            assert image["alt"], path.name
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            assert not parts.netloc, f"{path.name}: {link} needs a network"
            if parts.scheme == "data":
                continue
            assert not parts.scheme, f"{path.name}: {link}"
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link} leads nowhere"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path.name}: {link} has no such place"
    return {path.name: page for path, page in pages.items()}
