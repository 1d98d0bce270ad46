"""How Sphinx builds the documentation: `make docs`. Needs no network."""

import re
import sys
from pathlib import Path
from typing import Any

from pygments.lexers.python import PythonLexer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "adversarial-neighborhoods"
author = "the authors of adversarial-neighborhoods"
version_of = (ROOT / "neighborhoods" / "__init__.py").read_text(encoding="utf-8")
release = re.search(r'^__version__ = "(.+)"$', version_of, re.M)[1]  # type: ignore[index]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
# Lines of other programs are no part of what is copied.
copybutton_prompt_text = "$ "

# Links to headings, by the names that Git hosts give them.
myst_heading_anchors = 4
# Shapes such as [n, classes] in docstrings are taken for types, of which there are several with the name n.
suppress_warnings = ["ref.python"]

default_role = "code"
autodoc_default_options = {"members": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Undefined names of this project are mistakes; those of others cannot be looked up without a network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!neighborhoods|pipeline).*"),
    # Private names and aliases of types have no entry.
    ("py:class", r"neighborhoods(\.\w+)+\._\w+|neighborhoods\.sensitivity\.factors\.Factors"),
]


def as_prose(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are prose: outside backticks and emphasis, stars, bars and underlines stand for themselves."""
    emphasis = r"((?<!\w)\*\w[^*]*\w\*(?!\w))"
    for number, line in enumerate(lines):
        parts = line.split("`")
        for place in range(0, len(parts), 2):
            pieces = re.split(emphasis, parts[place])
            pieces[::2] = [re.sub(r"([*|\\]|_(?!\w))", r"\\\1", piece) for piece in pieces[::2]]
            parts[place] = "".join(pieces)
        lines[number] = "`".join(parts)


def setup(app: Any) -> None:
    """Docstrings before napoleon, which makes markup of its own; rules in the colours of Python."""
    app.add_lexer("snakemake", PythonLexer)
    app.connect("autodoc-process-docstring", as_prose, priority=100)
