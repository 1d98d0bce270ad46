"""What decides each result: the `spec` of every rule, built from configuration and names.

A spec is a plain dict with sorted keys. It holds exactly the settings that can change the result, the
cell's seed, the thread count and the digest of the code. Two configurations that give the same spec give
the same bytes; nothing else belongs in it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.attack_settings import ATTACK_SETTINGS
from pipeline.catalogue import (
    ARCHITECTURE_SETTINGS,
    ATLAS,
    DATA_SETTINGS,
    NAMED_PLOTS,
    NAMED_TABLES,
    NOT_SAMPLING,
    OPTIONS,
    PAGES,
    PLOT_SETTINGS,
    PUBLISHED,
    ROW_PLOTS,
    SCRIPTS,
    SEEDLESS,
    SYNSETS,
    WITH_OPTIONS,
)
from pipeline.digest import code_digest
from pipeline.logit_studies import STAGES as STUDY_STAGES
from pipeline.logit_studies import study_settings
from pipeline.named_networks import named_network, names_shown
from pipeline.seeds import seed_for
from pipeline.selection import atlas_pairs
from pipeline.study_artefacts import STUDY_TABLES, plot_settings, table_settings

Config = Mapping[str, Any]


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
        names: dataset, model and attack, as far as the stage needs them; a network of `path_kernel`; dataset and
            pair for "tilting"; study and what `study_settings` says for those of `logits`; none for "cones", "norms",
            "wedges", "capacities" and "toy".
    """
    settings: dict[str, Any]
    script = SCRIPTS.get(stage, "")
    extra: tuple[Path, ...] = ()
    match stage, names:
        case "data", (dataset,):
            entry = config["datasets"][dataset]
            script = SCRIPTS[entry["source"]]
            settings = {key: entry[key] for key in DATA_SETTINGS[entry["source"]]}
            extra = (root / SYNSETS,) if entry["source"] in ("photos", "imagenet20") else ()
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
        case "tilting", (_, _):
            settings = {
                key: value for key, value in config["tilting"].items() if key not in ("dataset", "pairs", "toy")
            }
        case "weight_decay", (_,):
            settings = {key: value for key, value in config["weight_decay"].items() if key != "dataset"}
        case "toy", ():
            settings = dict(config["tilting"]["toy"])
        case "asymmetry", (dataset, _, _):
            settings = section_for(config, "persistence", dataset) | section_for(config, "asymmetry", dataset)
        case "plane", (_, _):
            settings = dict(config["plane"])
        case (("boundary" | "voronoi" | "spectra" | "level_sets" | "dropout"), (dataset, _, _)):
            # All follow the lines that `interpolation` follows.
            line_seed = seed_for(config["seed"], "interpolation", *names)
            settings = section_for(config, stage, dataset) | {"line_seed": line_seed}
        case "sensitivity", (dataset, _, _):
            sampling = section_for(config, "persistence", dataset, without=("noise",))
            settings = sampling | section_for(config, "sensitivity", dataset)
        case "zoo", (dataset,):
            zoo = {key: value for key, value in config["zoo"].items() if key not in ("dataset", "models")}
            settings = section_for(config, "persistence", dataset) | zoo | {"networks": list(config["zoo"]["models"])}
        case "factors", (dataset, _, _):
            settings = section_for(config, "factors", dataset)
        case _, (study, *_) if stage in STUDY_STAGES:
            settings = study_settings(config, stage, study, names[1:])
            if "validation" in settings:
                settings["validation_seed"] = seed_for(config["seed"], "validation", study)
            if stage in ("teachers", "students"):
                model = config["models"][config["logits"]["studies"][study]["model"]]
                settings["network"] = _model_settings(model)["network"]
                extra = own_files(root, settings["network"].get("factory", ""))
        case "cones", ():
            sampling = {key: value for key, value in config["persistence"].items() if key not in ("noise", "sigma_min")}
            settings = sampling | config["cones"]
        case (("norms" | "capacities"), ()):
            settings = dict(config[stage])
        case "logit_surfaces", ():
            settings = dict(config["logit_model"]["surfaces"])
        case "logit_model", (_, name):
            found = named_network(config, stage, name)
            settings = {key: value for key, value in config[stage].items() if key not in ("surfaces", "networks")}
            settings["epoch"] = found.epoch
        case "manifolds", (_, name):
            found = named_network(config, stage, name)
            settings = {key: value for key, value in config[stage].items() if key != "networks"}
            # Configurations without either are refused.
            epsilon = settings["epsilon"] or found.epsilon or 0.0
            step_size = settings["step_size"] or epsilon / 4
            settings |= {"epoch": found.epoch, "epsilon": epsilon, "step_size": step_size}
        case "wedges", ():
            settings = {key: config["persistence"][key] for key in ("gamma", "confidence")} | config["wedges"]
        case "interpolation", (dataset, _, _):
            sampling = section_for(config, "persistence", dataset, without=NOT_SAMPLING)
            settings = sampling | section_for(config, "interpolation", dataset)
        case _:
            raise ValueError(f"stage {stage!r} does not take the names {names}")
    # However many images are measured, the first of them meet the same noise.
    seed_path: list[str | int] = [stage, *(names[:2] if stage == "natural" else names)]
    if stage in ("teachers", "students"):
        # Networks of one seed have the same start and order of images, which comparisons rest on.
        seed_path = ["logits", stage, names[0], names[-1]]
    if stage == "models":
        seed_path.append(config["models"][names[1]]["seed"])
    if stage not in SEEDLESS:
        settings["seed"] = seed_for(config["seed"], *seed_path)
    code = code_digest(root, root / script, extra)
    return _sorted({**settings, "code": code, "threads": config["threads"]})


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
    if model.get("architecture") in WITH_OPTIONS:
        network |= {name: model[name] for name in OPTIONS if model[name]}
    if model["weights"]:
        return {"network": network}
    return {"network": network, "training": {key: it for key, it in model["training"].items() if it is not None}}


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
    if plot in ATLAS:
        settings["pairs"] = atlas_pairs(config, artefact)
    if plot in NAMED_PLOTS:
        settings["names"] = names_shown(config, NAMED_PLOTS[plot], entry)
    if "study" in entry:
        settings |= plot_settings(config, entry)
    if plot in ROW_PLOTS:
        settings["names"] = list(entry["rows"])
    if plot == "class_frequencies_of_cells":
        panels = entry["panels"].items()
        settings["panels"] = [
            {"name": name, "group": panel["group"], "class": panel["class"]} for name, panel in panels
        ]
    style_file = root / "styles" / f"{style}.mplstyle"
    # Some plots have the name of the stage whose results they show.
    script = SCRIPTS.get(f"{plot}_figure", SCRIPTS[plot])
    page = (root / "styles" / "page.html", (root / script).with_suffix(".js")) if plot in PAGES else ()
    return _sorted({**settings, "code": code_digest(root, root / script, (style_file, *page))})


