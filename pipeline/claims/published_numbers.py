"""Numbers that the sources print, by their places in the files of `published/`, e.g. "bell/table1/FC10-4/natural"."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.yaml_files import read_yaml

SOURCES = ("bell", "tanay", "seguin", "anchors")

# Section of a file with what was set and not measured.
SETTINGS = "protocol"


@dataclass(frozen=True)
class Published:
    """What the ledger takes of a source's numbers for one part of a claim.

    Attributes:
        value: the number, None where the source prints limits only.
        arguments: of the statistic: the number's standard deviation, or others by name.
        places: of all numbers taken.
    """

    value: float | None
    arguments: Mapping[str, float]
    places: tuple[str, ...]


def number_files(root: Path) -> list[Path]:
    """Files of published numbers of a checkout, those that are there."""
    paths = [root / "published" / f"{source}.yaml" for source in SOURCES]
    return [path for path in paths if path.is_file()]


def read_numbers(root: Path) -> dict[str, dict[str, float]]:
    """Every number but settings, by its place: its `value`, and its `deviation` where the source prints one."""
    return {place: found for path in number_files(root) for place, found in _numbers(path.stem, read_yaml(path))}


def take(wanted: Any, numbers: Mapping[str, Mapping[str, float]], part: Mapping[str, Any]) -> Published:
    """What an entry of the ledger wants.

    Args:
        wanted: the place of a number; or places by name: `of` the number, `over` one that it is divided by, others for
            arguments of the statistic; or None. part: its keys may stand in places, as {network}.

    Raises:
        KeyError: no number is there.
    """
    places = {} if wanted is None else wanted if isinstance(wanted, Mapping) else {"of": wanted}
    places = {name: str(place).format_map(part) for name, place in places.items()}
    found = {name: numbers[place] for name, place in places.items()}
    arguments = {name: number["value"] for name, number in found.items() if name not in ("of", "over")}
    if "of" not in found:
        return Published(None, arguments, tuple(places.values()))
    value = found["of"]["value"]
    if "over" in found:
        value /= found["over"]["value"]
    elif "deviation" in found["of"]:
        arguments["deviation"] = found["of"]["deviation"]
    return Published(value, arguments, tuple(places.values()))


def _numbers(place: str, node: Any) -> Iterator[tuple[str, dict[str, float]]]:
    if isinstance(node, Mapping) and "value" in node:
        yield place, {name: float(number) for name, number in node.items()}
    elif isinstance(node, Mapping):
        for key, inner in node.items():
            if key != SETTINGS:
                yield from _numbers(f"{place}/{key}", inner)
    elif isinstance(node, (int, float)):
        yield place, {"value": float(node)}
