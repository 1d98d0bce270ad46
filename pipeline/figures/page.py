"""How every interactive page is written: one file that needs no network, equal bytes for equal results."""

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_hex
from plotly.offline import get_plotlyjs

from pipeline.figures.style import CLASSES, OTHER, STYLES, drawing
from pipeline.store import publishing

TEMPLATE = STYLES / "page.html"

# Decimals of coordinates on a page: a thousandth of a pixel's range.
DECIMALS = 3


def colours(style: str) -> dict[str, str]:
    """Hexadecimal colours of the two classes, for a page."""
    with drawing(style):
        return {
            name: to_hex(colour) for name, colour in (("first", CLASSES[0]), ("second", CLASSES[1]), ("other", OTHER))
        }


def write_page(output: str | Path, title: str, body: str, script: str, data: Mapping[str, Any]) -> None:
    """Write a page that needs no network: plotly's library, the data as JSON, and what draws them; whole or not at all.

    Raises:
        StoreError: the file cannot be written.
    """
    text = TEMPLATE.read_text(encoding="utf-8")
    values = {
        "@TITLE@": html.escape(title),
        "@BODY@": body,
        "@DATA@": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
        "@SCRIPT@": script,
        "@PLOTLY@": get_plotlyjs(),
    }
    # In one pass: plotly's library may hold a name of another part.
    text = re.sub("|".join(values), lambda found: values[found[0]], text)
    with publishing(Path(output)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def rounded(values: np.ndarray) -> list[Any]:
    """Nested lists of numbers with few decimals, which keep a page small."""
    return np.round(values.astype(float), DECIMALS).tolist()


def levels(images: np.ndarray) -> list[list[int]]:
    """Grey levels 0 to 255 of images [..., colours, rows, columns], one flat list an image; clipped to the range."""
    grey = images.mean(-3)
    return np.rint(255 * grey.clip(0, 1)).astype(int).reshape(*grey.shape[:-2], -1).tolist()
