"""Figures that need no entry: `DATASET/PLOT` of the one experiment there, `NETWORK/PLOT` of a path kernel."""

from collections.abc import Mapping
from typing import Any

from pipeline.plan.catalogue import PLOT_KERNEL, PLOT_STAGE, ROW_PLOTS
from pipeline.wording import mapping

CELL = ("dataset", "model", "attack")
# Plots that show more than one cell, which a name cannot say.
MORE_THAN_A_CELL = (*ROW_PLOTS, "sensitivity")


def default_entries(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Entries of the catalogue for names of artefacts that have none and say what to draw."""
    return {name: found[0] for name, found in _candidates(config).items() if len(found) == 1}


def default_mistakes(config: Mapping[str, Any]) -> dict[str, str]:
    """By the name of an artefact that says what to draw, but not of which experiment: what is wrong."""
    mistakes = {}
    for name, found in _candidates(config).items():
        dataset, plot = name.split("/")
        expected = f"expected one experiment on {dataset} that measures {PLOT_STAGE.get(plot)} for '{name}'"
        if not found:
            mistakes[name] = f"{expected}, found none"
        elif len(found) > 1:
            mistakes[name] = f"{expected}, found {len(found)}; say which in figures.catalogue"
    return mistakes


def _candidates(config: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By the name of the artefact, what it could show."""
    known = {*mapping(mapping(config.get("figures")).get("catalogue")), *mapping(config.get("tables"))}
    asked = [name for key in ("artefacts", "further_artefacts") for name in _list(config.get(key))]
    networks = mapping(mapping(config.get("path_kernel")).get("networks"))
    found: dict[str, list[dict[str, Any]]] = {}
    for name in asked:
        subject, separator, plot = name.partition("/") if isinstance(name, str) else ("", "", "")
        if not separator or name in known:
            continue
        if plot in PLOT_KERNEL and subject in networks:
            found[name] = [{"plot": plot, "network": subject}]
        elif plot in PLOT_STAGE and plot not in MORE_THAN_A_CELL and subject in mapping(config.get("datasets")):
            cells = [_cell(item) for item in _list(config.get("experiments")) if _shows(mapping(item), subject, plot)]
            found[name] = [{"plot": plot, **cell} for i, cell in enumerate(cells) if cell not in cells[:i]]
    return found


def _shows(item: Mapping[str, Any], dataset: str, plot: str) -> bool:
    stage = PLOT_STAGE[plot]
    return item.get("dataset") == dataset and (stage == "attacks" or stage in _list(item.get("measure")))


def _cell(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item[key] for key in CELL if key in item}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
