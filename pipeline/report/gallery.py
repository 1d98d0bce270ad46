"""docs/gallery.md and its pictures from a finished run: `python -m pipeline.report.gallery [RESULTS] [DOCS]`."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from pipeline.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    "bell": "Bell, *Neighborhoods of Adversarial Examples*",
    "tanay": "Tanay, on boundary tilting",
    "note": "The sensitivity note",
    "seguin": "Seguin et al., on logits",
    "beyond": "Beyond the sources",
}
# Pixels of a picture's width at most, and its colours: all pictures together stay below 6 MB.
WIDTH = 900
COLOURS = 192
# What of an entry says what is drawn, in this order.
SUBJECT = ("dataset", "model", "attack", "network", "study", "classes")

HEAD = """# Gallery

Written by `make gallery` from the run of commit {commit}. Captions say what is seen. The run's report also says
what was published, with which parameters and in what time; `results/figures/NAME.csv` has the numbers drawn.
"""


class GalleryError(UserError):
    """A run that no gallery can be made of."""


def write_gallery(results: Path, docs: Path) -> list[str]:
    """Write the page and its pictures, smaller than the run's own; names of the figures that are shown.

    Args:
        results: folder of a finished run. docs: folder that gets gallery.md and gallery/.

    Raises:
        GalleryError: no record of a run, or one without figures.
    """
    try:
        record = json.loads((results / "provenance.json").read_text(encoding="utf-8"))
        config, commit = record["config"], record["code"]["commit"]
        entries = {name: config["figures"]["catalogue"].get(name) for name in config["artefacts"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GalleryError(f"{results}/provenance.json: expected the record of a finished run ({error})") from error
    shown = {
        name: entry for name, entry in entries.items() if entry and (results / "figures" / f"{name}.png").is_file()
    }
    if not shown:
        raise GalleryError(f"{results}/figures: expected figures of the run that provenance.json records, found none")
    (docs / "gallery").mkdir(parents=True, exist_ok=True)
    for name in shown:
        _shrink(results / "figures" / f"{name}.png", docs / "gallery" / _picture(name))
    lines = [HEAD.format(commit=(commit or "unknown")[:12]), *_sections(shown)]
    (docs / "gallery.md").write_text("\n".join(lines), encoding="utf-8")
    return list(shown)


def _picture(name: str) -> str:
    return f"{name.replace('/', '_')}.png"


def _shrink(source: Path, target: Path) -> None:
    try:
        with Image.open(source) as opened:
            picture = Image.alpha_composite(Image.new("RGBA", opened.size, "white"), opened.convert("RGBA"))
    except (OSError, UnidentifiedImageError) as error:
        raise GalleryError(f"{source}: expected a picture ({error})") from error
    picture.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
    small = picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(target, optimize=True)


def _sections(shown: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    own = [name for name in shown if name.split("/")[0] not in SOURCES]
    for source, title in SOURCES.items():
        names = [name for name in shown if name.split("/")[0] == source]
        yield from _section(title, names, shown)
    yield from _section("Figures of your own", own, shown)


def _section(title: str, names: list[str], shown: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if names:
        yield f"## {title}\n"
    for name in sorted(names):
        entry = shown[name]
        subject = ", ".join(f"{key} `{entry[key]}`" for key in SUBJECT if key in entry)
        yield f"### {name}\n"
        yield f"![{name}](gallery/{_picture(name)})\n"
        yield f"{_caption(entry['plot'])}\n"
        yield f"Plot `{entry['plot']}`{': ' if subject else ''}{subject}.\n"


def _caption(plot: str) -> str:
    """The first paragraph of the report's caption, without the sentences that only a run can fill in."""
    file = ROOT / "report" / f"{plot}.rst"
    text = file.read_text(encoding="utf-8").split("\n\n")[0] if file.is_file() else ""
    sentences = re.split(r"(?<=[.:;]) (?=[A-Z])", " ".join(text.split()))
    plain = [sentence for sentence in sentences if "{{" not in sentence and "{%" not in sentence]
    return " ".join(plain).replace("``", "`").replace("*", r"\*")


if __name__ == "__main__":
    if len(sys.argv) > 3:
        sys.exit("usage: python -m pipeline.report.gallery [RESULTS] [DOCS]")
    folders = [Path(argument) for argument in sys.argv[1:]]
    try:
        names = write_gallery(*folders, *[Path("results"), Path("docs")][len(folders) :])
    except GalleryError as error:
        sys.exit(f"gallery: {error}")
    print(f"gallery: docs/gallery.md with {len(names)} figures")
