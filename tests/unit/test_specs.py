import copy
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.config.schema import resolve
from pipeline.plan.selection import (
    artefact_paths,
    artefacts_of,
    atlas_artefacts,
    atlas_pairs,
    measured_paths,
    result_paths,
)
from pipeline.provenance.specs import (
    compute_spec,
    figure_spec,
    table_spec,
)

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("mnist5k", "fc-100-20-10", "igsm-all")
STAGES = {"data": 1, "models": 2, "attacks": 3, "persistence": 3, "stability": 3, "interpolation": 3, "asymmetry": 3,
          "sensitivity": 3, "voronoi": 3, "dropout": 3, "spectra": 3, "level_sets": 3, "boundary": 3, "factors": 3}  # fmt: skip
KERNEL = {
    *("paths", "path_kernel", "kernel_study", "kernel_map", "kernel_variants"),
    *("path_geometry", "importance"),
}
MODEL = {"interpolated_weights", "plane"}
ZOO = {"zoo"}
SINGLE = {"cones", "norms", "wedges", "toy", "capacities"}
PAIR = {"tilting"}
OF_DATA = {"weight_decay"}
SAMPLED = {"persistence", "natural", "interpolation", "asymmetry", "sensitivity", "zoo"}
TABLES = ("bell/attacks", "bell/attacks_imagenet", "bell/table1", "bell/table2", "bell/table3", "beyond/detection",
          "tanay/atlas", "tanay/residuals")  # fmt: skip
FIGURES = {
    "bell/voronoi_angles",
    "bell/boundary_plane",
    "beyond/asymmetry",
    "beyond/sensitivity",
    "bell/boundary_classes",
    "bell/boundary_spectra",
    *(f"bell/figure_{n:02}" for n in (1, 2, 3, 6, *range(7, 17), *range(18, 25))),
    "bell/figure_12_imagenet",
    "bell/orthant_spectra",
    "bell/wedge_crossings",
    "bell/dropout_crossings",
    "bell/zoo",
    *(f"bell/{name}" for name in ("normals", "persistence_reexamined", "skewness")),
    *(f"beyond/kernel_{name}" for name in ("convergence", "detection", "map", "relations", "relations_2d", "signs")),
    "beyond/path_geometry",
    "beyond/sample_importance",
    "beyond/datamodeling_score",
    *(f"note/{name}" for name in ("factors", "flatness", "growth")),
    *(f"tanay/figure_{n:02}" for n in range(1, 8)),
    *(f"tanay/figure_{n:02}_interactive" for n in (6, 7)),
    "tanay/atlas_figure",
    "tanay/weight_decay",
}


@pytest.fixture(scope="module")
def raw():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def specs(config):
    resolved = resolve(config)
    found = {stage: compute_spec(resolved, ROOT, stage, *NAMES[:count]) for stage, count in STAGES.items()}
    found |= {stage: compute_spec(resolved, ROOT, stage, "mnist-fc") for stage in KERNEL}
    found |= {stage: compute_spec(resolved, ROOT, stage, "mnist5k", "c-4-short") for stage in MODEL}
    found |= {stage: compute_spec(resolved, ROOT, stage, "mnist5k") for stage in ZOO}
    found |= {stage: compute_spec(resolved, ROOT, stage) for stage in SINGLE}
    found |= {stage: compute_spec(resolved, ROOT, stage, "mnist5k", "2v3") for stage in PAIR}
    found |= {stage: compute_spec(resolved, ROOT, stage, "mnist5k") for stage in OF_DATA}
    found["natural"] = compute_spec(resolved, ROOT, "natural", *NAMES[:2], "900")
    found |= {name: figure_spec(resolved, ROOT, name) for name in FIGURES}
    return found | {name: table_spec(resolved, ROOT, name) for name in TABLES}


@pytest.fixture(scope="module")
def before(raw):
    return specs(raw)


