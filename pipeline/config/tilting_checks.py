"""What a schema cannot say about the settings of boundary tilting."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.plan.catalogue import ATLAS, PLOT_PAIR
from pipeline.wording import mapping, nearest


def tilting_mistakes(config: Mapping[str, Any]) -> Iterator[str]:
    """Datasets that there are not, limits in the wrong order, and pairs of one class."""
    section, valid = mapping(config.get("tilting")), config.get("datasets")
    catalogues = {
        "figures.catalogue": mapping(mapping(config.get("figures")).get("catalogue")),
        "tables": mapping(config.get("tables")),
    }
    entries = {
        f"{where}.{name}": mapping(entry) for where, all_of in catalogues.items() for name, entry in all_of.items()
    }
    kinds = {str(entry.get(key)) for entry in entries.values() for key in ("plot", "table")}
    name, low, high = (section.get(key) for key in ("dataset", "alpha_min", "alpha_max"))
    if kinds & {*PLOT_PAIR, *ATLAS} and isinstance(valid, Mapping) and isinstance(name, str) and name not in valid:
        yield f"tilting.dataset: there is no dataset '{name}' in datasets{nearest(name, valid)}"
    if isinstance(low, float) and isinstance(high, float) and not low < high:
        yield f"tilting.alpha_min: expected a value below tilting.alpha_max ({high}), found {low}"
    decayed = mapping(config.get("weight_decay")).get("dataset")
    if "weight_decay" in kinds and isinstance(valid, Mapping) and isinstance(decayed, str) and decayed not in valid:
        yield f"weight_decay.dataset: there is no dataset '{decayed}' in datasets{nearest(decayed, valid)}"
    places = [("tilting.pairs", section.get("pairs"))]
    places += [(f"{where}.pairs", entry.get("pairs")) for where, entry in entries.items()]
    places += [(f"{where}.classes", [entry.get("classes")]) for where, entry in entries.items()]
    for where, pairs in places:
        for pair in pairs if isinstance(pairs, list) else []:
            first, separator, second = str(pair).partition("v")
            if separator and first == second:
                yield f"{where}: expected two different classes, found {pair}"
