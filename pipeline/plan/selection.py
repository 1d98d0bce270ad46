"""What a configuration asks for: results, artefacts, and names by kind."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from pipeline.plan.catalogue import (
    ATLAS,
    NAMED_PLOTS,
    NAMED_TABLES,
    PAGES,
    PAIRED,
    PLOT_KERNEL,
    PLOT_PAIR,
    PLOT_SINGLE,
    PLOT_STAGE,
    PUBLISHED_WEIGHTS,
    ROW_PLOTS,
    SINGLE,
    WITH_NATURAL,
)
from pipeline.plan.logit_studies import study_graph
from pipeline.plan.named_networks import names_shown, networks_behind
from pipeline.plan.paths import (
    cell_path,
    data_path,
    decay_path,
    interpolated_path,
    kernel_path,
    model_path,
    natural_path,
    plane_path,
    tilting_path,
    zoo_path,
)
from pipeline.plan.study_artefacts import STUDY_TABLES, results_behind

Config = Mapping[str, Any]


def kernel_paths(config: Config) -> list[str]:
    """Kernels that the configuration asks for."""
    return [kernel_path(network, "kernel") for network in config["path_kernel"]["run"]]


def measured_paths(config: Config, measure: str) -> list[str]:
    """Results of one measurement that the experiments ask for."""
    return [
        cell_path(measure, item["dataset"], item["model"], item["attack"])
        for item in config["experiments"]
        if measure in item["measure"]
    ]


def artefact_paths(config: Config, source: str | None = None) -> list[str]:
    """Figures (as PNG, interactive ones as HTML) and tables of the chosen artefacts, of one source or of all."""
    return [artefact_path(config, name) for name in config["artefacts"] if source in (None, name.split("/")[0])]


def beside_formats(config: Config) -> list[str]:
    """What is written beside the PNG of every figure: other formats, and the numbers that it draws."""
    return [*(kind for kind in config["figures"]["formats"] if kind != "png"), "csv"]


def beside_paths(config: Config, source: str | None = None) -> list[str]:
    """What is written beside the PNGs of the chosen figures.

    Asked for by name, so that a file that was taken away, or a format that was added, is made.
    """
    figures = [path.removesuffix("png") for path in artefact_paths(config, source) if path.endswith(".png")]
    return [f"{figure}{kind}" for figure in figures for kind in beside_formats(config)]


def artefact_path(config: Config, name: str) -> str:
    """Where an artefact of the catalogues lies."""
    if name in config["tables"]:
        return f"results/tables/{name}.csv"
    kind = "html" if config["figures"]["catalogue"][name]["plot"] in PAGES else "png"
    return f"results/figures/{name}.{kind}"


def pair_paths(config: Config, pairs: Sequence[str]) -> list[str]:
    """Paths of classifiers between the classes of each pair."""
    return [tilting_path(config["tilting"]["dataset"], pair) for pair in pairs]


def atlas_pairs(config: Config, name: str) -> list[str]:
    """Pairs of classes that a figure or table of several shows: its own, or those of `tilting`."""
    entry = config["tables"].get(name) or config["figures"]["catalogue"][name]
    return list(entry.get("pairs") or config["tilting"]["pairs"])


def atlas_artefacts(config: Config) -> list[str]:
    """Figures and tables that show every pair of `tilting`, chosen or not."""
    entries = {name: entry["table"] for name, entry in config["tables"].items()}
    entries |= {name: entry["plot"] for name, entry in config["figures"]["catalogue"].items()}
    return [artefact_path(config, name) for name, kind in entries.items() if kind == "tilting_atlas"]


# Dataset, model, attack and stage.
Cell = tuple[str, str, str, str]


def result_paths(config: Config) -> list[str]:
    """Every result that the experiments and the chosen artefacts rest on, intermediate ones too.

    Asked for by name, so that one that a killed run took away is made again: Snakemake leaves a missing
    intermediate file alone while what was made from it is there.
    """
    cells: set[Cell] = {
        (item["dataset"], item["model"], item["attack"], stage)
        for item in config["experiments"]
        for stage in item["measure"]
    }
    paths: set[str] = set()
    for name in config["artefacts"]:
        behind = _behind_table if name in config["tables"] else _behind_figure
        found, shown = behind(config, name)
        paths |= found
        cells |= shown
    for dataset, model, attack, stage in cells:
        paths |= {data_path(dataset), model_path(dataset, model)}
        paths |= {cell_path(folder, dataset, model, attack) for folder in ("attacks", stage)}
        if stage in WITH_NATURAL:
            paths.add(natural_path(dataset, model, config["attacks"][attack]["natural_images"]))
    for study in config["logits"]["run"]:
        paths |= set(study_graph(config, study))
    for network in config["path_kernel"]["run"]:
        paths |= _behind_kernel(config, network, "kernel")
    return sorted(paths)


def _behind_table(config: Config, name: str) -> tuple[set[str], set[Cell]]:
    """Results that a table rests on, and cells."""
    entry = config["tables"][name]
    kind = entry["table"]
    if kind in NAMED_TABLES:
        section = NAMED_TABLES[kind]
        surfaces = {SINGLE["logit_surfaces"]} if section == "logit_model" else set()
        return networks_behind(config, section, names_shown(config, section, entry)) | surfaces, set()
    if kind in STUDY_TABLES:
        return results_behind(config, entry), set()
    if kind in ATLAS:
        return _behind_pairs(config, atlas_pairs(config, name)), set()
    dataset, models = entry["dataset"], list(entry["rows"].values())
    cells: set[Cell] = set()
    if kind == "persistence_by_network":
        cells = {(dataset, model, entry["attack"], "persistence") for model in models}
    if kind in PAIRED:
        cells = {(dataset, model, attack, PAIRED[kind]) for model, attack in product(models, paired_attacks(entry))}
    return {model_path(dataset, model) for model in models}, cells


def _behind_figure(config: Config, name: str) -> tuple[set[str], set[Cell]]:
    """Results that a figure rests on, and cells."""
    entry = config["figures"]["catalogue"][name]
    plot = entry["plot"]
    if plot == "class_frequencies_of_cells":
        panels = entry["panels"].values()
        return set(), {(entry["dataset"], panel["model"], panel["attack"], "stability") for panel in panels}
    if plot in PLOT_STAGE:
        return set(), _cells_of_figure(entry)
    if plot in NAMED_PLOTS:
        section = NAMED_PLOTS[plot]
        single = {SINGLE[PLOT_SINGLE[plot]]} if plot in PLOT_SINGLE else set()
        return networks_behind(config, section, names_shown(config, section, entry)) | single, set()
    return _results_of_figure(config, name), set()


def _results_of_figure(config: Config, name: str) -> set[str]:
    """Results behind a figure that shows no cells and no networks by name."""
    entry = config["figures"]["catalogue"][name]
    plot = entry["plot"]
    if "study" in entry:
        return results_behind(config, entry)
    if plot in PLOT_KERNEL:
        return _behind_kernel(config, entry["network"], PLOT_KERNEL[plot])
    if plot in PLOT_PAIR or plot in ATLAS:
        return _behind_pairs(config, [entry["classes"]] if plot in PLOT_PAIR else atlas_pairs(config, name))
    if plot in PLOT_SINGLE:
        return {SINGLE[PLOT_SINGLE[plot]]}
    if plot == "weight_decay":
        dataset = config["weight_decay"]["dataset"]
        return {data_path(dataset), decay_path(dataset)}
    if plot == "interpolated_weights":
        return {data_path(entry["dataset"]), interpolated_path(entry["dataset"], entry["model"])}
    if plot == "boundary_plane":
        names = (entry["dataset"], entry["model"])
        return {data_path(entry["dataset"]), model_path(*names), plane_path(*names)}
    if plot == "zoo":
        dataset, models = config["zoo"]["dataset"], config["zoo"]["models"].values()
        return {data_path(dataset), zoo_path(dataset)} | {model_path(dataset, model) for model in models}
    raise ValueError(f"it is not known what the plot {plot!r} rests on")


def _cells_of_figure(entry: Mapping[str, Any]) -> set[Cell]:
    plot, dataset = entry["plot"], entry["dataset"]
    models = entry["rows"].values() if plot in ROW_PLOTS else [entry["model"]]
    cells = {(dataset, model, entry["attack"], PLOT_STAGE[plot]) for model in models}
    if plot == "persistence_reexamined":
        cells.add((dataset, entry["model"], entry["attack"], "interpolation"))
    if plot == "sensitivity":
        cells |= {(dataset, entry["model"], attack, "persistence") for attack in entry["attacks"]}
    return cells


def _behind_kernel(config: Config, network: str, part: str) -> set[str]:
    dataset = config["path_kernel"]["networks"][network]["dataset"]
    return {data_path(dataset), kernel_path(network, "path"), kernel_path(network, part)}


def _behind_pairs(config: Config, pairs: Sequence[str]) -> set[str]:
    return {data_path(config["tilting"]["dataset"]), *pair_paths(config, pairs)}


def datasets_of(config: Config, *sources: str) -> list[str]:
    """Datasets that come from one of the sources."""
    return [name for name, entry in config["datasets"].items() if entry["source"] in sources]


def models_to_train(config: Config) -> list[str]:
    """Models without weights of their own."""
    return [name for name, entry in config["models"].items() if not entry["weights"]]


def models_with_weights(config: Config) -> list[str]:
    """Models whose weights come from a file."""
    given = {name: entry["weights"] for name, entry in config["models"].items()}
    return [name for name, weights in given.items() if weights and weights != PUBLISHED_WEIGHTS]


def models_published(config: Config) -> list[str]:
    """Models whose weights somebody published."""
    return [name for name, entry in config["models"].items() if entry["weights"] == PUBLISHED_WEIGHTS]


def tables_of(config: Config, table: str) -> list[str]:
    """Tables of one kind."""
    return [name for name, entry in config["tables"].items() if entry["table"] == table]


def artefacts_of(config: Config, plot: str) -> list[str]:
    """Catalogue entries that a kind of plot draws."""
    return [name for name, entry in config["figures"]["catalogue"].items() if entry["plot"] == plot]


def paired_attacks(entry: Mapping[str, Any]) -> list[str]:
    """Attacks of a table that has several for each network."""
    return list(entry["attack_rows"].values() if entry["table"] == "persistence_by_attack" else entry["attacks"])


def own_files(config: Config) -> list[tuple[str, str, str]]:
    """A user's own files: the key of each, its path, and each result of this configuration that it becomes."""
    made = result_paths(config)
    data, weights = datasets_of(config, "hdf5"), models_with_weights(config)
    files = [(f"datasets.{name}.file", config["datasets"][name]["file"], data_path(name)) for name in data]
    files += [
        (f"models.{name}.weights", config["models"][name]["weights"], model_path(dataset, name))
        for name in weights
        for dataset in config["datasets"]
    ]
    return [(key, file, path) for key, file, path in files if path in made]