def changed_by(raw, before, path, value):
    config = copy.deepcopy(raw)
    *parents, last = path
    place = config
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    after = specs(config)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("persistence", "gamma"), 0.8, {"persistence", "natural", "asymmetry", "sensitivity", "cones", "wedges", "zoo"}),
        (("persistence", "gamma"), 0.7, set()),
        (("persistence", "scan_factor"), 1.5, set()),
        (("persistence", "samples"), 99, SAMPLED | {"cones"}),
        (("attacks", "igsm-all", "natural_images"), 99, set()),
        (("path_kernel", "tolerance"), 1e-5, {"path_kernel"}),
        (("path_kernel", "networks", "mnist-fc", "steps"), 3, {"paths"}),
        (("path_kernel", "networks", "mnist-fc", "queries"), 3, {"path_kernel"}),
        (("path_kernel", "study", "nodes"), 2, {"kernel_study"}),
        (("path_kernel", "map", "points"), 9, {"kernel_map"}),
        (("path_kernel", "variants", "steps"), 9, {"kernel_variants"}),
        (("path_geometry", "starts"), 3, {"path_geometry"}),
        (("importance", "subsets"), 9, {"importance"}),
        (("interpolated_weights", "points"), 5, {"interpolated_weights"}),
        (("models", "c-4-short", "training", "epochs"), 2, {"interpolated_weights"}),
        (("interpolation", "pairs"), 1, {"interpolation"}),
        (("stability", "points"), 50, {"stability"}),
        (("attacks", "igsm-all", "epsilon"), 0.2, {"attacks"}),
        (("attacks", "igsm-one", "epsilon"), 0.2, set()),
        (("models", "fc-100-20-10", "seed"), 1, {"models"}),
        (("models", "fc-100-20-10", "channels"), 8, set()),
        (("models", "fc-100-20-10", "training", "epochs"), 2, {"models"}),
        (("datasets", "mnist5k", "train"), 3000, {"data"}),
        (("datasets", "mnist5k", "size"), 64, set()),
        (("datasets", "mnist5k", "settings"), {"persistence": {"samples": 99}}, SAMPLED),
        (("datasets", "mnist5k", "settings"), {"persistence": {"samples": 1000}}, set()),
        (("datasets", "mnist5k", "settings"), {"stability": {"points": 50}}, {"stability"}),
        (("datasets", "gaussians", "settings"), {"persistence": {"samples": 99}}, set()),
        (("figures", "style"), "talk", FIGURES),
        (("figures", "formats"), ["png"], set()),
        (("figures", "catalogue", "bell/figure_09", "target"), 2, {"bell/figure_09"}),
        (("device",), "cpu", set()),
        (("mirror",), "elsewhere", set()),
        (("asymmetry", "caliper"), 0.2, {"asymmetry"}),
        (("voronoi", "lines"), 9, {"voronoi"}),
        (("datasets", "mnist5k", "settings"), {"voronoi": {"lines": 9}}, {"voronoi"}),
        (("plane", "grid"), 9, {"plane"}),
        (("sensitivity", "images"), 9, {"sensitivity"}),
        (("dropout", "masks"), 9, {"dropout"}),
        (("zoo", "epsilon"), 0.1, {"zoo"}),
        (("zoo", "models"), {"plain": "zoo-plain"}, {"zoo"}),
        (("models", "fc-100-20-10", "dropout"), 0.5, {"models"}),
        (("models", "fc-100-20-10", "dropout"), 0.0, set()),
        (("models", "fc-100-20-10", "principal"), 9, {"models"}),
        (("models", "fc-100-20-10", "principal"), None, set()),
        (("models", "fc-100-20-10", "training", "adversarial"), {"epsilon": 0.1, "step_size": 0.1, "steps": 1}, {"models"}),
        (("models", "fc-100-20-10", "training", "adversarial"), None, set()),
        (("models", "c-4-short", "training", "soft_nearest_neighbor"), {"weight": 1, "temperature": 1}, {"interpolated_weights"}),
        (("figures", "catalogue", "bell/dropout_crossings", "pair"), 1, {"bell/dropout_crossings"}),
        (("spectra", "lines"), 2, {"spectra"}),
        (("spectra", "lines"), 6, set()),
        (("level_sets", "step"), 0.25, {"level_sets"}),
        (("datasets", "mnist5k", "settings"), {"level_sets": {"samples": 9}}, {"level_sets"}),
        (("boundary", "lines"), 9, {"boundary"}),
        (("datasets", "mnist5k", "settings"), {"boundary": {"walks": 2}}, {"boundary"}),
        (("figures", "catalogue", "bell/persistence_reexamined", "pair"), 1, {"bell/persistence_reexamined"}),
        (("factors", "directions"), 5, {"factors"}),
        (("datasets", "mnist5k", "settings"), {"factors": {"images": 9}}, {"factors"}),
        (("figures", "catalogue", "note/factors", "rows"), {"C-4": "c-4"}, {"note/factors"}),
        (("persistence", "noise"), "ball", SAMPLED - {"sensitivity"}),
        (("tables", "bell/attacks", "attacks"), ["fgsm"], {"bell/attacks"}),
        (("claims", "confidence"), 0.9, set()),
        (("tables", "beyond/detection", "false_positive_rate"), 0.1, {"beyond/detection"}),
        (("cones", "points"), 9, {"cones"}),
        (("norms", "radius"), 6.0, {"norms"}),
        (("wedges", "skew"), 6.0, {"wedges"}),
        (("capacities", "points"), 60, {"capacities"}),
        (("tilting", "images"), 99, {"tilting"}),
        (("weight_decay", "epochs"), 2, {"weight_decay"}),
        (("tilting", "toy"), {"tilt": 70.0}, {"toy"}),
        (("tilting", "pairs"), ["2v3"], {"tanay/atlas", "tanay/atlas_figure"}),
        (("figures", "catalogue", "tanay/figure_05", "alphas"), [1.0], {"tanay/figure_05"}),
        (("figures", "catalogue", "bell/figure_12", "gammas"), [0.8], {"bell/figure_12"}),
        (("figures", "catalogue", "bell/figure_14", "rows"), {"FC10-4": "fc10-4"}, {"bell/figure_14"}),
        (("seed",), 1, set(STAGES) | KERNEL | MODEL | ZOO | SINGLE | PAIR | OF_DATA | {"natural"}),
        (("threads",), 2, set(STAGES) | KERNEL | MODEL | ZOO | SINGLE | PAIR | OF_DATA | {"natural"}),
    ],
)  # fmt: skip
def test_a_setting_changes_the_specs_that_depend_on_it_and_no_other(raw, before, path, value, expected):
    assert changed_by(raw, before, path, value) == expected


