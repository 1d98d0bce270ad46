"""What decides each result, and where it lies: the `spec` of every rule, built from configuration and names.

A spec is a plain dict with sorted keys. It holds exactly the settings that can change the result, the
cell's seed, the thread count and the digest of the code. Two configurations that give the same spec give
the same bytes; nothing else belongs in it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.digest import code_digest
from pipeline.seeds import seed_for

Config = Mapping[str, Any]

# Script of each compute stage, and the parts of the configuration its result depends on.
SCRIPTS = {
    "data": "scripts/data/fetch_mnist5k.py",
    "models": "scripts/train/train.py",
    "attacks": "scripts/attack/generate.py",
    "persistence": "scripts/persistence/bracket.py",
    "stability": "scripts/persistence/sweep.py",
    "class_frequencies": "scripts/figures/class_frequencies.py",
    "persistence_histogram": "scripts/figures/persistence_histogram.py",
}


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
        names: dataset, model and attack, as far as the stage needs them.
    """
    settings: Mapping[str, Any]
    match stage, names:
        case "data", (dataset,):
            settings = {key: value for key, value in config["datasets"][dataset].items() if key != "source"}
        case "models", (_, model):
            settings = _model_settings(config["models"][model])
        case "attacks", (_, _, attack):
            settings = config["attacks"][attack]
        case (("persistence" | "stability"), (_, _, _)):
            settings = config[stage]
        case _:
            raise ValueError(f"stage {stage!r} does not take the names {names}")
    seed_path: list[str | int] = [stage, *names]
    if stage == "models":
        seed_path.append(config["models"][names[1]]["seed"])
    return _sorted(
        {
            **settings,
            "code": code_digest(root, root / SCRIPTS[stage]),
            "seed": seed_for(config["seed"], *seed_path),
            "threads": config["threads"],
        }
    )


def _model_settings(model: Mapping[str, Any]) -> dict[str, Any]:
    # Widths do not matter to a CNN, nor channels to a fully connected network.
    unused = {"fully_connected": "channels", "bell_cnn": "hidden"}[model["architecture"]]
    return {key: value for key, value in model.items() if key not in (unused, "seed")}


def figure_spec(config: Config, root: Path, artefact: str) -> dict[str, Any]:
    """Spec of a figure: what it draws and how it looks."""
    entry = config["figures"]["catalogue"][artefact]
    style = config["figures"]["style"]
    plot = entry["plot"]
    settings = {"style": style}
    if plot == "class_frequencies":
        settings["target"] = entry["target"]
    style_file = root / "styles" / f"{style}.mplstyle"
    return _sorted({**settings, "code": code_digest(root, root / SCRIPTS[plot], (style_file,))})


def data_path(dataset: str) -> str:
    """Where a dataset's arrays are stored."""
    return f"results/data/{dataset}.h5"


def model_path(dataset: str, model: str) -> str:
    """Where a network's weights are stored."""
    return f"results/models/{dataset}/{model}.h5"


def cell_path(stage: str, dataset: str, model: str, attack: str) -> str:
    """Where a stage's result for one cell (dataset, model, attack) is stored."""
    return f"results/{stage}/{dataset}/{model}/{attack}.h5"


def measured_paths(config: Config, measure: str) -> list[str]:
    """Results of one measurement that the experiments ask for."""
    return [
        cell_path(measure, item["dataset"], item["model"], item["attack"])
        for item in config["experiments"]
        if measure in item["measure"]
    ]


def figure_paths(config: Config, source: str | None = None) -> list[str]:
    """PNG files of the chosen artefacts, of one source or of all."""
    return [
        f"results/figures/{name}.png" for name in config["artefacts"] if source is None or name.split("/")[0] == source
    ]


def artefacts_of(config: Config, plot: str) -> list[str]:
    """Catalogue entries that a kind of plot draws."""
    return [name for name, entry in config["figures"]["catalogue"].items() if entry["plot"] == plot]
