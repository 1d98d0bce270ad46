"""The scripts from photos and weights of files to Table 2, for the sources' own networks."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neighborhoods.networks.architectures import restore
from neighborhoods.networks.vision import torchvision_models
from neighborhoods.training.minibatch import predict
from pipeline.data.photos import decode, synset_numbers
from pipeline.results.shared import read_network
from pipeline.store import Provenance, reading
from scripts.attack.generate import generate
from scripts.data.import_photos import import_photos
from scripts.persistence.bracket import bracket
from scripts.persistence.measure_natural import measure
from scripts.tables.detection import tabulate as detect
from scripts.tables.persistence_by_attack import tabulate
from scripts.train.import_weights import import_weights

ROOT = Path(__file__).resolve().parents[2]
# The smallest photos that the networks take: one of the sources', and a small one that classifies by a convolution.
SIDES = {"alexnet": 64, "squeezenet1_1": 32}
SAMPLING = {
    "confidence": 0.95, "batch_size": 32, "gamma": 0.7, "samples": 10, "sigma_min": 0.05, "sigma_max": 1.0,
    "scan_factor": 2.0, "noise": "gaussian", "memory_mb": 64,
}  # fmt: skip
COMMON = {"seed": 1, "provenance": Provenance()}


def made(folder, name):
    """Photos of classes that a network with random weights sees in them, and that network's file."""
    side = SIDES[name]
    torch.manual_seed(0)
    network = torchvision_models().get_model(name, weights=None).eval()
    weights = {name: value for name, value in network.state_dict().items()}
    # Else all photos get the same class.
    last = max(name for name in weights if name.startswith("classifier") and name.endswith("bias"))
    weights[last] = torch.zeros_like(weights[last])
    torch.save(weights, folder / "weights.pth")
    settings = {"architecture": "torchvision", "name": name}
    shape = {"input_shape": [3, side, side], "classes": 1000}
    arrays = {name: value.numpy() for name, value in weights.items()}
    built = restore({**shape, **settings}, arrays)
    names = list(synset_numbers())
    generator = np.random.default_rng(0)
    for number in range(4):
        path = folder / "drawn.png"
        coarse = generator.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path)
        label = int(predict(built, torch.from_numpy(decode([path], side, side)))[0])
        target = folder / "photos" / names[label] / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    import_photos(
        output=str(folder / "data.h5"), folder=str(folder / "photos"), train=None, test=None, only=[], size=side,
        resize=side, interpolation="bicubic", **COMMON,
    )  # fmt: skip
    import_weights(
        data=str(folder / "data.h5"), weights=str(folder / "weights.pth"), output=str(folder / "model.h5"),
        network=settings, **COMMON,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Folders by network, each made once: weights of AlexNet take 244 MB."""
    return {name: made(tmp_path_factory.mktemp(name), name) for name in SIDES}


@pytest.fixture
def alexnet(cells):
    return cells["alexnet"]


def run_attack(cell, **changes):
    generate(
        **{
            "data": str(cell / "data.h5"), "model": str(cell / "model.h5"), "output": str(cell / "attack.h5"),
            "method": "bim", "images": 3, "classes": [], "targets": "none", "batch_size": 8,
            "settings": {"epsilon": 0.1, "step_size": 0.05, "steps": 3}, **COMMON, **changes,
        }
    )  # fmt: skip
    with reading(cell / "attack.h5") as file:
        return {name: file.read(name) for name in ("success", "target", "label", "classes", "x")}


def bracketed(cell):
    measure(
        data=str(cell / "data.h5"), model=str(cell / "model.h5"), output=str(cell / "natural.h5"), natural_images=2,
        **SAMPLING, **COMMON,
    )  # fmt: skip
    bracket(
        model=str(cell / "model.h5"), attack=str(cell / "attack.h5"), natural=str(cell / "natural.h5"),
        output=str(cell / "persistence.h5"), **SAMPLING, **COMMON,
    )  # fmt: skip
    tabulate(
        attacks=[str(cell / "attack.h5")], persistence=[str(cell / "persistence.h5")],
        published=str(ROOT / "published" / "bell.yaml"), output=str(cell / "table.csv"), names=["VGG16"],
        attack_names=["BIM"], published_table="table2",
    )  # fmt: skip
    with open(cell / "table.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    return row


@pytest.mark.parametrize("name", SIDES)
def test_weights_of_a_file_go_all_the_way_to_table_2(name, cells):
    cell = cells[name]
    model = read_network(cell / "model.h5")
    assert model.settings["architecture"] == "torchvision"
    attacked = run_attack(cell)
    assert attacked["classes"][0] == "tench"
    assert attacked["x"].shape == (3, 3, SIDES[name], SIDES[name])
    row = bracketed(cell)
    assert int(row["attacked"]) == 3
    assert int(row["natural_n"]) == 2
    assert row["published_natural"] == "0.0145"
    with reading(cell / "natural.h5") as natural, reading(cell / "persistence.h5") as both:
        for name in natural.names("natural"):
            np.testing.assert_array_equal(natural.read(f"natural/{name}"), both.read(f"natural/{name}"))


def test_an_attack_that_never_succeeds_leaves_its_row_empty(alexnet):
    attacked = run_attack(
        alexnet, targets="one", target_class="goldfish", settings={"epsilon": 1e-6, "step_size": 1e-6, "steps": 1}
    )
    assert set(attacked["target"].tolist()) == {1}
    assert not attacked["success"].any()
    row = bracketed(alexnet)
    assert (row["successes"], row["success"]) == ("0", "0.0")
    assert row["adversarial_n"] == "0"
    assert row["natural"] != ""
    assert "natural_over_adversarial" not in row
    detect(
        persistence=[str(alexnet / "persistence.h5")], names=["AlexNet"], attacks=["none"], false_positive_rate=0.05,
        output=str(alexnet / "detection.csv"),
    )  # fmt: skip
    assert (alexnet / "detection.csv").read_text().splitlines()[1].startswith("AlexNet,none,2,0")
