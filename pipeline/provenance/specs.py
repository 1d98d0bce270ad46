"""What decides each result: the `spec` of every rule, built from configuration and names.

A spec is a plain dict with sorted keys. It holds exactly the settings that can change the result, the
cell's seed, the thread count and the digest of the code. Two configurations that give the same spec give
the same bytes; nothing else belongs in it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.attack_settings import ATTACK_SETTINGS
from pipeline.plan.catalogue import (
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
from pipeline.plan.logit_studies import STAGES as STUDY_STAGES
from pipeline.plan.logit_studies import study_settings
from pipeline.plan.named_networks import named_network, names_shown
from pipeline.plan.selection import atlas_pairs
from pipeline.plan.study_artefacts import STUDY_TABLES, plot_settings, table_settings
from pipeline.provenance.digest import code_digest
from pipeline.provenance.seeds import seed_for

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
        stage: a stage of the catalogue's scripts, e.g. "data", "models", "attacks" or "persistence".
        names: dataset, model and attack, as far as the stage needs them; a network of `path_kernel`; dataset and
            pair for "tilting"; study and what `study_settings` says for those of `logits`; none for "cones", "norms",
            "wedges", "capacities" and "toy".

    Raises:
        ValueError: names that the stage does not take.
    """
    settings = _settings(config, stage, names)
    files = _files_of_ones_own(root, stage, settings)
    script = SCRIPTS.get(stage, "")
    if stage == "data":
        source = config["datasets"][names[0]]["source"]
        script = SCRIPTS[source]
        files = (root / SYNSETS,) if source in ("photos", "imagenet20") else ()
    if stage == "models" and config["models"][names[1]]["weights"]:
        script = SCRIPTS["weights"]
    if stage not in SEEDLESS:
        settings["seed"] = seed_for(config["seed"], *_seed_path(config, stage, names))
    return _sorted({**settings, "code": code_digest(root, root / script, files), "threads": config["threads"]})


def _settings(config: Config, stage: str, names: tuple[str, ...]) -> dict[str, Any]:
    """What of the configuration decides a stage, apart from seed, code and threads."""
    if stage in STUDY_STAGES and names:
        return _study_settings(config, stage, *names)
    match stage, names:
        case "data", (dataset,):
            entry = config["datasets"][dataset]
            return {key: entry[key] for key in DATA_SETTINGS[entry["source"]]}
        case "models", (_, model):
            return _model_settings(config["models"][model])
        case "interpolated_weights", (_, model):
            return config[stage] | _model_settings(config["models"][model])
        case "attacks", (_, _, attack):
            return _attack_settings(config["attacks"][attack])
        case (("path_geometry" | "importance"), (_,)) | ("plane", (_, _)) | (("norms" | "capacities"), ()):
            return dict(config[stage])
        case "tilting", (_, _):
            return _without(config[stage], "dataset", "pairs", "toy")
        case "weight_decay", (_,):
            return _without(config[stage], "dataset")
        case "toy", ():
            return dict(config["tilting"]["toy"])
        case "cones", ():
            return _without(config["persistence"], "noise", "sigma_min") | config["cones"]
        case "wedges", ():
            return {key: config["persistence"][key] for key in ("gamma", "confidence")} | config["wedges"]
        case "logit_surfaces", ():
            return dict(config["logit_model"]["surfaces"])
        case "logit_model", (_, name):
            found = named_network(config, stage, name)
            return _without(config[stage], "surfaces", "networks") | {"epoch": found.epoch}
        case "manifolds", (_, name):
            found, settings = named_network(config, stage, name), _without(config[stage], "networks")
            # Configurations without either are refused.
            epsilon = settings["epsilon"] or found.epsilon or 0.0
            step_size = settings["step_size"] or epsilon / 4
            return settings | {"epoch": found.epoch, "epsilon": epsilon, "step_size": step_size}
        case (("paths" | "path_kernel" | "kernel_study" | "kernel_map" | "kernel_variants"), (network,)):
            return _kernel_settings(config, stage, network)
        case "zoo", (dataset,):
            networks = {"networks": list(config[stage]["models"])}
            return section_for(config, "persistence", dataset) | _without(config[stage], "dataset", "models") | networks
        case _, (_, _, _):
            return _cell_settings(config, stage, names)
    raise _refusal(stage, names)


def _cell_settings(config: Config, stage: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Settings of measurements of a cell: dataset, model, and attack or number of images."""

    def section(name: str, *without: str) -> dict[str, Any]:
        return section_for(config, name, names[0], without)

    match stage:
        case "persistence" | "stability" | "factors":
            return section(stage)
        case "natural":
            return section("persistence") | {"natural_images": int(names[2])}
        case "asymmetry":
            return section("persistence") | section(stage)
        case "sensitivity":
            return section("persistence", "noise") | section(stage)
        case "interpolation":
            return section("persistence", *NOT_SAMPLING) | section(stage)
        case "boundary" | "voronoi" | "spectra" | "level_sets" | "dropout":
            # All follow the lines that `interpolation` follows.
            return section(stage) | {"line_seed": seed_for(config["seed"], "interpolation", *names)}
    raise _refusal(stage, names)


def _kernel_settings(config: Config, stage: str, network: str) -> dict[str, Any]:
    section = config["path_kernel"]
    if stage.startswith("kernel_"):
        return dict(section[stage.removeprefix("kernel_")])
    entry = section["networks"][network]
    if stage == "path_kernel":
        return {key: section[key] for key in ("tolerance", "nodes")} | {"queries": entry["queries"]}
    settings = {key: entry[key] for key in ("learning_rate", "steps", "loss", "train_samples")}
    if "model" in entry:
        return settings | {"network": _model_settings(config["models"][entry["model"]])["network"]}
    return settings | {"network": {"architecture": "fully_connected", "hidden": entry["hidden"]}}


def _study_settings(config: Config, stage: str, study: str, *names: str) -> dict[str, Any]:
    settings = study_settings(config, stage, study, names)
    if "validation" in settings:
        settings["validation_seed"] = seed_for(config["seed"], "validation", study)
    if stage in ("teachers", "students"):
        model = config["models"][config["logits"]["studies"][study]["model"]]
        settings["network"] = _model_settings(model)["network"]
    return settings


def _files_of_ones_own(root: Path, stage: str, settings: Mapping[str, Any]) -> tuple[Path, ...]:
    """The file of a network or an attack of one's own."""
    name = settings["method"] if stage == "attacks" else settings.get("network", {}).get("factory", "")
    return own_files(root, name)


def _seed_path(config: Config, stage: str, names: tuple[str, ...]) -> list[str | int]:
    if stage in ("teachers", "students"):
        # Networks of one seed have the same start and order of images, which comparisons rest on.
        return ["logits", stage, names[0], names[-1]]
    if stage == "models":
        return [stage, *names, config["models"][names[1]]["seed"]]
    # However many images are measured, the first of them meet the same noise.
    return [stage, *(names[:2] if stage == "natural" else names)]


def _without(section: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in keys}


def _refusal(stage: str, names: tuple[str, ...]) -> ValueError:
    return ValueError(f"stage {stage!r} does not take the names {names}")


def section_for(config: Config, name: str, dataset: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Settings of a section as they hold for a dataset, without some."""
    return _without({**config[name], **config["datasets"][dataset]["settings"].get(name, {})}, *without)


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
