"""What decides each result, and where it lies: the `spec` of every rule, built from configuration and names.

A spec is a plain dict with sorted keys. It holds exactly the settings that can change the result, the
cell's seed, the thread count and the digest of the code. Two configurations that give the same spec give
the same bytes; nothing else belongs in it.
"""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from pipeline.attack_settings import ATTACK_SETTINGS
from pipeline.digest import code_digest
from pipeline.seeds import seed_for

Config = Mapping[str, Any]

# Script of each compute stage, and the parts of the configuration its result depends on.
SCRIPTS = {
    "mnist5k": "scripts/data/fetch_mnist5k.py",
    "mnist": "scripts/data/fetch_idx.py",
    "fashion_mnist": "scripts/data/fetch_idx.py",
    "cifar10": "scripts/data/fetch_cifar10.py",
    "imagenet20": "scripts/data/import_photos.py",
    "photos": "scripts/data/import_photos.py",
    "gaussians": "scripts/data/make_gaussians.py",
    "hdf5": "scripts/data/import_hdf5.py",
    "models": "scripts/train/train.py",
    "weights": "scripts/train/import_weights.py",
    "attacks": "scripts/attack/generate.py",
    "natural": "scripts/persistence/measure_natural.py",
    "persistence": "scripts/persistence/bracket.py",
    "stability": "scripts/persistence/sweep.py",
    "paths": "scripts/path_kernel/record.py",
    "path_kernel": "scripts/path_kernel/integrate.py",
    "kernel_study": "scripts/path_kernel/study.py",
    "kernel_map": "scripts/path_kernel/map.py",
    "kernel_variants": "scripts/path_kernel/vary.py",
    "kernel_agreement": "scripts/figures/kernel_agreement.py",
    "kernel_values": "scripts/figures/kernel_values.py",
    "kernel_neighbours": "scripts/figures/kernel_neighbours.py",
    "kernel_detection": "scripts/figures/kernel_detection.py",
    "kernel_relations": "scripts/figures/kernel_relations.py",
    "kernel_map_figure": "scripts/figures/kernel_map.py",
    "kernel_convergence": "scripts/figures/kernel_convergence.py",
    "kernel_signs": "scripts/figures/kernel_signs.py",
    "path_geometry": "scripts/path_kernel/measure_geometry.py",
    "importance": "scripts/path_kernel/rank_importance.py",
    "interpolated_weights": "scripts/path_kernel/interpolate_weights.py",
    "path_geometry_figure": "scripts/figures/path_geometry.py",
    "sample_importance": "scripts/figures/sample_importance.py",
    "datamodeling_score": "scripts/figures/datamodeling_score.py",
    "interpolated_weights_figure": "scripts/figures/interpolated_weights.py",
    "interpolation": "scripts/interpolation/trace.py",
    "asymmetry": "scripts/persistence/compare_sides.py",
    "sensitivity": "scripts/persistence/vary.py",
    "cones": "scripts/cones/measure.py",
    "norms": "scripts/norms/sample.py",
    "persistence_by_network": "scripts/tables/persistence_by_network.py",
    "network_layers": "scripts/tables/network_layers.py",
    "detection": "scripts/tables/detection.py",
    "attack_comparison": "scripts/tables/attack_comparison.py",
    "persistence_by_attack": "scripts/tables/persistence_by_attack.py",
    "persistence_along_line": "scripts/figures/persistence_along_line.py",
    "class_frequencies": "scripts/figures/class_frequencies.py",
    "persistence_histogram": "scripts/figures/persistence_histogram.py",
    "persistence_histograms": "scripts/figures/persistence_histograms.py",
    "class_frequencies_of_cells": "scripts/figures/class_frequencies_of_cells.py",
    "class_frequencies_by_target": "scripts/figures/class_frequencies_by_target.py",
    "adversarial_examples": "scripts/figures/adversarial_examples.py",
    "distortion_histogram": "scripts/figures/distortion_histogram.py",
    "asymmetry_figure": "scripts/figures/asymmetry.py",
    "sensitivity_figure": "scripts/figures/sensitivity.py",
    "cone_views": "scripts/figures/cone_views.py",
    "cone_persistence": "scripts/figures/cone_persistence.py",
    "norms_figure": "scripts/figures/norms.py",
}

# Numbers of the sources. Part of a table's digest and not an input, whose path would depend on the checkout's place.
PUBLISHED = {
    "persistence_by_network": Path("published") / "bell.yaml",
    "persistence_by_attack": Path("published") / "bell.yaml",
    "network_layers": Path("published") / "bell_table3.yaml",
}

# Settings of persistence that say what to measure, not how.
NOT_SAMPLING = ("gamma",)