def table_spec(config: Config, root: Path, artefact: str) -> dict[str, Any]:
    """Spec of a table."""
    entry = config["tables"][artefact]
    kind = entry["table"]
    numbers = (root / PUBLISHED[kind],) if kind in PUBLISHED else ()
    # Some tables have the name of the stage whose results they show.
    script = SCRIPTS.get(f"{kind}_table", SCRIPTS.get(kind, ""))
    code = code_digest(root, root / script, numbers)
    if kind in NAMED_TABLES:
        return _sorted({"code": code, "names": names_shown(config, NAMED_TABLES[kind], entry)})
    if kind == "detection":
        settings = {"attacks": entry["attacks"], "false_positive_rate": entry["false_positive_rate"]}
        return _sorted({"code": code, "names": list(entry["rows"]), **settings})
    if kind in STUDY_TABLES:
        return _sorted({"code": code, **table_settings(config, root, entry)})
    if kind in ATLAS:
        return _sorted({"code": code, "pairs": atlas_pairs(config, artefact)})
    if kind == "attack_comparison":
        return _sorted({"code": code, "names": list(entry["rows"]), "attacks": entry["attacks"]})
    settings = {"attack_names": list(entry["attack_rows"])} if kind == "persistence_by_attack" else {}
    return _sorted({"code": code, "names": list(entry["rows"]), "published_table": entry["published"], **settings})
