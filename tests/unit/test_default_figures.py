"""A model of one's own in five lines: figures that need no entry, and the path kernel of a network from `models`."""

import copy
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from snakemake.utils import update_config

from pipeline.config.schema import ConfigError, resolve
from pipeline.costs.workload import work_of
from pipeline.figures.scale import figure_scale
from pipeline.plan.selection import result_paths
from pipeline.provenance.specs import compute_spec
from pipeline.results.shared import put_split, read_path
from pipeline.store import Provenance, reading, writing
from scripts.path_kernel.integrate import integrate
from scripts.path_kernel.record import record

ROOT = Path(__file__).resolve().parents[2]
OWN = yaml.safe_load("""
datasets: {mine: {source: hdf5, file: mine.h5}}
models: {mine: {factory: "my_model:network"}}
experiments: [{dataset: mine, model: mine, attack: igsm-all, measure: [persistence, interpolation]}]
path_kernel: {run: [mine], networks: {mine: {dataset: mine, model: mine}}}
artefacts: [mine/persistence_histogram, mine/adversarial_examples, mine/kernel_agreement]
""")


@pytest.fixture
def own():
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    return over(config, OWN)


def over(config, overlay):
    """As Snakemake puts one file of configuration over another."""
    new = copy.deepcopy(config)
    update_config(new, copy.deepcopy(overlay))
    return new


def mistakes(config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve(config)
    return caught.value.lines


def test_names_that_say_what_to_draw_need_no_entry(own):
    config = resolve(own)
    cell = {"dataset": "mine", "model": "mine", "attack": "igsm-all"}
    catalogue = config["figures"]["catalogue"]
    assert catalogue["mine/persistence_histogram"].items() >= {"plot": "persistence_histogram", **cell}.items()
    assert catalogue["mine/adversarial_examples"].items() >= {"plot": "adversarial_examples", **cell}.items()
    assert catalogue["mine/kernel_agreement"].items() >= {"plot": "kernel_agreement", "network": "mine"}.items()
    assert {"results/persistence/mine/mine/igsm-all.h5", "results/path_kernel/mine/kernel.h5"} <= {
        *result_paths(config)
    }
    assert "bell/figure_10" in catalogue
    assert resolve(config) == config


def test_captions_say_the_scale_of_ones_own_network(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("mine.h5", "w") as file:
        for split, images in (("train", 30), ("test", 9)):
            file[f"x_{split}"], file[f"y_{split}"] = np.zeros((images, 5, 5), np.uint8), np.arange(images) % 3
    words = "mine (30 training and 9 test images); network mine as model mine, trained in 200 steps on 30 of them"
    assert figure_scale(resolve(own), "mine/kernel_agreement") == words


def test_an_entry_of_that_name_counts(own):
    own["figures"]["catalogue"]["mine/kernel_agreement"] = {"plot": "kernel_values", "network": "mine"}
    assert resolve(own)["figures"]["catalogue"]["mine/kernel_agreement"]["plot"] == "kernel_values"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"artefacts": ["mine/class_frequencies"]},
            "artefacts[0]: expected one experiment on mine that measures stability for 'mine/class_frequencies', found none",
        ),
        (
            {"experiments": [*OWN["experiments"], OWN["experiments"][0] | {"attack": "fgsm"}]},
            "artefacts[0]: expected one experiment on mine that measures persistence for 'mine/persistence_histogram', "
            "found 2; say which in figures.catalogue",
        ),
        (
            {"artefacts": ["mine/kernel_agreemnt"]},
            "artefacts[0]: there is no 'mine/kernel_agreemnt' in figures.catalogue",
        ),
        ({"artefacts": ["mine/factors"]}, "artefacts[0]: there is no 'mine/factors' in figures.catalogue"),
        (
            {"path_kernel": {"networks": {"a": {"dataset": "mine"}}}},
            "path_kernel.networks.a: expected either hidden or model, found none",
        ),
        (
            {"path_kernel": {"networks": {"a": {"dataset": "mine", "model": "mine", "hidden": [3]}}}},
            "path_kernel.networks.a: expected either hidden or model, found both",
        ),
        (
            {"path_kernel": {"networks": {"a": {"dataset": "mine", "model": "mien"}}}},
            "path_kernel.networks.a.model: there is no model 'mien' in models; the nearest valid one is 'mine'",
        ),
        (
            {"path_kernel": {"networks": {"a": {"dataset": "mnist5k", "model": "zoo-pca"}}}},
            "path_kernel.networks.a.model: expected a network without principal directions",
        ),
    ],
)
def test_what_a_name_does_not_say_is_one_sentence(own, change, sentence):
    assert any(line.startswith(f"configuration: {sentence}") for line in mistakes(over(own, change)))


FACTORY = """
from torch import nn
def network(input_shape, classes, width=2):
    colours, rows, columns = input_shape
    flat = width * (rows - 2) * (columns - 2)
    return nn.Sequential(nn.Conv2d(colours, width, 3), nn.Tanh(), nn.Flatten(), nn.Linear(flat, classes))
"""


def test_the_path_kernel_of_ones_own_network_runs_again_when_its_code_changes(own, tmp_path, monkeypatch):
    found = []
    # A process reads a file once.
    for number, text in enumerate((FACTORY, "# more\n" + FACTORY, FACTORY.replace("Tanh", "ReLU"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "my_model.py").write_text(text)
        monkeypatch.chdir(folder)
        found.append(compute_spec(resolve(own), ROOT, "paths", "mine"))
    assert found[0] == found[1] != found[2]
    assert found[0]["network"] == {"factory": "my_model:network", "arguments": {}}
    assert work_of(resolve(own), "integrate_kernel", {"network": "mine"}).seconds > 0


def test_the_kernel_of_ones_own_network_gives_its_outputs(tmp_path, monkeypatch):
    (tmp_path / "network_for_the_kernel.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(tmp_path)
    data, path, kernel = (str(tmp_path / name) for name in ("data.h5", "path.h5", "kernel.h5"))
    generator = np.random.default_rng(0)
    with writing(data, Provenance()) as file:
        for split in ("train", "test"):
            labels = np.arange(30) % 3
            x = generator.integers(0, 100, (30, 1, 5, 5), dtype=np.uint8)
            x[np.arange(30), 0, labels] += 120
            put_split(file, split, x, labels, generator)
        file.put("classes", ["a", "b", "c"], "names", ("class",))
    common = {"seed": 1, "provenance": Provenance()}
    network = {"factory": "network_for_the_kernel:network", "arguments": {"width": 3}}
    record(
        data=data,
        output=path,
        network=network,
        learning_rate=0.5,
        steps=6,
        loss="cross_entropy",
        train_samples=20,
        **common,
    )
    integrate(data=data, path=path, output=kernel, queries=6, tolerance=1e-7, nodes=2, **common)
    assert read_path(path).weights.shape == (7, 3 * 9 + 3 + 3 * 27 + 3)
    with reading(kernel) as file:
        assert np.abs(file.read("prediction") - file.read("network")).max() < 1e-6
        assert np.abs(file.read("network") - file.read("start")).min() > 1e-4