# What each plot shows, besides its cell.
PLOT_SETTINGS = {
    "class_frequencies": ("target",),
    "persistence_along_line": ("pair", "gammas"),
    "adversarial_examples": ("examples", "amplify", "target"),
    "distortion_histogram": ("published",),
}

# The stage whose results each plot of a cell shows.
PLOT_STAGE = {
    "class_frequencies": "stability",
    "persistence_histogram": "persistence",
    "persistence_along_line": "interpolation",
    "class_frequencies_by_target": "stability",
    "persistence_histograms": "persistence",
    "adversarial_examples": "attacks",
    "distortion_histogram": "attacks",
    "asymmetry": "asymmetry",
    "sensitivity": "sensitivity",
}

# Measurements of no network, and the plots that show them.
SINGLE = {"cones": "results/cones/orthants.h5", "norms": "results/norms/gaussian_and_ball.h5"}
PLOT_SINGLE = {"cone_views": "cones", "cone_persistence": "cones", "norms": "norms"}

# The part of a path kernel's results that each plot of a network shows.
PLOT_KERNEL = {
    "kernel_agreement": "kernel",
    "kernel_values": "study",
    "kernel_neighbours": "study",
    "kernel_detection": "study",
    "kernel_relations": "study",
    "kernel_map": "map",
    "kernel_convergence": "variants",
    "kernel_signs": "variants",
    "path_geometry": "geometry",
    "sample_importance": "importance",
    "datamodeling_score": "importance",
}

# The stage that tables of several networks under several attacks read.
PAIRED = {"detection": "persistence", "attack_comparison": "attacks", "persistence_by_attack": "persistence"}

PHOTO_SETTINGS = ("train", "test", "only", "size", "resize", "interpolation")

# What the arrays of a dataset depend on, by its source; a file of one's own is an input of its rule.
DATA_SETTINGS = {
    "mnist5k": ("train", "test"),
    "mnist": ("source", "train", "test"),
    "fashion_mnist": ("source", "train", "test"),
    "cifar10": ("train", "test"),
    "imagenet20": PHOTO_SETTINGS,
    "photos": PHOTO_SETTINGS,
    "gaussians": ("means", "variance", "per_class"),
    "hdf5": (),
}

# What builds a network, by its architecture. Widths do not matter to a CNN, nor channels to a fully connected network.
ARCHITECTURE_SETTINGS = {
    "fully_connected": ("hidden",),
    "bell_cnn": ("channels",),
    "cifar_resnet": ("depth",),
    "torchvision": ("name",),
    "efficientnet_lite0": (),
}

# Stands for a file of weights in the configuration.
PUBLISHED_WEIGHTS = "published"


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, (list, tuple)) else value


def compute_spec(config: Config, root: Path, stage: str, *names: str) -> dict[str, Any]:
    """Spec of a compute rule.

    Args:
        config: resolved configuration.
        root: the checkout.
        stage: "data", "models", "attacks", "persistence" or "stability".
        names: dataset, model and attack, as far as the stage needs them; a network of `path_kernel`; none for "cones"
            and "norms".
    """
    settings: dict[str, Any]
    script = SCRIPTS.get(stage, "")
    extra: tuple[Path, ...] = ()
    match stage, names:
        case "data", (dataset,):
            entry = config["datasets"][dataset]
            script = SCRIPTS[entry["source"]]
            settings = {key: entry[key] for key in DATA_SETTINGS[entry["source"]]}
        case "models", (_, model):
            settings = _model_settings(config["models"][model])
            extra = own_files(root, settings["network"].get("factory", ""))
            script = SCRIPTS["weights" if config["models"][model]["weights"] else "models"]
        case "attacks", (_, _, attack):
            settings = _attack_settings(config["attacks"][attack])
            extra = own_files(root, settings["method"])
        case "natural", (dataset, _, images):
            settings = section_for(config, "persistence", dataset) | {"natural_images": int(images)}
        case (("persistence" | "stability"), (dataset, _, _)):
            settings = section_for(config, stage, dataset)
        case "paths", (network,):
            names_of = ("learning_rate", "steps", "loss", "train_samples")
            entry = config["path_kernel"]["networks"][network]
            settings = {key: entry[key] for key in names_of}
            settings["network"] = {"architecture": "fully_connected", "hidden": entry["hidden"]}
        case "path_kernel", (network,):
            section = config["path_kernel"]
            settings = {key: section[key] for key in ("tolerance", "nodes")}
            settings["queries"] = section["networks"][network]["queries"]
        case (("kernel_study" | "kernel_map" | "kernel_variants"), (_,)):
            settings = dict(config["path_kernel"][stage.removeprefix("kernel_")])
        case (("path_geometry" | "importance"), (_,)):
            settings = dict(config[stage])
        case "interpolated_weights", (_, model):
            settings = config["interpolated_weights"] | _model_settings(config["models"][model])
            extra = own_files(root, settings["network"].get("factory", ""))
        case "asymmetry", (dataset, _, _):
            settings = section_for(config, "persistence", dataset) | section_for(config, "asymmetry", dataset)
        case "sensitivity", (dataset, _, _):
            sampling = section_for(config, "persistence", dataset, without=("noise",))
            settings = sampling | section_for(config, "sensitivity", dataset)
        case "cones", ():
            sampling = {key: value for key, value in config["persistence"].items() if key not in ("noise", "sigma_min")}
            settings = sampling | config["cones"]
        case "norms", ():
            settings = dict(config["norms"])
        case "interpolation", (dataset, _, _):
            sampling = section_for(config, "persistence", dataset, without=NOT_SAMPLING)
            settings = sampling | section_for(config, "interpolation", dataset)
        case _:
            raise ValueError(f"stage {stage!r} does not take the names {names}")
    # However many images are measured, the first of them meet the same noise.
    seed_path: list[str | int] = [stage, *(names[:2] if stage == "natural" else names)]
    if stage == "models":
        seed_path.append(config["models"][names[1]]["seed"])
    return _sorted(
        {
            **settings,
            "code": code_digest(root, root / script, extra),
            "seed": seed_for(config["seed"], *seed_path),
            "threads": config["threads"],
        }
    )


