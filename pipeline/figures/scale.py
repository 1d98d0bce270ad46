"""At which scale a figure is drawn, in words for its caption: data, networks and attacks."""

from collections.abc import Mapping
from typing import Any

from pipeline.data.sizes import sizes_of
from pipeline.plan.catalogue import ATLAS, NAMED_PLOTS, PLOT_PAIR, PLOT_SINGLE
from pipeline.plan.named_networks import names_shown
from pipeline.plan.study_comparison import scale_of

Config = Mapping[str, Any]

# Plots of all that a section of the same name measures on its dataset.
OF_A_SECTION = ("zoo", "weight_decay")


def figure_scale(config: Config, artefact: str) -> str:
    """E.g. "mnist5k (4,000 training and 1,000 test images); network fc-100-20-10; attack igsm-all".

    Args:
        config: resolved. artefact: a figure of its catalogue.

    Returns:
        Nothing for a figure that needs no data.
    """
    entry = config["figures"]["catalogue"][artefact]
    plot = entry["plot"]
    if plot in NAMED_PLOTS:
        return _named(config, NAMED_PLOTS[plot], entry)
    if "study" in entry:
        return _study(config, entry["study"])
    if plot in PLOT_PAIR or plot in ATLAS:
        tilting = config["tilting"]
        pairs = f"classes {entry['classes'].replace('v', ' and ')}" if "classes" in entry else "pairs of classes"
        return f"{_data(config, tilting['dataset'])}; {pairs}, up to {tilting['images']:,} images of each to train on"
    if "network" in entry:
        network = config["path_kernel"]["networks"][entry["network"]]
        samples = min(network["train_samples"], sizes_of(config, network["dataset"]).train)
        trained = f"trained in {network['steps']} steps on {samples:,} of them"
        of_layers = f"with {' and '.join(map(str, network.get('hidden', ())))} hidden units"
        kind = f"as model {network['model']}" if "model" in network else of_layers
        return f"{_data(config, network['dataset'])}; network {entry['network']} {kind}, {trained}"
    if plot in PLOT_SINGLE:
        return ""
    if plot in OF_A_SECTION:
        section = config[plot]
        names = f"; networks {', '.join(section['models'].values())}" if "models" in section else ""
        return f"{_data(config, section['dataset'])}{names}"
    return _cells(config, entry)


def _data(config: Config, dataset: str) -> str:
    sizes = sizes_of(config, dataset)
    kind = "images" if len(sizes.shape) == 3 else "points"
    if not sizes.train:
        return f"{dataset} ({sizes.test:,} test {kind})"
    return f"{dataset} ({sizes.train:,} training and {sizes.test:,} test {kind})"


def _study(config: Config, study: str) -> str:
    dataset = config["logits"]["studies"][study]["dataset"]
    words = scale_of(config, study).removeprefix(f"{dataset}, ")
    return f"{_data(config, dataset)}; study {study}: {words}"


def _named(config: Config, section: str, entry: Mapping[str, Any]) -> str:
    names = names_shown(config, section, entry)
    networks = [config[section]["networks"][name] for name in names]
    studies = dict.fromkeys(network["study"] for network in networks if "study" in network)
    datasets = dict.fromkeys(network["dataset"] for network in networks if "dataset" in network)
    parts = [*(_study(config, study) for study in studies), *(_data(config, dataset) for dataset in datasets)]
    return "; ".join([*parts, f"networks {', '.join(names)}"])


def _cells(config: Config, entry: Mapping[str, Any]) -> str:
    cells = [entry, *entry.get("panels", {}).values()]
    models = dict.fromkeys([*(cell["model"] for cell in cells if "model" in cell), *entry.get("rows", {}).values()])
    attacks = dict.fromkeys(cell["attack"] for cell in cells if "attack" in cell) | dict.fromkeys(
        entry.get("attacks", ())
    )
    parts = [_data(config, entry["dataset"])]
    for name, found in (("network", models), ("attack", attacks)):
        if found:
            parts.append(f"{name}{'s' if len(found) > 1 else ''} {', '.join(found)}")
    return "; ".join(parts)