@pytest.mark.parametrize("part", ["styles/page.html", "scripts/pages/tilting_path.js"])
def test_what_a_page_is_written_with_changes_its_spec_alone(raw, tmp_path, part):
    resolved = resolve(raw)
    for folder in ("neighborhoods", "pipeline", "scripts", "styles"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    names = ("tanay/figure_06_interactive", "tanay/figure_06")
    page, figure = (figure_spec(resolved, tmp_path, name) for name in names)
    with open(tmp_path / part, "a") as file:
        file.write("\n")
    assert figure_spec(resolved, tmp_path, names[0]) != page
    assert figure_spec(resolved, tmp_path, names[1]) == figure


def test_specs_of_networks_name_only_the_options_that_are_on(raw):
    config = resolve(raw)
    plain, options = (compute_spec(config, ROOT, "models", "mnist5k", name) for name in ("zoo-plain", "zoo-dropout"))
    assert plain["network"] == {"architecture": "fully_connected", "hidden": [100, 20]}
    assert sorted(plain["training"]) == ["batch_size", "epochs", "learning_rate", "optimizer", "penalty"]
    assert options["network"] == {**plain["network"], "dropout": 0.3}
    kept = {"code", "network", "seed", "threads", "training"}
    assert set(plain) == set(options) == kept


def test_specs_are_plain_and_sorted(before):
    for spec in before.values():
        assert list(spec) == sorted(spec)
        assert yaml.safe_load(yaml.safe_dump(spec)) == spec


def test_cells_have_seeds_of_their_own(before):
    seeds = [spec["seed"] for spec in before.values() if "seed" in spec]
    stages = (STAGES, KERNEL, MODEL, ZOO, SINGLE, PAIR, OF_DATA)
    assert len(set(seeds)) == len(seeds) == sum(map(len, stages)) + 1


def test_boundaries_are_crossed_along_the_lines_that_persistence_follows(raw):
    found = specs(raw)
    for stage in ("boundary", "voronoi", "spectra", "level_sets", "dropout"):
        assert found[stage]["line_seed"] == found["interpolation"]["seed"]


def test_lists_choose_what_is_made(raw):
    config = resolve(raw)
    assert measured_paths(config, "stability") == [
        "results/stability/mnist5k/fc-100-20-10/igsm-one.h5",
        "results/stability/imagenet20/efficientnet-lite0/photos-one.h5",
    ]
    chosen = [f"results/figures/{name}.png" for name in sorted(FIGURES) if name.startswith("bell")]
    chosen += [
        f"results/tables/bell/{name}.csv" for name in ("attacks", "attacks_imagenet", "table1", "table2", "table3")
    ]
    assert sorted(artefact_paths(config, "bell")) == sorted(chosen)
    assert artefact_paths(config, "note") == [
        f"results/figures/note/{name}.png" for name in ("factors", "flatness", "growth")
    ]
    tanay = artefact_paths(config, "tanay")
    assert tanay[0] == "results/figures/tanay/figure_01.png"
    assert "results/figures/tanay/figure_06_interactive.html" in tanay
    assert tanay[-1] == "results/tables/tanay/residuals.csv"
    assert atlas_artefacts(config) == ["results/tables/tanay/atlas.csv", "results/figures/tanay/atlas_figure.png"]
    assert len(atlas_pairs(config, "tanay/atlas")) == 45
    assert atlas_pairs(config, "tanay/residuals") == ["2v3"]
    assert artefacts_of(config, "class_frequencies") == ["bell/figure_09", "bell/figure_11"]


def test_everything_that_artefacts_rest_on_is_asked_for(raw):
    paths = result_paths(
        resolve({**raw, "experiments": raw["experiments"][:1], "path_kernel": {**raw["path_kernel"], "run": []}})
    )
    for needed in (
        "results/data/gaussians.h5",
        "results/models/mnist5k/c-4.h5",
        "results/attacks/mnist5k/c-4/lbfgs.h5",
        "results/persistence/mnist5k/c-4/lbfgs.h5",
        "results/factors/mnist5k/fc10-4/lbfgs.h5",
        "results/interpolation/mnist5k/fc-100-20-10/igsm-all.h5",
        "results/boundary/mnist5k/fc-100-20-10/igsm-all.h5",
        "results/boundary/mnist5k/fc200-200-10/lbfgs.h5",
        "results/path_kernel/mnist-fc/path.h5",
        "results/path_kernel/mnist-fc/study.h5",
        "results/path_kernel/gaussians-16-16/map.h5",
        "results/path_kernel/gaussians-16-16/variants.h5",
        "results/path_kernel/mnist-16/path.h5",
        "results/path_kernel/mnist-16/geometry.h5",
        "results/path_kernel/mnist-16/importance.h5",
        "results/interpolated_weights/mnist5k/c-4-short.h5",
        "results/voronoi/mnist5k/fc200-200-10/lbfgs.h5",
        "results/models/gaussians/plane-16-16.h5",
        "results/plane/gaussians/plane-16-16.h5",
        "results/models/mnist5k/zoo-pca.h5",
        "results/zoo/mnist5k.h5",
        "results/dropout/mnist5k/zoo-dropout/igsm-15.h5",
        "results/tilting/mnist5k/2v3.h5",
        "results/tilting/toy.h5",
    ):
        assert needed in paths


def test_a_stage_takes_its_names_only(raw):
    with pytest.raises(ValueError, match="does not take"):
        compute_spec(resolve(raw), ROOT, "data", "mnist5k", "fc-100-20-10")


def test_more_natural_images_meet_the_same_noise(raw):
    few, many = (compute_spec(resolve(raw), ROOT, "natural", *NAMES[:2], count) for count in ("20", "900"))
    assert few["seed"] == many["seed"]
    assert (few["natural_images"], many["natural_images"]) == (20, 900)


def test_cells_of_panels_and_of_rows_of_attacks_are_asked_for(raw):
    cell = {"model": "fc10-4", "attack": "igsm-05"}
    entry = {
        "plot": "class_frequencies_of_cells",
        "dataset": "mnist5k",
        "panels": {"b": cell, "a": {**cell, "class": 3}},
    }
    table = {"table": "persistence_by_attack", "published": "table2", "dataset": "mnist5k", "rows": {"net": "fc10-4"}}
    raw = copy.deepcopy(raw)
    raw["figures"]["catalogue"]["x/cells"] = entry
    raw["tables"]["x/attacks"] = {**table, "attack_rows": {"IGSM": "igsm-15", "FGSM": "fgsm"}}
    raw["artefacts"] = ["x/cells", "x/attacks"]
    config = resolve(raw)
    paths = result_paths(config)
    assert "results/stability/mnist5k/fc10-4/igsm-05.h5" in paths
    for attack in ("igsm-15", "fgsm"):
        assert f"results/persistence/mnist5k/fc10-4/{attack}.h5" in paths
        assert f"results/attacks/mnist5k/fc10-4/{attack}.h5" in paths
    panels = figure_spec(config, ROOT, "x/cells")["panels"]
    assert [(panel["name"], panel["group"], panel["class"]) for panel in panels] == [
        ("b", "adversarial", -1),
        ("a", "adversarial", 3),
    ], "in the order given"
    assert table_spec(config, ROOT, "x/attacks")["attack_names"] == ["IGSM", "FGSM"]