def section_for(config: Config, name: str, dataset: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Settings of a section as they hold for a dataset, without some."""
    settings = {**config[name], **config["datasets"][dataset]["settings"].get(name, {})}
    return {key: value for key, value in settings.items() if key not in without}


def _model_settings(model: Mapping[str, Any]) -> dict[str, Any]:
    if "factory" in model:
        names: tuple[str, ...] = ("factory", "arguments")
    else:
        names = ("architecture", *ARCHITECTURE_SETTINGS[model["architecture"]])
    network = {name: model[name] for name in names}
    if model["normalization"] is not None and "factory" not in model:
        network["normalization"] = model["normalization"]
    return {"network": network} if model["weights"] else {"network": network, "training": model["training"]}


def _attack_settings(attack: Mapping[str, Any]) -> dict[str, Any]:
    own = ATTACK_SETTINGS.get(attack["method"])
    settings = attack["arguments"] if own is None else {name: attack[name] for name in own}
    names = ["method", "targets", "images", "classes", "batch_size"]
    if attack["targets"] == "one":
        names.append("target_class")
    return {"settings": settings} | {name: attack[name] for name in names}


def own_files(root: Path, name: str) -> tuple[Path, ...]:
    """The file of a `package.module:function` that lies in the working folder or the checkout; installed packages
    are told apart by their version, not here."""
    module, separator, _ = name.partition(":")
    for folder in (Path.cwd(), root) if separator else ():
        for path in (
            folder.joinpath(*module.split(".")).with_suffix(".py"),
            folder.joinpath(*module.split("."), "__init__.py"),
        ):
            if path.is_file():
                return (path,)
    return ()


def figure_spec(config: Config, root: Path, artefact: str) -> dict[str, Any]:
    """Spec of a figure: what it draws and how it looks."""
    entry = config["figures"]["catalogue"][artefact]
    style = config["figures"]["style"]
    plot = entry["plot"]
    settings = {"style": style} | {key: entry[key] for key in PLOT_SETTINGS.get(plot, ())}
    if plot == "persistence_histograms":
        settings["names"] = list(entry["rows"])
    if plot == "class_frequencies_of_cells":
        panels = entry["panels"].items()
        settings["panels"] = [
            {"name": name, "group": panel["group"], "class": panel["class"]} for name, panel in panels
        ]
    style_file = root / "styles" / f"{style}.mplstyle"
    # Some plots have the name of the stage whose results they show.
    script = SCRIPTS.get(f"{plot}_figure", SCRIPTS[plot])
    return _sorted({**settings, "code": code_digest(root, root / script, (style_file,))})


def table_spec(config: Config, root: Path, artefact: str) -> dict[str, Any]:
    """Spec of a table."""
    entry = config["tables"][artefact]
    kind = entry["table"]
    numbers = (root / PUBLISHED[kind],) if kind in PUBLISHED else ()
    code = code_digest(root, root / SCRIPTS[kind], numbers)
    if kind == "detection":
        settings = {"attacks": entry["attacks"], "false_positive_rate": entry["false_positive_rate"]}
        return _sorted({"code": code, "names": list(entry["rows"]), **settings})
    if kind == "attack_comparison":
        return _sorted({"code": code, "names": list(entry["rows"]), "attacks": entry["attacks"]})
    settings = {"attack_names": list(entry["attack_rows"])} if kind == "persistence_by_attack" else {}
    return _sorted({"code": code, "names": list(entry["rows"]), "published_table": entry["published"], **settings})


def paired_attacks(entry: Mapping[str, Any]) -> list[str]:
    """Attacks of a table that has several for each network."""
    return list(entry["attack_rows"].values() if entry["table"] == "persistence_by_attack" else entry["attacks"])


def data_path(dataset: str) -> str:
    """Where a dataset's arrays are stored."""
    return f"results/data/{dataset}.h5"


def model_path(dataset: str, model: str) -> str:
    """Where a network's weights are stored."""
    return f"results/models/{dataset}/{model}.h5"


def cell_path(stage: str, dataset: str, model: str, attack: str) -> str:
    """Where a stage's result for one cell (dataset, model, attack) is stored."""
    return f"results/{stage}/{dataset}/{model}/{attack}.h5"


def natural_path(dataset: str, model: str, images: int | str) -> str:
    """Where the persistence of so many natural images is stored, which all attacks are compared with."""
    return f"results/natural/{dataset}/{model}/{images}.h5"


def kernel_path(network: str, part: str) -> str:
    """Where a path (part "path"), its kernel ("kernel") or what is measured with them is stored.

    The latter are "study", "map", "variants", "geometry" and "importance".
    """
    return f"results/path_kernel/{network}/{part}.h5"


def interpolated_path(dataset: str, model: str) -> str:
    """Where networks between the start and the end of a training are stored."""
    return f"results/interpolated_weights/{dataset}/{model}.h5"


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
    """Figures (as PNG) and tables of the chosen artefacts, of one source or of all."""
    chosen = [name for name in config["artefacts"] if source in (None, name.split("/")[0])]
    return [
        f"results/tables/{name}.csv" if name in config["tables"] else f"results/figures/{name}.png" for name in chosen
    ]


def result_paths(config: Config) -> list[str]:
    """Every result that the experiments and the chosen artefacts rest on, intermediate ones too.

    Asked for by name, so that one that a killed run took away is made again: Snakemake leaves a missing
    intermediate file alone while what was made from it is there.
    """
    cells = {
        (item["dataset"], item["model"], item["attack"], stage)
        for item in config["experiments"]
        for stage in item["measure"]
    }
    networks = set(config["path_kernel"]["run"])
    paths = set()
    for name in config["artefacts"]:
        if name in config["tables"]:
            table = config["tables"][name]
            paths |= {model_path(table["dataset"], model) for model in table["rows"].values()}
            if table["table"] == "persistence_by_network":
                cells |= {(table["dataset"], model, table["attack"], "persistence") for model in table["rows"].values()}
            if table["table"] in PAIRED:
                pairs = product(table["rows"].values(), paired_attacks(table))
                cells |= {(table["dataset"], model, attack, PAIRED[table["table"]]) for model, attack in pairs}
            continue
        entry = config["figures"]["catalogue"][name]
        plot = entry["plot"]
        if plot in PLOT_KERNEL:
            paths |= {kernel_path(entry["network"], part) for part in ("path", PLOT_KERNEL[plot])}
            paths.add(data_path(config["path_kernel"]["networks"][entry["network"]]["dataset"]))
        elif plot == "interpolated_weights":
            paths |= {data_path(entry["dataset"]), interpolated_path(entry["dataset"], entry["model"])}
        elif plot == "class_frequencies_of_cells":
            panels = entry["panels"].values()
            cells |= {(entry["dataset"], panel["model"], panel["attack"], "stability") for panel in panels}
        elif plot in PLOT_SINGLE:
            paths.add(SINGLE[PLOT_SINGLE[plot]])
        else:
            models = entry["rows"].values() if plot == "persistence_histograms" else [entry["model"]]
            cells |= {(entry["dataset"], model, entry["attack"], PLOT_STAGE[plot]) for model in models}
            if plot == "sensitivity":
                cells |= {(entry["dataset"], entry["model"], attack, "persistence") for attack in entry["attacks"]}
    for dataset, model, attack, stage in cells:
        paths |= {data_path(dataset), model_path(dataset, model)}
        paths |= {cell_path(folder, dataset, model, attack) for folder in ("attacks", stage)}
        if stage == "persistence":
            paths.add(natural_path(dataset, model, config["attacks"][attack]["natural_images"]))
    for network in networks:
        paths.add(data_path(config["path_kernel"]["networks"][network]["dataset"]))
        paths |= {kernel_path(network, part) for part in ("path", "kernel")}
    return sorted(paths)


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
