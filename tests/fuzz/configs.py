"""Targets that read configurations: as values, and as text the way Snakemake does."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from pipeline.claims import ledger
from pipeline.claims.rule import claim_inputs, claims_spec
from pipeline.config.schema import ConfigError, load_schema, resolve
from pipeline.config.text import text_mistakes
from pipeline.plan import study_comparison
from pipeline.plan.selection import artefact_paths, atlas_artefacts, kernel_paths, measured_paths, result_paths
from pipeline.provenance.specs import compute_spec, figure_spec, table_spec
from pipeline.yaml_files import read_yaml
from tests.fuzz.harness import CleanError, Target
from tests.fuzz.mutations import damaged_config, damaged_text, places

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ("config/smoke.yaml", "examples/own.yaml", "config/paper.yaml")


def read_the_ledger_once() -> None:
    """Published numbers are the same for every input, and reading them takes longer than all else."""
    for module in (ledger, study_comparison):
        module.read_yaml = cache(read_yaml)  # type: ignore[attr-defined]


def some_of(config: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
    """A configuration with some of its artefacts, experiments and studies, which takes a tenth of the time."""
    asked = [*config["artefacts"], *config.get("further_artefacts", [])]
    kept = set(generator.choice(asked, min(10, len(asked)), replace=False).tolist())
    few = {key: [name for name in config.get(key, []) if name in kept] for key in ("artefacts", "further_artefacts")}
    few["tables"] = {name: entry for name, entry in config["tables"].items() if name in kept}
    catalogue = {name: entry for name, entry in config["figures"]["catalogue"].items() if name in kept}
    few["figures"] = {**config["figures"], "catalogue": catalogue}
    few["experiments"] = [one for one in config["experiments"] if generator.random() < 0.3]
    return {**config, **few}


def configurations(folder: Path) -> tuple[list[dict], list[list[tuple]], dict]:
    """The default and overlays on it, some whole and many of parts, the paths within each, and the schema."""
    read_the_ledger_once()
    default = yaml.safe_load((ROOT / "config.yaml").read_text())
    configs = [default]
    for name in OVERLAYS:
        if (ROOT / name).is_file():
            config = copy.deepcopy(default)
            update_config(config, yaml.safe_load((ROOT / name).read_text()))
            configs.append(config)
    # Defaults written out, so that every setting there is can be damaged.
    configs += [resolve(config) for config in configs[:2]]
    for config in configs:
        use(resolve(config))
    generator = np.random.default_rng(0)
    configs += [some_of(configs[i % len(configs)], generator) for i in range(10 * len(configs))]
    return configs, [places(config) for config in configs], load_schema()


def use(settings: dict[str, Any]) -> None:
    """What the rules make of a configuration before any job starts."""
    result_paths(settings)
    for source in ("", "bell", "tanay", "seguin", "note"):
        artefact_paths(settings, source) if source else artefact_paths(settings)
    kernel_paths(settings)
    atlas_artefacts(settings)
    claim_inputs(settings, ROOT)
    claims_spec(settings, ROOT)
    for stage in ("persistence", "stability", "interpolation"):
        measured_paths(settings, stage)
    for item in settings["experiments"]:
        compute_spec(settings, ROOT, "data", item["dataset"])
        compute_spec(settings, ROOT, "models", item["dataset"], item["model"])
        compute_spec(settings, ROOT, "attacks", item["dataset"], item["model"], item["attack"])
    for name in settings["artefacts"]:
        (table_spec if name in settings["tables"] else figure_spec)(settings, ROOT, name)


def read_values(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged configuration, as Snakemake hands it over."""
    configs, paths, schema = prepared
    which = int(generator.integers(len(configs)))
    _resolved(damaged_config(configs[which], generator, paths[which]), schema)


def _resolved(config: dict[str, Any], schema: dict[str, Any]) -> None:
    try:
        settings = resolve(config, schema)
    except ConfigError as error:
        # A terminal shows all lines; one that a user cannot read through is cut by the harness's limit on lines.
        raise CleanError("\n".join(error.lines[:3])) from error
    use(settings)


def texts(folder: Path) -> tuple[list[str], dict, dict]:
    """The texts of the project's configurations, the default as it is read, and the schema."""
    files = [ROOT / "config.yaml", *sorted(ROOT.glob("config/*.yaml")), *sorted(ROOT.glob("examples/*.yaml"))]
    small = [
        "seed: 1\n",
        "a: &a {b: 1}\nc: *a\n",
        '{"seed": 1, "models": {"a": {"hidden": [1]}}}',
        "persistence:\n  gamma: 0.8\n",
    ]
    read_the_ledger_once()
    default = load_configfile(str(ROOT / "config.yaml"))
    use(resolve(default))
    return [*(file.read_text() for file in files), *small * 3], default, load_schema()


def read_text(prepared: Any, folder: Path, generator: np.random.Generator) -> None:
    """A damaged overlay: what passes must be read by Snakemake without a traceback."""
    contents, default, schema = prepared
    content = contents[generator.integers(len(contents))]
    path = folder / "input.yaml"
    path.write_bytes(damaged_text(content, generator, contents))
    if mistakes := text_mistakes(path):
        raise CleanError("\n".join(mistakes[:3]))
    try:
        overlay = load_configfile(str(path))
    except WorkflowError as error:
        raise CleanError(str(error)) from error
    config = copy.deepcopy(default)
    update_config(config, overlay)
    _resolved(config, schema)


TARGETS = {
    target.name: target
    for target in (
        Target("config_values", configurations, read_values),
        Target("config_text", texts, read_text),
    )
}
